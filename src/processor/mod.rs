//! Closed steps over a request: sample, enrich, and write what is kept as a payload.
//!
//! It knows no clock, no queue and no transport. One [`Snapshot`] of policies and edits serves a request from its first span
//! to its last, so no request sees half of two configurations.

mod sample;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use bytes::Bytes;

pub use sample::{PolicyCount, ServiceCount};

use crate::{
    enrichment::Enricher,
    request::Request,
    sampling::{Decision, Sampler},
    wire::Wanted,
};

/// The policies and edits in force: immutable, replaced as a whole by a reload.
#[derive(Debug)]
pub struct Snapshot {
    /// Which spans are kept.
    pub sampler: Arc<Sampler>,
    /// What is changed in those.
    pub enricher: Arc<Enricher>,
}

/// What became of a request.
#[derive(Debug)]
pub struct Processed {
    /// Together a valid sequence of `ResourceSpans` fields; empty when nothing is kept.
    pub segments: Vec<Bytes>,
    /// The spans in it.
    pub kept: u64,
    /// Usable spans that sampling dropped.
    pub sampled_out: u64,
    /// The bytes that the segments keep alive: the whole body as soon as one of them is a slice of it.
    pub pinned: usize,
    /// Spans by policy.
    pub policies: Vec<PolicyCount>,
    /// Spans by service, neighbours with the same name as one.
    pub services: Vec<ServiceCount>,
    /// What was decided about each usable span, in the order of the request's index: for the trace store.
    pub decisions: Vec<Decision>,
}

impl Snapshot {
    /// What the steps read of a span, for the scan at the door.
    pub fn wanted(&self) -> Wanted {
        self.sampler.wanted().union(self.enricher.wanted())
    }

    /// Decides and edits the spans of `request`. It allocates a fixed number of times, whatever the request holds, as long as
    /// edits stay within the room that was set aside for them.
    pub fn process(&self, request: &Request) -> Processed {
        let decided = sample::decide(&self.sampler, request);
        let written = write::write(&self.enricher, request, &decided);
        Processed {
            segments: written.segments,
            kept: decided.kept,
            sampled_out: decided.sampled_out,
            pinned: written.pinned,
            policies: decided.policies,
            services: decided.services,
            decisions: decided.decisions,
        }
    }
}
