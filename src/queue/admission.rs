//! Who waits, and in what order: the accounts of all queues and the one line before them.
//!
//! It is plain: no lock, no clock, no await. Whom to wake is returned, so that a model checker can drive it. Invariant:
//! nobody overtakes the front of the line.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    task::Waker,
};

use tokio::time::Instant;

use super::{
    Gauges, Missing, Name, Options, Payload,
    account::{Account, AccountId, Common, Entry, Place},
};

/// A place in the line. Also its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

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

// === impl Admission ===

impl Admission {
    /// Opens a queue.
    pub(super) fn open(&mut self, name: Name, options: Options) -> AccountId {
        let id = AccountId(self.number());
        self.accounts.insert(id, Account::new(name, options));
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
            .filter(|account| account.is_open())
            .map(Account::name)
    }

    /// Puts a payload that was told to go into every open queue, and takes its ticket out of the line.
    pub(super) fn put(&mut self, ticket: Option<Ticket>, payload: Payload, bytes: usize) -> Placed {
        let mut placed = Placed::default();
        let sequence = self.number();
        let mut takers = self.accounts.values().filter(|it| it.takes(bytes)).count();
        let mut segments = payload.segments;
        let common = Common::new(payload.accepted_at, payload.sample, payload.permit);
        let common = Arc::new(common);
        for (&id, account) in &mut self.accounts {
            if !account.takes(bytes) {
                let left_out = account.is_open().then(|| Arc::clone(account.name()));
                placed.left_out.extend(left_out);
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
                account.release(place);
            }
        }
        self.front_with_room()
    }

    /// Takes the oldest payload out of a queue, if `wanted` says so of the time of its acceptance.
    pub(super) fn pop(&mut self, id: AccountId, wanted: impl Fn(Instant) -> bool) -> Option<Entry> {
        self.accounts.get_mut(&id)?.pop(wanted)
    }

    /// When the oldest payload that waits in a queue was accepted.
    pub(super) fn front_accepted_at(&self, id: AccountId) -> Option<Instant> {
        self.accounts.get(&id)?.front_accepted_at()
    }

    /// Whether enough waits in a queue, or all that will; `None` when nothing does and nothing will. Otherwise `waker` is
    /// told.
    pub(super) fn poll_entries(
        &mut self,
        id: AccountId,
        missing: Missing,
        waker: &Waker,
    ) -> Option<bool> {
        self.accounts.get_mut(&id)?.poll_entries(missing, waker)
    }

    /// Changes the bounds of a queue.
    pub(super) fn reconfigure(&mut self, id: AccountId, options: Options) -> Vec<Waker> {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.reconfigure(options);
        }
        self.affected_waiters()
    }

    /// Takes a queue out of admission; what it holds drains. Its consumer hears of it, and those who waited for it.
    pub(super) fn close(&mut self, id: AccountId) -> Vec<Waker> {
        let mut wake = Vec::new();
        if let Some(account) = self.accounts.get_mut(&id) {
            wake.extend(account.close());
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
        let entries = account.abandon();
        if account.is_closed() {
            self.accounts.remove(&id);
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
            .map(|account| (Arc::clone(account.name()), account.gauges()))
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
        account.is_none_or(|account| !account.is_open() || account.fills(missing))
    }

    fn required(&self) -> impl Iterator<Item = &Account> {
        self.accounts
            .values()
            .filter(|account| account.is_required() && !account.is_closed())
    }

    /// Whether nobody empties a required queue any more, or no queue is left that could take anything.
    fn is_hopeless(&self) -> bool {
        self.required().any(Account::is_dead) || !self.accounts.values().any(Account::is_open)
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
