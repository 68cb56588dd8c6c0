//! Requests whose end two readers could see in different places: each is refused and its connection closed, so that what
//! stands behind the first is never read as a second (acceptance case A106).

use std::fmt::Write;

use crate::{
    calls::{WAYS, body, taken},
    client::{HttpClient, http_traces},
    support::{
        fake_backend::FakeBackend,
        relay_under_test::{RelayUnderTest, Setup},
    },
};

const HOST: &str = "host: relay\r\n";
const PB: &str = "content-type: application/x-protobuf\r\n";

/// A whole request that asks for a path of its own, to be hidden behind another.
const HIDDEN: &str = "POST /hidden HTTP/1.1\r\nhost: relay\r\ncontent-length: 0\r\n\r\n";

/// What a case may be answered: nothing but the closed connection, or one refusal.
#[derive(Clone)]
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    status: &'static [u16],
}

fn case(name: &'static str, bytes: impl AsRef<[u8]>, status: &'static [u16]) -> Case {
    Case {
        name,
        bytes: bytes.as_ref().to_vec(),
        status,
    }
}

/// By content-length, the hidden request is the body; by chunks, the body is empty and it is the next request.
fn chunks() -> String {
    format!("0\r\n\r\n{HIDDEN}")
}

fn traces(headers: &str, rest: &str) -> String {
    format!("POST /v1/traces HTTP/1.1\r\n{HOST}{PB}{headers}\r\n{rest}")
}

fn chunked(rest: &str) -> String {
    traces("transfer-encoding: chunked\r\n", rest)
}

/// Where the body ends, said twice or wrongly.
fn lengths() -> Vec<Case> {
    let hidden = HIDDEN.len();
    let length = |value: &str| traces(&format!("content-length: {value}\r\n"), HIDDEN);
    let two = |one: usize, other: usize| {
        let headers = format!("content-length: {one}\r\ncontent-length: {other}\r\n");
        traces(&headers, HIDDEN)
    };
    let both = |first: &str, second: &str| traces(&format!("{first}\r\n{second}\r\n"), &chunks());
    let (by_length, by_chunks) = (
        format!("content-length: {}", chunks().len()),
        "transfer-encoding: chunked",
    );
    vec![
        // Chunks decide, and the connection ends (RFC 9112, 6.3): hyper shows nobody that there was a length, too.
        case("both", both(&by_length, by_chunks), &[200]),
        case(
            "both, the other way round",
            both(by_chunks, &by_length),
            &[200],
        ),
        case("two lengths", two(0, hidden), &[400]),
        case("two, the other way round", two(hidden, 0), &[400]),
        case("two in one", length(&format!("0, {hidden}")), &[400]),
        case("a sign", length(&format!("+{hidden}")), &[400]),
        case("a negative length", length("-1"), &[400]),
        case("one that overflows", length("18446744073709551616"), &[400]),
    ]
}

/// How the body is framed, said in ways that few understand.
fn codings() -> Vec<Case> {
    let coding = |value: &str| traces(&format!("transfer-encoding: {value}\r\n"), &chunks());
    let overflowing = format!("10000000000000000\r\n{HIDDEN}");
    let without_end = format!("1\r\nxx\r\n{}", chunks());
    vec![
        case("an unknown coding", coding("xchunked"), &[400, 501]),
        case("not last", coding("chunked, identity"), &[400, 501]),
        case("behind a tab", coding("\x0bchunked"), &[400, 501]),
        case("a chunk that overflows", chunked(&overflowing), &[400]),
        case("a chunk without an end", chunked(&without_end), &[400]),
        case(
            "ended by a line feed",
            chunked(&format!("0\n\n{HIDDEN}")),
            &[400],
        ),
    ]
}

/// Lines that end in odd places, bytes that belong in none, and too much of it.
fn lines() -> Vec<Case> {
    let hiding = |line: &str| traces(&format!("{line}\r\n"), &chunks());
    let with = |line: &str| traces(&format!("{line}\r\ncontent-length: 0\r\n"), HIDDEN);
    let null_path = format!("POST /v1/traces\0 HTTP/1.1\r\n{HOST}{PB}\r\n{HIDDEN}");
    let mut many = String::new();
    for number in 0..101 {
        write!(many, "x-{number}: y\r\n").unwrap();
    }
    let long = format!("x: {}\r\n", "y".repeat(100 << 10));
    vec![
        case(
            "a folded line",
            hiding("x: y\r\n transfer-encoding: chunked"),
            &[400],
        ),
        case(
            "a blank before the colon",
            hiding("transfer-encoding : chunked"),
            &[400],
        ),
        case(
            "a carriage return",
            hiding("x: y\rtransfer-encoding: chunked"),
            &[400],
        ),
        case("NUL in a value", with("x: a\0b"), &[400]),
        case("NUL in a name", with("x\0: a"), &[400]),
        case("NUL in the path", null_path, &[400]),
        case("100 KiB of head", traces(&long, HIDDEN), &[431]),
        case("101 headers", traces(&many, HIDDEN), &[431]),
    ]
}

/// The statuses of all answers in what came back.
fn statuses(answers: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answers);
    let heads = text.split("HTTP/1.1 ").skip(1);
    heads.map(|head| head[..3].parse().unwrap()).collect()
}

#[tokio::test]
async fn a106_what_could_hide_a_second_request_is_refused_and_closed() {
    let backend = FakeBackend::start().await;
    let relay = Setup::to(&backend.endpoint()).start();
    let mut wrong = Vec::new();
    for Case {
        name,
        bytes,
        status,
    } in [lengths(), codings(), lines()].concat()
    {
        for port in [relay.grpc(), relay.http()] {
            let mut client = HttpClient::connect(port).await;
            client.send(&bytes).await;
            let came = statuses(&client.closed().await);
            if came.len() > 1 || !came.iter().all(|came| status.contains(came)) {
                wrong.push(format!("{name}: {came:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    unharmed(&relay, &backend).await;
    let totals = relay.stop().await.totals;
    assert_eq!((totals.received, totals.accepted), (5, 5));
}

/// The case wants a line feed alone refused. hyper's parser takes it for the end of a line, which RFC 9112, 2.2 allows, and
/// cannot be told not to: what stands behind the head is then a request of its own, and is answered as one.
#[tokio::test]
async fn a106_a_line_feed_alone_ends_a_line() {
    let relay = Setup::quick().start();
    let heads = [
        format!("POST /v1/traces HTTP/1.1\n{HOST}{PB}content-length: 0\n\n"),
        format!(
            "POST /v1/traces HTTP/1.1\r\n{HOST}{PB}x: y\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
    ];
    for head in heads {
        let mut client = HttpClient::connect(relay.http()).await;
        client.send(format!("{head}{HIDDEN}").as_bytes()).await;
        for status in [200, 404] {
            assert_eq!(client.answer().await.status, status, "{head:?}");
        }
    }
    relay.stop().await;
}

async fn unharmed(relay: &RelayUnderTest, backend: &FakeBackend) {
    for way in WAYS {
        taken(relay, way, &body("milvus", 0, 1)).await;
    }
    assert_eq!(
        http_traces(relay.http(), &[], &body("milvus", 0, 1))
            .await
            .status,
        200
    );
    backend.wait_for_spans(5).await;
}
