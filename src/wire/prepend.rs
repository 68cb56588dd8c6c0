//! Writes a protobuf message from its end to its beginning, so that the length of every nested message is known when its
//! length is written: one pass, no sizing, no patching. (`FlatBuffers` build the same way.)
//!
//! What is large and unchanged is not copied: [`Prepend::share`] takes a slice of the original body.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::otlp::FieldNumber;

/// Below this many bytes a slice is copied: a chunk on its own costs an HTTP/2 frame and a write, and DATA frames under
/// 256 bytes count against the sender in h2. Chosen by eye.
pub const SHARE_BYTES_MIN: usize = 4096;

/// A message being written backwards.
#[derive(Debug)]
pub struct Prepend {
    /// The part written last, filled from its end: `buffer[at..]` is written.
    buffer: BytesMut,
    at: usize,
    /// Finished parts, the last one first.
    finished: Vec<Bytes>,
    finished_bytes: usize,
    /// Bytes of all buffers it took, written or not.
    allocated: usize,
    /// Bytes of buffers it may take.
    room: usize,
    /// The message needs more room than that: what is written is of no use.
    exceeded: bool,
}

/// The bytes of the longest varint.
pub const VARINT_BYTES_MAX: usize = 10;

/// How much had been written at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(usize);

impl Prepend {
    /// A writer whose first `capacity` bytes need no further allocation.
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_room(capacity, usize::MAX)
    }

    /// As [`Self::with_capacity`], with at most `room` bytes of buffers in all, and never less than `capacity`.
    pub fn with_room(capacity: usize, room: usize) -> Self {
        Self {
            buffer: BytesMut::zeroed(capacity),
            at: capacity,
            finished: Vec::with_capacity(8),
            finished_bytes: 0,
            allocated: capacity,
            room,
            exceeded: false,
        }
    }

    /// Whether the message needs more than its room: then what is written is of no use.
    #[inline]
    pub fn is_exceeded(&self) -> bool {
        self.exceeded
    }

    /// Bytes of the buffers it took, written or not.
    pub fn allocated(&self) -> usize {
        self.allocated
    }

    /// The bytes written so far.
    #[inline]
    pub fn len(&self) -> usize {
        self.finished_bytes
            .saturating_add(self.buffer.len().saturating_sub(self.at))
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the writer stands: the end of the message that is written next.
    #[inline]
    pub fn mark(&self) -> Mark {
        Mark(self.len())
    }

    /// Writes `bytes` before everything written so far.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        if self.at < bytes.len() && !self.make_room(bytes.len()) {
            return;
        }
        let start = self.at.saturating_sub(bytes.len());
        if let Some(room) = self.buffer.get_mut(start..self.at) {
            room.copy_from_slice(bytes);
        }
        self.at = start;
    }

    /// Writes a part of `body`; a large one is shared with it, not copied.
    pub fn share(&mut self, body: &Bytes, part: Range<usize>) {
        let bytes = body.get(part.clone()).unwrap_or_default();
        if bytes.len() < SHARE_BYTES_MIN {
            return self.bytes(bytes);
        }
        self.finish_buffer();
        self.finished_bytes = self.finished_bytes.saturating_add(bytes.len());
        self.finished.push(body.slice(part));
    }

    /// Keeps `bytes` bytes before everything written so far, to be filled by the caller; empty when there is no room.
    pub fn block(&mut self, bytes: usize) -> &mut [u8] {
        if self.at < bytes && !self.make_room(bytes) {
            return &mut [];
        }
        let end = self.at;
        self.at = end.saturating_sub(bytes);
        self.buffer.get_mut(self.at..end).unwrap_or_default()
    }

    /// Writes a varint.
    #[inline]
    pub fn varint(&mut self, value: u64) {
        let (encoded, length) = varint_bytes(value);
        self.bytes(encoded.get(..length).unwrap_or_default());
    }

    /// Closes the message whose end is `end`: writes its length and its tag before it.
    #[inline]
    pub fn close(&mut self, number: FieldNumber, end: Mark) {
        let length = self.len().saturating_sub(end.0);
        self.varint(u64::try_from(length).unwrap_or(u64::MAX));
        self.varint(u64::from(number) << 3 | 2);
    }

    /// Writes a field of bytes or of a string.
    #[inline]
    pub fn field(&mut self, number: FieldNumber, value: &[u8]) {
        let end = self.mark();
        self.bytes(value);
        self.close(number, end);
    }

    /// The message, as the parts it consists of, first one first.
    pub fn finish(mut self) -> Vec<Bytes> {
        self.finish_buffer();
        self.finished.reverse();
        self.finished
    }

    fn finish_buffer(&mut self) {
        if self.at >= self.buffer.len() {
            return;
        }
        let written = self.buffer.split_off(self.at).freeze();
        self.finished_bytes = self.finished_bytes.saturating_add(written.len());
        self.finished.push(written);
    }

    #[cold]
    fn make_room(&mut self, wanted: usize) -> bool {
        self.finish_buffer();
        // Twice as much each time, so that a message of any size takes few allocations.
        let doubled = self.len().max(wanted).max(SHARE_BYTES_MIN);
        let capacity = doubled.min(self.room.saturating_sub(self.allocated));
        if capacity < wanted {
            self.exceeded = true;
            return false;
        }
        self.buffer = BytesMut::zeroed(capacity);
        self.at = capacity;
        self.allocated = self.allocated.saturating_add(capacity);
        true
    }
}

/// A varint, in as few bytes as it takes, and how many those are.
#[inline]
pub fn varint_bytes(mut value: u64) -> ([u8; VARINT_BYTES_MAX], usize) {
    let mut encoded = [0; VARINT_BYTES_MAX];
    let mut length = 0_usize;
    for byte in &mut encoded {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        length = length.wrapping_add(1);
        *byte = if value == 0 { low } else { low | 0x80 };
        if value == 0 {
            break;
        }
    }
    (encoded, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_messages_get_their_lengths() {
        let mut message = Prepend::with_capacity(4);
        let outer = message.mark();
        message.field(2, b"world");
        message.field(1, b"hello");
        message.close(3, outer);
        let whole = message.finish().concat();
        assert_eq!(whole, b"\x1a\x0e\x0a\x05hello\x12\x05world");
    }

    #[test]
    fn large_parts_are_shared_and_small_ones_copied() {
        let body = Bytes::from(vec![7; SHARE_BYTES_MIN + 10]);
        let mut message = Prepend::with_capacity(64);
        message.bytes(b"end");
        message.share(&body, 0..body.len());
        message.share(&body, 0..10);
        message.bytes(b"begin");
        let parts = message.finish();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[1].as_ptr(), body.as_ptr());
        assert_eq!(parts.concat().len(), 5 + 10 + body.len() + 3);
    }

    #[test]
    fn buffers_take_their_room_and_no_byte_more() {
        for (room, fits) in [(99, false), (100, true), (101, true)] {
            let mut message = Prepend::with_room(10, room);
            for _ in 0..100 {
                message.bytes(b"x");
            }
            assert_eq!(message.is_exceeded(), !fits, "{room}");
            assert!(message.allocated() <= room, "{room}");
            if fits {
                assert_eq!(message.finish().concat(), [b'x'; 100]);
            }
        }
    }

    #[test]
    fn varints_of_every_length_are_minimal() {
        for (value, expected) in [
            (0, vec![0]),
            (127, vec![127]),
            (128, vec![0x80, 1]),
            (
                u64::MAX,
                vec![255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
            ),
        ] {
            let mut message = Prepend::with_capacity(0);
            message.varint(value);
            assert_eq!(message.finish().concat(), expected);
        }
    }
}
