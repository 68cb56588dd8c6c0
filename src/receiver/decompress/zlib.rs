//! gzip and deflate.

use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};

use super::{Corrupt, MEMBERS_MAX, Progress};

/// What it holds beside the buffer, in bytes: a window of 32 KiB and its tables, rounded up.
pub(super) const STATE_BYTES: usize = 48 * 1024;

/// The largest window, as gzip uses it, in bits.
const WINDOW_BITS: u8 = 15;

/// Undoes one body.
pub(in crate::receiver) struct Zlib {
    inflate: Decompress,
    format: Format,
    members: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Gzip,
    /// With zlib's header or without: the first byte tells.
    Deflate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No byte has arrived.
    Fresh,
    /// In the middle of a member.
    Inside,
    /// At the end of a member: the body may end here, or go on with another.
    Between,
}

impl Zlib {
    /// Expects gzip's first member.
    pub(super) fn gzip() -> Self {
        Self::new(Format::Gzip, Decompress::new_gzip(WINDOW_BITS))
    }

    /// Expects a deflate stream.
    pub(super) fn deflate() -> Self {
        Self::new(Format::Deflate, Decompress::new(true))
    }

    fn new(format: Format, inflate: Decompress) -> Self {
        Self {
            inflate,
            format,
            members: 0,
            state: State::Fresh,
        }
    }

    pub(super) fn run(
        &mut self,
        input: &mut &[u8],
        output: &mut Vec<u8>,
    ) -> Result<Progress, Corrupt> {
        loop {
            if self.state != State::Inside {
                let Some(&first) = input.first() else {
                    return Ok(Progress::InputUsed);
                };
                self.enter_member(first)?;
            }
            let before = self.inflate.total_in();
            let status = self
                .inflate
                .decompress_vec(input, output, FlushDecompress::None)
                .map_err(|_| Corrupt::Data)?;
            let used = usize::try_from(self.inflate.total_in() - before)
                .expect("no more is used than was given");
            *input = &input[used..];
            match status {
                Status::StreamEnd => self.state = State::Between,
                Status::Ok | Status::BufError if output.len() == output.capacity() => {
                    return Ok(Progress::RoomNeeded);
                }
                Status::Ok | Status::BufError if input.is_empty() => {
                    return Ok(Progress::InputUsed);
                }
                Status::Ok => {}
                Status::BufError => return Err(Corrupt::Data),
            }
        }
    }

    pub(super) fn is_inside(&self) -> bool {
        self.state == State::Inside
    }

    /// The member begins with this byte.
    fn enter_member(&mut self, first: u8) -> Result<(), Corrupt> {
        match (self.format, self.state) {
            (Format::Gzip, State::Fresh) => {}
            (Format::Gzip, _) if self.members == MEMBERS_MAX => {
                return Err(Corrupt::TooManyMembers);
            }
            // `Decompress::reset` knows only zlib and bare deflate.
            (Format::Gzip, _) => self.inflate = Decompress::new_gzip(WINDOW_BITS),
            (Format::Deflate, State::Fresh) => {
                if !is_zlib(first) {
                    self.inflate.reset(false);
                }
            }
            (Format::Deflate, _) => return Err(Corrupt::Data),
        }
        self.members += 1;
        self.state = State::Inside;
        Ok(())
    }
}

/// Whether zlib's header begins like this: its method is 8, and its window has 32 KiB at most (RFC 1950, 2.2). Bare deflate could
/// begin so with a stored block whose padding is not zeros, which nobody writes.
fn is_zlib(first: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7
}

impl fmt::Debug for Zlib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zlib")
            .field("format", &self.format)
            .field("members", &self.members)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
