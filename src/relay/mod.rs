//! Builds all stages from the configuration, owns their tasks, and drains them. The only room that knows every stage.
//!
//! Everything is bound before anything is started; the configuration and the order to stop are arguments, so tests use port 0
//! and stop at will.

mod destinations;
mod listeners;
mod pages;
mod reload;
mod watch;

use std::{
    fmt, io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use listeners::{Addresses, BindError};
pub use reload::{Load, ReloadError, SetLog};

use self::{
    destinations::Destinations,
    listeners::{AdminThread, Listeners},
};
use crate::{
    admin,
    budget::Budget,
    config::{Config, Watched},
    exporter::{self, Resolver},
    metrics::{self, Metrics, Settled, Totals},
    pipeline::{Pipeline, Stages},
    processor::Snapshot,
    queue::Queues,
    receiver::{self, Receivers},
    store::{Keeper, Store},
};

/// What the program was built from.
const COMMIT: &str = env!("OTLP_RELAY_COMMIT");

/// A relay whose ports are bound and whose destinations are at work, but which takes no requests yet.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    listeners: Listeners,
    keeper: Keeper,
}

/// A relay's books and controls, also while it runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// What the stages have in common, and what a reload changes.
struct Shared {
    budget: Budget,
    metrics: Metrics,
    queues: Queues,
    pipeline: Arc<Pipeline>,
    store: Store,
    destinations: Destinations,
    receiver_options: Arc<ArcSwap<receiver::Options>>,
    admin_options: Arc<ArcSwap<admin::Options>>,
    config: ArcSwap<Config>,
    /// The files as the last attempt to load found them, whether its configuration came into force or not. Held while one
    /// loads: one reload at a time, so that what is in force is always one configuration whole.
    watched: Mutex<Watched>,
    load: Load,
    set_log: SetLog,
    stopping: AtomicBool,
    tasks: TaskTracker,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// The books at the end.
    pub totals: Totals,
    /// What became, after the order to stop, of what the destinations held and of what the last requests brought.
    pub drained: Settled,
}

// === impl Relay ===

impl Relay {
    /// Binds the ports and starts the destinations. `load` reads the configuration again, for a reload, and `set_log` changes
    /// the log accordingly; `resolver` finds the addresses of destinations. Call it within a runtime.
    pub fn bind(
        config: Config,
        load: Load,
        set_log: SetLog,
        resolver: Resolver,
    ) -> Result<Self, BindError> {
        reload::log_warnings(&config);
        let listeners = Listeners::bind(&config)?;
        let metrics = Metrics::new(metrics::Options {
            collector_names: config.collector_names,
            commit: COMMIT,
        });
        let queues = Queues::new(metrics.ledger().clone());
        let (store, keeper) = Store::new(config.store);
        let tasks = TaskTracker::new();
        let teller = store.clone();
        let context = exporter::Context {
            queues: queues.clone(),
            metrics: metrics.clone(),
            resolver,
            tasks: tasks.clone(),
            on_verdict: Some(Arc::new(move |samples, destination, answer| {
                teller.answered(samples, destination, answer);
            })),
        };
        let destinations = Destinations::new(context, store.clone());
        destinations.apply(&config)?;
        let stages = stages(&config, &metrics);
        let pipeline = Pipeline::new(stages, queues.clone(), store.clone(), metrics.clone());
        let shared = Shared {
            budget: Budget::new(config.budget_bytes, config.receivers.request_bytes_max),
            metrics,
            queues,
            pipeline: Arc::new(pipeline),
            store,
            destinations,
            receiver_options: Arc::new(ArcSwap::from_pointee(config.receivers.clone())),
            admin_options: Arc::new(ArcSwap::from_pointee(config.admin.clone())),
            watched: Mutex::new(config.watched.clone()),
            config: ArcSwap::from_pointee(config),
            load,
            set_log,
            stopping: AtomicBool::new(false),
            tasks,
        };
        Ok(Self {
            shared: Arc::new(shared),
            listeners,
            keeper,
        })
    }

    /// The addresses that were bound.
    pub fn addresses(&self) -> Addresses {
        self.listeners.addresses()
    }

    /// Its books and controls.
    pub fn handle(&self) -> Handle {
        Handle {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Serves until `stop`, then drains within `shutdown.deadline`: those who wait are refused, open bodies get a second, the
    /// queues are flushed with retries, which hurry from the beginning, and what is left is booked as lost.
    pub async fn run(self, stop: CancellationToken) -> io::Result<Ended> {
        let Self {
            shared,
            listeners,
            keeper,
        } = self;
        let admin = AdminThread::start(listeners.admin, &shared)?;
        let stop_keeper = CancellationToken::new();
        shared.tasks.spawn(keeper.run(stop_keeper.clone()));
        shared
            .tasks
            .spawn(watch::run(Arc::clone(&shared), stop.clone()));
        let receivers = Receivers {
            pipeline: Arc::clone(&shared.pipeline),
            budget: shared.budget.clone(),
            metrics: shared.metrics.clone(),
            options: Arc::clone(&shared.receiver_options),
        };
        let serving = receivers.serve(listeners.receivers, stop.clone());
        let stopping = async {
            stop.cancelled().await;
            shared.stopping.store(true, Ordering::Relaxed);
            shared.queues.refuse_waiters();
            let deadline = Instant::now() + shared.config.load().shutdown_deadline;
            let at_stop = shared.metrics.ledger().totals();
            shared.destinations.hurry(deadline);
            (deadline, at_stop)
        };
        let ((), (deadline, at_stop)) = tokio::join!(serving, stopping);
        shared.destinations.drain(deadline).await;
        stop_keeper.cancel();
        admin.stop().await;
        let totals = shared.metrics.ledger().totals();
        Ok(Ended {
            drained: totals.settled_since(&at_stop),
            totals,
        })
    }
}

// === impl Handle ===

impl Handle {
    /// The books at this moment.
    pub fn totals(&self) -> Totals {
        self.shared.metrics.ledger().totals()
    }

    /// The budget.
    pub fn budget(&self) -> &Budget {
        &self.shared.budget
    }

    /// Loads the configuration again and puts it in force as a whole; on any mistake the old one stays. Reads files: not for
    /// a task that others wait for.
    pub fn reload(&self) -> Result<u64, ReloadError> {
        self.shared.reload()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// What requests pass through under this configuration.
fn stages(config: &Config, metrics: &Metrics) -> Stages {
    let policies = config
        .sampler
        .policies()
        .iter()
        .map(|policy| policy.name.as_str());
    let destinations = config.destinations.iter();
    Stages {
        policies: metrics.policy_counters(policies),
        snapshot: Snapshot {
            sampler: Arc::clone(&config.sampler),
            enricher: Arc::clone(&config.enricher),
        },
        message_bytes_max: destinations
            .map(|destination| destination.batch.bytes_max)
            .min()
            .unwrap_or(usize::MAX),
    }
}
