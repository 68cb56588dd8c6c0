//! A trace of three nested spans, sent by the SDK's batch processor.

use opentelemetry::{
    KeyValue,
    trace::{Span, SpanKind, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};

/// Sends the trace, waits until it has left, and returns its id.
pub(crate) fn send(
    exporter: SpanExporter,
    service: &str,
) -> Result<String, Box<dyn std::error::Error>> {
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(
            Resource::builder()
                .with_service_name(service.to_owned())
                .build(),
        )
        .build();
    let tracer = provider.tracer("otlp-relay-example");
    let trace_id = tracer.in_span("search", |search| {
        search
            .span()
            .set_attribute(KeyValue::new("collection_name", "quick_setup"));
        tracer.in_span("connect", |_| ());
        let mut query = tracer
            .span_builder("query")
            .with_kind(SpanKind::Client)
            .start(&tracer);
        query.add_event("sent", vec![KeyValue::new("rows", 3)]);
        query.end();
        search.span().span_context().trace_id().to_string()
    });
    provider.force_flush()?;
    provider.shutdown()?;
    Ok(trace_id)
}
