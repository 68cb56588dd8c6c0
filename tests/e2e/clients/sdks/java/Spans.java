import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanBuilder;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.TraceFlags;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * The spans of {@code tests/e2e/sdks/expected.rs}, made and exported with OpenTelemetry's SDK for Java as its users do.
 *
 * <p>Environment: SPANS (how many), and what the SDK itself reads. Everything else has the SDK's defaults, those of its
 * agent. Ends when all is flushed; what the SDK logs is the only other output.
 */
final class Spans {
  private static final int SPANS_PER_TRACE = 10;
  private static final long START = 1_800_000_000L * 1_000_000_000L;
  private static final SpanKind[] KINDS = {
    SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER
  };

  /** Longer than the SDK itself would wait for an answer. */
  private static final int FLUSH_SECONDS_MAX = 60;

  private static Attributes attributes(long number) {
    return Attributes.builder()
        .put("number", number)
        .put("large", (1L << 53) - 1)
        .put("negative", -number - 1)
        .put("half", number + 0.5)
        .put("even", number % 2 == 0)
        .put("text", "Ünïcödé 検索 🔍 \"quoted\" \\ \t\n\u0001")
        .put("empty", "")
        .put(AttributeKey.stringArrayKey("texts"), List.of("a", "ß", "🔍"))
        .put(AttributeKey.longArrayKey("integers"), List.of(1L, -2L, 3L))
        .put(AttributeKey.doubleArrayKey("doubles"), List.of(0.5, -1.5))
        .put(AttributeKey.booleanArrayKey("booleans"), List.of(true, false))
        .build();
  }

  private static Span make(Tracer tracer, long number, Context parent) {
    long start = START + number * 1000 + 1;
    SpanBuilder builder =
        tracer
            .spanBuilder("search 検索 🔍 " + number)
            .setParent(parent)
            .setSpanKind(KINDS[(int) (number % 5)])
            .setAllAttributes(attributes(number))
            .setStartTimestamp(start, TimeUnit.NANOSECONDS);
    if (number % 7 == 0) {
      String trace = String.format("8%031x", number);
      String span = String.format("%016x", number + 1);
      SpanContext remote =
          SpanContext.createFromRemoteParent(
              trace, span, TraceFlags.getSampled(), TraceState.getDefault());
      builder.addLink(remote, Attributes.builder().put("link", "from elsewhere").build());
    }
    Span span = builder.startSpan();
    if (number % 4 == 0) {
      for (int event = 0; event < 2; event++) {
        Attributes attributes = Attributes.builder().put("event", event).build();
        long at = start + 100 + event;
        span.addEvent("event ✓ " + event, attributes, at, TimeUnit.NANOSECONDS);
      }
    }
    if (number % 5 == 1) {
      span.setStatus(StatusCode.ERROR, "went wrong: " + number + " ✗");
    }
    if (number % 5 == 2) {
      span.setStatus(StatusCode.OK);
    }
    span.end(start + 500_002, TimeUnit.NANOSECONDS);
    return span;
  }

  public static void main(String[] arguments) {
    int spans = Integer.parseInt(System.getenv("SPANS"));
    OpenTelemetrySdk sdk =
        AutoConfiguredOpenTelemetrySdk.builder()
            .disableShutdownHook()
            .build()
            .getOpenTelemetrySdk();
    Tracer tracer = sdk.tracerBuilder("e2e").setInstrumentationVersion("1.2.3").build();
    Context parent = Context.root();
    for (int number = 0; number < spans; number++) {
      if (number % SPANS_PER_TRACE == 0) {
        parent = Context.root().with(make(tracer, number, Context.root()));
      } else {
        make(tracer, number, parent);
      }
    }
    sdk.getSdkTracerProvider().forceFlush().join(FLUSH_SECONDS_MAX, TimeUnit.SECONDS);
    sdk.shutdown().join(FLUSH_SECONDS_MAX, TimeUnit.SECONDS);
  }
}
