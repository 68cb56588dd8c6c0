//! What `docker/` says is what the program and the other files there understand: names, ports, paths, metrics.
//!
//! There is no container engine to find out. `docker/check` runs what can be run of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;
use saphyr::{LoadableYamlNode, YamlOwned};

/// product.md's `shutdown.deadline`.
const SHUTDOWN_DEADLINE_SECONDS: u32 = 8;

#[test]
fn each_service_names_the_next_ones_address() {
    let compose = yaml("compose.yaml");
    let relay = yaml("otlp-relay/otlp-relay.yaml");
    let milvus = yaml("milvus/milvus.yaml");
    let prometheus = yaml("prometheus/prometheus.yml");
    for name in ["milvus", "otlp-relay", "jaeger", "prometheus"] {
        assert!(compose["services"].as_mapping_get(name).is_some(), "{name}");
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
    for (name, service) in compose["services"].as_mapping().unwrap() {
        for mount in service
            .as_mapping_get("volumes")
            .map(texts)
            .unwrap_or_default()
        {
            let source = mount.split(':').next().unwrap().to_owned();
            if source.starts_with('.') {
                assert!(docker(&source).exists(), "{}: {source}", text(name));
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
    assert!(
        services["milvus"]["depends_on"]
            .as_mapping_get("otlp-relay")
            .is_some()
    );
    assert!(
        services["otlp-relay"]["depends_on"]
            .as_mapping_get("jaeger")
            .is_some()
    );
    let grace = text(&services["otlp-relay"]["stop_grace_period"]);
    let grace: u32 = grace.strip_suffix('s').unwrap().parse().unwrap();
    assert!(grace > SHUTDOWN_DEADLINE_SECONDS, "killed while it drains");
}

#[test]
fn alerts_read_metrics_that_exist() {
    let alerts = fs::read_to_string(docker("prometheus/alerts.yml")).unwrap();
    let names = Regex::new(r"\b(?:otlp_relay|otelcol)_[a-z_]+\b").unwrap();
    let sources = sources("src/metrics");
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

fn yaml(path: &str) -> YamlOwned {
    let document = fs::read_to_string(docker(path)).unwrap();
    YamlOwned::load_from_str(&document).unwrap().remove(0)
}

fn text(node: &YamlOwned) -> &str {
    node.as_str().unwrap()
}

fn integer(node: &YamlOwned) -> i64 {
    node.as_integer().unwrap()
}

fn texts(node: &YamlOwned) -> Vec<String> {
    let list = node.as_sequence().unwrap();
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

/// Every file of a folder of sources, one after the other.
fn sources(folder: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .map(|file| fs::read_to_string(file).unwrap())
        .collect()
}
