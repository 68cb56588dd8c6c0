//! Connections: how many, who pays for their windows, TLS on a plain port, health, and limits that change.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use prost::Message;
use tokio::time::timeout;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{
    PATIENCE, REQUEST_BYTES_MAX, Setup, UnderTest,
    client::{GrpcClient, HttpClient, frame, grpc, grpc_request, http_traces},
    sized, spans, with_the_only_request_waiting,
};
use crate::{
    budget::Use,
    metrics::Transport,
    otlp,
    receiver::{
        health::{self, CHECK_METHOD, WATCH_METHOD, WATCHES_MAX},
        sniff::TLS_ALERT,
    },
};

#[tokio::test]
async fn tls_on_a_plain_port_is_recognised() {
    let relay = UnderTest::start().await;
    let client_hello = [&[0x16, 3, 1, 0, 200, 1][..], &[0; 199]].concat();
    for port in relay.ports() {
        let mut client = HttpClient::connect(port).await;
        client.send(&client_hello).await;
        assert_eq!(client.closed().await, TLS_ALERT);
    }
    assert_eq!(
        relay.sample("otlp_relay_misdirected_total{kind=\"tls_on_plain_port\"}"),
        2
    );
    assert_eq!(relay.refused(Transport::Grpc, "closed", "tls"), 1);
    relay.finish().await;
}

#[tokio::test]
async fn a97_connections_have_a_maximum() {
    let mut setup = Setup::default();
    setup.options.connections_max = 2;
    let relay = setup.start().await;
    let mut first = GrpcClient::connect(relay.grpc).await;
    let second = GrpcClient::connect(relay.http).await;
    first.ready().await;
    relay
        .until("both are charged", |relay| {
            relay.budget.used(Use::Windows) > 1 << 20
        })
        .await;

    let mut third = HttpClient::connect(relay.grpc).await;
    assert!(third.closed().await.is_empty());
    assert_eq!(relay.refused(Transport::Grpc, "closed", "connections"), 1);

    drop(second);
    relay
        .until("one is gone", |relay| {
            relay.budget.used(Use::Windows) == 1 << 20
        })
        .await;
    relay.until_taken(&spans(1)).await;
    let mut call = first.export(&[]).await;
    call.send(frame(0, &spans(1)), true);
    assert_eq!(call.answer().await.code(), Code::Ok);
    relay.finish().await;
}

#[tokio::test]
async fn without_room_for_a_window_a_connection_is_closed() {
    let relay = UnderTest::start().await;
    let free = relay.budget.total() - 2 * relay.options.load().request_bytes_max;
    let taken = relay.budget.try_claim(free - 1, Use::Queues).unwrap();
    let mut client = HttpClient::connect(relay.http).await;
    client.socket.set_zero_linger().unwrap();
    client.send(b"POST /").await;
    client.closed().await;
    relay
        .until("it is counted", |relay| {
            relay.refused(Transport::Http, "closed", "windows") == 1
        })
        .await;
    drop(taken);
    assert_eq!(http_traces(relay.http, &[], &spans(1)).await.status, 200);
    relay.finish().await;
}

#[tokio::test]
async fn a_narrow_window_carries_any_body() {
    let relay = Setup {
        budget_bytes: 3 << 20, // a quarter is less than a wide window
        ..Setup::default()
    }
    .start()
    .await;
    let body = sized(REQUEST_BYTES_MAX);
    let mut client = GrpcClient::connect(relay.grpc).await;
    client.ready().await;
    assert_eq!(relay.budget.used(Use::Windows), 128 << 10);
    let mut call = client.export(&[]).await;
    call.send(frame(0, &body), true);
    assert_eq!(call.answer().await.code(), Code::Ok);
    assert_eq!(http_traces(relay.http, &[], &body).await.status, 200);
    relay.finish().await;
}

#[tokio::test]
async fn many_calls_share_one_connection() {
    let relay = UnderTest::start().await;
    let mut client = GrpcClient::connect(relay.grpc).await;
    client.ready().await;
    let body = frame(0, &spans(20));
    let mut calls = Vec::new();
    for _ in 0..128 {
        let mut call = client.export(&[]).await;
        call.send(body.slice(..body.len() / 2), false);
        calls.push(call);
    }
    for call in calls.iter_mut().rev() {
        call.send(body.slice(body.len() / 2..), true);
    }
    for call in calls {
        assert_eq!(call.answer().await.code(), Code::Ok);
    }
    assert_eq!(relay.totals().accepted, 128 * 20);
    relay.finish().await;
}

/// A timeout that no clock can count to makes the code panic where a request is handled; the configuration does not allow
/// it.
#[tokio::test]
async fn a28_a_panic_is_told_and_ends_nothing_else() {
    let relay = UnderTest::start().await;
    let sound = relay.options.load_full();
    let mut options = (*sound).clone();
    options.body_timeout = Duration::MAX;
    let mut client = GrpcClient::connect(relay.grpc).await;
    for (options, code, status) in [
        (Arc::new(options), Code::Internal, 500),
        (sound, Code::Ok, 200),
    ] {
        relay.options.store(options);
        let mut call = client.export(&[]).await;
        call.send(frame(0, &spans(1)), true);
        assert_eq!(call.answer().await.code(), code);
        assert_eq!(http_traces(relay.http, &[], &spans(1)).await.status, status);
    }
    assert_eq!(relay.refused(Transport::Grpc, "INTERNAL", "internal"), 1);
    assert_eq!(relay.refused(Transport::Http, "500", "internal"), 1);
    relay.finish().await;
}

#[tokio::test]
async fn a_health_check_names_one_service() {
    let relay = UnderTest::start().await;
    let mut client = GrpcClient::connect(relay.grpc).await;
    for (bytes, code) in [
        (health::REQUEST_BYTES_MAX - 1, Code::NotFound),
        (health::REQUEST_BYTES_MAX, Code::NotFound),
        (health::REQUEST_BYTES_MAX + 1, Code::OutOfRange),
    ] {
        let service = "x".repeat(bytes - 3); // the field's tag and its length of two bytes
        let message = HealthCheckRequest { service }.encode_to_vec();
        assert_eq!(message.len(), bytes);
        let mut call = client.begin(grpc_request(CHECK_METHOD, &[])).await;
        call.send(frame(0, &message), true);
        assert_eq!(call.answer().await.code(), code, "{bytes}");
    }
    relay.finish().await;
}

#[tokio::test]
async fn limits_of_http2_are_announced() {
    let mut setup = Setup::default();
    setup.options.streams_max = 3;
    let relay = setup.start().await;
    let mut client = GrpcClient::connect(relay.grpc).await;
    client.ready().await;
    assert_eq!(client.max_streams(), 3);
    relay.finish().await;
}

#[tokio::test]
async fn new_limits_hold_for_the_next_request() {
    let relay = UnderTest::start().await;
    let mut client = GrpcClient::connect(relay.grpc).await;
    for (request_bytes_max, code) in [(1000, Code::Ok), (10, Code::ResourceExhausted)] {
        let mut options = (**relay.options.load()).clone();
        options.request_bytes_max = request_bytes_max;
        relay.options.store(Arc::new(options));
        let mut call = client.export(&[]).await;
        call.send(frame(0, &spans(2)), true);
        assert_eq!(call.answer().await.code(), code);
    }
    relay.finish().await;
}

#[tokio::test]
async fn watches_have_a_maximum_and_keep_no_check_out() {
    let relay = UnderTest::start().await;
    let ask = async |client: &mut GrpcClient, method: &str| {
        let mut call = client.begin(grpc_request(method, &[])).await;
        call.send(frame(0, &[]), true);
        call
    };
    let mut clients = Vec::new();
    let mut watches = Vec::new();
    for _ in 0..2 {
        let mut client = GrpcClient::connect(relay.grpc).await;
        for _ in 0..WATCHES_MAX / 2 {
            let watch = ask(&mut client, WATCH_METHOD).await;
            let head = watch.response.await.unwrap();
            assert!(head.headers().get("grpc-status").is_none());
            watches.push(head);
        }
        clients.push(client);
    }
    let mut client = GrpcClient::connect(relay.grpc).await;
    let one_more = ask(&mut client, WATCH_METHOD).await;
    assert_eq!(one_more.answer().await.code(), Code::Unavailable);
    let check = ask(&mut client, CHECK_METHOD).await;
    assert_eq!(check.answer().await.code(), Code::Ok);

    drop(watches.pop());
    let asking = async {
        loop {
            let watch = ask(&mut client, WATCH_METHOD).await;
            let head = watch.response.await.unwrap();
            if head.headers().get("grpc-status").is_none() {
                break;
            }
        }
    };
    timeout(PATIENCE, asking).await.expect("a place is free");
    relay.finish().await;
}

#[tokio::test]
async fn checks_are_answered_while_all_requests_wait() {
    let (relay, mut client, waiting) = with_the_only_request_waiting().await;
    let mut open = client.begin(grpc_request(CHECK_METHOD, &[])).await;
    open.send(Bytes::new(), false);
    client.ready().await;
    for expected in [Code::Unavailable, Code::Ok] {
        let mut check = client.begin(grpc_request(CHECK_METHOD, &[])).await;
        check.send(frame(0, &[]), true);
        assert_eq!(check.answer().await.code(), expected);
        open.stream.send_reset(h2::Reason::CANCEL);
        client.ready().await;
    }
    relay.export();
    assert_eq!(waiting.answer().await.code(), Code::Ok);
    relay.finish().await;
}

#[tokio::test]
async fn a57_health_is_told_on_both_ports() {
    let relay = UnderTest::start().await;
    for port in relay.ports() {
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{port}")).unwrap();
        let mut health = HealthClient::new(channel.connect().await.unwrap());
        for (service, expected) in [
            ("", Ok(ServingStatus::Serving)),
            (otlp::TRACES_SERVICE, Ok(ServingStatus::Serving)),
            ("unknown", Err(Code::NotFound)),
        ] {
            let request = HealthCheckRequest {
                service: service.into(),
            };
            let answer = health.check(request).await;
            let found = answer
                .map(|answer| answer.into_inner().status)
                .map_err(|status| status.code());
            assert_eq!(found, expected.map(i32::from), "{service:?}");
        }
    }
    // Too long to be the name of a service, and an unknown method of the health service.
    let mut client = GrpcClient::connect(relay.grpc).await;
    for (method, body) in [("Check", frame(0, &[0; 5000])), ("Shut", frame(0, &[]))] {
        let path = format!("/grpc.health.v1.Health/{method}");
        let mut call = client.begin(super::client::grpc_request(&path, &[])).await;
        call.send(body, true);
        assert_ne!(call.answer().await.code(), Code::Ok, "{method}");
    }
    assert_eq!(
        grpc(relay.grpc, &[], frame(0, &spans(1))).await.code(),
        Code::Ok
    );
    relay.finish().await;
}
