//! A destination that is away: what fits the queue is kept and arrives, what does not is refused, and memory stays as it is
//! (acceptance cases A02 and A03). And one that answers without an end (A18).

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    load::{Load, Offer, Sent, Told, assert_only_told, invented, missing, spans, taken_or_refused},
    relay::{Launch, PATIENCE, RSS_BESIDE_BYTES, Relay, at_most, figure},
    support::{fake_backend::Answer, ledger::Ledger},
    witness::Witness,
};

/// The least that sixteen MiB of a request allow.
const BUDGET_BYTES: u64 = 64 << 20;
/// `retry.max`.
const BACKOFF_MAX: Duration = Duration::from_secs(3);
/// Beside what the queue holds, in bytes: an allocator's own pages.
const RSS_RISE_MAX: u64 = 16 << 20;

const OFFER: Offer = Offer {
    senders: 8,
    spans: 20,
    pause: Duration::from_millis(50),
    series: 0,
};

/// Nothing that was taken is missing, and nothing came that nobody sent.
async fn assert_all_arrived(relay: &Relay, witness: &Witness, sent: &[Sent]) {
    let ledger = relay.until_settled().await;
    assert_only_told(sent, taken_or_refused);
    assert_eq!(ledger.accepted, spans(sent, |told| *told == Told::Taken));
    assert_eq!((ledger.exported(), ledger.lost()), (ledger.accepted, 0));
    let seen = witness.seen();
    assert_eq!(missing(sent, &seen), []);
    assert_eq!(invented(sent, &seen), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a02_what_is_taken_in_an_outage_arrives_after_it() {
    let witness = Witness::start().await;
    let relay = Launch::new("outage", &witness.as_destination(""))
        .start()
        .await;
    let load = Load::start(&relay, OFFER);
    sleep(Duration::from_secs(1)).await;
    witness.cut();
    let before = relay.ledger().await.exported();
    sleep(Duration::from_secs(figure(5, 60))).await;
    let during = relay.ledger().await;
    witness.restore().await;
    let restored = Instant::now();
    relay
        .until("something is delivered again", |ledger| {
            ledger.exported() > during.exported()
        })
        .await;
    let took = restored.elapsed();
    println!(
        "{} spans held, delivery goes on after {took:?}",
        during.held()
    );
    assert!(
        during.held() > 0 && during.exported() <= before + 2 * 512,
        "it was away"
    );
    assert!(
        took < at_most(BACKOFF_MAX + Duration::from_millis(500)),
        "{took:?}"
    );
    let sent = load.stop().await;
    assert_only_told(&sent, |told| *told == Told::Taken);
    assert_all_arrived(&relay, &witness, &sent).await;
    assert!(relay.stop().await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a03_from_when_the_queue_is_full_clients_are_refused_and_memory_stays() {
    let witness = Witness::start().await;
    let settings = format!(
        "queue: {{ bytes_max: 4MiB, wait_max: 200ms }}\n{}",
        witness.as_destination("")
    );
    let relay = Launch::new("full", &settings).start().await;
    witness.cut();
    let offer = Offer {
        pause: Duration::from_millis(1),
        ..OFFER
    };
    let load = Load::start(&relay, offer);
    let full = relay
        .until("the queue is full", |ledger| ledger.refused > 0)
        .await;
    let rss = relay.rss();
    relay.forget_rss_max();
    sleep(Duration::from_secs(figure(3, 30))).await;
    let later = relay.ledger().await;
    let rise = relay.rss_max().saturating_sub(rss);
    println!(
        "{} refused, {} KiB more",
        later.refused - full.refused,
        rise >> 10
    );
    assert!(later.refused > full.refused);
    assert!(rise < RSS_RISE_MAX, "{rise} bytes more");
    // There is room for no more than what is there.
    let more = later.accepted - full.accepted;
    assert!(
        more <= offer.senders * offer.spans,
        "{more} more were taken"
    );
    let sent = load.stop().await;
    witness.restore().await;
    assert_all_arrived(&relay, &witness, &sent).await;
    assert!(relay.stop().await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a18_answers_without_an_end_cost_no_memory() {
    for protocol in ["grpc", "http"] {
        let witness = Witness::start().await;
        let settings = format!(
            "budget: {{ bytes: {}MiB }}\nstore: {{ bytes_max: 0B }}\n{}",
            BUDGET_BYTES >> 20,
            witness.as_destination(&format!(", protocol: {protocol}"))
        );
        let relay = Launch::new(&format!("endless-{protocol}"), &settings)
            .start()
            .await;
        witness.answer(Answer::Endless);
        relay.forget_rss_max();
        let rss = relay.rss();
        let load = Load::start(&relay, OFFER);
        let fate = |ledger: &Ledger| ledger.exported() + ledger.rejected_by_destination();
        relay
            .until("some have a fate", |ledger| fate(ledger) > 0)
            .await;
        sleep(Duration::from_secs(1)).await;
        let sent = load.stop().await;
        witness.answer(Answer::Take);
        let ledger = relay.until_settled().await;
        let rise = relay.rss_max().saturating_sub(rss);
        println!(
            "{protocol}: {} spans, {} KiB more",
            ledger.received,
            rise >> 10
        );
        assert_only_told(&sent, |told| *told == Told::Taken);
        assert_eq!(fate(&ledger), ledger.accepted);
        // Four answers at once, each cut at 4 MiB, in buffers that double as they grow.
        assert!(rise < BUDGET_BYTES, "{rise} bytes more");
        assert!(relay.rss_max() < BUDGET_BYTES + RSS_BESIDE_BYTES);
        assert!(relay.stop().await.took < PATIENCE);
    }
}
