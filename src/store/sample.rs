//! What the store is handed of one request: the admitted spans, copied into one buffer in one pass.
//!
//! The hot path ends here. Invariant: at most two allocations a request, whatever it holds, and none when no trace of it is
//! admitted.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{
    metrics::PolicyCounters, otlp::TRACE_ID_BYTES, request::Request, sampling::Decision,
    wire::SpanView,
};

/// Unlike the sampler's, so that the store's share of traces does not depend on what sampling kept.
const SEED: u64 = 0x73_74_6f_72_65;

/// A trace's place among all: it is admitted when this is at most the threshold.
#[inline]
pub(super) fn rank(trace_id: &[u8; TRACE_ID_BYTES]) -> u64 {
    xxh3_64_with_seed(trace_id, SEED)
}

/// Names a request in the store, so that a destination's answer finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SampleId(pub(super) u64);

/// The admitted spans of one request.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) id: SampleId,
    pub(super) received_at: SystemTime,
    pub(super) policies: PolicyCounters,
    pub(super) spans: Vec<SampledSpan>,
    /// Resources, scopes and spans; those of a span stand before it.
    bytes: Vec<u8>,
    /// What `spans` and `bytes` take of the room for samples on their way.
    _claim: Claim,
}

/// One span, as ranges of the sample's bytes.
#[derive(Debug)]
pub(super) struct SampledSpan {
    pub(super) trace_id: [u8; TRACE_ID_BYTES],
    pub(super) decision: Decision,
    resource: Range<usize>,
    scope: Range<usize>,
    span: Range<usize>,
}

/// The messages of one span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Messages<'a> {
    pub(super) resource: &'a [u8],
    pub(super) scope: &'a [u8],
    pub(super) span: &'a [u8],
}

/// Room for samples that are on their way, in bytes.
#[derive(Debug, Default)]
pub(super) struct Room {
    used: AtomicUsize,
    pub(super) bytes_max: AtomicUsize,
}

/// A part of the room, returned on drop.
#[derive(Debug)]
pub(super) struct Claim {
    room: Arc<Room>,
    pub(super) bytes: usize,
}

/// What of a request is admitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Admitted {
    threshold: u64,
    pub(super) spans: usize,
    pub(super) bytes: usize,
}

/// Copies spans, and before the first of each the resource and the scope it needs, as far as its buffers reach.
struct Copier<'a> {
    bytes: Vec<u8>,
    spans: Vec<SampledSpan>,
    resource: Part<'a>,
    scope: Part<'a>,
}

/// A resource or a scope, and where its copy is once a span needed one.
#[derive(Clone, Default)]
struct Part<'a> {
    message: &'a [u8],
    copy: Option<Range<usize>>,
}

impl Admitted {
    /// The spans of `request` whose rank is at most `threshold`, with the resources and scopes they need.
    pub(super) fn of(request: &Request, threshold: u64) -> Self {
        let mut admitted = Self {
            threshold,
            ..Self::default()
        };
        for resource in &request.index().resources {
            let before_resource = admitted.spans;
            for scope in request.scopes_of(resource) {
                let before_scope = admitted.spans;
                for span in request.spans_of(scope) {
                    let span = request.span(span);
                    if rank(span.trace_id) <= threshold {
                        admitted.spans += 1;
                        admitted.bytes += span.message.len();
                    }
                }
                if admitted.spans > before_scope {
                    admitted.bytes += scope.scope.len();
                }
            }
            if admitted.spans > before_resource {
                admitted.bytes += resource.resource.len();
            }
        }
        admitted
    }

    /// The bytes that a sample of it takes, those of its entries included.
    pub(super) fn sample_bytes(&self) -> usize {
        self.bytes + self.spans * size_of::<SampledSpan>()
    }

    /// As much of it as a sample of `room` bytes holds if its spans are alike.
    fn within(self, room: usize) -> Self {
        let wanted = self.sample_bytes();
        if room >= wanted {
            return self;
        }
        let spans = self.spans * room / wanted;
        Self {
            spans,
            bytes: room - spans * size_of::<SampledSpan>(),
            ..self
        }
    }
}

impl Sample {
    /// Copies what is admitted of `request`, as far as `claim` goes.
    pub(super) fn of(
        id: SampleId,
        request: &Request,
        decisions: &[Decision],
        policies: &PolicyCounters,
        admitted: Admitted,
        claim: Claim,
    ) -> Self {
        let mut copier = Copier::new(admitted.within(claim.bytes));
        copier.copy(request, decisions, admitted.threshold);
        Self {
            id,
            received_at: SystemTime::now(),
            policies: policies.clone(),
            spans: copier.spans,
            bytes: copier.bytes,
            _claim: claim,
        }
    }

    /// The bytes that were copied.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The messages of one of its spans.
    pub(super) fn messages(&self, span: &SampledSpan) -> Messages<'_> {
        Messages {
            resource: &self.bytes[span.resource.clone()],
            scope: &self.bytes[span.scope.clone()],
            span: &self.bytes[span.span.clone()],
        }
    }
}

impl<'a> Copier<'a> {
    fn new(room: Admitted) -> Self {
        Self {
            bytes: Vec::with_capacity(room.bytes),
            spans: Vec::with_capacity(room.spans),
            resource: Part::default(),
            scope: Part::default(),
        }
    }

    /// Copies admitted spans until one does not fit.
    fn copy(&mut self, request: &'a Request, decisions: &[Decision], threshold: u64) {
        for resource in &request.index().resources {
            self.resource = Part::of(request.resource(resource).message);
            for scope in request.scopes_of(resource) {
                self.scope = Part::of(request.scope(scope).message);
                let decisions = &decisions[scope.spans.indices()];
                for (span, decision) in request.spans_of(scope).iter().zip(decisions) {
                    let span = request.span(span);
                    if rank(span.trace_id) <= threshold && !self.span(span, *decision) {
                        return;
                    }
                }
            }
        }
    }

    fn span(&mut self, span: SpanView<'_>, decision: Decision) -> bool {
        let needed = self.resource.missing() + self.scope.missing() + span.message.len();
        let full = self.spans.len() == self.spans.capacity();
        if full || self.bytes.len() + needed > self.bytes.capacity() {
            return false;
        }
        let resource = self.resource.copy_to(&mut self.bytes);
        let scope = self.scope.copy_to(&mut self.bytes);
        self.spans.push(SampledSpan {
            trace_id: *span.trace_id,
            decision,
            resource,
            scope,
            span: Part::of(span.message).copy_to(&mut self.bytes),
        });
        true
    }
}

impl<'a> Part<'a> {
    fn of(message: &'a [u8]) -> Self {
        Self {
            message,
            copy: None,
        }
    }

    fn missing(&self) -> usize {
        self.copy.as_ref().map_or(self.message.len(), |_| 0)
    }

    fn copy_to(&mut self, bytes: &mut Vec<u8>) -> Range<usize> {
        let copy = self.copy.get_or_insert_with(|| {
            let start = bytes.len();
            bytes.extend_from_slice(self.message);
            start..bytes.len()
        });
        copy.clone()
    }
}

impl Room {
    /// As much of `wanted` bytes as is free now.
    pub(super) fn claim(self: &Arc<Self>, wanted: usize) -> Claim {
        let bytes_max = self.bytes_max.load(Ordering::Relaxed);
        let mut bytes = 0;
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                bytes = wanted.min(bytes_max.saturating_sub(used));
                Some(used + bytes)
            })
            .expect("the closure never refuses");
        Claim {
            room: Arc::clone(self),
            bytes,
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.room.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_never_given_twice_and_comes_back() {
        let room = Arc::new(Room::default());
        room.bytes_max.store(100, Ordering::Relaxed);
        let first = room.claim(60);
        let second = room.claim(60);
        assert_eq!((first.bytes, second.bytes), (60, 40));
        assert_eq!(room.claim(1).bytes, 0);
        drop(first);
        assert_eq!(room.claim(61).bytes, 60);
    }

    #[test]
    fn what_is_copied_stays_within_the_room_entries_included() {
        let admitted = Admitted {
            threshold: 1,
            spans: 1000,
            bytes: 20_000,
        };
        let whole = admitted.sample_bytes();
        assert_eq!(admitted.within(whole), admitted);
        for room in [whole - 1, whole / 2, 100, 1, 0] {
            let part = admitted.within(room);
            assert!(part.spans < 1000 && part.sample_bytes() <= room, "{room}");
            let used = part.sample_bytes() + whole / 1000;
            assert!(used >= room, "little is left over of {room}");
        }
    }

    #[test]
    fn ranks_are_spread_evenly_whatever_the_ids_look_like() {
        let below = (0_u32..10_000)
            .filter(|number| {
                let mut id = [0; TRACE_ID_BYTES];
                id[12..].copy_from_slice(&number.to_be_bytes());
                rank(&id) <= u64::MAX >> 2
            })
            .count();
        assert!(
            (2300..2700).contains(&below),
            "{below} of 10000 are a quarter"
        );
    }
}
