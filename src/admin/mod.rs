//! The admin port: metrics, health, the ledger, the policies in force, the newest traces, reload.
//!
//! It reads and never decides; the one thing that it can change is asked of `relay` by [`State::reload`]. Invariant: what it
//! shows of the configuration is masked by whoever hands it over.

mod guard;
mod readiness;
mod routes;
mod serve;
#[cfg(test)]
mod tests;

use std::{fmt, fs, future::Future, net::SocketAddr, pin::Pin, sync::Arc};

pub use readiness::{Phase, unready};
pub use serve::Server;

use crate::{
    budget::Budget,
    exporter::DestinationStatus,
    metrics::{Levels, Metrics, QueueLevel},
    queue::{Gauges, Queues},
    store::Store,
};

/// What the admin server is told.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Host names beyond loopback, IP addresses and the machine's own that requests may name.
    pub allowed_hosts: Vec<String>,
    /// The token that POST needs; without one, POST is served on a loopback address only. Never shown.
    pub token: Option<String>,
}

/// What is shown, and what can be asked for. Cheap to clone.
#[derive(Clone)]
pub struct State {
    /// The ledger and all numbers.
    pub metrics: Metrics,
    /// How much of it is in use.
    pub budget: Budget,
    /// How full they are.
    pub queues: Queues,
    /// The newest traces.
    pub store: Store,
    /// Where the relay is in its life.
    pub phase: View<Phase>,
    /// What is known of each destination that is configured or still drains.
    pub destinations: View<Vec<DestinationStatus>>,
    /// The policies as compiled, with what each has decided.
    pub policies: View<serde_json::Value>,
    /// The configuration in force, secrets masked.
    pub config: View<serde_json::Value>,
    /// Reads the configuration again and puts it in force: the generation, or every mistake in words.
    pub reload: Action<Result<u64, Vec<String>>>,
}

/// Looks something up; quick, and never waits for ingest.
pub type View<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// Does something and says how it went.
pub type Action<T> = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = T> + Send>> + Send + Sync>;

/// A destination and its queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// What its exporter knows of it.
    pub status: DestinationStatus,
    /// How full its queue is.
    pub queue: Gauges,
}

impl State {
    /// How full everything bounded is.
    pub fn levels(&self) -> Levels {
        let queues = self.queues.gauges();
        Levels {
            budget: Some(self.budget.clone()),
            queues: queues
                .into_iter()
                .map(|(destination, gauges)| QueueLevel {
                    destination,
                    payloads: gauges.payloads,
                    payloads_max: gauges.capacity_payloads(),
                    spans: gauges.spans,
                    bytes: gauges.bytes as u64,
                    bytes_max: gauges.bytes_max as u64,
                })
                .collect(),
            store: self.store.is_on().then(|| self.store.level()),
        }
    }

    /// The destinations with their queues.
    pub fn destinations(&self) -> Vec<Destination> {
        let queues = self.queues.gauges();
        let gauges_of = |name: &str| {
            let found = queues.iter().find(|(queue, _)| **queue == *name);
            found.map(|(_, gauges)| *gauges).unwrap_or_default()
        };
        (self.destinations)()
            .into_iter()
            .map(|status| Destination {
                queue: gauges_of(&status.name),
                status,
            })
            .collect()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("listen", &self.listen)
            .field("allowed_hosts", &self.allowed_hosts)
            .field("has_token", &self.token.is_some())
            .finish()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

/// The machine's own name, which is a container's name inside of one. Linux only: elsewhere it has to be allowed.
fn machine_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
