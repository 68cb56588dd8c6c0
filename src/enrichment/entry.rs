//! One entry of the list, compiled: what it applies to, when, and its operations in the order in which they are done.
//!
//! It reads no settings and walks no messages.

use std::sync::Arc;

use super::{
    draft::{Draft, Layout},
    hash::{DIGITS, Hasher},
    strings::{Rewriting, Texts},
};
use crate::{
    matching::{Glob, Matcher},
    otlp,
    wire::{Detail, Wanted},
};

/// By how much the lengths of an attribute and its value may grow when its content does.
const LENGTHS_BYTES: usize = 4;

/// What an entry edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// The attributes of resources.
    Resource,
    /// The attributes of spans.
    Span,
    /// The attributes of the events of spans.
    Event,
}

/// One entry of the list.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) on: Level,
    /// `None`: it applies everywhere. On an event the conditions are about its span.
    pub(super) matcher: Option<Matcher>,
    /// In the order of product's table: set, `set_if_absent`, rename, remove, hash, mask, `truncate_bytes`.
    pub(super) operations: Vec<Operation>,
}

/// One operation.
#[derive(Debug)]
pub(super) enum Operation {
    /// `set`.
    Set(Setting),
    /// `set_if_absent`.
    SetIfAbsent(Setting),
    /// `rename`.
    Rename {
        /// The key it has.
        from: Box<[u8]>,
        /// The key it gets.
        to: Box<[u8]>,
    },
    /// `remove`.
    Remove(Box<[Glob]>),
    /// `hash`.
    Hash(Box<[Glob]>, Arc<Hasher>),
    /// `mask` and `truncate_bytes`.
    Rewrite(Rewriting),
}

/// An attribute to set, encoded once.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) key: Box<[u8]>,
    /// The whole field, with the tag that attributes have at the entry's level.
    pub(super) field: Box<[u8]>,
}

impl Level {
    /// Which fields of its message edits look at.
    pub(super) fn layout(self) -> Layout {
        let (attributes, apart): (_, &[_]) = match self {
            Self::Resource => (otlp::resource::ATTRIBUTES, &[otlp::resource::ENTITY_REFS]),
            Self::Span => (
                otlp::span::ATTRIBUTES,
                &[otlp::span::TRACE_STATE, otlp::span::EVENTS],
            ),
            Self::Event => (otlp::event::ATTRIBUTES, &[]),
        };
        Layout { attributes, apart }
    }

    /// What operations that read `detail` of attributes here want.
    fn wanted(self, detail: Detail) -> Wanted {
        let mut wanted = Wanted::default();
        match self {
            Self::Resource => wanted.resource_attributes = detail,
            Self::Span => wanted.span_attributes = detail,
            Self::Event => wanted.events = detail,
        }
        wanted
    }
}

impl Entry {
    /// What it reads.
    pub(super) fn wanted(&self) -> Wanted {
        let matched = self.matcher.as_ref().map(Matcher::wanted);
        let detail = self.operations.iter().map(Operation::reads).max();
        matched
            .unwrap_or_default()
            .union(self.on.wanted(detail.unwrap_or_default()))
    }

    /// The bytes by which it usually makes a message longer, at most; masks are not foreseen.
    pub(super) fn growth_bytes(&self) -> usize {
        self.operations.iter().map(Operation::growth_bytes).sum()
    }

    /// Does all operations, in order.
    pub(super) fn apply<'a>(&'a self, draft: &mut Draft<'a>, texts: &mut Texts) {
        for operation in &self.operations {
            operation.apply(draft, texts);
        }
        draft.compact();
    }
}

impl Operation {
    /// What it reads of the attributes it looks at.
    fn reads(&self) -> Detail {
        match self {
            Self::Set(_) | Self::SetIfAbsent(_) | Self::Rename { .. } | Self::Remove(_) => {
                Detail::Keys
            }
            Self::Hash(..) | Self::Rewrite(_) => Detail::Values,
        }
    }

    fn growth_bytes(&self) -> usize {
        match self {
            Self::Set(setting) | Self::SetIfAbsent(setting) => setting.field.len(),
            Self::Rename { from, to } => to.len().saturating_sub(from.len()) + LENGTHS_BYTES,
            Self::Hash(keys, _) => keys.len() * (DIGITS + LENGTHS_BYTES),
            Self::Remove(_) | Self::Rewrite(_) => 0,
        }
    }

    fn apply<'a>(&'a self, draft: &mut Draft<'a>, texts: &mut Texts) {
        match self {
            Self::Set(setting) => draft.set(&setting.key, &setting.field),
            Self::SetIfAbsent(setting) => draft.set_if_absent(&setting.key, &setting.field),
            Self::Rename { from, to } => draft.rename(from, to),
            Self::Remove(keys) => draft.remove(|key| Glob::any_matches(keys, key)),
            Self::Hash(keys, hasher) => draft.rewrite(
                |key| Glob::any_matches(keys, key),
                |key_value, out| hasher.rewrite(key_value, out),
            ),
            Self::Rewrite(rewriting) => draft.rewrite(
                |_| true,
                |key_value, out| rewriting.rewrite(key_value, out, texts),
            ),
        }
    }
}
