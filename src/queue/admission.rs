//! Who has room, who waits, and in what order: the accounts of all queues and the one line before them.
//!
//! It is plain: no lock, no clock, no await. Whom to wake is returned, so that a model checker can drive it. Invariants:
//! an account holds at most its bytes, except that an empty one takes anything; nobody overtakes the front of the line.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    task::Waker,
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{Gauges, Missing, Name, Options, Payload};
use crate::budget::Permit;

/// A place in the line. Also its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// One opening of a queue. A name that is closed and opened again gets a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AccountId(u64);

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
    sequence: u64,
    bytes: usize,
    pub(super) spans: u64,
}

/// The accounts of all queues, and the line.
#[derive(Debug, Default)]
pub(super) struct Admission {
    accounts: BTreeMap<AccountId, Account>,
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
struct Account {
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

// === impl Admission ===

impl Admission {
    /// Opens a queue.
    pub(super) fn open(&mut self, name: Name, options: Options) -> AccountId {
        let id = AccountId(self.number());
        let account = Account {
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
        };
        self.accounts.insert(id, account);
        id
    }

    /// Asks for `bytes` in every required queue, from the place in the line that `ticket` is, or from its end.
    pub(super) fn ask(&self, ticket: Option<Ticket>, bytes: usize) -> Turn {
        let front = self.line.front().map(|waiter| waiter.ticket);
        if self.is_hopeless() {
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
        self.accounts
            .values()
            .filter(|account| account.state == State::Open)
            .map(|account| &account.name)
    }

    /// Puts a payload that was told to go into every open queue, and takes its ticket out of the line.
    pub(super) fn put(&mut self, ticket: Option<Ticket>, payload: Payload, bytes: usize) -> Placed {
        let mut placed = Placed::default();
        let sequence = self.number();
        let mut takers = self.accounts.values().filter(|it| it.takes(bytes)).count();
        let mut segments = payload.segments;
        let common = Arc::new(Common {
            accepted_at: payload.accepted_at,
            sample: payload.sample,
            _permit: payload.permit,
        });
        for (&id, account) in &mut self.accounts {
            if !account.takes(bytes) {
                let left_out = account.state == State::Open;
                placed
                    .left_out
                    .extend(left_out.then(|| Arc::clone(&account.name)));
                continue;
            }
            takers -= 1;
            let segments = match takers {
                0 => std::mem::take(&mut segments),
                _ => segments.clone(),
            };
            account.put(Entry {
                segments,
                bytes: payload.bytes,
                common: Arc::clone(&common),
                place: Place {
                    account: id,
                    sequence,
                    bytes,
                    spans: payload.spans,
                },
            });
            placed.wake.extend(account.consumer_to_wake());
        }
        if ticket.is_some() {
            let front = self.line.pop_front().map(|waiter| waiter.ticket);
            debug_assert_eq!(front, ticket, "only the front of the line is told to go");
        }
        placed.wake.extend(self.front_with_room());
        placed
    }

    /// Gives back what payloads took of their queues.
    pub(super) fn release(&mut self, places: impl IntoIterator<Item = Place>) -> Option<Waker> {
        for place in places {
            if let Some(account) = self.accounts.get_mut(&place.account) {
                account.bytes -= place.bytes;
                account.spans -= place.spans;
                account.accepted.remove(&place.sequence);
            }
        }
        self.front_with_room()
    }

    /// Takes the oldest payload out of a queue, if `wanted` says so of the time of its acceptance.
    pub(super) fn pop(&mut self, id: AccountId, wanted: impl Fn(Instant) -> bool) -> Option<Entry> {
        let account = self.accounts.get_mut(&id)?;
        let wanted = |entry: &mut Entry| wanted(entry.common.accepted_at);
        let entry = account.entries.pop_front_if(wanted)?;
        account.entry_spans -= entry.place.spans;
        account.entry_bytes -= entry.bytes;
        Some(entry)
    }

    /// When the oldest payload that waits in a queue was accepted.
    pub(super) fn front_accepted_at(&self, id: AccountId) -> Option<Instant> {
        let entry = self.accounts.get(&id)?.entries.front()?;
        Some(entry.common.accepted_at)
    }

    /// Whether enough waits in a queue, or all that will; `None` when nothing does and nothing will. Otherwise `waker` is
    /// told.
    pub(super) fn poll_entries(
        &mut self,
        id: AccountId,
        missing: Missing,
        waker: &Waker,
    ) -> Option<bool> {
        let account = self.accounts.get_mut(&id)?;
        if account.fills(missing) {
            return Some(true);
        }
        if account.state != State::Open {
            return None;
        }
        let waker = waker.clone();
        account.consumer = Some(Consumer { missing, waker });
        Some(false)
    }

    /// Changes the bounds of a queue.
    pub(super) fn reconfigure(&mut self, id: AccountId, options: Options) -> Vec<Waker> {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.options = options;
        }
        self.affected_waiters()
    }

    /// Takes a queue out of admission; what it holds drains. Its consumer hears of it, and those who waited for it.
    pub(super) fn close(&mut self, id: AccountId) -> Vec<Waker> {
        let mut wake = Vec::new();
        if let Some(account) = self.accounts.get_mut(&id) {
            if account.state == State::Open {
                account.state = State::Closed;
            }
            wake.extend(account.consumer_to_wake());
        }
        wake.extend(self.affected_waiters());
        wake
    }

    /// Nobody will take out of this queue any more: what waits in it is handed over. A removed one is forgotten; of one
    /// that still belongs to the configuration all hear that there is nothing to wait for.
    pub(super) fn abandon(&mut self, id: AccountId) -> (VecDeque<Entry>, Vec<Waker>) {
        let Some(account) = self.accounts.get_mut(&id) else {
            return (VecDeque::new(), Vec::new());
        };
        let entries = std::mem::take(&mut account.entries);
        (account.entry_spans, account.entry_bytes) = (0, 0);
        account.consumer = None;
        if account.state == State::Closed {
            self.accounts.remove(&id);
        } else {
            account.state = State::Dead;
        }
        (entries, self.affected_waiters())
    }

    /// From now on nobody waits.
    pub(super) fn refuse_waiters(&mut self) -> Vec<Waker> {
        self.waiters_refused = true;
        self.all_waiters()
    }

    /// How full a queue is.
    pub(super) fn gauges(&self, id: AccountId) -> Gauges {
        self.accounts
            .get(&id)
            .map(Account::gauges)
            .unwrap_or_default()
    }

    /// How full each queue is. A name that was closed and opened again appears twice while the old one drains.
    pub(super) fn all_gauges(&self) -> Vec<(Name, Gauges)> {
        self.accounts
            .values()
            .map(|account| (Arc::clone(&account.name), account.gauges()))
            .collect()
    }

    /// The requests that stand in the line.
    #[cfg(test)]
    pub(super) fn line_length(&self) -> usize {
        self.line.len()
    }

    /// Whether the front of the line has room and yet stands there.
    #[cfg(test)]
    pub(super) fn is_stalled(&self) -> bool {
        self.front_with_room().is_some()
    }

    /// Whether the consumer of a queue need not wait.
    #[cfg(test)]
    pub(super) fn is_ready(&self, id: AccountId, missing: Missing) -> bool {
        let account = self.accounts.get(&id);
        account.is_none_or(|account| account.state != State::Open || account.fills(missing))
    }

    fn required(&self) -> impl Iterator<Item = &Account> {
        self.accounts
            .values()
            .filter(|account| account.options.required && account.state != State::Closed)
    }

    /// Whether nobody empties a required queue any more, or no queue is left that could take anything.
    fn is_hopeless(&self) -> bool {
        let is_open = |account: &Account| account.state == State::Open;
        self.required().any(|account| account.state == State::Dead)
            || !self.accounts.values().any(is_open)
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.required().all(|account| account.has_room(bytes))
    }

    fn front_with_room(&self) -> Option<Waker> {
        let front = self.line.front()?;
        self.has_room(front.bytes).then(|| front.waker.clone())
    }

    /// Whom a change of the queues concerns: the front, if it has room now, or all, if there is nothing to wait for.
    fn affected_waiters(&self) -> Vec<Waker> {
        if self.is_hopeless() {
            return self.all_waiters();
        }
        self.front_with_room().into_iter().collect()
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

// === impl Account ===

impl Account {
    fn has_room(&self, bytes: usize) -> bool {
        self.bytes == 0 || self.bytes.saturating_add(bytes) <= self.options.bytes_max
    }

    /// Whether it takes what was told to go: a required one has room for it, or is empty.
    fn takes(&self, bytes: usize) -> bool {
        self.state == State::Open && (self.options.required || self.has_room(bytes))
    }

    fn put(&mut self, entry: Entry) {
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
    fn fills(&self, missing: Missing) -> bool {
        let enough = self.entry_spans >= missing.spans || self.entry_bytes >= missing.bytes;
        !self.entries.is_empty() && (enough || self.state != State::Open)
    }

    /// Its consumer, if it slept and has something to do now.
    fn consumer_to_wake(&mut self) -> Option<Waker> {
        let closed = self.state != State::Open;
        let missing = self.consumer.as_ref()?.missing;
        let due = closed || self.fills(missing);
        due.then(|| self.consumer.take())?
            .map(|consumer| consumer.waker)
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
