//! Traces as documents for people: decoded with the generated types, ids in hexadecimal, times and durations in words.
//!
//! This is a cold path: it runs when somebody looks, outside of any lock.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{
        Span, TracesData,
        span::{Event, Link},
    },
};
use prost::{Message, encoding::encode_varint};
use serde::Serialize;
use serde_json::{Map, json};

use super::{
    sample::Messages,
    time::rfc3339,
    trace::{RequestNote, StoredSpan, Trace, TraceId},
};
use crate::{otlp, wire};

/// One line of the list of traces.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Hexadecimal.
    pub trace_id: String,
    /// The name of its root, or of its earliest span.
    pub name: String,
    /// The services that sent spans.
    pub services: Vec<String>,
    /// When its earliest span started.
    pub started_at: String,
    /// From its earliest start to its latest end.
    pub duration_ms: f64,
    /// Spans in the store.
    pub span_count: usize,
    /// Those that sampling kept.
    pub kept: usize,
    /// Those that sampling dropped.
    pub sampled_out: usize,
    /// Those with an error.
    pub errors: usize,
    /// Whether all spans that passed are here, as far as can be told.
    pub whole: bool,
}

/// A trace in full.
#[derive(Clone, Debug, Serialize)]
pub struct TraceDocument {
    /// What the list says of it.
    #[serde(flatten)]
    pub summary: Summary,
    /// Spans that were left out because the trace is too large.
    pub left_out: u64,
    /// The requests that brought its spans.
    pub requests: Vec<RequestDocument>,
    /// By their start.
    pub spans: Vec<SpanDocument>,
}

/// A request that brought spans.
#[derive(Clone, Debug, Serialize)]
pub struct RequestDocument {
    /// Its number since the start.
    pub request: u64,
    /// When it passed.
    pub received_at: String,
    /// What each destination answered so far.
    pub answers: Vec<AnswerDocument>,
}

/// What a destination answered.
#[derive(Clone, Debug, Serialize)]
pub struct AnswerDocument {
    /// Its name.
    pub destination: String,
    /// Its answer in words.
    pub answer: String,
}

/// A span.
#[derive(Clone, Debug, Serialize)]
pub struct SpanDocument {
    /// Hexadecimal.
    pub span_id: String,
    /// Hexadecimal; none for a root.
    pub parent_span_id: Option<String>,
    /// Its name.
    pub name: String,
    /// Who sent it.
    pub service: String,
    /// `internal`, `server`, `client`, `producer`, `consumer` or `unspecified`.
    pub kind: &'static str,
    /// When it started.
    pub started_at: String,
    /// How long it took.
    pub duration_ms: f64,
    /// `unset`, `ok` or `error`.
    pub status: &'static str,
    /// What the status says.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status_message: String,
    /// `kept` or `sampled_out`; none when it is not known.
    pub decision: Option<&'static str>,
    /// The policy that decided.
    pub rule: Option<String>,
    /// The number of the request that brought it.
    pub request: Option<u64>,
    /// Its tracestate.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trace_state: String,
    /// Its attributes.
    pub attributes: Map<String, serde_json::Value>,
    /// Its events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<serde_json::Value>,
    /// Its links.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<serde_json::Value>,
    /// The name of its scope.
    pub scope: String,
    /// The attributes of its resource.
    pub resource: Map<String, serde_json::Value>,
    #[serde(skip)]
    start: u64,
    #[serde(skip)]
    end: u64,
}

/// A trace id as people write it: 32 hexadecimal digits.
pub fn parse_trace_id(text: &str) -> Option<TraceId> {
    if text.len() != 2 * otlp::TRACE_ID_BYTES || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    Some(u128::from_str_radix(text, 16).ok()?.to_be_bytes())
}

// === impl Summary, TraceDocument ===

impl Summary {
    pub(super) fn of(id: &TraceId, trace: &Trace) -> Self {
        Self::of_spans(id, trace, &documents(trace))
    }

    fn of_spans(id: &TraceId, trace: &Trace, spans: &[SpanDocument]) -> Self {
        let root = spans.iter().find(|span| span.parent_span_id.is_none());
        let start = spans.first().map_or(0, |span| span.start);
        let end = spans.iter().map(|span| span.end).max().unwrap_or(0);
        let kept = trace.spans.iter().filter(|span| span.is_kept()).count();
        Self {
            trace_id: hex(id),
            name: root
                .or(spans.first())
                .map_or_else(String::new, |span| span.name.clone()),
            services: trace.services.iter().map(ToString::to_string).collect(),
            started_at: nanos_rfc3339(start),
            duration_ms: milliseconds(end.saturating_sub(start)),
            span_count: trace.spans.len(),
            kept,
            sampled_out: trace.spans.len() - kept,
            errors: spans.iter().filter(|span| span.status == "error").count(),
            whole: trace.whole,
        }
    }
}

impl TraceDocument {
    pub(super) fn of(id: &TraceId, trace: &Trace, requests: &[RequestNote]) -> Self {
        let spans = documents(trace);
        Self {
            summary: Summary::of_spans(id, trace, &spans),
            left_out: trace.left_out,
            requests: requests.iter().map(RequestDocument::of).collect(),
            spans,
        }
    }
}

impl RequestDocument {
    fn of(note: &RequestNote) -> Self {
        let answers = note.answers.iter().map(|answer| AnswerDocument {
            destination: answer.destination.to_string(),
            answer: answer.text.to_string(),
        });
        Self {
            request: note.id.0,
            received_at: rfc3339(note.received_at),
            answers: answers.collect(),
        }
    }
}

/// The spans of a trace by their start.
fn documents(trace: &Trace) -> Vec<SpanDocument> {
    let mut spans: Vec<SpanDocument> = trace.spans.iter().map(SpanDocument::of).collect();
    spans.sort_by_key(|span| span.start);
    spans
}

// === impl SpanDocument ===

impl SpanDocument {
    fn of(stored: &StoredSpan) -> Self {
        let (resource, scope, span) = decode(stored.messages());
        let status = span.status.unwrap_or_default();
        let decided = stored.decided.as_ref();
        Self {
            span_id: hex(&span.span_id),
            parent_span_id: (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id)),
            name: span.name,
            service: service(&resource),
            kind: kind_word(span.kind),
            started_at: nanos_rfc3339(span.start_time_unix_nano),
            duration_ms: milliseconds(
                span.end_time_unix_nano
                    .saturating_sub(span.start_time_unix_nano),
            ),
            status: status_word(status.code),
            status_message: status.message,
            decision: decided.map(|decided| if decided.kept { "kept" } else { "sampled_out" }),
            rule: decided.map(|decided| decided.rule.to_string()),
            request: stored.request.map(|request| request.0),
            trace_state: span.trace_state,
            attributes: attributes(span.attributes),
            events: span.events.into_iter().map(event).collect(),
            links: span.links.into_iter().map(link).collect(),
            scope: scope.name,
            resource: attributes(resource.attributes),
            start: span.start_time_unix_nano,
            end: span.end_time_unix_nano,
        }
    }
}

/// Decodes a span with its resource and scope. What nobody reads on the way passes broken UTF-8; for people it is repaired
/// as it would be for a destination, and what cannot be repaired is shown empty.
fn decode(messages: Messages<'_>) -> (Resource, InstrumentationScope, Span) {
    let request = as_request(messages);
    let data = TracesData::decode(request.clone())
        .or_else(|_| TracesData::decode(repaired(request)))
        .unwrap_or_default();
    let resource_spans = data.resource_spans.into_iter().next().unwrap_or_default();
    let scope_spans = resource_spans.scope_spans.into_iter().next();
    let scope_spans = scope_spans.unwrap_or_default();
    (
        resource_spans.resource.unwrap_or_default(),
        scope_spans.scope.unwrap_or_default(),
        scope_spans.spans.into_iter().next().unwrap_or_default(),
    )
}

fn repaired(request: Bytes) -> Bytes {
    wire::repair(&[request]).segments.concat().into()
}

fn as_request(messages: Messages<'_>) -> Bytes {
    let scope_spans = [
        field(otlp::scope_spans::SCOPE, messages.scope),
        field(otlp::scope_spans::SPANS, messages.span),
    ];
    let resource_spans = [
        field(otlp::resource_spans::RESOURCE, messages.resource),
        field(otlp::resource_spans::SCOPE_SPANS, &scope_spans.concat()),
    ];
    field(otlp::request::RESOURCE_SPANS, &resource_spans.concat()).into()
}

/// A field with a length.
fn field(number: otlp::FieldNumber, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 11);
    encode_varint(u64::from(number << 3 | 2), &mut out);
    encode_varint(value.len() as u64, &mut out);
    out.extend_from_slice(value);
    out
}

// === words ===

fn service(resource: &Resource) -> String {
    let name = resource
        .attributes
        .iter()
        .find(|attribute| attribute.key == otlp::SERVICE_NAME);
    match name.and_then(|name| name.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(name)) => name.clone(),
        _ => String::new(),
    }
}

fn attributes(attributes: Vec<KeyValue>) -> Map<String, serde_json::Value> {
    attributes
        .into_iter()
        .map(|attribute| (attribute.key, value(attribute.value)))
        .collect()
}

fn event(event: Event) -> serde_json::Value {
    json!({
        "name": event.name,
        "at": nanos_rfc3339(event.time_unix_nano),
        "attributes": attributes(event.attributes),
    })
}

fn link(link: Link) -> serde_json::Value {
    json!({
        "trace_id": hex(&link.trace_id),
        "span_id": hex(&link.span_id),
        "attributes": attributes(link.attributes),
    })
}

/// The depth is bounded by the decoder, which refuses more than a hundred levels.
fn value(any: Option<AnyValue>) -> serde_json::Value {
    match any.and_then(|any| any.value) {
        Some(Value::StringValue(text)) => text.into(),
        Some(Value::BoolValue(truth)) => truth.into(),
        Some(Value::IntValue(number)) => number.into(),
        Some(Value::DoubleValue(number)) if number.is_finite() => number.into(),
        Some(Value::DoubleValue(number)) => number.to_string().into(),
        Some(Value::ArrayValue(list)) => {
            let values = list.values.into_iter().map(|any| value(Some(any)));
            values.collect()
        }
        Some(Value::KvlistValue(list)) => attributes(list.values).into(),
        Some(Value::BytesValue(bytes)) => hex(&bytes).into(),
        _ => serde_json::Value::Null,
    }
}

fn kind_word(kind: i32) -> &'static str {
    match kind {
        1 => "internal",
        2 => "server",
        3 => "client",
        4 => "producer",
        5 => "consumer",
        _ => "unspecified",
    }
}

fn status_word(code: i32) -> &'static str {
    match code {
        1 => "ok",
        2 => "error",
        _ => "unset",
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0x0f])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

fn nanos_rfc3339(nanos: u64) -> String {
    rfc3339(SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a duration for people; exact up to 104 days"
)]
fn milliseconds(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
