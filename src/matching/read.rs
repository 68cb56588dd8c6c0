//! A `match` as it is written in policies and enrichment: which keys there are, and what each may hold.
//!
//! Everything wrong is reported; a condition that is wrong is left out, and the document is not used then.

use super::{
    Glob, Matcher,
    condition::{AttributeCondition, Codes, ResourceCondition, SpanCondition, ValueTest},
};
use crate::document::{Findings, Node, Section, Value};

/// What `kind` may be, by its number in OTLP.
const KINDS: &[&str] = &[
    "unspecified",
    "internal",
    "server",
    "client",
    "producer",
    "consumer",
];
/// What `status` may be, by its number in OTLP.
const STATUSES: &[&str] = &["unset", "ok", "error"];

impl Matcher {
    /// Reads a `match` mapping; `key` is its dotted path. Everything wrong is reported, and the rest is used.
    pub fn read(node: &Node, key: &str, findings: &mut Findings) -> Self {
        let Some(mut section) = Section::open(node, key, findings) else {
            return Self::default();
        };
        let matcher = Self {
            resource: resource_conditions(&mut section),
            scope: globs(&mut section, "scope").unwrap_or_default(),
            span: span_conditions(&mut section),
        };
        section.later("root_span");
        section.finish();
        matcher
    }
}

fn resource_conditions(section: &mut Section<'_, '_>) -> Vec<ResourceCondition> {
    let service = globs(section, "service").map(ResourceCondition::Service);
    let attributes = attributes(section, "resource_attributes");
    let mut conditions: Vec<_> = service
        .into_iter()
        .chain(attributes.into_iter().map(ResourceCondition::Attribute))
        .collect();
    conditions.sort();
    conditions
}

fn span_conditions(section: &mut Section<'_, '_>) -> Vec<SpanCondition> {
    let mut conditions = Vec::new();
    conditions.extend(globs(section, "span").map(SpanCondition::Name));
    conditions.extend(codes(section, "kind", KINDS).map(SpanCondition::Kind));
    conditions.extend(codes(section, "status", STATUSES).map(SpanCondition::Status));
    let min = nanos(section, "duration_min");
    let max = nanos(section, "duration_max");
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        section.mistake("duration_min", "above `duration_max`: no span can be both");
    }
    conditions.extend(min.map(SpanCondition::DurationMin));
    conditions.extend(max.map(SpanCondition::DurationMax));
    let attributes = attributes(section, "attributes");
    conditions.extend(attributes.into_iter().map(SpanCondition::Attribute));
    conditions.sort();
    conditions
}

/// A glob or a list of them, sorted, each once.
fn globs(section: &mut Section<'_, '_>, key: &'static str) -> Option<Vec<Glob>> {
    let patterns = section.strings(key)?;
    Some(sorted(patterns.into_iter().map(Glob::new).collect()))
}

/// One of a closed set of words or a list of them; the code of a word is its place in `words`.
fn codes(section: &mut Section<'_, '_>, key: &'static str, words: &[&str]) -> Option<Codes> {
    let mut codes = Codes::default();
    for found in section.strings(key)? {
        if let Some((_, code)) = words.iter().zip(0..).find(|(word, _)| **word == found) {
            codes = codes.with(code);
        } else {
            let (place, path) = (section.place(key), section.path(key));
            let message = format!("found `{found}`; allowed: {}", words.join(", "));
            section
                .findings()
                .unknown(&place, path, message, found, words);
        }
    }
    Some(codes)
}

fn nanos(section: &mut Section<'_, '_>, key: &'static str) -> Option<u64> {
    let duration = section.duration(key)?;
    Some(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

fn attributes(section: &mut Section<'_, '_>, key: &'static str) -> Vec<AttributeCondition> {
    let entries = section.entries(key);
    let conditions = entries.into_iter().filter_map(|(path, entry)| {
        Some(AttributeCondition {
            key: entry.key.as_str().into(),
            any_of: value_tests(&entry.node, &path, section.findings())?,
        })
    });
    conditions.collect()
}

/// The tests that a value is written as: a scalar or a list of scalars.
fn value_tests(node: &Node, path: &str, findings: &mut Findings) -> Option<Vec<ValueTest>> {
    let tests: Option<Vec<_>> = match &node.value {
        Value::List(items) if !items.is_empty() => {
            items.iter().map(|item| value_test(&item.value)).collect()
        }
        value => value_test(value).map(|test| vec![test]),
    };
    if tests.is_none() {
        let found = node.value.in_words();
        let allowed = "a string, a number, a boolean, or a list of at least one of these";
        findings.mistake(
            &node.place,
            path,
            format!("found {found}; allowed: {allowed}"),
        );
    }
    tests.map(sorted)
}

fn value_test(value: &Value) -> Option<ValueTest> {
    match value {
        Value::String(pattern) => Some(ValueTest::Text(Glob::new(pattern))),
        Value::Bool(value) => Some(ValueTest::Bool(*value)),
        Value::Int(number) => Some(ValueTest::Whole(*number)),
        Value::Float(number) => Some(ValueTest::number(*number)),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

/// In one order, whatever the order of writing, so that equal conditions are equal.
fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items.dedup();
    items
}
