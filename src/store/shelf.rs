//! The traces in the store: bounded in bytes, the ones touched longest ago leave first, always whole.
//!
//! No clock, no tasks. Invariant: `bytes` never exceeds `bytes_max` after a call, whatever is put in.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{
    sample::{Messages, SampleId, rank},
    trace::{Answer, Decided, RequestNote, StoredSpan, Trace, TraceId},
};

/// What a trace takes beside its spans, in bytes: its entries in three maps. Chosen by counting their fields.
const TRACE_OVERHEAD: usize = 640;
/// What a span takes beside its messages, in bytes: its entry, twice because vectors grow by doubling, and the allocator's
/// and `Bytes`' own words.
const SPAN_OVERHEAD: usize = 2 * size_of::<StoredSpan>() + 128;
/// What a request takes for each trace it has spans in, in bytes.
const REQUEST_OVERHEAD: usize = 256;
/// Answers that are kept of one request; each destination gives one, or some for a request that was split.
const ANSWERS_MAX: usize = 16;
/// No trace takes more than this part of the store; what is beyond is counted and not kept.
const TRACE_SHARE: usize = 4;
/// A trace is thought complete when nothing of it came for so long.
const QUIET: Duration = Duration::from_secs(10);

/// The traces.
#[derive(Debug)]
pub(super) struct Shelf {
    bytes_max: usize,
    bytes: usize,
    traces: HashMap<TraceId, Trace>,
    /// The traces in the order in which they were touched last.
    order: BTreeMap<u64, TraceId>,
    touches: u64,
    requests: HashMap<SampleId, Noted>,
    /// The threshold now.
    threshold: u64,
    /// Earlier thresholds and when they ended, as far back as [`QUIET`]; the keeper ticks, so there are few.
    past: VecDeque<(Instant, u64)>,
}

/// A request and how many traces refer to it.
#[derive(Debug)]
struct Noted {
    note: RequestNote,
    bytes: usize,
    traces: usize,
}

/// A span to be put in.
#[derive(Clone, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) trace_id: TraceId,
    pub(super) messages: Messages<'a>,
    /// Not known for what came as to a destination.
    pub(super) decided: Option<Decided>,
    pub(super) request: Option<(SampleId, SystemTime)>,
}

impl Shelf {
    pub(super) fn new(bytes_max: usize, threshold: u64) -> Self {
        Self {
            bytes_max,
            bytes: 0,
            traces: HashMap::new(),
            order: BTreeMap::new(),
            touches: 0,
            requests: HashMap::new(),
            threshold,
            past: VecDeque::new(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn resize(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
        self.evict();
    }

    /// Puts in a span as it passed, and lets the oldest traces go where there is no room. Returns the bytes it took.
    pub(super) fn put(&mut self, arrival: &Arrival<'_>, now: Instant) -> usize {
        self.touch(arrival.trace_id, now);
        let before = self.bytes;
        self.push(arrival, false);
        self.done_since(before)
    }

    /// Puts in a span that reached the store as a destination: in the place of the one that was put in as it passed, if
    /// that is here.
    pub(super) fn deliver(&mut self, arrival: &Arrival<'_>, now: Instant) -> usize {
        self.touch(arrival.trace_id, now);
        let before = self.bytes;
        let trace = self.touched(arrival.trace_id);
        let bytes = trace.bytes;
        if trace.replace(arrival.messages) {
            self.bytes = before - bytes + self.touched(arrival.trace_id).bytes;
        } else {
            self.push(arrival, true);
        }
        self.done_since(before)
    }

    /// Notes what a destination answered for a request, if any of its traces is still here.
    pub(super) fn answer(&mut self, request: SampleId, answer: &Answer) {
        let Some(noted) = self.requests.get_mut(&request) else {
            return;
        };
        let answers = &mut noted.note.answers;
        if answers.len() >= ANSWERS_MAX || answers.contains(answer) {
            return;
        }
        let bytes = size_of::<Answer>() + answer.text.len();
        answers.push(answer.clone());
        noted.bytes += bytes;
        self.bytes += bytes;
        self.evict();
    }

    /// From now on other traces are admitted: those that were under way and no longer are, or are only now, lack spans.
    pub(super) fn admit(&mut self, threshold: u64, now: Instant) {
        if threshold < self.threshold {
            let torn = threshold + 1..=self.threshold;
            for id in self.order.values().rev() {
                let trace = self
                    .traces
                    .get_mut(id)
                    .expect("every trace in order is in the map");
                if now.duration_since(trace.touched_at) > QUIET {
                    break;
                }
                trace.whole &= !torn.contains(&rank(id));
            }
        }
        self.past.push_back((now, self.threshold));
        self.threshold = threshold;
        while self
            .past
            .front()
            .is_some_and(|(ended, _)| now.duration_since(*ended) > QUIET)
        {
            self.past.pop_front();
        }
    }

    /// The traces, the newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = (&TraceId, &Trace)> {
        self.order.values().rev().map(|id| (id, &self.traces[id]))
    }

    /// One trace with the requests that brought it.
    pub(super) fn trace(&self, id: &TraceId) -> Option<(Trace, Vec<RequestNote>)> {
        let trace = self.traces.get(id)?.clone();
        let requests = trace
            .requests
            .iter()
            .map(|request| self.requests[request].note.clone())
            .collect();
        Some((trace, requests))
    }

    pub(super) fn len(&self) -> usize {
        self.traces.len()
    }

    fn push(&mut self, arrival: &Arrival<'_>, delivered: bool) {
        let bytes_max = self.bytes_max / TRACE_SHARE;
        let trace = self.touched(arrival.trace_id);
        let needed = SPAN_OVERHEAD + trace.missing_bytes(arrival.messages);
        if trace.bytes + needed > bytes_max {
            trace.left_out += 1;
            trace.whole = false;
            return;
        }
        trace.push(arrival, delivered);
        trace.bytes += needed;
        self.bytes += needed;
        if let Some((id, received_at)) = arrival.request {
            self.refer(arrival.trace_id, id, received_at);
        }
    }

    fn touched(&mut self, id: TraceId) -> &mut Trace {
        self.traces
            .get_mut(&id)
            .expect("it was touched just before, and nothing left since")
    }

    /// Makes room, and says how many bytes came since `before`.
    fn done_since(&mut self, before: usize) -> usize {
        let taken = self.bytes.saturating_sub(before);
        self.evict();
        taken
    }

    fn touch(&mut self, id: TraceId, now: Instant) {
        let newest = self.order.last_key_value();
        if newest.is_some_and(|(_, newest)| *newest == id) {
            self.touched(id).touched_at = now;
            return;
        }
        self.touches += 1;
        let touch = self.touches;
        if let Some(trace) = self.traces.get_mut(&id) {
            self.order.remove(&trace.touch);
            trace.touch = touch;
            trace.touched_at = now;
        } else {
            let whole = rank(&id) <= self.lowest_threshold(now);
            self.traces
                .insert(id, Trace::new(touch, now, whole, TRACE_OVERHEAD));
            self.bytes += TRACE_OVERHEAD;
        }
        self.order.insert(touch, id);
    }

    /// A trace above this may have sent spans before it was admitted.
    fn lowest_threshold(&self, now: Instant) -> u64 {
        let recent = self
            .past
            .iter()
            .filter(|(ended, _)| now.duration_since(*ended) <= QUIET)
            .map(|(_, threshold)| *threshold);
        recent.min().unwrap_or(self.threshold).min(self.threshold)
    }

    fn refer(&mut self, trace: TraceId, id: SampleId, received_at: SystemTime) {
        let trace = self.touched(trace);
        // A request's spans come in a row, so it is the last one or none.
        if trace.requests.last() == Some(&id) {
            return;
        }
        trace.requests.push(id);
        trace.bytes += REQUEST_OVERHEAD;
        self.bytes += REQUEST_OVERHEAD;
        let noted = self.requests.entry(id).or_insert_with(|| Noted {
            note: RequestNote {
                id,
                received_at,
                answers: Vec::new(),
            },
            bytes: 0,
            traces: 0,
        });
        noted.traces += 1;
    }

    fn evict(&mut self) {
        while self.bytes > self.bytes_max {
            let Some((_, id)) = self.order.pop_first() else {
                break;
            };
            let trace = self
                .traces
                .remove(&id)
                .expect("every trace in order is in the map");
            self.bytes -= trace.bytes;
            for request in &trace.requests {
                self.release(*request);
            }
        }
    }

    fn release(&mut self, request: SampleId) {
        let noted = self
            .requests
            .get_mut(&request)
            .expect("a trace refers to it");
        noted.traces -= 1;
        if noted.traces == 0 {
            self.bytes -= noted.bytes;
            self.requests.remove(&request);
        }
    }
}
