//! Scrapes under load: a page that Prometheus' own rules find no fault with, counters that never go back, also across reloads
//! (acceptance case A92). A real Prometheus scrapes in `tests/e2e`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    load::{Load, Offer, Told, assert_only_told, spans},
    relay::{Launch, Relay},
    witness::Witness,
};

/// Scrapes at once, and how often.
const SCRAPERS: usize = 3;
const SCRAPES: usize = 12;

/// A page as Prometheus reads it.
#[derive(Debug, Default)]
struct Page {
    /// The type of each family.
    families: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

impl Page {
    /// Reads a page by the rules of the text format: each family once, its help and type before its samples, no series twice.
    fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut helped = BTreeSet::new();
        let mut family = String::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, text) = help.split_once(' ').unwrap();
                assert!(!text.is_empty() && helped.insert(name.to_owned()), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                let kinds = ["counter", "gauge", "histogram"];
                assert!(kinds.contains(&kind) && helped.contains(name), "{line}");
                let before = page.families.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "twice: {line}");
                name.clone_into(&mut family);
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let name = series.split('{').next().unwrap();
                let suffix = name
                    .strip_prefix(&family)
                    .unwrap_or_else(|| panic!("{line} in {family}"));
                let histogram = page.families[&family] == "histogram";
                let suffixes: &[&str] = if histogram {
                    &["_bucket", "_sum", "_count"]
                } else {
                    &[""]
                };
                assert!(suffixes.contains(&suffix), "{line}");
                let before = page
                    .samples
                    .insert(series.to_owned(), value.parse().unwrap());
                assert_eq!(before, None, "twice: {series}");
            }
        }
        assert!(page.samples.len() > 50, "{text}");
        page
    }

    /// What `promtool check metrics` looks for in names.
    fn lint(&self) {
        for (name, kind) in &self.families {
            let plain = name
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
            assert!(plain, "{name}");
            assert_eq!(
                name.ends_with("_total"),
                kind == "counter",
                "{name} is a {kind}"
            );
            for word in name.split('_') {
                let units = [
                    "ms",
                    "milliseconds",
                    "microseconds",
                    "kib",
                    "mib",
                    "minutes",
                    "hours",
                ];
                let kinds = ["counter", "gauge", "histogram"];
                assert!(!units.contains(&word) && !kinds.contains(&word), "{name}");
            }
            let reserved = ["_count", "_sum", "_bucket", "_info_total"];
            assert!(
                !reserved.iter().any(|suffix| name.ends_with(suffix)),
                "{name}"
            );
        }
    }

    /// Every series that can only grow: counters, and all of histograms.
    fn growing(&self) -> impl Iterator<Item = (&String, f64)> {
        self.samples.iter().filter_map(|(series, value)| {
            let name = series.split('{').next().unwrap();
            let stem = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            let kind = self
                .families
                .get(name)
                .or_else(|| self.families.get(stem?))?;
            (kind != "gauge").then_some((series, *value))
        })
    }

    fn assert_grew_from(&self, before: &Self) {
        for (series, value) in before.growing() {
            let now = self.samples.get(series);
            assert!(
                now.is_some_and(|now| *now >= value),
                "{series}: {value}, then {now:?}"
            );
        }
    }
}

async fn scrape(relay: &Relay) -> Page {
    let answer = relay.get("/metrics").await;
    assert_eq!(answer.status, 200);
    let content_type = answer.header("content-type").unwrap();
    assert!(
        content_type.starts_with("text/plain; version=0.0.4"),
        "{content_type}"
    );
    Page::read(&String::from_utf8(answer.body).unwrap())
}

/// One scraper; every few scrapes a reload.
async fn watch(relay: &Relay, reloads: bool) -> Page {
    let mut last = scrape(relay).await;
    for number in 0..SCRAPES {
        if reloads && number % 4 == 1 {
            let fraction = if number % 8 == 1 { "0.5" } else { "1" };
            relay.write(
                "policies.yaml",
                &format!("default: {{ sample_fraction: {fraction} }}\n"),
            );
            relay.signal("HUP");
        }
        let next = scrape(relay).await;
        next.assert_grew_from(&last);
        last = next;
    }
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn a92_scrapes_under_load_are_valid_and_counters_never_go_back() {
    for names in ["total", "plain", "both"] {
        let witness = Witness::start().await;
        let settings = format!(
            "metrics: {{ collector_names: {names} }}\nsampling: {{ policy_file: policies.yaml }}\n{}",
            witness.as_destination("")
        );
        let launch = Launch::new(&format!("scrape-{names}"), &settings);
        let policies = launch.folder().join("policies.yaml");
        std::fs::write(policies, "default: { sample_fraction: 1 }\n").unwrap();
        let relay = launch.start().await;
        let offer = Offer {
            senders: 4,
            spans: 20,
            pause: Duration::from_millis(5),
            series: 0,
        };
        let load = Load::start(&relay, offer);
        let reloading = watch(&relay, true);
        let watching: Vec<_> = (1..SCRAPERS).map(|_| watch(&relay, false)).collect();
        let (page, others) = tokio::join!(reloading, async {
            let mut pages = Vec::new();
            for watch in watching {
                pages.push(watch.await);
            }
            pages
        });
        assert_eq!(others.len(), SCRAPERS - 1);
        let generation = page.samples["otlp_relay_config_generation"];
        assert!(generation > 1.0, "it reloaded: {generation}");
        let sent = load.stop().await;
        assert_only_told(&sent, |told| *told == Told::Taken);
        relay.until_settled().await;

        // At rest the books are those of the senders, under each name that is served.
        let page = scrape(&relay).await;
        let accepted = spans(&sent, |_| true) as f64;
        for (name, there) in [
            ("otelcol_receiver_accepted_spans_total", names != "plain"),
            ("otelcol_receiver_accepted_spans", names != "total"),
        ] {
            let of_name = page.samples.iter().filter(|(series, _)| {
                series
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('{'))
            });
            let values: Vec<f64> = of_name.map(|(_, value)| *value).collect();
            assert_eq!(!values.is_empty(), there, "{names}: {name}");
            let sum: f64 = values.iter().sum();
            assert!(
                !there || (sum - accepted).abs() < 0.5,
                "{name}: {sum} of {accepted}"
            );
        }
        if names == "total" {
            page.lint();
        }
        assert!(relay.stop().await.status.success());
    }
}
