//! The destinations at work: started, changed and removed as the configuration says, drained at the end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::{task::JoinSet, time::Instant};

use super::BindError;
use crate::{
    config::Config,
    exporter::{Context, DestinationStatus, Exporter, Options},
    queue,
    store::{self, Store},
};

/// The exporters by name, and those that drain after their removal.
#[derive(Debug)]
pub(super) struct Destinations {
    context: Context,
    store: Store,
    working: Mutex<Working>,
}

#[derive(Debug, Default)]
struct Working {
    exporters: BTreeMap<Arc<str>, Exporter>,
    removed: Vec<Exporter>,
    /// The embedded store, while nothing else is configured.
    store: Option<store::Destination>,
    /// All are told to end: nothing is started any more.
    ended: bool,
}

// === impl Destinations ===

impl Destinations {
    pub(super) fn new(context: Context, store: Store) -> Self {
        Self {
            context,
            store,
            working: Mutex::default(),
        }
    }

    /// Starts what is new, changes what is there, and lets go of what is gone.
    pub(super) fn apply(&self, config: &Config) -> Result<(), BindError> {
        let mut working = self.lock();
        if working.ended {
            return Ok(());
        }
        for options in &config.destinations {
            let applied = match working.exporters.get(&options.name) {
                Some(exporter) => exporter.reconfigure(options.clone()),
                None => Exporter::spawn(options.clone(), self.context.clone()).map(|exporter| {
                    working
                        .exporters
                        .insert(Arc::clone(&options.name), exporter);
                }),
            };
            let destination = Arc::clone(&options.name);
            applied.map_err(|error| BindError::Tls { destination, error })?;
        }
        if config.destinations.is_empty() {
            let options = queue::Options {
                bytes_max: config.queue_bytes_max(),
                required: true,
            };
            match &working.store {
                Some(store) => store.reconfigure(options),
                None => working.store = Some(self.store_destination(options)),
            }
        } else {
            working.store = None;
        }
        working.let_go(&config.destinations);
        Ok(())
    }

    /// What is told about each, those that drain after their removal included.
    pub(super) fn statuses(&self) -> Vec<DestinationStatus> {
        let working = self.lock();
        let draining = working
            .removed
            .iter()
            .filter(|removed| !removed.has_ended());
        let exporters = working.exporters.values().chain(draining);
        let mut statuses: Vec<_> = exporters.map(Exporter::status).collect();
        statuses.extend(working.store.as_ref().map(|_| store_status()));
        statuses
    }

    /// The relay stops: nothing waits for longer than it must, and what is left at `deadline` is lost.
    pub(super) fn hurry(&self, deadline: Instant) {
        let working = self.lock();
        let exporters = working.exporters.values().chain(&working.removed);
        exporters.for_each(|exporter| exporter.hurry(deadline));
    }

    /// All requests are answered: sends what all of them hold until `deadline`; none ends early because another failed.
    pub(super) async fn drain(&self, deadline: Instant) {
        let ended = Working {
            ended: true,
            ..Working::default()
        };
        let working = std::mem::replace(&mut *self.lock(), ended);
        let mut draining = JoinSet::new();
        for exporter in working.exporters.into_values().chain(working.removed) {
            draining.spawn(async move { exporter.drain(deadline).await });
        }
        if let Some(store) = working.store {
            store.drain(deadline).await;
        }
        while draining.join_next().await.is_some() {}
    }

    fn store_destination(&self, options: queue::Options) -> store::Destination {
        let Context {
            queues,
            metrics,
            tasks,
            ..
        } = &self.context;
        store::Destination::spawn(self.store.clone(), queues, options, metrics, tasks)
    }

    fn lock(&self) -> MutexGuard<'_, Working> {
        self.working
            .lock()
            .expect("no code path panics while it holds the destinations")
    }
}

// === impl Working ===

impl Working {
    /// Removes the exporters that are not wanted any more, and forgets those that have drained.
    fn let_go(&mut self, wanted: &[Options]) {
        let exporters = std::mem::take(&mut self.exporters);
        for (name, exporter) in exporters {
            if wanted.iter().any(|options| options.name == name) {
                self.exporters.insert(name, exporter);
            } else {
                tracing::info!(destination = %name, "destination removed, its queue drains");
                exporter.remove();
                self.removed.push(exporter);
            }
        }
        self.removed.retain(|exporter| !exporter.has_ended());
    }
}

fn store_status() -> DestinationStatus {
    DestinationStatus {
        name: store::DESTINATION.into(),
        endpoint: "embedded".to_owned(),
        required: true,
        down: None,
        last_error: None,
        last_delivery: None,
        learned_bytes_max: None,
    }
}
