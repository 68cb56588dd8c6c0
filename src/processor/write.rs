//! The second step: edits what is kept and writes it as one message, from its end to its beginning.

use bytes::Bytes;

use super::sample::Decided;
use crate::{
    enrichment::{Editing, Enricher},
    otlp,
    request::Request,
    sampling::{Decision, ThresholdChange, rewrite_trace_state},
    wire::{Emitter, Keep, ResourceEntry, SHARE_BYTES_MIN, ScopeEntry, SpanEntry},
};

/// Room for resources, scopes and lengths that are written anew, in bytes; what is beyond it takes one more allocation.
const GLUE_CAPACITY: usize = 2048;

/// Edited spans are copied with this many bytes of room for what each may grow by; what is beyond takes a few more
/// allocations, each twice as large as the one before.
const SPAN_GROWTH: usize = 64;

/// What is written.
#[derive(Debug)]
pub(super) struct Written {
    /// Together a valid sequence of `ResourceSpans` fields; empty when nothing is kept.
    pub(super) segments: Vec<Bytes>,
    /// The bytes that the segments keep alive.
    pub(super) pinned: usize,
}

/// Writes the spans that are kept. All kept and nothing to edit: the very bytes that came in.
pub(super) fn write(enricher: &Enricher, request: &Request, decided: &Decided) -> Written {
    if decided.kept == 0 {
        return Written {
            segments: Vec::new(),
            pinned: 0,
        };
    }
    let body = request.body();
    if passes_untouched(enricher, request, decided) {
        return Written {
            segments: vec![body.clone()],
            pinned: body.len(),
        };
    }
    let wanted = enricher.wanted();
    let edits_spans = wanted.span_attributes || wanted.events || decided.rewritten > 0;
    let keep = if edits_spans {
        Keep::Copy
    } else {
        keep(request, decided)
    };
    let capacity = match keep {
        Keep::Share => GLUE_CAPACITY,
        Keep::Copy => {
            let around_spans = body.len() - decided.bytes;
            let growth = if edits_spans {
                decided.decisions.len() * SPAN_GROWTH
            } else {
                0
            };
            decided.kept_bytes + around_spans + growth + GLUE_CAPACITY
        }
    };
    let mut writer = Writer {
        request,
        decisions: &decided.decisions,
        editing: enricher.editing(),
        trace_state: Vec::new(),
        out: Emitter::new(body, keep, capacity),
    };
    writer.request();
    let segments = writer.out.finish();
    Written {
        pinned: pinned(body, &segments),
        segments,
    }
}

/// A slice pins the whole body, and a small one costs more than its copy: slices are worth it only when everything is kept
/// and its scopes are large. Milvus' C++ part sends one span a scope, sampling leaves runs of a few spans.
fn keep(request: &Request, decided: &Decided) -> Keep {
    let whole = decided.sampled_out == 0 && request.unusable().total() == 0;
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
        && request.unusable().total() == 0
        && decided.rewritten == 0
        && !request
            .index()
            .resources
            .array_windows()
            .any(|[first, second]| mergeable(request, first, second))
}

fn passes(decision: &Decision) -> bool {
    decision.keep && decision.threshold == ThresholdChange::None
}

/// What the segments keep alive: the whole body as soon as one of them is a slice of it.
fn pinned(body: &Bytes, segments: &[Bytes]) -> usize {
    let within = body.as_ptr_range();
    let mut bytes = 0;
    let mut shared = false;
    for segment in segments {
        if within.contains(&segment.as_ptr()) {
            shared = true;
        } else {
            bytes += segment.len();
        }
    }
    if shared { bytes + body.len() } else { bytes }
}

/// Milvus' C++ part sends one `ResourceSpans` a span: neighbours with the same resource bytes and schema URL leave as one.
fn mergeable(request: &Request, first: &ResourceEntry, second: &ResourceEntry) -> bool {
    let body = request.body();
    !first.unknown_fields
        && !second.unknown_fields
        && first.resource.of(body) == second.resource.of(body)
        && first.schema_url.of(body) == second.schema_url.of(body)
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
            while start > 0 && mergeable(self.request, &resources[start - 1], &resources[start]) {
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
        let spans = self.request.spans_of(scope);
        for (span, decision) in spans.iter().zip(decisions).rev() {
            if !decision.keep {
                continue;
            }
            if edits || decision.threshold != ThresholdChange::None {
                self.edited_span(span, decision.threshold);
            } else {
                self.out.part(span.field);
            }
        }
        self.out
            .fields_except(scope.message, &[otlp::scope_spans::SPANS]);
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
