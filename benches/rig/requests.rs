//! What is sent: requests that are made and encoded beforehand.

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::Event},
};
use prost::Message;
use std::io::Write;

use super::{
    fresh::{Fresh, mixed},
    generate::{self, attribute, typed_attribute},
};

/// So many spans share a trace id.
pub(crate) const SPANS_PER_TRACE: usize = 8;
/// The service of generated spans: of the same length as every other `service`.
pub(crate) const SERVICE: &str = "service-0000";
/// Bytes of requests that are made beforehand and sent in turn: more than a core's caches hold.
const VARIETY_BYTES: usize = 16 << 20;
/// Requests that are made beforehand at most.
const VARIETY_MAX: usize = 512;
/// And at least.
const VARIETY_MIN: usize = 4;
/// The level that zlib, and so most clients, take where none is asked for.
const GZIP_LEVEL: u32 = 6;

/// The protocol towards a relay, or from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Grpc,
    Http,
}

/// How large a generated span is in its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpanSize {
    /// About 381 bytes, as Milvus' own are.
    Small,
    /// About 800 bytes, as in the comparisons that others publish: ten attributes, two events with three each.
    Large,
}

/// A request as it goes over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) spans: u64,
}

/// All that a load sends.
#[derive(Clone, Debug)]
pub(crate) struct Supply {
    pub(crate) bodies: Vec<Body>,
    pub(crate) transport: Transport,
    pub(crate) gzip: bool,
    pub(crate) fresh: Fresh,
}

/// One of many services.
pub(crate) fn service(number: u32) -> String {
    format!("service-{number:04}")
}

impl SpanSize {
    /// Ids, times and what was measured are as random as those of real spans: otherwise compression would have too easy a
    /// time. A ninth of the bytes is left; of Milvus' own, a twelfth to a fifth.
    fn span(self, number: u64) -> Span {
        let mut span = match self {
            Self::Small => generate::span(number),
            Self::Large => large_span(number),
        };
        let of_events = span.events.iter_mut().map(|event| &mut event.attributes);
        let all = of_events.chain([&mut span.attributes]).flatten();
        for (attribute, number) in all.zip(number << 8..) {
            vary(attribute, mixed(number));
        }
        let start = span.start_time_unix_nano + mixed(number) % 1_000_000_000;
        Span {
            span_id: mixed(number).to_be_bytes().into(),
            parent_span_id: mixed(number / 2).to_be_bytes().into(),
            start_time_unix_nano: start,
            end_time_unix_nano: start + mixed(!number) % 10_000_000,
            flags: 0x101,
            ..span
        }
    }

    fn request(self, first: u64, spans: u64) -> ExportTraceServiceRequest {
        let mut request = generate::request(SERVICE, first, 0);
        let of_resource = &mut request.resource_spans[0];
        if self == Self::Large {
            let resource = of_resource.resource.as_mut().unwrap();
            resource.attributes.extend(large_resource());
        }
        of_resource.scope_spans[0].spans = (first..first + spans)
            .map(|number| self.span(number))
            .collect();
        request
    }

    /// The mean size of a span in its request.
    pub(crate) fn bytes(self, spans: u64) -> u64 {
        self.request(0, spans).encoded_len() as u64 / spans
    }
}

/// Another value of the same length.
fn vary(attribute: &mut KeyValue, random: u64) {
    let value = attribute.value.as_mut().and_then(|any| any.value.as_mut());
    match (&*attribute.key, value) {
        ("net.peer.ip", Some(Value::StringValue(address))) => {
            *address = format!("10.{}.0.{:02}", random % 10, random / 10 % 100);
        }
        ("net.peer.port" | "server.port", Some(Value::IntValue(port))) => {
            *port = 20_000 + (random % 10_000).cast_signed();
        }
        ("message.uncompressed_size", Some(Value::IntValue(size))) => {
            *size = 1_024 + (random % 8_192).cast_signed();
        }
        ("message.id", Some(Value::IntValue(id))) => *id = (random % 128).cast_signed(),
        _ => {}
    }
}

fn large_resource() -> impl Iterator<Item = KeyValue> {
    [
        ("service.version", "2.3.5"),
        (
            "service.instance.id",
            "627cc493-f310-47de-96bd-71410b7dec09",
        ),
        ("telemetry.sdk.name", "opentelemetry"),
        ("telemetry.sdk.language", "go"),
        ("telemetry.sdk.version", "1.13.0"),
    ]
    .into_iter()
    .map(|(key, value)| attribute(key, value))
}

fn large_span(number: u64) -> Span {
    let event = |name: &str| Event {
        time_unix_nano: 1_760_000_000_000_100_000 + number,
        name: name.into(),
        attributes: vec![
            attribute("exception.type", "segment.NotLoaded"),
            attribute("exception.message", "segment 4455 is being loaded"),
            attribute("exception.stacktrace", "segments/manager.go:217 Get"),
        ],
        ..Event::default()
    };
    let texts = [
        ("rpc.system", "grpc"),
        ("rpc.service", "milvus.proto.query.QueryNode"),
        ("rpc.method", "Search"),
        ("server.address", "querynode-3.milvus.svc.cluster.local"),
        ("network.peer.address", "10.42.17.203"),
        ("db.collection.name", "book_embeddings_2024"),
        ("db.operation.name", "search"),
        ("enduser.id", "tenant-7f3a94c1-2b1e-4c6f-9d10"),
    ];
    let mut attributes: Vec<KeyValue> = texts.map(|(key, value)| attribute(key, value)).into();
    attributes.push(typed_attribute("server.port", Value::IntValue(21_123)));
    attributes.push(typed_attribute("thread.id", Value::IntValue(4_711)));
    Span {
        attributes,
        events: vec![event("retry"), event("message")],
        trace_state: "vendor=x1".into(),
        ..generate::span(number)
    }
}

// === impl Supply ===

impl Supply {
    /// Generated requests of `spans` spans.
    pub(crate) fn generated(size: SpanSize, spans: u64) -> Self {
        let bytes = (size.bytes(spans) * spans) as usize;
        let count = (VARIETY_BYTES / bytes).clamp(VARIETY_MIN, VARIETY_MAX) as u64;
        let request = |number| (size.request(number * spans, spans).encode_to_vec(), spans);
        Self::of((0..count).map(request))
    }

    /// These messages, each with its number of spans.
    pub(crate) fn of(messages: impl IntoIterator<Item = (Vec<u8>, u64)>) -> Self {
        let body = |(message, spans): (Vec<u8>, u64)| Body {
            bytes: message.into(),
            spans,
        };
        Self {
            bodies: messages.into_iter().map(body).collect(),
            transport: Transport::Http,
            gzip: false,
            fresh: Fresh::Nothing,
        }
    }

    /// As they go over the wire.
    pub(crate) fn encoded(mut self, transport: Transport, gzip: bool, fresh: Fresh) -> Self {
        assert!(
            !gzip || fresh == Fresh::Nothing,
            "nothing is written over compressed bytes"
        );
        for body in &mut self.bodies {
            if gzip {
                body.bytes = compressed(&body.bytes);
            }
            if transport == Transport::Grpc {
                body.bytes = framed(&body.bytes, gzip);
            }
        }
        Self {
            transport,
            gzip,
            fresh,
            ..self
        }
    }

    /// Spans in a request, on average.
    pub(crate) fn spans_mean(&self) -> f64 {
        let spans: u64 = self.bodies.iter().map(|body| body.spans).sum();
        spans as f64 / self.bodies.len() as f64
    }
}

fn compressed(message: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL));
    encoder.write_all(message).unwrap();
    encoder.finish().unwrap().into()
}

/// A gRPC message: flag, length, bytes.
fn framed(message: &[u8], compressed: bool) -> Bytes {
    let length = u32::try_from(message.len()).unwrap();
    let mut frame = Vec::with_capacity(message.len() + 5);
    frame.push(u8::from(compressed));
    frame.extend(length.to_be_bytes());
    frame.extend(message);
    frame.into()
}
