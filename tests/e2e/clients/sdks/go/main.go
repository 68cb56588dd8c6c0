// The spans of tests/e2e/sdks/expected.rs, made and exported with OpenTelemetry's SDK for Go as its users do.
//
// Environment: OTEL_EXPORTER_OTLP_PROTOCOL (grpc or http/protobuf), SPANS (how many), and what the SDK itself reads.
// Everything else has the SDK's defaults. Ends when all is flushed; what the SDK logs is the only other output.
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	spansPerTrace = 10
	startSeconds  = 1_800_000_000
	// Longer than the SDK itself would wait for an answer.
	flushMax = 60 * time.Second
)

var kinds = []trace.SpanKind{
	trace.SpanKindInternal, trace.SpanKindServer, trace.SpanKindClient, trace.SpanKindProducer, trace.SpanKindConsumer,
}

func attributes(number int) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.Int("number", number),
		attribute.Int64("large", 1<<53-1),
		attribute.Int("negative", -number-1),
		attribute.Float64("half", float64(number)+0.5),
		attribute.Bool("even", number%2 == 0),
		attribute.String("text", "Ünïcödé 検索 🔍 \"quoted\" \\ \t\n\u0001"),
		attribute.String("empty", ""),
		attribute.StringSlice("texts", []string{"a", "ß", "🔍"}),
		attribute.IntSlice("integers", []int{1, -2, 3}),
		attribute.Float64Slice("doubles", []float64{0.5, -1.5}),
		attribute.BoolSlice("booleans", []bool{true, false}),
	}
}

func links(number int) []trace.Link {
	if number%7 != 0 {
		return nil
	}
	config := trace.SpanContextConfig{TraceFlags: trace.FlagsSampled, Remote: true}
	config.TraceID[0] = 0x80
	binary.BigEndian.PutUint64(config.TraceID[8:], uint64(number))
	binary.BigEndian.PutUint64(config.SpanID[:], uint64(number+1))
	return []trace.Link{{
		SpanContext: trace.NewSpanContext(config),
		Attributes:  []attribute.KeyValue{attribute.String("link", "from elsewhere")},
	}}
}

func spanOf(ctx context.Context, tracer trace.Tracer, number int) context.Context {
	at := func(nanoseconds int) time.Time {
		return time.Unix(startSeconds, int64(number*1000+1+nanoseconds))
	}
	ctx, span := tracer.Start(ctx, fmt.Sprintf("search 検索 🔍 %d", number),
		trace.WithSpanKind(kinds[number%5]),
		trace.WithAttributes(attributes(number)...),
		trace.WithLinks(links(number)...),
		trace.WithTimestamp(at(0)))
	if number%4 == 0 {
		for event := range 2 {
			span.AddEvent(fmt.Sprintf("event ✓ %d", event),
				trace.WithAttributes(attribute.Int("event", event)),
				trace.WithTimestamp(at(100+event)))
		}
	}
	if number%5 == 1 {
		span.SetStatus(codes.Error, fmt.Sprintf("went wrong: %d ✗", number))
	}
	if number%5 == 2 {
		span.SetStatus(codes.Ok, "")
	}
	span.End(trace.WithTimestamp(at(500_002)))
	return ctx
}

func exporter(ctx context.Context) (*otlptrace.Exporter, error) {
	if os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL") == "grpc" {
		return otlptracegrpc.New(ctx)
	}
	return otlptracehttp.New(ctx)
}

func main() {
	spans, err := strconv.Atoi(os.Getenv("SPANS"))
	if err != nil {
		log.Fatal(err)
	}
	root, cancel := context.WithTimeout(context.Background(), flushMax)
	defer cancel()
	exporter, err := exporter(root)
	if err != nil {
		log.Fatal(err)
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter))
	tracer := provider.Tracer("e2e", trace.WithInstrumentationVersion("1.2.3"))
	var parent context.Context
	for number := range spans {
		if number%spansPerTrace == 0 {
			parent = spanOf(root, tracer, number)
		} else {
			spanOf(parent, tracer, number)
		}
	}
	if err := provider.ForceFlush(root); err != nil {
		otel.Handle(err)
	}
	if err := provider.Shutdown(root); err != nil {
		otel.Handle(err)
	}
}
