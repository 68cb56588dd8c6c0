//! The task behind the store: puts what it is handed on the shelf, and looks after the share of traces.
//!
//! A thin loop: decisions are `Shelf`'s and `Fraction`'s. Nobody on the way of a request waits for it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    fraction::TICKS_PER_SECOND,
    sample::{Messages, Sample, SampleId, rank},
    shelf::{Arrival, Shelf},
    trace::{Answer, Decided, trace_id},
};
use crate::{
    otlp,
    wire::{Fields, WireType},
};

/// What the keeper is handed.
#[derive(Debug)]
pub(super) enum Event {
    /// A request passed.
    Passed(Sample),
    /// A destination answered for requests of these numbers.
    Answered(Box<[u64]>, Answer),
    /// Spans reached the store as a destination; the sender waits for the end of it.
    Delivered(Bytes, oneshot::Sender<()>),
}

/// The task behind a [`super::Store`]: run it until nothing is delivered any more.
#[derive(Debug)]
pub struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) events: mpsc::Receiver<Event>,
}

impl Keeper {
    /// Runs until `stop`, or until no [`super::Store`] is left.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(Duration::from_secs(1) / TICKS_PER_SECOND);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut taken = 0;
        let mut at_rest = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                event = self.events.recv() => match event {
                    Some(event) => taken += self.take(event),
                    None => break,
                },
                now = ticks.tick(), if taken > 0 || !at_rest => {
                    at_rest = self.shared.tick(taken, now);
                    taken = 0;
                }
            }
        }
    }

    /// Puts an event on the shelf, and says how many bytes it took.
    fn take(&self, event: Event) -> u64 {
        let mut state = self.shared.lock();
        let traces = &mut state.shelf;
        let now = Instant::now();
        let taken = match event {
            Event::Passed(sample) => pass(traces, &sample, now),
            Event::Answered(samples, answer) => {
                for sample in samples {
                    traces.answer(SampleId(sample), &answer);
                }
                0
            }
            Event::Delivered(message, done) => {
                let taken = deliver(traces, &message, self.shared.threshold(), now);
                // A sender that no longer waits has nothing to learn.
                done.send(()).ok();
                taken
            }
        };
        taken as u64
    }
}

fn pass(shelf: &mut Shelf, sample: &Sample, now: Instant) -> usize {
    let mut taken = 0;
    for span in &sample.spans {
        let rule = sample.policies.name(span.decision.policy);
        let arrival = Arrival {
            trace_id: span.trace_id,
            messages: sample.messages(span),
            decided: rule.map(|rule| Decided {
                kept: span.decision.keep,
                rule: Arc::clone(rule),
            }),
            request: Some((sample.id, sample.received_at)),
        };
        taken += shelf.put(&arrival, now);
    }
    taken
}

/// Puts the spans of a message on the shelf, of the admitted traces alone: the others would push these out.
fn deliver(shelf: &mut Shelf, message: &[u8], threshold: u64, now: Instant) -> usize {
    let mut taken = 0;
    for_each_span(message, |messages| {
        let Some(trace_id) = trace_id(messages.span) else {
            return;
        };
        if rank(&trace_id) <= threshold {
            let arrival = Arrival {
                trace_id,
                messages,
                decided: None,
                request: None,
            };
            taken += shelf.deliver(&arrival, now);
        }
    });
    taken
}

/// Walks an `ExportTraceServiceRequest` that a scan has checked.
fn for_each_span(message: &[u8], mut each: impl FnMut(Messages<'_>)) {
    for resource_spans in values(message, otlp::request::RESOURCE_SPANS) {
        let resource = values(resource_spans, otlp::resource_spans::RESOURCE).last();
        for scope_spans in values(resource_spans, otlp::resource_spans::SCOPE_SPANS) {
            let scope = values(scope_spans, otlp::scope_spans::SCOPE).last();
            for span in values(scope_spans, otlp::scope_spans::SPANS) {
                each(Messages {
                    resource: resource.unwrap_or_default(),
                    scope: scope.unwrap_or_default(),
                    span,
                });
            }
        }
    }
}

fn values(message: &[u8], number: otlp::FieldNumber) -> impl Iterator<Item = &[u8]> {
    Fields::of(message)
        .flatten()
        .filter(move |field| (field.number, field.wire_type) == (number, WireType::Len))
        .map(|field| field.value)
}
