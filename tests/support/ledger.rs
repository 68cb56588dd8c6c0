//! The books of a relay as its admin port tells them, and whether they balance: computed apart from the relay's own check.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The books, in spans, as `/api/v1/ledger` gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Ledger {
    pub received: u64,
    pub accepted: u64,
    pub refused: u64,
    pub rejected: u64,
    pub sampled_out: u64,
    pub undecided: u64,
    pub forwarded: u64,
    pub destinations: BTreeMap<String, Account>,
}

/// The part of one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Account {
    pub forwarded: u64,
    pub exported: u64,
    pub rejected_by_destination: u64,
    /// By why they were.
    pub lost: BTreeMap<String, u64>,
    pub held: u64,
}

// === impl Ledger ===

impl Ledger {
    /// The first equation that does not hold: what came, what was accepted, or a destination by its name.
    pub fn imbalance(&self) -> Option<String> {
        let came = self.accepted + self.refused + self.rejected;
        let went = self.sampled_out + self.undecided + self.forwarded;
        if self.received != came {
            return Some("received".to_owned());
        }
        if self.accepted != went {
            return Some("accepted".to_owned());
        }
        let unbalanced = |account: &Account| account.forwarded != account.booked();
        let mut accounts = self.destinations.iter();
        accounts.find_map(|(name, account)| unbalanced(account).then(|| name.clone()))
    }

    pub fn assert_balanced(&self) {
        assert_eq!(self.imbalance(), None, "{self:?}");
    }

    /// Balanced, and every destination has everything that was forwarded.
    pub fn assert_all_exported(&self) {
        self.assert_balanced();
        for (name, account) in &self.destinations {
            assert_eq!(account.forwarded, self.forwarded, "{name}: {self:?}");
            assert_eq!(account.exported, self.forwarded, "{name}: {self:?}");
        }
    }

    /// Of all destinations.
    pub fn exported(&self) -> u64 {
        self.sum(|account| account.exported)
    }

    /// Of all destinations.
    pub fn rejected_by_destination(&self) -> u64 {
        self.sum(|account| account.rejected_by_destination)
    }

    /// Of all destinations, for whatever reason.
    pub fn lost(&self) -> u64 {
        self.sum(Account::lost)
    }

    /// Of all destinations.
    pub fn held(&self) -> u64 {
        self.sum(|account| account.held)
    }

    fn sum(&self, of: impl Fn(&Account) -> u64) -> u64 {
        self.destinations.values().map(of).sum()
    }
}

impl Account {
    fn lost(&self) -> u64 {
        self.lost.values().sum()
    }

    fn booked(&self) -> u64 {
        self.exported + self.rejected_by_destination + self.lost() + self.held
    }
}
