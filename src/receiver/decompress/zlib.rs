//! gzip, undone as it arrives. No I/O, and no memory beyond the caller's buffer and one window.
//!
//! Invariant: it never writes past the capacity it is given, so who grants capacity decides about size.

use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};

/// What the decompressor holds beside the buffer, in bytes: a window of 32 KiB and its tables, rounded up.
pub(super) const STATE_BYTES: usize = 48 * 1024;

/// The members of one body at most. Concatenated members are one gzip file (RFC 1952, 2.2) and parallel compressors write
/// them, of 64 KiB or more; but each costs its set-up, and the smallest has 20 bytes.
const MEMBERS_MAX: usize = 1024;

/// The largest window, as gzip uses it, in bits.
const WINDOW_BITS: u8 = 15;

/// Undoes one gzip body.
pub(super) struct Gunzip {
    inflate: Decompress,
    members: usize,
    state: State,
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

/// Why the decompressor stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The input is used up.
    InputUsed,
    /// The buffer is full, and there may be more.
    RoomNeeded,
}

/// The bytes are no gzip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Corrupt {
    /// Header, data, length or checksum are wrong.
    Data,
    /// The body ends inside a member.
    CutShort,
    /// More than [`MEMBERS_MAX`].
    TooManyMembers,
}

impl Gunzip {
    /// Expects the first member.
    pub(super) fn new() -> Self {
        Self {
            inflate: Decompress::new_gzip(WINDOW_BITS),
            members: 1,
            state: State::Fresh,
        }
    }

    /// Takes bytes off `input` and appends what they stand for to `output`, within its capacity.
    pub(super) fn inflate(
        &mut self,
        input: &mut &[u8],
        output: &mut Vec<u8>,
    ) -> Result<Progress, Corrupt> {
        loop {
            if self.state != State::Inside {
                if input.is_empty() {
                    return Ok(Progress::InputUsed);
                }
                self.enter_member()?;
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

    /// The body has ended: whether it was whole. An empty body counts as the compressed form of nothing, as some clients
    /// send it.
    pub(super) fn finish(self) -> Result<(), Corrupt> {
        match self.state {
            State::Fresh | State::Between => Ok(()),
            State::Inside => Err(Corrupt::CutShort),
        }
    }

    fn enter_member(&mut self) -> Result<(), Corrupt> {
        if self.state == State::Between {
            if self.members == MEMBERS_MAX {
                return Err(Corrupt::TooManyMembers);
            }
            self.members += 1;
            // `Decompress::reset` knows only zlib and raw deflate.
            self.inflate = Decompress::new_gzip(WINDOW_BITS);
        }
        self.state = State::Inside;
        Ok(())
    }
}

impl fmt::Debug for Gunzip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gunzip")
            .field("members", &self.members)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data => f.write_str("the body is no gzip, or its checksum is wrong"),
            Self::CutShort => f.write_str("the body ends before its gzip data does"),
            Self::TooManyMembers => {
                write!(f, "the body has more than {MEMBERS_MAX} gzip members")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    /// Inflates in chunks of `step`, granting `grant` bytes at a time, at most `cap`; `None` when the cap is reached.
    fn gunzip(
        bytes: &[u8],
        step: usize,
        grant: usize,
        cap: usize,
    ) -> Result<Option<Vec<u8>>, Corrupt> {
        let mut gunzip = Gunzip::new();
        let mut output = Vec::new();
        for mut chunk in bytes.chunks(step) {
            while gunzip.inflate(&mut chunk, &mut output)? == Progress::RoomNeeded {
                if output.len() == cap {
                    return Ok(None);
                }
                output.reserve_exact(grant.min(cap - output.len()));
            }
        }
        gunzip.finish()?;
        Ok(Some(output))
    }

    #[test]
    fn members_arrive_in_any_chunks() {
        let plain: Vec<u8> = (0..5000_u32).flat_map(u32::to_le_bytes).collect();
        let (first, second) = plain.split_at(7001);
        let bytes = [gzip(first), gzip(second), gzip(&[])].concat();
        for (step, grant) in [(1, 1000), (7, 1), (100_000, 100_000), (13, 4096)] {
            assert_eq!(
                gunzip(&bytes, step, grant, usize::MAX),
                Ok(Some(plain.clone())),
                "{step} {grant}"
            );
        }
        assert_eq!(gunzip(&[], 1, 1, 1), Ok(Some(vec![])));
    }

    #[test]
    fn a_bomb_never_writes_past_what_it_is_granted() {
        let bomb = gzip(&vec![0; 10_000_000]);
        assert!(bomb.len() < 100_000);
        assert_eq!(gunzip(&bomb, bomb.len(), 65_536, 1_000_000), Ok(None));
    }

    #[test]
    fn what_is_broken_is_told() {
        let good = gzip(b"a body of some length, so that there is something to break");
        let changed = |at: usize| {
            let mut bytes = good.clone();
            bytes[at] ^= 0xff;
            bytes
        };
        let cases = [
            (b"no gzip at all".to_vec(), Corrupt::Data),
            (changed(0), Corrupt::Data),
            (changed(good.len() - 1), Corrupt::Data), // the length
            (changed(good.len() - 5), Corrupt::Data), // the checksum
            (good[..good.len() - 1].to_vec(), Corrupt::CutShort),
            (good[..5].to_vec(), Corrupt::CutShort),
            ([&good[..], b"rubbish"].concat(), Corrupt::Data),
            ([&good[..], &[0]].concat(), Corrupt::CutShort),
            (gzip(&[]).repeat(MEMBERS_MAX + 1), Corrupt::TooManyMembers),
        ];
        for (bytes, corrupt) in cases {
            for step in [1, 1000] {
                assert_eq!(
                    gunzip(&bytes, step, 1000, usize::MAX),
                    Err(corrupt),
                    "{bytes:?}"
                );
            }
        }
        assert!(gunzip(&gzip(&[]).repeat(MEMBERS_MAX), 1000, 10, 10).is_ok());
    }
}
