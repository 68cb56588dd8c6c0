//! The second step: edits what is kept and writes it as one message, from its end to its beginning.

use super::sample::Decided;
use crate::{
    enrichment::{Editing, Enricher, SCRATCH_FACTOR},
    otlp,
    request::Request,
    sampling::{Decision, ThresholdChange, rewrite_trace_state},
    wire::{Detail, Emitter, Keep, ResourceEntry, SHARE_BYTES_MIN, ScopeEntry, SpanEntry, Written},
};

/// Room for resources, scopes and lengths that are written between shared parts, in bytes; what is beyond it takes one more
/// allocation.
const GLUE_CAPACITY: usize = 2048;

/// By how much the lengths around a span, a scope or a resource may grow when its content does, in bytes.
const LENGTHS_BYTES: usize = 8;

/// By how much a tracestate may grow, in bytes: `ot=th:` with four digits, or a whole tracestate of that.
const TRACE_STATE_GROWTH: usize = 16;

/// Room beyond what is foreseen, for edits whose growth is not (masks, attributes that occur twice): this share of it, and
/// as many bytes.
const SPARE_SHARE: usize = 8;
const SPARE_BYTES: usize = 4096;

/// How a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    how: How,
    /// The bytes that are taken at once.
    capacity: usize,
    /// The bytes of buffers that writing may take at first.
    pub(super) room: usize,
    /// The bytes of scratch memory that edits take beside those.
    pub(super) scratch: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Nothing is kept.
    Nothing,
    /// The very bytes that came in.
    Untouched,
    /// What is kept, with edits, in new bytes or slices of the old ones.
    Anew(Keep),
}

/// Decides how `request` is written, and what that takes.
pub(super) fn plan(enricher: &Enricher, request: &Request, decided: &Decided) -> Plan {
    let without_room = |how| Plan {
        how,
        capacity: 0,
        room: 0,
        scratch: 0,
    };
    if decided.kept == 0 {
        return without_room(How::Nothing);
    }
    if passes_untouched(enricher, request, decided) {
        return without_room(How::Untouched);
    }
    let wanted = enricher.wanted();
    let edits_spans = wanted.span_attributes != Detail::Nothing
        || wanted.events != Detail::Nothing
        || decided.rewritten > 0;
    let keep = if edits_spans {
        Keep::Copy
    } else {
        keep(request, decided)
    };
    let growth = enricher.growth();
    let around_spans = decided.around_spans
        + decided.resources * (growth.resource + LENGTHS_BYTES)
        + decided.scopes * LENGTHS_BYTES;
    let in_spans = if edits_spans {
        usize::try_from(decided.kept).unwrap_or(usize::MAX) * (growth.span + LENGTHS_BYTES)
            + usize::try_from(decided.rewritten).unwrap_or(usize::MAX) * TRACE_STATE_GROWTH
    } else {
        0
    };
    let (capacity, foreseen) = match keep {
        Keep::Share => (GLUE_CAPACITY, around_spans + GLUE_CAPACITY),
        Keep::Copy => {
            let all = decided.kept_bytes + around_spans + in_spans;
            (all, all)
        }
    };
    let scratch = if enricher.is_empty() {
        0
    } else {
        // Never so much that a body which may come in does not fit the smallest budget, four times its size.
        (SCRATCH_FACTOR * decided.largest).min(request.body().len())
    };
    Plan {
        how: How::Anew(keep),
        capacity,
        room: foreseen + foreseen / SPARE_SHARE + SPARE_BYTES,
        scratch,
    }
}

/// Writes the spans that are kept, in buffers of at most `room` bytes, of which [`Plan::room`] are the least; `None` when they
/// need more.
pub(super) fn write(
    enricher: &Enricher,
    request: &Request,
    decided: &Decided,
    plan: &Plan,
    room: usize,
) -> Option<Written> {
    let body = request.body();
    let keep = match plan.how {
        How::Nothing => {
            return Some(Written {
                segments: Vec::new(),
                buffers: 0,
                shares_body: false,
            });
        }
        How::Untouched => {
            return Some(Written {
                segments: vec![body.clone()],
                buffers: 0,
                shares_body: true,
            });
        }
        How::Anew(keep) => keep,
    };
    let mut writer = Writer {
        request,
        decisions: &decided.decisions,
        editing: enricher.editing(),
        trace_state: Vec::new(),
        out: Emitter::new(body, keep, plan.capacity, room),
    };
    writer.request();
    (!writer.out.is_exceeded()).then(|| writer.out.finish())
}

/// A slice pins the whole body, and a small one costs more than its copy: slices are worth it only when everything is kept
/// and its scopes are large. Milvus' C++ part sends one span a scope, sampling leaves runs of a few spans.
fn keep(request: &Request, decided: &Decided) -> Keep {
    let whole = decided.sampled_out == 0 && decided.unusable.total() == 0;
    let scope_bytes = request.body().len() / request.index().scopes.len().max(1);
    if whole && scope_bytes >= SHARE_BYTES_MIN {
        Keep::Share
    } else {
        Keep::Copy
    }
}

fn passes_untouched(enricher: &Enricher, request: &Request, decided: &Decided) -> bool {
    enricher.is_empty()
        && decided.sampled_out == 0
        && decided.unusable.total() == 0
        && decided.rewritten == 0
        && !request.index().resources.iter().any(|entry| entry.repeats)
}

fn passes(decision: &Decision) -> bool {
    decision.keep && decision.threshold == ThresholdChange::None
}

struct Writer<'a> {
    request: &'a Request,
    decisions: &'a [Decision],
    editing: Editing<'a>,
    /// Scratch memory for a rewritten tracestate.
    trace_state: Vec<u8>,
    out: Emitter<'a>,
}

impl<'a> Writer<'a> {
    fn request(&mut self) {
        let resources = &self.request.index().resources;
        let mut end = resources.len();
        while end > 0 {
            let mut start = end - 1;
            while start > 0 && resources[start].repeats {
                start -= 1;
            }
            self.resources(&resources[start..end]);
            end = start;
        }
    }

    /// Writes neighbours with the same resource as one.
    fn resources(&mut self, group: &'a [ResourceEntry]) {
        let request = self.request;
        let first = &group[0];
        let mut scopes = group.iter().flat_map(|entry| request.scopes_of(entry));
        if !scopes.any(|scope| {
            self.decisions_of(scope)
                .iter()
                .any(|decision| decision.keep)
        }) {
            return;
        }
        let edited = self.editing.enter_resource(request.resource(first));
        if group.len() == 1 && !edited && self.passes_whole(first) {
            return self.out.part(first.field);
        }
        let end = self.out.mark();
        self.out.fields_except(
            first.message,
            &[
                otlp::resource_spans::RESOURCE,
                otlp::resource_spans::SCOPE_SPANS,
            ],
        );
        for entry in group.iter().rev() {
            for scope in request.scopes_of(entry).iter().rev() {
                self.scope(scope);
            }
        }
        if edited || first.resource.is_present() {
            let resource_end = self.out.mark();
            if edited {
                self.editing.write_resource(self.out.out());
            } else {
                self.out.part(first.resource);
            }
            self.out.close(otlp::resource_spans::RESOURCE, resource_end);
        }
        self.out.close(otlp::request::RESOURCE_SPANS, end);
    }

    fn scope(&mut self, scope: &'a ScopeEntry) {
        let decisions = self.decisions_of(scope);
        if !decisions.iter().any(|decision| decision.keep) {
            return;
        }
        let edits = self.editing.enter_scope(self.request.scope(scope));
        if !edits && !scope.incomplete && decisions.iter().all(passes) {
            return self.out.part(scope.field);
        }
        let end = self.out.mark();
        let around = scope.span_fields.map(|spans| scope.message.around(spans));
        if let Some((_, behind)) = around {
            self.out.part(behind);
        }
        let spans = self.request.spans_of(scope);
        for (span, decision) in spans.iter().zip(decisions).rev() {
            if !decision.keep {
                continue;
            }
            if self.out.is_exceeded() {
                return;
            }
            if edits || decision.threshold != ThresholdChange::None {
                self.edited_span(span, decision.threshold);
            } else {
                self.out.part(span.field);
            }
        }
        if let Some((before, _)) = around {
            self.out.part(before);
        } else {
            let spans = &[otlp::scope_spans::SPANS];
            self.out.fields_except(scope.message, spans);
        }
        self.out.close(otlp::resource_spans::SCOPE_SPANS, end);
    }

    fn edited_span(&mut self, entry: &SpanEntry, threshold: ThresholdChange) {
        let span = self.request.span(entry);
        let trace_state = (threshold != ThresholdChange::None).then(|| {
            rewrite_trace_state(span.trace_state, threshold, &mut self.trace_state);
            &self.trace_state[..]
        });
        let end = self.out.mark();
        if self.editing.write_span(span, trace_state, self.out.out()) {
            self.out.close(otlp::scope_spans::SPANS, end);
        } else {
            self.out.part(entry.field);
        }
    }

    /// Whether a resource's field goes out as it came.
    fn passes_whole(&mut self, entry: &ResourceEntry) -> bool {
        let request = self.request;
        request.scopes_of(entry).iter().all(|scope| {
            !scope.incomplete
                && self.decisions_of(scope).iter().all(passes)
                && !self.editing.enter_scope(request.scope(scope))
        })
    }

    fn decisions_of(&self, scope: &ScopeEntry) -> &'a [Decision] {
        &self.decisions[scope.spans.indices()]
    }
}
