//! A set of series and the text they are served as: one recorder of the `metrics` crates, owned, never global.
//!
//! There are two kinds of pages. One lives as long as the relay and holds what is counted as it happens; the other is made
//! for each scrape from one look at the ledger and the queues, so that a scrape balances and what is gone leaves no series.

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

use super::names::{CollectorNames, Kind, Name, names};

/// The crates want to know where a series is registered; nothing reads it.
const METADATA: Metadata<'static> = Metadata::new("otlp_relay", Level::INFO, None);

/// Series under the names of the table.
#[derive(Debug)]
pub(super) struct Page {
    recorder: PrometheusRecorder,
    collector_names: CollectorNames,
}

impl Page {
    /// An empty page that spells the Collector's names in this way.
    pub(super) fn new(collector_names: CollectorNames) -> Self {
        let builder = names()
            .iter()
            .fold(PrometheusBuilder::new(), |builder, name| {
                let Kind::Histogram(bounds) = name.kind else {
                    return builder;
                };
                builder
                    .set_buckets_for_metric(Matcher::Full(name.name.to_owned()), bounds)
                    .expect("the table gives every histogram its buckets")
            });
        Self {
            recorder: builder.build_recorder(),
            collector_names,
        }
    }

    /// Sets a counter, under each of its spellings.
    pub(super) fn set_counter(&self, name: &Name, values: &[&str], value: u64) {
        for spelled in name.spelled(self.collector_names) {
            self.counter_spelled(name, spelled, values).absolute(value);
        }
    }

    /// Sets a gauge, under each of its spellings.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a double; bytes stay exact up to 2^53"
    )]
    pub(super) fn set_gauge(&self, name: &Name, values: &[&str], value: u64) {
        self.set_gauge_f64(name, values, value as f64);
    }

    /// Sets a gauge that is no whole number, under each of its spellings.
    pub(super) fn set_gauge_f64(&self, name: &Name, values: &[&str], value: f64) {
        for spelled in name.spelled(self.collector_names) {
            self.gauge_spelled(name, spelled, values).set(value);
        }
    }

    /// A handle to one of the relay's own counters, which have one spelling.
    pub(super) fn counter(&self, name: &Name, values: &[&str]) -> Counter {
        debug_assert!(!name.is_collectors(), "a handle has one spelling");
        self.counter_spelled(name, name.name, values)
    }

    /// A handle to a histogram; histograms have one spelling, and a Collector's is silent when its names are off.
    pub(super) fn histogram(&self, name: &Name, values: &[&str]) -> Histogram {
        let Some(spelled) = name.spelled(self.collector_names).next() else {
            return Histogram::noop();
        };
        self.recorder
            .describe_histogram(spelled.into(), None, name.meaning.into());
        self.recorder
            .register_histogram(&key(name, spelled, values), &METADATA)
    }

    /// Sorts what histograms have observed into their buckets.
    pub(super) fn run_upkeep(&self) {
        self.recorder.handle().run_upkeep();
    }

    /// The text of each family. The exporter walks hash maps; people and tests compare pages line by line, so the series
    /// of a family are in the order of their labels.
    pub(super) fn families(&self) -> Vec<String> {
        let text = self.recorder.handle().render();
        let families = text.split("\n\n").map(sorted_family);
        families.filter(|family| family.len() > 1).collect()
    }

    fn counter_spelled(&self, name: &Name, spelled: &'static str, values: &[&str]) -> Counter {
        self.recorder
            .describe_counter(spelled.into(), None, name.meaning.into());
        self.recorder
            .register_counter(&key(name, spelled, values), &METADATA)
    }

    fn gauge_spelled(&self, name: &Name, spelled: &'static str, values: &[&str]) -> Gauge {
        self.recorder
            .describe_gauge(spelled.into(), None, name.meaning.into());
        self.recorder
            .register_gauge(&key(name, spelled, values), &METADATA)
    }
}

fn key(name: &Name, spelled: &'static str, values: &[&str]) -> Key {
    debug_assert_eq!(
        name.labels.len(),
        values.len(),
        "{spelled}: a value for each label"
    );
    let labels: Vec<Label> = name
        .labels
        .iter()
        .zip(values)
        .map(|(&label, &value)| Label::new(label, label_value(value.as_bytes())))
        .collect();
    Key::from_parts(spelled, labels)
}

/// The longest label value in bytes; a sender names its service at will.
pub(super) const LABEL_BYTES_MAX: usize = 128;

/// `value` as a label: cut, and without what the text format escapes. The exporter writes some different values with
/// backslashes or quotes alike, which would be the same series twice.
pub(super) fn label_value(value: &[u8]) -> String {
    let value = &value[..value.len().min(LABEL_BYTES_MAX)];
    String::from_utf8_lossy(value)
        .chars()
        .map(|c| match c {
            '\\' | '"' => '_',
            c if c.is_control() => '_',
            c => c,
        })
        .collect()
}

fn sorted_family(family: &str) -> String {
    let (mut head, mut series): (Vec<&str>, Vec<&str>) =
        family.lines().partition(|line| line.starts_with('#'));
    // The lines of a histogram stand in the order of its buckets already.
    if !head.iter().any(|line| line.ends_with(" histogram")) {
        series.sort_unstable();
    }
    head.append(&mut series);
    head.join("\n") + "\n"
}
