//! What tests of the queues and of the exporter put into them.

use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message;
use tokio::time::Instant;

use super::Payload;
use crate::{
    budget::{Budget, Use},
    metrics::Tally,
};

/// A budget that no test exhausts.
pub(crate) fn budget() -> Budget {
    Budget::new(256 << 20, 0)
}

/// An encoded request of one resource with a span for each name.
pub(crate) fn request(names: &[&str]) -> Bytes {
    let span = |name: &&str| Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: (*name).to_owned(),
        ..Span::default()
    };
    let service = KeyValue {
        key: "service.name".to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue("test".to_owned())),
        }),
        ..KeyValue::default()
    };
    let resource_spans = ResourceSpans {
        resource: Some(Resource {
            attributes: vec![service],
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            spans: names.iter().map(span).collect(),
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![resource_spans],
    }
    .encode_to_vec()
    .into()
}

/// A payload of one request with these span names.
pub(crate) fn payload(budget: &Budget, names: &[&str]) -> Payload {
    payload_of(budget, request(names), names.len() as u64)
}

/// A payload of an encoded request.
pub(crate) fn payload_of(budget: &Budget, body: Bytes, spans: u64) -> Payload {
    Payload {
        spans,
        bytes: body.len(),
        accepted_at: Instant::now(),
        permit: budget.try_claim(body.len(), Use::Bodies).unwrap(),
        segments: vec![body],
        sample: None,
    }
}

/// The tally of a request whose spans all go on.
pub(crate) fn tally(spans: u64) -> Tally {
    Tally {
        received: spans,
        forwarded: spans,
        ..Tally::default()
    }
}
