//! Which message is next: what waits before what is fresh, and a probe while the destination is down.

use tokio::time::Instant;

use super::Delivery;
use crate::{
    exporter::message::{Message, PROBE_SPANS_MAX},
    metrics::Loss,
};

/// Different probes that are kept to choose from while a destination is down.
const PROBES_KEPT: usize = 8;

impl Delivery {
    /// What has waited for its next attempt goes before what is fresh.
    pub(super) fn choose(&mut self, now: Instant) -> Option<Message> {
        while let Some(index) = self.waiting.iter().position(|message| message.due <= now) {
            let Some(message) = self.take_waiting(index, now) else {
                continue;
            };
            if self.has_room(message.spans) {
                return Some(message);
            }
            self.waiting.insert(index, message);
            return None;
        }
        let due = self.batcher.due()?;
        if due > now || !self.has_room(self.batcher.front_spans()) {
            return None;
        }
        let batch = self.batcher.take(now)?;
        Some(Message::new(batch, now))
    }

    /// Something small, by turns out of what failed and out of what was never tried, so that no single batch keeps the
    /// destination down.
    pub(super) fn choose_probe(&mut self, now: Instant) -> Option<Message> {
        if self.spans_in_flight > 0 && !self.has_room(PROBE_SPANS_MAX) {
            return None;
        }
        let source = self.probe_source(now)?;
        let (probe, rest) = source.probe();
        self.waiting.extend(rest);
        self.probes += 1;
        Some(probe)
    }

    fn probe_source(&mut self, now: Instant) -> Option<Message> {
        let mut small = (0..self.waiting.len()).filter(|&index| self.waiting[index].is_small());
        let (first_small, enough) = (small.next(), small.count() + 1 >= PROBES_KEPT);
        if let Some(index) = first_small.filter(|_| enough) {
            return self.take_waiting(index, now);
        }
        let fresh = self.waiting.is_empty() || self.probes % 2 == 1;
        if let Some(batch) = fresh.then(|| self.batcher.take_front()).flatten() {
            return Some(Message::new(batch, now));
        }
        while !self.waiting.is_empty() {
            if let Some(message) = self.take_waiting(0, now) {
                return Some(message);
            }
        }
        None
    }

    /// Takes a waiting message out; of one that no longer fits the limits, its first piece. `None`: nothing of it fits.
    fn take_waiting(&mut self, index: usize, now: Instant) -> Option<Message> {
        let message = self.waiting.remove(index)?;
        if message.fits(self.limits) {
            return Some(message);
        }
        let (pieces, too_large) = message.cut_to(self.limits);
        self.report.count_lost(too_large, Loss::TooLarge, now);
        let mut pieces = pieces.into_iter();
        let first = pieces.next();
        for piece in pieces.rev() {
            self.waiting.insert(index, piece);
        }
        first
    }

    fn has_room(&self, spans: u64) -> bool {
        self.spans_in_flight + spans <= self.options.spans_in_flight_max
    }
}
