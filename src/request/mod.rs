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
        self, Checks, Index, ResourceEntry, ResourceView, ScopeEntry, ScopeView, SpanEntry,
        SpanView, Unusable,
    },
};

/// What the steps note about each span beside its index entry, in bytes (`processor` asserts it); paid for together with
/// the index.
pub const NOTES_BYTES_PER_SPAN: usize = 24;

/// A scanned request.
#[derive(Debug)]
pub struct Request {
    body: Bytes,
    index: Index,
    permit: Permit,
}

/// Why there is no [`Request`], and how many spans the body held as far as it could be read.
#[derive(Debug)]
pub struct NotAdmitted {
    /// What the client is told.
    pub refusal: Refusal,
    /// Spans to book as refused; 0 for a body that is no OTLP.
    pub spans: u64,
}

impl Request {
    /// The only door: checks `body`, a whole and decompressed `ExportTraceServiceRequest`, and indexes its spans. The index
    /// is paid for by `permit`, which waits for room until `deadline`. Spans that are not usable are counted and not indexed.
    pub async fn admit(
        body: Bytes,
        mut permit: Permit,
        checks: &Checks,
        deadline: Instant,
    ) -> Result<Self, NotAdmitted> {
        let counts = wire::count(&body).map_err(|_| NotAdmitted::malformed(&body))?;
        let index_bytes = counts.index_bytes() + counts.indexed_max * NOTES_BYTES_PER_SPAN;
        if let Err(denied) = permit.grow(index_bytes, deadline).await {
            return Err(NotAdmitted::denied(denied, counts.spans, index_bytes));
        }
        let body = if counts.repeated {
            wire::join_repeated(&body)
        } else {
            body
        };
        let index =
            wire::scan(&body, &counts, checks).map_err(|_| NotAdmitted::malformed(&body))?;
        Ok(Self {
            body,
            index,
            permit,
        })
    }

    /// The body, which all ranges of the index count from.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Where everything is.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Adds `more` bytes to its permit, for what is made of it; waits until `deadline`.
    pub async fn claim(&mut self, more: usize, deadline: Instant) -> Result<(), Denied> {
        self.permit.grow(more, deadline).await
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

impl NotAdmitted {
    fn malformed(body: &[u8]) -> Self {
        let message = format!(
            "the body of {} bytes is no ExportTraceServiceRequest: its protobuf framing is broken above its spans",
            body.len()
        );
        Self {
            refusal: Refusal::new(Reason::Malformed, message),
            spans: 0,
        }
    }

    fn denied(denied: Denied, spans: usize, index_bytes: usize) -> Self {
        let refusal = match denied {
            Denied::Full => Refusal::new(
                Reason::Full,
                "no room in the budget for the index of the request's spans: come again",
            ),
            Denied::NeverFits => Refusal::new(
                Reason::TooLarge,
                format!(
                    "{spans} spans need {index_bytes} bytes of index, more than budget.bytes allows: send fewer spans in one request",
                ),
            ),
        };
        Self {
            refusal,
            spans: spans as u64,
        }
    }
}
