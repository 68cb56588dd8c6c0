//! The task of one destination: a thin loop between its queue, its attempts, the clock, and its orders.
//!
//! It decides nothing: `delivery` does. Invariant: when it ends, nothing of its queue is without a fate.

use std::{collections::HashMap, iter, sync::Arc};

use tokio::{
    sync::watch,
    task::{self, JoinError, JoinSet},
    time::{Instant, sleep_until},
};

use super::{
    Options, REMOVAL_MAX,
    backoff::Dice,
    client::Client,
    delivery::{Attempt, Delivery, Ending, FlightId, Next},
    outcome::Outcome,
    report::Report,
};
use crate::{
    metrics::Loss,
    queue::{Queue, Ready},
};

/// What the task is to do; the newest orders count.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    pub(super) options: Arc<Options>,
    pub(super) client: Arc<Client>,
    pub(super) ending: Ending,
}

/// What wakes the task.
enum Event {
    /// Parcels that end a batch, or begin one, wait in the queue.
    Parcels,
    /// The queue is closed and empty.
    Closed,
    /// An attempt ended.
    Answer(FlightId, Outcome),
    /// New orders, or `None` when nobody gives any more.
    Orders(Option<Orders>),
    /// Something is due.
    Wake,
}

/// The task's state between events.
pub(super) struct Task {
    queue: Arc<Queue>,
    orders: watch::Receiver<Orders>,
    /// The orders that are followed.
    current: Orders,
    delivery: Delivery,
    attempts: JoinSet<Outcome>,
    flights: HashMap<task::Id, FlightId>,
    closed: bool,
    ownerless: bool,
}

impl Task {
    pub(super) fn new(
        queue: Arc<Queue>,
        mut orders: watch::Receiver<Orders>,
        report: Report,
    ) -> Self {
        let current = orders.borrow_and_update().clone();
        let mut delivery = Delivery::new(Arc::clone(&current.options), report, Dice::new());
        delivery.end(current.ending, Instant::now());
        Self {
            queue,
            orders,
            current,
            delivery,
            attempts: JoinSet::new(),
            flights: HashMap::new(),
            closed: false,
            ownerless: false,
        }
    }

    /// Works until the end that was ordered.
    pub(super) async fn run(mut self) {
        loop {
            let now = Instant::now();
            if let Some(loss) = self.delivery.ended(now) {
                self.abandon(loss, now);
                break;
            }
            let wake_at = self.turn(now);
            if self.is_done() {
                self.abandon(Loss::Shutdown, now);
                break;
            }
            let event = self.event(wake_at).await;
            self.handle(event, Instant::now());
        }
    }

    /// Takes parcels in and sends what may be sent, until only time or an answer can change anything.
    fn turn(&mut self, now: Instant) -> Option<Instant> {
        self.expire(now);
        loop {
            while self.delivery.wants_parcel() {
                let Some(parcel) = self.queue.try_pop() else {
                    break;
                };
                self.delivery.push(parcel, now);
            }
            match self.delivery.next(now) {
                Next::Send(attempt) => self.launch(attempt),
                Next::Sleep(wake_at) => {
                    let oldest = self.queue.front_accepted_at();
                    let expires_at = oldest.and_then(|at| self.delivery.expires_at(at));
                    return wake_at.into_iter().chain(expires_at).min();
                }
            }
        }
    }

    async fn event(&mut self, wake_at: Option<Instant>) -> Event {
        let wants_parcel = self.delivery.wants_parcel() && !self.closed;
        let missing = self.delivery.missing();
        tokio::select! {
            Some(ended) = self.attempts.join_next_with_id() => {
                let (id, outcome) = outcome(ended);
                let flight = self.flights.remove(&id);
                Event::Answer(flight.expect("every attempt is on the list"), outcome)
            }
            ready = self.queue.ready_with(missing), if wants_parcel => match ready {
                Ready::Parcels => Event::Parcels,
                Ready::Closed => Event::Closed,
            },
            changed = self.orders.changed(), if !self.ownerless => {
                let orders = self.orders.borrow_and_update().clone();
                Event::Orders(changed.is_ok().then_some(orders))
            }
            () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => Event::Wake,
        }
    }

    fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Parcels | Event::Wake => {}
            Event::Closed => self.closed = true,
            Event::Answer(flight, outcome) => self.delivery.answered(flight, outcome, now),
            Event::Orders(Some(orders)) => self.follow(orders, now),
            Event::Orders(None) => self.remove_itself(now),
        }
    }

    /// Nobody gives orders any more: an exporter that was not told to end counts as removed.
    fn remove_itself(&mut self, now: Instant) {
        self.ownerless = true;
        if self.current.ending == Ending::Never {
            self.queue.close();
            let mut orders = self.current.clone();
            orders.ending = Ending::Removed(now + REMOVAL_MAX);
            self.follow(orders, now);
        }
    }

    fn follow(&mut self, orders: Orders, now: Instant) {
        if !Arc::ptr_eq(&orders.options, &self.current.options) {
            self.delivery.reconfigure(Arc::clone(&orders.options), now);
        }
        if orders.ending != self.current.ending {
            self.delivery.end(orders.ending, now);
        }
        self.current = orders;
    }

    fn launch(&mut self, attempt: Attempt) {
        let Attempt {
            id,
            segments,
            within,
        } = attempt;
        let client = Arc::clone(&self.current.client);
        let task = self
            .attempts
            .spawn(async move { client.send(segments, within).await });
        self.flights.insert(task.id(), id);
    }

    fn expire(&mut self, now: Instant) {
        let Some(moment) = self.delivery.expired_by(now) else {
            return;
        };
        let expired = iter::from_fn(|| self.queue.pop_accepted_by(moment));
        self.delivery
            .report()
            .lost(expired.collect(), Loss::Expired, now);
    }

    /// Whether nothing more comes, and nothing is left.
    fn is_done(&self) -> bool {
        self.closed && self.delivery.is_empty()
    }

    /// Gives a fate to all that is left, also to what came in at the very last moment.
    fn abandon(&mut self, loss: Loss, now: Instant) {
        self.attempts.abort_all();
        self.delivery.abandon(loss, now);
        self.delivery.report().lost(self.queue.abandon(), loss, now);
    }
}

/// The outcome of an attempt's task. One that panicked is a fault of the relay; its message is tried again.
fn outcome(ended: Result<(task::Id, Outcome), JoinError>) -> (task::Id, Outcome) {
    ended.unwrap_or_else(|error| {
        tracing::error!(%error, "an attempt panicked");
        (error.id(), Outcome::transport("the attempt panicked"))
    })
}
