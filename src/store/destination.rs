//! The store as the destination of a relay that has no other: takes parcels from its queue as an exporter would.
//!
//! It is always up and refuses nothing; what the shelf lets go is no loss. Invariant: every span that the queue held has a
//! fate when its task has ended.

use std::sync::Arc;

use tokio::{
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Store;
use crate::{
    metrics::{self, Fate, Loss, Metrics},
    queue::{Options, Parcel, Queue, Queues, Ready, supervise},
};

/// The name of the store as a destination.
pub const DESTINATION: &str = "store";

/// The store at work as a destination. Dropped, its queue closes, and its task ends after the last parcel.
#[derive(Debug)]
pub struct Destination {
    queue: Arc<Queue>,
    consuming: JoinHandle<()>,
    stop: CancellationToken,
}

/// What its task works with.
#[derive(Clone)]
struct Consumer {
    store: Store,
    queue: Arc<Queue>,
    metrics: metrics::Destination,
    stop: CancellationToken,
}

impl Destination {
    /// Opens its queue and starts to take what comes.
    pub fn spawn(
        store: Store,
        queues: &Queues,
        options: Options,
        metrics: &Metrics,
        tasks: &TaskTracker,
    ) -> Self {
        let queue = Arc::new(queues.open(DESTINATION.into(), options));
        let stop = CancellationToken::new();
        let consumer = Consumer {
            store,
            queue: Arc::clone(&queue),
            metrics: metrics.destination(DESTINATION),
            stop: stop.clone(),
        };
        let name = Arc::clone(queue.name());
        let supervised = supervise(name, move || consumer.clone().run());
        Self {
            queue,
            consuming: tasks.spawn(supervised),
            stop,
        }
    }

    /// Changes the bounds of its queue.
    pub fn reconfigure(&self, options: Options) {
        self.queue.reconfigure(options);
    }

    /// Takes what its queue holds until `deadline`; what is left then is lost.
    pub async fn drain(mut self, deadline: Instant) {
        self.queue.close();
        let consumed = timeout_at(deadline, &mut self.consuming).await;
        if consumed.is_err() {
            self.stop.cancel();
            // A fault in it was logged, and its parcels have their fate all the same.
            (&mut self.consuming).await.ok();
        }
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Consumer {
    /// Takes what comes until the queue is closed and empty, or until it is told to stop: then what is left is lost.
    async fn run(self) {
        self.metrics.up(Some(true));
        while let Some(Ready::Parcels) = self.stop.run_until_cancelled(self.queue.ready()).await {
            while let Some(parcel) = self.queue.try_pop() {
                self.take(parcel).await;
            }
        }
        for parcel in self.queue.abandon() {
            parcel.settle(Fate::Lost(Loss::Shutdown));
        }
    }

    async fn take(&self, parcel: Parcel) {
        let delivering = self.store.deliver(&parcel.segments);
        if self.stop.run_until_cancelled(delivering).await.is_none() {
            return parcel.settle(Fate::Lost(Loss::Shutdown));
        }
        self.metrics.sent(parcel.spans, parcel.bytes);
        self.metrics.delivered(parcel.accepted_at().elapsed());
        if let Some(sample) = parcel.sample() {
            let samples = [sample].into();
            self.store.answered(samples, self.queue.name(), "delivered");
        }
        parcel.settle(Fate::Exported);
    }
}
