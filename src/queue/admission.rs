//! Who has room, who waits, and in what order: the accounts of all queues and the one line before them.
//!
//! It is plain: no lock, no clock, no await. Whom to wake is returned, so that a model checker can drive it. Invariants:
//! a shelf holds at most its bytes, except that an empty one takes anything; nobody overtakes the front of the line.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    task::Waker,
};

use tokio::time::Instant;

use super::{Gauges, Name, Options, Payload};

/// A place in the line. Also its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// One opening of a queue. A name that is closed and opened again gets a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ShelfId(u64);

/// What a request is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is its turn, and there is room: [`Admission::put`] follows before the lock is given back.
    Go,
    /// Somebody is before it, or there is no room.
    Wait,
    /// There is nothing to wait for.
    Refused,
}

/// Where [`Admission::put`] put a payload.
#[derive(Debug, Default)]
pub(super) struct Placed {
    /// Queues that are not required and had no room.
    pub(super) left_out: Vec<Name>,
    /// Consumers that slept, and the new front of the line.
    pub(super) wake: Vec<Waker>,
}

/// A payload in one queue.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) payload: Arc<Payload>,
    pub(super) place: Place,
}

/// What a payload takes of one shelf, to be given back once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) shelf: ShelfId,
    sequence: u64,
    bytes: usize,
    spans: u64,
}

/// The accounts of all queues, and the line.
#[derive(Debug, Default)]
pub(super) struct Admission {
    shelves: BTreeMap<ShelfId, Shelf>,
    line: VecDeque<Waiter>,
    waiters_refused: bool,
    next: u64,
}

#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    bytes: usize,
    waker: Waker,
}

/// The account of one queue.
#[derive(Debug)]
struct Shelf {
    name: Name,
    options: Options,
    state: State,
    bytes: usize,
    spans: u64,
    /// When each payload that is not settled whole was accepted, in the order of acceptance.
    accepted: BTreeMap<u64, Instant>,
    entries: VecDeque<Entry>,
    consumer: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Takes part in admission.
    Open,
    /// Removed: what it holds drains, nothing comes in.
    Closed,
    /// Nobody takes out of it any more, although it still belongs to the configuration.
    Dead,
}

// === impl Admission ===

impl Admission {
    /// Opens a queue.
    pub(super) fn open(&mut self, name: Name, options: Options) -> ShelfId {
        let id = ShelfId(self.number());
        let shelf = Shelf {
            name,
            options,
            state: State::Open,
            bytes: 0,
            spans: 0,
            accepted: BTreeMap::new(),
            entries: VecDeque::new(),
            consumer: None,
        };
        self.shelves.insert(id, shelf);
        id
    }

    /// Asks for `bytes` in every required queue, from the place in the line that `ticket` is, or from its end.
    pub(super) fn ask(&self, ticket: Option<Ticket>, bytes: usize) -> Turn {
        let front = self.line.front().map(|waiter| waiter.ticket);
        if self.required().any(|shelf| shelf.state == State::Dead) {
            return Turn::Refused;
        }
        if front == ticket && self.has_room(bytes) {
            return Turn::Go;
        }
        if self.waiters_refused {
            return Turn::Refused;
        }
        Turn::Wait
    }

    /// Stands in the line, or says anew whom to wake.
    pub(super) fn stand(&mut self, ticket: Option<Ticket>, bytes: usize, waker: &Waker) -> Ticket {
        let standing =
            ticket.and_then(|ticket| self.line.iter_mut().find(|waiter| waiter.ticket == ticket));
        if let Some(waiter) = standing {
            waiter.waker.clone_from(waker);
            return waiter.ticket;
        }
        let ticket = Ticket(self.number());
        self.line.push_back(Waiter {
            ticket,
            bytes,
            waker: waker.clone(),
        });
        ticket
    }

    /// Leaves the line; whoever is now in front may have room.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<Waker> {
        self.line.retain(|waiter| waiter.ticket != ticket);
        self.front_with_room()
    }

    /// The names of the queues that take part in admission.
    pub(super) fn open_names(&self) -> impl Iterator<Item = &Name> {
        self.shelves
            .values()
            .filter(|shelf| shelf.state == State::Open)
            .map(|shelf| &shelf.name)
    }

    /// Puts a payload that was told to go into every open queue, and takes its ticket out of the line.
    pub(super) fn put(
        &mut self,
        ticket: Option<Ticket>,
        payload: &Arc<Payload>,
        bytes: usize,
    ) -> Placed {
        let mut placed = Placed::default();
        let sequence = self.number();
        for (&id, shelf) in &mut self.shelves {
            if shelf.state != State::Open {
                continue;
            }
            if !shelf.options.required && !shelf.has_room(bytes) {
                placed.left_out.push(Arc::clone(&shelf.name));
                continue;
            }
            let place = Place {
                shelf: id,
                sequence,
                bytes,
                spans: payload.spans,
            };
            shelf.put(payload, place);
            placed.wake.extend(shelf.consumer.take());
        }
        if let Some(ticket) = ticket {
            self.line.retain(|waiter| waiter.ticket != ticket);
        }
        placed.wake.extend(self.front_with_room());
        placed
    }

    /// Gives back what a payload took of one queue.
    pub(super) fn release(&mut self, place: Place) -> Option<Waker> {
        let shelf = self.shelves.get_mut(&place.shelf)?;
        shelf.bytes -= place.bytes;
        shelf.spans -= place.spans;
        shelf.accepted.remove(&place.sequence);
        self.front_with_room()
    }

    /// Takes the oldest payload out of a queue, if `wanted` says so of the time of its acceptance.
    pub(super) fn pop(&mut self, id: ShelfId, wanted: impl Fn(Instant) -> bool) -> Option<Entry> {
        let entries = &mut self.shelves.get_mut(&id)?.entries;
        entries
            .front()
            .is_some_and(|entry| wanted(entry.payload.accepted_at))
            .then(|| entries.pop_front())
            .flatten()
    }

    /// When the oldest payload that waits in a queue was accepted.
    pub(super) fn front_accepted_at(&self, id: ShelfId) -> Option<Instant> {
        let entry = self.shelves.get(&id)?.entries.front()?;
        Some(entry.payload.accepted_at)
    }

    /// Whether something waits in a queue; `None` when nothing does and nothing will. Otherwise `waker` is told.
    pub(super) fn poll_entries(&mut self, id: ShelfId, waker: &Waker) -> Option<bool> {
        let shelf = self.shelves.get_mut(&id)?;
        if !shelf.entries.is_empty() {
            return Some(true);
        }
        if shelf.state != State::Open {
            return None;
        }
        shelf.consumer = Some(waker.clone());
        Some(false)
    }

    /// Changes the bounds of a queue.
    pub(super) fn reconfigure(&mut self, id: ShelfId, options: Options) -> Option<Waker> {
        if let Some(shelf) = self.shelves.get_mut(&id) {
            shelf.options = options;
        }
        self.front_with_room()
    }

    /// Takes a queue out of admission; what it holds drains. Its consumer hears of it, and those who waited for it.
    pub(super) fn close(&mut self, id: ShelfId) -> Vec<Waker> {
        let mut wake = Vec::new();
        if let Some(shelf) = self.shelves.get_mut(&id) {
            if shelf.state == State::Open {
                shelf.state = State::Closed;
            }
            wake.extend(shelf.consumer.take());
        }
        wake.extend(self.front_with_room());
        wake
    }

    /// Nobody will take out of this queue any more. A removed one is forgotten; of one that still belongs to the
    /// configuration all hear that there is nothing to wait for.
    pub(super) fn abandon(&mut self, id: ShelfId) -> Vec<Waker> {
        let Some(shelf) = self.shelves.get_mut(&id) else {
            return Vec::new();
        };
        shelf.consumer = None;
        if shelf.state == State::Closed {
            self.shelves.remove(&id);
            return self.front_with_room().into_iter().collect();
        }
        shelf.state = State::Dead;
        self.all_waiters()
    }

    /// From now on nobody waits.
    pub(super) fn refuse_waiters(&mut self) -> Vec<Waker> {
        self.waiters_refused = true;
        self.all_waiters()
    }

    /// How full a queue is.
    pub(super) fn gauges(&self, id: ShelfId) -> Gauges {
        self.shelves.get(&id).map(Shelf::gauges).unwrap_or_default()
    }

    /// How full each queue is. A name that was closed and opened again appears twice while the old one drains.
    pub(super) fn all_gauges(&self) -> Vec<(Name, Gauges)> {
        self.shelves
            .values()
            .map(|shelf| (Arc::clone(&shelf.name), shelf.gauges()))
            .collect()
    }

    /// The requests that stand in the line.
    #[cfg(test)]
    pub(super) fn line_length(&self) -> usize {
        self.line.len()
    }

    fn required(&self) -> impl Iterator<Item = &Shelf> {
        self.shelves
            .values()
            .filter(|shelf| shelf.options.required && shelf.state != State::Closed)
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.required().all(|shelf| shelf.has_room(bytes))
    }

    fn front_with_room(&self) -> Option<Waker> {
        let front = self.line.front()?;
        self.has_room(front.bytes).then(|| front.waker.clone())
    }

    fn all_waiters(&self) -> Vec<Waker> {
        self.line
            .iter()
            .map(|waiter| waiter.waker.clone())
            .collect()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

// === impl Shelf ===

impl Shelf {
    fn has_room(&self, bytes: usize) -> bool {
        self.bytes == 0 || self.bytes.saturating_add(bytes) <= self.options.bytes_max
    }

    fn put(&mut self, payload: &Arc<Payload>, place: Place) {
        self.bytes += place.bytes;
        self.spans += place.spans;
        self.accepted.insert(place.sequence, payload.accepted_at);
        self.entries.push_back(Entry {
            payload: Arc::clone(payload),
            place,
        });
    }

    fn gauges(&self) -> Gauges {
        Gauges {
            bytes: self.bytes,
            bytes_max: self.options.bytes_max,
            spans: self.spans,
            payloads: self.accepted.len() as u64,
            oldest: self.accepted.values().next().copied(),
        }
    }
}
