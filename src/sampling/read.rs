//! A policy file: which keys there are, what each may hold, and which rules make no sense together.
//!
//! Every mistake is reported at once. Invariant: without a mistake every rule can match, and every name is used once.

use serde_json::json;

use super::{
    Randomness, Sampler,
    policies::{Policies, Rule},
};
use crate::{
    document::{Findings, Node, Place, Section, Severity, Value},
    matching::Matcher,
};

/// Rules at most: each may be tested on every span. Chosen by eye, far above what anybody can oversee.
const RULES_MAX: usize = 1000;
/// Services at most: each is a label of metrics.
const SERVICES_MAX: usize = 10_000;
/// The key of a fraction, and how Milvus spells it.
const FRACTION: &str = "sample_fraction";
const FRACTION_IN_MILVUS: &str = "sampleFraction";

/// The parts of a Milvus, its Go part and its C++ part, by `service.name`.
const MILVUS_PARTS: [&str; 2] = ["standalone", "segcore"];

/// A rule that has been read.
struct Written {
    rule: Rule,
    /// The dotted path of the rule.
    path: String,
    /// Where it starts.
    place: Place,
    /// Its conditions were read without a mistake, so it can be compared with others.
    sound: bool,
}

impl Sampler {
    /// Reads a policy file's root node; everything wrong is reported.
    pub fn read(
        root: &Node,
        randomness: Randomness,
        hash_seed: u64,
        findings: &mut Findings,
    ) -> Self {
        let Some(mut section) = Section::open(root, "", findings) else {
            return Self::keep_all(randomness, hash_seed);
        };
        let default = section.node("default");
        let default = default.and_then(|node| {
            let mut default = open(node, "default".to_owned(), section.findings())?;
            let fraction = default.fraction(FRACTION, &[FRACTION_IN_MILVUS]);
            default.finish();
            fraction
        });
        let services = read_services(&mut section);
        warn_of_torn_milvus(&services, default.unwrap_or(1.0), &mut section);
        let rules = read_rules(&mut section);
        section.later("whole_traces");
        section.finish();
        let policies = Policies {
            rules: rules.into_iter().map(|written| written.rule).collect(),
            services,
            default: default.unwrap_or(1.0),
        };
        Self::compile(policies, randomness, hash_seed)
    }
}

fn read_services(section: &mut Section<'_, '_>) -> Vec<(String, f64)> {
    let entries = section.entries("services");
    if entries.len() > SERVICES_MAX {
        let message = format!("{} services; at most {SERVICES_MAX}", entries.len());
        section.mistake("services", message);
    }
    let mut services = Vec::with_capacity(entries.len().min(SERVICES_MAX));
    for (path, entry) in entries.into_iter().take(SERVICES_MAX) {
        if entry.key.contains('*') {
            let message = "services are named in full, so `*` is only itself here; \
                 for a pattern write a rule with `match: { service: … }`";
            section.findings().warning(&entry.place, &path, message);
        }
        if let Some(mut service) = open(&entry.node, path, section.findings()) {
            let fraction = required_fraction(&mut service);
            services.push((entry.key.clone(), fraction));
            service.finish();
        }
    }
    services
}

/// Opens what holds a fraction. Many write the number alone at first.
fn open<'n, 'f>(
    node: &'n Node,
    path: String,
    findings: &'f mut Findings,
) -> Option<Section<'n, 'f>> {
    if let Value::Int(_) | Value::Float(_) = node.value {
        let (found, number) = (node.value.in_words(), as_json(node));
        let message = format!("found {found}; write {{ {FRACTION}: {number} }}");
        findings.mistake(&node.place, path, message);
        return None;
    }
    Section::open(node, path, findings)
}

/// The two parts of a Milvus report the same traces under names of their own.
fn warn_of_torn_milvus(services: &[(String, f64)], default: f64, section: &mut Section<'_, '_>) {
    let fraction = |part: &str| {
        let found = services.iter().find(|(name, _)| name == part);
        found.map_or(default, |(_, fraction)| *fraction)
    };
    let [go, cpp] = MILVUS_PARTS.map(fraction);
    if go.to_bits() != cpp.to_bits() {
        let [go_part, cpp_part] = MILVUS_PARTS;
        let message = format!(
            "`{go_part}` keeps {go} and `{cpp_part}` {cpp}: they are parts of the same traces, and where only one is kept, \
             spans lose their parents; give both the same fraction"
        );
        section.warning("services", message);
    }
}

fn read_rules(section: &mut Section<'_, '_>) -> Vec<Written> {
    let items = section.list("rules").unwrap_or_default();
    if items.len() > RULES_MAX {
        let message = format!("{} rules; at most {RULES_MAX}", items.len());
        section.mistake("rules", message);
    }
    let mut rules: Vec<Written> = Vec::with_capacity(items.len().min(RULES_MAX));
    for (index, item) in items.iter().take(RULES_MAX).enumerate() {
        let path = format!("rules[{index}]");
        if let Some(rule) = read_rule(item, path, index, section.findings()) {
            compare(&rule, &rules, section.findings());
            rules.push(rule);
        }
    }
    rules
}

/// Reads one rule. Without a name it goes by its number, counted from 1.
fn read_rule(node: &Node, path: String, index: usize, findings: &mut Findings) -> Option<Written> {
    let before = findings.count(Severity::Mistake);
    let mut section = Section::open(node, path.as_str(), findings)?;
    let name = section
        .string("name")
        .map_or_else(|| (index + 1).to_string(), str::to_owned);
    let conditions = section.node("match");
    let match_path = section.path("match");
    let matcher = conditions.map(|node| Matcher::read(node, &match_path, section.findings()));
    let matcher = matcher.unwrap_or_default();
    let sound = section.findings().count(Severity::Mistake) == before;
    warn_of_torn_traces(&matcher, &mut section);
    let fraction = required_fraction(&mut section);
    section.later("traces_per_second_max");
    section.finish();
    let conditions = conditions.map_or_else(|| json!({}), as_json);
    Some(Written {
        rule: Rule {
            name,
            matcher,
            fraction,
            conditions,
        },
        path,
        place: node.place.clone(),
        sound,
    })
}

fn required_fraction(section: &mut Section<'_, '_>) -> f64 {
    if !section.has(FRACTION) && !section.has(FRACTION_IN_MILVUS) {
        section.mistake(
            FRACTION,
            "missing; allowed: a fraction from 0 to 1, such as 0.1 for 10 %",
        );
    }
    section
        .fraction(FRACTION, &[FRACTION_IN_MILVUS])
        .unwrap_or(1.0)
}

/// Without whole traces each span is decided as it passes: a condition on the span then splits traces.
fn warn_of_torn_traces(matcher: &Matcher, section: &mut Section<'_, '_>) {
    let keys: Vec<_> = matcher.span_keys().map(|key| format!("`{key}`")).collect();
    if keys.is_empty() {
        return;
    }
    let message = format!(
        "looks at single spans ({}): it keeps or drops those spans alone, so traces can lose parts",
        keys.join(", ")
    );
    section.warning("match", message);
}

/// Reports what makes a rule useless behind the earlier ones.
fn compare(rule: &Written, earlier: &[Written], findings: &mut Findings) {
    let name = &rule.rule.name;
    if let Some(same) = earlier.iter().find(|other| other.rule.name == *name) {
        let message = format!(
            "`{name}` is the name of {} too; give each rule its own",
            same.path
        );
        findings.mistake(&rule.place, format!("{}.name", rule.path), message);
    }
    if !rule.sound {
        return;
    }
    let covering = |other: &&Written| other.sound && other.rule.matcher.covers(&rule.rule.matcher);
    let Some(other) = earlier.iter().find(covering) else {
        return;
    };
    let before = format!("{} (`{}`, {})", other.path, other.rule.name, other.place);
    let key = format!("{}.match", rule.path);
    if other.rule.matcher.is_empty() {
        let message = format!("never reached: {before} has no condition and takes every span");
        findings.mistake(&rule.place, key, message);
    } else if other.rule.matcher == rule.rule.matcher {
        let message = format!("never reached: {before} has the same conditions");
        findings.mistake(&rule.place, key, message);
    } else {
        let message = format!("never reached: {before} takes every span that has these conditions");
        findings.warning(&rule.place, key, message);
    }
}

/// A node as it is written.
fn as_json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => json!(value),
        Value::Int(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::String(text) => json!(text),
        Value::List(items) => items.iter().map(as_json).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), as_json(&entry.node)))
            .collect(),
    }
}
