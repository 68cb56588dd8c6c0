//! Decides the spans of one request: what holds for a resource or a scope is asked once for all its spans.
//!
//! It changes no bytes. Invariant: per span it allocates nothing, and tests only the rules that can still match there.

use super::{Decision, Randomness, Sampler, ThresholdChange, share::Share};
use crate::wire::{ResourceView, ScopeView, SpanView};

/// Decides the spans of one request, in the order of its bytes: first the resource, then the scope, then its spans.
#[derive(Debug)]
pub struct Deciding<'a> {
    sampler: &'a Sampler,
    /// The message of the present resource, to recognise its repetition: some senders repeat it for every span.
    resource: Option<&'a [u8]>,
    /// The message of the present scope; none before the first one of a resource.
    scope: Option<&'a [u8]>,
    /// What can match the spans of the present resource.
    in_resource: Candidates,
    /// What can match the spans of the present scope.
    in_scope: Candidates,
}

/// Rules that can match, in their order, and the policy of the spans that none of them matches.
#[derive(Debug, Default)]
struct Candidates {
    rules: Vec<u16>,
    otherwise: u16,
}

impl<'a> Deciding<'a> {
    /// Allocates the lists of candidates, and nothing afterwards.
    pub(super) fn new(sampler: &'a Sampler) -> Self {
        let candidates = || Candidates {
            rules: Vec::with_capacity(sampler.rules.len()),
            otherwise: 0,
        };
        Self {
            sampler,
            resource: None,
            scope: None,
            in_resource: candidates(),
            in_scope: candidates(),
        }
    }

    /// The spans that follow have this resource.
    pub fn enter_resource(&mut self, resource: ResourceView<'a>) {
        if self.resource == Some(resource.message) {
            return;
        }
        self.resource = Some(resource.message);
        self.scope = None;
        self.in_resource.rules.clear();
        let service = resource.service_name();
        for (rule, index) in self.sampler.rules.iter().zip(0..) {
            if rule.named_resource_holds(resource, service) {
                if !rule.reads_scope() && !rule.reads_span() {
                    self.in_resource.otherwise = index;
                    return;
                }
                self.in_resource.rules.push(index);
            }
        }
        self.in_resource.otherwise = self.sampler.without_rules(service);
    }

    /// The spans that follow have this scope; to be called also where the message has none.
    pub fn enter_scope(&mut self, scope: ScopeView<'a>) {
        if self.scope == Some(scope.message) {
            return;
        }
        self.scope = Some(scope.message);
        self.in_scope.rules.clear();
        self.in_scope.otherwise = self.in_resource.otherwise;
        for &index in &self.in_resource.rules {
            let rule = self.sampler.rule(index);
            if rule.scope_holds(scope) {
                if !rule.reads_span() {
                    self.in_scope.otherwise = index;
                    return;
                }
                self.in_scope.rules.push(index);
            }
        }
    }

    /// What becomes of this span.
    #[inline]
    pub fn decide(&mut self, span: SpanView<'a>) -> Decision {
        debug_assert!(self.scope.is_some(), "a span follows its scope");
        let policy = self.policy_of(span);
        let share = self.sampler.share(policy);
        let (keep, threshold) = if span.trace_state.is_empty() {
            (
                share.keeps_hash(span.trace_id, self.sampler.hash_seed),
                ThresholdChange::None,
            )
        } else {
            self.by_trace_state(share, span)
        };
        Decision {
            keep,
            policy,
            threshold,
        }
    }

    /// How much the lists of candidates have room for.
    #[cfg(test)]
    pub(super) fn capacities(&self) -> [usize; 2] {
        [&self.in_resource, &self.in_scope].map(|candidates| candidates.rules.capacity())
    }

    #[inline]
    fn policy_of(&self, span: SpanView<'_>) -> u16 {
        let matching = |&&index: &&u16| self.sampler.rule(index).span_holds(span);
        let found = self.in_scope.rules.iter().find(matching);
        *found.unwrap_or(&self.in_scope.otherwise)
    }

    fn by_trace_state(&self, share: Share, span: SpanView<'_>) -> (bool, ThresholdChange) {
        let seed = self.sampler.hash_seed;
        match self.sampler.randomness {
            Randomness::Auto => share.judge(span.trace_id, span.trace_state, seed),
            Randomness::Hash => share.judge_by_hash(span.trace_id, span.trace_state, seed),
        }
    }
}
