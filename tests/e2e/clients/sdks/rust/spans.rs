//! The spans of `tests/e2e/sdks/expected.rs`, made and exported with OpenTelemetry's SDK for Rust as its users do.
//!
//! Environment: `OTEL_EXPORTER_OTLP_PROTOCOL` (grpc, http/protobuf or http/json), `SPANS` (how many), and what the SDK
//! itself reads. Everything else has the SDK's defaults. Ends when all is flushed; what the SDK logs is the only other
//! output.
#![allow(
    clippy::disallowed_methods,
    reason = "it is configured by its environment, as the SDK is"
)]

use std::{
    env,
    error::Error,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use opentelemetry::{
    Array, Context, InstrumentationScope, KeyValue, StringValue, Value,
    trace::{
        Event, Link, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
        TraceState, Tracer, TracerProvider,
    },
};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::Level;

const SPANS_PER_TRACE: u64 = 10;
const START_SECONDS: u64 = 1_800_000_000;
/// Longer than the SDK itself would wait for an answer.
const FLUSH_MAX: Duration = Duration::from_mins(1);
const KINDS: [SpanKind; 5] = [
    SpanKind::Internal,
    SpanKind::Server,
    SpanKind::Client,
    SpanKind::Producer,
    SpanKind::Consumer,
];

fn main() -> Result<(), Box<dyn Error>> {
    // Without it the SDK keeps its errors to itself.
    tracing_subscriber::fmt().with_max_level(Level::WARN).init();
    let spans: u64 = env::var("SPANS")?.parse()?;
    // Only gRPC runs on tokio; over HTTP the SDK's default client blocks, which tokio would not allow.
    let runtime = tokio::runtime::Runtime::new()?;
    let grpc = env::var("OTEL_EXPORTER_OTLP_PROTOCOL")? == "grpc";
    let exporter = if grpc {
        let _entered = runtime.enter();
        SpanExporter::builder().with_tonic().build()?
    } else {
        SpanExporter::builder().with_http().build()?
    };
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .build();
    let scope = InstrumentationScope::builder("e2e").with_version("1.2.3");
    let tracer = provider.tracer_with_scope(scope.build());
    let mut parent = Context::new();
    for number in 0..spans {
        if number.is_multiple_of(SPANS_PER_TRACE) {
            parent = make(&tracer, number, &Context::new());
        } else {
            make(&tracer, number, &parent);
        }
    }
    // The SDK waits for 5 s and goes on sending behind it, as long as the program lives.
    let began = Instant::now();
    while provider.force_flush().is_err() && began.elapsed() < FLUSH_MAX {}
    // What could not be sent is an error that the SDK has told already.
    drop(provider.shutdown());
    Ok(())
}

fn make(tracer: &SdkTracer, number: u64, parent: &Context) -> Context {
    let mut builder = tracer
        .span_builder(format!("search 検索 🔍 {number}"))
        .with_kind(KINDS[usize::try_from(number % 5).expect("below 5")].clone())
        .with_attributes(attributes(number))
        .with_links(links(number))
        .with_start_time(at(number, 0));
    if number.is_multiple_of(4) {
        let event = |event: u64| {
            let attributes = vec![KeyValue::new("event", integer(event))];
            Event::new(
                format!("event ✓ {event}"),
                at(number, 100 + event),
                attributes,
                0,
            )
        };
        builder = builder.with_events(vec![event(0), event(1)]);
    }
    let span = tracer.build_with_context(builder, parent);
    let context = parent.with_span(span);
    match number % 5 {
        1 => context
            .span()
            .set_status(Status::error(format!("went wrong: {number} ✗"))),
        2 => context.span().set_status(Status::Ok),
        _ => {}
    }
    context.span().end_with_timestamp(at(number, 500_002));
    context
}

fn at(number: u64, nanoseconds: u64) -> SystemTime {
    let beyond = Duration::from_nanos(number * 1000 + 1 + nanoseconds);
    UNIX_EPOCH + Duration::from_secs(START_SECONDS) + beyond
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).expect("a few thousand")
}

fn attributes(number: u64) -> Vec<KeyValue> {
    let texts: Vec<StringValue> = ["a", "ß", "🔍"].map(StringValue::from).into();
    let small = u32::try_from(number).expect("a few thousand");
    vec![
        KeyValue::new("number", integer(number)),
        KeyValue::new("large", (1_i64 << 53) - 1),
        KeyValue::new("negative", -integer(number) - 1),
        KeyValue::new("half", f64::from(small) + 0.5),
        KeyValue::new("even", number.is_multiple_of(2)),
        KeyValue::new("text", "Ünïcödé 検索 🔍 \"quoted\" \\ \t\n\u{1}"),
        KeyValue::new("empty", ""),
        KeyValue::new("texts", Value::Array(Array::String(texts))),
        KeyValue::new("integers", Value::Array(Array::I64(vec![1, -2, 3]))),
        KeyValue::new("doubles", Value::Array(Array::F64(vec![0.5, -1.5]))),
        KeyValue::new("booleans", Value::Array(Array::Bool(vec![true, false]))),
    ]
}

fn links(number: u64) -> Vec<Link> {
    if !number.is_multiple_of(7) {
        return Vec::new();
    }
    let context = SpanContext::new(
        TraceId::from(u128::from(number) + (1 << 127)),
        SpanId::from(number + 1),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    let attributes = vec![KeyValue::new("link", "from elsewhere")];
    vec![Link::new(context, attributes, 0)]
}
