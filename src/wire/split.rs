//! Makes messages smaller: pieces within limits, cut at `ResourceSpans`, `ScopeSpans` or span borders, resource and scope
//! repeated.

use bytes::Bytes;

use super::{
    Wanted,
    count::count,
    emit::{Emitter, Keep},
    fields::Fields,
    index::{Index, Range32, ResourceEntry, ScopeEntry, SpanEntry},
    scan::{Checks, scan},
};
use crate::otlp::{self, FieldNumber};

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
    let mut writer = Writer::new(&body, &index);
    Pieces {
        pieces: cutter.cuts.iter().map(|cut| writer.piece(cut)).collect(),
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

/// Tags and lengths of a span, its scope and its resource, at their longest.
const LEVELS_BYTES_MAX: usize = 48;

#[derive(Clone, Copy, Debug)]
struct Limits {
    spans_max: u64,
    bytes_max: usize,
}

/// A piece to be: which spans of which scopes of which resources.
#[derive(Clone, Copy, Debug, Default)]
struct Cut {
    spans: Range32,
    scopes: Range32,
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
            let scopes = scopes_of(index, resource);
            for (scope_at, scope) in (resource.scopes.start..).zip(scopes) {
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
                    self.add([resource_at, scope_at, span_at], bytes);
                }
            }
        }
        self.cut();
    }

    fn fits(&self, bytes: usize) -> bool {
        (self.open.spans.len() as u64) < self.limits.spans_max
            && self.open.bytes.saturating_add(bytes) <= self.limits.bytes_max
    }

    /// Adds a span, given by its place, its scope's and its resource's.
    fn add(&mut self, [resource, scope, span]: [u32; 3], bytes: usize) {
        let open = &mut self.open;
        if open.spans.is_empty() {
            open.spans.start = span;
            open.scopes.start = scope;
            open.resources.start = resource;
        }
        open.spans.end = span.saturating_add(1);
        open.scopes.end = scope.saturating_add(1);
        open.resources.end = resource.saturating_add(1);
        open.bytes = open.bytes.saturating_add(bytes);
    }

    fn cut(&mut self) {
        let cut = std::mem::take(&mut self.open);
        if !cut.spans.is_empty() {
            self.cuts.push(cut);
        }
    }
}

/// Writes pieces. What stands around the spans of a scope and the scopes of a resource goes into each of their pieces: it is
/// gathered once, since a stranger may have made a scope of half a million spans.
struct Writer<'a> {
    body: &'a Bytes,
    index: &'a Index,
    around_scopes: Around,
    around_spans: Around,
}

/// What stands around the parts of one message.
#[derive(Default)]
struct Around {
    message: Range32,
    bytes: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn new(body: &'a Bytes, index: &'a Index) -> Self {
        Self {
            body,
            index,
            around_scopes: Around::default(),
            around_spans: Around::default(),
        }
    }

    fn piece(&mut self, cut: &Cut) -> Piece {
        let mut out = Emitter::new(self.body, Keep::Share, PIECE_CAPACITY, usize::MAX);
        let resources = self.index.resources.get(cut.resources.indices());
        for resource in resources.unwrap_or_default().iter().rev() {
            self.resource(cut, resource, &mut out);
        }
        let segments = out.finish().segments;
        Piece {
            bytes: segments.iter().map(Bytes::len).sum(),
            segments,
            spans: cut.spans.len() as u64,
        }
    }

    fn resource(&mut self, cut: &Cut, resource: &ResourceEntry, out: &mut Emitter<'_>) {
        let scopes = overlap(resource.scopes, cut.scopes);
        let scopes = self.index.scopes.get(scopes.indices()).unwrap_or_default();
        let has_spans = |scope: &ScopeEntry| !overlap(scope.spans, cut.spans).is_empty();
        if !scopes.iter().any(has_spans) {
            return;
        }
        let end = out.mark();
        let beside = [
            otlp::resource_spans::SCOPE_SPANS,
            otlp::resource_spans::RESOURCE,
        ];
        let around = self
            .around_scopes
            .gather(self.body, resource.message, &beside);
        out.out().bytes(around);
        for scope in scopes.iter().rev().filter(|scope| has_spans(scope)) {
            self.scope(cut, scope, out);
        }
        if resource.resource.is_present() {
            let resource_end = out.mark();
            out.part(resource.resource);
            out.close(otlp::resource_spans::RESOURCE, resource_end);
        }
        out.close(otlp::request::RESOURCE_SPANS, end);
    }

    fn scope(&mut self, cut: &Cut, scope: &ScopeEntry, out: &mut Emitter<'_>) {
        let spans = overlap(scope.spans, cut.spans);
        let spans = self.index.spans.get(spans.indices()).unwrap_or_default();
        let scope_end = out.mark();
        for span in spans.iter().rev() {
            out.part(span.field);
        }
        let beside = [otlp::scope_spans::SPANS];
        let around = self.around_spans.gather(self.body, scope.message, &beside);
        out.out().bytes(around);
        out.close(otlp::resource_spans::SCOPE_SPANS, scope_end);
    }
}

impl Around {
    /// The fields of `message`, a range of `body`, but those with one of `numbers`.
    fn gather(&mut self, body: &[u8], message: Range32, numbers: &[FieldNumber]) -> &[u8] {
        if self.message != message {
            self.message = message;
            self.bytes.clear();
            let message = message.of(body);
            for field in Fields::of(message).readable() {
                if !numbers.contains(&field.number) {
                    self.bytes.extend_from_slice(field.raw(message));
                }
            }
        }
        &self.bytes
    }
}

fn overlap(one: Range32, other: Range32) -> Range32 {
    Range32 {
        start: one.start.max(other.start),
        end: one.end.min(other.end),
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
    let spans: usize = Fields::of(scope.message.of(body))
        .readable()
        .filter(|field| field.number == otlp::scope_spans::SPANS)
        .map(|field| field.end.saturating_sub(field.start))
        .sum();
    scope
        .message
        .len()
        .saturating_sub(spans)
        .saturating_add(LEVELS_BYTES_MAX)
}
