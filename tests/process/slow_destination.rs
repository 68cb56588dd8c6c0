//! A destination that answers just within its timeout: it sets the pace, the queue fills, clients wait and are refused;
//! nothing times out and nothing is sent twice (acceptance case A04).

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    load::{Load, Offer, Told, assert_only_told, invented, missing, spans, taken_or_refused, told},
    relay::{Launch, figure},
    support::fake_backend::Answer,
    witness::Witness,
};

const CONCURRENCY: u64 = 4;
const SPANS: u64 = 10;
const WAIT_MAX: Duration = Duration::from_secs(1);
/// How often every place at the destination is taken.
const ROUNDS: u32 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a04_a_slow_destination_sets_the_pace_and_nothing_times_out() {
    // The case: 4 s of 5 s. A machine that halts for a second would then be told from a relay that does, so by default there
    // is more between the two.
    let (answers_after, timeout) = figure((2, 30), (4, 5));
    let answers_after = Duration::from_secs(answers_after);
    let witness = Witness::start().await;
    witness.answer(Answer::TakeAfter(answers_after));
    let destination = format!(", timeout: {timeout}s, concurrency: {CONCURRENCY}");
    let relay = Launch::new(
        "slow-destination",
        &format!(
            "queue: {{ bytes_max: 256KiB, wait_max: 1s }}\nbatch: {{ spans: {SPANS} }}\n{}",
            witness.as_destination(&destination)
        ),
    )
    .start()
    .await;
    let start = Instant::now();
    let offer = Offer {
        senders: 32,
        spans: SPANS,
        pause: Duration::from_millis(20),
        series: 0,
    };
    let load = Load::start(&relay, offer);
    sleep(answers_after * ROUNDS).await;
    let sent = load.stop().await;
    let ledger = relay.ledger().await;
    let rounds = start.elapsed().as_secs_f64() / answers_after.as_secs_f64();

    assert_only_told(&sent, taken_or_refused);
    let refused: Vec<_> = told(&sent, |told| matches!(told, Told::ComeAgain(_))).collect();
    assert!(!refused.is_empty(), "the queue was full");
    for sent in refused {
        assert!(sent.took >= WAIT_MAX, "it waited for room: {:?}", sent.took);
    }
    // Each place is used again as soon as it is free, and no faster.
    let exported = ledger.exported() as f64 / (CONCURRENCY * SPANS) as f64;
    println!("{rounds:.2} rounds, {exported:.2} of them exported");
    assert!(exported <= rounds, "{exported} rounds of {rounds}");
    assert!(
        exported >= f64::from(ROUNDS) / 2.0,
        "{exported} rounds of {rounds}"
    );

    witness.answer(Answer::Take);
    let ledger = relay.until_settled().await;
    let seen = witness.seen();
    assert_eq!(ledger.accepted, spans(&sent, |told| *told == Told::Taken));
    assert_eq!(ledger.exported(), ledger.accepted);
    assert_eq!(missing(&sent, &seen), []);
    assert_eq!(invented(&sent, &seen), 0);
    let twice = seen.values().filter(|&&times| times > 1).count();
    assert_eq!(twice, 0, "nothing was sent again");
    assert!(relay.stop().await.status.success());
}
