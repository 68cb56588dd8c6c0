//! The relay's own names: the ledger, the queues, the decisions.

use super::{Kind, Name};

/// From a network answer in memory to the longest that Milvus waits, in seconds.
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// From an idle relay's batch delay to a long outage, in seconds.
const DELAY_SECONDS: &[f64] = &[
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0,
];
const BY_DESTINATION: &[&str] = &["destination"];
const BY_REFUSAL: &[&str] = &["transport", "code", "reason"];

pub(in crate::metrics) const SPANS: Name = Name::counter(
    "otlp_relay_spans_total",
    &["stage", "reason", "destination"],
    "The ledger in spans; with an empty destination, the stages before the queues",
);
pub(in crate::metrics) const SPANS_HELD: Name = Name::gauge(
    "otlp_relay_spans_held",
    BY_DESTINATION,
    "Spans queued or under way",
);
pub(in crate::metrics) const QUEUE_BYTES: Name = Name::gauge(
    "otlp_relay_queue_bytes",
    BY_DESTINATION,
    "Bytes queued or under way",
);
pub(in crate::metrics) const QUEUE_BYTES_MAX: Name = Name::gauge(
    "otlp_relay_queue_bytes_max",
    BY_DESTINATION,
    "Bytes that the queue takes, those under way included",
);
pub(in crate::metrics) const QUEUE_SPANS: Name = Name::gauge(
    "otlp_relay_queue_spans",
    BY_DESTINATION,
    "Spans in the queue or under way",
);
pub(in crate::metrics) const REFUSALS: Name = Name::counter(
    "otlp_relay_refusals_total",
    BY_REFUSAL,
    "Refused requests, by the code that was answered and the reason",
);
pub(in crate::metrics) const REFUSED_BYTES: Name = Name::counter(
    "otlp_relay_refused_bytes_total",
    BY_REFUSAL,
    "Bytes of refused requests, as far as they had arrived",
);
pub(in crate::metrics) const MISDIRECTED: Name = Name::counter(
    "otlp_relay_misdirected_total",
    &["kind"],
    "Requests or connections that came to the wrong port or path",
);
pub(in crate::metrics) const BUDGET: Name = Name::gauge(
    "otlp_relay_budget_bytes",
    &["use"],
    "Bytes of the budget in use",
);
pub(in crate::metrics) const BUDGET_MAX: Name = Name::gauge(
    "otlp_relay_budget_bytes_max",
    &[],
    "Bytes of telemetry that the relay may hold",
);
pub(in crate::metrics) const POLICY_SPANS: Name = Name::counter(
    "otlp_relay_policy_spans_total",
    &["rule", "decision"],
    "Spans decided by each policy",
);
pub(in crate::metrics) const SERVICE_SPANS: Name = Name::counter(
    "otlp_relay_service_spans_total",
    &["service", "decision"],
    "Spans decided for each service; the first 100 by name, the rest as other",
);
pub(in crate::metrics) const INGEST_SECONDS: Name = Name::new(
    "otlp_relay_ingest_seconds",
    None,
    Kind::Histogram(SECONDS),
    &["transport"],
    "Seconds from a request's head to its answer",
);
pub(in crate::metrics) const DELIVERY_DELAY: Name = Name::new(
    "otlp_relay_delivery_delay_seconds",
    None,
    Kind::Histogram(DELAY_SECONDS),
    BY_DESTINATION,
    "Seconds from acceptance until the destination acknowledged",
);
pub(in crate::metrics) const DESTINATION_UP: Name = Name::gauge(
    "otlp_relay_destination_up",
    BY_DESTINATION,
    "1 while the destination answers, 0 while it does not",
);
pub(in crate::metrics) const CONFIG_GENERATION: Name = Name::gauge(
    "otlp_relay_config_generation",
    &[],
    "Which configuration is in force: 1 at the start, one more after each reload",
);
pub(in crate::metrics) const CONFIG_SUCCESSFUL: Name = Name::gauge(
    "otlp_relay_config_last_reload_successful",
    &[],
    "1 when the last reload was taken, 0 when it had a mistake",
);
pub(in crate::metrics) const BUILD_INFO: Name = Name::gauge(
    "otlp_relay_build_info",
    &["version", "commit"],
    "Always 1; the labels say what runs",
);
pub(in crate::metrics) const STORE_BYTES: Name = Name::gauge(
    "otlp_relay_store_bytes",
    &[],
    "Bytes in the embedded trace store",
);
pub(in crate::metrics) const STORE_TRACES: Name = Name::gauge(
    "otlp_relay_store_traces",
    &[],
    "Traces in the embedded trace store",
);
pub(in crate::metrics) const STORE_FRACTION: Name = Name::gauge(
    "otlp_relay_store_fraction",
    &[],
    "The share of traces that the embedded trace store keeps to show",
);
pub(in crate::metrics) const STORE_SKIPPED: Name = Name::counter(
    "otlp_relay_store_skipped_spans_total",
    &[],
    "Spans that the embedded trace store would have shown, but was too busy for",
);
