//! A changed configuration is put in force as a whole, or not at all: load, validate, swap.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, MutexGuard, atomic::Ordering},
};

use super::{BindError, Shared, stages};
use crate::{
    config::{self, Config, Invalid, Log, Watched},
    document::Findings,
};

/// Reads the configuration again.
pub type Load = Box<dyn Fn() -> Result<Config, Invalid> + Send + Sync>;

/// Told how log lines are written from now on: whoever starts the log owns it.
pub type SetLog = Box<dyn Fn(Log) + Send + Sync>;

/// The old configuration stays, and why.
#[derive(Debug)]
pub enum ReloadError {
    /// What is wrong with the new one, or cannot change without a restart.
    Findings(Findings),
    /// A destination cannot be started.
    Destination(BindError),
    /// The relay is stopping.
    Stopping,
}

impl Shared {
    /// Loads the configuration again; returns the number of the generation in force.
    pub(super) fn reload(&self) -> Result<u64, ReloadError> {
        self.reload_watching(&mut self.lock_watched())
    }

    fn reload_watching(&self, watched: &mut Watched) -> Result<u64, ReloadError> {
        let result = self.try_reload(watched);
        match &result {
            Ok(generation) => tracing::info!(generation, "configuration reloaded"),
            Err(error) => {
                self.metrics.config_reload_failed();
                tracing::error!(%error, "configuration not reloaded, the old one stays");
            }
        }
        result
    }

    /// Loads the configuration again if a file is not as the last attempt found it. A failed attempt has been logged; the same
    /// files are not tried again. Reads files: not for a task that others wait for.
    pub(super) fn reload_if_changed(&self) {
        // Waits for a reload under way, and looks at the files as that one found them.
        let mut watched = self.lock_watched();
        let is_changed = |(file, seen): (&PathBuf, &Option<u64>)| {
            // A file that is gone while the relay runs keeps its last good content in force.
            config::fingerprint_of(file).is_some_and(|now| *seen != Some(now))
        };
        if watched.iter().any(is_changed) {
            drop(self.reload_watching(&mut watched));
        }
    }

    fn lock_watched(&self) -> MutexGuard<'_, Watched> {
        self.watched
            .lock()
            .expect("no code path panics while it reloads")
    }

    fn try_reload(&self, watched: &mut Watched) -> Result<u64, ReloadError> {
        let loaded = (self.load)();
        *watched = match &loaded {
            Ok(config) => config.watched.clone(),
            Err(invalid) => invalid.watched.clone(),
        };
        let config = loaded.map_err(|invalid| ReloadError::Findings(invalid.findings))?;
        let needs_restart = config::restart_needed(&self.config.load(), &config);
        if needs_restart.any_mistake() {
            return Err(ReloadError::Findings(needs_restart));
        }
        if self.stopping.load(Ordering::Relaxed) {
            return Err(ReloadError::Stopping);
        }
        self.destinations
            .apply(&config)
            .map_err(ReloadError::Destination)?;
        self.pipeline.replace(stages(&config, &self.metrics));
        self.receiver_options
            .store(Arc::new(config.receivers.clone()));
        self.admin_options.store(Arc::new(config.admin.clone()));
        self.store.resize(config.store);
        (self.set_log)(config.log);
        log_warnings(&config);
        self.config.store(Arc::new(config));
        self.metrics.config_reloaded();
        Ok(self.metrics.config_generation())
    }
}

/// Says what is doubtful in a configuration that comes into force.
pub(super) fn log_warnings(config: &Config) {
    for warning in &config.warnings.0 {
        tracing::warn!("{warning}");
    }
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Findings(findings) => write!(f, "{}", findings.to_string().trim_end()),
            Self::Destination(error) => write!(f, "{error}"),
            Self::Stopping => write!(f, "the relay is stopping"),
        }
    }
}
