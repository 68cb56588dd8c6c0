//! Makes messages smaller: pieces within limits, cut at `ResourceSpans`, `ScopeSpans` or span borders, resource and scope
//! repeated.

use bytes::Bytes;

use super::{
    Wanted,
    emit::{Emitter, Keep},
    index::{Index, Range32, ResourceEntry, ScopeEntry, SpanEntry},
    scan::{Checks, LEVELS_BYTES_MAX, count, scan},
};
use crate::otlp;

/// One piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Together a valid sequence of `ResourceSpans` fields.
    pub segments: Vec<Bytes>,
    /// The spans in it; never 0.
    pub spans: u64,
    /// The bytes of the segments.
    pub bytes: usize,
}

/// A message cut into pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// In the order of the message, each within the limits.
    pub pieces: Vec<Piece>,
    /// Spans that alone, with their resource and scope, are over the limit: they are in no piece.
    pub too_large: u64,
}

/// Cuts a message that a scan has checked into pieces of at most `spans_max` spans and `bytes_max` bytes.
pub fn split(segments: &[Bytes], spans_max: u64, bytes_max: usize) -> Pieces {
    let body = whole(segments);
    let checks = Checks {
        wanted: Wanted::default(),
        message_bytes_max: bytes_max,
    };
    let index = count(&body).and_then(|counts| scan(&body, &counts, &checks));
    let Ok(index) = index else {
        // Only checked messages come here; one that is broken all the same is not lost silently but counted.
        return Pieces {
            pieces: Vec::new(),
            too_large: 0,
        };
    };
    let mut cutter = Cutter {
        limits: Limits {
            spans_max: spans_max.max(1),
            bytes_max,
        },
        cuts: Vec::new(),
        open: Cut::default(),
    };
    cutter.walk(&body, &index);
    Pieces {
        pieces: cutter
            .cuts
            .iter()
            .map(|cut| cut.write(&body, &index))
            .collect(),
        too_large: index.unusable.total(),
    }
}

/// The segments as one slice, copied only when there are several.
pub(super) fn whole(segments: &[Bytes]) -> Bytes {
    match segments {
        [only] => only.clone(),
        several => several.concat().into(),
    }
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    spans_max: u64,
    bytes_max: usize,
}

/// A piece to be: which spans of which resources.
#[derive(Clone, Copy, Debug, Default)]
struct Cut {
    spans: Range32,
    resources: Range32,
    bytes: usize,
}

struct Cutter {
    limits: Limits,
    cuts: Vec<Cut>,
    open: Cut,
}

impl Cutter {
    fn walk(&mut self, body: &[u8], index: &Index) {
        for (resource_at, resource) in (0_u32..).zip(&index.resources) {
            let resource_bytes = around_scopes(index, resource);
            for scope in scopes_of(index, resource) {
                let scope_bytes = around_spans(body, scope);
                let mut entered = false;
                for (span_at, span) in (scope.spans.start..).zip(spans_of(index, scope)) {
                    let around = resource_bytes.saturating_add(scope_bytes);
                    let mut bytes = span.field.len();
                    if !entered {
                        // Counted for each scope, although a resource is written once for all its scopes in a piece: a
                        // piece may end early, never late.
                        bytes = bytes.saturating_add(around);
                        entered = true;
                    }
                    if !self.fits(bytes) {
                        self.cut();
                        bytes = span.field.len().saturating_add(around);
                    }
                    self.add(resource_at, span_at, bytes);
                }
            }
        }
        self.cut();
    }

    fn fits(&self, bytes: usize) -> bool {
        (self.open.spans.len() as u64) < self.limits.spans_max
            && self.open.bytes.saturating_add(bytes) <= self.limits.bytes_max
    }

    fn add(&mut self, resource_at: u32, span_at: u32, bytes: usize) {
        if self.open.spans.is_empty() {
            self.open.spans.start = span_at;
            self.open.resources.start = resource_at;
        }
        self.open.spans.end = span_at.saturating_add(1);
        self.open.resources.end = resource_at.saturating_add(1);
        self.open.bytes = self.open.bytes.saturating_add(bytes);
    }

    fn cut(&mut self) {
        let cut = std::mem::take(&mut self.open);
        if !cut.spans.is_empty() {
            self.cuts.push(cut);
        }
    }
}

impl Cut {
    fn write(&self, body: &Bytes, index: &Index) -> Piece {
        let mut out = Emitter::new(body, Keep::Share, PIECE_CAPACITY, usize::MAX);
        let resources = index
            .resources
            .get(self.resources.indices())
            .unwrap_or_default();
        for resource in resources.iter().rev() {
            let scopes = scopes_of(index, resource);
            if scopes.iter().all(|scope| self.overlap(scope).is_empty()) {
                continue;
            }
            let end = out.mark();
            out.fields_except(
                resource.message,
                &[
                    otlp::resource_spans::SCOPE_SPANS,
                    otlp::resource_spans::RESOURCE,
                ],
            );
            for scope in scopes.iter().rev() {
                self.write_scope(scope, index, &mut out);
            }
            if resource.resource.is_present() {
                let resource_end = out.mark();
                out.part(resource.resource);
                out.close(otlp::resource_spans::RESOURCE, resource_end);
            }
            out.close(otlp::request::RESOURCE_SPANS, end);
        }
        let segments = out.finish().segments;
        Piece {
            bytes: segments.iter().map(Bytes::len).sum(),
            segments,
            spans: self.spans.len() as u64,
        }
    }

    /// Which of a scope's spans are in the cut.
    fn overlap(&self, scope: &ScopeEntry) -> Range32 {
        Range32 {
            start: scope.spans.start.max(self.spans.start),
            end: scope.spans.end.min(self.spans.end),
        }
    }

    fn write_scope(&self, scope: &ScopeEntry, index: &Index, out: &mut Emitter<'_>) {
        let overlap = self.overlap(scope);
        if overlap.is_empty() {
            return;
        }
        let spans = index.spans.get(overlap.indices()).unwrap_or_default();
        let scope_end = out.mark();
        for span in spans.iter().rev() {
            out.part(span.field);
        }
        out.fields_except(scope.message, &[otlp::scope_spans::SPANS]);
        out.close(otlp::resource_spans::SCOPE_SPANS, scope_end);
    }
}

/// Resource, scope and lengths of a piece; larger ones take one more allocation.
const PIECE_CAPACITY: usize = 2048;

fn scopes_of<'a>(index: &'a Index, resource: &ResourceEntry) -> &'a [ScopeEntry] {
    index
        .scopes
        .get(resource.scopes.indices())
        .unwrap_or_default()
}

fn spans_of<'a>(index: &'a Index, scope: &ScopeEntry) -> &'a [SpanEntry] {
    index.spans.get(scope.spans.indices()).unwrap_or_default()
}

/// The bytes of a `ResourceSpans` beside its scopes, with tags and lengths at their longest.
fn around_scopes(index: &Index, resource: &ResourceEntry) -> usize {
    let scopes: usize = scopes_of(index, resource)
        .iter()
        .map(|scope| scope.field.len())
        .sum();
    resource
        .message
        .len()
        .saturating_sub(scopes)
        .saturating_add(LEVELS_BYTES_MAX)
}

/// The bytes of a `ScopeSpans` beside its spans, with tags and lengths at their longest.
fn around_spans(body: &[u8], scope: &ScopeEntry) -> usize {
    let spans: usize = super::Fields::of(scope.message.of(body))
        .flatten()
        .filter(|field| field.number == otlp::scope_spans::SPANS)
        .map(|field| field.end.saturating_sub(field.start))
        .sum();
    scope
        .message
        .len()
        .saturating_sub(spans)
        .saturating_add(LEVELS_BYTES_MAX)
}
