//! A message on its way: which parcels it carries, how far its treatment has come, and how often it failed.

use bytes::Bytes;
use tokio::time::Instant;

use crate::queue::{Batch, Limits, Parcel, cut};

/// A probe has at most this many spans: a destination that was frozen may take all that was tried meanwhile at once.
pub(super) const PROBE_SPANS_MAX: u64 = 64;
/// A probe has at most this many bytes, but for a single span.
pub(super) const PROBE_BYTES_MAX: usize = 64 * 1024;

/// Parcels that are sent together.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) parcels: Vec<Parcel>,
    pub(super) spans: u64,
    pub(super) bytes: usize,
    pub(super) stage: Stage,
    /// It is not sent before.
    pub(super) due: Instant,
    /// Whether its spans have gone out before, in whatever message.
    pub(super) sent: bool,
    /// Attempts in a row that failed without a verdict.
    pub(super) failures: u32,
    /// How many of them failed while nothing was wrong with any other message.
    pub(super) suspicion: u32,
    /// Where the counts stood when it last failed.
    pub(super) seen: Seen,
}

/// How far the treatment of a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// As it was batched or cut.
    Batch,
    /// One request, alone, after the batch that held it was called malformed.
    Alone,
    /// The same, with its malformed spans taken out.
    Repaired,
}

/// What happened to all messages so far, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Messages that were delivered.
    pub(super) delivered: u64,
    /// Messages that failed at their first attempt.
    pub(super) first_failures: u64,
}

impl Message {
    /// A fresh one, due at once.
    pub(super) fn new(batch: Batch, now: Instant) -> Self {
        Self {
            parcels: batch.parcels,
            spans: batch.spans,
            bytes: batch.bytes,
            stage: Stage::Batch,
            due: now,
            sent: false,
            failures: 0,
            suspicion: 0,
            seen: Seen::default(),
        }
    }

    /// A message of other parcels with the same past.
    fn with(&self, parcels: Vec<Parcel>) -> Self {
        Self {
            spans: parcels.iter().map(|parcel| parcel.spans).sum(),
            bytes: parcels.iter().map(|parcel| parcel.bytes).sum(),
            parcels,
            ..*self
        }
    }

    /// What goes out.
    pub(super) fn segments(&self) -> Vec<Bytes> {
        let segments = self.parcels.iter().flat_map(|parcel| &parcel.segments);
        segments.cloned().collect()
    }

    /// When the oldest request in it was accepted.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.parcels.iter().map(Parcel::accepted_at).min()
    }

    /// Whether a destination may be sent it.
    pub(super) fn fits(&self, limits: Limits) -> bool {
        let bytes_max = if self.spans == 1 {
            limits.bytes_max
        } else {
            limits.bytes_learned
        };
        self.spans <= limits.spans && self.bytes <= bytes_max
    }

    /// Whether it is as small as a probe should be.
    pub(super) fn is_small(&self) -> bool {
        self.spans == 1 || (self.spans <= PROBE_SPANS_MAX && self.bytes <= PROBE_BYTES_MAX)
    }

    /// One message for each parcel.
    pub(super) fn request_by_request(mut self, stage: Stage) -> Vec<Self> {
        let parcels = std::mem::take(&mut self.parcels);
        let alone = parcels.into_iter().map(|parcel| Self {
            stage,
            suspicion: 0,
            ..self.with(vec![parcel])
        });
        alone.collect()
    }

    /// Messages that each fit `limits`, and the spans that fit none and were settled as lost.
    pub(super) fn cut_to(mut self, limits: Limits) -> (Vec<Self>, u64) {
        let mut too_large = 0;
        let mut cuts = Vec::new();
        for parcel in std::mem::take(&mut self.parcels) {
            let (pieces, lost) = cut(parcel, limits);
            too_large += lost;
            cuts.extend(pieces.into_iter().map(|piece| self.with(vec![piece])));
        }
        (cuts, too_large)
    }

    /// A small message off its front, and the rest of it, if any. No span is lost by it.
    pub(super) fn probe(mut self) -> (Self, Option<Self>) {
        if self.is_small() {
            return (self, None);
        }
        let whole = std::mem::take(&mut self.parcels);
        let (mut probe, mut rest) = (Vec::new(), Vec::new());
        let (mut spans, mut bytes) = (0, 0);
        let limits = Limits {
            spans: PROBE_SPANS_MAX,
            bytes_max: usize::MAX,
            bytes_learned: PROBE_BYTES_MAX,
        };
        for parcel in whole {
            let cut_now = rest.is_empty() && spans < PROBE_SPANS_MAX && bytes < PROBE_BYTES_MAX;
            let pieces = if cut_now {
                cut(parcel, limits).0
            } else {
                vec![parcel]
            };
            for piece in pieces {
                let fits = spans + piece.spans <= PROBE_SPANS_MAX
                    && bytes + piece.bytes <= PROBE_BYTES_MAX;
                if probe.is_empty() || (rest.is_empty() && fits) {
                    spans += piece.spans;
                    bytes += piece.bytes;
                    probe.push(piece);
                } else {
                    rest.push(piece);
                }
            }
        }
        let rest = (!rest.is_empty()).then(|| self.with(rest));
        (self.with(probe), rest)
    }

    /// Takes out the parcels that were accepted at `moment` or before.
    pub(super) fn take_accepted_by(&mut self, moment: Instant) -> Vec<Parcel> {
        let old = |parcel: &mut Parcel| parcel.accepted_at() <= moment;
        let taken: Vec<_> = self.parcels.extract_if(.., old).collect();
        for parcel in &taken {
            self.spans -= parcel.spans;
            self.bytes -= parcel.bytes;
        }
        taken
    }
}
