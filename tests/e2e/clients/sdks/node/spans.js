// The spans of `tests/e2e/sdks/expected.rs`, made and exported with OpenTelemetry's SDK for Node as its users do.
//
// Environment: OTEL_EXPORTER_OTLP_PROTOCOL (grpc, http/protobuf or http/json), SPANS (how many), and what the SDK itself
// reads. Everything else has the SDK's defaults. Ends when all is flushed; what the SDK logs is the only other output.
'use strict';

const api = require('@opentelemetry/api');
const { BatchSpanProcessor, NodeTracerProvider } = require('@opentelemetry/sdk-trace-node');
const { defaultResource, detectResources, envDetector } = require('@opentelemetry/resources');

// Without it the SDK keeps its errors to itself.
api.diag.setLogger(new api.DiagConsoleLogger(), api.DiagLogLevel.WARN);

const packages = { grpc: 'grpc', 'http/protobuf': 'proto', 'http/json': 'http' };
const name = packages[process.env.OTEL_EXPORTER_OTLP_PROTOCOL];
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${name}`);

const SPANS = Number(process.env.SPANS);
const SPANS_PER_TRACE = 10;
const START_SECONDS = 1_800_000_000;
const { INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER } = api.SpanKind;
const KINDS = [INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER];

function attributes(number) {
  return {
    number,
    large: 2 ** 53 - 1,
    negative: -number - 1,
    half: number + 0.5,
    even: number % 2 === 0,
    text: 'Ünïcödé 検索 🔍 "quoted" \\ \t\n\u0001',
    empty: '',
    texts: ['a', 'ß', '🔍'],
    integers: [1, -2, 3],
    doubles: [0.5, -1.5],
    booleans: [true, false],
  };
}

function links(number) {
  if (number % 7) return [];
  const context = {
    traceId: '8' + number.toString(16).padStart(31, '0'),
    spanId: (number + 1).toString(16).padStart(16, '0'),
    isRemote: true,
    traceFlags: api.TraceFlags.SAMPLED,
  };
  return [{ context, attributes: { link: 'from elsewhere' } }];
}

function make(tracer, number, parent) {
  const at = (nanoseconds) => [START_SECONDS, number * 1000 + 1 + nanoseconds];
  const options = {
    kind: KINDS[number % 5],
    attributes: attributes(number),
    links: links(number),
    startTime: at(0),
  };
  const span = tracer.startSpan(`search 検索 🔍 ${number}`, options, parent);
  if (number % 4 === 0) {
    for (let event = 0; event < 2; event++) span.addEvent(`event ✓ ${event}`, { event }, at(100 + event));
  }
  if (number % 5 === 1) span.setStatus({ code: api.SpanStatusCode.ERROR, message: `went wrong: ${number} ✗` });
  if (number % 5 === 2) span.setStatus({ code: api.SpanStatusCode.OK });
  span.end(at(500_002));
  return span;
}

async function main() {
  const provider = new NodeTracerProvider({
    resource: defaultResource().merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  const tracer = provider.getTracer('e2e', '1.2.3');
  let parent;
  for (let number = 0; number < SPANS; number++) {
    if (number % SPANS_PER_TRACE === 0) {
      parent = api.trace.setSpan(api.ROOT_CONTEXT, make(tracer, number, api.ROOT_CONTEXT));
    } else {
      make(tracer, number, parent);
    }
  }
  // Refused spans are an error that the SDK has told already.
  await provider.forceFlush().catch(() => {});
  await provider.shutdown().catch(() => {});
}

main();
