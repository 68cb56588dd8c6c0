//! A list in YAML, and a request written anew by it, the way a processor does that keeps everything.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message;
use sha2::Sha256;

use crate::{
    document::{self, Findings},
    enrichment::{Editing, Enricher},
    otlp,
    wire::{Fields, Prepend, ResourceView, ScopeView, SpanView, WireType},
};

pub(super) const HASH_KEY: &[u8] = b"0123456789abcdef0123456789abcdef\n";

/// The list and what was found wrong with it.
pub(super) fn read(yaml: &str, hash_key: Option<&[u8]>) -> (Enricher, Findings) {
    let mut findings = Findings::default();
    let list = document::parse("relay.yaml", yaml, &mut findings).expect("the test's YAML is read");
    let enricher = Enricher::read(&list, "enrichment", hash_key, &mut findings);
    (enricher, findings)
}

pub(super) fn enricher(yaml: &str) -> Enricher {
    let (enricher, findings) = read(yaml, Some(HASH_KEY));
    assert_eq!(findings.0, [], "{yaml}");
    enricher
}

/// A whole request written anew, from its bytes to its bytes.
pub(super) fn edit_bytes(enricher: &Enricher, request: &[u8]) -> Vec<u8> {
    let mut editing = enricher.editing();
    let mut out = Vec::new();
    for field in Fields::of(request).flatten() {
        assert_eq!(field.number, otlp::request::RESOURCE_SPANS);
        let edited = resource_spans(&mut editing, field.value);
        field_into(&mut out, field.number, &edited);
    }
    out
}

fn resource_spans<'a>(editing: &mut Editing<'a>, message: &'a [u8]) -> Vec<u8> {
    let resource = ResourceView {
        message: last(message, otlp::resource_spans::RESOURCE),
    };
    let changed = editing.enter_resource(resource);
    let edited = written(|out| editing.write_resource(out));
    assert!(changed || edited == resource.message);
    let mut out = Vec::new();
    let present = Fields::of(message)
        .flatten()
        .any(|field| field.number == otlp::resource_spans::RESOURCE);
    if present || !edited.is_empty() {
        field_into(&mut out, otlp::resource_spans::RESOURCE, &edited);
    }
    for field in Fields::of(message).flatten() {
        match field.number {
            otlp::resource_spans::RESOURCE => {}
            otlp::resource_spans::SCOPE_SPANS => {
                let edited = scope_spans(editing, field.value);
                field_into(&mut out, field.number, &edited);
            }
            _ => out.extend_from_slice(field.raw(message)),
        }
    }
    out
}

fn scope_spans<'a>(editing: &mut Editing<'a>, message: &'a [u8]) -> Vec<u8> {
    let any = editing.enter_scope(ScopeView {
        message: last(message, otlp::scope_spans::SCOPE),
    });
    let mut out = Vec::new();
    for field in Fields::of(message).flatten() {
        if field.number == otlp::scope_spans::SPANS {
            let mut changed = false;
            let edited = written(|out| {
                changed = editing.write_span(span_view(field.value), None, out);
            });
            assert!(any || !changed, "the scope has said that no edit applies");
            assert!(
                changed || edited.is_empty(),
                "nothing changed, nothing written"
            );
            let message = if changed { &edited } else { field.value };
            field_into(&mut out, field.number, message);
        } else {
            out.extend_from_slice(field.raw(message));
        }
    }
    out
}

/// A request with one span, or none where that is given.
pub(super) fn request(resource: Resource, spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// The attributes of a resource after the edits.
pub(super) fn resource_attributes(yaml: &str, attributes: Vec<KeyValue>) -> Vec<KeyValue> {
    let resource = Resource {
        attributes,
        ..Resource::default()
    };
    edited(yaml, &request(resource, vec![])).resource_spans[0]
        .resource
        .clone()
        .unwrap_or_default()
        .attributes
}

/// The attributes of a span after the edits.
pub(super) fn span_attributes(yaml: &str, attributes: Vec<KeyValue>) -> Vec<KeyValue> {
    let span = Span {
        attributes,
        ..Span::default()
    };
    edited_span(yaml, span).attributes
}

/// A span after the edits.
pub(super) fn edited_span(yaml: &str, span: Span) -> Span {
    let request = request(Resource::default(), vec![span]);
    let mut edited = edited(yaml, &request);
    edited.resource_spans[0].scope_spans[0].spans.remove(0)
}

/// A request after the edits.
pub(super) fn edited(yaml: &str, request: &ExportTraceServiceRequest) -> ExportTraceServiceRequest {
    let bytes = edit_bytes(&enricher(yaml), &request.encode_to_vec());
    ExportTraceServiceRequest::decode(bytes.as_slice()).expect("what is written is OTLP")
}

/// An attribute with a string.
pub(super) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

/// An attribute with any value.
pub(super) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// The HMAC-SHA-256 of `text` with [`HASH_KEY`], in hexadecimal digits.
pub(super) fn hash_of(text: &[u8]) -> String {
    let key = HASH_KEY.trim_ascii_end();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    mac.update(text);
    let digest = mac.finalize().into_bytes();
    digest.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").expect("a string takes everything");
        digits
    })
}

/// A view of a span as the door makes it.
pub(super) fn span_view(message: &[u8]) -> SpanView<'_> {
    SpanView {
        message,
        trace_id: &[1; otlp::TRACE_ID_BYTES],
        span_id: &[1; otlp::SPAN_ID_BYTES],
        trace_state: last(message, otlp::span::TRACE_STATE),
        name: last(message, otlp::span::NAME),
    }
}

/// What `write` writes.
pub(super) fn written(write: impl FnOnce(&mut Prepend)) -> Vec<u8> {
    let mut out = Prepend::with_capacity(64);
    write(&mut out);
    out.finish().concat()
}

pub(super) fn field_into(out: &mut Vec<u8>, number: otlp::FieldNumber, value: &[u8]) {
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, out);
    prost::encoding::encode_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

fn last(message: &[u8], number: otlp::FieldNumber) -> &[u8] {
    Fields::of(message)
        .flatten()
        .filter(|field| (field.number, field.wire_type) == (number, WireType::Len))
        .last()
        .map_or(&[], |field| field.value)
}
