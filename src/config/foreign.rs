//! Files that are given as the configuration and are something else: a Collector's configuration, or a policy file.

use std::path::Path;

use crate::{
    document::{Entry, Findings, Node, Value},
    sampling::{Randomness, Sampler},
};

use super::{
    Watched, collector, one_mistake_a_key, schema,
    sources::{self, Surroundings},
};

/// What such a file is.
#[derive(Debug)]
pub enum Foreign {
    /// A Collector's configuration: the relay's equivalent, part by part.
    Collector(String),
    /// A policy file: what is wrong with it, and what is doubtful.
    Policies(Findings),
}

/// The sections of a policy file.
const OF_POLICIES: [&str; 3] = ["default", "services", "rules"];

/// Looks at the configuration file, `named` or one of the usual ones. `None`: it is the relay's, or it cannot be read, which
/// is said when it is loaded.
pub fn foreign(named: Option<&Path>, around: &Surroundings<'_>) -> Option<Foreign> {
    let (mut watched, mut findings) = (Watched::new(), Findings::default());
    let (path, bytes) = sources::find(named, around, &mut watched, &mut findings)??;
    let mut root = sources::read_document(&path, bytes, &mut findings)?;
    if collector::is_collector(&root) {
        return Some(Foreign::Collector(collector::translate(&root)));
    }
    if !is_policies(&root) {
        return None;
    }
    sources::expand(&mut root, "", around, &mut findings);
    drop(Sampler::read(&root, Randomness::Auto, 0, &mut findings));
    findings.sort();
    one_mistake_a_key(&mut findings);
    Some(Foreign::Policies(findings))
}

/// Whether the file is the relay's configuration; if not, what to do with it is said.
pub(super) fn is_ours(root: &Node, findings: &mut Findings) -> bool {
    let message = if collector::is_collector(root) {
        "this is a Collector's configuration; \
         `otlp-relay check --config FILE` prints the relay's equivalent part by part"
    } else if is_policies(root) {
        "this is a policy file: name it in sampling.policy_file of a configuration; \
         `otlp-relay check --config FILE` checks it by itself"
    } else {
        refuse_policies_inside(root, findings);
        return true;
    };
    findings.mistake(&root.place, "", message);
    false
}

fn is_policies(root: &Node) -> bool {
    let is_known = |entry: &Entry| {
        let mut keys = schema::keys().iter();
        keys.any(|key| key.path.split('.').next() == Some(&entry.key))
    };
    let entries = entries(root);
    entries.iter().any(is_of_policies) && !entries.iter().any(is_known)
}

fn refuse_policies_inside(root: &Node, findings: &mut Findings) {
    let sampling = entries(root).iter().find(|entry| entry.key == "sampling");
    let inside = sampling.map_or(&[][..], |sampling| entries(&sampling.node));
    for entry in inside.iter().filter(|entry| is_of_policies(entry)) {
        let message = "policies are in a file of their own: \
            move this there, and name that file in sampling.policy_file";
        findings.mistake(&entry.place, format!("sampling.{}", entry.key), message);
    }
}

fn is_of_policies(entry: &Entry) -> bool {
    OF_POLICIES.contains(&entry.key.as_str())
}

fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Map(entries) => entries,
        _ => &[],
    }
}
