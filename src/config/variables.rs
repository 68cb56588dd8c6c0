//! The relay's own variables: a tree like the file's from those that set a key, and a warning about those that only look
//! like it.

use crate::document::{Entry, Findings, Node, Place, Value, nearest};

use super::{
    listen::LISTEN_HOST_VARIABLE,
    merge::{at, insert, mapping},
    schema,
    sources::{Surroundings, is_utf8},
};

/// What a variable that sets a key begins with; `__` parts the names of a path.
const PREFIX: &str = "OTLP_RELAY__";

/// What every variable of the relay begins with.
const FAMILY: &str = "OTLP_RELAY_";

/// Kubernetes and Docker's links set variables for a service that is named `otlp-relay`; they are nobody's mistake.
const SET_BY_OTHERS: [&str; 2] = ["OTLP_RELAY_SERVICE_", "OTLP_RELAY_PORT"];

/// Their values stay strings until the typed settings read them. Names are spelled as in `file` where it has them.
pub(super) fn read(around: &Surroundings<'_>, file: &Node, findings: &mut Findings) -> Node {
    let mut root = mapping(Vec::new(), &Place::whole("environment"));
    for (variable, value) in &around.environment {
        let place = Place::whole(&format!("environment variable {variable}"));
        let Some(path) = variable.strip_prefix(PREFIX) else {
            warn_of_lookalike(variable, &place, findings);
            continue;
        };
        if value.is_empty() {
            continue; // As compose leaves it for a variable that is not set.
        }
        let names = names(path, file);
        if !is_utf8(value) {
            findings.mistake(&place, names.join("."), "its value is not UTF-8");
            continue;
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let node = Node {
            value: Value::String(value.clone()),
            place: place.clone(),
        };
        if insert(&mut root, &names, node).is_err() {
            let message = "another variable sets the whole of which this sets a part";
            findings.mistake(&place, names.join("."), message);
        }
    }
    root
}

/// The path that a variable sets. Users choose the names of destinations and headers, and variables have no capitals of
/// their own and no dashes.
fn names(path: &str, file: &Node) -> Vec<String> {
    let mut names: Vec<String> = path.split("__").map(str::to_lowercase).collect();
    if names[0] == "destinations" && names.len() > 1 {
        names[1] = as_written(&names, 1, file).unwrap_or_else(|| names[1].clone());
    }
    if let [_, _, group, name] = &names[..]
        && ["headers", "headers_files"].contains(&group.as_str())
    {
        names[3] = as_written(&names, 3, file).unwrap_or_else(|| name.replace('_', "-"));
    }
    names
}

/// One of the names as the file spells it.
fn as_written(names: &[String], index: usize, file: &Node) -> Option<String> {
    let Value::Map(entries) = &at(file, &names[..index])?.value else {
        return None;
    };
    let alike = |entry: &&Entry| entry.key.to_lowercase().replace('-', "_") == names[index];
    Some(entries.iter().find(alike)?.key.clone())
}

/// `OTLP_RELAY_QUEUE__BYTES_MAX`, with one underscore, sets nothing.
fn warn_of_lookalike(variable: &str, place: &Place, findings: &mut Findings) {
    let set_by_others = || SET_BY_OTHERS.iter().any(|set| variable.starts_with(set));
    if !variable.starts_with(FAMILY) || variable == LISTEN_HOST_VARIABLE || set_by_others() {
        return;
    }
    let keys = schema::keys().iter();
    let mut known: Vec<String> = keys
        .map(|key| format!("{PREFIX}{}", key.path.to_uppercase().replace('.', "__")))
        .collect();
    known.push(LISTEN_HOST_VARIABLE.to_owned());
    // Every name begins alike, so the likeness is that of the rest.
    let rests: Vec<String> = known.iter().map(|name| rest(name)).collect();
    let rests: Vec<&str> = rests.iter().map(String::as_str).collect();
    let nearest = nearest(&rest(variable), &rests);
    let nearest =
        nearest.and_then(|nearest| known.get(rests.iter().position(|rest| *rest == nearest)?));
    let meant = nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"));
    let message =
        format!("nothing reads this variable: those that set a key begin with {PREFIX}{meant}");
    findings.warning(place, "", message);
}

fn rest(variable: &str) -> String {
    let rest = variable.strip_prefix(FAMILY).unwrap_or(variable);
    rest.trim_start_matches('_').to_lowercase()
}
