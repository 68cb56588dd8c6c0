//! SIGTERM: with a destination that takes what is queued, with one that does not, and twice (acceptance cases A07 and A08).

use std::time::Duration;

use prost::Message;
use tokio::time::Instant;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    load::{Over, Sender, Told},
    relay::{Launch, PATIENCE, Relay, figure},
    support::{
        client::{GrpcClient, frame},
        fake_backend::Answer,
        generate::request,
    },
    witness::Witness,
};

const SPANS: u64 = 50;
const DEADLINE: Duration = Duration::from_secs(3);

/// Fills the queue until no more is taken; returns how many spans were.
async fn fill(relay: &Relay, requests_max: u64) -> u64 {
    let sender = Sender::new(Over::Grpc, relay.grpc());
    for number in 0..requests_max {
        let body = request("load", number * SPANS, SPANS).encode_to_vec();
        match sender.send(body.into()).await {
            Told::Taken => {}
            Told::ComeAgain(_) => return number * SPANS,
            told => panic!("{told:?}"),
        }
    }
    requests_max * SPANS
}

fn settings(witness: &Witness) -> String {
    let deadline = DEADLINE.as_secs();
    format!(
        "queue: {{ bytes_max: 512KiB, wait_max: 100ms }}\nshutdown: {{ deadline: {deadline}s }}\n{}",
        witness.as_destination(", retry: { first: 50ms, max: 100ms }")
    )
}

/// The order is what a load balancer needs: first it is told, then connections end, then the queue drains, then the process.
#[tokio::test(flavor = "multi_thread")]
async fn a07_sigterm_with_a_half_full_queue_delivers_all_of_it() {
    let witness = Witness::start().await;
    witness.answer(Answer::Grpc(Code::Unavailable, None));
    let relay = Launch::new("stop-healthy", &settings(&witness))
        .start()
        .await;
    let mut taken = fill(&relay, 12).await;
    assert_eq!(taken, 12 * SPANS, "the queue is not half full");
    let endpoint = format!("http://{}", relay.grpc());
    let channel = tonic::transport::Endpoint::from_shared(endpoint).unwrap();
    let mut health = HealthClient::new(channel.connect().await.unwrap());
    let watching = health.watch(HealthCheckRequest::default()).await.unwrap();
    let mut statuses = watching.into_inner();
    let first = statuses.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    // One request is under way: its body has begun.
    let mut client = GrpcClient::connect(relay.grpc()).await;
    let body = frame(0, &request("load", taken, SPANS).encode_to_vec());
    let mut call = client.export(&[]).await;
    call.send(body.slice(..100), false);
    let deadline = Instant::now() + PATIENCE;
    while relay
        .metric("otlp_relay_budget_bytes", "use=\"bodies\"")
        .await
        < 100.0
    {
        assert!(Instant::now() < deadline, "the body does not begin");
    }

    relay.signal("TERM");
    let next = statuses.message().await.unwrap().unwrap();
    assert_eq!(next.status(), ServingStatus::NotServing);
    assert_eq!(
        relay.get("/readyz").await.status,
        503,
        "and it still answers"
    );
    call.send(body.slice(100..), true);
    assert_eq!(
        call.answer().await.code(),
        Code::Ok,
        "what is under way may end"
    );
    taken += SPANS;
    client.closed().await.expect("GOAWAY without an error");
    witness.answer(Answer::Take);
    let ended = relay.ended().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert!(ended.took < figure(PATIENCE, DEADLINE), "{:?}", ended.took);
    let seen = witness.seen();
    assert_eq!(
        seen.len() as u64,
        taken,
        "zero acknowledged spans are missing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a08_sigterm_with_a_full_queue_and_a_dead_destination_ends_in_time_and_says_what_is_lost() {
    let witness = Witness::start().await;
    witness.answer(Answer::Grpc(Code::Unavailable, None));
    let relay = Launch::new("stop-dead", &settings(&witness)).start().await;
    let taken = fill(&relay, u64::MAX).await;
    let asked = Instant::now();
    relay.signal("TERM");
    let ended = relay.ended().await;
    let took = asked.elapsed();
    println!("ended after {took:?} of {DEADLINE:?}");
    let second = Duration::from_secs(1);
    assert!(
        took + second > DEADLINE,
        "it tries as long as it may: {took:?}"
    );
    assert!(took < DEADLINE + figure(10, 1) * second, "{took:?}");
    assert_eq!(ended.status.code(), Some(1), "as the README says");
    let summaries = ended
        .log
        .lines()
        .filter(|line| line.contains("otlp-relay stopped"));
    let summaries: Vec<_> = summaries.collect();
    assert_eq!(summaries.len(), 1, "{}", ended.log);
    let lost = format!("lost_while_stopping={taken}");
    assert!(summaries[0].contains(&lost), "{lost}: {}", summaries[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a08_a_second_sigterm_ends_it_at_once() {
    let witness = Witness::start().await;
    witness.answer(Answer::Grpc(Code::Unavailable, None));
    let settings = settings(&witness).replace("deadline: 3s", "deadline: 10m");
    let relay = Launch::new("stop-twice", &settings).start().await;
    fill(&relay, u64::MAX).await;
    relay.signal("TERM");
    let deadline = Instant::now() + PATIENCE;
    while !relay.log().contains("a second signal exits at once") {
        assert!(Instant::now() < deadline, "{}", relay.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    relay.signal("TERM");
    let ended = relay.ended().await;
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    assert!(ended.took < PATIENCE / 2, "{:?}", ended.took);
}
