//! The stop: in which order, who is refused, who may finish, and that it ends.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_types::StatusExt;

use super::{
    PATIENCE, Setup, UnderTest,
    client::{GrpcClient, HttpClient, frame, http_traces, post},
    spans,
};
use crate::{budget::Use, receiver::stopping::DRAIN_MAX};

#[tokio::test]
async fn a57_watchers_hear_of_it_before_the_connection_ends() {
    let relay = UnderTest::start().await;
    let endpoint = format!("http://{}", relay.grpc);
    let channel = tonic::transport::Endpoint::from_shared(endpoint).unwrap();
    let mut health = HealthClient::new(channel.connect().await.unwrap());
    let watching = health.watch(HealthCheckRequest::default()).await;
    let mut statuses = watching.unwrap().into_inner();
    assert_eq!(
        statuses.message().await.unwrap().unwrap().status(),
        ServingStatus::Serving
    );

    relay.stop.cancel();
    let next = timeout(PATIENCE, statuses.message()).await.unwrap();
    assert_eq!(next.unwrap().unwrap().status(), ServingStatus::NotServing);
    let end = timeout(PATIENCE, statuses.message()).await.unwrap();
    assert_eq!(end.unwrap_err().code(), Code::Unavailable);
    relay.finish().await;
}

#[tokio::test]
async fn those_who_wait_are_refused_at_once() {
    let relay = Setup {
        queue_bytes_max: 1,
        ..Setup::default()
    }
    .start()
    .await;
    assert_eq!(http_traces(relay.http, &[], &spans(1)).await.status, 200);
    let mut client = GrpcClient::connect(relay.grpc).await;
    let mut call = client.export(&[]).await;
    call.send(frame(0, &spans(2)), true);
    relay
        .until("the request waits", |relay| {
            relay.budget.used(Use::Bodies) > 0
        })
        .await;

    let start = Instant::now();
    relay.stop.cancel();
    let status = call.answer().await.status();
    assert!(start.elapsed() < PATIENCE / 2);
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("stopping"), "{status}");
    assert!(status.get_details_retry_info().is_some());
    assert_eq!(relay.totals().refused, 2);
    client.closed().await.expect("GOAWAY without an error");
    relay.finish().await;
}

#[tokio::test]
async fn open_bodies_get_a_second() {
    let relay = UnderTest::start().await;
    let body = frame(0, &spans(2));
    let mut client = GrpcClient::connect(relay.grpc).await;
    let mut quick = client.export(&[]).await;
    let mut slow = client.export(&[]).await;
    quick.send(body.slice(..20), false);
    slow.send(body.slice(..20), false);
    relay
        .until("both bodies begin", |relay| {
            relay.budget.used(Use::Bodies) > body.len()
        })
        .await;

    let start = Instant::now();
    relay.stop.cancel();
    tokio::time::sleep(Duration::from_millis(300)).await; // GOAWAY has been sent
    quick.send(body.slice(20..), true);
    assert_eq!(quick.answer().await.code(), Code::Ok);
    let status = slow.answer().await.status();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("stopping"), "{status}");
    assert!(start.elapsed() >= Duration::from_secs(1));
    client.closed().await.expect("GOAWAY without an error");
    assert_eq!(relay.totals().accepted, 2);
    relay.finish().await;
}

#[tokio::test]
async fn what_comes_after_the_stop_is_refused() {
    let relay = UnderTest::start().await;
    let mut grpc = GrpcClient::connect(relay.grpc).await;
    grpc.ready().await;
    let body = spans(1);
    let length = format!("content-length: {}", body.len());
    let head = post(
        "/v1/traces",
        &["content-type: application/x-protobuf", &length],
    );
    let mut http = HttpClient::connect(relay.http).await;
    http.send(&[head.as_bytes(), &body].concat()).await;
    assert_eq!(http.answer().await.status, 200);

    relay.stop.cancel();
    let mut call = grpc.export(&[]).await;
    call.send(frame(0, &body), true);
    http.send(&[head.as_bytes(), &body].concat()).await;
    let answer = http.answer().await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(call.answer().await.code(), Code::Unavailable);
    http.closed().await;
    relay.finish().await;
}

#[tokio::test]
async fn idle_clients_do_not_hold_the_stop_up() {
    let relay = UnderTest::start().await;
    let body = spans(1);
    let length = format!("content-length: {}", body.len());
    let head = post(
        "/v1/traces",
        &["content-type: application/x-protobuf", &length],
    );
    let mut http = HttpClient::connect(relay.http).await;
    http.send(&[head.as_bytes(), &body].concat()).await;
    assert_eq!(http.answer().await.status, 200);
    let mut grpc = GrpcClient::connect(relay.grpc).await;
    grpc.ready().await;

    let start = Instant::now();
    relay.finish().await; // both clients keep their ends open
    let took = start.elapsed();
    assert!(took < DRAIN_MAX / 2, "{took:?}");
    drop((http, grpc));
}

#[tokio::test]
async fn nobody_holds_the_stop_up() {
    let relay = UnderTest::start().await;
    let mute = HttpClient::connect(relay.http).await;
    let mut half = HttpClient::connect(relay.http).await;
    half.send(b"POST /v1/tra").await;
    let mut preface = HttpClient::connect(relay.grpc).await;
    preface.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let mut open = HttpClient::connect(relay.grpc).await;
    open.send(
        post(
            "/v1/traces",
            &["content-type: application/x-protobuf", "content-length: 9"],
        )
        .as_bytes(),
    )
    .await;
    relay
        .until("three are charged", |relay| {
            relay.budget.used(Use::Windows) == 3 << 20
        })
        .await;

    let start = Instant::now();
    relay.finish().await;
    let took = start.elapsed();
    assert!(took < DRAIN_MAX + Duration::from_secs(2), "{took:?}");
    drop((mute, half, preface, open));
}
