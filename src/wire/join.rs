//! Joins a `resource` or `scope` that occurs twice in one message: legal protobuf, which readers must merge, but no sender
//! is known to do it, and some readers take only the last one. Everything behind the door sees at most one.

use bytes::Bytes;

use super::{
    fields::{Fields, WireType},
    prepend::Prepend,
};
use crate::otlp::{self, FieldNumber};

/// The same request with each repeated `resource` and `scope` joined: concatenated messages are merged messages. Never longer
/// than `body`, which [`super::count`] has checked.
pub fn join_repeated(body: &[u8]) -> Bytes {
    let mut out = Prepend::with_capacity(body.len());
    for field in backwards(body) {
        if (field.number, field.wire_type) == (otlp::request::RESOURCE_SPANS, WireType::Len) {
            let end = out.mark();
            join_resource_spans(field.value, &mut out);
            out.close(otlp::request::RESOURCE_SPANS, end);
        } else {
            out.bytes(field.raw(body));
        }
    }
    out.finish().concat().into()
}

fn join_resource_spans(message: &[u8], out: &mut Prepend) {
    for field in backwards(message) {
        match field.number {
            otlp::resource_spans::RESOURCE => {}
            otlp::resource_spans::SCOPE_SPANS => {
                let end = out.mark();
                join_scope_spans(field.value, out);
                out.close(otlp::resource_spans::SCOPE_SPANS, end);
            }
            _ => out.bytes(field.raw(message)),
        }
    }
    write_joined(message, otlp::resource_spans::RESOURCE, out);
}

fn join_scope_spans(message: &[u8], out: &mut Prepend) {
    for field in backwards(message) {
        if field.number != otlp::scope_spans::SCOPE {
            out.bytes(field.raw(message));
        }
    }
    write_joined(message, otlp::scope_spans::SCOPE, out);
}

/// Writes all fields with `number` as one, if there is any.
fn write_joined(message: &[u8], number: FieldNumber, out: &mut Prepend) {
    let end = out.mark();
    let mut any = false;
    for field in backwards(message).filter(|field| field.number == number) {
        out.bytes(field.value);
        any = true;
    }
    if any {
        out.close(number, end);
    }
}

/// The fields of a checked message, last one first.
pub(super) fn backwards(message: &[u8]) -> impl Iterator<Item = super::Field<'_>> {
    let fields: Vec<_> = Fields::of(message).flatten().collect();
    fields.into_iter().rev()
}
