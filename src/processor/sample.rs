//! The first step: what becomes of each span, and the counts that go with it.

use crate::{
    request::Request,
    sampling::{Decision, Sampler, ThresholdChange},
    wire::{ResourceEntry, Unusable, Wanted, span_is_readable},
};

/// Services that are told apart in one request, as many as the metrics tell apart at all.
const SERVICES_MAX: usize = 100;
/// The name of all others, as the metrics have it.
const OTHER_SERVICES: &[u8] = b"other";
/// The bytes of a service's name that are kept, as many as a label has.
const SERVICE_BYTES_MAX: usize = 128;

/// What was decided about a request's usable spans.
#[derive(Debug)]
pub(super) struct Decided {
    /// For each span of the index, in its order.
    pub(super) decisions: Vec<Decision>,
    /// Spans kept.
    pub(super) kept: u64,
    /// The bytes of their fields.
    pub(super) kept_bytes: usize,
    /// Resources and scopes with spans that are kept; resources that repeat the one before count as one with it.
    pub(super) resources: usize,
    pub(super) scopes: usize,
    /// The bytes of those beside their spans.
    pub(super) around_spans: usize,
    /// The bytes of the largest message that edits may look at: a resource or a span.
    pub(super) largest: usize,
    /// Spans kept with another tracestate.
    pub(super) rewritten: u64,
    /// Spans dropped.
    pub(super) sampled_out: u64,
    /// Spans that are left out, those of the door and those that would be kept, but cannot be edited.
    pub(super) unusable: Unusable,
    /// Spans by policy, in the order of [`Sampler::policies`].
    pub(super) policies: Vec<PolicyCount>,
    /// Spans by service, each name once.
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
    /// Its name, of a bounded length and owned: these counts outlive the body. Empty when it has none.
    pub service: Box<[u8]>,
    /// Spans that were kept.
    pub kept: u64,
    /// Spans that were dropped.
    pub dropped: u64,
}

/// Decides the spans of `request`, in the order of its body. Of those that are kept `to_edit` must be readable.
pub(super) fn decide(sampler: &Sampler, to_edit: Wanted, request: &Request) -> Decided {
    let index = request.index();
    let mut decided = Decided {
        decisions: Vec::with_capacity(index.spans.len()),
        kept: 0,
        kept_bytes: 0,
        resources: 0,
        scopes: 0,
        around_spans: 0,
        largest: 0,
        rewritten: 0,
        sampled_out: 0,
        unusable: request.unusable(),
        policies: vec![PolicyCount::default(); sampler.policies().len()],
        services: Vec::new(),
    };
    let mut deciding = sampler.deciding();
    let edits = to_edit != Wanted::default();
    let mut service = None;
    let mut is_counted = false;
    for resource_entry in &index.resources {
        let resource = request.resource(resource_entry);
        if !resource_entry.repeats {
            service = None;
            is_counted = false;
            deciding.enter_resource(resource);
            decided.largest = decided.largest.max(resource.message.len());
        }
        let before = (decided.kept, decided.sampled_out);
        for scope in request.scopes_of(resource_entry) {
            deciding.enter_scope(request.scope(scope));
            let kept_before = decided.kept;
            let mut bytes = 0;
            for span in request.spans_of(scope) {
                let view = request.span(span);
                let mut decision = deciding.decide(view);
                if decision.keep && edits && !span_is_readable(view.message, to_edit) {
                    decision.keep = false;
                    decided.unusable.broken += 1;
                    decided.decisions.push(decision);
                } else {
                    decided.note(decision, span.field.len());
                }
                bytes += span.field.len();
            }
            if decided.kept > kept_before {
                decided.scopes += 1;
                decided.around_spans += scope.field.len() - bytes;
            }
        }
        if decided.kept > before.0 && !is_counted {
            is_counted = true;
            decided.resources += 1;
            decided.around_spans += around_scopes(request, resource_entry);
        }
        let kept = decided.kept - before.0;
        let dropped = decided.sampled_out - before.1;
        if kept + dropped > 0 {
            let at = *service.get_or_insert_with(|| decided.place_of(resource.service_name()));
            decided.services[at].kept += kept;
            decided.services[at].dropped += dropped;
        }
    }
    decided
}

/// The bytes of a `ResourceSpans` beside its scopes.
fn around_scopes(request: &Request, entry: &ResourceEntry) -> usize {
    let scopes = request.scopes_of(entry).iter();
    entry.field.len() - scopes.map(|scope| scope.field.len()).sum::<usize>()
}

impl Decided {
    #[inline]
    fn note(&mut self, decision: Decision, bytes: usize) {
        let count = &mut self.policies[usize::from(decision.policy)];
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

    /// The place of a service among those counted; each name once, and all beyond [`SERVICES_MAX`] as one.
    fn place_of(&mut self, service: &[u8]) -> usize {
        let known = |services: &[ServiceCount], name: &[u8]| {
            services.iter().rposition(|count| *count.service == *name)
        };
        let mut name = &service[..service.len().min(SERVICE_BYTES_MAX)];
        if let Some(place) = known(&self.services, name) {
            return place;
        }
        if self.services.len() >= SERVICES_MAX {
            name = OTHER_SERVICES;
            if let Some(place) = known(&self.services, name) {
                return place;
            }
        }
        self.services.push(ServiceCount {
            service: name.into(),
            kept: 0,
            dropped: 0,
        });
        self.services.len() - 1
    }
}
