//! Edits of attributes on resources, spans and events, as written and compiled.
//!
//! It decides nothing about sampling. Whatever it does not touch is written as it came, unknown fields included. What it
//! edits are attributes: names, status messages, links and the attributes of scopes stay.
//!
//! An edit treats every attribute with a key it names, though a key ought to be unique: `set` leaves one of them, `rename`
//! and `hash` treat each where it stands.

mod draft;
mod editing;
mod encode;
mod entry;
mod hash;
mod read;
mod strings;
#[cfg(test)]
mod tests;

use crate::{
    document::{Findings, Node},
    wire::Wanted,
};

pub use editing::Editing;

/// The compiled list of edits, immutable: a reload makes a new one.
#[derive(Debug, Default)]
pub struct Enricher {
    entries: Vec<entry::Entry>,
    wanted: Wanted,
    growth: Growth,
}

/// The bytes by which edits usually make a message longer, at most: for setting room aside, not a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// A resource.
    pub resource: usize,
    /// A span with one event.
    pub span: usize,
}

/// Scratch memory of [`Editing`] at most, as a multiple of the largest message it edits.
pub const SCRATCH_FACTOR: usize = 12;

impl Enricher {
    /// Reads the list `enrichment` at the dotted path `key`; everything wrong is reported, and the rest is used.
    /// `hash_key` is the content of `enrichment_hash_key_file`; line ends after the key are no part of it.
    pub fn read(list: &Node, key: &str, hash_key: Option<&[u8]>, findings: &mut Findings) -> Self {
        let entries = read::entries(list, key, hash_key, findings);
        let wanted = entries
            .iter()
            .map(entry::Entry::wanted)
            .fold(Wanted::default(), Wanted::union);
        let mut growth = Growth::default();
        for entry in &entries {
            match entry.on {
                entry::Level::Resource => growth.resource += entry.growth_bytes(),
                entry::Level::Span | entry::Level::Event => growth.span += entry.growth_bytes(),
            }
        }
        Self {
            entries,
            wanted,
            growth,
        }
    }

    /// What the edits read of a span.
    pub fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// By how much the edits usually make a message longer.
    pub fn growth(&self) -> Growth {
        self.growth
    }

    /// Whether there is no edit at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Starts on a request. Allocates a fixed number of times, whatever the request holds.
    pub fn editing(&self) -> Editing<'_> {
        Editing::new(&self.entries)
    }
}
