//! Closed steps over a request: sample, enrich, and write what is kept as a payload.
//!
//! It knows no queue and no transport, and waits for nothing but room in the budget. One [`Snapshot`] of policies and edits serves a request from its first span
//! to its last, so no request sees half of two configurations.

mod sample;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

pub use sample::{PolicyCount, ServiceCount};

use crate::{
    budget::Denied,
    enrichment::Enricher,
    request::Request,
    sampling::{Decision, Sampler},
    wire::{Unusable, Wanted},
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
    /// Spans that are left out, those included whose attributes or events could not be edited.
    pub unusable: Unusable,
    /// The bytes that the segments keep alive: their buffers, and the whole body with what is free in its buffer as soon as
    /// one of them is a slice of it.
    pub pinned: usize,
    /// Spans by policy.
    pub policies: Vec<PolicyCount>,
    /// Spans by service, each name once.
    pub services: Vec<ServiceCount>,
    /// What was decided about each usable span, in the order of the request's index: for the trace store.
    pub decisions: Vec<Decision>,
}

impl Snapshot {
    /// What is read of every span before it is known whether it is kept, for the scan at the door.
    pub fn wanted(&self) -> Wanted {
        let enriching = self.enricher.wanted().around_spans();
        self.sampler.wanted().union(enriching)
    }

    /// Decides and edits the spans of `request`. What is written is paid for by the request's permit before: it grows until
    /// `deadline`. It allocates a fixed number of times, whatever the request holds, as long as edits stay within the room
    /// that was set aside for them.
    pub async fn process(
        &self,
        request: &mut Request,
        deadline: Instant,
    ) -> Result<Processed, Denied> {
        // What only edits read is checked where something is edited: a tenth of the spans, where a tenth is kept.
        let to_edit = self
            .enricher
            .wanted()
            .of_spans_beyond(self.sampler.wanted());
        let decided = sample::decide(&self.sampler, to_edit, request);
        let plan = write::plan(&self.enricher, request, &decided);
        let mut room = plan.room;
        request.claim(room + plan.scratch, deadline).await?;
        let written = loop {
            let written = write::write(&self.enricher, request, &decided, &plan, room);
            if let Some(written) = written {
                break written;
            }
            // Edits that were not foreseen: once more with twice the room, or with what the budget has at all.
            room += request.claim_up_to(room, deadline).await?;
        };
        let shared = if written.shares_body {
            request.body_bytes()
        } else {
            0
        };
        Ok(Processed {
            segments: written.segments,
            kept: decided.kept,
            sampled_out: decided.sampled_out,
            unusable: decided.unusable,
            pinned: written.buffers + shared,
            policies: decided.policies,
            services: decided.services,
            decisions: decided.decisions,
        })
    }
}
