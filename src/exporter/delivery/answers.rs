//! What becomes of a message once its answer is in: product.md's "One bad sender never costs another its spans, and one
//! bad answer never empties the queue".

use std::time::Duration;

use tokio::time::Instant;

use super::{Delivery, Flight, FlightId};
use crate::{
    exporter::{
        health::Cause,
        message::{Message, Stage},
        outcome::{Answer, Outcome},
    },
    metrics::Loss,
    wire,
};

/// Requests in a row that fail with the same code, though nothing is wrong with them, until the destination counts as down.
const STREAK_MAX: u32 = 8;
/// A batch that failed this often while nothing else did is tried request by request.
const BATCH_SUSPICION_MAX: u32 = 2;
/// A request that failed this often while nothing else did is lost.
const REQUEST_SUSPICION_MAX: u32 = 5;

/// A verdict that is no delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Malformed,
    TooLarge,
    NotAllowed,
    Refused,
}

impl Delivery {
    /// The answer to an attempt.
    pub(in crate::exporter) fn answered(&mut self, id: FlightId, outcome: Outcome, now: Instant) {
        let Some(flight) = self.flights.remove(&id) else {
            return;
        };
        self.spans_in_flight -= flight.message.spans;
        let probe = self.health.landed(id);
        let (verdict, answer) = match outcome {
            Outcome::Delivered {
                rejected_spans,
                message,
            } => return self.delivered(flight.message, probe, rejected_spans, &message, now),
            Outcome::Retry { answer, after } => {
                return self.failed(flight, probe, &answer, after, now);
            }
            Outcome::Malformed(answer) => (Verdict::Malformed, answer),
            Outcome::TooLarge(answer) => (Verdict::TooLarge, answer),
            Outcome::NotAllowed(answer) => (Verdict::NotAllowed, answer),
            Outcome::Refused(answer) => (Verdict::Refused, answer),
        };
        self.verdict(verdict, flight.message, probe, &answer, now);
    }

    fn delivered(
        &mut self,
        message: Message,
        probe: bool,
        rejected_spans: u64,
        remark: &str,
        now: Instant,
    ) {
        self.seen.delivered += 1;
        self.streak = None;
        self.up(probe, now);
        self.learned.delivered(message.bytes);
        self.apply_limits(now);
        // The peer's number counts at most what the message held.
        let rejected = rejected_spans.min(message.spans);
        if rejected > 0 || !remark.is_empty() {
            self.report.remark(rejected, remark, now);
        }
        self.report.delivered(message.parcels, rejected, now);
    }

    /// No verdict: it is sent again.
    fn failed(
        &mut self,
        flight: Flight,
        probe: bool,
        answer: &Answer,
        after: Option<Duration>,
        now: Instant,
    ) {
        let Flight {
            mut message,
            delivered_before,
        } = flight;
        self.report.failed(answer, now);
        let suspect = after.is_none() && self.suspect(&message);
        message.suspicion += u32::from(suspect);
        if message.failures == 0 {
            self.seen.first_failures += 1;
        }
        message.failures += 1;
        message.seen = self.seen;

        let own = self.backoff.wait(message.failures, self.apart_max());
        message.due = now + self.backoff.heed(after, own).min(self.apart_max());
        if after.is_some() {
            self.health.leave_alone_until(message.due);
        }
        let others_arrive = self.seen.delivered > delivered_before;
        if probe || after.is_some() || !(suspect || others_arrive) {
            let wait = self.probe_wait();
            // Down for its verdicts it stays, until something is delivered.
            let cause = self.health.cause().unwrap_or(Cause::Failing);
            self.down(probe, cause, answer, wait, now);
        }
        self.keep_or_give_up(message, now);
    }

    /// Whether a message failed while others arrived and none failed but such as keep failing: then it is the message.
    /// A destination that is overloaded or unsteady fails fresh messages too, and never costs a span.
    fn suspect(&self, message: &Message) -> bool {
        message.failures > 0
            && self.seen.delivered > message.seen.delivered
            && self.seen.first_failures == message.seen.first_failures
    }

    fn keep_or_give_up(&mut self, message: Message, now: Instant) {
        let alone = message.parcels.len() == 1;
        if alone && message.suspicion >= REQUEST_SUSPICION_MAX {
            self.report.lost(message.parcels, Loss::Undeliverable, now);
        } else if !alone && message.suspicion >= BATCH_SUSPICION_MAX {
            let stage = message.stage;
            self.waiting.extend(message.request_by_request(stage));
        } else {
            self.waiting.push_back(message);
        }
    }

    fn verdict(
        &mut self,
        verdict: Verdict,
        message: Message,
        probe: bool,
        answer: &Answer,
        now: Instant,
    ) {
        self.report.failed(answer, now);
        let not_allowed = verdict == Verdict::NotAllowed;
        match self.health.cause() {
            Some(cause) if cause == Cause::Verdicts || not_allowed => {
                // Down for what it answers: no answer but a delivery settles anything.
                let wait = self.probe_wait();
                self.down(probe, Cause::Verdicts, answer, wait, now);
                self.waiting.push_back(message);
            }
            _ => {
                self.up(probe, now);
                self.heeded(verdict, message, answer, now);
            }
        }
    }

    fn heeded(&mut self, verdict: Verdict, message: Message, answer: &Answer, now: Instant) {
        match verdict {
            Verdict::Malformed => self.malformed(message, answer, now),
            Verdict::TooLarge => self.too_large(message, answer, now),
            Verdict::NotAllowed => {
                self.report.rejected(message.parcels, answer, now);
                let wait = self.probe_wait();
                self.down(false, Cause::Verdicts, answer, wait, now);
            }
            Verdict::Refused => {
                self.report.rejected(message.parcels, answer, now);
                self.count_streak(answer, now);
            }
        }
    }

    /// First once more request by request, then without its malformed spans; only what then still fails is rejected.
    fn malformed(&mut self, message: Message, answer: &Answer, now: Instant) {
        match message.stage {
            Stage::Batch => self.at_once(message.request_by_request(Stage::Alone), now),
            Stage::Alone => self.repair(message, answer, now),
            Stage::Repaired => {
                self.report.rejected(message.parcels, answer, now);
                self.streak = None;
            }
        }
    }

    fn repair(&mut self, mut message: Message, answer: &Answer, now: Instant) {
        let repaired = wire::repair(&message.segments());
        if repaired.malformed == 0 && repaired.strings_repaired == 0 {
            self.report.rejected(message.parcels, answer, now);
            return self.count_streak(answer, now);
        }
        self.streak = None;
        for parcel in &mut message.parcels {
            let malformed = parcel.spans.saturating_sub(repaired.spans);
            if malformed > 0 {
                self.report.rejected_part(parcel, malformed, answer, now);
            }
            parcel.replace(repaired.segments.clone());
        }
        message.parcels.retain(|parcel| parcel.spans > 0);
        if !message.parcels.is_empty() {
            self.at_once(message.request_by_request(Stage::Repaired), now);
        }
    }

    /// Request by request, then by halves; a single span that is too large is lost.
    fn too_large(&mut self, message: Message, answer: &Answer, now: Instant) {
        if message.spans == 1 {
            self.report.lost(message.parcels, Loss::TooLarge, now);
            return self.count_streak(answer, now);
        }
        self.learned.refused(message.bytes);
        self.apply_limits(now);
        let stage = message.stage;
        let pieces = if message.parcels.len() > 1 {
            message.request_by_request(stage)
        } else {
            let mut halves = self.limits;
            halves.spans = message.spans.div_ceil(2);
            let (halves, too_large) = message.cut_to(halves);
            self.report.count_lost(too_large, Loss::TooLarge, now);
            halves
        };
        self.at_once(pieces, now);
    }

    /// A request was settled although nothing is wrong with it. After too many in a row it is the destination.
    fn count_streak(&mut self, answer: &Answer, now: Instant) {
        let count = match self.streak {
            Some((code, count)) if code == answer.code => count + 1,
            _ => 1,
        };
        self.streak = Some((answer.code, count));
        if count < STREAK_MAX {
            return;
        }
        self.streak = None;
        // If even single spans are too large, it is not about size.
        self.learned.forget();
        self.apply_limits(now);
        let wait = self.probe_wait();
        self.down(false, Cause::Verdicts, answer, wait, now);
    }

    /// These are tried before everything else, in this order.
    fn at_once(&mut self, messages: Vec<Message>, now: Instant) {
        for mut message in messages.into_iter().rev() {
            message.due = now;
            self.waiting.push_front(message);
        }
    }

    fn down(&mut self, probe: bool, cause: Cause, answer: &Answer, wait: Duration, now: Instant) {
        if probe {
            self.health.probe_failed(cause, now, wait);
        } else {
            self.health.down(cause, now, wait);
        }
        if let Some(since) = self.health.down_since() {
            self.report.down(answer, since, now);
        }
    }

    fn up(&mut self, probe: bool, now: Instant) {
        self.report.answers();
        let Some(since) = self.health.up() else {
            return;
        };
        self.report.up(since, now);
        if !probe {
            // It left before the outage, so it does not show that what failed since would arrive now.
            return;
        }
        // What failed with the destination need not wait for its turn; what failed by itself does.
        for message in &mut self.waiting {
            if message.suspicion == 0 {
                message.due = now;
            }
        }
    }
}
