//! The harness can fail: a test that ends well has a ledger that balances.

use std::sync::Arc;

use otlp_relay::metrics::{DestinationTotals, Totals, Transport, TransportTotals};

use crate::support::{
    ledger::{Account, Ledger},
    relay_under_test::{Setup, assert_balanced},
};

/// Books that balance, with something in every place.
fn balanced() -> Totals {
    let jaeger = DestinationTotals {
        forwarded: 4,
        exported: 3,
        held: 1,
        ..DestinationTotals::default()
    };
    let grpc = TransportTotals {
        accepted: 6,
        refused: 2,
        failed: 0,
        rejected: 1,
    };
    Totals {
        received: 9,
        accepted: 6,
        refused: 2,
        rejected: 1,
        sampled_out: 2,
        undecided: 0,
        forwarded: 4,
        transports: [(Transport::Grpc, grpc)].into(),
        destinations: [(Arc::from("jaeger"), jaeger)].into(),
    }
}

#[test]
fn an_imbalance_in_any_equation_is_noticed() {
    assert_balanced(&balanced());
    let spoil: [fn(&mut Totals); 4] = [
        |totals| totals.received += 1,
        |totals| totals.sampled_out -= 1,
        |totals| {
            totals
                .destinations
                .values_mut()
                .for_each(|one| one.exported += 1);
        },
        |totals| {
            totals
                .transports
                .values_mut()
                .for_each(|one| one.refused += 1);
        },
    ];
    for (number, spoil) in spoil.into_iter().enumerate() {
        let mut totals = balanced();
        spoil(&mut totals);
        let judged = std::panic::catch_unwind(|| assert_balanced(&totals));
        assert!(judged.is_err(), "equation {number}");
    }
}

/// What the tests of the process and those beside real parts read of the admin port.
#[test]
fn an_imbalance_in_what_the_admin_port_tells_is_noticed() {
    let ledger = |received, accepted, forwarded, exported| {
        let account = Account {
            forwarded,
            exported,
            ..Account::default()
        };
        Ledger {
            received,
            accepted,
            forwarded,
            destinations: [("jaeger".to_owned(), account)].into(),
            ..Ledger::default()
        }
    };
    assert_eq!(ledger(3, 3, 3, 3).imbalance(), None);
    for (wrong, name) in [
        (ledger(4, 3, 3, 3), "received"),
        (ledger(3, 3, 2, 2), "accepted"),
        (ledger(3, 3, 3, 2), "jaeger"),
    ] {
        assert_eq!(wrong.imbalance().as_deref(), Some(name));
    }
}

#[tokio::test]
#[should_panic(expected = "a test ends with `stop`")]
async fn a_relay_that_nobody_stopped_is_noticed() {
    drop(Setup::quick().start());
}
