//! What one destination holds of a payload, until it is settled.
//!
//! It decides nothing. Invariant: every span of a parcel is booked once, and its room in the queue is given back with the
//! last piece of it.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Name,
    account::{Common, Entry, Place},
    queues::Shared,
};
use crate::{
    metrics::{Fate, Loss},
    wire::Piece,
};

/// What one destination holds of a payload: all of it, or a piece of a split one. It ends with [`Parcel::settle`]; one that
/// is dropped without is booked as lost by a fault of the relay, and a debug build panics.
pub struct Parcel {
    /// Together a valid sequence of `ResourceSpans` fields.
    pub segments: Vec<Bytes>,
    /// The spans in it that are not settled.
    pub spans: u64,
    /// The bytes of the segments.
    pub bytes: usize,
    room: Arc<Room>,
}

/// What a payload takes of one queue, given back on drop.
pub(super) struct Room {
    pub(super) shared: Arc<Shared>,
    pub(super) destination: Name,
    common: Arc<Common>,
    /// Until it is given back.
    place: Option<Place>,
}

impl Parcel {
    /// All of a payload.
    pub(super) fn whole(entry: Entry, shared: Arc<Shared>, destination: Name) -> Self {
        let Entry {
            segments,
            bytes,
            common,
            place,
        } = entry;
        Self {
            segments,
            spans: place.spans,
            bytes,
            room: Arc::new(Room {
                shared,
                destination,
                common,
                place: Some(place),
            }),
        }
    }

    /// When its request was accepted.
    pub fn accepted_at(&self) -> Instant {
        self.room.common.accepted_at
    }

    /// Under which number the trace store keeps a sample of it.
    pub fn sample(&self) -> Option<u64> {
        self.room.common.sample
    }

    /// Books what became of its spans.
    pub fn settle(mut self, fate: Fate) {
        self.settle_part(fate, self.spans);
    }

    /// Books what became of all spans of one destination's parcels in one go, and gives back their room likewise.
    pub fn settle_all(parcels: Vec<Self>, fate: Fate) {
        let mut spans = 0;
        let take_room = |mut parcel: Self| {
            spans += std::mem::take(&mut parcel.spans);
            Arc::clone(&parcel.room)
        };
        let rooms: Vec<_> = parcels.into_iter().map(take_room).collect();
        let Some(first) = rooms.first() else {
            return;
        };
        let shared = Arc::clone(&first.shared);
        shared.ledger.settle(&first.destination, fate, spans);
        // Of a payload that was cut, other pieces may hold the room still.
        let mut rooms: Vec<_> = rooms.into_iter().filter_map(Arc::into_inner).collect();
        shared.release(rooms.iter_mut().filter_map(|room| room.place.take()));
    }

    /// Books what became of `spans` of its spans; the others stay, so the caller takes these out of its segments or
    /// settles the rest next.
    pub fn settle_part(&mut self, fate: Fate, spans: u64) {
        let spans = spans.min(self.spans);
        self.spans -= spans;
        self.room
            .shared
            .ledger
            .settle(&self.room.destination, fate, spans);
    }

    /// Exchanges its segments for others that hold the same spans.
    pub fn replace(&mut self, segments: Vec<Bytes>) {
        self.bytes = segments.iter().map(Bytes::len).sum();
        self.segments = segments;
    }

    /// Cuts it into `pieces`. Spans that are in none of them are lost as too large; how many that are is returned.
    pub fn cut(mut self, pieces: Vec<Piece>) -> (Vec<Self>, u64) {
        let kept = pieces.iter().map(|piece| piece.spans).sum::<u64>();
        debug_assert!(kept <= self.spans, "a cut adds no span");
        let too_large = self.spans - kept;
        self.settle_part(Fate::Lost(Loss::TooLarge), too_large);
        self.spans = 0;
        let pieces = pieces.into_iter().map(|piece| Self {
            segments: piece.segments,
            spans: piece.spans,
            bytes: piece.bytes,
            room: Arc::clone(&self.room),
        });
        (pieces.collect(), too_large)
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        if self.spans == 0 {
            return;
        }
        let spans = self.spans;
        self.settle_part(Fate::Lost(Loss::Internal), spans);
        tracing::error!(destination = %self.room.destination, spans, "spans were dropped without a fate");
        debug_assert!(
            std::thread::panicking(),
            "a parcel of {spans} spans was dropped without a fate"
        );
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.shared.release([place]);
        }
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel")
            .field("destination", &self.room.destination)
            .field("spans", &self.spans)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
