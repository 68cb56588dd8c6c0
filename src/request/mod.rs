//! A request that passed the door: its body, where its spans are, and the permit that pays for both.
//!
//! It decides nothing about spans. Invariant: only [`Request::admit`] makes one, after a scan, so no later step can fail for
//! framing.

mod refusal;

use bytes::Bytes;
use tokio::time::Instant;

pub use refusal::{MESSAGE_BYTES_MAX, Reason, Refusal, Row};

use crate::{
    budget::{Denied, Permit},
    wire::{
        self, Checks, Counting, Counts, Index, ResourceEntry, ResourceView, ScopeEntry, ScopeView,
        SpanEntry, SpanView, Unusable,
    },
};

/// What the steps note about each span beside its index entry, in bytes (`processor` asserts it); paid for together with
/// the index.
pub const NOTES_BYTES_PER_SPAN: usize = 24;

/// A body whose parts have been counted: how many spans it holds is known from here on, whatever becomes of it.
#[derive(Debug)]
pub struct Counted {
    body: Bytes,
    counts: Counts,
    permit: Permit,
}

/// A scanned request.
#[derive(Debug)]
pub struct Request {
    body: Bytes,
    /// The bytes that the body keeps alive: its buffer may be larger.
    body_bytes: usize,
    index: Index,
    permit: Permit,
}

impl Counted {
    /// Checks the framing of `body`, a whole and decompressed `ExportTraceServiceRequest`, down to its spans. `permit` pays for
    /// the buffer that the body is in.
    pub fn new(body: Bytes, permit: Permit) -> Result<Self, Refusal> {
        Self::counted_on(Counting::default(), body, permit)
    }

    /// The same where `counting` has seen the beginning of the body, or all of it.
    pub fn counted_on(counting: Counting, body: Bytes, permit: Permit) -> Result<Self, Refusal> {
        match counting.finish(&body) {
            Ok(counts) => Ok(Self {
                body,
                counts,
                permit,
            }),
            Err(_) => Err(malformed(&body)),
        }
    }

    /// The spans of the body, usable or not.
    pub fn spans(&self) -> u64 {
        self.counts.spans as u64
    }

    /// The bytes of the index and of what the steps note beside it.
    fn index_bytes(&self) -> usize {
        self.counts.index_bytes() + self.counts.indexed_max * NOTES_BYTES_PER_SPAN
    }
}

impl Request {
    /// The only door: indexes the spans of a body. What that takes is paid for by its permit, which waits for room until
    /// `deadline`. Spans that are not usable are counted and not indexed.
    pub async fn admit(
        counted: Counted,
        checks: &Checks,
        deadline: Instant,
    ) -> Result<Self, Refusal> {
        let index_bytes = counted.index_bytes();
        let Counted {
            mut body,
            counts,
            mut permit,
        } = counted;
        let denied = |denied| refusal_of(denied, counts.spans, index_bytes);
        let mut body_bytes = permit.bytes();
        permit.grow(index_bytes, deadline).await.map_err(denied)?;
        if counts.repeated {
            permit.grow(body.len(), deadline).await.map_err(denied)?;
            let surplus = body_bytes;
            body_bytes = body.len();
            body = wire::join_repeated(&body).into();
            permit.shrink_to(permit.bytes() - surplus);
        }
        let index = wire::scan(&body, &counts, checks).map_err(|_| malformed(&body))?;
        Ok(Self {
            body,
            body_bytes,
            index,
            permit,
        })
    }

    /// The body, which all ranges of the index count from.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The bytes that whoever holds a slice of the body keeps alive.
    pub fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Where everything is.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Adds `more` bytes to its permit, for what is made of it; waits until `deadline`.
    pub async fn claim(&mut self, more: usize, deadline: Instant) -> Result<(), Denied> {
        self.permit.grow(more, deadline).await
    }

    /// As [`Self::claim`], or all that the empty budget has; returns by how many bytes.
    pub async fn claim_up_to(&mut self, more: usize, deadline: Instant) -> Result<usize, Denied> {
        self.permit.grow_up_to(more, deadline).await
    }

    /// The permit, for what was made of the request.
    pub fn into_permit(self) -> Permit {
        self.permit
    }

    /// The spans of the body, usable or not.
    pub fn received(&self) -> u64 {
        self.index.spans.len() as u64 + self.index.unusable.total()
    }

    /// The spans that are not usable.
    pub fn unusable(&self) -> Unusable {
        self.index.unusable
    }

    /// A resource.
    pub fn resource(&self, entry: &ResourceEntry) -> ResourceView<'_> {
        ResourceView {
            message: entry.resource.of(&self.body),
        }
    }

    /// A scope.
    pub fn scope(&self, entry: &ScopeEntry) -> ScopeView<'_> {
        ScopeView {
            message: entry.scope.of(&self.body),
        }
    }

    /// The scopes of a resource.
    pub fn scopes_of(&self, entry: &ResourceEntry) -> &[ScopeEntry] {
        &self.index.scopes[entry.scopes.indices()]
    }

    /// The usable spans of a scope.
    pub fn spans_of(&self, entry: &ScopeEntry) -> &[SpanEntry] {
        &self.index.spans[entry.spans.indices()]
    }

    /// A span.
    #[inline]
    pub fn span(&self, entry: &SpanEntry) -> SpanView<'_> {
        SpanView {
            message: &self.body[entry.message_at as usize..entry.field.end as usize],
            trace_id: id_at(&self.body, entry.trace_id_at),
            span_id: id_at(&self.body, entry.span_id_at),
            trace_state: entry.trace_state.of(&self.body),
            name: entry.name.of(&self.body),
        }
    }
}

#[inline]
fn id_at<const LENGTH: usize>(body: &[u8], at: u32) -> &[u8; LENGTH] {
    body[at as usize..]
        .first_chunk()
        .expect("the scan found a whole id here")
}

fn malformed(body: &[u8]) -> Refusal {
    let message = format!(
        "the body of {} bytes is no ExportTraceServiceRequest, its protobuf framing is broken above its spans: send OTLP traces as protobuf, or say in the content type what it is",
        body.len()
    );
    Refusal::new(Reason::Malformed, message)
}

fn refusal_of(denied: Denied, spans: usize, index_bytes: usize) -> Refusal {
    match denied {
        Denied::Full => Refusal::new(
            Reason::Full,
            "no room in the budget for the index of the request's spans: come again; if it stays so, raise budget.bytes",
        ),
        Denied::NeverFits => Refusal::new(
            Reason::TooLarge,
            format!(
                "{spans} spans need {index_bytes} bytes of index, more than budget.bytes allows: send fewer spans in one request, or raise it",
            ),
        ),
    }
}
