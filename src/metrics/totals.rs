//! The books as they stand at one moment, and the equations that hold in them.
//!
//! It books nothing: `ledger` does.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use super::{Loss, Transport};

/// The books at one moment, in spans.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Spans in bodies that were scanned.
    pub received: u64,
    /// Spans whose request was answered OK, less those rejected.
    pub accepted: u64,
    /// Spans whose request was refused.
    pub refused: u64,
    /// Spans that were refused one by one.
    pub rejected: u64,
    /// Accepted spans that sampling dropped.
    pub sampled_out: u64,
    /// Accepted spans held until their trace is decided.
    pub undecided: u64,
    /// Accepted spans that went on to the destinations.
    pub forwarded: u64,
    /// Accepted, refused and rejected by transport.
    pub transports: BTreeMap<Transport, TransportTotals>,
    /// The account of each destination that exists or has existed.
    pub destinations: BTreeMap<Arc<str>, DestinationTotals>,
}

/// What one transport brought, in spans.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TransportTotals {
    /// See [`Totals::accepted`].
    pub accepted: u64,
    /// See [`Totals::refused`].
    pub refused: u64,
    /// Of those refused, the ones refused because of a fault of the relay.
    pub failed: u64,
    /// See [`Totals::rejected`].
    pub rejected: u64,
}

/// The account of one destination, in spans.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DestinationTotals {
    /// Spans forwarded while it existed.
    pub forwarded: u64,
    /// Spans it has.
    pub exported: u64,
    /// Spans it would not have.
    pub rejected_by_destination: u64,
    /// Spans lost, by reason.
    pub lost: BTreeMap<Loss, u64>,
    /// Spans queued or on their way.
    pub held: u64,
}

/// What all destinations settled in a while, in spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Spans that destinations have taken.
    pub delivered: u64,
    /// Spans that they would not have.
    pub rejected: u64,
    /// Spans lost.
    pub lost: u64,
}

impl Totals {
    /// The first equation that does not hold, in words; `None` when the books balance.
    pub fn imbalance(&self) -> Option<String> {
        let came = self.accepted + self.refused + self.rejected;
        if self.received != came {
            return Some(format!(
                "received {} is not accepted + refused + rejected {came}",
                self.received
            ));
        }
        let went = self.sampled_out + self.undecided + self.forwarded;
        if self.accepted != went {
            return Some(format!(
                "accepted {} is not sampled_out + undecided + forwarded {went}",
                self.accepted
            ));
        }
        self.destinations
            .iter()
            .find_map(|(name, account)| account.imbalance(name))
    }

    /// What was settled since `earlier`.
    pub fn settled_since(&self, earlier: &Self) -> Settled {
        let (now, before) = (self.settled(), earlier.settled());
        Settled {
            delivered: now.delivered - before.delivered,
            rejected: now.rejected - before.rejected,
            lost: now.lost - before.lost,
        }
    }

    fn settled(&self) -> Settled {
        let mut settled = Settled::default();
        for account in self.destinations.values() {
            settled.delivered += account.exported;
            settled.rejected += account.rejected_by_destination;
            settled.lost += account.lost_total();
        }
        settled
    }
}

impl DestinationTotals {
    /// The spans lost for any reason.
    pub fn lost_total(&self) -> u64 {
        self.lost.values().sum()
    }

    fn imbalance(&self, name: &str) -> Option<String> {
        let booked = self.exported + self.rejected_by_destination + self.lost_total() + self.held;
        (self.forwarded != booked).then(|| {
            format!(
                "{name}: forwarded {} is not exported + rejected_by_destination + lost + held {booked}",
                self.forwarded
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_imbalance_is_found_in_each_equation() {
        let broken = [
            Totals {
                received: 1,
                ..Totals::default()
            },
            Totals {
                received: 1,
                accepted: 1,
                ..Totals::default()
            },
            Totals {
                destinations: [(
                    Arc::from("jaeger"),
                    DestinationTotals {
                        forwarded: 1,
                        ..DestinationTotals::default()
                    },
                )]
                .into(),
                ..Totals::default()
            },
        ];
        for totals in broken {
            assert!(totals.imbalance().is_some(), "{totals:?}");
        }
    }
}
