//! Writes a protobuf message forwards, as JSON comes: the length of a message is known at its end, and what was written of it
//! moves by the few bytes that a long one takes.
//!
//! Invariant: it never writes past the capacity it was given.

use crate::{otlp::FieldNumber, wire::prepend::varint_bytes};

/// Protobuf's wire types (encoding, "Message Structure").
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LEN: u64 = 2;
const FIXED32: u64 = 5;

/// A message that is being written.
#[derive(Debug)]
pub(super) struct Out {
    bytes: Vec<u8>,
    /// Something did not fit.
    exceeded: bool,
}

/// Where a field starts: what follows can be taken back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(usize);

/// A field whose length is not known yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    /// Its first byte behind the one that is kept for the length.
    value: usize,
}

impl Out {
    /// Writes into `room`, an empty buffer.
    pub(super) fn new(room: Vec<u8>) -> Self {
        Self {
            bytes: room,
            exceeded: false,
        }
    }

    /// What was written; `None` when it did not fit.
    pub(super) fn into_bytes(self) -> Option<Vec<u8>> {
        (!self.exceeded).then_some(self.bytes)
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.bytes.len())
    }

    /// Takes back what was written since.
    pub(super) fn take_back(&mut self, mark: Mark) {
        self.bytes.truncate(mark.0);
    }

    /// Starts a field of bytes, a string or a message.
    #[inline]
    pub(super) fn open(&mut self, number: FieldNumber) -> Opened {
        self.tag(number, LEN);
        self.bytes(&[0]);
        Opened {
            value: self.bytes.len(),
        }
    }

    /// Ends it.
    #[inline]
    pub(super) fn close(&mut self, opened: Opened) {
        let end = self.bytes.len();
        let (varint, varint_bytes) = varint_bytes((end - opened.value) as u64);
        let more = varint_bytes - 1;
        self.bytes(&varint[..more]);
        if self.exceeded {
            return;
        }
        let length_at = opened.value - 1;
        if more > 0 {
            self.bytes
                .copy_within(opened.value..end, opened.value + more);
        }
        self.bytes[length_at..length_at + varint_bytes].copy_from_slice(&varint[..varint_bytes]);
    }

    /// A number that is written as a varint.
    #[inline]
    pub(super) fn varint(&mut self, number: FieldNumber, value: u64) {
        self.tag(number, VARINT);
        self.bare_varint(value);
    }

    /// A number of four bytes.
    pub(super) fn fixed32(&mut self, number: FieldNumber, value: u32) {
        self.tag(number, FIXED32);
        self.bytes(&value.to_le_bytes());
    }

    /// A number of eight bytes.
    #[inline]
    pub(super) fn fixed64(&mut self, number: FieldNumber, value: u64) {
        self.tag(number, FIXED64);
        self.bytes(&value.to_le_bytes());
    }

    /// Bytes as they are.
    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if self.bytes.capacity() - self.bytes.len() < bytes.len() {
            self.exceeded = true;
        }
        if !self.exceeded {
            self.bytes.extend_from_slice(bytes);
        }
    }

    #[inline]
    fn tag(&mut self, number: FieldNumber, wire_type: u64) {
        self.bare_varint(u64::from(number) << 3 | wire_type);
    }

    #[inline]
    fn bare_varint(&mut self, value: u64) {
        let (varint, length) = varint_bytes(value);
        self.bytes(&varint[..length]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_any_size_are_put_before_what_they_count() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 2_097_152] {
            let mut out = Out::new(Vec::with_capacity(length + 10));
            let opened = out.open(3);
            out.bytes(&vec![7; length]);
            out.close(opened);
            let (varint, varint_length) = varint_bytes(length as u64);
            let expected = [&[3 << 3 | 2], &varint[..varint_length], &vec![7; length]].concat();
            assert!(out.into_bytes() == Some(expected), "{length}");
        }
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        for capacity in 0..135 {
            let mut out = Out::new(Vec::with_capacity(capacity));
            let room = out.bytes.capacity();
            let opened = out.open(1);
            out.bytes(&[7; 128]);
            out.close(opened);
            assert_eq!(out.bytes.capacity(), room);
            assert_eq!(out.into_bytes().is_some(), room >= 131, "{room}");
        }
    }
}
