//! Sends what the queue of one destination holds, and settles the account of every span.
//!
//! One task for each destination: `task` waits, `delivery` decides, `client` speaks, `report` tells. It reads no file and
//! knows no other stage but the queue. Invariants: never more under way than the options allow; every span that the
//! queue held has a fate when the exporter has ended.

mod backoff;
mod client;
mod courier;
mod delivery;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod health;
mod limit;
mod message;
pub mod options;
mod outcome;
mod report;
mod retry_after;
mod status;
mod task;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};
use tokio_util::task::TaskTracker;

use crate::{
    metrics::Metrics,
    queue::{Queue, Queues, supervise},
};
use client::Client;
use delivery::Ending;
use report::Report;
use task::{Orders, Task};

pub use client::{InvalidTls, Lookup, Resolver, check_tls};
pub use courier::{Courier, Reply};
pub use options::{Compression, Options, Pem, Protocol, Retry, Tls};
pub use report::OnVerdict;
pub use status::{DestinationStatus, Down, LastError};

/// A destination that was removed from the configuration has this long to take what its queue holds.
pub const REMOVAL_MAX: Duration = Duration::from_secs(60);

/// What all exporters share.
#[derive(Clone)]
pub struct Context {
    /// Where each opens its queue.
    pub queues: Queues,
    /// What each counts with.
    pub metrics: Metrics,
    /// What resolves the names of destinations.
    pub resolver: Resolver,
    /// The owner of all their tasks, connections included.
    pub tasks: TaskTracker,
    /// Who wants to know what each destination answered to sampled payloads; called for no others.
    pub on_verdict: Option<OnVerdict>,
}

/// One destination at work. Dropped, it counts as removed.
pub struct Exporter {
    name: Arc<str>,
    context: Context,
    queue: Weak<Queue>,
    orders: watch::Sender<Orders>,
    ended: watch::Receiver<bool>,
    status: status::Shared,
}

impl Exporter {
    /// Opens the queue of a destination and starts to send what it holds. It need not be reachable.
    pub fn spawn(options: Options, context: Context) -> Result<Self, InvalidTls> {
        let client = client(&options, &context)?;
        let name = Arc::clone(&options.name);
        let status = report::initial_status(&options);
        let queue = Arc::new(context.queues.open(Arc::clone(&name), options.queue));
        let weak_queue = Arc::downgrade(&queue);
        let (orders, followed) = watch::channel(Orders {
            options: Arc::new(options),
            client,
            ending: Ending::Never,
        });
        let (end, ended) = watch::channel(false);
        let metrics = context.metrics.destination(&name);
        let (on_verdict, written) = (context.on_verdict.clone(), status.clone());
        let supervised = supervise(Arc::clone(&name), move || {
            let options = Arc::clone(&followed.borrow().options);
            let report = Report::new(
                &options,
                metrics.clone(),
                on_verdict.clone(),
                written.clone(),
            );
            Task::new(Arc::clone(&queue), followed.clone(), report).run()
        });
        context.tasks.spawn(async move {
            supervised.await;
            end.send_replace(true);
        });
        Ok(Self {
            name,
            context,
            queue: weak_queue,
            orders,
            ended,
            status,
        })
    }

    /// The name of its destination.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What is told about its destination.
    pub fn status(&self) -> DestinationStatus {
        self.status.snapshot()
    }

    /// New options, with the same name, apply at once, also to what is queued. What is under way ends under the old ones.
    /// Equal options change nothing, connections included.
    pub fn reconfigure(&self, options: Options) -> Result<(), InvalidTls> {
        if *self.orders.borrow().options == options {
            return Ok(());
        }
        let client = client(&options, &self.context)?;
        if let Some(queue) = self.queue.upgrade() {
            queue.reconfigure(options.queue);
        }
        let options = Arc::new(options);
        self.order(|orders| {
            orders.options = options;
            orders.client = client;
        });
        Ok(())
    }

    /// Its destination is gone from the configuration: nothing more comes in, what it holds drains for at most
    /// [`REMOVAL_MAX`]. Keep the handle until [`Exporter::has_ended`], so that a shutdown meanwhile can hurry it.
    pub fn remove(&self) {
        if let Some(queue) = self.queue.upgrade() {
            queue.close();
        }
        let until = Instant::now() + REMOVAL_MAX;
        self.order(|orders| orders.ending = Ending::Removed(until));
    }

    /// Whether its task has ended.
    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// The relay stops: from now on backoffs are cut short, and what is left at `deadline` is lost. Its queue still takes
    /// what the last requests bring, until [`Exporter::drain`].
    pub fn hurry(&self, deadline: Instant) {
        self.order(|orders| orders.ending = Ending::Shutdown(deadline));
    }

    /// Sends what it holds until `deadline`, in a hurry, and ends. Its queue closes, so call it when all requests are
    /// answered.
    pub async fn drain(&self, deadline: Instant) {
        self.hurry(deadline);
        if let Some(queue) = self.queue.upgrade() {
            queue.close();
        }
        let mut ended = self.ended.clone();
        // Without its task there is no end to wait for.
        ended.wait_for(|ended| *ended).await.ok();
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        self.orders.send_modify(change);
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

fn client(options: &Options, context: &Context) -> Result<Arc<Client>, InvalidTls> {
    let resolver = context.resolver.clone();
    let client = Client::new(options, resolver, context.tasks.clone())?;
    Ok(Arc::new(client))
}
