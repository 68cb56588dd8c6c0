//! What is told about a destination on every page: up or down and why, since when, and what was learned.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;

/// A destination at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is: scheme, host, port.
    pub endpoint: String,
    /// Whether a request is refused when its queue has no room.
    pub required: bool,
    /// `None` while it is up; else why it counts as down.
    pub down: Option<Down>,
    /// The newest answer that was no success, or the newest error.
    pub last_error: Option<LastError>,
    /// When something was last delivered.
    pub last_delivery: Option<Instant>,
    /// The bytes of a message that it takes, as far as its answers tell; `None` when it never refused one as too large.
    pub learned_bytes_max: Option<usize>,
}

/// Why a destination counts as down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Down {
    /// In words.
    pub reason: String,
    /// Since when.
    pub since: Instant,
}

/// The newest answer that was no success, or the newest error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// In words.
    pub message: String,
    /// When.
    pub at: Instant,
}

/// The status, shared between the exporter that writes it and whoever reads it.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Mutex<DestinationStatus>>);

impl DestinationStatus {
    /// How long it has been failing.
    pub fn failing_for(&self, now: Instant) -> Option<Duration> {
        let down = self.down.as_ref()?;
        Some(now.saturating_duration_since(down.since))
    }
}

impl Shared {
    pub(super) fn new(status: DestinationStatus) -> Self {
        Self(Arc::new(Mutex::new(status)))
    }

    /// The status at this moment.
    pub(super) fn snapshot(&self) -> DestinationStatus {
        self.lock().clone()
    }

    /// Changes it.
    pub(super) fn lock(&self) -> MutexGuard<'_, DestinationStatus> {
        self.0
            .lock()
            .expect("no code path panics while it holds the status")
    }
}
