//! A megabyte of gzip that says a gibibyte: refused as too large, once and a hundred times at once, within the memory that
//! the contract allows (acceptance case A10).

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use prost::Message;
use tokio::task::JoinSet;

use crate::{
    load::{Over, Sender, Told},
    relay::{Launch, RSS_BESIDE_BYTES, STORE_BYTES, figure},
    support::generate::request,
    witness::Witness,
};

const GIBIBYTE: usize = 1 << 30;
const REQUEST_BYTES_MAX: u64 = 16 << 20;
const BUDGET_BYTES: u64 = 128 << 20;
/// The case: beside the limit.
const RISE_BESIDE_BYTES: u64 = 8 << 20;
const AT_ONCE: u64 = 100;

/// A gibibyte of zeros, compressed as well as gzip can.
fn bomb() -> Bytes {
    let zeros = vec![0; 1 << 20];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..GIBIBYTE / zeros.len() {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 2 << 20, "{} bytes", bomb.len());
    bomb.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a10_a_gibibyte_in_a_megabyte_is_too_large_and_costs_little_memory() {
    let witness = Witness::start().await;
    let settings = format!(
        "budget: {{ bytes: {}MiB }}\nreceivers: {{ request_bytes_max: {}MiB }}\n{}",
        BUDGET_BYTES >> 20,
        REQUEST_BYTES_MAX >> 20,
        witness.as_destination("")
    );
    let relay = Launch::new("bombs", &settings).start().await;
    // All have a connection before the first bomb: while the budget is full of bombs, it has no room for another's window.
    let mut senders = Vec::new();
    for number in 0..AT_ONCE {
        let (over, to) = match number % 2 {
            0 => (Over::Grpc, relay.grpc()),
            _ => (Over::Http, relay.http()),
        };
        let sender = Sender::new(over, to);
        let body = request("load", number * 10, 10).encode_to_vec();
        assert_eq!(sender.send(body.into()).await, Told::Taken, "{over:?}");
        senders.push(sender);
    }
    relay.until_settled().await;

    let bomb = bomb();
    for round in 0..3 {
        for sender in &senders[..2] {
            relay.forget_rss_max();
            let before = relay.rss();
            let told = sender.send_encoded(bomb.clone(), Some("gzip")).await;
            assert_eq!(told, Told::TooLarge, "{sender:?}");
            let rise = relay.rss_max().saturating_sub(before);
            println!("round {round}: {} KiB more", rise >> 10);
            // 18 to 22 MiB were seen at a limit of 16.
            let rise_max = REQUEST_BYTES_MAX + figure(2 * RISE_BESIDE_BYTES, RISE_BESIDE_BYTES);
            assert!(rise <= rise_max, "{rise} bytes more");
        }
    }

    let mut thrown = JoinSet::new();
    for sender in &senders {
        let (sender, bomb) = (sender.clone(), bomb.clone());
        thrown.spawn(async move { sender.send_encoded(bomb, Some("gzip")).await });
    }
    let told = thrown.join_all().await;
    let count = |is: fn(&Told) -> bool| told.iter().filter(|told| is(told)).count() as u64;
    let too_large = count(|told| *told == Told::TooLarge);
    let others = count(|told| matches!(told, Told::ComeAgain(_) | Told::Nothing));
    let rss = relay.rss_max();
    println!("{too_large} too large, {others} not; {} MiB", rss >> 20);
    // One may wait for the budget in vain meanwhile, and one that goes on sending for two seconds after its answer has its
    // connection closed before it has read it.
    assert_eq!(too_large + others, AT_ONCE, "{told:?}");
    assert!(too_large >= AT_ONCE * 9 / 10, "{told:?}");
    let rss_max = BUDGET_BYTES + STORE_BYTES + RSS_BESIDE_BYTES;
    assert!(rss <= rss_max, "{rss} bytes of {rss_max}");

    for (number, sender) in (AT_ONCE..).zip(&senders[..2]) {
        let body = request("load", number * 10, 10).encode_to_vec();
        assert_eq!(sender.send(body.into()).await, Told::Taken, "{sender:?}");
    }
    let ledger = relay.until_settled().await;
    assert_eq!(ledger.received, (AT_ONCE + 2) * 10);
    assert_eq!(ledger.exported(), ledger.received);
    assert!(relay.stop().await.status.success());
}
