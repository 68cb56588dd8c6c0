//! The embedded trace store: the newest traces as they passed, with what was decided about them and what each destination
//! answered.
//!
//! It never slows the way: the hot path hashes trace ids, copies what is admitted, and hands it over without waiting; what
//! does not fit is counted. Invariant: samples on their way and the shelf together stay within [`Options::bytes_max`].

mod destination;
mod fraction;
mod keeper;
mod readable;
mod sample;
mod shelf;
#[cfg(test)]
mod tests;
mod time;
mod trace;

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

use bytes::{Bytes, BytesMut};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

pub use destination::{DESTINATION, Destination};
pub use keeper::Keeper;
pub use readable::{SpanDocument, Summary, TraceDocument, parse_trace_id};
pub use trace::TraceId;

use crate::{
    metrics::{PolicyCounters, StoreLevel},
    otlp::TRACE_ID_BYTES,
    request::Request,
    sampling::Decision,
};
use fraction::Fraction;
use keeper::Event;
use sample::{Admitted, Room, Sample, SampleId, rank};
use shelf::Shelf;
use trace::Answer;

/// Events on their way to the keeper at most; the bytes of samples are bounded apart from that. Chosen by eye.
const EVENTS_MAX: usize = 1024;
/// The part of the store's bytes that samples on their way may take.
const ROOM_SHARE: usize = 4;
/// An answer is cut to this many bytes.
const ANSWER_BYTES_MAX: usize = 256;
/// Summaries that are given at once at most.
pub const SUMMARIES_MAX: usize = 500;

/// What the store is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The bytes it holds at most; 0 turns it off.
    pub bytes_max: usize,
}

/// The store, as the stages see it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
}

/// What the stages, the readers and the keeper share.
#[derive(Debug)]
struct Shared {
    /// A trace is admitted when its rank is at most this; only while the store is on.
    threshold: AtomicU64,
    room: Arc<Room>,
    next_sample: AtomicU64,
    /// Spans that were admitted and did not fit.
    skipped_spans: AtomicU64,
    /// Their bytes since the last tick.
    skipped_bytes: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bytes_max: usize,
    fraction: Fraction,
    shelf: Shelf,
}

impl Store {
    /// An empty store, and the task that somebody has to run for it.
    pub fn new(options: Options) -> (Self, Keeper) {
        let (events, received) = mpsc::channel(EVENTS_MAX);
        let shelf_bytes_max = options.shelf_bytes_max();
        let fraction = Fraction::new(shelf_bytes_max);
        let shared = Arc::new(Shared {
            threshold: AtomicU64::new(0),
            room: Arc::new(Room::default()),
            next_sample: AtomicU64::new(1),
            skipped_spans: AtomicU64::new(0),
            skipped_bytes: AtomicU64::new(0),
            state: Mutex::new(State {
                bytes_max: options.bytes_max,
                shelf: Shelf::new(shelf_bytes_max, fraction.threshold()),
                fraction,
            }),
        });
        let store = Self {
            shared: Arc::clone(&shared),
            events,
        };
        store.resize(options);
        let keeper = Keeper {
            shared,
            events: received,
        };
        (store, keeper)
    }

    /// Changes the bytes it holds at most; the oldest traces go where there is no room any more.
    pub fn resize(&self, options: Options) {
        let mut state = self.shared.lock();
        let shelf_bytes_max = options.shelf_bytes_max();
        state.bytes_max = options.bytes_max;
        state.fraction.resize(shelf_bytes_max);
        state.shelf.resize(shelf_bytes_max);
        let room = options.bytes_max - shelf_bytes_max;
        self.shared.room.bytes_max.store(room, Ordering::Relaxed);
        self.shared.publish(&state);
    }

    /// Whether it keeps anything at all.
    pub fn is_on(&self) -> bool {
        self.shared.threshold() > 0
    }

    /// Whether it keeps this trace at present: a hash and a comparison.
    #[inline]
    pub fn admits(&self, trace_id: &[u8; TRACE_ID_BYTES]) -> bool {
        let threshold = self.shared.threshold();
        threshold > 0 && rank(trace_id) <= threshold
    }

    /// Records a request as it passed: `decisions` are those about the spans of its index, in their order, by `policies`.
    /// Copies the admitted spans and never waits. The number that comes back belongs into the payload's `sample`; `None`
    /// when the store keeps nothing of it. To be called before the request goes to the queues, so that what is delivered
    /// finds what passed.
    pub fn record(
        &self,
        request: &Request,
        decisions: &[Decision],
        policies: &PolicyCounters,
    ) -> Option<u64> {
        let shared = &self.shared;
        let threshold = shared.threshold();
        if threshold == 0 {
            return None;
        }
        let admitted = Admitted::of(request, threshold);
        if admitted.spans == 0 {
            return None;
        }
        let claim = shared.room.claim(admitted.sample_bytes());
        let (Ok(place), 1..) = (self.events.try_reserve(), claim.bytes) else {
            shared.skip(admitted.spans, admitted.bytes);
            return None;
        };
        let id = SampleId(shared.next_sample.fetch_add(1, Ordering::Relaxed));
        let sample = Sample::of(id, request, decisions, policies, admitted, claim);
        let (copied, bytes) = (sample.spans.len(), sample.bytes());
        shared.skip(
            admitted.spans - copied,
            admitted.bytes.saturating_sub(bytes),
        );
        if copied == 0 {
            return None;
        }
        place.send(Event::Passed(sample));
        Some(id.0)
    }

    /// Notes what a destination answered for the requests that [`Store::record`] gave these numbers; as everything here
    /// without waiting.
    pub fn answered(&self, samples: Box<[u64]>, destination: &Arc<str>, answer: &str) {
        let end = answer.floor_char_boundary(ANSWER_BYTES_MAX);
        let answer = Answer {
            destination: Arc::clone(destination),
            text: answer[..end].into(),
        };
        // An answer that finds no place is not shown: there is nobody to wait for it.
        self.events.try_send(Event::Answered(samples, answer)).ok();
    }

    /// Takes a message as a destination does: an `ExportTraceServiceRequest` that a scan has checked, in segments. Returns
    /// when it is on the shelf, as far as it is admitted: what is not, or leaves soon, is no loss.
    pub async fn deliver(&self, segments: &[Bytes]) {
        let (done, taken) = oneshot::channel();
        let event = Event::Delivered(joined(segments), done);
        if self.events.send(event).await.is_ok() {
            // A keeper that ended in between keeps nothing any more, which is no loss either.
            taken.await.ok();
        }
    }

    /// The newest traces, at most `limit` of them, of `service` alone if one is given. The newest first.
    pub fn traces(&self, limit: usize, service: Option<&str>) -> Vec<Summary> {
        let newest: Vec<_> = {
            let state = self.shared.lock();
            state
                .shelf
                .newest()
                .filter(|(_, trace)| {
                    service.is_none_or(|name| trace.services.iter().any(|known| **known == *name))
                })
                .take(limit.min(SUMMARIES_MAX))
                .map(|(id, trace)| (*id, trace.clone()))
                .collect()
        };
        newest
            .iter()
            .map(|(id, trace)| Summary::of(id, trace))
            .collect()
    }

    /// One trace, decoded.
    pub fn trace(&self, id: &TraceId) -> Option<TraceDocument> {
        let (trace, requests) = self.shared.lock().shelf.trace(id)?;
        Some(TraceDocument::of(id, &trace, &requests))
    }

    /// How full it is.
    pub fn level(&self) -> StoreLevel {
        let state = self.shared.lock();
        StoreLevel {
            bytes: state.shelf.bytes() as u64,
            bytes_max: state.bytes_max as u64,
            traces: state.shelf.len() as u64,
            fraction: if state.bytes_max == 0 {
                0.0
            } else {
                state.fraction.share()
            },
            skipped_spans: self.shared.skipped_spans.load(Ordering::Relaxed),
        }
    }
}

impl Options {
    /// What is left for the shelf beside samples on their way.
    fn shelf_bytes_max(self) -> usize {
        self.bytes_max - self.bytes_max / ROOM_SHARE
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code path panics while it holds the shelf")
    }

    fn threshold(&self) -> u64 {
        self.threshold.load(Ordering::Relaxed)
    }

    /// `taken` bytes went on the shelf since the last tick. Returns whether the next tick can wait until more comes.
    fn tick(&self, taken: u64, now: Instant) -> bool {
        let skipped = self.skipped_bytes.swap(0, Ordering::Relaxed);
        let mut state = self.lock();
        state.fraction.tick(taken + skipped);
        if skipped > 0 {
            // As if for a moment nothing had been admitted: any trace that was under way may lack spans.
            state.shelf.admit(0, now);
        }
        let threshold = state.fraction.threshold();
        state.shelf.admit(threshold, now);
        self.publish(&state);
        state.fraction.is_at_rest()
    }

    fn publish(&self, state: &State) {
        let threshold = match state.bytes_max {
            0 => 0,
            _ => state.fraction.threshold(),
        };
        self.threshold.store(threshold, Ordering::Relaxed);
    }

    fn skip(&self, spans: usize, bytes: usize) {
        if spans > 0 {
            self.skipped_spans
                .fetch_add(spans as u64, Ordering::Relaxed);
            self.skipped_bytes
                .fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }
}

/// One message of its segments, without copying a single one.
fn joined(segments: &[Bytes]) -> Bytes {
    if let [segment] = segments {
        return segment.clone();
    }
    let mut joined = BytesMut::with_capacity(segments.iter().map(Bytes::len).sum());
    for segment in segments {
        joined.extend_from_slice(segment);
    }
    joined.freeze()
}
