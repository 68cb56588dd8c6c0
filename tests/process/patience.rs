//! Clients with deadlines of their own, and clients that give up, by the thousands: what they held is given back (acceptance
//! cases A54 and A55).

use std::time::Duration;

use prost::Message;
use tokio::{task::JoinSet, time::Instant};
use tonic::Code;
use tonic_types::StatusExt;

use crate::{
    relay::{Launch, PATIENCE, Relay, figure},
    support::{
        client::{GrpcClient, frame, grpc},
        fake_backend::Answer,
        generate::request,
    },
    witness::Witness,
};

const CLIENTS: u64 = 8;
/// By eye: far less than a byte for each request that left something behind.
const RSS_RISE_MAX: u64 = 32 << 20;
/// Those of connections to the destination.
const DESCRIPTORS_RISE_MAX: usize = 4;

async fn full_relay(name: &str, witness: &Witness) -> Relay {
    witness.answer(Answer::Grpc(Code::Unavailable, None));
    let settings = format!(
        "queue: {{ bytes_max: 1KiB, wait_max: 60s }}\nshutdown: {{ deadline: 1s }}\n{}",
        witness.as_destination("")
    );
    let relay = Launch::new(name, &settings).start().await;
    let body = frame(0, &request("load", 0, 10).encode_to_vec());
    assert_eq!(
        grpc(relay.grpc(), &[], body).await.code(),
        Code::Ok,
        "room for one"
    );
    relay
}

async fn until_nothing_waits(relay: &Relay) {
    let deadline = Instant::now() + PATIENCE;
    while relay
        .metric("otlp_relay_budget_bytes", "use=\"bodies\"")
        .await
        > 0.5
    {
        assert!(Instant::now() < deadline, "bodies are left");
    }
}

async fn deliver_and_stop(relay: Relay, witness: &Witness) {
    until_nothing_waits(&relay).await;
    witness.answer(Answer::Take);
    let ledger = relay.until_settled().await;
    assert_eq!((ledger.accepted, ledger.exported()), (10, 10));
    assert!(relay.stop().await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a54_deadlines_of_clients_by_the_thousands_leave_nothing_behind() {
    let calls = figure(1_000, 10_000);
    let witness = Witness::start().await;
    let relay = full_relay("deadlines", &witness).await;
    let body = frame(0, &request("load", 10, 10).encode_to_vec());
    for (timeout, at_least) in [
        ("50m", Duration::ZERO),
        ("2S", Duration::from_millis(1_500)),
    ] {
        let start = Instant::now();
        let answer = grpc(relay.grpc(), &[("grpc-timeout", timeout)], body.clone()).await;
        let took = start.elapsed();
        assert_eq!(answer.code(), Code::Unavailable, "{timeout}");
        assert!(answer.status().get_details_retry_info().is_some());
        let at_most = at_least + Duration::from_millis(figure(5_000, 500));
        assert!((at_least..at_most).contains(&took), "{timeout}: {took:?}");
    }
    let rss = relay.rss();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (grpc, body) = (relay.grpc(), body.clone());
        clients.spawn(async move {
            let mut client = GrpcClient::connect(grpc).await;
            for _ in 0..calls / CLIENTS {
                let mut call = client.export(&[("grpc-timeout", "501m")]).await;
                call.send(body.clone(), true);
                assert_eq!(call.answer().await.code(), Code::Unavailable);
            }
        });
    }
    clients.join_all().await;
    let rise = relay.rss().saturating_sub(rss);
    println!("{calls} deadlines, {} KiB more", rise >> 10);
    assert!(rise < RSS_RISE_MAX, "{rise} bytes more");
    let ledger = relay.ledger().await;
    assert_eq!(ledger.refused, (calls + 2) * 10);
    deliver_and_stop(relay, &witness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a55_clients_that_cancel_by_the_thousands_leave_nothing_behind() {
    let calls = figure(1_000, 10_000);
    let witness = Witness::start().await;
    let relay = full_relay("cancels", &witness).await;
    let body = frame(0, &request("load", 10, 10).encode_to_vec());
    let (rss, descriptors) = (relay.rss(), relay.descriptors());
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (grpc, body) = (relay.grpc(), body.clone());
        clients.spawn(async move {
            let mut client = GrpcClient::connect(grpc).await;
            for number in 0..usize::try_from(calls / CLIENTS).unwrap() {
                // Within the frame's head, within the body, and while the whole request waits for room.
                let sent = [3, body.len() / 2, body.len()][number % 3];
                let mut call = client.export(&[]).await;
                call.send(body.slice(..sent), sent == body.len());
                client.ready().await;
                call.stream.send_reset(h2::Reason::CANCEL);
            }
            client.ready().await;
        });
    }
    clients.join_all().await;
    until_nothing_waits(&relay).await;
    let rise = relay.rss().saturating_sub(rss);
    println!("{calls} cancelled, {} KiB more", rise >> 10);
    assert!(rise < RSS_RISE_MAX, "{rise} bytes more");
    let deadline = Instant::now() + PATIENCE;
    while relay.descriptors() > descriptors + DESCRIPTORS_RISE_MAX {
        let count = relay.descriptors();
        assert!(Instant::now() < deadline, "{count} descriptors");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    deliver_and_stop(relay, &witness).await;
}
