//! Which share of traces is kept: policies as written, compiled, and decided span by span.
//!
//! It writes no messages: a decision says whether a span stays and what happens to its tracestate.

mod deciding;
mod policies;
mod read;
mod share;
mod threshold;
mod trace_state;

pub use deciding::Deciding;
pub use policies::{Policy, PolicyKind, Sampler};
pub use trace_state::rewrite_trace_state;

/// What is sampled by; `sampling.randomness` in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Randomness {
    /// By `th` and `rv` of the tracestate where a span carries them, else by the hash of its trace id.
    Auto,
    /// Always by the hash of the trace id.
    Hash,
}

/// What becomes of one span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it goes on.
    pub keep: bool,
    /// Which of [`Sampler::policies`] decided.
    pub policy: u16,
    /// What happens to the `th` of its tracestate.
    pub threshold: ThresholdChange,
}

/// A rejection threshold: 56 bits, the smallest randomness that is kept (OpenTelemetry, tracestate probability sampling).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(pub u64);

/// What happens to `th`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThresholdChange {
    /// Nothing: the tracestate passes as it came.
    None,
    /// It becomes this.
    Set(Threshold),
    /// It is removed, because the probability is unknown or was untrue.
    Erase,
}

#[cfg(test)]
mod tests;
