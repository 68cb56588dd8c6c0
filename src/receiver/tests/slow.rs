//! Those who are slow, or say nothing at all, are closed in time and cost nobody else anything (acceptance case A17).

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{
    PATIENCE, Setup, UnderTest,
    client::{GrpcClient, HttpClient, frame, http_traces, post},
    spans,
};
use crate::{budget::Use, metrics::Transport};

/// The timeout that a test is about.
const SHORT: Duration = Duration::from_millis(100);

async fn with_short_header_timeout() -> UnderTest {
    let mut setup = Setup::default();
    setup.options.header_timeout = SHORT;
    setup.start().await
}

#[tokio::test]
async fn a17_heads_that_do_not_come_are_closed() {
    let relay = with_short_header_timeout().await;
    let starts: [&[u8]; 5] = [
        b"",
        b"P",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r",
        b"POST /v1/tra",
        b"POST /v1/traces HTTP/1.1\r\nhost: relay\r\n",
    ];
    for port in relay.ports() {
        for start in starts {
            let opened = Instant::now();
            let mut client = HttpClient::connect(port).await;
            client.send(start).await;
            client.closed().await;
            assert!(opened.elapsed() >= SHORT, "{start:?}");
        }
    }
    relay
        .until("the windows are back", |relay| {
            relay.budget.used(Use::Windows) == 0
        })
        .await;
    relay.finish().await;
}

#[tokio::test]
async fn a17_a_second_head_that_does_not_come_is_closed_too() {
    let relay = with_short_header_timeout().await;
    let body = spans(1);
    let length = format!("content-length: {}", body.len());
    let head = post(
        "/v1/traces",
        &["content-type: application/x-protobuf", &length],
    );
    let mut client = HttpClient::connect(relay.http).await;
    client.send(&[head.as_bytes(), &body].concat()).await;
    assert_eq!(client.answer().await.status, 200);
    // An idle connection outlives the timeout for heads.
    tokio::time::sleep(2 * SHORT).await;
    client.send(&[head.as_bytes(), &body].concat()).await;
    assert_eq!(client.answer().await.status, 200);

    client.send(&head.as_bytes()[..30]).await;
    assert!(client.closed().await.is_empty());
    relay.finish().await;
}

#[tokio::test]
async fn a17_bodies_that_do_not_come_are_refused() {
    let mut setup = Setup::default();
    setup.options.body_timeout = SHORT;
    let relay = setup.start().await;
    for port in relay.ports() {
        for start in [&b""[..], b"abc"] {
            let mut client = HttpClient::connect(port).await;
            let head = post(
                "/v1/traces",
                &[
                    "content-type: application/x-protobuf",
                    "content-length: 100",
                ],
            );
            client.send(&[head.as_bytes(), start].concat()).await;
            let answer = client.answer().await;
            assert_eq!(answer.status, 408);
            assert_eq!(answer.rpc_status().0, i32::from(Code::Cancelled));
            client.closed().await;

            let mut client = GrpcClient::connect(port).await;
            let mut call = client.export(&[]).await;
            call.send(frame(0, &spans(1)).slice(..start.len()), false);
            assert_eq!(call.answer().await.code(), Code::Cancelled);
        }
    }
    assert_eq!(relay.refused(Transport::Http, "408", "too_slow"), 4);
    assert_eq!(relay.refused(Transport::Grpc, "CANCELLED", "too_slow"), 4);
    relay.finish().await;
}

/// A client of HTTP/2 that grants no window gets the heads of its answers, and nothing else.
#[tokio::test]
async fn a17_answers_that_are_not_taken_count_as_under_way_until_their_connection_is_closed() {
    let mut setup = Setup::default();
    setup.options.requests_max = 2;
    setup.options.body_timeout = 5 * SHORT;
    let relay = setup.start().await;
    let mut settings = h2::client::Builder::new();
    settings.initial_window_size(0);
    let mut client = GrpcClient::connect_with(relay.grpc, &settings).await;
    let mut calls = Vec::new();
    for _ in 0..2 {
        let mut call = client.export(&[]).await;
        call.send(frame(0, &spans(1)), true);
        calls.push(call);
    }
    relay
        .until("both are taken", |relay| relay.totals().accepted == 2)
        .await;
    let start = Instant::now();
    assert_eq!(http_traces(relay.http, &[], &spans(1)).await.status, 503);

    client.closed().await.expect("GOAWAY without an error");
    assert!(start.elapsed() >= SHORT, "they had time");
    relay.until_taken(&spans(1)).await;
    drop(calls);
    relay.finish().await;
}

#[tokio::test]
async fn a67_idle_connections_are_closed_and_busy_ones_are_not() {
    let mut setup = Setup {
        queue_bytes_max: 1,
        ..Setup::default()
    };
    setup.options.idle_timeout = SHORT;
    setup.options.wait_max = 4 * SHORT;
    let relay = setup.start().await;

    let mut http = HttpClient::connect(relay.http).await;
    let body = spans(1);
    let length = format!("content-length: {}", body.len());
    let head = post(
        "/v1/traces",
        &["content-type: application/x-protobuf", &length],
    );
    http.send(&[head.as_bytes(), &body].concat()).await;
    assert_eq!(http.answer().await.status, 200);
    assert!(http.closed().await.is_empty());
    let grpc = GrpcClient::connect(relay.grpc).await;
    grpc.closed().await.expect("GOAWAY without an error");

    // The queue is full, so this one is under way for longer than a connection may be idle.
    let mut client = GrpcClient::connect(relay.grpc).await;
    let mut call = client.export(&[]).await;
    call.send(frame(0, &spans(1)), true);
    assert_eq!(call.answer().await.code(), Code::Unavailable);
    assert_eq!(http_traces(relay.http, &[], &body).await.status, 503);
    client.closed().await.expect("GOAWAY without an error");
    relay.finish().await;
}

#[tokio::test]
async fn a_watch_outlasts_every_timeout() {
    let mut setup = Setup::default();
    setup.options.header_timeout = SHORT;
    setup.options.body_timeout = SHORT;
    setup.options.idle_timeout = SHORT;
    let relay = setup.start().await;
    let endpoint = format!("http://{}", relay.grpc);
    let channel = tonic::transport::Endpoint::from_shared(endpoint).unwrap();
    let mut health = HealthClient::new(channel.connect().await.unwrap());
    let watching = health.watch(HealthCheckRequest::default()).await;
    let mut statuses = watching.unwrap().into_inner();
    let first = statuses.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    let more = timeout(5 * SHORT, statuses.message()).await;
    assert!(more.is_err(), "nothing new, and no end: {more:?}");
    relay.stop.cancel();
    let last = timeout(PATIENCE, statuses.message()).await.unwrap();
    assert_eq!(last.unwrap().unwrap().status(), ServingStatus::NotServing);
    relay.finish().await;
}
