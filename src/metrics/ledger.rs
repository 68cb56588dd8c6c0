//! Booking: each span is counted exactly once, and the equations of [`Totals::imbalance`] hold at any moment.
//!
//! One lock, taken once per request and once per answer of a destination, keeps what belongs together together: no
//! reader ever sees a span that was accepted and is nowhere.

use std::sync::Arc;

use serde::Serialize;

use super::totals::{DestinationTotals, Totals};
use crate::sync::{Mutex, MutexGuard};

/// Different names of destinations at most since the start. An account outlives its destination, and a configuration that
/// is edited again and again could name ever new ones; those beyond have one account together.
pub(super) const DESTINATIONS_MAX: usize = 1000;
/// All destinations beyond the first [`DESTINATIONS_MAX`].
pub(super) const OTHER: &str = "other";

/// How a request came in; the label `transport`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP.
    Http,
}

impl Transport {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Grpc, Self::Http];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

/// Why spans were lost after they had been accepted; the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The queue of a destination that is not required was full.
    QueueFull,
    /// Older than `retry.give_up_after`.
    Expired,
    /// Its destination was removed from the configuration and did not take it in time.
    Removed,
    /// A single span that no longer fits one message.
    TooLarge,
    /// It failed again and again while others were delivered.
    Undeliverable,
    /// Not delivered when the shutdown deadline came.
    Shutdown,
    /// A fault of the relay: spans were dropped without a fate.
    Internal,
}

impl Loss {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::QueueFull,
        Self::Expired,
        Self::Removed,
        Self::TooLarge,
        Self::Undeliverable,
        Self::Shutdown,
        Self::Internal,
    ];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Expired => "expired",
            Self::Removed => "removed",
            Self::TooLarge => "too_large",
            Self::Undeliverable => "undeliverable",
            Self::Shutdown => "shutdown",
            Self::Internal => "internal",
        }
    }
}

/// What became of spans that a destination held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The destination has them.
    Exported,
    /// The destination answered that it will not have them.
    RejectedByDestination,
    /// Lost, and why.
    Lost(Loss),
}

/// What was decided about one request's spans, committed in one piece when the request is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Spans in the body.
    pub received: u64,
    /// Spans without usable ids, or too large to be sent.
    pub rejected: u64,
    /// Spans that sampling dropped.
    pub sampled_out: u64,
    /// Spans that go on to the destinations.
    pub forwarded: u64,
}

/// The account of every span since the start.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    totals: Arc<Mutex<Totals>>,
}

impl Ledger {
    /// Books a request that was scanned and refused whole.
    pub fn refuse(&self, transport: Transport, spans: u64) {
        self.book_refusal(transport, spans, 0);
    }

    /// Books a request that was scanned and refused whole because of a fault of the relay.
    pub fn fail(&self, transport: Transport, spans: u64) {
        self.book_refusal(transport, spans, spans);
    }

    /// Books an accepted request; each of `destinations` holds its forwarded spans from now on. The caller makes the
    /// spans visible to the destinations only afterwards, so that no fate comes before its span.
    pub fn accept<'a>(
        &self,
        transport: Transport,
        tally: Tally,
        destinations: impl IntoIterator<Item = &'a Arc<str>>,
    ) {
        debug_assert_eq!(
            tally.received,
            tally.rejected + tally.sampled_out + tally.forwarded,
            "a tally balances by itself"
        );
        let accepted = tally.received - tally.rejected;
        let mut totals = self.lock();
        totals.received += tally.received;
        totals.accepted += accepted;
        totals.rejected += tally.rejected;
        totals.sampled_out += tally.sampled_out;
        totals.forwarded += tally.forwarded;
        let by_transport = totals.transports.entry(transport).or_default();
        by_transport.accepted += accepted;
        by_transport.rejected += tally.rejected;
        if tally.forwarded == 0 {
            return;
        }
        for name in destinations {
            let account = account(&mut totals, name);
            account.forwarded += tally.forwarded;
            account.held += tally.forwarded;
        }
    }

    /// Books what became of spans that `destination` held.
    pub fn settle(&self, destination: &Arc<str>, fate: Fate, spans: u64) {
        if spans == 0 {
            return;
        }
        let mut totals = self.lock();
        let account = account(&mut totals, destination);
        debug_assert!(account.held >= spans, "a fate belongs to held spans");
        account.held = account.held.saturating_sub(spans);
        match fate {
            Fate::Exported => account.exported += spans,
            Fate::RejectedByDestination => account.rejected_by_destination += spans,
            Fate::Lost(reason) => *account.lost.entry(reason).or_default() += spans,
        }
    }

    /// Opens the account of a destination, so that it shows before its first span.
    pub fn open(&self, destination: &Arc<str>) {
        account(&mut self.lock(), destination);
    }

    /// The books at this moment.
    pub fn totals(&self) -> Totals {
        self.lock().clone()
    }

    fn book_refusal(&self, transport: Transport, refused: u64, failed: u64) {
        let mut totals = self.lock();
        totals.received += refused;
        totals.refused += refused;
        let by_transport = totals.transports.entry(transport).or_default();
        by_transport.refused += refused;
        by_transport.failed += failed;
    }

    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.totals
            .lock()
            .expect("no code path panics while it holds the books")
    }
}

fn account<'a>(totals: &'a mut Totals, name: &Arc<str>) -> &'a mut DestinationTotals {
    let accounts = &mut totals.destinations;
    let name = if accounts.contains_key(name) || accounts.len() < DESTINATIONS_MAX {
        Arc::clone(name)
    } else {
        OTHER.into()
    };
    accounts.entry(name).or_default()
}

#[cfg(test)]
mod tests {
    use super::{super::Settled, *};

    #[test]
    fn every_span_is_in_one_place() {
        let ledger = Ledger::default();
        let jaeger: Arc<str> = "jaeger".into();
        ledger.refuse(Transport::Http, 3);
        let tally = Tally {
            received: 10,
            rejected: 1,
            sampled_out: 4,
            forwarded: 5,
        };
        ledger.accept(Transport::Grpc, tally, [&jaeger]);
        ledger.settle(&jaeger, Fate::Exported, 3);
        ledger.settle(&jaeger, Fate::Lost(Loss::Expired), 1);

        let totals = ledger.totals();
        assert_eq!(totals.imbalance(), None);
        assert_eq!(
            (totals.received, totals.accepted, totals.refused),
            (13, 9, 3)
        );
        assert_eq!(totals.destinations[&jaeger].held, 1);
    }

    #[test]
    fn what_was_settled_in_a_while_is_told_of_all_destinations() {
        let ledger = Ledger::default();
        let [jaeger, tempo]: [Arc<str>; 2] = ["jaeger".into(), "tempo".into()];
        let tally = Tally {
            received: 10,
            forwarded: 10,
            ..Tally::default()
        };
        ledger.accept(Transport::Grpc, tally, [&jaeger, &tempo]);
        ledger.settle(&jaeger, Fate::Lost(Loss::Expired), 4);
        let before = ledger.totals();
        ledger.settle(&jaeger, Fate::Exported, 5);
        ledger.settle(&jaeger, Fate::Lost(Loss::Shutdown), 1);
        ledger.settle(&tempo, Fate::RejectedByDestination, 3);
        ledger.settle(&tempo, Fate::Lost(Loss::Expired), 2);
        let expected = Settled {
            delivered: 5,
            rejected: 3,
            lost: 3,
        };
        assert_eq!(ledger.totals().settled_since(&before), expected);
    }

    #[test]
    fn ever_new_destinations_share_one_account() {
        let ledger = Ledger::default();
        let tally = Tally {
            received: 1,
            forwarded: 1,
            ..Tally::default()
        };
        let names = (0..1_100).map(|number| Arc::<str>::from(format!("destination {number}")));
        let names: Vec<_> = names.collect();
        for name in &names {
            ledger.accept(Transport::Grpc, tally, [name]);
        }
        ledger.settle(&names[1_050], Fate::Exported, 1);
        ledger.settle(&names[7], Fate::Exported, 1);
        let totals = ledger.totals();
        assert_eq!(totals.imbalance(), None);
        assert_eq!(totals.destinations.len(), 1_001);
        assert_eq!(totals.destinations[OTHER].held, 99);
        assert_eq!(totals.destinations[&names[7]].held, 0);
    }
}
