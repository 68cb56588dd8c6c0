//! The JSON reader against prost: a request that another library writes as OTLP/JSON is read as the same request, however it is
//! spelled, and no text of any shape makes the reader panic or write more than its bound.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value as OtlpValue},
};
use otlp_relay::json::{bytes_max, transcode};
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

use crate::support::{corpus, fuzzing, generate};

fn read(text: &str) -> ExportTraceServiceRequest {
    let room = Vec::with_capacity(bytes_max(text.len()));
    let transcoded = transcode(text, room).unwrap_or_else(|mistake| panic!("{mistake}: {text}"));
    assert_eq!(transcoded.mistake, None, "{text}");
    ExportTraceServiceRequest::decode(&transcoded.message[..]).unwrap()
}

/// How senders differ.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is independent of the others"
)]
#[derive(Clone, Copy, Debug)]
struct Dialect {
    snake_case: bool,
    numbers_as_strings: bool,
    upper_case_ids: bool,
    pretty: bool,
    nulls_for_absent: bool,
}

fn dialects() -> impl Strategy<Value = Dialect> {
    any::<[bool; 5]>().prop_map(|[a, b, c, d, e]| Dialect {
        snake_case: a,
        numbers_as_strings: b,
        upper_case_ids: c,
        pretty: d,
        nulls_for_absent: e,
    })
}

impl Dialect {
    fn written(self, request: &ExportTraceServiceRequest) -> String {
        let document = self.respelled("", request_document(request));
        if self.pretty {
            serde_json::to_string_pretty(&document).unwrap()
        } else {
            document.to_string()
        }
    }

    fn respelled(self, key: &str, value: Value) -> Value {
        match value {
            Value::Object(members) => {
                let respelled = members.into_iter().map(|(key, value)| {
                    let value = self.respelled(&key, value);
                    (self.key(&key), value)
                });
                Value::Object(respelled.collect())
            }
            Value::Array(elements) if elements.is_empty() && self.nulls_for_absent => Value::Null,
            Value::Array(elements) => {
                let respelled = elements.into_iter().map(|value| self.respelled(key, value));
                Value::Array(respelled.collect())
            }
            Value::String(id) if key.ends_with("Id") && self.upper_case_ids => {
                Value::String(id.to_uppercase())
            }
            Value::Number(number) if self.numbers_as_strings => Value::String(number.to_string()),
            other => other,
        }
    }

    fn key(self, camel: &str) -> String {
        if !self.snake_case {
            return camel.to_owned();
        }
        let mut snake = String::new();
        for letter in camel.chars() {
            if letter.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        }
        snake
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap();
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(digit).collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte));
        let bits = bits << (8 * (3 - group.len()));
        for digit in 0..=group.len() {
            text.push(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63].into());
        }
    }
    text
}

fn any_value(value: &AnyValue) -> Value {
    match &value.value {
        None => json!({}),
        Some(OtlpValue::StringValue(text)) => json!({ "stringValue": text }),
        Some(OtlpValue::BoolValue(value)) => json!({ "boolValue": value }),
        Some(OtlpValue::IntValue(value)) => json!({ "intValue": value }),
        Some(OtlpValue::DoubleValue(value)) if value.is_finite() => json!({ "doubleValue": value }),
        Some(OtlpValue::DoubleValue(value)) => {
            let name = match (value.is_nan(), *value > 0.0) {
                (true, _) => "NaN",
                (false, true) => "Infinity",
                (false, false) => "-Infinity",
            };
            json!({ "doubleValue": name })
        }
        Some(OtlpValue::BytesValue(bytes)) => json!({ "bytesValue": base64(bytes) }),
        Some(OtlpValue::ArrayValue(list)) => {
            let values: Vec<_> = list.values.iter().map(any_value).collect();
            json!({ "arrayValue": { "values": values } })
        }
        Some(OtlpValue::KvlistValue(list)) => {
            json!({ "kvlistValue": { "values": attributes(&list.values) } })
        }
        Some(OtlpValue::StringValueStrindex(index)) => json!({ "stringValueStrindex": index }),
    }
}

fn attributes(attributes: &[KeyValue]) -> Value {
    let each = attributes.iter().map(|attribute| {
        let mut document = json!({ "key": attribute.key });
        if let Some(value) = &attribute.value {
            document["value"] = any_value(value);
        }
        if attribute.key_strindex != 0 {
            document["keyStrindex"] = json!(attribute.key_strindex);
        }
        document
    });
    each.collect()
}

/// The request as OTLP/JSON, written here because serde's way with these types knows neither NaN nor bytes.
fn request_document(request: &ExportTraceServiceRequest) -> Value {
    let resources = request.resource_spans.iter().map(|resource_spans| {
        let scopes = resource_spans.scope_spans.iter().map(|scope_spans| {
            let spans: Vec<_> = scope_spans.spans.iter().map(span_document).collect();
            let mut document = json!({ "spans": spans, "schemaUrl": scope_spans.schema_url });
            if let Some(scope) = &scope_spans.scope {
                document["scope"] = json!({
                    "name": scope.name,
                    "version": scope.version,
                    "attributes": attributes(&scope.attributes),
                    "droppedAttributesCount": scope.dropped_attributes_count,
                });
            }
            document
        });
        let mut document = json!({
            "scopeSpans": scopes.collect::<Vec<_>>(),
            "schemaUrl": resource_spans.schema_url,
        });
        if let Some(resource) = &resource_spans.resource {
            let references = resource.entity_refs.iter().map(|reference| {
                json!({
                    "schemaUrl": reference.schema_url,
                    "type": reference.r#type,
                    "idKeys": reference.id_keys,
                    "descriptionKeys": reference.description_keys,
                })
            });
            document["resource"] = json!({
                "attributes": attributes(&resource.attributes),
                "droppedAttributesCount": resource.dropped_attributes_count,
                "entityRefs": references.collect::<Vec<_>>(),
            });
        }
        document
    });
    json!({ "resourceSpans": resources.collect::<Vec<_>>() })
}

fn span_document(span: &opentelemetry_proto::tonic::trace::v1::Span) -> Value {
    let events = span.events.iter().map(|event| {
        json!({
            "timeUnixNano": event.time_unix_nano,
            "name": event.name,
            "attributes": attributes(&event.attributes),
            "droppedAttributesCount": event.dropped_attributes_count,
        })
    });
    let links = span.links.iter().map(|link| {
        json!({
            "traceId": hexadecimal(&link.trace_id),
            "spanId": hexadecimal(&link.span_id),
            "traceState": link.trace_state,
            "attributes": attributes(&link.attributes),
            "droppedAttributesCount": link.dropped_attributes_count,
            "flags": link.flags,
        })
    });
    let mut document = json!({
        "traceId": hexadecimal(&span.trace_id),
        "spanId": hexadecimal(&span.span_id),
        "traceState": span.trace_state,
        "parentSpanId": hexadecimal(&span.parent_span_id),
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": span.start_time_unix_nano,
        "endTimeUnixNano": span.end_time_unix_nano,
        "attributes": attributes(&span.attributes),
        "droppedAttributesCount": span.dropped_attributes_count,
        "events": events.collect::<Vec<_>>(),
        "droppedEventsCount": span.dropped_events_count,
        "links": links.collect::<Vec<_>>(),
        "droppedLinksCount": span.dropped_links_count,
        "flags": span.flags,
    });
    if let Some(status) = &span.status {
        document["status"] = json!({ "message": status.message, "code": status.code });
    }
    document
}

/// `NaN` is no equal of itself, and the bytes are what counts.
fn same(found: &ExportTraceServiceRequest, expected: &ExportTraceServiceRequest) -> bool {
    found.encode_to_vec() == expected.encode_to_vec()
}

proptest! {
    #[test]
    fn a41_what_is_written_as_json_is_read_as_it_was(
        request in generate::any_request(),
        dialect in dialects(),
    ) {
        let text = dialect.written(&request);
        prop_assert!(same(&read(&text), &request), "{text}");
    }

    #[test]
    fn no_text_makes_the_reader_panic_or_write_too_much(
        request in generate::any_request(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..4_usize, ".{0,3}"), 0..6),
    ) {
        let mut text = request_document(&request).to_string();
        for (at, cut, inserted) in cuts {
            let at = text.floor_char_boundary(at.index(text.len() + 1));
            let end = text.floor_char_boundary(at + cut).max(at);
            text.replace_range(at..end, &inserted);
        }
        fuzzing::json::check(&text);
    }

    #[test]
    fn no_rubbish_makes_the_reader_panic(text in r#"[\[\]{}",:0-9eEnul\\ \-a-z]{0,80}"#) {
        fuzzing::json::check(&text);
    }
}

/// Recorded requests: every span is read, and read as serde's way with these types reads it, or as its twin says.
#[test]
fn recorded_requests_are_read_as_another_reader_reads_them() {
    let mut read_any = false;
    for recorded in corpus::recorded_json() {
        let twin = recorded.twin_body();
        let text = String::from_utf8(recorded.body).unwrap();
        let expected: ExportTraceServiceRequest = match twin {
            Some(twin) => ExportTraceServiceRequest::decode(&twin[..]).unwrap(),
            None => serde_json::from_str(&text).unwrap(),
        };
        let found = read(&text);
        assert_eq!(generate::spans(&found), recorded.spans, "{}", recorded.file);
        assert_eq!(found, expected, "{}", recorded.file);
        read_any = true;
    }
    assert!(read_any);
}
