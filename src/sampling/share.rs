//! A fraction, compiled: whether a trace belongs to it, by the hash of its id or by the randomness it carries.
//!
//! It knows no policies. Invariant: of two fractions the smaller one's traces are among the larger one's.

use super::{Threshold, ThresholdChange, threshold::PRECISION, trace_state::Arrival};
use crate::otlp::TRACE_ID_BYTES;

/// A trace id.
pub(super) type TraceId = [u8; TRACE_ID_BYTES];

/// The share kept of what arrives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Share {
    /// Everything.
    All,
    /// Nothing.
    Nothing,
    /// More than nothing and less than everything.
    Part {
        /// Between 0 and 1.
        fraction: f64,
        /// The same in 2^-64ths: hashes below it are kept.
        hashes: u64,
    },
}

impl Share {
    /// The share `fraction`, 0 to 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a fraction below 1 has at most 53 significant bits, so it stays below 2^64"
    )]
    pub(super) fn of(fraction: f64) -> Self {
        /// As many as there are hashes.
        const HASHES: f64 = 18_446_744_073_709_551_616.0;
        if fraction >= 1.0 {
            Self::All
        } else if fraction > 0.0 {
            Self::Part {
                fraction,
                hashes: (fraction * HASHES) as u64,
            }
        } else {
            Self::Nothing
        }
    }

    /// Whether the trace belongs to it by the hash of its id. Never by raw bits of the id: a sampler before us may have
    /// kept only ids with small ones (Go's and Python's do), or a client may have chosen it.
    #[inline]
    pub(super) fn keeps_hash(self, trace_id: &TraceId, seed: u64) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Part { hashes, .. } => {
                xxhash_rust::xxh3::xxh3_64_with_seed(trace_id, seed) < hashes
            }
        }
    }

    /// Whether a trace with a tracestate belongs to it, and what becomes of `th`: by the randomness where `th` or `rv` is
    /// there, else by the hash.
    pub(super) fn judge(
        self,
        trace_id: &TraceId,
        trace_state: &[u8],
        seed: u64,
    ) -> (bool, ThresholdChange) {
        let arrival = Arrival::read(trace_state);
        let randomness = arrival.randomness.unwrap_or_else(|| low_56_bits(trace_id));
        let true_threshold = arrival
            .threshold
            .filter(|threshold| randomness >= threshold.0);
        let unchanged = if arrival.threshold == true_threshold {
            ThresholdChange::None
        } else {
            ThresholdChange::Erase
        };
        if true_threshold.is_none() && arrival.randomness.is_none() {
            return (self.keeps_hash(trace_id, seed), unchanged);
        }
        match self {
            Self::All => (true, unchanged),
            Self::Nothing => (false, ThresholdChange::None),
            Self::Part { fraction, .. } => raise(true_threshold, fraction, randomness, unchanged),
        }
    }

    /// Whether a trace with a tracestate belongs to it by the hash alone. Where not everything is kept, `th` no longer
    /// says the probability, so it goes.
    pub(super) fn judge_by_hash(
        self,
        trace_id: &TraceId,
        trace_state: &[u8],
        seed: u64,
    ) -> (bool, ThresholdChange) {
        let keep = self.keeps_hash(trace_id, seed);
        let untold = keep && self != Self::All && Arrival::read(trace_state).threshold.is_some();
        let change = if untold {
            ThresholdChange::Erase
        } else {
            ThresholdChange::None
        };
        (keep, change)
    }
}

/// Keeps `fraction` of what passed the threshold `arrived`.
fn raise(
    arrived: Option<Threshold>,
    fraction: f64,
    randomness: u64,
    unchanged: ThresholdChange,
) -> (bool, ThresholdChange) {
    let probability = arrived.map_or(1.0, Threshold::probability) * fraction;
    match Threshold::of_probability(probability, PRECISION) {
        None => (false, ThresholdChange::None),
        // Rounding may have lowered it: then the one that arrived stays.
        Some(raised) if arrived.is_some_and(|arrived| raised <= arrived) => (true, unchanged),
        Some(raised) => (randomness >= raised.0, ThresholdChange::Set(raised)),
    }
}

/// The bits of a trace id that are random if any are (W3C Trace Context level 2).
fn low_56_bits(trace_id: &TraceId) -> u64 {
    let low = trace_id.last_chunk().copied();
    low.map_or(0, u64::from_be_bytes) & ((1 << 56) - 1)
}
