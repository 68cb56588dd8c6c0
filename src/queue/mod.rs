//! One bounded queue for each destination: all required ones take a request, or none does.
//!
//! It knows neither sockets nor what a destination answers. Invariants: a request that is refused, or whose sender goes
//! away while it waits, leaves no trace; a span that was taken is settled exactly once for each destination.

mod account;
mod admission;
mod batcher;
#[cfg(test)]
pub(crate) mod fixtures;
mod parcel;
mod queues;
mod supervise;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use crate::budget::Permit;

pub use batcher::{Batch, Batcher, Limits, Missing, cut};
pub use parcel::Parcel;
pub use queues::{Full, Queue, Queues, Ready};
pub use supervise::supervise;

/// Bytes accounted for each payload beside those it pins: its own structures in every queue and the task that carries it.
/// Chosen by eye, above what they measure, so that a queue of tiny payloads stays bounded too.
pub const PAYLOAD_OVERHEAD_BYTES: usize = 512;

/// Spans that leave the processor: the parts of one valid export request, and what pays for them.
#[derive(Debug)]
pub struct Payload {
    /// Together a valid sequence of `ResourceSpans` fields.
    pub segments: Vec<Bytes>,
    /// The spans in it; never 0.
    pub spans: u64,
    /// The bytes of the segments.
    pub bytes: usize,
    /// When its request was accepted; set by [`Queues::admit`].
    pub accepted_at: Instant,
    /// The bytes it pins, which may be more than its own.
    pub permit: Permit,
    /// Under which number the trace store keeps a sample of it and wants to hear what each destination answered.
    pub sample: Option<u64>,
}

/// Bounds of one destination's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The bytes it holds at most, those under way included.
    pub bytes_max: usize,
    /// Whether a request is refused when it has no room.
    pub required: bool,
}

/// How parcels become messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// A message is sent when it has this many spans, and never has more.
    pub spans: u64,
    /// A message is sent when it has this many bytes.
    pub bytes: usize,
    /// A message never has more bytes.
    pub bytes_max: usize,
    /// A message is sent when its first parcel has waited this long.
    pub delay: Duration,
}

/// How full one destination's queue is, what is under way included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Bytes accounted.
    pub bytes: usize,
    /// The bytes it holds at most.
    pub bytes_max: usize,
    /// Spans of the payloads that are not settled whole.
    pub spans: u64,
    /// Payloads that are not settled whole.
    pub payloads: u64,
    /// When the oldest of them was accepted.
    pub oldest: Option<Instant>,
}

impl Payload {
    /// What it takes of a queue's `bytes_max`.
    pub fn room_bytes(&self) -> usize {
        self.permit.bytes() + PAYLOAD_OVERHEAD_BYTES + self.segments.capacity() * size_of::<Bytes>()
    }
}

impl Gauges {
    /// The payloads of the present mean size that it would hold; with none in it, of the overhead's size.
    pub fn capacity_payloads(&self) -> u64 {
        let bytes_max = self.bytes_max as u64;
        let mean = (self.bytes as u64)
            .checked_div(self.payloads)
            .unwrap_or(PAYLOAD_OVERHEAD_BYTES as u64);
        bytes_max / mean.max(1)
    }
}

/// A destination's name: what it is, over any change of its options.
pub type Name = Arc<str>;
