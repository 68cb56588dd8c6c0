//! Input that nobody honest sends: an answer of the table or a closed connection, never a panic, never a leak.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tonic::Code;

use super::{
    REQUEST_BYTES_MAX, UnderTest,
    client::{GrpcClient, HttpClient, frame, grpc, http, http_traces, post},
    spans,
};
use crate::{budget::Use, otlp, receiver::connection::HEAD_BYTES_MAX};

const PB: &str = "content-type: application/x-protobuf";

/// A small generator of numbers, so that a failure repeats.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

/// A damaged copy of `good`.
pub(super) fn damaged(good: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len());
        match numbers.below(3) {
            0 => bytes[at] ^= 1 << numbers.below(8),
            1 => bytes.truncate(at + 1),
            _ => bytes.insert(at, u8::try_from(numbers.below(256)).unwrap()),
        }
    }
    bytes
}

#[tokio::test]
async fn a12_damaged_requests_get_an_answer_of_the_table() {
    let relay = UnderTest::start().await;
    let good = spans(3);
    let mut numbers = Numbers(0x5eed);
    let mut calls = GrpcClient::connect(relay.grpc).await;
    let mut client = HttpClient::connect(relay.http).await;
    for round in 0..300 {
        let body = damaged(&good, &mut numbers);
        let head = post(
            "/v1/traces",
            &[PB, &format!("content-length: {}", body.len())],
        );
        client.send(&[head.as_bytes(), &body].concat()).await;
        let status = client.answer().await.status;
        assert!([200, 400].contains(&status), "round {round}: {status}");

        let mut call = calls.export(&[]).await;
        call.send(frame(0, &body), true);
        let code = call.answer().await.code();
        assert_eq!(code == Code::Ok, status == 200, "round {round}: {code}");
        assert!(
            [Code::Ok, Code::InvalidArgument].contains(&code),
            "round {round}: {code}"
        );

        let mut call = calls.export(&[("grpc-encoding", "gzip")]).await;
        call.send(
            damaged(&frame(1, &super::client::gzip(&good)), &mut numbers),
            true,
        );
        let code = call.answer().await.code();
        let expected = [
            Code::Ok,
            Code::InvalidArgument,
            Code::Internal,
            Code::ResourceExhausted,
        ];
        assert!(expected.contains(&code), "round {round}: {code}");
        relay.export();
    }
    relay.finish().await;
}

#[tokio::test]
async fn a55_clients_that_give_up_leave_nothing_behind() {
    let relay = UnderTest::start().await;
    let body = frame(0, &spans(50));
    let mut calls = GrpcClient::connect(relay.grpc).await;
    for round in 0..300 {
        let mut call = calls.export(&[]).await;
        call.send(body.slice(..round % body.len()), false);
        if round % 10 == 0 {
            relay
                .until("it is read", |relay| {
                    relay.budget.used(Use::Bodies) > 0 || round < 5
                })
                .await;
        }
        call.stream.send_reset(h2::Reason::CANCEL);
        calls.ready().await;
    }
    for round in 0..50 {
        let mut client = HttpClient::connect(relay.http).await;
        let head = post(
            "/v1/traces",
            &[PB, &format!("content-length: {}", body.len())],
        );
        client
            .send(&[head.as_bytes(), &body[..round]].concat())
            .await;
    }
    relay
        .until("the bodies are gone", |relay| {
            relay.budget.used(Use::Bodies) == 0
        })
        .await;
    relay
        .until("one window is left", |relay| {
            relay.budget.used(Use::Windows) == 1 << 20
        })
        .await;
    let mut call = calls.export(&[]).await;
    call.send(body, true);
    assert_eq!(call.answer().await.code(), Code::Ok);
    relay.finish().await;
}

#[tokio::test]
async fn rubbish_on_a_socket_harms_nobody() {
    let relay = UnderTest::start().await;
    let rubbish: [&[u8]; 7] = [
        b"\0\0\0\0\0\0\0\0\0\0",
        b"GET\r\n\r\n",
        b"POST /v1/traces HTTP/9.9\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /v1/traces HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nno frame at all, but text that is long enough",
        b"\xff\xff\xff\xff\r\n\r\n",
    ];
    for port in relay.ports() {
        for bytes in rubbish {
            let mut client = HttpClient::connect(port).await;
            client.send(bytes).await;
            client.closed().await;
        }
    }
    assert_eq!(http_traces(relay.http, &[], &spans(1)).await.status, 200);
    relay.finish().await;
}

#[tokio::test]
async fn broken_chunks_are_malformed() {
    let relay = UnderTest::start().await;
    let head = post("/v1/traces", &[PB, "transfer-encoding: chunked"]);
    assert_eq!(http(relay.http, &head, b"no length\r\n").await.status, 400);
    relay.finish().await;
}

#[tokio::test]
async fn heads_have_a_size_limit() {
    let relay = UnderTest::start().await;
    let long = format!("x-long: {}", "x".repeat(20_000));
    assert_eq!(
        http(relay.http, &post("/v1/traces", &[PB, &long]), b"")
            .await
            .status,
        431
    );
    let many: Vec<String> = (0..101).map(|index| format!("x-{index}: y")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(
        http(relay.http, &post("/v1/traces", &many), b"")
            .await
            .status,
        431
    );
    let long = "x".repeat(20_000);
    let answer = grpc(relay.grpc, &[("x-long", &long)], frame(0, &[])).await;
    assert_eq!(answer.http_status, 431);
    relay.finish().await;
}

/// A head without a body, of just this size.
fn head_of(bytes: usize) -> String {
    let empty = post("/v1/traces", &[PB, "content-length: 0", "x-long: "]);
    let padding = "x".repeat(bytes - empty.len());
    post(
        "/v1/traces",
        &[PB, "content-length: 0", &format!("x-long: {padding}")],
    )
}

#[tokio::test]
async fn heads_are_taken_up_to_their_limits() {
    let relay = UnderTest::start().await;
    for (bytes, status) in [
        (HEAD_BYTES_MAX - 1, 200),
        (HEAD_BYTES_MAX, 200),
        (HEAD_BYTES_MAX + 1, 431),
    ] {
        let answer = http(relay.http, &head_of(bytes as usize), b"").await;
        assert_eq!(answer.status, status, "{bytes}");
    }
    // Two of them are in every head of these tests, and two say what the body is.
    for (fields, status) in [(99, 200), (100, 200), (101, 431)] {
        let mut headers = vec![PB.to_owned(), "content-length: 0".to_owned()];
        headers.extend((4..fields).map(|index| format!("x-{index}: y")));
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answer = http(relay.http, &post("/v1/traces", &headers), b"").await;
        assert_eq!(answer.status, status, "{fields}");
    }
    relay.finish().await;
}

/// RFC 9113, 6.5.2: a field counts with its name, its value, and 32 bytes. h2 takes one byte less than it announces.
#[tokio::test]
async fn heads_of_streams_are_taken_up_to_their_limit() {
    let relay = UnderTest::start().await;
    let others = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "relay"),
        (":path", otlp::TRACES_METHOD),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", "test"),
        ("x-long", ""),
    ];
    let counted = |(name, value): (&str, &str)| name.len() + value.len() + 32;
    let others: usize = others.into_iter().map(counted).sum();
    for (bytes, status) in [
        (HEAD_BYTES_MAX - 2, 200),
        (HEAD_BYTES_MAX - 1, 200),
        (HEAD_BYTES_MAX, 431),
        (HEAD_BYTES_MAX + 1, 431),
    ] {
        let long = "x".repeat(bytes as usize - others);
        let answer = grpc(relay.grpc, &[("x-long", &long)], frame(0, &[])).await;
        assert_eq!(answer.http_status, status, "{bytes}");
    }
    relay.finish().await;
}

/// A client that sends all of it before it listens still hears why it is refused.
#[tokio::test]
async fn the_refusal_of_a_large_body_is_not_overtaken_by_a_reset() {
    let relay = UnderTest::start().await;
    let body = vec![0; 32 * REQUEST_BYTES_MAX];
    for headers in [
        vec![PB.to_owned(), format!("content-length: {}", body.len())],
        vec![
            "content-type: text/plain".into(),
            format!("content-length: {}", body.len()),
        ],
    ] {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let expected = if headers[0] == PB { 413 } else { 415 };
        let mut client = HttpClient::connect(relay.http).await;
        client.send(post("/v1/traces", &headers).as_bytes()).await;
        client.send(&body).await;
        assert_eq!(client.answer().await.status, expected);
    }
    relay.finish().await;
}

#[tokio::test]
async fn a15_rapid_resets_end_their_own_connection_only() {
    let relay = UnderTest::start().await;
    let mut honest = GrpcClient::connect(relay.grpc).await;
    assert!(
        resets_until_goaway(relay.grpc).await,
        "GOAWAY within 100,000 resets"
    );
    let mut call = honest.export(&[]).await;
    call.send(frame(0, &spans(1)), true);
    assert_eq!(call.answer().await.code(), Code::Ok);
    relay.finish().await;
}

/// Writes HEADERS and `RST_STREAM` over and over, as fast as the socket takes them.
async fn resets_until_goaway(address: SocketAddr) -> bool {
    let mut client = HttpClient::connect(address).await;
    client
        .send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await;
    // HPACK: POST, http, /, and no authority; END_HEADERS.
    let mut flood = Vec::new();
    for stream in (1..200_000_u32).step_by(2) {
        flood.extend_from_slice(&[0, 0, 3, 1, 4]);
        flood.extend_from_slice(&stream.to_be_bytes());
        flood.extend_from_slice(&[0x83, 0x86, 0x84]);
        flood.extend_from_slice(&[0, 0, 4, 3, 0]);
        flood.extend_from_slice(&stream.to_be_bytes());
        flood.extend_from_slice(&8_u32.to_be_bytes());
    }
    // A write error is as good as GOAWAY: the connection is closed.
    let written = client.socket.write_all(&flood).await;
    let answer = client.closed().await;
    let goaway = answer.windows(5).any(|head| head[3] == 7 && head[4] == 0);
    written.is_err() || goaway
}
