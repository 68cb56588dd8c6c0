//! Destinations that fail: who waits, who is refused, and that nothing accepted is missing afterwards.

use std::{collections::BTreeSet, time::Duration};

use opentelemetry_proto::tonic::trace::v1::Span;
use otlp_relay::{budget::Use, metrics::Loss};
use tokio::time::{Instant, timeout};
use tonic::Code;
use tonic_types::StatusExt;

use crate::{
    PATIENCE,
    calls::{body, over_grpc, over_http, sample, send},
    client::{HttpClient, post},
    support::{
        fake_backend::{Answer, FakeBackend},
        generate,
        relay_under_test::{RelayUnderTest, Setup},
    },
};

/// A queue that is full with one request in it.
const SMALL_QUEUE: &str = "queue: { bytes_max: 1KiB, wait_max: 100ms }\n";

/// A destination that is there and takes nothing.
async fn down() -> FakeBackend {
    let backend = FakeBackend::start().await;
    backend.answer(Answer::Grpc(Code::Unavailable, None));
    backend
}

/// Sends one request of ten spans; whether it was taken, and that a refusal says when to come again.
async fn is_taken(relay: &RelayUnderTest, first: u64, over: Over) -> bool {
    let body = body("standalone", first, 10);
    match over {
        Over::Grpc => {
            let status = over_grpc(relay, &body, false).await.status();
            if status.code() == Code::Ok {
                return true;
            }
            assert_eq!(status.code(), Code::Unavailable, "{status}");
            let delay = status.get_details_retry_info().unwrap().retry_delay;
            assert!((1..=5).contains(&delay.unwrap().as_secs()), "{delay:?}");
        }
        Over::Http => {
            let answer = over_http(relay, &body, false).await;
            if answer.status == 200 {
                return true;
            }
            assert_eq!(answer.status, 503, "{}", answer.head);
            let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=5).contains(&seconds), "{seconds}");
        }
    }
    false
}

#[derive(Clone, Copy, Debug)]
enum Over {
    Grpc,
    Http,
}

fn ids(spans: impl IntoIterator<Item = Span>) -> BTreeSet<Vec<u8>> {
    spans.into_iter().map(|span| span.span_id).collect()
}

/// The ids of the spans of [`generate::request`].
fn ids_of(numbers: impl IntoIterator<Item = u64>) -> BTreeSet<Vec<u8>> {
    ids(numbers.into_iter().map(generate::span))
}

#[tokio::test]
async fn of_two_required_destinations_both_get_a_request_or_none_does() {
    let (healthy, failing) = (FakeBackend::start().await, down().await);
    let relay = Setup::quick()
        .settings(SMALL_QUEUE)
        .destination("healthy", &healthy.endpoint(), "")
        .destination("failing", &failing.endpoint(), "")
        .start();
    assert!(
        is_taken(&relay, 0, Over::Grpc).await,
        "there is room for one"
    );
    healthy.wait_for_spans(10).await;
    for over in [Over::Grpc, Over::Http] {
        let asked = Instant::now();
        assert!(!is_taken(&relay, 10, over).await, "{over:?}");
        let waited = asked.elapsed();
        assert!(waited >= Duration::from_millis(100), "{waited:?}");
    }
    let totals = relay.totals();
    assert_eq!((totals.accepted, totals.refused), (10, 20));
    for name in ["healthy", "failing"] {
        assert_eq!(totals.destinations[name].forwarded, 10, "{name}");
    }

    failing.answer(Answer::Take);
    relay.until_settled().await;
    assert!(
        is_taken(&relay, 10, Over::Http).await,
        "there is room again"
    );
    relay.until_settled().await;
    let all = ids_of(0..20);
    assert_eq!(ids(healthy.spans()), all);
    assert_eq!(ids(failing.spans()), all);
    let totals = relay.stop().await.totals;
    for account in totals.destinations.values() {
        assert_eq!((account.exported, account.lost_total()), (20, 0));
    }
}

#[tokio::test]
async fn a_destination_that_is_not_required_delays_nobody() {
    let (healthy, failing) = (FakeBackend::start().await, down().await);
    let relay = Setup::quick()
        .settings("queue: { bytes_max: 1KiB, wait_max: 60s }\nshutdown: { deadline: 500ms }\n")
        .destination("healthy", &healthy.endpoint(), "")
        .destination("failing", &failing.endpoint(), ", required: false")
        .start();
    let started = Instant::now();
    for first in 0..20 {
        assert!(is_taken(&relay, first * 10, Over::Grpc).await, "{first}");
    }
    let took = started.elapsed();
    assert!(took < PATIENCE, "nobody waited for it: {took:?}");
    healthy.wait_for_spans(200).await;
    let totals = relay.stop().await.totals;
    let (healthy, failing) = (
        &totals.destinations["healthy"],
        &totals.destinations["failing"],
    );
    assert_eq!((healthy.exported, healthy.lost_total()), (200, 0));
    assert_eq!((failing.forwarded, failing.exported), (200, 0));
    // The one that its queue held was still there at the end.
    assert_eq!(failing.lost[&Loss::QueueFull], 190);
    assert_eq!(failing.lost[&Loss::Shutdown], 10);
}

#[tokio::test]
async fn a02_after_an_outage_nothing_that_was_accepted_is_missing() {
    let before = FakeBackend::start().await;
    let address = before.address();
    let relay = Setup::quick()
        .settings("queue: { bytes_max: 64KiB, wait_max: 20ms }\n")
        .destination("jaeger", &before.endpoint(), "")
        .start();
    let mut accepted = Vec::new();
    let mut refused = 0;
    let mut arrived = BTreeSet::new();
    let mut backend = Some(before);
    for number in 0..60 {
        if number == 10 {
            let gone = backend.take().unwrap();
            arrived.extend(ids(gone.spans()));
        }
        if number == 50 {
            backend = Some(FakeBackend::start_at(address).await);
            relay.until_settled().await;
        }
        let over = [Over::Grpc, Over::Http][number % 2];
        let first = number as u64 * 10;
        if is_taken(&relay, first, over).await {
            accepted.extend(first..first + 10);
        } else {
            refused += 1;
        }
    }
    assert!(refused > 0, "the queue was full in between");
    relay.until_settled().await;
    arrived.extend(ids(backend.unwrap().spans()));
    let missing: Vec<_> = ids_of(accepted.iter().copied())
        .difference(&arrived)
        .cloned()
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let totals = relay.stop().await.totals;
    assert_eq!(totals.accepted, accepted.len() as u64);
    assert_eq!(totals.refused, refused * 10);
    assert_eq!(totals.destinations["jaeger"].exported, totals.accepted);
}

#[tokio::test]
async fn a08_at_shutdown_what_a_dead_destination_did_not_take_is_counted_as_lost() {
    let backend = down().await;
    let relay = Setup::quick()
        .settings("queue: { bytes_max: 8KiB, wait_max: 10ms }\nshutdown: { deadline: 400ms }\n")
        .destination("jaeger", &backend.endpoint(), "")
        .start();
    let mut accepted = 0;
    while is_taken(&relay, accepted, Over::Grpc).await {
        accepted += 10;
    }
    assert!(accepted > 0);
    let stopping = Instant::now();
    let ended = relay.stop().await;
    assert!(
        stopping.elapsed() < Duration::from_secs(8),
        "{:?}",
        stopping.elapsed()
    );
    assert_eq!((ended.drained.delivered, ended.drained.lost), (0, accepted));
    let account = &ended.totals.destinations["jaeger"];
    assert_eq!(account.lost[&Loss::Shutdown], accepted);
}

#[tokio::test]
async fn a07_at_shutdown_a_healthy_destination_gets_all_that_was_queued() {
    let backend = FakeBackend::start().await;
    backend.script([Answer::Grpc(Code::Unavailable, None)]);
    backend.answer(Answer::TakeAfter(Duration::from_millis(20)));
    let relay = Setup::default()
        .settings("batch: { delay: 60s, spans: 50 }\n")
        .destination("jaeger", &backend.endpoint(), ", spans_in_flight_max: 50")
        .start();
    for number in 0..40 {
        send(&relay, &generate::request("standalone", number * 7, 7)).await;
    }
    let before = relay.account("jaeger");
    let ended = relay.stop().await;
    let account = &ended.totals.destinations["jaeger"];
    assert_eq!((account.exported, account.lost_total()), (280, 0));
    assert_eq!(ended.drained.lost, 0);
    assert!(ended.drained.delivered <= before.held && ended.drained.delivered > 0);
    assert_eq!(ids(backend.spans()), ids_of(0..280));
    assert!(backend.spans_under_way_max() <= 50);
}

/// A client that has begun a request and does not go on with it.
async fn half_sent(relay: &RelayUnderTest) -> HttpClient {
    let headers = [
        "content-type: application/x-protobuf",
        "content-length: 100",
    ];
    let mut client = HttpClient::connect(relay.http()).await;
    client.send(post("/v1/traces", &headers).as_bytes()).await;
    client.send(b"its beginning").await;
    relay
        .until("its body has begun", |relay| {
            relay.handle().budget().used(Use::Bodies) > 0
        })
        .await;
    client
}

/// Waits until an attempt has failed, so that the next one is a backoff away.
async fn until_down(relay: &RelayUnderTest) {
    let up = "otlp_relay_destination_up{destination=\"jaeger\"}";
    let failing = async { while sample(relay, up).await != Some(0.0) {} };
    timeout(PATIENCE, failing).await.expect("it is noticed");
}

#[tokio::test]
async fn at_shutdown_backoffs_end_although_a_body_is_open() {
    for deadline in ["8s", "1s"] {
        let backend = FakeBackend::start().await;
        backend.script([Answer::Grpc(Code::Unavailable, None)]);
        let relay = Setup::quick()
            .settings(&format!("shutdown: {{ deadline: {deadline} }}\n"))
            .settings(&format!(
                "destinations: {{ jaeger: {{ endpoint: {}, retry: {{ first: 30s, max: 30s }} }} }}\n",
                backend.endpoint()
            ))
            .start();
        send(&relay, &generate::request("standalone", 0, 10)).await;
        until_down(&relay).await;
        let mut client = half_sent(&relay).await;

        relay.begin_stop();
        // Both come soon; the order is what counts.
        tokio::select! {
            biased;
            () = backend.wait_for_spans(10) => {}
            answer = client.answer() => panic!("the body ended first: {answer:?}"),
        }
        assert_eq!(client.answer().await.status, 503, "{deadline}");
        let ended = relay.stop().await;
        assert_eq!((ended.drained.delivered, ended.drained.lost), (10, 0));
    }
}

#[tokio::test]
async fn after_the_drain_nobody_on_the_admin_port_holds_up_the_end() {
    let backend = FakeBackend::start().await;
    let relay = Setup::to(&backend.endpoint()).start();
    let mut half = HttpClient::connect(relay.admin()).await;
    half.send(b"GET /metrics HTTP/1.1\r\n").await;
    assert!(
        sample(&relay, "otlp_relay_config_generation")
            .await
            .is_some()
    );
    let stopping = Instant::now();
    relay.stop().await;
    let took = stopping.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    drop(half);
}

#[tokio::test]
async fn who_waits_for_room_at_shutdown_is_told_to_come_again() {
    let backend = down().await;
    let relay = Setup::quick()
        .settings("queue: { bytes_max: 1KiB, wait_max: 60s }\nshutdown: { deadline: 500ms }\n")
        .destination("jaeger", &backend.endpoint(), "")
        .start();
    assert!(is_taken(&relay, 0, Over::Grpc).await);
    let stop_once_they_wait = async {
        let two = 2 * body("standalone", 10, 10).len();
        relay
            .until("both wait", |relay| {
                relay.handle().budget().used(Use::Bodies) >= two
            })
            .await;
        relay.begin_stop();
    };
    let (over_grpc, over_http, ()) = tokio::join!(
        is_taken(&relay, 10, Over::Grpc),
        is_taken(&relay, 10, Over::Http),
        stop_once_they_wait,
    );
    assert!(!over_grpc && !over_http);
    let totals = relay.stop().await.totals;
    assert_eq!((totals.accepted, totals.refused), (10, 20));
    assert_eq!(totals.destinations["jaeger"].lost[&Loss::Shutdown], 10);
}
