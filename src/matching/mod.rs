//! Conditions on resources, scopes and spans, compiled: one matcher for policies and enrichment.
//!
//! It reads views and decides nothing about spans.

use crate::{
    document::{Findings, Node},
    wire::{ResourceView, ScopeView, SpanView, Wanted},
};

/// All conditions of one `match`; without any it holds for everything. A span is tested in three steps, so that what
/// holds for a resource or a scope is tested once for all its spans.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matcher {}

impl Matcher {
    /// Reads a `match` mapping; `key` is its dotted path. Everything wrong is reported, and the rest is used.
    pub fn read(_node: &Node, _key: &str, _findings: &mut Findings) -> Self {
        unimplemented!()
    }

    /// What it reads of a span.
    pub fn wanted(&self) -> Wanted {
        unimplemented!()
    }

    /// Whether the conditions on the resource hold: `service`, `resource_attributes`.
    pub fn resource_holds(&self, _resource: ResourceView<'_>) -> bool {
        unimplemented!()
    }

    /// Whether the conditions on the scope hold: `scope`.
    pub fn scope_holds(&self, _scope: ScopeView<'_>) -> bool {
        unimplemented!()
    }

    /// Whether the conditions on the span hold: `span`, `kind`, `status`, `duration_min`, `duration_max`, `attributes`.
    pub fn span_holds(&self, _span: SpanView<'_>) -> bool {
        unimplemented!()
    }
}
