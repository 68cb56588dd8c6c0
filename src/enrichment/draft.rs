//! A message under edit: a resource, a span or an event as a list of parts in the order of its bytes, each as it came or
//! as an edit left it.
//!
//! It knows attributes and no settings. Editing changes the list; the message is written once, at the end. Invariant:
//! parts that no edit touched are written as they came, in their order, unknown fields included. Its memory is kept from
//! message to message.

mod edits;

use std::mem;

use crate::{
    otlp::FieldNumber,
    wire::{self, Field, Fields, Prepend, WireType},
};

/// Room for the parts of a usual message. Chosen by eye: a span of a database client has about twenty attributes.
const PARTS_USUAL: usize = 64;

/// Above this many bytes of rewritten attributes, those that later edits have replaced are let go. Chosen by eye: far
/// above what spans hold, and small beside a budget.
const ARENA_BYTES_COMPACT: usize = 1024 * 1024;

/// Which fields of a message edits look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The field of its attributes.
    pub(super) attributes: FieldNumber,
    /// Other fields that stand apart from their neighbours, because they may be replaced.
    pub(super) apart: &'static [FieldNumber],
}

/// The message under edit.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    layout: Layout,
    message: &'a [u8],
    /// Empty until the first edit: a message that no edit looks at is not walked.
    parts: Vec<Part<'a>>,
    loaded: bool,
    changed: bool,
    /// Whether a key it came with may be no more.
    lost_keys: bool,
    /// What edits have written: whole fields, one after the other.
    arena: Vec<u8>,
    /// Room for a field that is rewritten a second time.
    stash: Vec<u8>,
    /// The message as edited so far, for a `match`; empty until one looks at it, and after the next change.
    view: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Part<'a> {
    kind: Kind<'a>,
    bytes: Piece<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind<'a> {
    /// Neighbouring fields that no edit looks at.
    Passed,
    /// An attribute, by its key.
    Attribute(&'a [u8]),
    /// A field that may be replaced.
    Apart(FieldNumber),
    /// Removed by an edit.
    Gone,
}

/// Where the bytes of a part are. Tags and lengths are included.
#[derive(Clone, Copy, Debug)]
enum Piece<'a> {
    /// In the message, from and to.
    Message(usize, usize),
    /// In the arena, from and to.
    Arena(usize, usize),
    /// In the compiled edit.
    Given(&'a [u8]),
}

// === impl Draft ===

impl<'a> Draft<'a> {
    pub(super) fn new(layout: Layout) -> Self {
        Self {
            layout,
            message: &[],
            parts: Vec::with_capacity(PARTS_USUAL),
            loaded: false,
            changed: false,
            lost_keys: false,
            arena: Vec::new(),
            stash: Vec::new(),
            view: Vec::new(),
        }
    }

    /// Starts on the next message.
    pub(super) fn begin(&mut self, message: &'a [u8]) {
        self.message = message;
        self.parts.clear();
        self.loaded = false;
        self.changed = false;
        self.lost_keys = false;
        self.arena.clear();
    }

    /// The message as it came.
    pub(super) fn original(&self) -> &'a [u8] {
        self.message
    }

    /// Whether any edit changed it.
    pub(super) fn is_changed(&self) -> bool {
        self.changed
    }

    /// Whether an edit took away a key that it came with.
    pub(super) fn has_lost_keys(&self) -> bool {
        self.lost_keys
    }

    /// The message as edited so far.
    pub(super) fn view(&mut self) -> &[u8] {
        if !self.changed {
            return self.message;
        }
        if self.view.is_empty() {
            let mut view = mem::take(&mut self.view);
            self.append_to(&mut view);
            self.view = view;
        }
        &self.view
    }

    /// Writes the message as edited, without its tag and length.
    pub(super) fn write(&self, out: &mut Prepend) {
        if !self.changed {
            return out.bytes(self.message);
        }
        // Neighbours that came as they are leave as one copy.
        let (mut start, mut end) = (0, 0);
        for part in self.parts.iter().rev() {
            match (part.kind, part.bytes) {
                (Kind::Gone, _) => {}
                (_, Piece::Message(from, to)) if to == start => start = from,
                (_, piece) => {
                    out.bytes(part_of(self.message, start, end));
                    (start, end) = (0, 0);
                    match piece {
                        Piece::Message(from, to) => (start, end) = (from, to),
                        edited => out.bytes(edited.of(self.message, &self.arena)),
                    }
                }
            }
        }
        out.bytes(part_of(self.message, start, end));
    }

    /// Appends the message as edited, without its tag and length.
    pub(super) fn append_to(&self, out: &mut Vec<u8>) {
        for part in &self.parts {
            if part.kind != Kind::Gone {
                out.extend_from_slice(part.bytes.of(self.message, &self.arena));
            }
        }
    }

    /// Lets go of what later edits replaced, once it is much: between two entries of the list, so that the arena never
    /// holds more than the message as edited and what one entry writes.
    pub(super) fn compact(&mut self) {
        if self.arena.len() < ARENA_BYTES_COMPACT {
            return;
        }
        self.stash.clear();
        for part in &mut self.parts {
            if let (Piece::Arena(from, to), true) = (part.bytes, part.kind != Kind::Gone) {
                let start = self.stash.len();
                self.stash.extend_from_slice(part_of(&self.arena, from, to));
                part.bytes = Piece::Arena(start, self.stash.len());
            }
        }
        mem::swap(&mut self.arena, &mut self.stash);
    }

    #[cfg(test)]
    pub(super) fn scratch_bytes(&self) -> usize {
        self.parts.capacity() * size_of::<Part<'_>>()
            + self.arena.capacity()
            + self.stash.capacity()
            + self.view.capacity()
    }

    /// Walks the message, unless that is done.
    fn load(&mut self) {
        if mem::replace(&mut self.loaded, true) {
            return;
        }
        let mut passed_from = 0;
        for field in Fields::of(self.message) {
            // The door lets no broken framing in; if it did, the rest would pass as it came.
            let Ok(field) = field else { break };
            let kind = self.layout.kind(&field);
            if kind == Kind::Passed {
                continue;
            }
            self.note_passed(passed_from, field.start);
            self.parts.push(Part {
                kind,
                bytes: Piece::Message(field.start, field.end),
            });
            passed_from = field.end;
        }
        self.note_passed(passed_from, self.message.len());
    }

    fn note_passed(&mut self, from: usize, to: usize) {
        if from < to {
            self.parts.push(Part {
                kind: Kind::Passed,
                bytes: Piece::Message(from, to),
            });
        }
    }

    fn touch(&mut self) {
        self.changed = true;
        self.view.clear();
    }
}

// === impl Layout, Piece ===

impl Layout {
    fn kind<'a>(&self, field: &Field<'a>) -> Kind<'a> {
        if field.wire_type != WireType::Len {
            return Kind::Passed;
        }
        if field.number == self.attributes {
            return Kind::Attribute(wire::key(field.value));
        }
        if self.apart.contains(&field.number) {
            return Kind::Apart(field.number);
        }
        Kind::Passed
    }
}

impl<'a> Piece<'a> {
    fn of<'b>(self, message: &'b [u8], arena: &'b [u8]) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Message(from, to) => part_of(message, from, to),
            Self::Arena(from, to) => part_of(arena, from, to),
            Self::Given(field) => field,
        }
    }
}

/// Appends the fields of `message` but those with `number`, as they came.
pub(super) fn append_others(message: &[u8], number: FieldNumber, out: &mut Vec<u8>) {
    for field in Fields::of(message).readable() {
        if (field.number, field.wire_type) != (number, WireType::Len) {
            out.extend_from_slice(field.raw(message));
        }
    }
}

fn part_of(bytes: &[u8], from: usize, to: usize) -> &[u8] {
    bytes.get(from..to).unwrap_or_default()
}
