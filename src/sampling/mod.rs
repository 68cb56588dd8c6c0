//! Which share of traces is kept: policies as written, compiled, and decided span by span.
//!
//! It writes no messages: a decision says whether a span stays and what happens to its tracestate.

use crate::{
    document::{Findings, Node},
    wire::{ResourceView, ScopeView, SpanView, Wanted},
};

/// Compiled policies, immutable: a reload makes a new one.
#[derive(Debug)]
pub struct Sampler {}

/// What is sampled by; `sampling.randomness` in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Randomness {
    /// By `th` and `rv` of the tracestate where a span carries them, else by the hash of its trace id.
    Auto,
    /// Always by the hash of the trace id.
    Hash,
}

/// One line of the policies as compiled: a rule, a service, or the default. `Decision::policy` indexes these.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// `rule NAME`, `service NAME`, or `default`: the label `rule`.
    pub name: String,
    /// The share kept, 0 to 1.
    pub fraction: f64,
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

/// A rejection threshold: 56 bits, the smallest randomness that is kept (OpenTelemetry, "TraceState: Probability Sampling").
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

/// Decides the spans of one request, in the order of its bytes: first the resource, then the scope, then its spans.
#[derive(Debug)]
pub struct Deciding<'a> {
    _sampler: &'a Sampler,
}

impl Sampler {
    /// Keeps everything.
    pub fn keep_all() -> Self {
        unimplemented!()
    }

    /// Reads a policy file's root node; everything wrong is reported.
    pub fn read(
        _root: &Node,
        _randomness: Randomness,
        _hash_seed: u64,
        _findings: &mut Findings,
    ) -> Self {
        unimplemented!()
    }

    /// What the policies read of a span.
    pub fn wanted(&self) -> Wanted {
        unimplemented!()
    }

    /// The policies, rules first, then services, then the default.
    pub fn policies(&self) -> &[Policy] {
        unimplemented!()
    }

    /// Starts on a request. Allocates at most a fixed number of times, whatever the request holds.
    pub fn deciding(&self) -> Deciding<'_> {
        unimplemented!()
    }
}

impl<'a> Deciding<'a> {
    /// The spans that follow have this resource.
    pub fn enter_resource(&mut self, _resource: ResourceView<'a>) {
        unimplemented!()
    }

    /// The spans that follow have this scope.
    pub fn enter_scope(&mut self, _scope: ScopeView<'a>) {
        unimplemented!()
    }

    /// What becomes of this span.
    pub fn decide(&mut self, _span: SpanView<'a>) -> Decision {
        unimplemented!()
    }
}

/// Writes `trace_state` with its `th` changed to `out`, which is cleared first; everything else stays.
pub fn rewrite_trace_state(_trace_state: &[u8], _change: ThresholdChange, _out: &mut Vec<u8>) {
    unimplemented!()
}
