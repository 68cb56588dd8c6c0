//! One trace in the store: its spans as bytes, who sent them, what was decided and answered.
//!
//! Nothing is decoded here but ids and service names; `readable` does that when somebody looks.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    sample::{Messages, SampleId},
    shelf::Arrival,
};
use crate::{
    otlp::{self, SPAN_ID_BYTES, TRACE_ID_BYTES},
    wire::{Fields, ResourceView, WireType},
};

/// The id of a trace.
pub type TraceId = [u8; TRACE_ID_BYTES];

/// Services that are noted of one trace, for looking them up.
const SERVICES_MAX: usize = 32;
/// A service's name is cut to this many bytes.
const SERVICE_BYTES_MAX: usize = 128;

/// A trace.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    /// Its place in the order of touches.
    pub(super) touch: u64,
    pub(super) touched_at: Instant,
    /// What it takes in the store, its requests' share included.
    pub(super) bytes: usize,
    /// Whether all its spans that passed are here, as far as can be told.
    pub(super) whole: bool,
    /// Spans that were left out because the trace is too large.
    pub(super) left_out: u64,
    pub(super) spans: Vec<StoredSpan>,
    pub(super) requests: Vec<SampleId>,
    pub(super) services: Vec<Box<str>>,
    /// All spans before this one are delivered, or were sampled out.
    undelivered_from: usize,
    /// The resource and scope of the last span that was delivered.
    delivered: Option<(Bytes, Bytes)>,
}

/// A span.
#[derive(Clone, Debug)]
pub(super) struct StoredSpan {
    pub(super) resource: Bytes,
    pub(super) scope: Bytes,
    pub(super) message: Bytes,
    pub(super) decided: Option<Decided>,
    pub(super) request: Option<SampleId>,
    /// Whether it reached the store as a destination.
    pub(super) delivered: bool,
}

/// What sampling decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) kept: bool,
    pub(super) rule: Arc<str>,
}

/// A request that brought spans of a trace.
#[derive(Clone, Debug)]
pub(super) struct RequestNote {
    pub(super) id: SampleId,
    pub(super) received_at: SystemTime,
    pub(super) answers: Vec<Answer>,
}

/// What a destination answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) destination: Arc<str>,
    pub(super) text: Box<str>,
}

impl Trace {
    pub(super) fn new(touch: u64, touched_at: Instant, whole: bool, bytes: usize) -> Self {
        Self {
            touch,
            touched_at,
            bytes,
            whole,
            left_out: 0,
            spans: Vec::new(),
            requests: Vec::new(),
            services: Vec::new(),
            undelivered_from: 0,
            delivered: None,
        }
    }

    /// The bytes of messages that a span would add: its resource and scope are shared with its neighbour's.
    pub(super) fn missing_bytes(&self, messages: Messages<'_>) -> usize {
        missing(self.neighbour(), messages) + messages.span.len()
    }

    /// Puts a span in.
    pub(super) fn push(&mut self, arrival: &Arrival<'_>, delivered: bool) {
        let messages = arrival.messages;
        self.note_service(messages.resource);
        let (resource, scope) = shared(self.neighbour(), messages);
        self.spans.push(StoredSpan {
            resource,
            scope,
            message: Bytes::copy_from_slice(messages.span),
            decided: arrival.decided.clone(),
            request: arrival.request.map(|(id, _)| id),
            delivered,
        });
    }

    /// Puts a delivered span in the place of the same one as it passed. False when there is none.
    pub(super) fn replace(&mut self, messages: Messages<'_>) -> bool {
        let waits = |span: &StoredSpan| !span.delivered && span.is_kept();
        while self
            .spans
            .get(self.undelivered_from)
            .is_some_and(|span| !waits(span))
        {
            self.undelivered_from += 1;
        }
        let id = span_id(messages.span);
        let rest = &mut self.spans[self.undelivered_from..];
        let Some(span) = rest
            .iter_mut()
            .find(|span| waits(span) && span_id(&span.message) == id)
        else {
            return false;
        };
        let neighbour = self
            .delivered
            .as_ref()
            .map(|(resource, scope)| (resource, scope));
        self.bytes += missing(neighbour, messages) + messages.span.len();
        // Its old resource and scope may be shared with others: their bytes stay accounted until the trace goes.
        self.bytes -= span.message.len();
        (span.resource, span.scope) = shared(neighbour, messages);
        self.delivered = Some((span.resource.clone(), span.scope.clone()));
        span.message = Bytes::copy_from_slice(messages.span);
        span.delivered = true;
        true
    }

    fn neighbour(&self) -> Option<(&Bytes, &Bytes)> {
        let last = self.spans.last()?;
        Some((&last.resource, &last.scope))
    }

    fn note_service(&mut self, resource: &[u8]) {
        if self
            .neighbour()
            .is_some_and(|(earlier, _)| *earlier == resource)
        {
            return;
        }
        let name = ResourceView { message: resource }.service_name();
        let name = String::from_utf8_lossy(&name[..name.len().min(SERVICE_BYTES_MAX)]);
        let is_new = !self.services.iter().any(|known| **known == *name);
        if is_new && self.services.len() < SERVICES_MAX {
            self.services.push(name.into());
        }
    }
}

impl StoredSpan {
    /// Whether sampling kept it; what came as to a destination was kept.
    pub(super) fn is_kept(&self) -> bool {
        self.decided.as_ref().is_none_or(|decided| decided.kept)
    }

    pub(super) fn messages(&self) -> Messages<'_> {
        Messages {
            resource: &self.resource,
            scope: &self.scope,
            span: &self.message,
        }
    }
}

/// The bytes of `messages`' resource and scope that `neighbour` does not have already.
fn missing(neighbour: Option<(&Bytes, &Bytes)>, messages: Messages<'_>) -> usize {
    let part = |earlier: Option<&Bytes>, message: &[u8]| match earlier {
        Some(earlier) if *earlier == message => 0,
        _ => message.len(),
    };
    part(neighbour.map(|(resource, _)| resource), messages.resource)
        + part(neighbour.map(|(_, scope)| scope), messages.scope)
}

/// The resource and scope of `messages`, as the slices that `neighbour` has where they are the same.
fn shared(neighbour: Option<(&Bytes, &Bytes)>, messages: Messages<'_>) -> (Bytes, Bytes) {
    let part = |earlier: Option<&Bytes>, message: &[u8]| match earlier {
        Some(earlier) if *earlier == message => earlier.clone(),
        _ => Bytes::copy_from_slice(message),
    };
    (
        part(neighbour.map(|(resource, _)| resource), messages.resource),
        part(neighbour.map(|(_, scope)| scope), messages.scope),
    )
}

/// The trace id of a span, where it has a usable one.
pub(super) fn trace_id(span: &[u8]) -> Option<TraceId> {
    last(span, otlp::span::TRACE_ID)?.try_into().ok()
}

fn span_id(span: &[u8]) -> Option<[u8; SPAN_ID_BYTES]> {
    last(span, otlp::span::SPAN_ID)?.try_into().ok()
}

fn last(message: &[u8], number: otlp::FieldNumber) -> Option<&[u8]> {
    Fields::of(message)
        .flatten()
        .filter(|field| (field.number, field.wire_type) == (number, WireType::Len))
        .last()
        .map(|field| field.value)
}
