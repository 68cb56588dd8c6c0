//! The queues as tasks use them: requests wait for room, exporters wait for parcels.
//!
//! A thin, waiting shell around `admission`: it takes the lock, books in the ledger under it, and wakes after it. The lock
//! is a std mutex, never held across an await; the ledger's own lock is only ever taken inside it, never around it.

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tokio::time::Instant;

use super::{
    Gauges, Missing, Name, Options, Payload,
    account::{AccountId, Entry, Place},
    admission::{Admission, Placed, Ticket, Turn},
    parcel::Parcel,
};
use crate::{
    budget::Use,
    metrics::{Fate, Ledger, Loss, Tally, Transport},
    sync::{Mutex, MutexGuard, timeout_at},
};

/// There was no room until the deadline, or nobody may wait any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The queues of all destinations. Cheap to clone.
#[derive(Clone)]
pub struct Queues {
    shared: Arc<Shared>,
}

/// The end of one queue at which its exporter stands. Dropped, it books what is left as lost by a fault of the relay, and
/// nothing more is admitted to a queue that still belongs to the configuration.
pub struct Queue {
    shared: Arc<Shared>,
    id: AccountId,
    name: Name,
}

/// What a queue has to say to its exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Something waits in it.
    Parcels,
    /// It is closed and empty.
    Closed,
}

pub(super) struct Shared {
    pub(super) ledger: Ledger,
    admission: Mutex<Admission>,
}

/// A request on its way into the queues. Dropped before it is in, it leaves the line and no trace.
struct Applicant<'a> {
    shared: &'a Shared,
    transport: Transport,
    tally: Tally,
    payload: Option<Payload>,
    bytes: usize,
    ticket: Option<Ticket>,
}

// === impl Queues ===

impl Queues {
    /// No destinations yet.
    pub fn new(ledger: Ledger) -> Self {
        let admission = Mutex::default();
        Self {
            shared: Arc::new(Shared { ledger, admission }),
        }
    }

    /// Opens the queue of a destination: from now on it takes part in every admission.
    pub fn open(&self, name: Name, options: Options) -> Queue {
        self.shared.ledger.open(&name);
        let id = self.shared.lock().open(Arc::clone(&name), options);
        Queue {
            shared: Arc::clone(&self.shared),
            id,
            name,
        }
    }

    /// Takes a request: books `tally` and puts `payload` (none when every span was sampled out) into the queues of all
    /// required destinations at once, waiting in one order of arrival until `deadline`, or books nothing. Dropping the
    /// future before it is done leaves no trace either. What does not fit a destination that is not required is lost for
    /// it alone. A request that needs no waiting is taken whatever the deadline says.
    pub async fn admit(
        &self,
        transport: Transport,
        tally: Tally,
        payload: Option<Payload>,
        deadline: Instant,
    ) -> Result<(), Full> {
        let Some(payload) = payload else {
            self.shared.ledger.accept(transport, tally, []);
            return Ok(());
        };
        let mut applicant = Applicant {
            shared: &self.shared,
            transport,
            tally,
            bytes: payload.room_bytes(),
            payload: Some(payload),
            ticket: None,
        };
        timeout_at(deadline, poll_fn(|context| applicant.poll(context)))
            .await
            .unwrap_or(Err(Full))
    }

    /// Refuses all who wait for room at once, and from now on whoever would have to. What finds room is still taken.
    pub fn refuse_waiters(&self) {
        let wake = self.shared.lock().refuse_waiters();
        wake.into_iter().for_each(Waker::wake);
    }

    /// How full each queue is. A name that was removed and came back appears twice while the old queue drains.
    pub fn gauges(&self) -> Vec<(Name, Gauges)> {
        self.shared.lock().all_gauges()
    }

    #[cfg(test)]
    pub(super) fn is_stalled(&self) -> bool {
        self.shared.lock().is_stalled()
    }

    #[cfg(test)]
    pub(super) fn line_length(&self) -> usize {
        self.shared.lock().line_length()
    }
}

impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queues").field(&self.gauges()).finish()
    }
}

// === impl Applicant ===

impl Applicant<'_> {
    fn poll(&mut self, context: &Context<'_>) -> Poll<Result<(), Full>> {
        let mut admission = self.shared.lock();
        match admission.ask(self.ticket, self.bytes) {
            Turn::Go => {
                let wake = self.commit(&mut admission);
                drop(admission);
                wake.into_iter().for_each(Waker::wake);
                Poll::Ready(Ok(()))
            }
            Turn::Wait => {
                let ticket = admission.stand(self.ticket, self.bytes, context.waker());
                self.ticket = Some(ticket);
                Poll::Pending
            }
            Turn::Refused => Poll::Ready(Err(Full)),
        }
    }

    /// Books and pushes under one lock, so that no fate comes before its span, and no span is in a queue unbooked.
    fn commit(&mut self, admission: &mut Admission) -> Vec<Waker> {
        let mut payload = self.payload.take().expect("a future is done once");
        payload.accepted_at = Instant::now();
        payload.permit.assign(Use::Queues);
        let spans = payload.spans;
        let ledger = &self.shared.ledger;
        ledger.accept(self.transport, self.tally, admission.open_names());
        let Placed { left_out, wake } = admission.put(self.ticket.take(), payload, self.bytes);
        for name in &left_out {
            ledger.settle(name, Fate::Lost(Loss::QueueFull), spans);
        }
        wake
    }
}

impl Drop for Applicant<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let wake = self.shared.lock().leave(ticket);
            wake.into_iter().for_each(Waker::wake);
        }
    }
}

// === impl Queue ===

impl Queue {
    /// The name of its destination.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Waits until something is in it, or it is closed and empty. For one consumer; dropping the future loses nothing.
    pub async fn ready(&self) -> Ready {
        self.ready_with(Missing::ANYTHING).await
    }

    /// Waits as [`Queue::ready`] does, but until so much is in it that a batch which lacks this is full, or until no more
    /// will come: who knows when the batch ends by its delay need not wake for each parcel before.
    pub async fn ready_with(&self, missing: Missing) -> Ready {
        poll_fn(|context| {
            let mut admission = self.shared.lock();
            let polled = admission.poll_entries(self.id, missing, context.waker());
            match polled {
                Some(true) => Poll::Ready(Ready::Parcels),
                Some(false) => Poll::Pending,
                None => Poll::Ready(Ready::Closed),
            }
        })
        .await
    }

    #[cfg(test)]
    pub(super) fn is_ready(&self, missing: Missing) -> bool {
        self.shared.lock().is_ready(self.id, missing)
    }

    /// Takes the oldest parcel out; its room is given back once it is settled.
    pub fn try_pop(&self) -> Option<Parcel> {
        self.pop_if(|_| true)
    }

    /// Takes the oldest parcel out if it was accepted at `moment` or before.
    pub fn pop_accepted_by(&self, moment: Instant) -> Option<Parcel> {
        self.pop_if(|accepted_at| accepted_at <= moment)
    }

    /// When the oldest parcel that still waits in it was accepted.
    pub fn front_accepted_at(&self) -> Option<Instant> {
        self.shared.lock().front_accepted_at(self.id)
    }

    /// Changes its bounds. What is in it stays, also above a lower bound.
    pub fn reconfigure(&self, options: Options) {
        let wake = self.shared.lock().reconfigure(self.id, options);
        wake.into_iter().for_each(Waker::wake);
    }

    /// Takes it out of admission, because its destination was removed or the relay stops: what it holds drains.
    pub fn close(&self) {
        let wake = self.shared.lock().close(self.id);
        wake.into_iter().for_each(Waker::wake);
    }

    /// Hands over what is left in it, because its exporter ends. Nothing more is admitted to it; if it still belongs to
    /// the configuration and is required, every request is refused from now on.
    pub fn abandon(&self) -> Vec<Parcel> {
        let (entries, wake) = self.shared.lock().abandon(self.id);
        wake.into_iter().for_each(Waker::wake);
        entries
            .into_iter()
            .map(|entry| self.parcel(entry))
            .collect()
    }

    /// How full it is.
    pub fn gauges(&self) -> Gauges {
        self.shared.lock().gauges(self.id)
    }

    fn pop_if(&self, wanted: impl Fn(Instant) -> bool) -> Option<Parcel> {
        let entry = self.shared.lock().pop(self.id, wanted)?;
        Some(self.parcel(entry))
    }

    fn parcel(&self, entry: Entry) -> Parcel {
        Parcel::whole(entry, Arc::clone(&self.shared), Arc::clone(&self.name))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        for parcel in self.abandon() {
            parcel.settle(Fate::Lost(Loss::Internal));
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("name", &self.name)
            .field("gauges", &self.gauges())
            .finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    pub(super) fn release(&self, places: impl IntoIterator<Item = Place>) {
        let wake = self.lock().release(places);
        wake.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Admission> {
        self.admission
            .lock()
            .expect("no code path panics while it holds the queues")
    }
}
