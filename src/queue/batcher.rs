//! Parcels become messages: a batch ends at its spans, its bytes, or its delay.
//!
//! Plain: no clock, no task. It merges no resources: a batch is its parcels one after the other, which is one valid
//! request. Invariant: no batch has more spans or bytes than its limits, but for a single span above a limit that was
//! only learned.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::{BatchOptions, Parcel};
use crate::wire;

/// Parcels that leave as one message.
#[derive(Debug, Default)]
pub struct Batch {
    /// In the order of their acceptance.
    pub parcels: Vec<Parcel>,
    /// Their spans together.
    pub spans: u64,
    /// Their bytes together.
    pub bytes: usize,
}

/// What one message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Spans at most.
    pub spans: u64,
    /// Bytes at most: a single span above it is lost.
    pub bytes_max: usize,
    /// Bytes at most as far as is known from a destination's answers, which may be mistaken: a single span above it is
    /// sent all the same. At most `bytes_max`.
    pub bytes_learned: usize,
}

/// What a batch lacks to end by its size: either of the two ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Spans.
    pub spans: u64,
    /// Bytes.
    pub bytes: usize,
}

/// Forms batches out of parcels.
#[derive(Debug)]
pub struct Batcher {
    options: BatchOptions,
    limits: Limits,
    parcels: VecDeque<Parcel>,
    spans: u64,
    bytes: usize,
    /// A batch ends as soon as there is anything in it.
    at_once: bool,
}

// === impl Batcher ===

impl Batcher {
    /// An empty one. `limits` may be lower than what `options` allow, never higher.
    pub fn new(options: BatchOptions, limits: Limits) -> Self {
        Self {
            options,
            limits,
            parcels: VecDeque::new(),
            spans: 0,
            bytes: 0,
            at_once: false,
        }
    }

    /// Takes a parcel; one above the limits is cut. Returns the spans that fit no message and were settled as lost.
    pub fn push(&mut self, parcel: Parcel) -> u64 {
        let (parcels, too_large) = cut(parcel, self.limits);
        for parcel in parcels {
            self.spans += parcel.spans;
            self.bytes += parcel.bytes;
            self.parcels.push_back(parcel);
        }
        too_large
    }

    /// Changes options and limits; what it holds is cut anew. Returns the spans that fit no message any more.
    pub fn reconfigure(&mut self, options: BatchOptions, limits: Limits) -> u64 {
        self.options = options;
        self.limits = limits;
        (self.spans, self.bytes) = (0, 0);
        let parcels = std::mem::take(&mut self.parcels);
        parcels.into_iter().map(|parcel| self.push(parcel)).sum()
    }

    /// The options in force.
    pub fn options(&self) -> BatchOptions {
        self.options
    }

    /// From now on a batch ends as soon as there is anything in it: the relay stops.
    pub fn end_at_once(&mut self) {
        self.at_once = true;
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Whether it holds a batch that ended by its size, so that nothing need be pushed now.
    pub fn is_full(&self) -> bool {
        self.spans >= self.limits.spans || self.bytes >= self.bytes_end()
    }

    /// What it lacks to be full. An empty one lacks anything, because the delay of a batch begins with its first parcel.
    pub fn missing(&self) -> Missing {
        if self.is_empty() {
            return Missing::ANYTHING;
        }
        Missing {
            spans: self.limits.spans.saturating_sub(self.spans),
            bytes: self.bytes_end().saturating_sub(self.bytes),
        }
    }

    /// When the batch in front ends; `None` when it holds nothing.
    pub fn due(&self) -> Option<Instant> {
        let accepted_at = self.parcels.front()?.accepted_at();
        if self.is_full() || self.at_once {
            return Some(accepted_at);
        }
        Some(accepted_at + self.options.delay)
    }

    /// The spans of the batch that [`Batcher::take`] would give.
    pub fn front_spans(&self) -> u64 {
        self.front().1
    }

    /// The batch in front, if it has ended by now.
    pub fn take(&mut self, now: Instant) -> Option<Batch> {
        if self.due()? > now {
            return None;
        }
        self.take_front()
    }

    /// The batch in front, ended or not.
    pub fn take_front(&mut self) -> Option<Batch> {
        let (count, spans, bytes) = self.front();
        if count == 0 {
            return None;
        }
        self.spans -= spans;
        self.bytes -= bytes;
        Some(Batch {
            parcels: self.parcels.drain(..count).collect(),
            spans,
            bytes,
        })
    }

    /// When the oldest parcel was accepted.
    pub fn oldest(&self) -> Option<Instant> {
        self.parcels.front().map(Parcel::accepted_at)
    }

    /// Takes out the parcels that were accepted at `moment` or before.
    pub fn take_accepted_by(&mut self, moment: Instant) -> Vec<Parcel> {
        let count = self
            .parcels
            .iter()
            .take_while(|parcel| parcel.accepted_at() <= moment)
            .count();
        let taken: Vec<_> = self.parcels.drain(..count).collect();
        for parcel in &taken {
            self.spans -= parcel.spans;
            self.bytes -= parcel.bytes;
        }
        taken
    }

    /// Parcels, spans and bytes of the batch in front: greedy, in order, within the limits.
    fn front(&self) -> (usize, u64, usize) {
        let (mut count, mut spans, mut bytes) = (0, 0, 0_usize);
        for parcel in &self.parcels {
            let full = spans >= self.limits.spans || bytes >= self.bytes_end();
            let fits = spans + parcel.spans <= self.limits.spans
                && bytes + parcel.bytes <= self.limits.bytes_learned;
            if full || (count > 0 && !fits) {
                break;
            }
            count += 1;
            spans += parcel.spans;
            bytes += parcel.bytes;
        }
        (count, spans, bytes)
    }

    fn bytes_end(&self) -> usize {
        self.options.bytes.min(self.limits.bytes_learned)
    }
}

impl Missing {
    /// Less than any parcel has.
    pub const ANYTHING: Self = Self { spans: 0, bytes: 0 };
}

/// Cuts a parcel into such as fit one message each. Spans above `bytes_max` are settled as lost; how many that are is
/// returned.
pub fn cut(parcel: Parcel, limits: Limits) -> (Vec<Parcel>, u64) {
    let mut lost = 0;
    let mut whole = VecDeque::from([parcel]);
    let mut fitting = Vec::new();
    while let Some(parcel) = whole.pop_front() {
        let pieces = if parcel.spans > limits.spans || parcel.bytes > limits.bytes_max {
            wire::split(&parcel.segments, limits.spans, limits.bytes_max)
        } else if parcel.bytes > limits.bytes_learned && parcel.spans > 1 {
            // Halves, not pieces of the learned size: a span above it is still sent, alone.
            wire::split(&parcel.segments, parcel.spans.div_ceil(2), limits.bytes_max)
        } else {
            fitting.push(parcel);
            continue;
        };
        let (pieces, too_large) = parcel.cut(pieces.pieces);
        lost += too_large;
        for piece in pieces.into_iter().rev() {
            whole.push_front(piece);
        }
    }
    (fitting, lost)
}
