//! Requests made by hand and at random, as prost messages.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{
        AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
    },
    resource::v1::Resource,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span, Status,
        span::{Event, Link},
    },
};
use proptest::{collection::vec, option, prelude::*};

#[path = "fuzzing/objects.rs"]
#[allow(
    clippy::duplicate_mod,
    reason = "the benches include this file without its neighbours"
)]
mod objects;
#[allow(unused_imports, reason = "each test binary uses a part of it")]
pub use objects::{flatten, spans};

/// A string attribute.
pub fn attribute(key: &str, value: &str) -> KeyValue {
    typed_attribute(key, Value::StringValue(value.into()))
}

/// An attribute of any type.
pub fn typed_attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// A trace id that differs from that of any other `number`, spread over all 16 bytes.
pub fn trace_id(number: u64) -> Vec<u8> {
    let spread = |salt: u64| {
        (number + salt)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
            | 1
    };
    [spread(1).to_be_bytes(), spread(2).to_be_bytes()].concat()
}

/// A span of about 381 bytes, as Milvus' own are: eight spans make a trace.
pub fn span(number: u64) -> Span {
    Span {
        trace_id: trace_id(number / 8),
        span_id: (number + 1).to_be_bytes().to_vec(),
        parent_span_id: number.max(1).to_be_bytes().to_vec(),
        name: "milvus.proto.query.QueryNode/Search".into(),
        kind: 2,
        start_time_unix_nano: 1_760_000_000_000_000_000 + number,
        end_time_unix_nano: 1_760_000_000_000_400_000 + number,
        attributes: vec![
            attribute("rpc.system", "grpc"),
            attribute("rpc.service", "milvus.proto.query.QueryNode"),
            attribute("rpc.method", "Search"),
            attribute("net.peer.ip", "127.0.0.1"),
            typed_attribute("net.peer.port", Value::IntValue(21_123)),
            typed_attribute("rpc.grpc.status_code", Value::IntValue(0)),
        ],
        events: vec![Event {
            time_unix_nano: 1_760_000_000_000_100_000,
            name: "message".into(),
            attributes: vec![
                attribute("message.type", "RECEIVED"),
                typed_attribute("message.id", Value::IntValue(1)),
                typed_attribute("message.uncompressed_size", Value::IntValue(1_048)),
            ],
            dropped_attributes_count: 0,
        }],
        status: Some(Status::default()),
        ..Span::default()
    }
}

/// A request of `spans` spans of one service, the first of them with number `first`.
pub fn request(service: &str, first: u64, spans: u64) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![
                    attribute("service.name", service),
                    attribute("host.name", "milvus-standalone"),
                    typed_attribute("NodeID", Value::IntValue(7)),
                ],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "otelgrpc".into(),
                    version: "semver:0.38.0".into(),
                    ..InstrumentationScope::default()
                }),
                spans: (first..first + spans).map(span).collect(),
                schema_url: "https://opentelemetry.io/schemas/1.12.0".into(),
            }],
            schema_url: String::new(),
        }],
    }
}

/// The field of this number that holds `message`, encoded.
pub fn nested(number: u32, message: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    prost::encoding::encode_key(
        number,
        prost::encoding::WireType::LengthDelimited,
        &mut field,
    );
    prost::encoding::encode_varint(message.len() as u64, &mut field);
    field.extend(message);
    field
}

// === at random ===

/// Any value, nested up to three levels.
pub fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        ".{0,12}".prop_map(|text| Some(Value::StringValue(text))),
        any::<bool>().prop_map(|flag| Some(Value::BoolValue(flag))),
        any::<i64>().prop_map(|number| Some(Value::IntValue(number))),
        (-1e9..1e9).prop_map(|number| Some(Value::DoubleValue(number))),
        vec(any::<u8>(), 0..8).prop_map(|bytes| Some(Value::BytesValue(bytes))),
    ]
    .prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 12, 3, |inner| {
        let array =
            vec(inner.clone(), 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values }));
        let map = vec(("[a-z.]{0,6}", option::of(inner)), 0..3).prop_map(|entries| {
            let values = entries
                .into_iter()
                .map(|(key, value)| KeyValue {
                    key,
                    value,
                    ..KeyValue::default()
                })
                .collect();
            Value::KvlistValue(KeyValueList { values })
        });
        prop_oneof![array, map].prop_map(|value| AnyValue { value: Some(value) })
    })
}

/// A few attributes, some keys twice.
pub fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let key = prop_oneof!["[a-d]", "[a-z.]{1,10}", Just("service.name".to_owned())];
    vec((key, option::weighted(0.9, any_value())), 0..5).prop_map(|entries| {
        entries
            .into_iter()
            .map(|(key, value)| KeyValue {
                key,
                value,
                ..KeyValue::default()
            })
            .collect()
    })
}

fn id(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        20 => vec(any::<u8>(), length),
        1 => vec(any::<u8>(), 0..20),
        1 => Just(vec![0; length]),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    (any::<u64>(), "[a-z]{0,8}", attributes(), 0_u32..3).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn link() -> impl Strategy<Value = Link> {
    (id(16), id(8), "[a-z=]{0,8}", attributes(), any::<u32>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, flags)| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            flags,
            ..Link::default()
        },
    )
}

/// Any span, seldom with ids that are not usable.
pub fn any_span() -> impl Strategy<Value = Span> {
    let numbers = (any::<u64>(), any::<u64>(), 0..6_i32, any::<u32>(), 0_u32..3);
    let texts = ("[a-z=;:,]{0,12}", ".{0,16}", ".{0,8}", 0..3_i32);
    let lists = (attributes(), vec(event(), 0..3), vec(link(), 0..2));
    (id(16), id(8), numbers, texts, lists).prop_map(
        |(trace_id, span_id, (start, end, kind, flags, dropped), texts, lists)| Span {
            trace_id,
            span_id,
            trace_state: texts.0,
            name: texts.1,
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes: lists.0,
            events: lists.1,
            links: lists.2,
            dropped_attributes_count: dropped,
            status: Some(Status {
                message: texts.2,
                code: texts.3,
            }),
            flags,
            ..Span::default()
        },
    )
}

/// Any request, also with empty envelopes and with neighbours that have the same resource.
pub fn any_request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope = (
        option::of(("[a-z]{0,6}", attributes())),
        vec(any_span(), 0..5),
        "[a-z]{0,3}",
    )
        .prop_map(|(scope, spans, schema_url)| ScopeSpans {
            scope: scope.map(|(name, attributes)| InstrumentationScope {
                name,
                attributes,
                ..InstrumentationScope::default()
            }),
            spans,
            schema_url,
        });
    let resource = prop_oneof![
        Just(None),
        Just(Some(Resource {
            attributes: vec![attribute("service.name", "segcore")],
            ..Resource::default()
        })),
        attributes().prop_map(|attributes| Some(Resource {
            attributes,
            ..Resource::default()
        })),
    ];
    let resource_spans = (resource, vec(scope, 0..4), "[a-z]{0,3}").prop_map(
        |(resource, scope_spans, schema_url)| ResourceSpans {
            resource,
            scope_spans,
            schema_url,
        },
    );
    vec(resource_spans, 0..4)
        .prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}
