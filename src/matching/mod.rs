//! Conditions on resources, scopes and spans, compiled: one matcher for policies and enrichment.
//!
//! It reads views and decides nothing about spans.

mod condition;
mod glob;
mod read;

pub use glob::Glob;

use condition::{ResourceCondition, SpanCondition};

use crate::wire::{Detail, ResourceView, ScopeView, SpanView, Wanted};

/// All conditions of one `match`; without any it holds for everything. A span is tested in three steps, so that what
/// holds for a resource or a scope is tested once for all its spans. Two are equal when they have the same conditions, in
/// whatever order these were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matcher {
    /// Sorted, the cheap ones first, like those of spans.
    resource: Vec<ResourceCondition>,
    /// One of these is the name of the scope; empty without a condition.
    scope: Vec<Glob>,
    span: Vec<SpanCondition>,
}

impl Matcher {
    /// What it reads of a span.
    pub fn wanted(&self) -> Wanted {
        let values_if = |read| {
            if read {
                Detail::Values
            } else {
                Detail::Nothing
            }
        };
        let mut resource = self.resource.iter();
        Wanted {
            resource_attributes: values_if(resource.any(ResourceCondition::reads_attributes)),
            span_attributes: values_if(self.span.iter().any(SpanCondition::reads_attributes)),
            status: self.span.iter().any(SpanCondition::reads_status),
            scope: self.reads_scope(),
            events: Detail::Nothing,
        }
    }

    /// Whether it has no condition, and so holds for everything.
    pub fn is_empty(&self) -> bool {
        self.resource.is_empty() && !self.reads_scope() && !self.reads_span()
    }

    /// Whether there is a condition on the scope.
    pub fn reads_scope(&self) -> bool {
        !self.scope.is_empty()
    }

    /// Whether there is a condition on the span itself.
    pub fn reads_span(&self) -> bool {
        !self.span.is_empty()
    }

    /// The keys of the conditions on the span itself, as they are written in a `match`.
    pub fn span_keys(&self) -> impl Iterator<Item = &'static str> {
        let keys = self.span.iter().map(SpanCondition::key);
        let mut last = None;
        keys.filter(move |&key| last.replace(key) != Some(key))
    }

    /// Whether it holds wherever `other` does, as far as their conditions are equal word for word.
    pub fn covers(&self, other: &Self) -> bool {
        self.resource.iter().all(|one| other.resource.contains(one))
            && self.span.iter().all(|one| other.span.contains(one))
            && (self.scope.is_empty() || self.scope == other.scope)
    }

    /// Whether the conditions on the resource hold: `service`, `resource_attributes`.
    pub fn resource_holds(&self, resource: ResourceView<'_>) -> bool {
        self.resource.is_empty() || self.named_resource_holds(resource, resource.service_name())
    }

    /// The same for who has read the resource's `service.name` already, and asks many matchers.
    pub fn named_resource_holds(&self, resource: ResourceView<'_>, service: &[u8]) -> bool {
        self.resource.iter().all(|one| one.holds(resource, service))
    }

    /// Whether the conditions on the scope hold: `scope`.
    pub fn scope_holds(&self, scope: ScopeView<'_>) -> bool {
        self.scope.is_empty() || Glob::any_matches(&self.scope, scope.name())
    }

    /// Whether the conditions on the span hold: `span`, `kind`, `status`, `duration_min`, `duration_max`, `attributes`.
    pub fn span_holds(&self, span: SpanView<'_>) -> bool {
        self.span.iter().all(|one| one.holds(span))
    }
}

#[cfg(test)]
mod tests;
