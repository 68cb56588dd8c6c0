"""The spans of `tests/e2e/sdks/expected.rs`, made and exported with OpenTelemetry's SDK for Python as its users do.

Environment: OTEL_EXPORTER_OTLP_PROTOCOL (grpc or http/protobuf), SPANS (how many), and what the SDK itself reads.
Everything else has the SDK's defaults. Ends when all is flushed; what the SDK logs is the only other output.
"""

import os

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

if os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

SPANS = int(os.environ["SPANS"])
SPANS_PER_TRACE = 10
START = 1_800_000_000 * 10**9
KINDS = [SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER]


def attributes(number):
    return {
        "number": number,
        "large": 2**53 - 1,
        "negative": -number - 1,
        "half": number + 0.5,
        "even": number % 2 == 0,
        "text": 'Ünïcödé 検索 🔍 "quoted" \\ \t\n\u0001',
        "empty": "",
        "texts": ["a", "ß", "🔍"],
        "integers": [1, -2, 3],
        "doubles": [0.5, -1.5],
        "booleans": [True, False],
    }


def links(number):
    if number % 7:
        return []
    remote = SpanContext(number + (1 << 127), number + 1, True, TraceFlags(TraceFlags.SAMPLED))
    return [Link(remote, {"link": "from elsewhere"})]


def make(tracer, number, parent):
    start = START + number * 1000 + 1
    span = tracer.start_span(
        f"search 検索 🔍 {number}",
        context=parent,
        kind=KINDS[number % 5],
        attributes=attributes(number),
        links=links(number),
        start_time=start,
    )
    if number % 4 == 0:
        for event in range(2):
            span.add_event(f"event ✓ {event}", {"event": event}, start + 100 + event)
    if number % 5 == 1:
        span.set_status(Status(StatusCode.ERROR, f"went wrong: {number} ✗"))
    if number % 5 == 2:
        span.set_status(Status(StatusCode.OK))
    span.end(start + 500_002)
    return span


provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("e2e", "1.2.3")
parent = None
for number in range(SPANS):
    if number % SPANS_PER_TRACE == 0:
        parent = trace.set_span_in_context(make(tracer, number, None))
    else:
        make(tracer, number, parent)
# Longer than the SDK itself would wait for an answer.
provider.force_flush(60_000)
provider.shutdown()
