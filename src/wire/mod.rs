//! Protobuf as bytes: scan a request, look at a span, write messages, split them. No I/O, no clock, no panic, and
//! nothing is allocated per span.
//!
//! It knows OTLP's field numbers and no setting of this relay. Bytes that a [`scan()`] has checked are walked again without
//! errors; strings are byte strings, because nobody pays for UTF-8 that nobody reads.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "no request, of any shape, makes the process panic"
)]

mod count;
mod depth;
mod emit;
pub mod fields;
mod head;
mod index;
mod join;
pub mod prepend;
pub mod repair;
pub mod scan;
pub mod schema;
pub mod split;
pub mod views;

pub use count::{Counting, count};
pub use depth::span_is_readable;
pub use emit::{Emitter, Keep, Written};
pub use fields::{Broken, Field, Fields, WireType};
pub use index::{Counts, Index, Range32, ResourceEntry, ScopeEntry, SpanEntry, Unusable};
pub use join::join_repeated;
pub use prepend::{Prepend, SHARE_BYTES_MIN};
pub use repair::{Repaired, repair};
pub use scan::{Checks, scan};
pub use split::{Piece, Pieces, split};
pub use views::{AnyValue, Attributes, EventView, ResourceView, ScopeView, SpanView, key};

/// What the compiled policies and edits read of a span beyond its ids and name, so that the scan at the door checks it: a
/// span broken there is rejected alone. What nobody reads passes as it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Attributes of resources. Their keys and the value of `service.name` are read anyway.
    pub resource_attributes: Detail,
    /// Attributes of spans.
    pub span_attributes: Detail,
    /// Events, by what is read of their attributes.
    pub events: Detail,
    /// The status.
    pub status: bool,
    /// The name of the scope.
    pub scope: bool,
}

/// What is read of attributes. Each reads what those before it read, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Nothing.
    #[default]
    Nothing,
    /// Their keys: to set, rename or remove some.
    Keys,
    /// Their values, nested ones included.
    Values,
}

impl Wanted {
    /// What either of the two wants.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            resource_attributes: self.resource_attributes.max(other.resource_attributes),
            span_attributes: self.span_attributes.max(other.span_attributes),
            events: self.events.max(other.events),
            status: self.status || other.status,
            scope: self.scope || other.scope,
        }
    }

    /// What is wanted of spans themselves and not by `other`.
    #[must_use]
    pub fn of_spans_beyond(self, other: Self) -> Self {
        Self {
            span_attributes: self.span_attributes.beyond(other.span_attributes),
            events: self.events.beyond(other.events),
            status: self.status && !other.status,
            ..Self::default()
        }
    }

    /// What is wanted of what stands around spans.
    #[must_use]
    pub fn around_spans(self) -> Self {
        Self {
            resource_attributes: self.resource_attributes,
            scope: self.scope,
            ..Self::default()
        }
    }
}

impl Detail {
    fn beyond(self, other: Self) -> Self {
        if self > other { self } else { Self::Nothing }
    }
}
