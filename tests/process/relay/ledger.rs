//! The books of a relay, and whether they balance.

use serde_json::Value;

/// The books, in spans, as `/api/v1/ledger` gives them; of destinations, all together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) received: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) rejected: u64,
    pub(crate) sampled_out: u64,
    pub(crate) undecided: u64,
    pub(crate) forwarded: u64,
    pub(crate) exported: u64,
    pub(crate) rejected_by_destination: u64,
    pub(crate) lost: u64,
    pub(crate) held: u64,
}

// === impl Ledger ===

impl Ledger {
    pub(super) fn read(document: &Value) -> Self {
        let number = |key: &str| document[key].as_u64().unwrap();
        let mut ledger = Self {
            received: number("received"),
            accepted: number("accepted"),
            refused: number("refused"),
            rejected: number("rejected"),
            sampled_out: number("sampled_out"),
            undecided: number("undecided"),
            forwarded: number("forwarded"),
            ..Self::default()
        };
        for account in document["destinations"].as_object().unwrap().values() {
            let number = |key: &str| account[key].as_u64().unwrap();
            ledger.exported += number("exported");
            ledger.rejected_by_destination += number("rejected_by_destination");
            ledger.held += number("held");
            let lost = account["lost"].as_object().unwrap();
            ledger.lost += lost
                .values()
                .map(|spans| spans.as_u64().unwrap())
                .sum::<u64>();
        }
        ledger
    }

    /// Every equation of the ledger, computed apart from the relay's own check, with one destination.
    pub(super) fn assert_balanced(&self) {
        let came = self.accepted + self.refused + self.rejected;
        let went = self.sampled_out + self.undecided + self.forwarded;
        let booked = self.exported + self.rejected_by_destination + self.lost + self.held;
        assert_eq!(self.received, came, "{self:?}");
        assert_eq!(self.accepted, went, "{self:?}");
        assert_eq!(self.forwarded, booked, "{self:?}");
    }
}
