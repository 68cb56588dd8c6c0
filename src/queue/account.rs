//! What one queue holds and how much more it takes.
//!
//! It is plain, as `admission` is, and knows no other queue. Invariant: an account holds at most its bytes, except that an
//! empty one takes anything.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    task::Waker,
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{Gauges, Missing, Name, Options};
use crate::budget::Permit;

/// One opening of a queue. A name that is closed and opened again gets a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AccountId(pub(super) u64);

/// The account of one queue.
#[derive(Debug)]
pub(super) struct Account {
    name: Name,
    options: Options,
    state: State,
    bytes: usize,
    spans: u64,
    /// When each payload that is not settled whole was accepted, in the order of acceptance.
    accepted: BTreeMap<u64, Instant>,
    entries: VecDeque<Entry>,
    /// The spans and bytes of the entries.
    entry_spans: u64,
    entry_bytes: usize,
    consumer: Option<Consumer>,
}

/// Who sleeps until enough is in a queue.
#[derive(Debug)]
struct Consumer {
    missing: Missing,
    waker: Waker,
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

/// A payload in one queue. Its segments are this queue's own, so that they go when it has cut or settled them.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) segments: Vec<Bytes>,
    pub(super) bytes: usize,
    pub(super) common: Arc<Common>,
    pub(super) place: Place,
}

/// What all queues know of a payload.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) accepted_at: Instant,
    pub(super) sample: Option<u64>,
    /// Returns its bytes to the budget with the last parcel of the last destination.
    _permit: Permit,
}

/// What a payload takes of one account, to be given back once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) account: AccountId,
    pub(super) sequence: u64,
    pub(super) bytes: usize,
    pub(super) spans: u64,
}

impl Common {
    /// Of a payload that goes into the queues.
    pub(super) fn new(accepted_at: Instant, sample: Option<u64>, permit: Permit) -> Self {
        Self {
            accepted_at,
            sample,
            _permit: permit,
        }
    }
}

impl Account {
    /// The account of a queue that was just opened.
    pub(super) fn new(name: Name, options: Options) -> Self {
        Self {
            name,
            options,
            state: State::Open,
            bytes: 0,
            spans: 0,
            accepted: BTreeMap::new(),
            entries: VecDeque::new(),
            entry_spans: 0,
            entry_bytes: 0,
            consumer: None,
        }
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    pub(super) fn is_required(&self) -> bool {
        self.options.required
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state == State::Dead
    }

    /// Whether this much more fits, or it is empty.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.bytes == 0 || self.bytes.saturating_add(bytes) <= self.options.bytes_max
    }

    /// Whether it takes what was told to go: a required one has room for it, or is empty.
    pub(super) fn takes(&self, bytes: usize) -> bool {
        self.is_open() && (self.options.required || self.has_room(bytes))
    }

    /// Adds what it was told to take.
    pub(super) fn put(&mut self, entry: Entry) {
        let Place {
            sequence,
            bytes,
            spans,
            ..
        } = entry.place;
        self.bytes += bytes;
        self.spans += spans;
        self.entry_spans += spans;
        self.entry_bytes += entry.bytes;
        self.accepted.insert(sequence, entry.common.accepted_at);
        self.entries.push_back(entry);
    }

    /// Whether what is in it is what a batch lacks, or all that will come.
    pub(super) fn fills(&self, missing: Missing) -> bool {
        let enough = self.entry_spans >= missing.spans || self.entry_bytes >= missing.bytes;
        !self.entries.is_empty() && (enough || !self.is_open())
    }

    /// Gives back what a payload took.
    pub(super) fn release(&mut self, place: Place) {
        self.bytes -= place.bytes;
        self.spans -= place.spans;
        self.accepted.remove(&place.sequence);
    }

    /// Takes the oldest payload out, if `wanted` says so of the time of its acceptance.
    pub(super) fn pop(&mut self, wanted: impl Fn(Instant) -> bool) -> Option<Entry> {
        let wanted = |entry: &mut Entry| wanted(entry.common.accepted_at);
        let entry = self.entries.pop_front_if(wanted)?;
        self.entry_spans -= entry.place.spans;
        self.entry_bytes -= entry.bytes;
        Some(entry)
    }

    /// When the oldest payload that waits was accepted.
    pub(super) fn front_accepted_at(&self) -> Option<Instant> {
        let entry = self.entries.front()?;
        Some(entry.common.accepted_at)
    }

    /// Whether enough waits, or all that will; `None` when nothing does and nothing will. Otherwise `waker` is told.
    pub(super) fn poll_entries(&mut self, missing: Missing, waker: &Waker) -> Option<bool> {
        if self.fills(missing) {
            return Some(true);
        }
        if !self.is_open() {
            return None;
        }
        let waker = waker.clone();
        self.consumer = Some(Consumer { missing, waker });
        Some(false)
    }

    /// Changes its bounds. What is in it stays.
    pub(super) fn reconfigure(&mut self, options: Options) {
        self.options = options;
    }

    /// Nothing comes in any more; what it holds drains.
    pub(super) fn close(&mut self) -> Option<Waker> {
        if self.is_open() {
            self.state = State::Closed;
        }
        self.consumer_to_wake()
    }

    /// Hands over what waits, because nobody will take it out any more.
    pub(super) fn abandon(&mut self) -> VecDeque<Entry> {
        (self.entry_spans, self.entry_bytes) = (0, 0);
        self.consumer = None;
        if !self.is_closed() {
            self.state = State::Dead;
        }
        std::mem::take(&mut self.entries)
    }

    /// Its consumer, if it slept and has something to do now.
    pub(super) fn consumer_to_wake(&mut self) -> Option<Waker> {
        let missing = self.consumer.as_ref()?.missing;
        let due = !self.is_open() || self.fills(missing);
        due.then(|| self.consumer.take())?
            .map(|consumer| consumer.waker)
    }

    /// How full it is.
    pub(super) fn gauges(&self) -> Gauges {
        Gauges {
            bytes: self.bytes,
            bytes_max: self.options.bytes_max,
            spans: self.spans,
            payloads: self.accepted.len() as u64,
            oldest: self.accepted.values().next().copied(),
        }
    }
}
