//! What an exporter says about its work: the ledger, metrics, log and status, each incident in one call.
//!
//! It decides nothing. Invariant: a parcel that is settled here is also told to the trace store, if that has a sample.

use std::{fmt, mem, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Options,
    outcome::{Answer, printable},
    status::{DestinationStatus, Down, LastError, Shared},
};
use crate::{
    metrics::{self, Fate, LogLimit, Loss},
    queue::Parcel,
};

/// Log lines of one kind in each period: a destination that comes and goes must not flood the log.
const LOG_LINES: u32 = 5;
const LOG_PERIOD: Duration = Duration::from_secs(10);

/// Is told, for samples of the trace store, which destination answered what.
pub type OnVerdict = Arc<dyn Fn(Box<[u64]>, &Arc<str>, &str) + Send + Sync>;

/// Tells about one destination.
pub(super) struct Report {
    name: Arc<str>,
    metrics: metrics::Destination,
    on_verdict: Option<OnVerdict>,
    status: Shared,
    up_and_down: LogLimit,
    errors: LogLimit,
    losses: LogLimit,
    partial: LogLimit,
}

impl Report {
    /// Nothing is known yet: what `status` said of an earlier life of the task is out of date.
    pub(super) fn new(
        options: &Options,
        metrics: metrics::Destination,
        on_verdict: Option<OnVerdict>,
        status: Shared,
    ) -> Self {
        metrics.up(None);
        {
            let mut status = status.lock();
            status.down = None;
            status.learned_bytes_max = None;
        }
        let limit = || LogLimit::new(LOG_LINES, LOG_PERIOD);
        Self {
            name: Arc::clone(&options.name),
            metrics,
            on_verdict,
            status,
            up_and_down: limit(),
            errors: limit(),
            losses: limit(),
            partial: limit(),
        }
    }

    /// The options changed.
    pub(super) fn reconfigured(&self, options: &Options) {
        let mut status = self.status.lock();
        status.endpoint = endpoint(options);
        status.required = options.queue.required;
    }

    /// A message goes out for the first time.
    pub(super) fn sent(&self, spans: u64, bytes: usize) {
        self.metrics.sent(spans, bytes);
    }

    /// The destination has a message, but for `rejected` of its spans.
    pub(super) fn delivered(&self, mut parcels: Vec<Parcel>, mut rejected: u64, now: Instant) {
        let word = if rejected > 0 {
            "delivered in part"
        } else {
            "delivered"
        };
        self.tell(&parcels, word);
        for parcel in &mut parcels {
            self.metrics
                .delivered(now.saturating_duration_since(parcel.accepted_at()));
            let of_this = rejected.min(parcel.spans);
            parcel.settle_part(Fate::RejectedByDestination, of_this);
            rejected -= of_this;
        }
        Parcel::settle_all(parcels, Fate::Exported);
        self.status.lock().last_delivery = Some(now);
    }

    /// The destination took a message with a remark, or without some of its spans.
    pub(super) fn remark(&self, rejected_spans: u64, message: &str, now: Instant) {
        if let Some(suppressed) = self.partial.pass(now) {
            let message = printable(message);
            tracing::warn!(destination = %self.name, rejected_spans, message, suppressed,
                "taken with a remark");
        }
    }

    /// The destination will not have a message.
    pub(super) fn rejected(&self, parcels: Vec<Parcel>, answer: &Answer, now: Instant) {
        let spans = parcels.iter().map(|parcel| parcel.spans).sum();
        self.tell_rejected(&parcels, spans, answer, now);
        Parcel::settle_all(parcels, Fate::RejectedByDestination);
    }

    /// The destination will not have `spans` of a parcel.
    pub(super) fn rejected_part(
        &self,
        parcel: &mut Parcel,
        spans: u64,
        answer: &Answer,
        now: Instant,
    ) {
        self.tell_rejected(std::slice::from_ref(parcel), spans, answer, now);
        parcel.settle_part(Fate::RejectedByDestination, spans);
    }

    /// Parcels are lost.
    pub(super) fn lost(&self, parcels: Vec<Parcel>, loss: Loss, now: Instant) {
        let spans = parcels.iter().map(|parcel| parcel.spans).sum();
        self.tell(&parcels, &format!("lost: {}", loss.label()));
        Parcel::settle_all(parcels, Fate::Lost(loss));
        self.count_lost(spans, loss, now);
    }

    /// Says of spans that were settled as lost.
    pub(super) fn count_lost(&self, spans: u64, loss: Loss, now: Instant) {
        if spans == 0 {
            return;
        }
        if let Some(suppressed) = self.losses.pass(now) {
            tracing::warn!(destination = %self.name, spans, reason = loss.label(), suppressed,
                "spans lost");
        }
    }

    /// An answer that was no success, or an error.
    pub(super) fn failed(&self, answer: &Answer, now: Instant) {
        let message = answer.to_string();
        if let Some(suppressed) = self.errors.pass(now) {
            tracing::info!(destination = %self.name, error = message, suppressed,
                "attempt failed");
        }
        self.status.lock().last_error = Some(LastError { message, at: now });
    }

    /// The destination counts as down. `since` differs from `now` when only the reason is new.
    pub(super) fn down(&self, answer: &Answer, since: Instant, now: Instant) {
        let reason = answer.to_string();
        if since == now {
            self.metrics.up(Some(false));
            if let Some(suppressed) = self.up_and_down.pass(now) {
                let endpoint = self.status.lock().endpoint.clone();
                tracing::warn!(destination = %self.name, endpoint, reason, suppressed,
                    "destination is down");
            }
        }
        self.status.lock().down = Some(Down { reason, since });
    }

    /// The destination answers, which nobody knew before the first time.
    pub(super) fn answers(&self) {
        self.metrics.up(Some(true));
    }

    /// The destination counts as up again.
    pub(super) fn up(&self, since: Instant, now: Instant) {
        self.status.lock().down = None;
        if let Some(suppressed) = self.up_and_down.pass(now) {
            let down_for = now.saturating_duration_since(since);
            tracing::info!(destination = %self.name, ?down_for, suppressed, "destination is up");
        }
    }

    /// The destination takes messages of this size.
    pub(super) fn learned(&self, bytes_max: Option<usize>, now: Instant) {
        let before = mem::replace(&mut self.status.lock().learned_bytes_max, bytes_max);
        if before == bytes_max {
            return;
        }
        if let Some(suppressed) = self.errors.pass(now) {
            tracing::info!(destination = %self.name, bytes_max, suppressed,
                "learned what size of message the destination takes");
        }
    }

    fn tell_rejected(&self, parcels: &[Parcel], spans: u64, answer: &Answer, now: Instant) {
        self.tell(parcels, &format!("rejected: {answer}"));
        if let Some(suppressed) = self.losses.pass(now) {
            tracing::warn!(destination = %self.name, spans, %answer, suppressed,
                "spans rejected by the destination");
        }
    }

    fn tell(&self, parcels: &[Parcel], word: &str) {
        let Some(on_verdict) = &self.on_verdict else {
            return;
        };
        let samples: Box<[u64]> = parcels.iter().filter_map(Parcel::sample).collect();
        if !samples.is_empty() {
            on_verdict(samples, &self.name, word);
        }
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The status of a destination of which nothing is known yet.
pub(super) fn initial_status(options: &Options) -> Shared {
    Shared::new(DestinationStatus {
        name: Arc::clone(&options.name),
        endpoint: endpoint(options),
        required: options.queue.required,
        down: None,
        last_error: None,
        last_delivery: None,
        learned_bytes_max: None,
    })
}

/// Scheme, host and port: never a password, nor a path that may hold a token.
fn endpoint(options: &Options) -> String {
    let uri = &options.endpoint;
    let scheme = uri.scheme_str().unwrap_or("http");
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().map(|port| format!(":{port}"));
    format!("{scheme}://{host}{}", port.unwrap_or_default())
}
