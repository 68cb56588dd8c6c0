//! Protobuf fields appended to a buffer: the forward counterpart of [`Prepend`](crate::wire::Prepend), for what is read
//! again before it leaves (an edited attribute, a message that a `match` looks at).
//!
//! It knows no OTLP. A nested message is written in place; its bytes move only when its length needs more or fewer bytes
//! than expected.

use crate::{otlp::FieldNumber, wire::prepend::varint_bytes};

/// Wire type 0.
pub(super) const VARINT: u64 = 0;

/// Wire type 1: eight bytes.
pub(super) const FIXED64: u64 = 1;

/// Wire type 2: a length and as many bytes.
const LEN: u64 = 2;

/// A nested message that is being written; [`close`] ends it.
#[must_use]
pub(super) struct Open {
    /// Where the bytes kept for its length start.
    length_at: usize,
    /// Where its content starts.
    content_at: usize,
}

/// Appends a varint.
pub(super) fn varint(out: &mut Vec<u8>, value: u64) {
    let (encoded, length) = varint_bytes(value);
    out.extend_from_slice(&encoded[..length]);
}

/// Appends a field of bytes or of a string.
pub(super) fn field(out: &mut Vec<u8>, number: FieldNumber, value: &[u8]) {
    tag(out, number, LEN);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a tag. `wire_type` is 0 to 5.
pub(super) fn tag(out: &mut Vec<u8>, number: FieldNumber, wire_type: u64) {
    varint(out, u64::from(number) << 3 | wire_type);
}

/// Starts a nested message that will have about `expected` bytes.
pub(super) fn open(out: &mut Vec<u8>, number: FieldNumber, expected: usize) -> Open {
    tag(out, number, LEN);
    let length_at = out.len();
    varint(out, expected as u64);
    Open {
        length_at,
        content_at: out.len(),
    }
}

/// Ends a nested message: writes its length before it.
pub(super) fn close(out: &mut Vec<u8>, open: &Open) {
    let (encoded, length) = varint_bytes((out.len() - open.content_at) as u64);
    // Where the expected length took as many bytes as the true one, nothing moves.
    out.splice(
        open.length_at..open.content_at,
        encoded[..length].iter().copied(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_message_gets_its_length_whatever_was_expected() {
        for expected in [0, 3, 127, 128, 300, 1 << 20] {
            for length in [0, 3, 127, 128, 300, 20_000] {
                let content = vec![7; length];
                let mut out = b"before".to_vec();
                let message = open(&mut out, 4, expected);
                out.extend_from_slice(&content);
                close(&mut out, &message);

                let mut wanted = b"before".to_vec();
                field(&mut wanted, 4, &content);
                assert_eq!(out, wanted, "expected {expected}, is {length}");
            }
        }
    }
}
