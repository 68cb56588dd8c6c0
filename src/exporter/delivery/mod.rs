//! What is sent next, and what becomes of each message: every decision about one destination.
//!
//! It does no I/O, and the clock is passed in. Invariants: never more messages or spans under way than the options allow,
//! also when a full queue drains after an outage; while the destination is down one small probe at a time; every parcel
//! that comes in is settled, at the latest when the end that was set comes.

mod answers;
mod choice;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Options,
    backoff::{Backoff, Dice},
    health::{Health, Leave, PROBE_APART_MAX},
    limit::LearnedLimit,
    message::{Message, Seen},
    outcome::AnswerCode,
    report::Report,
};
use crate::{
    metrics::Loss,
    queue::{Batcher, Limits, Missing, Parcel},
};

/// Messages that wait for their next attempt at most; beyond it nothing is taken out of the queue. Enough that a few that
/// keep failing do not hold up the others, by eye.
const WAITING_MAX: usize = 256;
/// Attempts come at most this long apart while the relay stops.
const DRAIN_APART_MAX: Duration = Duration::from_millis(500);

/// All decisions about one destination.
#[derive(Debug)]
pub(super) struct Delivery {
    options: Arc<Options>,
    limits: Limits,
    batcher: Batcher,
    /// Messages that were tried, or cut out of such, in the order in which they are tried next.
    waiting: VecDeque<Message>,
    flights: HashMap<FlightId, Flight>,
    spans_in_flight: u64,
    next_flight: u64,
    probes: u64,
    health: Health,
    learned: LearnedLimit,
    backoff: Backoff,
    seen: Seen,
    /// Requests that failed in a row with the same code although nothing was found wrong with them.
    streak: Option<(AnswerCode, u32)>,
    ending: Ending,
    report: Report,
}

/// One attempt under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FlightId(u64);

/// A message to send now.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) id: FlightId,
    pub(super) segments: Vec<Bytes>,
    /// How long it may take.
    pub(super) within: Duration,
}

/// What to do next.
#[derive(Debug)]
pub(super) enum Next {
    /// Send this, and ask again.
    Send(Attempt),
    /// Nothing until an answer or a parcel comes, or this moment.
    Sleep(Option<Instant>),
}

/// Whether the exporter ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It does not.
    Never,
    /// Its destination was removed: what is left then is lost.
    Removed(Instant),
    /// The relay stops: backoffs are cut short from now on, and what is left then is lost.
    Shutdown(Instant),
}

#[derive(Debug)]
struct Flight {
    message: Message,
    /// Messages delivered when it left.
    delivered_before: u64,
}

impl Delivery {
    pub(super) fn new(options: Arc<Options>, report: Report, dice: Dice) -> Self {
        let learned = LearnedLimit::default();
        let limits = limits(&options, learned);
        Self {
            batcher: Batcher::new(options.batch, limits),
            limits,
            waiting: VecDeque::new(),
            flights: HashMap::new(),
            spans_in_flight: 0,
            next_flight: 0,
            probes: 0,
            health: Health::default(),
            learned,
            backoff: Backoff::new(options.retry, dice),
            seen: Seen::default(),
            streak: None,
            ending: Ending::Never,
            options,
            report,
        }
    }

    /// Whether it can use another parcel now.
    pub(super) fn wants_parcel(&self) -> bool {
        !self.batcher.is_full() && self.waiting.len() < WAITING_MAX
    }

    /// How much it needs before anything changes that is not a matter of time.
    pub(super) fn missing(&self) -> Missing {
        self.batcher.missing()
    }

    /// Takes a parcel out of the queue.
    pub(super) fn push(&mut self, parcel: Parcel, now: Instant) {
        let too_large = self.batcher.push(parcel);
        self.report.count_lost(too_large, Loss::TooLarge, now);
    }

    /// What to do next. To be asked again after each attempt that it gives, answer, parcel, and wake-up.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        self.expire(now);
        if self.flights.len() < self.options.concurrency {
            let leave = self.health.leave(now);
            let message = match leave {
                Leave::Any => self.choose(now),
                Leave::Probe => self.choose_probe(now),
                Leave::Nothing(_) => None,
            };
            if let Some(message) = message {
                return Next::Send(self.launch(message, leave == Leave::Probe, now));
            }
        }
        Next::Sleep(self.wake_at(now))
    }

    /// New options apply to what is held from now on; it is tried again at once, because they may be what was wrong.
    pub(super) fn reconfigure(&mut self, options: Arc<Options>, now: Instant) {
        if options.endpoint != self.options.endpoint {
            self.learned.forget();
        }
        self.backoff.reconfigure(options.retry);
        self.report.reconfigured(&options);
        self.options = options;
        self.apply_limits(now);
        self.end_waits(now);
    }

    /// Sets when this exporter ends.
    pub(super) fn end(&mut self, ending: Ending, now: Instant) {
        self.ending = ending;
        if ending != Ending::Never {
            self.batcher.end_at_once();
        }
        if matches!(ending, Ending::Shutdown(_)) {
            self.end_waits(now);
        }
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.batcher.is_empty() && self.waiting.is_empty() && self.flights.is_empty()
    }

    /// The end that was set, if it has come by now.
    pub(super) fn ended(&self, now: Instant) -> Option<Loss> {
        match self.ending {
            Ending::Removed(at) if at <= now => Some(Loss::Removed),
            Ending::Shutdown(at) if at <= now => Some(Loss::Shutdown),
            _ => None,
        }
    }

    /// Settles all that is held as lost, what is under way included: no answer is awaited any more.
    pub(super) fn abandon(&mut self, loss: Loss, now: Instant) {
        let mut messages: Vec<_> = self.waiting.drain(..).collect();
        messages.extend(self.flights.drain().map(|(_, flight)| flight.message));
        self.spans_in_flight = 0;
        let batched = std::iter::from_fn(|| self.batcher.take_front());
        let batched: Vec<_> = batched.flat_map(|batch| batch.parcels).collect();
        let parcels = messages.into_iter().flat_map(|message| message.parcels);
        self.report
            .lost(parcels.chain(batched).collect(), loss, now);
    }

    /// Parcels accepted by then are too old to be sent.
    pub(super) fn expired_by(&self, now: Instant) -> Option<Instant> {
        now.checked_sub(self.options.retry.give_up_after?)
    }

    /// When a parcel that was accepted then is too old.
    pub(super) fn expires_at(&self, accepted_at: Instant) -> Option<Instant> {
        accepted_at.checked_add(self.options.retry.give_up_after?)
    }

    /// The report.
    pub(super) fn report(&self) -> &Report {
        &self.report
    }

    fn launch(&mut self, mut message: Message, probe: bool, now: Instant) -> Attempt {
        let id = FlightId(self.next_flight);
        self.next_flight += 1;
        self.spans_in_flight += message.spans;
        if probe {
            self.health.probe_sent(id);
        }
        if !std::mem::replace(&mut message.sent, true) {
            self.report.sent(message.spans, message.bytes);
        }
        let segments = message.segments();
        let flight = Flight {
            message,
            delivered_before: self.seen.delivered,
        };
        self.flights.insert(id, flight);
        let within = match self.ending {
            Ending::Never => self.options.timeout,
            Ending::Removed(end) | Ending::Shutdown(end) => {
                self.options.timeout.min(end.saturating_duration_since(now))
            }
        };
        Attempt {
            id,
            segments,
            within,
        }
    }

    fn expire(&mut self, now: Instant) {
        let Some(moment) = self.expired_by(now) else {
            return;
        };
        let mut expired = self.batcher.take_accepted_by(moment);
        for message in &mut self.waiting {
            expired.extend(message.take_accepted_by(moment));
        }
        self.waiting.retain(|message| !message.parcels.is_empty());
        self.report.lost(expired, Loss::Expired, now);
    }

    /// The next moment at which something changes by itself. What is due already waits for an answer.
    fn wake_at(&self, now: Instant) -> Option<Instant> {
        let due = match self.health.leave(now) {
            Leave::Any => {
                let waiting = self.waiting.iter().map(|message| message.due);
                waiting
                    .chain(self.batcher.due())
                    .filter(|&due| due > now)
                    .min()
            }
            Leave::Probe => None,
            Leave::Nothing(probe_at) => probe_at,
        };
        let end = match self.ending {
            Ending::Never => None,
            Ending::Removed(end) | Ending::Shutdown(end) => Some(end),
        };
        let oldest = self
            .oldest_held()
            .and_then(|oldest| self.expires_at(oldest));
        [due, end, oldest].into_iter().flatten().min()
    }

    /// When the oldest of what is held and not under way was accepted; only asked where age matters.
    fn oldest_held(&self) -> Option<Instant> {
        self.options.retry.give_up_after?;
        let waiting = self.waiting.iter().filter_map(Message::oldest);
        waiting.chain(self.batcher.oldest()).min()
    }

    /// To be called when the options or what was learned may have changed; what waits is cut when it is taken.
    fn apply_limits(&mut self, now: Instant) {
        self.report.learned(self.learned.bytes_max(), now);
        let limits = limits(&self.options, self.learned);
        if limits == self.limits && self.batcher.options() == self.options.batch {
            return;
        }
        self.limits = limits;
        let too_large = self.batcher.reconfigure(self.options.batch, limits);
        self.report.count_lost(too_large, Loss::TooLarge, now);
    }

    /// Running backoffs end.
    fn end_waits(&mut self, now: Instant) {
        for message in &mut self.waiting {
            message.due = now;
        }
        self.health.end_waits(now);
    }

    /// The longest wait between two attempts.
    fn apart_max(&self) -> Duration {
        match self.ending {
            Ending::Shutdown(_) => DRAIN_APART_MAX,
            Ending::Never | Ending::Removed(_) => Duration::MAX,
        }
    }

    /// The wait before the next probe.
    fn probe_wait(&mut self) -> Duration {
        let cap = self.apart_max().min(PROBE_APART_MAX);
        self.backoff.wait(self.health.failures(), cap)
    }
}

fn limits(options: &Options, learned: LearnedLimit) -> Limits {
    let bytes_max = options.batch.bytes_max;
    Limits {
        spans: options.batch.spans.min(options.spans_in_flight_max).max(1),
        bytes_max,
        bytes_learned: learned.bytes_max().unwrap_or(bytes_max).min(bytes_max),
    }
}
