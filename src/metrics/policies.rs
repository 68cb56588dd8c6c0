//! Spans kept and sampled out by each policy: counted by index while a request is decided, shown by name.
//!
//! A policy that a reload keeps goes on counting where it was, because its count belongs to its name.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// Different policy names at most since the start. A file that is edited again and again could name ever new ones; those
/// beyond are counted together as [`OTHER`].
const POLICIES_MAX: usize = 1000;
/// All policies beyond the first [`POLICIES_MAX`].
const OTHER: &str = "other";

/// The names and counters of one set of compiled policies, in their order. Cheap to clone. They travel with the set, so that a request which began
/// before a reload counts where it was decided.
#[derive(Clone, Debug, Default)]
pub struct PolicyCounters {
    policies: Arc<[Policy]>,
}

#[derive(Debug)]
struct Policy {
    name: Arc<str>,
    counts: Arc<Counts>,
}

/// What one policy has decided since the start, in spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Hits {
    /// Spans it kept.
    pub kept: u64,
    /// Spans it dropped.
    pub sampled_out: u64,
}

#[derive(Debug, Default)]
struct Counts {
    kept: AtomicU64,
    sampled_out: AtomicU64,
}

/// The counters of all policies there have been, by name.
#[derive(Debug, Default)]
pub(super) struct Policies {
    by_name: Mutex<BTreeMap<String, Arc<Counts>>>,
}

/// The label `decision`.
pub(super) fn decision_label(kept: bool) -> &'static str {
    if kept { "kept" } else { "sampled_out" }
}

// === impl PolicyCounters ===

impl PolicyCounters {
    /// Counts the spans of a request: for each policy in their order, kept and dropped.
    pub fn count(&self, decided: impl IntoIterator<Item = (u64, u64)>) {
        for (policy, (kept, dropped)) in self.policies.iter().zip(decided) {
            let counts = &*policy.counts;
            // Most policies decide nothing about most requests, and their cache lines stay where they are.
            if kept > 0 {
                counts.kept.fetch_add(kept, Ordering::Relaxed);
            }
            if dropped > 0 {
                counts.sampled_out.fetch_add(dropped, Ordering::Relaxed);
            }
        }
    }

    /// What each policy has decided, in their order.
    pub fn hits(&self) -> Vec<Hits> {
        self.policies
            .iter()
            .map(|policy| policy.counts.hits())
            .collect()
    }

    /// The name of the policy at `index`.
    pub fn name(&self, index: u16) -> Option<&Arc<str>> {
        self.policies
            .get(usize::from(index))
            .map(|policy| &policy.name)
    }
}

// === impl Policies ===

impl Policies {
    /// Counters for policies with these names.
    pub(super) fn counters<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> PolicyCounters {
        let mut by_name = self.by_name.lock().expect(NO_PANIC);
        let policies = names
            .into_iter()
            .map(|name| {
                let room = by_name.len() < POLICIES_MAX || by_name.contains_key(name);
                let counted_as = if room { name } else { OTHER };
                Policy {
                    name: name.into(),
                    counts: Arc::clone(by_name.entry(counted_as.to_owned()).or_default()),
                }
            })
            .collect();
        PolicyCounters { policies }
    }

    /// What each policy there has been has decided.
    pub(super) fn hits(&self) -> Vec<(String, Hits)> {
        let by_name = self.by_name.lock().expect(NO_PANIC);
        by_name
            .iter()
            .map(|(name, counts)| (name.clone(), counts.hits()))
            .collect()
    }
}

impl Counts {
    fn hits(&self) -> Hits {
        Hits {
            kept: self.kept.load(Ordering::Relaxed),
            sampled_out: self.sampled_out.load(Ordering::Relaxed),
        }
    }
}

/// Why the lock is never poisoned.
const NO_PANIC: &str = "no code path panics while it finds a counter";
