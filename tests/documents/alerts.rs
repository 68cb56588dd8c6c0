//! Prometheus' rules against the metrics that exist: names, labels, and what is scraped.

use otlp_relay::{
    document::{Node, Value},
    metrics::{self, CollectorNames, Name},
};

use super::{at, string, yaml};

/// All rules of a rule file.
pub(super) fn rules(file: &Node) -> Vec<&Node> {
    list(at(file, &["groups"]))
        .iter()
        .flat_map(|group| list(at(group, &["rules"])))
        .collect()
}

fn list(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        _ => panic!("{}: no list", node.place),
    }
}

/// The metric that a name in an expression means, as `collector_names: total` serves it.
fn metric(found: &str) -> Option<&'static Name> {
    let is = |name: &&Name| {
        name.spelled(CollectorNames::Total).any(|spelled| {
            let suffix = found.strip_prefix(spelled);
            match name.kind {
                metrics::Kind::Histogram(_) => {
                    suffix.is_some_and(|suffix| ["_bucket", "_sum", "_count"].contains(&suffix))
                }
                _ => suffix == Some(""),
            }
        })
    };
    metrics::names().iter().find(is)
}

/// The names of our metrics in an expression, each with the labels in the braces that follow.
fn used(expression: &str) -> Vec<(&str, Vec<&str>)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut used = Vec::new();
    for prefix in ["otlp_relay_", "otelcol_"] {
        for (start, _) in expression.match_indices(prefix) {
            let rest = &expression[start..];
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            let braces = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let labels = braces.map_or("", |(labels, _)| labels).split(',');
            let labels = labels.filter_map(|pair| Some(pair.split_once(['=', '!'])?.0.trim()));
            used.push((name, labels.collect()));
        }
    }
    used
}

/// Labels that Prometheus adds when it scrapes.
const SCRAPED: [&str; 2] = ["instance", "job"];

fn check(place: &impl std::fmt::Display, expression: &str) {
    for (name, labels) in used(expression) {
        let metric = metric(name).unwrap_or_else(|| panic!("{place}: no metric {name}"));
        for label in labels {
            let known = metric.labels.contains(&label) || SCRAPED.contains(&label);
            assert!(known, "{place}: {name} has no label {label}");
        }
    }
}

#[test]
fn rules_use_metrics_that_exist() {
    let file = yaml("docker/prometheus/alerts.yml");
    for rule in rules(&file) {
        let expression = at(rule, &["expr"]);
        check(&expression.place, string(expression));
    }
}

#[test]
fn the_rules_tests_use_metrics_that_exist() {
    let file = yaml("docker/prometheus/alerts.test.yml");
    let tests = list(at(&file, &["tests"]));
    let series = tests
        .iter()
        .flat_map(|test| list(at(test, &["input_series"])));
    for series in series {
        let series = at(series, &["series"]);
        check(&series.place, string(series));
    }
}

#[test]
fn names_labels_and_suffixes_are_seen() {
    let expression = r#"a{b="c"} / otlp_relay_x{stage="lost", reason!="y"}[5m] > otelcol_z"#;
    assert_eq!(
        used(expression),
        [
            ("otlp_relay_x", vec!["stage", "reason"]),
            ("otelcol_z", vec![])
        ]
    );
    assert!(metric("otlp_relay_ingest_seconds_bucket").is_some());
    assert!(metric("otlp_relay_ingest_seconds").is_none());
    assert!(metric("otlp_relay_spans_total").is_some());
    assert!(metric("otlp_relay_spans").is_none());
}
