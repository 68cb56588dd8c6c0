//! Holds what users read against the code: the README's tables and examples, every link, the files in `docker/` and
//! `config/`. It does not judge prose.
//!
//! `UPDATE_DOCUMENTS=1 cargo test --test documents` writes the README's tables anew.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod alerts; // the rules of Prometheus use metrics, labels and names that exist
mod clients; // docs/CONFORMANCE.md names the clients that the relay is tested with
mod conformance; // docs/CONFORMANCE.md names the tests of each acceptance case
mod docker; // image and compose file fit the program and each other
mod examples; // the YAML in the README and the shipped configurations load; its commands exist
mod links; // every relative link leads somewhere
mod tables; // the README's tables say what the code says
mod troubleshooting; // docs/TROUBLESHOOTING.md quotes what the relay says

/// What h2spec may find in `tests/e2e`.
#[path = "../e2e/h2spec/exceptions.rs"]
mod exceptions;
/// The clients that `tests/e2e` runs.
#[path = "../e2e/sdks/table.rs"]
mod sdks;

use std::{collections::BTreeMap, fs, io, path::Path};

use otlp_relay::{
    config::{self, Config, Surroundings},
    document::{self, Findings, Node, Value},
};

const README: &str = "README.md";

/// A file of the repository; tests run at its root.
fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A YAML file of the repository.
fn yaml(path: &str) -> Node {
    parse(path, &text(path))
}

fn parse(name: &str, text: &str) -> Node {
    let mut findings = Findings::default();
    let node = document::parse(name, text, &mut findings);
    assert!(!findings.any_mistake(), "{findings}");
    node.unwrap()
}

/// What stands at these keys, if there is such a thing.
fn find<'a>(node: &'a Node, keys: &[&str]) -> Option<&'a Node> {
    keys.iter().try_fold(node, |node, key| {
        let entry = entries(node).iter().find(|entry| entry.key == *key)?;
        Some(&entry.node)
    })
}

/// What stands at these keys.
fn at<'a>(node: &'a Node, keys: &[&str]) -> &'a Node {
    find(node, keys).unwrap_or_else(|| panic!("{}: no {}", node.place, keys.join(".")))
}

/// The entries of a mapping; none of anything else.
fn entries(node: &Node) -> &[document::Entry] {
    match &node.value {
        Value::Map(entries) => entries,
        _ => &[],
    }
}

fn keys(node: &Node) -> Vec<&str> {
    entries(node)
        .iter()
        .map(|entry| entry.key.as_str())
        .collect()
}

fn string(node: &Node) -> &str {
    match &node.value {
        Value::String(text) => text,
        other => panic!("{}: {} is no string", node.place, other.in_words()),
    }
}

fn strings(node: &Node) -> Vec<&str> {
    match &node.value {
        Value::List(items) => items.iter().map(string).collect(),
        other => panic!("{}: {} is no list", node.place, other.in_words()),
    }
}

/// Loads a configuration from these files alone, in this environment; what the machine says of itself is left out.
fn load(
    file: &str,
    environment: &[(&str, &str)],
    files: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
) -> Config {
    try_load(file, environment, files)
        .unwrap_or_else(|findings| panic!("{file} does not load:\n{findings}"))
}

fn try_load(
    file: &str,
    environment: &[(&str, &str)],
    files: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<Config, config::Invalid> {
    let pairs = environment.iter();
    let environment: BTreeMap<_, _> = pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let read = |path: &Path| {
        if path.is_absolute() {
            Err(io::ErrorKind::NotFound.into())
        } else {
            files(path)
        }
    };
    let around = Surroundings::new(environment, &read);
    config::load(Some(Path::new(file)), &around)
}

/// Loads a configuration of the repository.
fn load_shipped(file: &str, environment: &[(&str, &str)]) -> Config {
    load(file, environment, &|path| fs::read(path))
}
