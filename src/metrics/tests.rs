//! The text as Prometheus reads it: parsed by hand and strictly, in every mode.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::budget::{Budget, Use};

/// One family of the text format.
#[derive(Debug, Default)]
struct Family {
    help: String,
    kind: String,
    /// By name with labels, as written.
    samples: BTreeMap<String, f64>,
}

/// Reads the text format 0.0.4 and panics at whatever Prometheus or promtool would refuse.
fn parse(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            assert!(!families.contains_key(name), "{name} twice");
            current = name.to_owned();
            families.entry(current.clone()).or_default().help = help.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert_eq!(name, current, "TYPE follows HELP");
            families.get_mut(name).unwrap().kind = kind.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let family = families.get_mut(&current).expect("a family");
            check_series(&current, &family.kind, series);
            let value: f64 = value.parse().expect("a number");
            let twice = family.samples.insert(series.to_owned(), value);
            assert!(twice.is_none(), "{series} twice");
        }
    }
    for (name, family) in &families {
        assert!(
            !family.help.is_empty() && !family.samples.is_empty(),
            "{name}"
        );
        if family.kind == "histogram" {
            check_buckets(name, family);
        }
    }
    families
}

fn check_series(family: &str, kind: &str, series: &str) {
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').expect("a closing brace")),
        None => (series, ""),
    };
    let suffix = name.strip_prefix(family).expect("the family's name");
    match kind {
        "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&suffix), "{series}"),
        _ => assert_eq!(suffix, "", "{series}"),
    }
    labels_of(labels);
}

/// The names of labels written as `a="…",b="…"`; panics where quotes or escapes are wrong.
fn labels_of(mut rest: &str) -> Vec<String> {
    let mut names = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").expect("a label with a value");
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
        assert!(!name.is_empty() && name.chars().all(letters), "{rest}");
        names.push(name.to_owned());
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().expect("a closing quote") {
                (at, '"') => break at,
                (_, '\\') => assert!(matches!(chars.next(), Some((_, '\\' | '"' | 'n')))),
                _ => {}
            }
        };
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    names
}

fn check_buckets(name: &str, family: &Family) {
    let sum: f64 = family
        .samples
        .iter()
        .filter(|(series, _)| series.starts_with(&format!("{name}_bucket")))
        .filter(|(series, _)| series.contains("le=\"+Inf\""))
        .map(|(_, value)| value)
        .sum();
    let count: f64 = family
        .samples
        .iter()
        .filter(|(series, _)| series.starts_with(&format!("{name}_count")))
        .map(|(_, value)| value)
        .sum();
    assert!(
        (sum - count).abs() < 0.5,
        "{name}: the last bucket holds all"
    );
}

/// What [`busy`] makes of the series.
const BUSY: &str = r#"
otlp_relay_spans_total{stage="received",reason="",destination=""} 15.0
otlp_relay_spans_total{stage="accepted",reason="",destination=""} 9.0
otlp_relay_spans_total{stage="refused",reason="",destination=""} 5.0
otlp_relay_spans_total{stage="exported",reason="",destination="jaeger"} 2.0
otlp_relay_spans_total{stage="lost",reason="queue_full",destination="jaeger"} 1.0
otlp_relay_spans_held{destination="jaeger"} 2.0
otelcol_receiver_accepted_spans_total{receiver="otlp",transport="grpc"} 9.0
otelcol_receiver_refused_spans_total{receiver="otlp",transport="grpc"} 1.0
otelcol_receiver_refused_spans_total{receiver="otlp",transport="http"} 3.0
otelcol_receiver_failed_spans_total{receiver="otlp",transport="http"} 2.0
otelcol_exporter_sent_spans_total{exporter="jaeger"} 2.0
otelcol_exporter_send_failed_spans_total{exporter="jaeger"} 0.0
otelcol_exporter_enqueue_failed_spans_total{exporter="jaeger"} 1.0
otelcol_processor_incoming_items_total{processor="sampling",otel_signal="traces"} 9.0
otelcol_processor_outgoing_items_total{processor="sampling",otel_signal="traces"} 5.0
otelcol_exporter_queue_size{exporter="jaeger",data_type="traces"} 2.0
otelcol_exporter_queue_capacity{exporter="jaeger",data_type="traces"} 2.0
otlp_relay_queue_bytes{destination="jaeger"} 800.0
otlp_relay_queue_bytes_max{destination="jaeger"} 1000.0
otlp_relay_refusals_total{transport="http",code="503",reason="full"} 1.0
otlp_relay_refused_bytes_total{transport="http",code="503",reason="full"} 77.0
otlp_relay_policy_spans_total{rule="default",decision="sampled_out"} 4.0
otlp_relay_service_spans_total{service="standalone",decision="kept"} 5.0
otlp_relay_delivery_delay_seconds_count{destination="jaeger"} 1.0
otlp_relay_build_info{version="0.1.0",commit="abc"} 1.0
"#;

/// A relay that has seen one of everything.
fn busy(collector_names: CollectorNames) -> (Metrics, Levels) {
    let metrics = Metrics::new(Options {
        collector_names,
        commit: "abc",
    });
    let jaeger: Arc<str> = "jaeger".into();
    let tally = Tally {
        received: 10,
        rejected: 1,
        sampled_out: 4,
        forwarded: 5,
    };
    metrics.ledger().accept(Transport::Grpc, tally, [&jaeger]);
    metrics.ledger().refuse(Transport::Http, 3);
    metrics.ledger().fail(Transport::Http, 2);
    metrics.ledger().settle(&jaeger, Fate::Exported, 2);
    let full = Fate::Lost(Loss::QueueFull);
    metrics.ledger().settle(&jaeger, full, 1);
    metrics.refused(Transport::Http, "503", "full");
    metrics.refused_bytes(Transport::Http, "503", "full", 77);
    metrics.misdirected(Misdirected::RootPath);
    metrics.ingested(Transport::Grpc, Duration::from_millis(3));
    let destination = metrics.destination("jaeger");
    destination.sent(512, 195_072);
    destination.delivered(Duration::from_millis(212));
    destination.up(Some(true));
    metrics.count_service(b"standalone", 5, 0);
    let policies = metrics.policy_counters(["rule errors", "default"]);
    policies.count([(5, 0), (0, 4)]);
    let levels = Levels {
        budget: Some(Budget::new(1 << 20, 1 << 10)),
        queues: vec![QueueLevel {
            destination: jaeger,
            payloads: 2,
            payloads_max: 2,
            spans: 2,
            bytes: 800,
            bytes_max: 1000,
        }],
        store: Some(StoreLevel {
            bytes: 9,
            bytes_max: 10,
            traces: 1,
            fraction: 0.5,
            skipped_spans: 0,
        }),
    };
    (metrics, levels)
}

fn page(mode: CollectorNames) -> BTreeMap<String, Family> {
    let (metrics, levels) = busy(mode);
    parse(&metrics.render(&levels))
}

fn value(families: &BTreeMap<String, Family>, series: &str) -> f64 {
    let name = series.split('{').next().unwrap();
    let family = name.trim_end_matches("_count").trim_end_matches("_sum");
    let family = families.get(family).unwrap_or_else(|| panic!("{family}"));
    *family
        .samples
        .get(series)
        .unwrap_or_else(|| panic!("{series} is not in {:#?}", family.samples))
}

#[track_caller]
fn check(families: &BTreeMap<String, Family>, series: &str, expected: f64) {
    let found = value(families, series);
    assert!(
        (found - expected).abs() < 1e-9,
        "{series} is {found}, not {expected}"
    );
}

#[test]
fn every_name_is_served_with_its_type_and_its_labels() {
    let families = page(CollectorNames::Total);
    for name in names() {
        let family = families
            .get(name.name)
            .unwrap_or_else(|| panic!("{name:?}"));
        assert_eq!(family.kind, name.kind_word(), "{name:?}");
        assert_eq!(family.help, name.meaning);
        for series in family.samples.keys() {
            let labels = series.split_once('{').map_or("", |(_, labels)| labels);
            let mut found = labels_of(labels.trim_end_matches('}'));
            found.retain(|label| label != "le");
            assert_eq!(found, name.labels, "{series}");
        }
    }
    let served: BTreeSet<&str> = families.keys().map(String::as_str).collect();
    let promised: BTreeSet<&str> = names().iter().map(|name| name.name).collect();
    assert_eq!(served, promised);
}

#[test]
fn what_the_contract_promises_is_in_the_table() {
    let promised = "otelcol_receiver_accepted_spans_total otelcol_receiver_refused_spans_total \
        otelcol_receiver_failed_spans_total otelcol_exporter_sent_spans_total \
        otelcol_exporter_send_failed_spans_total otelcol_exporter_enqueue_failed_spans_total \
        otelcol_exporter_queue_size otelcol_exporter_queue_capacity \
        otelcol_exporter_queue_batch_send_size otelcol_exporter_queue_batch_send_size_bytes \
        otelcol_processor_incoming_items_total otelcol_processor_outgoing_items_total \
        otelcol_processor_batch_batch_send_size otelcol_process_uptime_seconds_total \
        otelcol_process_cpu_seconds_total otelcol_process_memory_rss_bytes \
        otlp_relay_spans_total otlp_relay_spans_held otlp_relay_queue_bytes otlp_relay_queue_spans \
        otlp_relay_refusals_total otlp_relay_misdirected_total otlp_relay_budget_bytes \
        otlp_relay_policy_spans_total otlp_relay_service_spans_total otlp_relay_ingest_seconds \
        otlp_relay_delivery_delay_seconds otlp_relay_destination_up otlp_relay_config_generation \
        otlp_relay_config_last_reload_successful otlp_relay_build_info";
    for promised in promised.split_ascii_whitespace() {
        assert!(
            names().iter().any(|name| name.name == promised),
            "{promised}"
        );
    }
}

#[test]
fn the_modes_differ_in_the_collectors_names_alone() {
    let counts = |mode| -> BTreeSet<String> { page(mode).into_keys().collect() };
    let [total, plain, both, off] = [
        counts(CollectorNames::Total),
        counts(CollectorNames::Plain),
        counts(CollectorNames::Both),
        counts(CollectorNames::Off),
    ];
    assert_eq!(&total | &plain, both);
    assert!(total.contains("otelcol_receiver_accepted_spans_total"));
    assert!(!total.contains("otelcol_receiver_accepted_spans"));
    assert!(plain.contains("otelcol_receiver_accepted_spans"));
    assert!(
        plain.contains("otelcol_process_uptime") && plain.contains("otelcol_process_memory_rss")
    );
    assert!(
        !plain
            .iter()
            .any(|name| name.starts_with("otelcol_") && name.ends_with("_total"))
    );
    let own: BTreeSet<String> = (&total & &plain)
        .into_iter()
        .filter(|name| name.starts_with("otlp_relay_"))
        .collect();
    assert_eq!(off, own);
}

#[test]
fn both_spellings_say_the_same() {
    let families = page(CollectorNames::Both);
    for name in names() {
        let Some(plain) = name
            .plain
            .filter(|plain| !plain.starts_with("otelcol_process_"))
        else {
            continue;
        };
        let values = |name: &str| families[name].samples.values().copied().collect::<Vec<_>>();
        assert_eq!(values(name.name), values(plain), "{plain}");
    }
}

#[test]
fn the_ledger_is_told_in_both_languages() {
    let families = page(CollectorNames::Total);
    for line in BUSY.trim().lines() {
        let (series, expected) = line.rsplit_once(' ').unwrap();
        check(&families, series, expected.parse().unwrap());
    }
}

#[test]
fn what_has_not_happened_yet_is_zero_and_not_absent() {
    let metrics = Metrics::default();
    metrics.ledger().open(&"jaeger".into());
    metrics.expect_refusal(Transport::Grpc, "Unavailable", "full");
    let families = parse(&metrics.render(&Levels::default()));
    for reason in Loss::ALL {
        let reason = reason.label();
        let lost = format!(
            r#"otlp_relay_spans_total{{stage="lost",reason="{reason}",destination="jaeger"}}"#
        );
        check(&families, &lost, 0.0);
    }
    for kind in Misdirected::ALL {
        let kind = kind.label();
        check(
            &families,
            &format!(r#"otlp_relay_misdirected_total{{kind="{kind}"}}"#),
            0.0,
        );
    }
    for transport in Transport::ALL {
        let transport = transport.label();
        let labels = format!(r#"{{receiver="otlp",transport="{transport}"}}"#);
        check(
            &families,
            &format!("otelcol_receiver_refused_spans_total{labels}"),
            0.0,
        );
    }
    check(
        &families,
        r#"otlp_relay_refusals_total{transport="grpc",code="Unavailable",reason="full"}"#,
        0.0,
    );
    check(
        &families,
        r#"otlp_relay_delivery_delay_seconds_count{destination="jaeger"}"#,
        0.0,
    );
    assert!(
        !families.contains_key("otlp_relay_destination_up"),
        "nobody knows yet"
    );
}

#[test]
fn a_removed_destination_is_neither_up_nor_down_and_its_queue_is_gone() {
    let (metrics, levels) = busy(CollectorNames::Total);
    metrics.destination("jaeger").up(Some(false));
    let before = parse(&metrics.render(&levels));
    check(
        &before,
        r#"otlp_relay_destination_up{destination="jaeger"}"#,
        0.0,
    );
    let after = parse(&metrics.render(&Levels::default()));
    assert!(!after.contains_key("otlp_relay_destination_up"));
    assert!(!after.contains_key("otlp_relay_queue_bytes"));
    check(
        &after,
        r#"otelcol_exporter_sent_spans_total{exporter="jaeger"}"#,
        2.0,
    );
}

#[test]
fn a93_ever_new_services_share_one_series() {
    let metrics = Metrics::default();
    for number in 0..250 {
        let service = format!("service {number}");
        metrics.count_service(service.as_bytes(), 1, 0);
    }
    metrics.count_service(b"service 7", 1, 0);
    let families = parse(&metrics.render(&Levels::default()));
    let family = &families["otlp_relay_service_spans_total"];
    assert_eq!(family.samples.len(), 2 * 101);
    let series = |service| {
        format!(r#"otlp_relay_service_spans_total{{service="{service}",decision="kept"}}"#)
    };
    check(&families, &series("other"), 150.0);
    check(&families, &series("service 7"), 2.0);
}

#[test]
fn a_hundred_services_and_no_more_have_series_of_their_own() {
    for (count, others) in [(99, false), (100, false), (101, true)] {
        let metrics = Metrics::default();
        for number in 0..count {
            metrics.count_service(format!("service {number}").as_bytes(), 1, 0);
        }
        let page = metrics.render(&Levels::default());
        assert_eq!(page.contains("service=\"other\""), others, "{count}");
    }
    // A name is cut to what a label may hold.
    for (bytes, kept) in [(127, 127), (128, 128), (129, 128)] {
        let metrics = Metrics::default();
        metrics.count_service("x".repeat(bytes).as_bytes(), 1, 0);
        let page = metrics.render(&Levels::default());
        let label = format!("service=\"{}\"", "x".repeat(kept));
        assert!(page.contains(&label), "{bytes}");
    }
}

#[test]
fn no_name_that_a_sender_chooses_breaks_the_text() {
    let metrics = Metrics::default();
    let long = "x".repeat(1 << 20);
    let names: [&[u8]; 8] = [
        b"",
        b"a\"b",
        b"a\\\"b",
        b"a\\",
        b"line\nbreak\r\n# TYPE evil gauge",
        b"\xff\xfe\x00",
        b"} 1",
        long.as_bytes(),
    ];
    for name in names {
        metrics.count_service(name, 1, 0);
    }
    let families = parse(&metrics.render(&Levels::default()));
    let family = &families["otlp_relay_service_spans_total"];
    let counted: f64 = family.samples.values().sum();
    assert!((counted - 8.0).abs() < 1e-9, "{family:#?}");
    check(
        &families,
        r#"otlp_relay_service_spans_total{service="unknown_service",decision="kept"}"#,
        1.0,
    );
}

#[test]
fn a93_refusals_beyond_their_bound_share_one_series() {
    let metrics = Metrics::default();
    for code in 0..1000 {
        metrics.refused(Transport::Http, &code.to_string(), "full");
    }
    let families = parse(&metrics.render(&Levels::default()));
    assert_eq!(families["otlp_relay_refusals_total"].samples.len(), 129);
    check(
        &families,
        r#"otlp_relay_refusals_total{transport="http",code="other",reason="other"}"#,
        872.0,
    );
}

#[test]
fn a_policy_that_a_reload_keeps_goes_on_counting() {
    let metrics = Metrics::default();
    let before = metrics.policy_counters(["rule a", "default"]);
    before.count([(0, 0), (2, 0)]);
    let after = metrics.policy_counters(["default"]);
    after.count([(3, 0)]);
    before.count([(0, 0), (0, 1)]);
    let expected = Hits {
        kept: 5,
        sampled_out: 1,
    };
    assert_eq!(after.hits(), [expected]);
    assert_eq!(before.hits(), [Hits::default(), expected]);
}

#[test]
fn observations_are_all_in_their_buckets_however_many_come_before_a_scrape() {
    let metrics = Metrics::default();
    for _ in 0..10_000 {
        metrics.ingested(Transport::Grpc, Duration::from_millis(4));
    }
    let families = parse(&metrics.render(&Levels::default()));
    check(
        &families,
        r#"otlp_relay_ingest_seconds_count{transport="grpc"}"#,
        10_000.0,
    );
    let family = &families["otlp_relay_ingest_seconds"];
    let bucket = |le| {
        family.samples
            [&format!(r#"otlp_relay_ingest_seconds_bucket{{transport="grpc",le="{le}"}}"#)]
    };
    assert!(bucket("0.0025") < 0.5);
    assert!((bucket("0.005") - 10_000.0).abs() < 0.5);
}

#[test]
fn the_configurations_fate_shows() {
    let metrics = Metrics::default();
    let now = || parse(&metrics.render(&Levels::default()));
    let state = |generation: f64, successful: f64| {
        let families = now();
        check(&families, "otlp_relay_config_generation", generation);
        check(
            &families,
            "otlp_relay_config_last_reload_successful",
            successful,
        );
    };
    state(1.0, 1.0);
    metrics.config_reload_failed();
    state(1.0, 0.0);
    metrics.config_reloaded();
    state(2.0, 1.0);
}

#[test]
fn the_budget_is_told_by_use() {
    let budget = Budget::new(1000, 100);
    let permit = budget.try_claim(40, Use::Queues).unwrap();
    let levels = Levels {
        budget: Some(budget),
        ..Levels::default()
    };
    let families = parse(&Metrics::default().render(&levels));
    check(&families, r#"otlp_relay_budget_bytes{use="queues"}"#, 40.0);
    check(&families, r#"otlp_relay_budget_bytes{use="bodies"}"#, 0.0);
    check(&families, "otlp_relay_budget_bytes_max", 1000.0);
    drop(permit);
}
