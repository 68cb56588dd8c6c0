//! OTLP/JSON over sockets: what is taken, answered and refused.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value},
    trace::v1::Span,
};
use prost::Message;
use serde_json::json;

use super::{
    REQUEST_BYTES_MAX, UnderTest,
    client::{gzip, http, post},
    hostile::{Numbers, damaged},
    spans,
};
use crate::otlp;

const JSON: &str = "content-type: application/json";

/// Three spans as Milvus' C++ part writes them: keys in `snake_case` and in the order of the alphabet, ids in hexadecimal.
fn snake_case() -> Vec<u8> {
    let span = |id: u64| {
        json!({
            "end_time_unix_nano": 1_795_238_518_923_041_332_u64,
            "kind": 1,
            "name": "search",
            "parent_span_id": "00f067aa0ba902b7",
            "span_id": format!("{id:016x}"),
            "start_time_unix_nano": 1_795_238_518_923_000_000_u64,
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
        })
    };
    let attribute = json!({ "key": "service.name", "value": { "string_value": "querynode" } });
    let document = json!({ "resource_spans": [{
        "resource": { "attributes": [attribute] },
        "scope_spans": [{ "scope": { "name": "segcore" }, "spans": [span(1), span(2), span(3)] }],
    }] });
    document.to_string().into()
}

async fn posted(
    relay: &UnderTest,
    path: &str,
    headers: &[&str],
    body: &[u8],
) -> (u16, serde_json::Value) {
    let length = format!("content-length: {}", body.len());
    let headers = [&[JSON, &length], headers].concat();
    let answer = http(relay.http, &post(path, &headers), body).await;
    assert_eq!(answer.header("content-type"), Some(otlp::JSON));
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

#[tokio::test]
async fn a41_json_is_taken_as_protobuf_is() {
    let relay = UnderTest::start().await;
    let plain = spans(3);
    let request = ExportTraceServiceRequest::decode(plain.clone()).unwrap();
    let text = serde_json::to_vec_pretty(&request).unwrap();
    for (headers, body) in [
        (&[][..], &text),
        (&["content-encoding: gzip"], &gzip(&text)),
        (&["accept: application/json"], &text),
    ] {
        let answer = posted(&relay, "/v1/traces", headers, body).await;
        assert_eq!(answer, (200, json!({})), "{headers:?}");
    }
    assert_eq!(relay.totals().accepted, 9);
    for message in relay.export() {
        assert_eq!(message, request);
    }
    relay.finish().await;
}

/// `examples/trace.json` of opentelemetry-proto, field by field.
#[tokio::test]
async fn a40_the_official_example_arrives_as_it_is() {
    let attribute =
        |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let span = json!({
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "EEE19B7EC3C1B174",
        "parentSpanId": "EEE19B7EC3C1B173",
        "name": "I'm a server span",
        "startTimeUnixNano": 1_544_712_660_000_000_000_u64,
        "endTimeUnixNano": 1_544_712_661_000_000_000_u64,
        "kind": 2,
        "attributes": [attribute("my.span.attr", "some value")],
    });
    let scope = json!({
        "name": "my.library",
        "version": "1.0.0",
        "attributes": [attribute("my.scope.attribute", "some scope attribute")],
    });
    let example = json!({ "resourceSpans": [{
        "resource": { "attributes": [attribute("service.name", "my.service")] },
        "scopeSpans": [{ "scope": scope, "spans": [span] }],
    }] });
    let relay = UnderTest::start().await;
    let body = serde_json::to_vec_pretty(&example).unwrap();
    let answer = posted(&relay, "/v1/traces", &[], &body).await;
    assert_eq!(answer, (200, json!({})));
    let message = relay.export().remove(0);
    let resource_spans = &message.resource_spans[0];
    let attribute = string_attribute;
    let resource = resource_spans.resource.as_ref().unwrap();
    assert_eq!(
        resource.attributes,
        [attribute("service.name", "my.service")]
    );
    let scope_spans = &resource_spans.scope_spans[0];
    let scope = scope_spans.scope.as_ref().unwrap();
    assert_eq!((&*scope.name, &*scope.version), ("my.library", "1.0.0"));
    assert_eq!(
        scope.attributes,
        [attribute("my.scope.attribute", "some scope attribute")]
    );
    let span = Span {
        trace_id: 0x5b8e_fff7_9803_8103_d269_b633_813f_c60c_u128
            .to_be_bytes()
            .into(),
        span_id: 0xeee1_9b7e_c3c1_b174_u64.to_be_bytes().into(),
        parent_span_id: 0xeee1_9b7e_c3c1_b173_u64.to_be_bytes().into(),
        name: "I'm a server span".into(),
        kind: 2,
        start_time_unix_nano: 1_544_712_660_000_000_000,
        end_time_unix_nano: 1_544_712_661_000_000_000,
        attributes: vec![attribute("my.span.attr", "some value")],
        ..Span::default()
    };
    assert_eq!(scope_spans.spans, [span]);
    relay.finish().await;
}

fn string_attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(value.into())),
        }),
        ..KeyValue::default()
    }
}

#[tokio::test]
async fn a41_snake_case_to_the_root_is_taken() {
    let relay = UnderTest::start().await;
    let answer = posted(&relay, "/", &[], &snake_case()).await;
    assert_eq!(answer, (200, json!({})));
    let message = relay.export().remove(0);
    let scope_spans = &message.resource_spans[0].scope_spans[0];
    assert_eq!(scope_spans.scope.as_ref().unwrap().name, "segcore");
    let span = &scope_spans.spans[2];
    assert_eq!(
        (&*span.name, &span.span_id[..]),
        ("search", &[0, 0, 0, 0, 0, 0, 0, 3][..])
    );
    assert_eq!(span.end_time_unix_nano, 1_795_238_518_923_041_332);
    let misdirected = r#"otlp_relay_misdirected_total{kind="root_path"}"#;
    assert_eq!(relay.sample(misdirected), 1);
    relay.finish().await;
}

#[tokio::test]
async fn a47_one_unusable_span_is_rejected_alone_and_told_why() {
    let relay = UnderTest::start().await;
    let mut document: serde_json::Value = serde_json::from_slice(&snake_case()).unwrap();
    let spans = &mut document["resource_spans"][0]["scope_spans"][0]["spans"];
    spans[1]["trace_id"] = json!("CvdlGRbNQ92ESOshHIAxnA==");
    let body = document.to_string();
    let (status, told) = posted(&relay, "/v1/traces", &[], body.as_bytes()).await;
    assert_eq!(
        (status, &told["partialSuccess"]["rejectedSpans"]),
        (200, &json!("1"))
    );
    let message = told["partialSuccess"]["errorMessage"].as_str().unwrap();
    for part in ["1 of 3 spans", "traceId at byte", "hexadecimal"] {
        assert!(message.contains(part), "{message}");
    }
    let totals = relay.totals();
    assert_eq!((totals.accepted, totals.rejected), (2, 1));
    relay.finish().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_the_place() {
    let relay = UnderTest::start().await;
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(REQUEST_BYTES_MAX));
    let deep = format!(r#"{{"a":{}"#, "[".repeat(1_000));
    for (body, status, part) in [
        (r#"{"resourceSpans":[}"#, 400, "byte 18"),
        (r#"{"resourceSpans":7}"#, 400, "resourceSpans at byte 17"),
        ("[]", 400, "the body at byte 0"),
        (r#"{"resourceLogs":[]}"#, 404, "only traces"),
        (&large, 413, "larger than"),
        (&deep, 400, "128 levels"),
    ] {
        let (found, told) = posted(&relay, "/v1/traces", &[], body.as_bytes()).await;
        let message = told["message"].as_str().unwrap();
        assert_eq!(found, status, "{message}");
        assert!(message.contains(part), "{message}");
    }
    relay.finish().await;
}

#[tokio::test]
async fn a45_nothing_is_no_error() {
    let relay = UnderTest::start().await;
    let envelope = r#"{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[]}]}]}"#;
    for body in ["", "{}", r#"{"resourceSpans":[]}"#, envelope] {
        let answer = posted(&relay, "/v1/traces", &[], body.as_bytes()).await;
        assert_eq!(answer, (200, json!({})), "{body:?}");
    }
    assert!(relay.export().is_empty(), "nothing leaves");
    relay.finish().await;
}

#[tokio::test]
async fn a44_a_content_type_may_have_parameters() {
    let relay = UnderTest::start().await;
    let length = format!("content-length: {}", snake_case().len());
    for content_type in [
        "application/json; charset=utf-8",
        "Application/JSON ;charset=UTF-8",
    ] {
        let head = post(
            "/v1/traces",
            &[&format!("content-type: {content_type}"), &length],
        );
        let answer = http(relay.http, &head, &snake_case()).await;
        assert_eq!(answer.status, 200, "{content_type}");
    }
    assert_eq!(relay.totals().accepted, 6);
    relay.finish().await;
}

/// Damaged as in the other encodings: an answer of the table, whatever is broken.
#[tokio::test]
async fn a12_damaged_json_gets_an_answer_of_the_table() {
    let relay = UnderTest::start().await;
    let good = snake_case();
    let mut numbers = Numbers(0x5eed);
    for round in 0..300 {
        let body = damaged(&good, &mut numbers);
        let (status, answer) = posted(&relay, "/v1/traces", &[], &body).await;
        assert!(
            [200, 400].contains(&status),
            "round {round}: {status} {answer}"
        );
        relay.export();
    }
    relay.finish().await;
}

/// Bytes that are no UTF-8 become U+FFFD, and cost no span.
#[tokio::test]
async fn a_string_that_is_no_utf8_is_repaired() {
    let relay = UnderTest::start().await;
    let body = String::from_utf8(snake_case()).unwrap();
    let (before, after) = body.split_once("querynode").unwrap();
    let body = [before.as_bytes(), b"query\xff\xfenode", after.as_bytes()].concat();
    let answer = posted(&relay, "/v1/traces", &[], &body).await;
    assert_eq!(answer, (200, json!({})));
    let message = relay.export().remove(0);
    let resource = message.resource_spans[0].resource.as_ref().unwrap();
    let shown = format!("{:?}", resource.attributes[0]);
    assert!(shown.contains("query\u{fffd}\u{fffd}node"), "{shown}");
    relay.finish().await;
}
