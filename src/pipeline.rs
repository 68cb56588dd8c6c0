//! The way of a body without sockets: through the door, the steps and into the queues, or refused whole.
//!
//! It knows no transport beyond its name. Invariant: every span of a scanned body is booked exactly once, together with
//! the answer, also when the client goes away in between.

use std::{mem, net::SocketAddr, sync::Arc, thread};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    budget::Denied,
    metrics::{Metrics, PolicyCounters, Tally, Transport},
    processor::{Processed, Snapshot},
    queue::{Full, Payload, Queues},
    request::{Counted, Reason, Refusal, Request},
    store::Store,
    wire::{Checks, Unusable},
};

/// Who answered, for the trace store, when no destination was asked.
const RELAY: &str = "relay";

/// Where a body came from.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// How it came in.
    pub transport: Transport,
    /// From whom.
    pub peer: SocketAddr,
}

/// A body was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Spans that were rejected one by one; the others go on.
    pub rejected_spans: u64,
    /// Why, or a warning when none was rejected; empty when there is nothing to say.
    pub message: String,
}

/// What a request passes through, replaced as a whole by a reload.
#[derive(Debug)]
pub struct Stages {
    /// Policies and edits.
    pub snapshot: Snapshot,
    /// What the policies have decided; they travel together, so that a request counts where it was decided.
    pub policies: PolicyCounters,
    /// The most bytes of one message that holds a single span: the smallest `batch.bytes_max`.
    pub message_bytes_max: usize,
}

/// The stages between a receiver and the queues. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pipeline {
    stages: Arc<ArcSwap<Stages>>,
    queues: Queues,
    store: Store,
    metrics: Metrics,
}

impl Pipeline {
    /// A pipeline into `queues`.
    pub fn new(stages: Stages, queues: Queues, store: Store, metrics: Metrics) -> Self {
        Self {
            stages: Arc::new(ArcSwap::from_pointee(stages)),
            queues,
            store,
            metrics,
        }
    }

    /// Replaces policies and edits: requests that come from now on see the new ones.
    pub fn replace(&self, stages: Stages) {
        self.stages.store(Arc::new(stages));
    }

    /// The stages in force.
    pub fn stages(&self) -> Arc<Stages> {
        self.stages.load_full()
    }

    /// Takes a whole body whose spans are counted. Waits for room in the budget and the queues until `deadline`, then refuses it
    /// whole. A future that is dropped before it is done counts as refused.
    pub async fn take(
        &self,
        counted: Counted,
        origin: Origin,
        deadline: Instant,
    ) -> Result<Receipt, Refusal> {
        let stages = self.stages.load_full();
        let checks = Checks {
            wanted: stages.snapshot.wanted(),
            message_bytes_max: stages.message_bytes_max,
        };
        let mut refused_unless_taken = RefusedUnlessTaken {
            metrics: &self.metrics,
            store: &self.store,
            transport: origin.transport,
            spans: counted.spans(),
            sample: None,
        };
        let mut request = Request::admit(counted, &checks, deadline).await?;
        let processing = stages.snapshot.process(&mut request, deadline);
        let mut processed = processing.await.map_err(budget_full)?;
        let receipt = Receipt::about(processed.unusable, request.received());
        let tally = Tally {
            received: request.received(),
            rejected: processed.unusable.total(),
            sampled_out: processed.sampled_out,
            forwarded: processed.kept,
        };
        let sample = self
            .store
            .record(&request, &processed.decisions, &stages.policies);
        refused_unless_taken.sample = sample;
        // Whoever waits for room holds no more than its payload and a few counts.
        processed.decisions = Vec::new();
        let payload = match processed.kept {
            0 => None,
            _ => Some(payload(&mut processed, request, sample, deadline).await?),
        };
        let taken = self
            .queues
            .admit(origin.transport, tally, payload, deadline);
        taken.await.map_err(|Full| queues_full())?;
        refused_unless_taken.spans = 0;
        self.count(&stages.policies, &processed);
        Ok(receipt)
    }

    fn count(&self, counters: &PolicyCounters, processed: &Processed) {
        let policies = processed
            .policies
            .iter()
            .map(|count| (count.kept, count.dropped));
        counters.count(policies);
        for count in &processed.services {
            self.metrics
                .count_service(&count.service, count.kept, count.dropped);
        }
    }
}

/// Books the spans of a request as refused when it is dropped, be it by a refusal or because the client went away; the
/// trace store, which may show them already, is told.
struct RefusedUnlessTaken<'a> {
    metrics: &'a Metrics,
    store: &'a Store,
    transport: Transport,
    spans: u64,
    sample: Option<u64>,
}

impl Drop for RefusedUnlessTaken<'_> {
    fn drop(&mut self) {
        if self.spans == 0 {
            return;
        }
        let ledger = self.metrics.ledger();
        if thread::panicking() {
            ledger.fail(self.transport, self.spans);
        } else {
            ledger.refuse(self.transport, self.spans);
        }
        if let Some(sample) = self.sample {
            self.store
                .answered([sample].into(), &RELAY.into(), "refused");
        }
    }
}

/// What goes to the queues, with what pays for the bytes it pins: no more of the body than that is held from now on.
async fn payload(
    processed: &mut Processed,
    request: Request,
    sample: Option<u64>,
    deadline: Instant,
) -> Result<Payload, Refusal> {
    let segments = mem::take(&mut processed.segments);
    let mut permit = request.into_permit();
    permit.shrink_to(processed.pinned);
    permit.settle(deadline).await.map_err(budget_full)?;
    Ok(Payload {
        spans: processed.kept,
        bytes: segments.iter().map(Bytes::len).sum(),
        segments,
        accepted_at: Instant::now(),
        permit,
        sample,
    })
}

fn budget_full(denied: Denied) -> Refusal {
    match denied {
        Denied::Full => Refusal::new(
            Reason::Full,
            "no room in the budget for what is written of the request: come again; if it stays so, raise budget.bytes",
        ),
        Denied::NeverFits => Refusal::new(
            Reason::TooLarge,
            "the request and what is written of it are larger than budget.bytes allows: send fewer spans in one request, or raise it",
        ),
    }
}

fn queues_full() -> Refusal {
    Refusal::new(
        Reason::Full,
        "the queue of a required destination is full, and no room came free in time: come again; if it stays so, the destination is down or too slow, as the relay's log and /api/v1/destinations say, or queue.bytes_max is too small",
    )
}

impl Receipt {
    /// Says in English which spans were rejected (OTLP, "Partial Success").
    fn about(unusable: Unusable, received: u64) -> Self {
        let rejected = unusable.total();
        if rejected == 0 {
            return Self::default();
        }
        let reasons = [
            (
                unusable.ids,
                "with a trace id that is not 16 bytes or a span id that is not 8 bytes, or only zeros (in JSON: 32 and 16 hexadecimal digits)",
            ),
            (
                unusable.broken,
                "with broken fields in the span, its resource or its scope",
            ),
            (
                unusable.too_large,
                "larger than one message to a destination may be",
            ),
        ];
        let reasons: Vec<String> = reasons
            .iter()
            .filter(|(spans, _)| *spans > 0)
            .map(|(spans, reason)| format!("{spans} {reason}"))
            .collect();
        Self {
            rejected_spans: rejected,
            message: format!(
                "{rejected} of {received} spans were rejected: {}",
                reasons.join("; ")
            ),
        }
    }
}
