//! Compressed bodies, undone as they arrive. No I/O, and no memory beyond the caller's buffer and what is told to be needed.
//!
//! Invariant: nothing is written past the capacity that is given, so who grants capacity decides about size.

mod zlib;
mod zstd;

use std::fmt;

use zlib::Zlib;
use zstd::{WINDOW_BYTES_MAX, Zstd};

/// The members of one body at most: gzip's members and zstd's frames may follow one another and are one body (RFC 1952, 2.2;
/// RFC 8878, 3). Parallel compressors write them, of 64 KiB or more; but each costs its set-up, and the smallest has few bytes.
const MEMBERS_MAX: usize = 1024;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    /// Not at all.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
    /// zlib (RFC 1950), or bare deflate (RFC 1951) as some senders understand the name.
    Deflate,
    /// zstd (RFC 8878).
    Zstd,
}

/// What is understood, as `accept-encoding` and as `grpc-accept-encoding` tell it; `identity` goes without saying in HTTP.
pub(super) const HTTP_ENCODINGS: &str = "gzip, deflate, zstd";
pub(super) const GRPC_ENCODINGS: &str = "identity,gzip,deflate,zstd";

impl Compression {
    /// By its name in `content-encoding` or `grpc-encoding`, in lower case.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "identity" => Some(Self::Identity),
            "gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// What undoing it holds from the beginning, in bytes.
    pub(super) fn state_bytes(self) -> usize {
        match self {
            Self::Identity => 0,
            Self::Gzip | Self::Deflate => zlib::STATE_BYTES,
            Self::Zstd => zstd::STATE_BYTES,
        }
    }
}

/// Undoes one body.
#[derive(Debug)]
pub(super) enum Decompressor {
    Zlib(Zlib),
    Zstd(Zstd),
}

/// Why the decompressor stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The input is used up.
    InputUsed,
    /// The buffer is full, and there may be more.
    RoomNeeded,
    /// It holds so many bytes beside the buffer from now on.
    WindowNeeded(usize),
}

/// The bytes are not compressed as they were said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Corrupt {
    /// Header, data, length or checksum are wrong.
    Data,
    /// The body ends inside a member.
    CutShort,
    /// More than [`MEMBERS_MAX`].
    TooManyMembers,
    /// A window that is larger than [`WINDOW_BYTES_MAX`], or than the first one.
    Window,
}

impl Decompressor {
    /// For a body that is compressed in this way; `None` for one that is not.
    pub(super) fn of(compression: Compression) -> Option<Self> {
        match compression {
            Compression::Identity => None,
            Compression::Gzip => Some(Self::Zlib(Zlib::gzip())),
            Compression::Deflate => Some(Self::Zlib(Zlib::deflate())),
            Compression::Zstd => Some(Self::Zstd(Zstd::new())),
        }
    }

    /// Takes bytes off `input` and appends what they stand for to `output`, within its capacity.
    pub(super) fn run(
        &mut self,
        input: &mut &[u8],
        output: &mut Vec<u8>,
    ) -> Result<Progress, Corrupt> {
        match self {
            Self::Zlib(zlib) => zlib.run(input, output),
            Self::Zstd(zstd) => zstd.run(input, output),
        }
    }

    /// The body has ended: whether it was whole. An empty body counts as the compressed form of nothing, as some clients send
    /// it.
    pub(super) fn finish(self) -> Result<(), Corrupt> {
        let inside = match self {
            Self::Zlib(zlib) => zlib.is_inside(),
            Self::Zstd(zstd) => zstd.is_inside(),
        };
        if inside {
            Err(Corrupt::CutShort)
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data => f.write_str(
                "the body is not compressed as its encoding says, or its checksum is wrong",
            ),
            Self::CutShort => f.write_str("the body ends before its compressed data does"),
            Self::TooManyMembers => write!(
                f,
                "the body has more than {MEMBERS_MAX} gzip members or zstd frames"
            ),
            Self::Window => write!(
                f,
                "the body's zstd window is larger than {WINDOW_BYTES_MAX} bytes, or grows from frame to frame: compress \
                 it with a smaller one"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{
        Compression as Level,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(plain: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Level::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn bare_deflate(plain: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Level::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    /// As a sender does that does not know how much there will be: with a window, and a checksum.
    fn zstd_stream(plain: &[u8]) -> Vec<u8> {
        let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd_whole(plain: &[u8]) -> Vec<u8> {
        ::zstd::bulk::compress(plain, 3).unwrap()
    }

    /// Undoes it in chunks of `step`, granting `grant` bytes at a time, at most `cap`; `None` when the cap is reached.
    fn undone(
        compression: Compression,
        bytes: &[u8],
        step: usize,
        grant: usize,
        cap: usize,
    ) -> Result<Option<Vec<u8>>, Corrupt> {
        let mut decompressor = Decompressor::of(compression).unwrap();
        let mut output = Vec::new();
        for mut chunk in bytes.chunks(step) {
            loop {
                let before = output.capacity();
                let progress = decompressor.run(&mut chunk, &mut output)?;
                assert_eq!(output.capacity(), before);
                match progress {
                    Progress::InputUsed => break,
                    Progress::WindowNeeded(bytes) => assert!(bytes <= 2 * WINDOW_BYTES_MAX),
                    Progress::RoomNeeded if output.len() == cap => return Ok(None),
                    Progress::RoomNeeded => output.reserve_exact(grant.min(cap - output.len())),
                }
            }
        }
        decompressor.finish()?;
        Ok(Some(output))
    }

    type Compress = fn(&[u8]) -> Vec<u8>;
    /// And whether there is a checksum at the end.
    const WAYS: [(Compression, Compress, bool); 5] = [
        (Compression::Gzip, gzip, true),
        (Compression::Deflate, zlib, true),
        (Compression::Deflate, bare_deflate, false),
        (Compression::Zstd, zstd_stream, true),
        (Compression::Zstd, zstd_whole, false),
    ];

    fn numbers() -> Vec<u8> {
        (0..5000_u32).flat_map(u32::to_le_bytes).collect()
    }

    #[test]
    fn bodies_arrive_in_any_chunks() {
        let plain = numbers();
        for (compression, compress, _) in WAYS {
            let bytes = compress(&plain);
            for (step, grant) in [(1, 1000), (7, 1), (100_000, 100_000), (13, 4096)] {
                let undone = undone(compression, &bytes, step, grant, usize::MAX);
                assert!(
                    undone == Ok(Some(plain.clone())),
                    "{compression:?} {step} {grant}"
                );
            }
            assert_eq!(undone(compression, &[], 1, 1, 1), Ok(Some(vec![])));
        }
    }

    #[test]
    fn members_and_frames_follow_one_another() {
        let plain = numbers();
        let (first, second) = plain.split_at(7001);
        for (compression, compress, _) in WAYS {
            let bytes = [compress(first), compress(second), compress(&[])].concat();
            for step in [1, 100_000] {
                let undone = undone(compression, &bytes, step, 1000, usize::MAX);
                if compression == Compression::Deflate {
                    assert_eq!(undone, Err(Corrupt::Data), "deflate has no members");
                } else {
                    assert!(undone == Ok(Some(plain.clone())), "{compression:?}");
                }
            }
        }
    }

    #[test]
    fn a_bomb_never_writes_past_what_it_is_granted() {
        for (compression, compress, _) in WAYS {
            let bomb = compress(&vec![0; 10_000_000]);
            assert!(bomb.len() < 100_000);
            let undone = undone(compression, &bomb, bomb.len(), 65_536, 1_000_000);
            assert_eq!(undone, Ok(None), "{compression:?}");
        }
    }

    /// As a sender writes it that does not know how much there will be, with a window of so many bytes as a power of two.
    fn zstd_with_window(log: u32, plain: &[u8]) -> Vec<u8> {
        let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(log).unwrap();
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn windows_have_a_limit_and_do_not_grow_beyond_what_was_paid() {
        let plain = numbers();
        let read = |bytes: &[u8]| undone(Compression::Zstd, bytes, 1000, 4096, usize::MAX);
        for (log, taken) in [(10, true), (17, true), (23, true), (24, false)] {
            let expected = if taken {
                Ok(Some(plain.clone()))
            } else {
                Err(Corrupt::Window)
            };
            assert!(read(&zstd_with_window(log, &plain)) == expected, "{log}");
        }
        // Where a frame is one segment, its window is its size.
        let mut compressor = ::zstd::bulk::Compressor::new(1).unwrap();
        let larger = ::zstd::zstd_safe::CParameter::WindowLog(24);
        compressor.set_parameter(larger).unwrap();
        for (bytes, taken) in [(-1, true), (0, true), (1, false)] {
            let plain = vec![0; WINDOW_BYTES_MAX.strict_add_signed(bytes)];
            let undone = read(&compressor.compress(&plain).unwrap());
            assert_eq!(undone == Ok(Some(plain)), taken, "{bytes}");
            assert_eq!(undone == Err(Corrupt::Window), !taken, "{bytes}");
        }
        let (small, large) = (zstd_with_window(18, &plain), zstd_with_window(19, &plain));
        assert!(read(&[&large[..], &small].concat()).is_ok());
        assert_eq!(read(&[&small[..], &large].concat()), Err(Corrupt::Window));
    }

    #[test]
    fn what_is_broken_is_told() {
        let plain = b"a body of some length, so that there is something to break";
        for (compression, compress, has_checksum) in WAYS {
            let good = compress(plain);
            let changed = |at: usize| {
                let mut bytes = good.clone();
                bytes[at] ^= 0xff;
                bytes
            };
            let mut cases = vec![
                (good[..good.len() - 1].to_vec(), Corrupt::CutShort),
                (good[..5].to_vec(), Corrupt::CutShort),
                ([&good[..], b"rubbish"].concat(), Corrupt::Data),
            ];
            if has_checksum {
                cases.push((changed(good.len() - 1), Corrupt::Data));
            }
            if compression != Compression::Deflate {
                cases.push((b"not compressed at all".to_vec(), Corrupt::Data));
                cases.push((changed(0), Corrupt::Data));
                let members = compress(&[]).repeat(MEMBERS_MAX + 1);
                cases.push((members, Corrupt::TooManyMembers));
            }
            for (bytes, corrupt) in cases {
                for step in [1, 100_000] {
                    let undone = undone(compression, &bytes, step, 1000, usize::MAX);
                    assert_eq!(undone, Err(corrupt), "{compression:?} {bytes:?}");
                }
            }
            if compression != Compression::Deflate {
                let members = compress(&[]).repeat(MEMBERS_MAX);
                assert!(undone(compression, &members, 1000, 10, 10).is_ok());
            }
        }
    }
}
