//! Conditions against messages that prost has encoded.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{Span, Status},
};
use prost::Message;

use super::*;
use crate::{
    document::{self, Findings},
    wire::Detail,
};

/// The messages that a [`Matcher`] is tested against, encoded.
struct Sample {
    resource: Vec<u8>,
    scope: Vec<u8>,
    span: Vec<u8>,
    name: Vec<u8>,
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// A search in Milvus: a server span of 250 ms that failed.
fn search() -> Sample {
    let resource = Resource {
        attributes: vec![
            attribute("service.name", Value::StringValue("standalone".to_owned())),
            attribute("NodeID", Value::IntValue(7)),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "go.opentelemetry.io/contrib/otelgrpc".to_owned(),
        ..InstrumentationScope::default()
    };
    let list = ArrayValue {
        values: vec![AnyValue {
            value: Some(Value::IntValue(1)),
        }],
    };
    let span = Span {
        name: "milvus.proto.milvus.MilvusService/Search".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 1_250_000_000,
        status: Some(Status {
            code: 2,
            message: "timeout".to_owned(),
        }),
        attributes: vec![
            attribute(
                "collection_name",
                Value::StringValue("prod_books".to_owned()),
            ),
            attribute("nq", Value::IntValue(10)),
            attribute("radius", Value::DoubleValue(0.5)),
            attribute("limit", Value::DoubleValue(100.0)),
            attribute("large", Value::IntValue((1 << 53) + 1)),
            attribute("cached", Value::BoolValue(false)),
            attribute("as text", Value::StringValue("10".to_owned())),
            attribute("list", Value::ArrayValue(list)),
        ],
        ..Span::default()
    };
    Sample {
        resource: resource.encode_to_vec(),
        scope: scope.encode_to_vec(),
        span: span.encode_to_vec(),
        name: span.name.into_bytes(),
    }
}

impl Sample {
    /// Whether each of the three kinds of conditions holds.
    fn holds(&self, matcher: &Matcher) -> [bool; 3] {
        let span = SpanView {
            message: &self.span,
            trace_id: &[1; 16],
            span_id: &[1; 8],
            trace_state: &[],
            name: &self.name,
        };
        [
            matcher.resource_holds(ResourceView {
                message: &self.resource,
            }),
            matcher.scope_holds(ScopeView {
                message: &self.scope,
            }),
            matcher.span_holds(span),
        ]
    }
}

fn read(text: &str) -> (Matcher, Vec<String>) {
    let mut findings = Findings::default();
    let node = document::parse("p.yaml", text, &mut findings).unwrap();
    let matcher = Matcher::read(&node, "match", &mut findings);
    (
        matcher,
        findings.0.iter().map(ToString::to_string).collect(),
    )
}

fn matcher(text: &str) -> Matcher {
    let (matcher, findings) = read(text);
    assert_eq!(findings, [""; 0], "{text}");
    matcher
}

#[test]
fn each_condition_reads_its_own_part() {
    let sample = search();
    // Of the resource, of the scope, of the span.
    let cases = [
        ("{}", [true, true, true]),
        ("", [true, true, true]),
        ("service: standalone", [true, true, true]),
        ("service: Standalone", [false, true, true]),
        ("service: segcore", [false, true, true]),
        ("service: [segcore, 'stand*']", [true, true, true]),
        ("resource_attributes: { NodeID: 7 }", [true, true, true]),
        ("resource_attributes: { NodeID: 8 }", [false, true, true]),
        (
            "resource_attributes: { service.name: standalone }",
            [true, true, true],
        ),
        ("resource_attributes: { absent: '*' }", [false, true, true]),
        ("scope: '*otelgrpc'", [true, true, true]),
        ("scope: otelgrpc", [true, false, true]),
        ("span: '*Search*'", [true, true, true]),
        ("span: '*search*'", [true, true, false]),
        ("span: [Insert, '*/Search']", [true, true, true]),
        ("kind: server", [true, true, true]),
        ("kind: client", [true, true, false]),
        ("kind: [client, server]", [true, true, true]),
        ("status: error", [true, true, true]),
        ("status: [unset, ok]", [true, true, false]),
        ("duration_min: 250ms", [true, true, true]),
        ("duration_min: 251ms", [true, true, false]),
        ("duration_max: 250ms", [true, true, true]),
        ("duration_max: 249ms", [true, true, false]),
        (
            "{ duration_min: 200ms, duration_max: 300ms }",
            [true, true, true],
        ),
        (
            "attributes: { collection_name: 'prod_*' }",
            [true, true, true],
        ),
        (
            "attributes: { collection_name: 'Prod_*' }",
            [true, true, false],
        ),
        ("{ service: standalone, status: ok }", [true, true, false]),
        ("{ service: segcore, status: error }", [false, true, true]),
    ];
    for (text, expected) in cases {
        assert_eq!(sample.holds(&matcher(text)), expected, "{text}");
    }
}

#[test]
fn values_compare_as_what_they_are() {
    let sample = search();
    let cases = [
        ("nq: 10", true),
        ("nq: 10.0", true),
        ("nq: 11", false),
        ("nq: '10'", false),
        ("nq: [9, 10]", true),
        ("radius: 0.5", true),
        ("radius: 0.25", false),
        ("limit: 100", true),
        ("limit: 101", false),
        // Above 2^53 a comparison by doubles would take neighbours for equal.
        ("large: 9007199254740993", true),
        ("large: 9007199254740992", false),
        ("large: 9007199254740992.0", false),
        ("cached: false", true),
        ("cached: true", false),
        ("cached: 'false'", false),
        ("as text: '1?'", true),
        ("as text: 10", false),
        ("list: '*'", false),
        ("list: 1", false),
        ("absent: '*'", false),
        ("{ nq: 10, radius: 0.5 }", true),
        ("{ nq: 10, radius: 0.6 }", false),
        ("nq: ['*', true, 10]", true),
    ];
    for (text, expected) in cases {
        let indented = format!("attributes:\n  {text}");
        assert_eq!(sample.holds(&matcher(&indented))[2], expected, "{text}");
    }
}

#[test]
fn what_is_wanted_is_what_is_read() {
    let nothing = Wanted::default();
    let cases = [
        ("{}", nothing),
        (
            "{ service: a, span: b, kind: server, duration_min: 1s }",
            nothing,
        ),
        (
            "resource_attributes: { a: 1 }",
            Wanted {
                resource_attributes: Detail::Values,
                ..nothing
            },
        ),
        (
            "{ scope: a, status: ok, attributes: { a: 1 } }",
            Wanted {
                scope: true,
                status: true,
                span_attributes: Detail::Values,
                ..nothing
            },
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(matcher(text).wanted(), expected, "{text}");
    }
}

#[test]
fn equality_and_cover_do_not_mind_the_order_of_writing() {
    // Whether the two are equal, and whether the first covers the second.
    let cases = [
        ("{}", "{}", true, true),
        ("{}", "span: a", false, true),
        ("span: a", "{}", false, false),
        (
            "{ service: a, span: b }",
            "{ span: b, service: a }",
            true,
            true,
        ),
        ("span: [a, b]", "span: [b, a, a]", true, true),
        ("span: [a, b]", "span: a", false, false),
        (
            "kind: [client, server]",
            "kind: [server, client]",
            true,
            true,
        ),
        (
            "attributes: { x: 1, y: [a, 2] }",
            "attributes: { y: [2, a], x: 1.0 }",
            true,
            true,
        ),
        (
            "attributes: { x: 1 }",
            "attributes: { x: 1, y: 2 }",
            false,
            true,
        ),
        (
            "attributes: { x: 1 }",
            "resource_attributes: { x: 1 }",
            false,
            false,
        ),
        ("scope: a", "{ scope: a, service: b }", false, true),
        ("scope: a", "scope: b", false, false),
        ("duration_min: 1s", "duration_min: 1000ms", true, true),
        ("duration_min: 1s", "duration_max: 1s", false, false),
    ];
    for (first, second, equal, covers) in cases {
        let (first_read, second_read) = (matcher(first), matcher(second));
        assert_eq!(first_read == second_read, equal, "{first} == {second}");
        assert_eq!(
            first_read.covers(&second_read),
            covers,
            "{first} covers {second}"
        );
    }
}

#[test]
fn every_mistake_is_reported() {
    let cases = [
        ("span: 7", "match.span: found the number 7"),
        (
            "span: []",
            "match.span: found a list; allowed: a string or a list of at least one",
        ),
        ("span: [a, 7]", "match.span[1]: found the number 7"),
        (
            "status: ERROR",
            "match.status: found `ERROR`; allowed: unset, ok, error; did you mean `error`?",
        ),
        ("kind: [server, sever]", "match.kind: found `sever`"),
        ("duration_min: soon", "match.duration_min: found `soon`"),
        (
            "{ duration_min: 2s, duration_max: 1s }",
            "match.duration_min: above `duration_max`: no span can be both",
        ),
        (
            "attributes: { a: }",
            "match.attributes.a: found nothing; allowed: a string, a number",
        ),
        ("attributes: { a: [] }", "match.attributes.a: found a list"),
        (
            "attributes: { a: { b: c } }",
            "match.attributes.a: found a mapping",
        ),
        (
            "attributes: { a: [[b]] }",
            "match.attributes.a: found a list",
        ),
        (
            "attributes: a",
            "match.attributes: found `a`; allowed: a mapping",
        ),
        ("servce: a", "match.servce: unknown key"),
        ("servce: a", "did you mean `service`?"),
        ("root_span: a", "match.root_span: does not exist yet"),
        ("[a]", "match: found a list; allowed: a mapping"),
    ];
    for (text, expected) in cases {
        let (_, findings) = read(text);
        assert_eq!(findings.len(), 1, "{text}: {findings:?}");
        assert!(
            findings[0].starts_with("p.yaml:1: mistake: ") && findings[0].contains(expected),
            "{text}: {findings:?}"
        );
    }
}

#[test]
fn many_mistakes_are_reported_at_once() {
    let (matcher, findings) = read("status: bad\nkind: bad\nservice: standalone\nspam: a\n");
    assert_eq!(findings.len(), 3, "{findings:?}");
    // What was right is used.
    assert_eq!(matcher.resource.len(), 1);
}
