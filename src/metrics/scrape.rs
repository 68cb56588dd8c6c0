//! What is looked up when it is asked for: the ledger, the fill of what is bounded, the process.
//!
//! All series of the ledger come from one look at the books, so a scrape balances.

use std::{sync::Arc, time::Duration};

use super::{
    DestinationTotals, Loss, Totals, Transport,
    names::{CollectorNames, collector, own},
    page::Page,
    policies::{Hits, decision_label},
    process,
};
use crate::budget::{Budget, Use};

/// How full is what is bounded.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    /// The budget.
    pub budget: Option<Budget>,
    /// The queues.
    pub queues: Vec<QueueLevel>,
    /// The embedded trace store.
    pub store: Option<StoreLevel>,
}

/// The fill of one destination's queue, what is under way included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueLevel {
    /// Its destination.
    pub destination: Arc<str>,
    /// Payloads in it.
    pub payloads: u64,
    /// Payloads of their present mean size that it takes at most.
    pub payloads_max: u64,
    /// Spans in it.
    pub spans: u64,
    /// Bytes in it.
    pub bytes: u64,
    /// The bytes that it takes at most.
    pub bytes_max: u64,
}

/// The fill of the embedded trace store.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StoreLevel {
    /// Bytes in it.
    pub bytes: u64,
    /// The bytes that it takes at most.
    pub bytes_max: u64,
    /// Traces in it.
    pub traces: u64,
    /// The share of traces it keeps at present, 0 to 1.
    pub fraction: f64,
    /// Spans of that share which it was too busy for.
    pub skipped_spans: u64,
}

/// What a scrape shows beside the [`Levels`].
#[derive(Debug)]
pub(super) struct Scrape<'a> {
    pub(super) totals: &'a Totals,
    pub(super) policies: Vec<(String, Hits)>,
    pub(super) destinations: Vec<(Box<str>, bool)>,
    pub(super) config_generation: u64,
    pub(super) config_successful: bool,
    pub(super) commit: &'static str,
}

impl Scrape<'_> {
    /// Writes everything but the process.
    pub(super) fn write(&self, page: &Page, levels: &Levels) {
        self.receiver(page);
        self.stages(page);
        for (name, account) in &self.totals.destinations {
            destination(page, name, account);
        }
        for (rule, hits) in &self.policies {
            policy(page, rule, *hits);
        }
        for (name, up) in &self.destinations {
            // Without a queue it was removed, and is neither.
            if levels
                .queues
                .iter()
                .any(|queue| *queue.destination == **name)
            {
                page.set_gauge(&own::DESTINATION_UP, &[name], u64::from(*up));
            }
        }
        self.configuration(page);
        levels.write(page);
    }

    fn receiver(&self, page: &Page) {
        for transport in Transport::ALL {
            let labels = ["otlp", transport.label()];
            let totals = self.totals.transports.get(&transport);
            let totals = totals.cloned().unwrap_or_default();
            let refused = totals.refused - totals.failed + totals.rejected;
            page.set_counter(&collector::RECEIVER_ACCEPTED, &labels, totals.accepted);
            page.set_counter(&collector::RECEIVER_REFUSED, &labels, refused);
            page.set_counter(&collector::RECEIVER_FAILED, &labels, totals.failed);
        }
        let labels = ["sampling", "traces"];
        let kept = self.totals.forwarded;
        page.set_counter(
            &collector::PROCESSOR_INCOMING,
            &labels,
            self.totals.accepted,
        );
        page.set_counter(&collector::PROCESSOR_OUTGOING, &labels, kept);
    }

    fn stages(&self, page: &Page) {
        let totals = self.totals;
        for (stage, spans) in [
            ("received", totals.received),
            ("accepted", totals.accepted),
            ("refused", totals.refused),
            ("rejected", totals.rejected),
            ("sampled_out", totals.sampled_out),
            ("forwarded", totals.forwarded),
        ] {
            page.set_counter(&own::SPANS, &[stage, "", ""], spans);
        }
    }

    fn configuration(&self, page: &Page) {
        page.set_gauge(&own::CONFIG_GENERATION, &[], self.config_generation);
        let successful = u64::from(self.config_successful);
        page.set_gauge(&own::CONFIG_SUCCESSFUL, &[], successful);
        let labels = [env!("CARGO_PKG_VERSION"), self.commit];
        page.set_gauge(&own::BUILD_INFO, &labels, 1);
    }
}

/// The account of one destination; every reason for a loss from the start, so that an alert on its increase sees the first.
fn destination(page: &Page, name: &str, account: &DestinationTotals) {
    let lost = |reason| account.lost.get(&reason).copied().unwrap_or(0);
    page.set_counter(&own::SPANS, &["forwarded", "", name], account.forwarded);
    page.set_counter(&own::SPANS, &["exported", "", name], account.exported);
    let rejected = account.rejected_by_destination;
    page.set_counter(
        &own::SPANS,
        &["rejected_by_destination", "", name],
        rejected,
    );
    for reason in Loss::ALL {
        let labels = ["lost", reason.label(), name];
        page.set_counter(&own::SPANS, &labels, lost(reason));
    }
    page.set_gauge(&own::SPANS_HELD, &[name], account.held);

    let not_queued = lost(Loss::QueueFull);
    let failed = account.lost_total() - not_queued + rejected;
    page.set_counter(&collector::EXPORTER_SENT, &[name], account.exported);
    page.set_counter(&collector::EXPORTER_FAILED, &[name], failed);
    page.set_counter(&collector::EXPORTER_ENQUEUE_FAILED, &[name], not_queued);
}

fn policy(page: &Page, rule: &str, hits: Hits) {
    for (kept, spans) in [(true, hits.kept), (false, hits.sampled_out)] {
        page.set_counter(&own::POLICY_SPANS, &[rule, decision_label(kept)], spans);
    }
}

// === impl Levels, QueueLevel ===

impl Levels {
    fn write(&self, page: &Page) {
        if let Some(budget) = &self.budget {
            for purpose in Use::ALL {
                let bytes = budget.used(purpose) as u64;
                page.set_gauge(&own::BUDGET, &[purpose.label()], bytes);
            }
            page.set_gauge(&own::BUDGET_MAX, &[], budget.total() as u64);
        }
        for queue in &self.queues {
            queue.write(page);
        }
        if let Some(store) = &self.store {
            page.set_gauge(&own::STORE_BYTES, &[], store.bytes);
            page.set_gauge(&own::STORE_TRACES, &[], store.traces);
            page.set_gauge_f64(&own::STORE_FRACTION, &[], store.fraction);
            page.set_counter(&own::STORE_SKIPPED, &[], store.skipped_spans);
        }
    }
}

impl QueueLevel {
    fn write(&self, page: &Page) {
        let name = &*self.destination;
        page.set_gauge(&own::QUEUE_BYTES, &[name], self.bytes);
        page.set_gauge(&own::QUEUE_BYTES_MAX, &[name], self.bytes_max);
        page.set_gauge(&own::QUEUE_SPANS, &[name], self.spans);
        let labels = [name, "traces"];
        page.set_gauge(&collector::QUEUE_SIZE, &labels, self.payloads);
        page.set_gauge(&collector::QUEUE_CAPACITY, &labels, self.payloads_max);
    }
}

/// The families that say what the process uses. Written by hand: the crate's counters are whole numbers, and a rate over
/// whole CPU seconds is none.
pub(super) fn process(mode: CollectorNames, uptime: Duration) -> Vec<String> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "memory in bytes is exact up to 2^53"
    )]
    let rss = process::rss_bytes().map(|bytes| bytes as f64);
    let cpu = process::cpu_time().map(|time| time.as_secs_f64());
    let uptime = Some(uptime.as_secs_f64());
    let mut families = Vec::new();
    for (name, value) in [
        (collector::PROCESS_CPU, cpu),
        (collector::PROCESS_RSS, rss),
        (collector::PROCESS_UPTIME, uptime),
    ] {
        let Some(value) = value else { continue };
        let (meaning, kind) = (name.meaning, name.kind_word());
        families.extend(name.spelled(mode).map(|spelled| {
            format!("# HELP {spelled} {meaning}\n# TYPE {spelled} {kind}\n{spelled} {value}\n")
        }));
    }
    families
}
