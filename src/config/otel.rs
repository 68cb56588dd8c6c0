//! The destination `otlp` that OpenTelemetry's own variables describe, by its rules
//! (OpenTelemetry specification, "OpenTelemetry Protocol Exporter", 1.50).
//!
//! It serves only when no destination is configured, and only when an endpoint is set: the specification's default
//! endpoint is this relay's own listener.

use std::path::Path;

use crate::{
    document::{Entry, Findings, Node, Place, Value},
    otlp,
};

use super::{
    merge::{insert, mapping},
    sources::Surroundings,
};

/// The destination's name.
const NAME: &str = "otlp";

/// OpenTelemetry's own, twice the relay's.
const TIMEOUT_UNSET: &str = "10s";

/// A variable that was found: the one for traces goes before the one for all signals.
struct Variable<'a> {
    value: &'a str,
    place: Place,
    for_traces: bool,
}

fn variable<'a>(around: &'a Surroundings<'_>, suffix: &str) -> Option<Variable<'a>> {
    [true, false].into_iter().find_map(|for_traces| {
        let signal = if for_traces { "TRACES_" } else { "" };
        let name = format!("OTEL_EXPORTER_OTLP_{signal}{suffix}");
        around.variable(&name).map(|value| Variable {
            value: value.trim(),
            place: Place::whole(&format!("environment variable {name}")),
            for_traces,
        })
    })
}

/// Whether what stands at a place was set by one of these variables.
pub(super) fn set(place: &Place) -> bool {
    place.source.starts_with("environment variable OTEL_")
}

/// A tree with `destinations.otlp` as the variables describe it, or without it when they name no endpoint.
pub(super) fn destination(around: &Surroundings<'_>, findings: &mut Findings) -> Node {
    let mut root = mapping(Vec::new(), &Place::whole("environment"));
    let Some(endpoint) = variable(around, "ENDPOINT") else {
        return root;
    };
    let protocol = variable(around, "PROTOCOL");
    let http = is_http(protocol.as_ref(), findings);
    let protocol_place = protocol.map_or_else(|| endpoint.place.clone(), |found| found.place);
    let mut set = |names: &[&str], value: Value, place: &Place| {
        let names = [&["destinations", NAME], names].concat();
        let place = place.clone();
        insert(&mut root, &names, Node { value, place }).expect("each key is set once");
    };
    let word = if http { "http" } else { "grpc" };
    set(&["protocol"], text(word), &protocol_place);
    let base = base_url(&endpoint, http, findings);
    set(&["endpoint"], text(base), &endpoint.place);
    // What is unset is what OpenTelemetry says, also for https: the relay's own defaults are not asked.
    match variable(around, "COMPRESSION") {
        Some(found) => set(&["compression"], text(found.value), &found.place),
        None => set(&["compression"], text("none"), &endpoint.place),
    }
    match variable(around, "TIMEOUT") {
        Some(found) => set(&["timeout"], timeout(&found, findings), &found.place),
        None => set(&["timeout"], text(TIMEOUT_UNSET), &endpoint.place),
    }
    if let Some(found) = variable(around, "HEADERS") {
        set(&["headers"], headers(&found, findings), &found.place);
    }
    for (suffix, key) in FILES {
        if let Some(found) = variable(around, suffix) {
            set(&["tls", key], text(&absolute(found.value)), &found.place);
        }
    }
    root
}

const FILES: [(&str, &str); 3] = [
    ("CERTIFICATE", "ca_file"),
    ("CLIENT_CERTIFICATE", "cert_file"),
    ("CLIENT_KEY", "key_file"),
];

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn is_http(protocol: Option<&Variable<'_>>, findings: &mut Findings) -> bool {
    match protocol {
        None => true,
        Some(found) => match found.value {
            "grpc" => false,
            "http/protobuf" => true,
            other => {
                let message = format!("found `{other}`; allowed: grpc, http/protobuf");
                findings.mistake(&found.place, "destinations.otlp.protocol", message);
                true
            }
        },
    }
}

/// The URL to which `/v1/traces` is added. The variable for traces is used as it is, so it must end in that.
fn base_url<'a>(endpoint: &Variable<'a>, http: bool, findings: &mut Findings) -> &'a str {
    if !(http && endpoint.for_traces) {
        return endpoint.value;
    }
    endpoint
        .value
        .strip_suffix(otlp::TRACES_PATH)
        .unwrap_or_else(|| {
            let message = format!(
                "this variable is used as it is, and its path must end in {path}; \
             write that, or set OTEL_EXPORTER_OTLP_ENDPOINT, to which it is added",
                path = otlp::TRACES_PATH
            );
            findings.mistake(&endpoint.place, "destinations.otlp.endpoint", message);
            endpoint.value
        })
}

/// Milliseconds without a unit.
fn timeout(found: &Variable<'_>, findings: &mut Findings) -> Value {
    if found.value.chars().all(|c| c.is_ascii_digit()) {
        return text(&format!("{}ms", found.value));
    }
    let found_words = text(found.value).in_words();
    let message = format!("found {found_words}; allowed: whole milliseconds, such as 10000");
    findings.mistake(&found.place, "destinations.otlp.timeout", message);
    text(TIMEOUT_UNSET)
}

/// `name=value,name=value`, the values URL-encoded (W3C baggage without properties). Values are never repeated in a
/// message.
fn headers(found: &Variable<'_>, findings: &mut Findings) -> Value {
    let mut entries: Vec<Entry> = Vec::new();
    let pairs = found.value.split(',');
    for (index, pair) in pairs.filter(|pair| !pair.trim().is_empty()).enumerate() {
        let decoded = pair
            .split_once('=')
            .and_then(|(name, value)| Some((name.trim(), percent_decoded(value.trim())?)));
        match decoded {
            Some((name, value)) if !name.is_empty() => entries.push(Entry {
                key: name.to_lowercase(),
                place: found.place.clone(),
                node: Node {
                    value: Value::String(value),
                    place: found.place.clone(),
                },
            }),
            _ => {
                let message = "allowed: name=value,name=value, the values URL-encoded";
                let key = format!("destinations.otlp.headers[{index}]");
                findings.mistake(&found.place, key, message);
            }
        }
    }
    Value::Map(entries)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// These paths are relative to the working directory, and those of a configuration file to the file.
fn absolute(path: &str) -> String {
    std::path::absolute(Path::new(path))
        .map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}
