//! The first step: what becomes of each span, and the counts that go with it.

use bytes::Bytes;

use crate::{
    request::Request,
    sampling::{Decision, Sampler, ThresholdChange},
};

/// What was decided about a request's usable spans.
#[derive(Debug)]
pub(super) struct Decided {
    /// For each span of the index, in its order.
    pub(super) decisions: Vec<Decision>,
    /// Spans kept.
    pub(super) kept: u64,
    /// The bytes of their fields.
    pub(super) kept_bytes: usize,
    /// The bytes of the fields of all usable spans.
    pub(super) bytes: usize,
    /// The bytes of the largest message that edits may look at: a resource or a span.
    pub(super) largest: usize,
    /// Spans kept with another tracestate.
    pub(super) rewritten: u64,
    /// Spans dropped.
    pub(super) sampled_out: u64,
    /// Spans by policy, in the order of [`Sampler::policies`].
    pub(super) policies: Vec<PolicyCount>,
    /// Spans by service, neighbours with the same name as one.
    pub(super) services: Vec<ServiceCount>,
}

/// How many spans one policy decided about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyCount {
    /// Spans it kept.
    pub kept: u64,
    /// Spans it dropped.
    pub dropped: u64,
}

/// How many spans a service sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCount {
    /// Its name; empty when it has none.
    pub service: Bytes,
    /// Spans that were kept.
    pub kept: u64,
    /// Spans that were dropped.
    pub dropped: u64,
}

/// Decides the spans of `request`, in the order of its body.
pub(super) fn decide(sampler: &Sampler, request: &Request) -> Decided {
    let index = request.index();
    let mut decided = Decided {
        decisions: Vec::with_capacity(index.spans.len()),
        kept: 0,
        kept_bytes: 0,
        bytes: 0,
        largest: 0,
        rewritten: 0,
        sampled_out: 0,
        policies: vec![PolicyCount::default(); sampler.policies().len()],
        services: Vec::with_capacity(index.resources.len()),
    };
    let mut deciding = sampler.deciding();
    for resource_entry in &index.resources {
        let resource = request.resource(resource_entry);
        deciding.enter_resource(resource);
        decided.largest = decided.largest.max(resource.message.len());
        let before = (decided.kept, decided.sampled_out);
        for scope in request.scopes_of(resource_entry) {
            deciding.enter_scope(request.scope(scope));
            for span in request.spans_of(scope) {
                let decision = deciding.decide(request.span(span));
                decided.note(decision, span.field.len());
            }
        }
        decided.count_service(request, resource.service_name(), before);
    }
    decided
}

impl Decided {
    #[inline]
    fn note(&mut self, decision: Decision, bytes: usize) {
        let count = &mut self.policies[usize::from(decision.policy)];
        self.bytes += bytes;
        self.largest = self.largest.max(bytes);
        if decision.keep {
            self.rewritten += u64::from(decision.threshold != ThresholdChange::None);
            count.kept += 1;
            self.kept += 1;
            self.kept_bytes += bytes;
        } else {
            count.dropped += 1;
            self.sampled_out += 1;
        }
        self.decisions.push(decision);
    }

    fn count_service(&mut self, request: &Request, service: &[u8], before: (u64, u64)) {
        let kept = self.kept - before.0;
        let dropped = self.sampled_out - before.1;
        match self.services.last_mut() {
            Some(last) if last.service == service => {
                last.kept += kept;
                last.dropped += dropped;
            }
            _ => self.services.push(ServiceCount {
                service: request.body().slice_ref(service),
                kept,
                dropped,
            }),
        }
    }
}
