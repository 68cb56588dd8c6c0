//! `kill -9` under load: what is lost is at most what the queue held, and the next one serves at once (acceptance case A05).

use std::{fs, time::Duration};

use prost::Message;
use tokio::time::{Instant, sleep};

use crate::{
    load::{
        Load, Offer, Over, Sender, Sent, Told, assert_only_told, invented, missing,
        taken_or_refused,
    },
    relay::{Launch, PATIENCE, Relay, at_most, figure},
    support::{fake_backend::Answer, generate::request},
    witness::Witness,
};

const QUEUE_BYTES_MAX: u64 = 256 << 10;
const SPANS: u64 = 20;
/// The case: until it serves again.
const SERVES_WITHIN: Duration = Duration::from_secs(2);
/// A kill comes at any time within this, in milliseconds.
const LIVES_MAX_MS: u64 = 600;
/// The numbers of the spans that ask whether it serves again.
const PROBES: u64 = 1 << 62;

/// Sends until it is taken.
async fn probe(relay: &Relay, number: u64) -> Sent {
    let start = Instant::now();
    let first = PROBES + number * SPANS;
    let sender = Sender::new(Over::Grpc, relay.grpc());
    loop {
        let body = request("load", first, SPANS).encode_to_vec();
        if sender.send(body.into()).await == Told::Taken {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "it does not serve");
    }
    Sent {
        first,
        spans: SPANS,
        told: Told::Taken,
        took: start.elapsed(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a05_kill_9_under_load_loses_at_most_what_the_queue_held() {
    let kills = figure(10, 100);
    let witness = Witness::start().await;
    // Slow enough for something to be queued and something to be under way whenever it is killed.
    witness.answer(Answer::TakeAfter(Duration::from_millis(20)));
    let settings = format!(
        "queue: {{ bytes_max: {}KiB, wait_max: 300ms }}\n{}",
        QUEUE_BYTES_MAX >> 10,
        witness.as_destination("")
    );
    let launch = Launch::new("crash", &settings);
    let folder = launch.folder();
    let mut relay = launch.start().await;
    let mut sent = Vec::new();
    let (mut lost, mut lost_most, mut slowest) = (0, 0, Duration::ZERO);
    let mut chance = 0x5eed_u64;
    for number in 0..kills {
        let offer = Offer {
            senders: 8,
            spans: SPANS,
            pause: Duration::from_millis(2),
            series: number,
        };
        let load = Load::start(&relay, offer);
        chance = chance.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        sleep(Duration::from_millis((chance >> 33) % LIVES_MAX_MS)).await;
        let killed = Instant::now();
        relay.kill_and_start_again().await;
        sent.push(probe(&relay, number).await);
        slowest = slowest.max(killed.elapsed());
        sent.extend(load.stop().await);

        // What the new one took is delivered; what the old one took and is missing was in its queue.
        relay.until_settled().await;
        let missing = missing(&sent, &witness.seen());
        let lost_of_all: u64 = missing
            .iter()
            .map(|(sent, _)| request("load", sent.first, SPANS).encoded_len() as u64)
            .sum();
        let lost_now = lost_of_all - lost;
        assert!(
            lost_now <= QUEUE_BYTES_MAX,
            "kill {number}: {lost_now} bytes"
        );
        (lost, lost_most) = (lost_of_all, lost_most.max(lost_now));
    }
    println!(
        "{kills} kills: at most {lost_most} bytes lost of {QUEUE_BYTES_MAX}, served again within {slowest:?}"
    );
    assert!(
        lost_most > 0,
        "else nothing was queued, and nothing is shown"
    );
    assert!(slowest < at_most(SERVES_WITHIN), "{slowest:?}");
    assert_only_told(&sent, |told| {
        taken_or_refused(told) || *told == Told::Nothing
    });
    assert_eq!(invented(&sent, &witness.seen()), 0);
    assert!(relay.stop().await.status.success());

    let files = fs::read_dir(&folder).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    files.sort_unstable();
    assert_eq!(
        files,
        ["log", "otlp-relay.yaml"],
        "no state that could be corrupt"
    );
    let readme = fs::read_to_string("README.md").unwrap();
    assert!(
        readme.contains("loses at most what is in the queue"),
        "users are told"
    );
}
