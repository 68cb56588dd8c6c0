//! Writes parts of a scanned body again, from the last to the first, with new lengths around them.
//!
//! Neighbouring parts go out in one piece, and large ones are shared with the body instead of copied.

use bytes::Bytes;

use super::{
    fields::Fields,
    index::Range32,
    prepend::{Mark, Prepend},
};
use crate::otlp::FieldNumber;

/// Whether kept parts may be slices of the body, which then lives as long as they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Large parts are slices of the body.
    Share,
    /// Everything is copied, so that the body can go.
    Copy,
}

/// Writes parts of one body backwards.
#[derive(Debug)]
pub struct Emitter<'a> {
    body: &'a Bytes,
    keep: Keep,
    out: Prepend,
    /// A part that is kept but not written yet: the part before it may be its neighbour.
    pending: Range32,
}

/// A message that was written.
#[derive(Debug)]
pub struct Written {
    /// The parts it consists of, first one first.
    pub segments: Vec<Bytes>,
    /// The bytes of the buffers that they keep alive, with what is free in them.
    pub buffers: usize,
    /// One of them is a slice of the body, which lives as long.
    pub shares_body: bool,
}

impl<'a> Emitter<'a> {
    /// A writer of parts of `body`; `capacity` bytes beside shared parts need no further allocation, and all buffers
    /// together take at most `room` bytes.
    pub fn new(body: &'a Bytes, keep: Keep, capacity: usize, room: usize) -> Self {
        Self {
            body,
            keep,
            out: Prepend::with_room(capacity, room),
            pending: Range32::default(),
        }
    }

    /// Writes a part of the body as it stands there.
    #[inline]
    pub fn part(&mut self, part: Range32) {
        if part.end == self.pending.start && !self.pending.is_empty() {
            self.pending.start = part.start;
        } else {
            self.flush();
            self.pending = part;
        }
    }

    /// Writes the fields of `message`, a range of the body, but those with one of `numbers`. A stranger decides how many there
    /// are, so nothing is noted about any: one walk sums, the next one writes.
    pub fn fields_except(&mut self, message: Range32, numbers: &[FieldNumber]) {
        let body: &[u8] = self.body;
        let message = message.of(body);
        let others = || {
            Fields::of(message)
                .readable()
                .filter(|field| !numbers.contains(&field.number))
                .map(|field| field.raw(message))
        };
        let bytes = others().map(<[u8]>::len).fold(0, usize::saturating_add);
        if bytes == 0 {
            return;
        }
        self.flush();
        let mut block = self.out.block(bytes);
        for field in others() {
            let Some((room, rest)) = block.split_at_mut_checked(field.len()) else {
                return;
            };
            room.copy_from_slice(field);
            block = rest;
        }
    }

    /// Where the writer stands: the end of the message that is written next.
    #[inline]
    pub fn mark(&mut self) -> Mark {
        self.flush();
        self.out.mark()
    }

    /// Closes the message whose end is `end`: writes its length and its tag before it.
    #[inline]
    pub fn close(&mut self, number: FieldNumber, end: Mark) {
        self.flush();
        self.out.close(number, end);
    }

    /// The writer for bytes that are not in the body.
    #[inline]
    pub fn out(&mut self) -> &mut Prepend {
        self.flush();
        &mut self.out
    }

    /// Whether what was written needs more than its room: then the rest need not be written.
    #[inline]
    pub fn is_exceeded(&self) -> bool {
        self.out.is_exceeded()
    }

    /// The message; of no use when it needs more than its room.
    pub fn finish(mut self) -> Written {
        self.flush();
        let buffers = self.out.allocated();
        let segments = self.out.finish();
        let within = self.body.as_ptr_range();
        let shares_body = segments
            .iter()
            .any(|segment| within.contains(&segment.as_ptr()));
        Written {
            segments,
            buffers,
            shares_body,
        }
    }

    fn flush(&mut self) {
        let part = std::mem::take(&mut self.pending);
        if part.is_empty() {
            return;
        }
        match self.keep {
            Keep::Share => self.out.share(self.body, part.indices()),
            Keep::Copy => self.out.bytes(part.of(self.body)),
        }
    }
}
