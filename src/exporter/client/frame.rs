//! The body of a request: the message's segments as they are, or compressed, after a gRPC prefix where there is one.
//!
//! Large segments are sent without copying them; small ones are gathered, because each chunk costs a frame.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io::Write,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{BufMut, Bytes, BytesMut};
use flate2::write::GzEncoder;
use http_body::{Body, Frame, SizeHint};

use crate::exporter::{Compression, Protocol};

/// The prefix of a gRPC message: one byte says whether it is compressed, four its length.
pub(super) const PREFIX_BYTES: usize = 5;
/// Smaller segments are copied into one chunk with their neighbours. Below it a copy costs less than a frame, by eye.
const GATHER_BYTES_BELOW: usize = 4 * 1024;
/// A gathered chunk ends at this size, in bytes: HTTP/2's usual frame.
const GATHERED_BYTES_MAX: usize = 16 * 1024;
/// gzip's fastest level: spans shrink to a tenth by it, and the next levels cost twice the time for a twentieth.
const GZIP_LEVEL: u32 = 1;
/// zstd's fastest usual level.
const ZSTD_LEVEL: i32 = 1;

/// A body of known length.
#[derive(Debug)]
pub(super) struct Chunks {
    chunks: VecDeque<Bytes>,
    bytes: u64,
}

/// The body that carries a message.
pub(super) fn body(protocol: Protocol, compression: Compression, segments: &[Bytes]) -> Chunks {
    let prefix_bytes = match protocol {
        Protocol::Grpc => PREFIX_BYTES,
        Protocol::Http => 0,
    };
    match compression {
        Compression::None => Chunks::gather(prefix_bytes, segments),
        Compression::Gzip => Chunks::compressed(prefix_bytes, |out| gzip(segments, out)),
        Compression::Zstd => Chunks::compressed(prefix_bytes, |out| zstd(segments, out)),
    }
}

impl Chunks {
    fn gather(prefix_bytes: usize, segments: &[Bytes]) -> Self {
        let message_bytes: usize = segments.iter().map(Bytes::len).sum();
        let mut bytes_left = message_bytes;
        let mut small = BytesMut::new();
        let mut chunks = VecDeque::new();
        if prefix_bytes > 0 {
            small.put_slice(&prefix(0, message_bytes));
        }
        for segment in segments {
            let gathers = segment.len() < GATHER_BYTES_BELOW;
            if !gathers || small.len() + segment.len() > GATHERED_BYTES_MAX {
                chunks.extend((!small.is_empty()).then(|| small.split().freeze()));
            }
            if gathers {
                if small.capacity() < small.len() + segment.len() {
                    small.reserve(bytes_left.min(GATHERED_BYTES_MAX));
                }
                small.put_slice(segment);
            } else {
                chunks.push_back(segment.clone());
            }
            bytes_left -= segment.len();
        }
        chunks.extend((!small.is_empty()).then(|| small.freeze()));
        Self::of(chunks)
    }

    fn compressed(prefix_bytes: usize, compress: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Self {
        let mut whole = compress(vec![0; prefix_bytes]);
        if prefix_bytes > 0 {
            let prefix = prefix(1, whole.len() - prefix_bytes);
            whole[..prefix_bytes].copy_from_slice(&prefix);
        }
        Self::of([Bytes::from(whole)].into())
    }

    fn of(chunks: VecDeque<Bytes>) -> Self {
        let bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        Self { chunks, bytes }
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = self.chunks.pop_front();
        self.bytes -= chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes)
    }
}

fn prefix(compressed: u8, message_bytes: usize) -> [u8; PREFIX_BYTES] {
    let length = u32::try_from(message_bytes).expect("messages are bounded far below 4 GiB");
    let [a, b, c, d] = length.to_be_bytes();
    [compressed, a, b, c, d]
}

fn gzip(segments: &[Bytes], out: Vec<u8>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(out, flate2::Compression::new(GZIP_LEVEL));
    write_all(&mut encoder, segments);
    encoder.finish().expect("writing to memory does not fail")
}

fn zstd(segments: &[Bytes], out: Vec<u8>) -> Vec<u8> {
    let mut encoder =
        zstd::stream::write::Encoder::new(out, ZSTD_LEVEL).expect("the level is one that exists");
    write_all(&mut encoder, segments);
    encoder.finish().expect("writing to memory does not fail")
}

fn write_all(encoder: &mut impl Write, segments: &[Bytes]) {
    for segment in segments {
        encoder
            .write_all(segment)
            .expect("writing to memory does not fail");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn segments(sizes: &[usize]) -> Vec<Bytes> {
        let fill = |(index, &size): (usize, &usize)| {
            Bytes::from(vec![u8::try_from(index % 250).unwrap(); size])
        };
        sizes.iter().enumerate().map(fill).collect()
    }

    fn whole(chunks: &Chunks) -> Vec<u8> {
        let whole = chunks.chunks.iter().flatten().copied().collect::<Vec<_>>();
        assert_eq!(chunks.size_hint().exact(), Some(whole.len() as u64));
        whole
    }

    #[test]
    fn large_segments_are_shared_and_small_ones_gathered() {
        let segments = segments(&[10, 20, 5_000, 30, 6_000, 40, 50]);
        let chunks = body(Protocol::Grpc, Compression::None, &segments);
        let sizes: Vec<_> = chunks.chunks.iter().map(Bytes::len).collect();
        assert_eq!(sizes, [PREFIX_BYTES + 30, 5_000, 30, 6_000, 90]);
        assert_eq!(chunks.chunks[1].as_ptr(), segments[2].as_ptr());
        let whole = whole(&chunks);
        assert_eq!(whole[..PREFIX_BYTES], [0, 0, 0, 0x2b, 0x8e]);
        assert_eq!(whole[PREFIX_BYTES..], segments.concat());
    }

    #[test]
    fn many_small_segments_are_few_chunks() {
        for (segments, expected) in [
            (segments(&[100; 1000]), 7),
            (segments(&[4_000; 10]), 3),
            (segments(&[4_000, 4_000, 4_000, 4_000, 385]), 2),
            (segments(&[4_000, 4_000, 4_000, 4_000, 384]), 1),
        ] {
            let chunks = body(Protocol::Http, Compression::None, &segments);
            assert_eq!(chunks.chunks.len(), expected);
            let fits = |chunk: &Bytes| chunk.len() <= GATHERED_BYTES_MAX;
            assert!(chunks.chunks.iter().all(fits), "a frame holds a chunk");
            assert_eq!(whole(&chunks), segments.concat());
        }
    }

    #[test]
    fn an_empty_message_still_has_its_prefix() {
        let chunks = body(Protocol::Grpc, Compression::None, &[]);
        assert_eq!(whole(&chunks), [0; PREFIX_BYTES]);
        let chunks = body(Protocol::Http, Compression::None, &[]);
        assert!(chunks.is_end_stream());
    }

    #[test]
    fn compressed_messages_are_read_back() {
        let segments = segments(&[10, 5_000, 30]);
        for compression in [Compression::Gzip, Compression::Zstd] {
            let framed = whole(&body(Protocol::Grpc, compression, &segments));
            let plain = whole(&body(Protocol::Http, compression, &segments));
            assert_eq!(framed[PREFIX_BYTES..], plain);
            assert_eq!(framed[0], 1);
            let length = u32::from_be_bytes(framed[1..PREFIX_BYTES].try_into().unwrap());
            assert_eq!(length as usize, plain.len());
            let mut read = Vec::new();
            match compression {
                Compression::Gzip => flate2::read::GzDecoder::new(&plain[..])
                    .read_to_end(&mut read)
                    .unwrap(),
                _ => zstd::stream::read::Decoder::new(&plain[..])
                    .unwrap()
                    .read_to_end(&mut read)
                    .unwrap(),
            };
            assert_eq!(read, segments.concat());
        }
    }
}
