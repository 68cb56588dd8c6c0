//! Requests as prost's objects, and what they say: the oracle that everything on bytes is compared with.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::InstrumentationScope,
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message;

/// A span with its resource, its scope, and the schema URLs of both.
pub type Flat = (Resource, String, InstrumentationScope, String, Span);

/// Every span of a request with its resource, scope and schema URLs, in order: what two equal requests share, however their
/// spans are grouped.
pub fn flatten(request: &ExportTraceServiceRequest) -> Vec<Flat> {
    let mut flat = Vec::new();
    for resource_spans in &request.resource_spans {
        for scope_spans in &resource_spans.scope_spans {
            for span in &scope_spans.spans {
                flat.push((
                    resource_spans.resource.clone().unwrap_or_default(),
                    resource_spans.schema_url.clone(),
                    scope_spans.scope.clone().unwrap_or_default(),
                    scope_spans.schema_url.clone(),
                    span.clone(),
                ));
            }
        }
    }
    flat
}

/// Whether both are the same to the bit: `NaN` is no equal of itself, and the bytes are what counts.
pub fn same(found: &[Flat], expected: &[Flat]) -> bool {
    let bytes = |(resource, resource_url, scope, scope_url, span): &Flat| {
        let messages = (resource.encode_to_vec(), scope.encode_to_vec());
        let urls = (resource_url.clone(), scope_url.clone());
        (messages, urls, span.encode_to_vec())
    };
    found.iter().map(bytes).eq(expected.iter().map(bytes))
}

/// Asserts that both are the [`same`].
#[track_caller]
pub fn assert_same(found: &[Flat], expected: &[Flat]) {
    assert!(
        same(found, expected),
        "found {found:?}\nexpected {expected:?}"
    );
}

/// The number of spans in a request.
pub fn spans(request: &ExportTraceServiceRequest) -> u64 {
    let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
    scopes.map(|scope| scope.spans.len() as u64).sum()
}

/// Whether a span has ids of OTLP's lengths, neither of zeros only (`trace.proto`, `Span.trace_id`).
pub fn is_usable(span: &Span) -> bool {
    let usable = |id: &[u8], length| id.len() == length && id.iter().any(|&byte| byte != 0);
    usable(&span.trace_id, 16) && usable(&span.span_id, 8)
}

/// The request with only those of its usable spans that `keep` wants.
pub fn filtered(
    request: &ExportTraceServiceRequest,
    mut keep: impl FnMut(&Span) -> bool,
) -> ExportTraceServiceRequest {
    let mut request = request.clone();
    for resource in &mut request.resource_spans {
        for scope in &mut resource.scope_spans {
            scope.spans.retain(|span| is_usable(span) && keep(span));
        }
    }
    request
}

/// Each span as a request of its own, with its resource and scope.
pub fn each_alone(
    request: &ExportTraceServiceRequest,
) -> impl Iterator<Item = ExportTraceServiceRequest> {
    request.resource_spans.iter().flat_map(|resource| {
        resource.scope_spans.iter().flat_map(move |scope| {
            scope.spans.iter().map(move |span| {
                let scope_spans = ScopeSpans {
                    scope: scope.scope.clone(),
                    spans: vec![span.clone()],
                    schema_url: scope.schema_url.clone(),
                };
                let resource_spans = ResourceSpans {
                    resource: resource.resource.clone(),
                    scope_spans: vec![scope_spans],
                    schema_url: resource.schema_url.clone(),
                };
                ExportTraceServiceRequest {
                    resource_spans: vec![resource_spans],
                }
            })
        })
    })
}
