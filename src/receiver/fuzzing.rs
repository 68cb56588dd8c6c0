//! A call's frame and its decompression against any bytes: what one chunking makes of them every chunking does, what the decoders'
//! own readers make of them too, and nothing is held that is not paid for.
//!
//! The function is the body of the fuzz target `grpc_frames`, and its twin below runs it over the seeds. It stands here because
//! the parts are this room's own, and no other room should be tempted to use them.

use std::{io::Read, time::Duration};

use bytes::Bytes;
use tokio::{runtime::Runtime, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    decompress::Compression,
    frame::{FrameReader, PREFIX_BYTES, Part},
    intake::{Intake, Whole},
    room::Room,
};
use crate::{
    budget::{Budget, Use},
    request::{Reason, Refusal},
};

/// The largest body, in bytes: small, so that small inputs exceed it.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// A decompressor's tables, its largest window and its blocks, and the first claim, in bytes, rounded up.
const HELD_BYTES_MAX: usize = 10 << 20;

/// Takes any bytes as the frame of a call, and as a body that is compressed in any way.
pub fn fuzz_body(bytes: &[u8]) {
    thread_local! {
        static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime without I/O needs nothing");
    }
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let message = bytes.get(PREFIX_BYTES..).unwrap_or_default();
            check_framed(bytes, compression_of(message)).await;
            check_unframed(bytes, Compression::Identity).await;
            check_unframed(bytes, compression_of(bytes)).await;
        });
    });
}

/// The compression whose bytes begin like this. The others refuse them at once.
fn compression_of(bytes: &[u8]) -> Compression {
    match bytes.first() {
        Some(0x1f) => Compression::Gzip,
        Some(0x28 | 0x50..=0x5f) => Compression::Zstd,
        _ => Compression::Deflate,
    }
}

/// The bytes of a chunk: all at once, and in parts.
fn steps(bytes: &[u8]) -> [usize; 2] {
    [bytes.len().max(1), 1 + bytes.len() % 61]
}

async fn check_framed(bytes: &[u8], compression: Compression) {
    let [all, part] = steps(bytes);
    let whole = paid(async |room| framed(room, bytes, all, compression).await).await;
    let in_parts = paid(async |room| framed(room, bytes, part, compression).await).await;
    assert_eq!(whole, in_parts, "{compression:?}");
}

async fn check_unframed(bytes: &[u8], compression: Compression) {
    let [all, part] = steps(bytes);
    let whole = paid(async |room| unframed(room, bytes, all, compression).await).await;
    let in_parts = paid(async |room| unframed(room, bytes, part, compression).await).await;
    assert_eq!(whole, in_parts, "{compression:?}");
    if let (Ok((ours, _)), Some(theirs)) = (whole, by_another_reader(bytes, compression)) {
        assert_eq!(ours, theirs, "{compression:?}");
    }
}

/// What is collected, and the spans in it if it is a message; what it takes is paid for, and comes back.
async fn paid(
    collect: impl AsyncFnOnce(&Room) -> Result<Whole, Refusal>,
) -> Result<(Bytes, Option<u64>), Reason> {
    let room = Room {
        budget: Budget::new(4 * HELD_BYTES_MAX, HELD_BYTES_MAX),
        request_bytes_max: BODY_BYTES_MAX,
        deadline: Instant::now(),
        wait: Duration::ZERO,
        stop: CancellationToken::new(),
    };
    let collected = collect(&room).await;
    let bytes = collected.map(|whole| {
        assert!(whole.bytes.len() <= BODY_BYTES_MAX);
        assert!(whole.bytes.len() <= whole.permit.bytes());
        assert_eq!(room.budget.used(Use::Bodies), whole.permit.bytes());
        let bytes = whole.bytes.clone();
        let counted = whole.counted();
        (bytes, counted.ok().map(|counted| counted.spans()))
    });
    assert_eq!(room.budget.used_total(), 0, "all bytes came back");
    bytes.map_err(|refusal| refusal.reason)
}

/// The one message of a call, as [`super::grpc::collect`] takes it off a connection.
async fn framed(
    room: &Room,
    bytes: &[u8],
    step: usize,
    compression: Compression,
) -> Result<Whole, Refusal> {
    let mut frames = FrameReader::new(room.request_bytes_max);
    let mut open = None;
    for chunk in bytes.chunks(step) {
        let mut chunk = Bytes::copy_from_slice(chunk);
        while let Some(part) = frames.read(&mut chunk)? {
            match part {
                Part::Prefix(prefix) => {
                    let compression = if prefix.compressed {
                        compression
                    } else {
                        Compression::Identity
                    };
                    let intake = Intake::open(room, Some(prefix.length), compression).await?;
                    open = Some((intake, compression));
                }
                Part::Payload(bytes) => {
                    let (intake, compression) =
                        open.as_mut().expect("a payload comes after its prefix");
                    push(intake, &bytes, room, *compression).await?;
                }
            }
        }
    }
    frames.finish()?;
    let (intake, _) = open.expect("a whole frame has a prefix");
    intake.finish()
}

/// A body without a frame, whose length nobody announced.
async fn unframed(
    room: &Room,
    bytes: &[u8],
    step: usize,
    compression: Compression,
) -> Result<Whole, Refusal> {
    let mut intake = Intake::open(room, None, compression).await?;
    for chunk in bytes.chunks(step) {
        push(&mut intake, chunk, room, compression).await?;
    }
    intake.finish()
}

async fn push(
    intake: &mut Intake<'_>,
    chunk: &[u8],
    room: &Room,
    compression: Compression,
) -> Result<(), Refusal> {
    intake.push(chunk).await?;
    intake.assert_paid(compression);
    assert!(room.budget.used_total() <= HELD_BYTES_MAX);
    Ok(())
}

/// The same by the libraries' readers of whole bodies; `None` for what they cannot read.
fn by_another_reader(bytes: &[u8], compression: Compression) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    let bound = BODY_BYTES_MAX as u64 + 1;
    let read = match compression {
        Compression::Identity => bytes.take(bound).read_to_end(&mut whole),
        Compression::Gzip => flate2::read::MultiGzDecoder::new(bytes)
            .take(bound)
            .read_to_end(&mut whole),
        Compression::Deflate => flate2::read::ZlibDecoder::new(bytes)
            .take(bound)
            .read_to_end(&mut whole),
        Compression::Zstd => zstd::stream::read::Decoder::new(bytes)
            .ok()?
            .take(bound)
            .read_to_end(&mut whole),
    };
    read.ok().map(|_| whole)
}

#[cfg(test)]
mod tests {
    use crate::seeds;

    #[test]
    fn frames_and_bodies_of_the_seeds_and_their_mutations() {
        seeds::for_each("grpc_frames", &[], super::fuzz_body);
    }
}
