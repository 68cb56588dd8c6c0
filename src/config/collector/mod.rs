//! Coming from a Collector: its configuration recognised, and the relay's equivalent said part by part.
//!
//! It translates what `parts` knows and says of everything else that it has no equivalent; it makes no configuration.

mod actions;
mod parts;
#[cfg(test)]
mod tests;

use crate::document::{Entry, Findings, Node, Section, Value, join, on_one_line, parse_duration};

use super::{
    endpoint, kinds,
    listen::ListenHost,
    print::flow,
    schema::{self, Kind},
};

pub use parts::{Part, parts};

use parts::Means;

/// The sections that hold components, in the order of a Collector's documentation.
const SECTIONS: [&str; 5] = [
    "receivers",
    "processors",
    "exporters",
    "connectors",
    "extensions",
];

/// Whether a document is a Collector's configuration: it has its `service`, or two sections that only a Collector has. One
/// of these may be a slip in a configuration of the relay.
pub fn is_collector(root: &Node) -> bool {
    let is_there = |section: &&str| child(root, section).is_some();
    let sections = ["processors", "exporters", "connectors", "extensions"];
    is_there(&"service") || sections.iter().copied().filter(is_there).count() > 1
}

/// The relay's equivalent of a Collector's configuration, part by part, and what has none.
pub fn translate(root: &Node) -> String {
    let mut out = format!(
        "{} is a Collector's configuration. What otlp-relay has for each part:\n",
        root.place.source
    );
    for section in SECTIONS {
        let components = child(root, section).map_or(&[][..], entries);
        if !components.is_empty() {
            out.push('\n');
            line(&mut out, &format!("{section}:"));
        }
        let mut names = Vec::new();
        for component in components {
            translate_component(&mut out, section, component, &mut names);
        }
    }
    if let Some(service) = child(root, "service") {
        out.push('\n');
        line(&mut out, "service:");
        translate_service(&mut out, service);
    }
    out
}

/// `names` are those of destinations before this one.
fn translate_component(
    out: &mut String,
    section: &str,
    component: &Entry,
    names: &mut Vec<String>,
) {
    let (kind, name) = match component.key.split_once('/') {
        Some((kind, name)) => (kind, name),
        None => (&*component.key, &*component.key),
    };
    let known = parts()
        .iter()
        .find(|part| part.section == section && part.kinds.contains(&kind));
    let is = known.map_or("nothing", |part| part.is);
    let (id, line_number) = (&component.key, component.place.line);
    line(out, &format!("  {id} (line {line_number}): {is}"));
    if let Some(part) = known {
        let translation = Translation {
            part,
            component: &component.node,
            name: &free_name(part, name, names),
        };
        translation.keys(out, &component.node, "");
    }
}

/// A destination's name: those of a Collector differ by their type, too, so `otlp/a` and `otlphttp/a` are two.
fn free_name(part: &Part, name: &str, names: &mut Vec<String>) -> String {
    let mut free = name.to_owned();
    let mut number = 2;
    while part.is_destination() && names.contains(&free) {
        free = format!("{name}_{number}");
        number += 1;
    }
    if part.is_destination() {
        names.push(free.clone());
    }
    free
}

struct Translation<'a> {
    part: &'static Part,
    component: &'a Node,
    name: &'a str,
}

impl Translation<'_> {
    /// Every key that the part knows, as deep as it knows it; what it does not know has no equivalent.
    fn keys(&self, out: &mut String, node: &Node, path: &str) {
        for entry in entries(node) {
            let path = join(path, &entry.key);
            let means = self.part.keys.iter().find(|(known, _)| *known == path);
            match (means, &entry.node.value) {
                (Some((_, Means::Actions(on, list))), _) => {
                    actions::translate(out, on, list, &entry.node);
                }
                (Some((_, means)), _) => {
                    let equivalent = self.equivalent(*means, &entry.node);
                    line(out, &format!("    {path} -> {equivalent}"));
                }
                (None, Value::Map(inner)) if !inner.is_empty() => {
                    self.keys(out, &entry.node, &path);
                }
                (None, Value::Null) => {}
                (None, _) => line(out, &format!("    {path} -> nothing")),
            }
        }
    }

    fn equivalent(&self, means: Means, node: &Node) -> String {
        let mebibytes = || format!("{}MiB", written(node));
        match means {
            Means::Mebibytes(key) => self.setting(key, Value::String(mebibytes())),
            Means::Percentage(key) => match number(node) {
                Some(percentage) => format!("{key}: {}", fraction(percentage)),
                None => format!("{key}: a fraction from 0 to 1"),
            },
            Means::GiveUp(key) if is_zero(node) => self.setting(key, Value::String("never".into())),
            Means::Key(key) | Means::GiveUp(key) => self.setting(key, node.value.clone()),
            Means::Endpoint => {
                let endpoint = Value::String(self.endpoint(node));
                self.setting("destinations.*.endpoint", endpoint)
            }
            Means::Words(words) => words.replace('*', self.name),
            Means::Actions(..) => String::new(),
        }
    }

    /// A key with its value, or what the key allows if that is not it.
    fn setting(&self, path: &str, value: Value) -> String {
        let place = self.component.place.clone();
        let node = Node { value, place };
        let (key, text) = (path.replace('*', self.name), written(&node));
        match refusal(path, &node) {
            Some(why) => format!("nothing as such; {key}: {why}"),
            None => format!("{key}: {text}"),
        }
    }

    /// The Collector's gRPC endpoints have no scheme; `tls.insecure` decides about TLS.
    fn endpoint(&self, node: &Node) -> String {
        let written = written(node).replace('"', "");
        let insecure = child(self.component, "tls").and_then(|tls| child(tls, "insecure"));
        match insecure.map(|node| &node.value) {
            _ if written.contains("://") => written,
            Some(Value::Bool(true)) => format!("http://{written}"),
            _ => format!("https://{written}"),
        }
    }
}

/// Why the relay would not take this value. What comes from the environment is not known here.
fn refusal(path: &str, node: &Node) -> Option<String> {
    let text = written(node);
    let key = schema::keys().iter().find(|key| key.path == path)?;
    if text.contains("${") {
        return None;
    }
    if let (Kind::Endpoint, Value::String(text)) = (key.kind, &node.value) {
        return endpoint::parse(text).err();
    }
    let name = key.path.rsplit('.').next()?;
    let entry = Entry {
        key: name.to_owned(),
        place: node.place.clone(),
        node: node.clone(),
    };
    let root = Node {
        value: Value::Map(vec![entry]),
        place: node.place.clone(),
    };
    let mut findings = Findings::default();
    let mut section = Section::open(&root, "", &mut findings)?;
    kinds::read(&mut section, name, key.kind, node, &ListenHost::LOOPBACK);
    Some(findings.0.pop()?.message)
}

fn translate_service(out: &mut String, service: &Node) {
    let pipelines = child(service, "pipelines").map_or(&[][..], entries);
    let mut ways = 0;
    for pipeline in pipelines {
        let traces = pipeline.key == "traces" || pipeline.key.starts_with("traces/");
        ways += usize::from(traces);
        let words = match (traces, ways) {
            (true, 1) => {
                "the relay's one way: receivers, sampling, enrichment, batch, every destination"
            }
            (true, _) => "nothing: there is one way, and every destination gets all of it",
            (false, _) => "nothing: only traces are relayed",
        };
        let (key, number) = (&pipeline.key, pipeline.place.line);
        line(out, &format!("  pipelines.{key} (line {number}): {words}"));
    }
    let telemetry = child(service, "telemetry");
    let of = |part, key| child(child(telemetry?, part)?, key);
    if let Some(level) = of("logs", "level") {
        line(
            out,
            &format!("  telemetry.logs.level -> log.level: {}", written(level)),
        );
    }
    if let Some(encoding) = of("logs", "encoding") {
        let format = if written(encoding) == "json" {
            "json"
        } else {
            "text"
        };
        line(
            out,
            &format!("  telemetry.logs.encoding -> log.format: {format}"),
        );
    }
    if telemetry
        .and_then(|telemetry| child(telemetry, "metrics"))
        .is_some()
    {
        line(
            out,
            "  telemetry.metrics -> admin.listen serves /metrics under the Collector's names",
        );
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(&on_one_line(text));
    out.push('\n');
}

fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Map(entries) => entries,
        _ => &[],
    }
}

fn child<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let entry = entries(node).iter().find(|entry| entry.key == key)?;
    Some(&entry.node)
}

/// A value as it is written. A Collector's `${env:NAME}` and `$$` mean the same here, so they stay.
fn written(node: &Node) -> String {
    flow(node)
}

fn number(node: &Node) -> Option<f64> {
    written(node).parse().ok()
}

/// A percentage as a fraction; millionths of a percent are as fine as a Collector samples.
fn fraction(percentage: f64) -> String {
    ((percentage * 1e6).round() / 1e8).to_string()
}

fn is_zero(node: &Node) -> bool {
    parse_duration(&written(node)).is_ok_and(|duration| duration.is_zero())
}
