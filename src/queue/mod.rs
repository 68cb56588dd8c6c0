//! One bounded queue for each destination: all required ones take a request, or none does.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    budget::Permit,
    metrics::{Fate, Ledger, Tally, Transport},
};

/// Spans that leave the processor: the parts of one valid export request, and what pays for them.
#[derive(Debug)]
pub struct Payload {
    /// Together a valid sequence of `ResourceSpans` fields.
    pub segments: Vec<Bytes>,
    /// The spans in it; never 0.
    pub spans: u64,
    /// The bytes of the segments.
    pub bytes: usize,
    /// When its request was accepted.
    pub accepted_at: Instant,
    /// The bytes it pins, which may be more than its own.
    pub permit: Permit,
}

/// What one destination holds of a payload: all of it, or a piece of a split one. It ends with [`Parcel::settle`]; one that
/// is dropped without is booked as lost by a fault of the relay, and a debug build panics.
pub struct Parcel {
    /// Together a valid sequence of `ResourceSpans` fields.
    pub segments: Vec<Bytes>,
    /// The spans in it.
    pub spans: u64,
    /// The bytes of the segments.
    pub bytes: usize,
    /// The whole, which returns its bytes to the budget with the last parcel of the last destination.
    pub payload: Arc<Payload>,
    destination: Arc<str>,
    ledger: Ledger,
    settled: bool,
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

impl Parcel {
    /// All of a payload, for one destination whose account already holds its spans.
    pub fn whole(payload: Arc<Payload>, destination: Arc<str>, ledger: Ledger) -> Self {
        Self {
            segments: payload.segments.clone(),
            spans: payload.spans,
            bytes: payload.bytes,
            payload,
            destination,
            ledger,
            settled: false,
        }
    }

    /// Books what became of its spans.
    pub fn settle(mut self, fate: Fate) {
        self.settled = true;
        self.ledger.settle(&self.destination, fate, self.spans);
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel")
            .field("destination", &self.destination)
            .field("spans", &self.spans)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// There was no room until the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The queues of all destinations.
#[derive(Clone, Debug)]
pub struct Queues {}

impl Queues {
    /// No destinations yet. `payload_overhead` bytes are accounted for each payload beside its own.
    pub fn new(_ledger: Ledger) -> Self {
        unimplemented!()
    }

    /// Takes a request: books `tally` and puts `payload` (none when every span was sampled out) into the queues of all
    /// required destinations at once, waiting in one order of arrival until `deadline`, or books nothing. Dropping the
    /// future before it is done leaves no trace either.
    pub async fn admit(
        &self,
        _transport: Transport,
        _tally: Tally,
        _payload: Option<Payload>,
        _deadline: Instant,
    ) -> Result<(), Full> {
        unimplemented!()
    }
}
