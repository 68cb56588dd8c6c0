//! Small traces as Milvus and its clients send them, for `send` and `demo`.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, span::SpanKind},
};

/// A trace that is being made.
#[derive(Debug)]
pub(super) struct Trace {
    id: [u8; 16],
    started: SystemTime,
    /// Span ids are counted on from here.
    next_span: u64,
}

/// One span of a trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) kind: SpanKind,
    /// Its parent, by its number in the list; `None` for the root.
    pub(super) parent: Option<u64>,
    /// From the start of the trace.
    pub(super) starts: Duration,
    pub(super) takes: Duration,
}

impl Trace {
    /// A trace with a random id that ends about now.
    pub(super) fn new(lasts: Duration) -> Self {
        let mut id = [0; 16];
        let (high, low) = id.split_at_mut(8);
        high.copy_from_slice(&random().to_be_bytes());
        low.copy_from_slice(&(random() | 1).to_be_bytes());
        let started = SystemTime::now().checked_sub(lasts).unwrap_or(UNIX_EPOCH);
        Self {
            id,
            started,
            next_span: random() | 1,
        }
    }

    /// The id in hex.
    pub(super) fn id(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.id))
    }

    /// The spans of one service; parents are counted over all calls for one trace.
    pub(super) fn spans(&self, service: &str, first: u64, steps: &[Step]) -> ResourceSpans {
        let spans = (first..)
            .zip(steps)
            .map(|(number, step)| self.span(number, step))
            .collect();
        ResourceSpans {
            resource: Some(Resource {
                attributes: vec![text("service.name", service)],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "otlp-relay".into(),
                    version: env!("CARGO_PKG_VERSION").into(),
                    ..InstrumentationScope::default()
                }),
                spans,
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }
    }

    fn span(&self, number: u64, step: &Step) -> Span {
        let start = self.started + step.starts;
        Span {
            trace_id: self.id.to_vec(),
            span_id: self.span_id(number),
            parent_span_id: step
                .parent
                .map(|parent| self.span_id(parent))
                .unwrap_or_default(),
            name: step.name.into(),
            kind: step.kind.into(),
            start_time_unix_nano: nanos(start),
            end_time_unix_nano: nanos(start + step.takes),
            attributes: vec![text("rpc.system", "grpc"), text("rpc.method", step.name)],
            ..Span::default()
        }
    }

    fn span_id(&self, number: u64) -> Vec<u8> {
        (self.next_span.wrapping_add(number) | 1 << 63)
            .to_be_bytes()
            .to_vec()
    }
}

/// A request of these resources.
pub(super) fn request(resource_spans: Vec<ResourceSpans>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest { resource_spans }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue {
        value: Some(Value::StringValue(value.into())),
    };
    KeyValue {
        key: key.into(),
        value: Some(value),
        ..KeyValue::default()
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Random enough for ids: the standard library seeds each of its hashers anew.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}
