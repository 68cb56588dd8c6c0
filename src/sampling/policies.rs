//! Compiled policies: the rules in their order, the services by name, the default.
//!
//! Reading them from a file is `read`'s matter, deciding by them is `deciding`'s.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::json;

use super::{Deciding, Randomness, share::Share};
use crate::{matching::Matcher, wire::Wanted};

/// Compiled policies, immutable: a reload makes a new one.
#[derive(Debug)]
pub struct Sampler {
    /// Rules first, then services, then the default.
    policies: Vec<Policy>,
    /// What each of the policies keeps.
    shares: Vec<Share>,
    /// What the first policies, which are rules, ask.
    pub(super) rules: Vec<Matcher>,
    /// The policies of services, by `service.name`.
    services: HashMap<Box<[u8]>, u16>,
    default: u16,
    pub(super) randomness: Randomness,
    pub(super) hash_seed: u64,
    wanted: Wanted,
}

/// One line of the policies as compiled: a rule, a service, or the default. `Decision::policy` indexes these. It
/// serialises as `/api/v1/policies` shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Policy {
    /// `rule NAME`, `service NAME`, or `default`: the label `rule`.
    pub name: String,
    /// Which of the three it is.
    pub kind: PolicyKind,
    /// The share kept, 0 to 1.
    pub fraction: f64,
    /// The conditions as they are written in the file.
    #[serde(rename = "match")]
    pub conditions: serde_json::Value,
}

/// Where a policy is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// In `rules`.
    Rule,
    /// In `services`.
    Service,
    /// In `default`.
    Default,
}

/// A rule before it has its place among the policies.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) matcher: Matcher,
    pub(super) fraction: f64,
    /// The conditions as written.
    pub(super) conditions: serde_json::Value,
}

/// What a policy file says.
#[derive(Debug)]
pub(super) struct Policies {
    pub(super) rules: Vec<Rule>,
    /// Names and fractions.
    pub(super) services: Vec<(String, f64)>,
    pub(super) default: f64,
}

impl Sampler {
    /// Keeps everything: what holds without a policy file.
    pub fn keep_all(randomness: Randomness, hash_seed: u64) -> Self {
        let policies = Policies {
            rules: Vec::new(),
            services: Vec::new(),
            default: 1.0,
        };
        Self::compile(policies, randomness, hash_seed)
    }

    /// Puts the policies into their order.
    pub(super) fn compile(written: Policies, randomness: Randomness, hash_seed: u64) -> Self {
        let mut sampler = Self {
            policies: Vec::new(),
            shares: Vec::new(),
            rules: Vec::with_capacity(written.rules.len()),
            services: HashMap::with_capacity(written.services.len()),
            default: 0,
            randomness,
            hash_seed,
            wanted: Wanted::default(),
        };
        for rule in written.rules {
            let name = format!("rule {}", rule.name);
            sampler.push(PolicyKind::Rule, name, rule.fraction, rule.conditions);
            sampler.wanted = sampler.wanted.union(rule.matcher.wanted());
            sampler.rules.push(rule.matcher);
        }
        for (service, fraction) in written.services {
            let name = format!("service {service}");
            let conditions = json!({ "service": service });
            let index = sampler.push(PolicyKind::Service, name, fraction, conditions);
            sampler.services.insert(service.into_bytes().into(), index);
        }
        let name = "default".to_owned();
        sampler.default = sampler.push(PolicyKind::Default, name, written.default, json!({}));
        sampler
    }

    fn push(
        &mut self,
        kind: PolicyKind,
        name: String,
        fraction: f64,
        conditions: serde_json::Value,
    ) -> u16 {
        let index = u16::try_from(self.policies.len()).expect("reading bounds rules and services");
        self.shares.push(Share::of(fraction));
        self.policies.push(Policy {
            name,
            kind,
            fraction,
            conditions,
        });
        index
    }

    /// What the policies read of a span.
    pub fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// The policies, rules first, then services, then the default.
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// Starts on a request. Allocates at most a fixed number of times, whatever the request holds.
    pub fn deciding(&self) -> Deciding<'_> {
        Deciding::new(self)
    }

    /// The policy of the spans of `service` that no rule matches.
    pub(super) fn without_rules(&self, service: &[u8]) -> u16 {
        *self.services.get(service).unwrap_or(&self.default)
    }

    /// What the rule with this index asks.
    #[inline]
    pub(super) fn rule(&self, index: u16) -> &Matcher {
        &self.rules[usize::from(index)]
    }

    /// What the policy with this index keeps.
    #[inline]
    pub(super) fn share(&self, policy: u16) -> Share {
        self.shares[usize::from(policy)]
    }
}
