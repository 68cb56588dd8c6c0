//! Every metric name in one table: how it is spelled, what it counts, which labels it has.
//!
//! Registration and the README's table both come from here. Invariant: a label's values come from closed or capped sets.

pub(super) mod collector;
pub(super) mod own;

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Name {
    /// How it is spelled; of a Collector's name, the spelling that `total` means.
    pub name: &'static str,
    /// How older Collectors spelled it, where that differs.
    pub plain: Option<&'static str>,
    /// What it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// The `# HELP` line: unit and meaning.
    pub meaning: &'static str,
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations by size; these are the upper bounds of its buckets.
    Histogram(&'static [f64]),
}

/// Which spelling of the Collector's names is served; `metrics.collector_names` in the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CollectorNames {
    /// `otelcol_receiver_accepted_spans_total`, as Jaeger's dashboard wants it.
    #[default]
    Total,
    /// `otelcol_receiver_accepted_spans`, as the Helm chart's alerts want it.
    Plain,
    /// Both.
    Both,
    /// Only the relay's own names.
    Off,
}

impl Name {
    /// How it is spelled in the text, in this mode.
    pub fn spelled(&self, mode: CollectorNames) -> impl Iterator<Item = &'static str> {
        let plain = self.plain.unwrap_or(self.name);
        let (first, second) = match mode {
            _ if !self.is_collectors() => (Some(self.name), None),
            CollectorNames::Total => (Some(self.name), None),
            CollectorNames::Plain => (Some(plain), None),
            CollectorNames::Both => (Some(self.name), self.plain),
            CollectorNames::Off => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// Whether it is one of the Collector's names.
    pub fn is_collectors(&self) -> bool {
        self.name.starts_with("otelcol_")
    }

    /// The type's word in the text format.
    pub fn kind_word(&self) -> &'static str {
        match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        }
    }

    const fn counter(
        name: &'static str,
        labels: &'static [&'static str],
        meaning: &'static str,
    ) -> Self {
        Self::new(name, None, Kind::Counter, labels, meaning)
    }

    const fn gauge(
        name: &'static str,
        labels: &'static [&'static str],
        meaning: &'static str,
    ) -> Self {
        Self::new(name, None, Kind::Gauge, labels, meaning)
    }

    const fn new(
        name: &'static str,
        plain: Option<&'static str>,
        kind: Kind,
        labels: &'static [&'static str],
        meaning: &'static str,
    ) -> Self {
        Self {
            name,
            plain,
            kind,
            labels,
            meaning,
        }
    }
}

/// Every metric, the Collector's names first.
pub fn names() -> &'static [Name] {
    NAMES
}

const NAMES: &[Name] = &[
    collector::RECEIVER_ACCEPTED,
    collector::RECEIVER_REFUSED,
    collector::RECEIVER_FAILED,
    collector::EXPORTER_SENT,
    collector::EXPORTER_FAILED,
    collector::EXPORTER_ENQUEUE_FAILED,
    collector::QUEUE_SIZE,
    collector::QUEUE_CAPACITY,
    collector::EXPORTER_BATCH_SPANS,
    collector::EXPORTER_BATCH_BYTES,
    collector::PROCESSOR_INCOMING,
    collector::PROCESSOR_OUTGOING,
    collector::PROCESSOR_BATCH_SPANS,
    collector::PROCESS_UPTIME,
    collector::PROCESS_CPU,
    collector::PROCESS_RSS,
    own::SPANS,
    own::SPANS_HELD,
    own::QUEUE_BYTES,
    own::QUEUE_BYTES_MAX,
    own::QUEUE_SPANS,
    own::REFUSALS,
    own::REFUSED_BYTES,
    own::MISDIRECTED,
    own::BUDGET,
    own::BUDGET_MAX,
    own::POLICY_SPANS,
    own::SERVICE_SPANS,
    own::INGEST_SECONDS,
    own::DELIVERY_DELAY,
    own::DESTINATION_UP,
    own::CONFIG_GENERATION,
    own::CONFIG_SUCCESSFUL,
    own::BUILD_INFO,
    own::STORE_BYTES,
    own::STORE_TRACES,
    own::STORE_FRACTION,
    own::STORE_SKIPPED,
];
