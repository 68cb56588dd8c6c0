//! Joins a `resource` or `scope` that occurs twice in one message: legal protobuf, which readers must merge, but no sender
//! is known to do it, and some readers take only the last one. Everything behind the door sees at most one.
//!
//! A stranger decides how many fields there are, so nothing is noted about any: lengths are computed in a walk before the
//! one that writes.

use super::{
    fields::{Field, Fields, WireType},
    prepend::varint_bytes,
};
use crate::otlp::{self, FieldNumber};

/// What is joined in a message, and below it.
#[derive(Clone, Copy)]
struct Level {
    /// The field that may occur once.
    once: Option<FieldNumber>,
    /// The field of the nested messages that are joined as well.
    nested: Option<(FieldNumber, &'static Level)>,
}

const SCOPE_SPANS: Level = Level {
    once: Some(otlp::scope_spans::SCOPE),
    nested: None,
};

const RESOURCE_SPANS: Level = Level {
    once: Some(otlp::resource_spans::RESOURCE),
    nested: Some((otlp::resource_spans::SCOPE_SPANS, &SCOPE_SPANS)),
};

const REQUEST: Level = Level {
    once: None,
    nested: Some((otlp::request::RESOURCE_SPANS, &RESOURCE_SPANS)),
};

/// The same request with each repeated `resource` and `scope` joined: concatenated messages are merged messages. Never longer
/// than `body`, which [`super::count`] has checked, and written into one buffer of that size.
pub fn join_repeated(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    REQUEST.write(body, &mut out);
    out
}

impl Level {
    /// Writes the field that occurs once first, then the others in their order.
    fn write(&self, message: &[u8], out: &mut Vec<u8>) {
        if let Some(number) = self.once
            && let Some(length) = self.joined_bytes(message)
        {
            start_field(number, length, out);
            for field in fields_with(message, number) {
                out.extend_from_slice(field.value);
            }
        }
        for field in Fields::of(message).readable() {
            match self.nested_in(&field) {
                _ if Some(field.number) == self.once => {}
                Some(level) => {
                    start_field(field.number, level.bytes(field.value), out);
                    level.write(field.value, out);
                }
                None => out.extend_from_slice(field.raw(message)),
            }
        }
    }

    /// The bytes that [`Self::write`] writes.
    fn bytes(&self, message: &[u8]) -> usize {
        let mut bytes = match (self.once, self.joined_bytes(message)) {
            (Some(number), Some(joined)) => field_bytes(number, joined),
            _ => 0,
        };
        for field in Fields::of(message).readable() {
            bytes = bytes.saturating_add(match self.nested_in(&field) {
                _ if Some(field.number) == self.once => 0,
                Some(level) => field_bytes(field.number, level.bytes(field.value)),
                None => field.end.saturating_sub(field.start),
            });
        }
        bytes
    }

    /// The bytes of all fields that may occur once, without tags and lengths; `None` when there is none.
    fn joined_bytes(&self, message: &[u8]) -> Option<usize> {
        let lengths = fields_with(message, self.once?).map(|field| field.value.len());
        lengths.reduce(usize::saturating_add)
    }

    fn nested_in(&self, field: &Field<'_>) -> Option<&'static Self> {
        let (number, level) = self.nested?;
        (field.number == number && field.wire_type == WireType::Len).then_some(level)
    }
}

fn fields_with(message: &[u8], number: FieldNumber) -> impl Iterator<Item = Field<'_>> {
    Fields::of(message)
        .readable()
        .filter(move |field| field.number == number)
}

fn start_field(number: FieldNumber, length: usize, out: &mut Vec<u8>) {
    for value in [u64::from(number) << 3 | 2, length as u64] {
        let (encoded, bytes) = varint_bytes(value);
        out.extend_from_slice(encoded.get(..bytes).unwrap_or_default());
    }
}

fn field_bytes(number: FieldNumber, length: usize) -> usize {
    let (_, tag) = varint_bytes(u64::from(number) << 3 | 2);
    let (_, prefix) = varint_bytes(length as u64);
    tag.saturating_add(prefix).saturating_add(length)
}
