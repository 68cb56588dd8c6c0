//! zstd.

use std::fmt;

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::{Corrupt, MEMBERS_MAX, Progress};

/// What it holds beside the buffer and the window, in bytes: the decoder's tables, rounded up.
pub(super) const STATE_BYTES: usize = 192 * 1024;

/// The largest window, in bytes: what every receiver has to support, and no sender may exceed over HTTP (RFC 9659).
pub(super) const WINDOW_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The smallest window that is paid for, as a power of two, and the largest. Later frames of a body may have larger windows than
/// the first one up to the smallest of these: where a sender knows the size of each, that is its window.
const WINDOW_LOG_MIN: u32 = 17;
const WINDOW_LOG_MAX: u32 = WINDOW_BYTES_MAX.ilog2();

/// The largest block, in bytes (RFC 8878, 3.1.1.2.3). The decoder holds one as it came and one undone.
const BLOCK_BYTES_MAX: usize = 128 * 1024;

/// What a frame begins with (RFC 8878, 3.1.1).
const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// Undoes one body.
pub(in crate::receiver) struct Zstd {
    decoder: Decoder<'static>,
    /// The beginning of the first frame, until the decoder has it: up to where it tells the window.
    head: Vec<u8>,
    /// The window is known, and the decoder limited to it.
    limited: bool,
    members: usize,
    inside: bool,
}

impl Zstd {
    pub(super) fn new() -> Self {
        Self {
            decoder: Decoder::new().expect("memory for a decoder, or the process ends"),
            head: Vec::new(),
            limited: false,
            members: 0,
            inside: false,
        }
    }

    pub(super) fn run(
        &mut self,
        input: &mut &[u8],
        output: &mut Vec<u8>,
    ) -> Result<Progress, Corrupt> {
        if !self.limited {
            return self.read_head(input);
        }
        // The decoder takes all of a head at once, and writes nothing for it.
        let head = std::mem::take(&mut self.head);
        self.decode(&mut &head[..], output)?;
        self.decode(input, output)
    }

    pub(super) fn is_inside(&self) -> bool {
        self.inside || !self.head.is_empty()
    }

    /// Collects the first frame's head until it tells the window, which is held from then on.
    fn read_head(&mut self, input: &mut &[u8]) -> Result<Progress, Corrupt> {
        while let Some((&first, rest)) = input.split_first() {
            self.head.push(first);
            *input = rest;
            if let Some(window) = window_bytes(&self.head)? {
                if window > WINDOW_BYTES_MAX as u64 {
                    return Err(Corrupt::Window);
                }
                let log = window.next_power_of_two().ilog2();
                let log = log.clamp(WINDOW_LOG_MIN, WINDOW_LOG_MAX);
                self.decoder
                    .set_parameter(DParameter::WindowLogMax(log))
                    .expect("it is a window that zstd has");
                self.limited = true;
                let held = (1_usize << log) + 2 * BLOCK_BYTES_MAX;
                return Ok(Progress::WindowNeeded(held));
            }
        }
        Ok(Progress::InputUsed)
    }

    fn decode(&mut self, input: &mut &[u8], output: &mut Vec<u8>) -> Result<Progress, Corrupt> {
        loop {
            if !self.inside {
                if input.is_empty() {
                    return Ok(Progress::InputUsed);
                }
                if self.members == MEMBERS_MAX {
                    return Err(Corrupt::TooManyMembers);
                }
                self.members += 1;
                self.inside = true;
            }
            let written = output.len();
            let mut from = InBuffer::around(input);
            let mut into = OutBuffer::around_pos(output, written);
            let hint = self.decoder.run(&mut from, &mut into);
            let used = from.pos();
            let hint = hint.map_err(|error| corrupt(&error))?;
            *input = &input[used..];
            if hint == 0 {
                self.inside = false;
            } else if output.len() == output.capacity() {
                return Ok(Progress::RoomNeeded);
            } else if input.is_empty() {
                return Ok(Progress::InputUsed);
            }
        }
    }
}

/// What zstd says where a later frame has a larger window than the first one.
fn corrupt(error: &std::io::Error) -> Corrupt {
    if error.to_string().contains("too much memory") {
        Corrupt::Window
    } else {
        Corrupt::Data
    }
}

/// The window of the frame that begins like this (RFC 8878, 3.1.1.1), in bytes; `None` while more of it is needed. A frame that is
/// to be skipped has none.
fn window_bytes(head: &[u8]) -> Result<Option<u64>, Corrupt> {
    let Some((magic, rest)) = head.split_at_checked(MAGIC.len()) else {
        return Ok(None);
    };
    if magic != MAGIC {
        let skippable = magic[0] & 0xf0 == 0x50 && magic[1..] == [0x2a, 0x4d, 0x18];
        return if skippable {
            Ok(Some(0))
        } else {
            Err(Corrupt::Data)
        };
    }
    let Some((&descriptor, rest)) = rest.split_first() else {
        return Ok(None);
    };
    let single_segment = descriptor & 0x20 != 0;
    if !single_segment {
        return Ok(rest.first().map(|window| {
            let base = 1_u64 << (10 + (window >> 3));
            base + base / 8 * u64::from(window & 7)
        }));
    }
    let dictionary_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content_bytes = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let Some(content) = rest.get(dictionary_bytes..dictionary_bytes + content_bytes) else {
        return Ok(None);
    };
    let mut size = [0; 8];
    size[..content_bytes].copy_from_slice(content);
    let size = u64::from_le_bytes(size);
    Ok(Some(if content_bytes == 2 { size + 256 } else { size }))
}

impl fmt::Debug for Zstd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zstd")
            .field("limited", &self.limited)
            .field("members", &self.members)
            .field("inside", &self.inside)
            .finish_non_exhaustive()
    }
}
