//! What `docker/` says is what the program and the other files there understand: names, ports, paths, metrics.
//!
//! There is no container engine to find out. `docker/check` runs what can be run of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use otlp_relay::document::{Findings, Node, Value as Yaml, parse};
use regex::Regex;
use serde_json::Value;

/// product.md's `shutdown.deadline`.
const SHUTDOWN_DEADLINE_SECONDS: u32 = 8;

#[test]
fn each_service_names_the_next_ones_address() {
    let compose = yaml("compose.yaml");
    let relay = yaml("otlp-relay/otlp-relay.yaml");
    let milvus = yaml("milvus/milvus.yaml");
    let prometheus = yaml("prometheus/prometheus.yml");
    for name in ["milvus", "otlp-relay", "jaeger", "prometheus"] {
        assert!(compose["services"].get(name).is_some(), "{name}");
    }

    let grpc = integer(&relay["receivers"]["grpc"]["listen"]);
    let endpoint = text(&milvus["trace"]["otlp"]["endpoint"]);
    assert_eq!(endpoint, format!("otlp-relay:{grpc}"));
    let admin = integer(&relay["admin"]["listen"]);
    let target = &prometheus["scrape_configs"][0]["static_configs"][0]["targets"][0];
    assert_eq!(text(target), format!("otlp-relay:{admin}"));
    let jaeger = text(&relay["destinations"]["jaeger"]["endpoint"]);
    assert_eq!(jaeger, "http://jaeger:4317");

    let http = integer(&relay["receivers"]["http"]["listen"]);
    let ports = texts(&compose["services"]["otlp-relay"]["ports"]);
    let exposed = dockerfile_words("EXPOSE");
    for port in [grpc, http, admin].map(|port| port.to_string()) {
        let inside = format!(":{port}");
        assert!(
            ports.iter().any(|published| published.ends_with(&inside)),
            "{ports:?}"
        );
        assert!(exposed.contains(&port), "{exposed:?}");
    }
}

#[test]
fn what_is_mounted_exists_where_the_program_looks() {
    let compose = yaml("compose.yaml");
    for (name, service) in compose["services"].as_object().unwrap() {
        for mount in service.get("volumes").map(texts).unwrap_or_default() {
            let source = mount.split(':').next().unwrap().to_owned();
            if source.starts_with('.') {
                assert!(docker(&source).exists(), "{name}: {source}");
            }
        }
    }
    let relay = &compose["services"]["otlp-relay"];
    let [mount] = texts(&relay["volumes"]).try_into().unwrap();
    let (source, target) = mount.strip_suffix(":ro").unwrap().split_once(':').unwrap();
    let command = texts(&relay["command"]);
    let file = command.last().unwrap().strip_prefix(target).unwrap();
    assert!(
        docker(source).join(file.trim_start_matches('/')).is_file(),
        "{file}"
    );
    let dockerfile = relay["build"]["dockerfile"].as_str().unwrap();
    assert!(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(dockerfile)
            .is_file()
    );
}

#[test]
fn compose_stops_milvus_then_the_relay_then_jaeger() {
    let compose = yaml("compose.yaml");
    let services = &compose["services"];
    // What depends on another is stopped before it.
    assert!(services["milvus"]["depends_on"].get("otlp-relay").is_some());
    assert!(services["otlp-relay"]["depends_on"].get("jaeger").is_some());
    let grace = text(&services["otlp-relay"]["stop_grace_period"]);
    let grace: u32 = grace.strip_suffix('s').unwrap().parse().unwrap();
    assert!(grace > SHUTDOWN_DEADLINE_SECONDS, "killed while it drains");
}

#[test]
fn alerts_read_metrics_that_exist() {
    let alerts = fs::read_to_string(docker("prometheus/alerts.yml")).unwrap();
    let names = Regex::new(r"\b(?:otlp_relay|otelcol)_[a-z_]+\b").unwrap();
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/metrics"));
    let mut found = 0;
    for name in names.find_iter(&alerts).map(|name| name.as_str()) {
        // The suffix of counters is added by a setting, `metrics.collector_names`.
        let spelled = name.strip_suffix("_total").unwrap_or(name);
        assert!(sources.contains(spelled), "no metric is called {name}");
        found += 1;
    }
    assert!(found >= 7, "an alert on each of them");
}

fn docker(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docker")
        .join(path)
}

fn yaml(path: &str) -> Value {
    let document = fs::read_to_string(docker(path)).unwrap();
    let mut findings = Findings::default();
    let node = parse(path, &document, &mut findings);
    assert!(findings.0.is_empty(), "{findings:?}");
    json(&node.unwrap())
}

/// As a tree that can be walked by names.
fn json(node: &Node) -> Value {
    match &node.value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::from(*value),
        Yaml::Int(value) => Value::from(*value),
        Yaml::Float(value) => Value::from(*value),
        Yaml::String(value) => Value::from(value.as_str()),
        Yaml::List(nodes) => nodes.iter().map(json).collect(),
        Yaml::Map(entries) => {
            let entries = entries.iter();
            entries
                .map(|entry| (entry.key.clone(), json(&entry.node)))
                .collect()
        }
    }
}

fn text(node: &Value) -> &str {
    node.as_str().unwrap()
}

fn integer(node: &Value) -> i64 {
    node.as_i64().unwrap()
}

fn texts(node: &Value) -> Vec<String> {
    let list = node.as_array().unwrap();
    list.iter().map(|node| text(node).to_owned()).collect()
}

/// What follows an instruction of the Dockerfile.
fn dockerfile_words(instruction: &str) -> Vec<String> {
    let file = fs::read_to_string(docker("Dockerfile")).unwrap();
    let line = file.lines().find_map(|line| line.strip_prefix(instruction));
    line.unwrap()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// Every file of a folder of sources and of the folders in it, one after the other.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap();
    let mut text = String::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            text += &sources(&path);
        } else {
            text += &fs::read_to_string(path).unwrap();
        }
    }
    text
}
