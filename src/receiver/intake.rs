//! A body while it arrives: its bytes in one piece, decompressed, and the permit that pays for them.
//!
//! Invariant: the permit covers the capacity of the buffers at any time, and they never grow because of what was announced
//! beyond the first claim, only because of what has arrived.
//!
//! A buffer that has to grow is copied into a larger one, and stays with the allocator for a while, paid for by nobody. A body
//! that comes as it is pays for that with its sender's bytes. A compressed one would have it for nothing: it fills one buffer
//! after the other, which are put together when it has ended well.

use bytes::Bytes;

use super::{
    decompress::{Compression, Corrupt, Decompressor, Progress},
    room::Room,
};
use crate::{
    budget::Permit,
    request::{Counted, Reason, Refusal},
    wire::Counting,
};

/// What is claimed for an announced length before a byte of it is there, at most, in bytes (design.md, "receiver").
const FIRST_CLAIM_MAX: usize = 1024 * 1024;

/// What is claimed when no length was announced, in bytes: chunked requests of SDKs are smaller.
const UNANNOUNCED_CLAIM: usize = 64 * 1024;

/// Compression makes Milvus' requests five to twelve times smaller, so the first claim for a compressed body is this many times its
/// length: growing copies the body, and into pages that nobody has touched.
const COMPRESSION_RATIO: usize = 10;

/// A body whose room is full gets so many times as much. What a buffer outgrew is a third of the new one in all, where doubling
/// would leave as much as the new one has.
const GROWTH_FACTOR: usize = 4;

/// The least and the most that a compressed body gets at once beyond its first buffer, in bytes. Buffers of one size are what
/// the allocator uses again.
const NEXT_BUFFER_MIN: usize = 4 * 1024;
const NEXT_BUFFER_MAX: usize = FIRST_CLAIM_MAX;

/// A body that arrives.
#[derive(Debug)]
pub(super) struct Intake<'a> {
    room: &'a Room,
    permit: Permit,
    bytes: Vec<u8>,
    /// The buffers before `bytes`, all full. None where it comes as it is.
    before: Vec<Vec<u8>>,
    /// The bytes in them.
    before_bytes: usize,
    /// None where it comes as it is.
    decompressor: Option<Box<Decompressor>>,
    /// The buffers never need more than this.
    capacity_max: usize,
    /// Bytes as sent.
    arrived: usize,
    /// Counts what the first buffer holds, in case it is a message.
    counting: Counting,
}

/// A body that is whole, and what pays for it.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) bytes: Bytes,
    pub(super) permit: Permit,
    /// Has seen the beginning of `bytes`.
    counting: Counting,
}

impl<'a> Intake<'a> {
    /// Makes room for the beginning of a body of which `announced` bytes are said to come.
    pub(super) async fn open(
        room: &'a Room,
        announced: Option<usize>,
        compression: Compression,
    ) -> Result<Self, Refusal> {
        let request_bytes_max = room.request_bytes_max;
        let likely = announced.unwrap_or(UNANNOUNCED_CLAIM);
        let (expected, capacity_max) = match compression {
            Compression::Identity => (likely, announced.unwrap_or(request_bytes_max)),
            // One byte over the limit tells a body that is too large from one that has just the size.
            Compression::Gzip | Compression::Deflate | Compression::Zstd => (
                likely.saturating_mul(COMPRESSION_RATIO),
                request_bytes_max.saturating_add(1),
            ),
        };
        let first = expected.min(FIRST_CLAIM_MAX).min(request_bytes_max);
        let permit = room.claim(first + compression.state_bytes()).await?;
        Ok(Self {
            room,
            permit,
            bytes: Vec::with_capacity(first),
            before: Vec::new(),
            before_bytes: 0,
            decompressor: Decompressor::of(compression).map(Box::new),
            capacity_max,
            arrived: 0,
            counting: Counting::default(),
        })
    }

    /// Takes what has arrived.
    pub(super) async fn push(&mut self, chunk: &[u8]) -> Result<(), Refusal> {
        self.arrived += chunk.len();
        if self.arrived > self.room.request_bytes_max {
            return Err(self.room.too_large("as sent"));
        }
        if self.decompressor.is_some() {
            self.decompress(chunk).await?;
        } else {
            self.reserve(self.arrived).await?;
            self.bytes.extend_from_slice(chunk);
        }
        if self.before.is_empty() {
            // Now, while they are in the processor's caches.
            self.counting.advance(&self.bytes);
        }
        Ok(())
    }

    /// The body has ended.
    pub(super) fn finish(self) -> Result<Whole, Refusal> {
        let Self {
            mut permit,
            mut bytes,
            before,
            before_bytes,
            decompressor,
            counting,
            ..
        } = self;
        if let Some(decompressor) = decompressor {
            decompressor.finish().map_err(corrupt)?;
        }
        if !before.is_empty() {
            // The permit has no room for both, so each is gone as soon as it is copied.
            let mut whole = Vec::with_capacity(before_bytes + bytes.len());
            for buffer in before.into_iter().chain([bytes]) {
                whole.extend_from_slice(&buffer);
            }
            bytes = whole;
        }
        // What was reserved in vain is not worth a copy, unless it would be pinned for as long as the request is queued.
        if bytes.len() < bytes.capacity() / 2 {
            bytes.shrink_to_fit();
        }
        permit.shrink_to(bytes.capacity());
        Ok(Whole {
            bytes: bytes.into(),
            permit,
            counting,
        })
    }

    /// Checks the invariant, where bytes are made up to break it: the buffers are paid for, and what undoing the compression holds.
    #[cfg(any(test, fuzzing))]
    pub(super) fn assert_paid(&self, compression: Compression) {
        let before: usize = self.before.iter().map(Vec::capacity).sum();
        let held = before + self.bytes.capacity() + compression.state_bytes();
        assert!(self.permit.bytes() >= held, "{:?} < {held}", self.permit);
    }

    async fn decompress(&mut self, mut chunk: &[u8]) -> Result<(), Refusal> {
        while let Some(decompressor) = &mut self.decompressor {
            let progress = decompressor
                .run(&mut chunk, &mut self.bytes)
                .map_err(corrupt)?;
            if self.before_bytes + self.bytes.len() > self.room.request_bytes_max {
                return Err(self.room.too_large("after decompression"));
            }
            match progress {
                Progress::InputUsed => break,
                Progress::RoomNeeded => self.begin_buffer().await?,
                Progress::WindowNeeded(bytes) => self.room.grow(&mut self.permit, bytes).await?,
            }
        }
        Ok(())
    }

    /// Goes on in another buffer, which makes the room [`GROWTH_FACTOR`] times as large as long as that is not too much at once.
    async fn begin_buffer(&mut self) -> Result<(), Refusal> {
        let full = self.before_bytes + self.bytes.len();
        let next = full
            .saturating_mul(GROWTH_FACTOR - 1)
            .clamp(NEXT_BUFFER_MIN, NEXT_BUFFER_MAX)
            .min(self.capacity_max - full);
        self.room.grow(&mut self.permit, next).await?;
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(next));
        self.before.push(bytes);
        self.before_bytes = full;
        Ok(())
    }

    /// Makes the buffer hold `needed` bytes in all; where it has to grow, it grows by [`GROWTH_FACTOR`], as far as it may need.
    async fn reserve(&mut self, needed: usize) -> Result<(), Refusal> {
        let capacity = self.bytes.capacity();
        if needed <= capacity {
            return Ok(());
        }
        let wanted = capacity
            .saturating_mul(GROWTH_FACTOR)
            .min(self.capacity_max)
            .max(needed);
        self.room.grow(&mut self.permit, wanted - capacity).await?;
        self.bytes.reserve_exact(wanted - self.bytes.len());
        Ok(())
    }
}

impl Whole {
    /// A body that did not arrive as it is.
    pub(super) fn made(bytes: Bytes, permit: Permit) -> Self {
        Self {
            bytes,
            permit,
            counting: Counting::default(),
        }
    }

    /// Its spans, if it is a message.
    pub(super) fn counted(self) -> Result<Counted, Refusal> {
        Counted::counted_on(self.counting, self.bytes, self.permit)
    }
}

fn corrupt(corrupt: Corrupt) -> Refusal {
    Refusal::new(Reason::Malformed, corrupt.to_string())
}

#[cfg(test)]
mod tests {
    use std::{io::Write, time::Duration};

    use flate2::write::GzEncoder;
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        budget::{Budget, Use},
        receiver::tests::spans,
        wire,
    };

    const MAX: usize = 8 * FIRST_CLAIM_MAX;

    fn room() -> Room {
        Room {
            budget: Budget::new(4 * MAX, MAX),
            request_bytes_max: MAX,
            deadline: Instant::now(),
            wait: Duration::ZERO,
            stop: CancellationToken::new(),
        }
    }

    /// Takes `body` in chunks and checks at each that what is held is paid for; returns what is held at most and at the end.
    async fn take(
        body: &[u8],
        announced: Option<usize>,
        compression: Compression,
    ) -> Result<(usize, usize), Reason> {
        let room = room();
        let mut held_max = 0;
        let taking = async {
            let mut intake = Intake::open(&room, announced, compression).await?;
            for chunk in body.chunks(16 * 1024) {
                intake.push(chunk).await?;
                intake.assert_paid(compression);
                held_max = held_max.max(room.budget.used(Use::Bodies));
            }
            intake.finish()
        };
        let whole = taking.await.map_err(|refusal| refusal.reason)?;
        assert_eq!(room.budget.used(Use::Bodies), whole.permit.bytes());
        Ok((held_max, whole.permit.bytes()))
    }

    #[tokio::test]
    async fn an_announced_body_is_held_once_and_paid_to_the_byte() {
        for bytes in [
            0,
            1,
            1000,
            FIRST_CLAIM_MAX,
            FIRST_CLAIM_MAX + 1,
            4_408_832,
            MAX,
        ] {
            let body = vec![7; bytes];
            let held = take(&body, Some(bytes), Compression::Identity).await;
            assert_eq!(held, Ok((bytes, bytes)), "{bytes}");
        }
    }

    #[tokio::test]
    async fn an_announcement_alone_claims_no_more_than_the_first_claim() {
        let room = room();
        let intake = Intake::open(&room, Some(MAX), Compression::Identity)
            .await
            .unwrap();
        assert_eq!(room.budget.used_total(), FIRST_CLAIM_MAX);
        assert_eq!(intake.bytes.capacity(), FIRST_CLAIM_MAX);
    }

    #[tokio::test]
    async fn a_body_without_announcement_is_held_four_times_at_most() {
        for bytes in [1, UNANNOUNCED_CLAIM, UNANNOUNCED_CLAIM + 1, 3_000_000, MAX] {
            let (held_max, held) = take(&vec![7; bytes], None, Compression::Identity)
                .await
                .unwrap();
            assert!(
                held_max <= (GROWTH_FACTOR * bytes).max(UNANNOUNCED_CLAIM),
                "{bytes}: {held_max}"
            );
            assert!((bytes..=2 * bytes).contains(&held), "{bytes}: {held}");
        }
        let over = take(&vec![7; MAX + 1], None, Compression::Identity).await;
        assert_eq!(over, Err(Reason::TooLarge));
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    /// A message of so many bytes or a little more.
    fn message(bytes: usize) -> Vec<u8> {
        let mut message = Vec::new();
        for count in 1.. {
            message.extend(spans(count));
            if message.len() >= bytes {
                break;
            }
        }
        message
    }

    #[tokio::test]
    async fn a_compressed_body_is_whole_and_counted_whatever_buffers_it_took() {
        for bytes in [
            1,
            400_000,
            FIRST_CLAIM_MAX,
            3 * FIRST_CLAIM_MAX,
            MAX - 100_000,
        ] {
            let plain = message(bytes);
            let sent = gzip(&plain);
            // Announced as it is, as nothing, and not at all.
            for announced in [Some(sent.len()), Some(0), None] {
                let room = room();
                let intake = Intake::open(&room, announced, Compression::Gzip);
                let mut intake = intake.await.unwrap();
                for chunk in sent.chunks(16 * 1024) {
                    intake.push(chunk).await.unwrap();
                    intake.assert_paid(Compression::Gzip);
                }
                let whole = intake.finish().unwrap();
                assert!(whole.bytes == plain, "{bytes} {announced:?}");
                assert!(
                    (plain.len()..=2 * plain.len() + UNANNOUNCED_CLAIM)
                        .contains(&whole.permit.bytes())
                );
                let expected = wire::count(&plain).unwrap().spans as u64;
                assert_eq!(whole.counted().unwrap().spans(), expected);
            }
        }
    }

    #[tokio::test]
    async fn a_bomb_is_held_up_to_the_limit() {
        for (bytes, taken) in [(MAX, true), (MAX + 1, false), (64 * MAX, false)] {
            let bomb = gzip(&vec![0; bytes]);
            let held = take(&bomb, Some(bomb.len()), Compression::Gzip).await;
            assert_eq!(held.is_ok(), taken, "{bytes}");
            if let Ok((held_max, _)) = held {
                let state_bytes = Compression::Gzip.state_bytes();
                assert!(held_max <= MAX + 1 + state_bytes, "{held_max}");
            }
        }
    }
}
