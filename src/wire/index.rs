//! Where everything in a request is: ranges of its body, in plain vectors that are allocated once.
//!
//! It is made by [`super::scan`] only, and what it lists is walked without errors.

use super::fields::Field;

/// A range of a body. Bodies are at most 64 MiB, so 32 bits do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range32 {
    /// The first byte.
    pub start: u32,
    /// One after the last byte.
    pub end: u32,
}

/// How many parts a request has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `ResourceSpans`.
    pub resources: usize,
    /// `ScopeSpans`.
    pub scopes: usize,
    /// Spans, usable or not.
    pub spans: usize,
    /// Spans that are long enough to hold both ids: no others are ever indexed, so empty spans cost no memory.
    pub indexed_max: usize,
    /// A `resource` or `scope` occurs twice where one is meant: legal, and joined by [`super::join_repeated`].
    pub repeated: bool,
}

/// One `ResourceSpans`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceEntry {
    /// The field with its tag and length.
    pub field: Range32,
    /// The message in it.
    pub message: Range32,
    /// The `Resource` message; not present when there is none.
    pub resource: Range32,
    /// The schema URL; not present when there is none.
    pub schema_url: Range32,
    /// Its scopes in [`Index::scopes`].
    pub scopes: Range32,
    /// It has fields that this relay does not know.
    pub unknown_fields: bool,
    /// Its resource bytes and schema URL are those of the one before, and neither has unknown fields: both may be one.
    pub repeats: bool,
}

/// One `ScopeSpans`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeEntry {
    /// The field with its tag and length.
    pub field: Range32,
    /// The message in it.
    pub message: Range32,
    /// The `InstrumentationScope` message; not present when there is none.
    pub scope: Range32,
    /// Where the fields of all its spans are, if nothing stands between them, as nearly always.
    pub span_fields: Option<Range32>,
    /// Its usable spans in [`Index::spans`].
    pub spans: Range32,
    /// It has spans that are not usable.
    pub incomplete: bool,
}

/// One usable span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanEntry {
    /// The field with its tag and length.
    pub field: Range32,
    /// Where the message in it starts; it ends with the field.
    pub message_at: u32,
    /// Where the 16 bytes of the trace id start.
    pub trace_id_at: u32,
    /// Where the 8 bytes of the span id start.
    pub span_id_at: u32,
    /// The tracestate; empty when there is none.
    pub trace_state: Range32,
    /// The name; empty when there is none.
    pub name: Range32,
}

/// Spans that are left out, by what is wrong with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unusable {
    /// An id of another length than OTLP has, or of zeros only.
    pub ids: u64,
    /// Broken inside, or their resource or scope is.
    pub broken: u64,
    /// Alone, with their resource and scope, over the size limit of a message.
    pub too_large: u64,
}

/// Where everything is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// In the order of the body.
    pub resources: Vec<ResourceEntry>,
    /// In the order of the body.
    pub scopes: Vec<ScopeEntry>,
    /// In the order of the body.
    pub spans: Vec<SpanEntry>,
    /// What is not in `spans`.
    pub unusable: Unusable,
}

// === impl Counts, Unusable, ResourceEntry, Range32 ===

impl Counts {
    /// The bytes that the index of such a request takes.
    pub fn index_bytes(&self) -> usize {
        let resources = self.resources.saturating_mul(size_of::<ResourceEntry>());
        let scopes = self.scopes.saturating_mul(size_of::<ScopeEntry>());
        let spans = self.indexed_max.saturating_mul(size_of::<SpanEntry>());
        resources.saturating_add(scopes).saturating_add(spans)
    }
}

impl Unusable {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.ids
            .saturating_add(self.broken)
            .saturating_add(self.too_large)
    }
}

impl ResourceEntry {
    /// Whether it may be one with `other`, an entry of the same `body`. Milvus' C++ part sends one `ResourceSpans` a span.
    pub(super) fn is_as(&self, other: &Self, body: &[u8]) -> bool {
        !self.unknown_fields
            && !other.unknown_fields
            && self.resource.of(body) == other.resource.of(body)
            && self.schema_url.of(body) == other.schema_url.of(body)
    }
}

impl Range32 {
    /// The field with its tag and length.
    #[inline]
    pub(super) fn of_field(field: &Field<'_>) -> Self {
        Self::new(field.start, field.end)
    }

    /// The value in the field.
    #[inline]
    pub(super) fn of_value(field: &Field<'_>) -> Self {
        Self::new(field.value_start(), field.end)
    }

    #[inline]
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self {
            start: narrow(start),
            end: narrow(end),
        }
    }

    /// The bytes of `whole` that it names.
    #[inline]
    pub fn of<'a>(&self, whole: &'a [u8]) -> &'a [u8] {
        whole.get(self.indices()).unwrap_or_default()
    }

    /// What of it stands before `inner`, a part of it, and what stands behind.
    #[inline]
    pub fn around(&self, inner: Self) -> (Self, Self) {
        let (start, end) = (self.start, self.end);
        let before = Self {
            start,
            end: inner.start,
        };
        let behind = Self {
            start: inner.end,
            end,
        };
        (before, behind)
    }

    /// As indices.
    #[inline]
    pub fn indices(&self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// How long it is.
    #[inline]
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether it names a part of a body at all, be it an empty one: no part starts at 0, where its tag would be.
    #[inline]
    pub fn is_present(&self) -> bool {
        self.end != 0
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Offsets into a body; the receivers' limit of 64 MiB keeps them far below 32 bits.
#[inline]
fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}
