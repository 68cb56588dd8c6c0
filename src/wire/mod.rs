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

mod depth;
mod emit;
pub mod fields;
mod index;
mod join;
pub mod prepend;
pub mod repair;
pub mod scan;
pub mod schema;
pub mod split;
pub mod views;

pub use depth::span_is_readable;
pub use emit::{Emitter, Keep, Written};
pub use fields::{Broken, Field, Fields, WireType};
pub use index::{Counts, Index, Range32, ResourceEntry, ScopeEntry, SpanEntry, Unusable};
pub use join::join_repeated;
pub use prepend::{Prepend, SHARE_BYTES_MIN};
pub use repair::{Repaired, repair};
pub use scan::{Checks, count, scan};
pub use split::{Piece, Pieces, split};
pub use views::{AnyValue, Attributes, EventView, ResourceView, ScopeView, SpanView};

/// What the compiled policies and edits read of a span beyond its ids and name, so that the scan at the door checks it: a
/// span broken there is rejected alone. What nobody reads passes as it came.
#[expect(
    clippy::struct_excessive_bools,
    reason = "a set of wishes, each independent of the others"
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Attributes of resources beyond `service.name`.
    pub resource_attributes: bool,
    /// Attributes of spans.
    pub span_attributes: bool,
    /// Events and their attributes.
    pub events: bool,
    /// The status.
    pub status: bool,
    /// The name of the scope.
    pub scope: bool,
}

impl Wanted {
    /// What either of the two wants.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            resource_attributes: self.resource_attributes || other.resource_attributes,
            span_attributes: self.span_attributes || other.span_attributes,
            events: self.events || other.events,
            status: self.status || other.status,
            scope: self.scope || other.scope,
        }
    }

    /// What is wanted of spans themselves and not by `other`.
    #[must_use]
    pub fn of_spans_beyond(self, other: Self) -> Self {
        Self {
            span_attributes: self.span_attributes && !other.span_attributes,
            events: self.events && !other.events,
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
