//! Ten times as much as the destination takes, for long: memory stays within its bound, whoever is refused is told so, and
//! the admin port answers meanwhile (acceptance cases A09 and A38).

use std::{collections::BTreeMap, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    load::{
        Load, Offer, Over, Sender, Told, assert_only_told, invented, missing, spans,
        taken_or_refused,
    },
    relay::{Launch, PATIENCE, RSS_BESIDE_BYTES, Relay, STORE_BYTES, at_most, figure},
    support::{fake_backend::Answer, generate::request},
    witness::Witness,
};
use prost::Message;

/// Room for the queue, and for a window and a body of every sender, so that each has a connection from its first request on.
const BUDGET_BYTES: u64 = 128 << 20;
const SPANS: u64 = 50;
/// The destination takes 4 requests of at most 500 spans at once, each in this time: 5,000 spans a second.
const ANSWERS_AFTER: Duration = Duration::from_millis(400);
/// Senders without a pause keep the relay full: each waits for its refusal, and comes again.
const SENDERS: u64 = 200;
/// The case: until all is as before, once the load has ended.
const RECOVERS_WITHIN: Duration = Duration::from_secs(30);
/// The case: for each answer of the admin port.
const ADMIN_ANSWERS_WITHIN: Duration = Duration::from_millis(200);
/// Between two looks at the gauges, and two rounds of questions.
const LOOK: Duration = Duration::from_millis(100);

/// What was seen while it went on.
#[derive(Debug, Default)]
struct Observed {
    budget_most: f64,
    rss_most: u64,
    slowest: BTreeMap<&'static str, Duration>,
}

impl Observed {
    /// Looks for as long as this.
    async fn during(relay: &mut Relay, lasts: Duration) -> Self {
        let mut observed = Self::default();
        let end = Instant::now() + lasts;
        while Instant::now() < end {
            observed.budget_most = observed.budget_most.max(relay.budget_used().await);
            observed.rss_most = observed.rss_most.max(relay.rss());
            for path in [
                "/livez",
                "/readyz",
                "/metrics",
                "/api/v1/ledger",
                "/api/v1/traces",
            ] {
                let asked = Instant::now();
                let answer = relay.get(path).await;
                let took = asked.elapsed();
                assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
                let slowest = observed.slowest.entry(path).or_default();
                *slowest = took.max(*slowest);
            }
            relay.assert_running();
            sleep(LOOK).await;
        }
        observed
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a09_a38_ten_times_the_load_stays_within_the_budget_and_the_admin_port_answers() {
    let lasts = Duration::from_secs(figure(60, 600));
    let witness = Witness::start().await;
    witness.answer(Answer::TakeAfter(ANSWERS_AFTER));
    let settings = format!(
        "budget: {{ bytes: {}MiB }}\nqueue: {{ bytes_max: 16MiB, wait_max: 1s }}\nbatch: {{ spans: 500 }}\n{}",
        BUDGET_BYTES >> 20,
        witness.as_destination(", spans_in_flight_max: 2000")
    );
    let mut relay = Launch::new("overload", &settings).start().await;
    let offer = Offer {
        senders: SENDERS,
        spans: SPANS,
        pause: Duration::ZERO,
        series: 0,
    };
    let load = Load::start(&relay, offer);
    let observed = Observed::during(&mut relay, lasts).await;
    let sent = load.stop().await;
    let stopped = Instant::now();

    println!("{observed:?}");
    let mebibytes = |bytes: u64| bytes >> 20;
    let (taken, offered) = (
        spans(&sent, |told| *told == Told::Taken),
        spans(&sent, |_| true),
    );
    println!("{taken} of {offered} spans taken in {lasts:?}");
    assert_only_told(&sent, taken_or_refused);
    assert!(taken < offered, "it was full");
    assert!(
        observed.budget_most <= BUDGET_BYTES as f64,
        "{} bytes",
        observed.budget_most
    );
    let rss_max = BUDGET_BYTES + STORE_BYTES + RSS_BESIDE_BYTES;
    let rss = observed.rss_most;
    assert!(
        rss <= rss_max,
        "{} MiB of {}",
        mebibytes(rss),
        mebibytes(rss_max)
    );
    for (path, took) in observed.slowest {
        assert!(took < at_most(ADMIN_ANSWERS_WITHIN), "{path} took {took:?}");
    }

    // Back to normal: nothing is held, and a request is taken without waiting.
    witness.answer(Answer::Take);
    let sender = Sender::new(Over::Grpc, relay.grpc());
    let body = request("load", 1 << 62, SPANS).encode_to_vec();
    assert_eq!(sender.send(body.into()).await, Told::Taken);
    let ledger = relay.until_settled().await;
    let recovered = stopped.elapsed();
    println!("as before after {recovered:?}");
    assert!(
        recovered < at_most(RECOVERS_WITHIN).min(PATIENCE),
        "{recovered:?}"
    );
    let seen = witness.seen();
    assert_eq!(missing(&sent, &seen), []);
    assert_eq!(
        invented(&sent, &seen),
        usize::try_from(SPANS).unwrap(),
        "the last request"
    );
    assert_eq!(ledger.accepted, taken + SPANS);
    assert_eq!((ledger.exported(), ledger.lost()), (ledger.accepted, 0));
    assert!(relay.stop().await.status.success());
}
