//! The Collector's names, with its meanings, so that dashboards and alerts made for it work.

use super::{Kind, Name};

/// The Collector's own bounds for batch sizes, up to the largest `batch.spans` that makes sense, and 512 for the default.
const BATCH_SPANS: &[f64] = &[
    10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 512.0, 750.0, 1000.0, 2000.0, 5000.0, 10_000.0,
];
/// Thinned out from the Collector's own bounds, up to the 4 MiB that Jaeger takes.
const BATCH_BYTES: &[f64] = &[
    1000.0,
    5000.0,
    10_000.0,
    50_000.0,
    100_000.0,
    250_000.0,
    500_000.0,
    1_000_000.0,
    2_000_000.0,
    3_000_000.0,
    4_000_000.0,
];
const BY_RECEIVER: &[&str] = &["receiver", "transport"];
const BY_EXPORTER: &[&str] = &["exporter"];
const BY_QUEUE: &[&str] = &["exporter", "data_type"];
const BY_PROCESSOR: &[&str] = &["processor", "otel_signal"];

pub(in crate::metrics) const RECEIVER_ACCEPTED: Name = Name::new(
    "otelcol_receiver_accepted_spans_total",
    Some("otelcol_receiver_accepted_spans"),
    Kind::Counter,
    BY_RECEIVER,
    "Spans that were accepted",
);
pub(in crate::metrics) const RECEIVER_REFUSED: Name = Name::new(
    "otelcol_receiver_refused_spans_total",
    Some("otelcol_receiver_refused_spans"),
    Kind::Counter,
    BY_RECEIVER,
    "Spans that were not taken: their request was refused, or they were unusable",
);
pub(in crate::metrics) const RECEIVER_FAILED: Name = Name::new(
    "otelcol_receiver_failed_spans_total",
    Some("otelcol_receiver_failed_spans"),
    Kind::Counter,
    BY_RECEIVER,
    "Spans that were not taken because of a fault of the relay",
);
pub(in crate::metrics) const EXPORTER_SENT: Name = Name::new(
    "otelcol_exporter_sent_spans_total",
    Some("otelcol_exporter_sent_spans"),
    Kind::Counter,
    BY_EXPORTER,
    "Spans that the destination has",
);
pub(in crate::metrics) const EXPORTER_FAILED: Name = Name::new(
    "otelcol_exporter_send_failed_spans_total",
    Some("otelcol_exporter_send_failed_spans"),
    Kind::Counter,
    BY_EXPORTER,
    "Spans given up after all retries, or rejected by the destination",
);
pub(in crate::metrics) const EXPORTER_ENQUEUE_FAILED: Name = Name::new(
    "otelcol_exporter_enqueue_failed_spans_total",
    Some("otelcol_exporter_enqueue_failed_spans"),
    Kind::Counter,
    BY_EXPORTER,
    "Accepted spans for which the queue had no room (destinations that are not required)",
);
pub(in crate::metrics) const QUEUE_SIZE: Name = Name::new(
    "otelcol_exporter_queue_size",
    None,
    Kind::Gauge,
    BY_QUEUE,
    "Payloads in the queue or under way",
);
pub(in crate::metrics) const QUEUE_CAPACITY: Name = Name::new(
    "otelcol_exporter_queue_capacity",
    None,
    Kind::Gauge,
    BY_QUEUE,
    "Payloads of the present mean size that the queue takes",
);
pub(in crate::metrics) const EXPORTER_BATCH_SPANS: Name = Name::new(
    "otelcol_exporter_queue_batch_send_size",
    None,
    Kind::Histogram(BATCH_SPANS),
    BY_EXPORTER,
    "Spans in one message to a destination",
);
pub(in crate::metrics) const EXPORTER_BATCH_BYTES: Name = Name::new(
    "otelcol_exporter_queue_batch_send_size_bytes",
    None,
    Kind::Histogram(BATCH_BYTES),
    BY_EXPORTER,
    "Bytes in one message to a destination",
);
pub(in crate::metrics) const PROCESSOR_INCOMING: Name = Name::new(
    "otelcol_processor_incoming_items_total",
    Some("otelcol_processor_incoming_items"),
    Kind::Counter,
    BY_PROCESSOR,
    "Spans that sampling saw",
);
pub(in crate::metrics) const PROCESSOR_OUTGOING: Name = Name::new(
    "otelcol_processor_outgoing_items_total",
    Some("otelcol_processor_outgoing_items"),
    Kind::Counter,
    BY_PROCESSOR,
    "Spans that sampling kept",
);
pub(in crate::metrics) const PROCESSOR_BATCH_SPANS: Name = Name::new(
    "otelcol_processor_batch_batch_send_size",
    None,
    Kind::Histogram(BATCH_SPANS),
    &["processor"],
    "Spans in one message to any destination",
);
pub(in crate::metrics) const PROCESS_UPTIME: Name = Name::new(
    "otelcol_process_uptime_seconds_total",
    Some("otelcol_process_uptime"),
    Kind::Counter,
    &[],
    "Seconds since the relay started",
);
pub(in crate::metrics) const PROCESS_CPU: Name = Name::new(
    "otelcol_process_cpu_seconds_total",
    Some("otelcol_process_cpu_seconds"),
    Kind::Counter,
    &[],
    "CPU seconds used, user and system",
);
pub(in crate::metrics) const PROCESS_RSS: Name = Name::new(
    "otelcol_process_memory_rss_bytes",
    Some("otelcol_process_memory_rss"),
    Kind::Gauge,
    &[],
    "Resident memory in bytes",
);
