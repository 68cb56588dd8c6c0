//! Waiting for room: how long, for whom, and what is told when there is none.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::time::Instant;
use tonic::Code;
use tonic_types::StatusExt;

use super::{
    REQUEST_BYTES_MAX, Setup, UnderTest,
    client::{GrpcClient, HttpClient, frame, grpc, http_traces, post},
    request, spans, with_the_only_request_waiting,
};
use crate::{budget::Use, metrics::Transport};

/// The queue holds one request, so the next one waits for as long as this.
async fn full(wait_max: Duration) -> UnderTest {
    let mut setup = Setup {
        queue_bytes_max: 1,
        ..Setup::default()
    };
    setup.options.wait_max = wait_max;
    let relay = setup.start().await;
    assert_eq!(http_traces(relay.http, &[], &spans(1)).await.status, 200);
    relay
}

#[tokio::test]
async fn a03_without_room_within_wait_max_the_client_shall_come_again() {
    let relay = full(Duration::from_millis(100)).await;
    for port in relay.ports() {
        let answer = http_traces(port, &[], &spans(2)).await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.rpc_status().0, i32::from(Code::Unavailable));
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=5).contains(&seconds), "{seconds}");

        let status = grpc(port, &[], frame(0, &spans(2))).await.status();
        assert_eq!(status.code(), Code::Unavailable);
        let delay = status
            .get_details_retry_info()
            .unwrap()
            .retry_delay
            .unwrap();
        assert!((1000..=5000).contains(&delay.as_millis()), "{delay:?}");
    }
    let totals = relay.totals();
    assert_eq!((totals.accepted, totals.refused), (1, 8));
    assert_eq!(relay.refused(Transport::Http, "503", "full"), 2);
    assert_eq!(relay.refused(Transport::Grpc, "UNAVAILABLE", "full"), 2);
    relay.finish().await;
}

#[tokio::test]
async fn room_that_comes_in_time_is_used() {
    let relay = full(super::PATIENCE).await;
    let mut client = GrpcClient::connect(relay.grpc).await;
    let mut call = client.export(&[]).await;
    call.send(frame(0, &spans(2)), true);
    relay
        .until("the request waits", |relay| {
            relay.budget.used(Use::Bodies) > 0
        })
        .await;
    assert_eq!(relay.export().len(), 1);
    assert_eq!(call.answer().await.code(), Code::Ok);
    relay.finish().await;
}

#[tokio::test]
async fn a54_the_clients_own_timeout_shortens_the_wait() {
    let relay = full(Duration::from_mins(1)).await;
    for (timeout, at_least) in [("50m", 0), ("700m", 200)] {
        let start = Instant::now();
        let answer = grpc(
            relay.grpc,
            &[("grpc-timeout", timeout)],
            frame(0, &spans(1)),
        )
        .await;
        assert_eq!(answer.code(), Code::Unavailable, "{timeout}");
        assert!(answer.status().get_details_retry_info().is_some());
        assert!(
            start.elapsed() >= Duration::from_millis(at_least),
            "{timeout}"
        );
    }
    // One that needs no waiting is taken whatever its timeout says.
    relay.export();
    let answer = grpc(relay.grpc, &[("grpc-timeout", "1n")], frame(0, &spans(1))).await;
    assert_eq!(answer.code(), Code::Ok);
    relay.finish().await;
}

#[tokio::test]
async fn a_body_that_ends_late_is_taken_if_it_needs_no_waiting() {
    let mut setup = Setup::default();
    setup.options.wait_max = Duration::ZERO;
    let relay = setup.start().await;
    let body = frame(0, &spans(3));
    let mut client = GrpcClient::connect(relay.grpc).await;
    let mut call = client.export(&[("grpc-timeout", "1m")]).await;
    call.send(body.slice(..20), false);
    relay
        .until("the body begins", |relay| {
            relay.budget.used(Use::Bodies) > 0
        })
        .await;
    tokio::time::sleep(Duration::from_millis(20)).await; // past any deadline
    call.send(body.slice(20..), true);
    assert_eq!(call.answer().await.code(), Code::Ok);
    relay.finish().await;
}

#[tokio::test]
async fn a_client_that_goes_away_while_it_waits_counts_as_refused() {
    let relay = full(super::PATIENCE).await;
    let mut client = GrpcClient::connect(relay.grpc).await;
    let mut call = client.export(&[]).await;
    call.send(frame(0, &spans(2)), true);
    relay
        .until("the call waits", |relay| relay.budget.used(Use::Bodies) > 0)
        .await;
    call.stream.send_reset(h2::Reason::CANCEL);
    relay
        .until("the call is booked", |relay| relay.totals().refused == 2)
        .await;

    let body = spans(3);
    let length = format!("content-length: {}", body.len());
    let head = post(
        "/v1/traces",
        &["content-type: application/x-protobuf", &length],
    );
    let mut client = HttpClient::connect(relay.http).await;
    client.send(&[head.as_bytes(), &body].concat()).await;
    relay
        .until("the request waits", |relay| {
            relay.budget.used(Use::Bodies) > 0
        })
        .await;
    drop(client);
    relay
        .until("the request is booked", |relay| relay.totals().refused == 5)
        .await;

    relay
        .until("the permits are back", |relay| {
            relay.budget.used(Use::Bodies) == 0
        })
        .await;
    relay
        .until("both are counted", |relay| {
            relay.refused(Transport::Grpc, "CANCELLED", "cancelled") == 1
                && relay.refused(Transport::Http, "499", "cancelled") == 1
        })
        .await;
    relay.finish().await;
}

#[tokio::test]
async fn beyond_requests_max_there_is_no_waiting() {
    let (relay, _client, waiting) = with_the_only_request_waiting().await;

    let start = Instant::now();
    assert_eq!(http_traces(relay.http, &[], &spans(1)).await.status, 503);
    assert!(start.elapsed() < super::PATIENCE / 2);
    // It was refused unread, so its spans are in no account but that of requests.
    assert_eq!(relay.totals().received, 1);

    relay.export();
    assert_eq!(waiting.answer().await.code(), Code::Ok);
    relay.finish().await;
}

#[tokio::test]
async fn a_full_budget_is_waited_for() {
    let mut setup = Setup {
        budget_bytes: 4 << 20,
        ..Setup::default()
    };
    setup.options.wait_max = Duration::from_millis(100);
    let relay = setup.start().await;
    let mut client = GrpcClient::connect(relay.grpc).await;
    client.ready().await;
    let free = relay.budget.total() - 2 * REQUEST_BYTES_MAX - relay.budget.used_total();
    let mut taken = relay.budget.try_claim(free, Use::Queues).unwrap();

    let mut call = client.export(&[]).await;
    call.send(frame(0, &spans(9)), true);
    let answer = call.answer().await;
    assert_eq!(answer.code(), Code::Unavailable);
    assert!(answer.status().get_details_retry_info().is_some());

    // With room for the first claim only, the body grows out of what is kept for growth.
    taken.shrink_to(free - (2 << 10));
    let mut call = client.export(&[("grpc-encoding", "identity")]).await;
    call.send(frame(0, &spans(9)), true);
    assert_eq!(call.answer().await.code(), Code::Ok);
    drop(taken);
    relay.finish().await;
}

#[tokio::test]
async fn what_would_not_fit_the_empty_budget_is_over_size() {
    let mut setup = Setup {
        budget_bytes: 14 << 20,
        ..Setup::default()
    };
    setup.options.request_bytes_max = 6 << 20;
    let relay = setup.start().await;
    // Spans of nothing but ids: their index takes twice as much as they do.
    let tiny = Span {
        trace_id: vec![7; 16],
        span_id: vec![7; 8],
        ..Span::default()
    };
    let status = grpc(relay.grpc, &[], frame(0, &request(vec![tiny; 180_000])))
        .await
        .status();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.get_details_retry_info().is_none());
    relay.finish().await;
}
