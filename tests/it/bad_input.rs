//! What is broken, too large, half-sent or a lie is answered by the table, harms nobody, and leaves nothing behind.

use bytes::Bytes;
use otlp_relay::{budget::Use, otlp, request::Reason};
use prost::Message;
use tonic::Code;
use tonic_types::StatusExt;

use crate::{
    calls::{WAYS, body, get, over_grpc, over_http, sample, send, taken},
    client::{GrpcClient, HttpClient, frame, grpc_request, gzip, http, post},
    support::{
        fake_backend::{Answer, FakeBackend, Received},
        generate,
        relay_under_test::{RelayUnderTest, Setup},
    },
};

const PB: &str = "content-type: application/x-protobuf";
const GZ: &str = "content-encoding: gzip";
const TRACES: &str = "POST /v1/traces";

/// The size limit of these tests, in bytes.
const REQUEST_BYTES_MAX: usize = 64 * 1024;
const LIMIT: &str = "receivers: { request_bytes_max: 64KiB }\n";

/// The window of an idle connection while there is plenty of budget, in bytes.
const IDLE_WINDOW_BYTES: f64 = 1_048_576.0;

/// The spans in what [`empty_spans`] made: two bytes each, within two envelopes of a tag and a length each.
fn spans_in(body: &[u8]) -> u64 {
    let length_bytes = prost::encoding::encoded_len_varint(body.len() as u64);
    (body.len() - 2 * (1 + length_bytes)) as u64 / 2
}

/// A good request passes, from socket to socket.
async fn assert_unharmed(relay: &RelayUnderTest, backend: &FakeBackend) {
    let before = backend.spans().len();
    for way in WAYS {
        let response = taken(relay, way, &body("milvus", 0, 2)).await;
        assert_eq!(response.partial_success, None);
    }
    backend.wait_for_spans(before + 8).await;
}

async fn budget(relay: &RelayUnderTest, purpose: Use) -> f64 {
    let series = format!("otlp_relay_budget_bytes{{use=\"{}\"}}", purpose.label());
    sample(relay, &series).await.unwrap()
}

/// Waits until the gauges of the budget show only what this many idle connections hold.
async fn only_idle_connections_hold_bytes(relay: &RelayUnderTest, connections: usize) {
    let windows = connections << 20;
    relay
        .until("only idle connections hold bytes", |relay| {
            relay.handle().budget().used_total() == windows
        })
        .await;
    assert!((budget(relay, Use::Bodies).await).abs() < 0.5);
    assert!((budget(relay, Use::Queues).await).abs() < 0.5);
    let expected = IDLE_WINDOW_BYTES * f64::from(u32::try_from(connections).unwrap());
    assert!((budget(relay, Use::Windows).await - expected).abs() < 0.5);
}

/// A body of so many bytes that is nothing but spans without fields, under one resource and scope.
fn empty_spans(bytes: usize) -> Bytes {
    let spans = [0x12, 0].repeat(bytes / 2);
    let within = |tag: u8, inner: &[u8]| {
        let mut message = vec![tag];
        prost::encoding::encode_varint(inner.len() as u64, &mut message);
        message.extend_from_slice(inner);
        message
    };
    let mut whole = within(0x0a, &within(0x12, &spans));
    // As much less as the envelopes took, so that the limit is met exactly.
    let over = whole.len().saturating_sub(bytes).next_multiple_of(2);
    if over > 0 {
        whole = within(0x0a, &within(0x12, &spans[over..]));
    }
    whole.into()
}

#[tokio::test]
async fn http_requests_that_are_refused_harm_nobody() {
    let backend = FakeBackend::start().await;
    let relay = Setup::to(&backend.endpoint()).settings(LIMIT).start();
    let good: &[u8] = &body("milvus", 0, 1);
    let plain = "content-type: text/plain";
    let (zipped, bomb) = (gzip(good), gzip(&vec![0; 10 * REQUEST_BYTES_MAX]));
    let large = vec![0; REQUEST_BYTES_MAX + 1];
    let cases: [(&str, &[&str], &[u8], Reason); 11] = [
        (TRACES, &[PB], &good[1..], Reason::Malformed),
        (TRACES, &[PB], &good[..good.len() / 2], Reason::Malformed),
        (TRACES, &[PB, GZ], good, Reason::Malformed),
        (TRACES, &[PB, GZ], &zipped[..20], Reason::Malformed),
        (TRACES, &[PB], &large, Reason::TooLarge),
        (TRACES, &[PB, GZ], &bomb, Reason::TooLarge),
        (TRACES, &[plain], good, Reason::UnknownContentType),
        (
            TRACES,
            &[PB, "content-encoding: br"],
            good,
            Reason::UnknownEncoding,
        ),
        ("PUT /v1/traces", &[PB], good, Reason::WrongMethod),
        ("POST /v1/trace", &[PB], good, Reason::UnknownPath),
        ("POST /v1/metrics", &[PB], good, Reason::OtherSignal),
    ];
    for (line, headers, body, reason) in cases {
        let length = body.len();
        let mut head = format!("{line} HTTP/1.1\r\nhost: relay\r\ncontent-length: {length}\r\n");
        for header in headers {
            head = format!("{head}{header}\r\n");
        }
        let answer = http(relay.http(), &(head + "\r\n"), body).await;
        assert_eq!(answer.status, reason.row().status, "{line} {headers:?}");
        assert_eq!(answer.rpc_status().0, i32::from(reason.row().code));
        assert_eq!(answer.header("retry-after"), None, "not worth a retry");
    }
    assert_unharmed(&relay, &backend).await;
    only_idle_connections_hold_bytes(&relay, 0).await;
    assert_eq!(relay.stop().await.totals.accepted, 8);
}

#[tokio::test]
async fn grpc_calls_that_are_refused_harm_nobody() {
    let backend = FakeBackend::start().await;
    let relay = Setup::to(&backend.endpoint()).settings(LIMIT).start();
    let good = body("milvus", 0, 1);
    let announces_more = [&[0, 0, 0, 255, 255][..], &good].concat();
    let announces_less = [&[0, 0, 0, 0, 1][..], &good].concat();
    let large = frame(0, &vec![0; REQUEST_BYTES_MAX + 1]).to_vec();
    let bomb = frame(1, &gzip(&vec![0; 10 * REQUEST_BYTES_MAX])).to_vec();
    let sent = frame(0, &good).to_vec();
    let unreadable = frame(0, &good[1..]).to_vec();
    let (traces, gz) = (otlp::TRACES_METHOD, Some("gzip"));
    let cases = [
        (traces, None, unreadable, Reason::Malformed),
        (traces, gz, frame(1, &good).to_vec(), Reason::Malformed),
        (traces, None, frame(1, &good).to_vec(), Reason::BrokenFrame),
        (traces, None, announces_more, Reason::BrokenFrame),
        (traces, None, announces_less, Reason::BrokenFrame),
        (traces, None, large, Reason::TooLarge),
        (traces, gz, bomb, Reason::TooLarge),
        (traces, Some("br"), sent.clone(), Reason::UnknownEncoding),
        (otlp::LOGS_METHOD, None, sent.clone(), Reason::OtherSignal),
        ("/no.Service/Export", None, sent, Reason::UnknownPath),
    ];
    let mut client = GrpcClient::connect(relay.grpc()).await;
    for (path, encoding, body, reason) in cases {
        let headers: Vec<_> = encoding
            .map(|name| ("grpc-encoding", name))
            .into_iter()
            .collect();
        let mut call = client.begin(grpc_request(path, &headers)).await;
        call.send(body, true);
        let status = call.answer().await.status();
        assert_eq!(
            status.code(),
            reason.row().code,
            "{path} {reason:?}: {status}"
        );
        assert!(
            status.get_details_retry_info().is_none(),
            "not worth a retry"
        );
    }
    assert_unharmed(&relay, &backend).await;
    only_idle_connections_hold_bytes(&relay, 1).await;
    assert_eq!(relay.stop().await.totals.accepted, 8);
}

#[tokio::test]
async fn sixteen_mebibytes_of_empty_spans_are_rejected_span_by_span() {
    let backend = FakeBackend::start().await;
    let relay = Setup::to(&backend.endpoint()).start();
    let body = empty_spans(16 << 20);
    assert_eq!(body.len(), 16 << 20);
    for way in WAYS {
        let (taken, live) = tokio::join!(
            taken(&relay, way, &body),
            get(relay.admin(), "/livez"), // it answers meanwhile
        );
        assert_eq!(live.status, 200);
        let partial = taken.partial_success.unwrap();
        assert_eq!(
            partial.rejected_spans.unsigned_abs(),
            spans_in(&body),
            "{way:?}"
        );
    }
    assert_unharmed(&relay, &backend).await;
    only_idle_connections_hold_bytes(&relay, 0).await;
    let totals = relay.stop().await.totals;
    assert_eq!((totals.accepted, totals.rejected), (8, 4 * spans_in(&body)));
}

#[tokio::test]
async fn a17_half_open_connections_are_closed_in_time_and_give_their_bytes_back() {
    let backend = FakeBackend::start().await;
    let limits = "receivers: { header_timeout: 300ms, body_timeout: 300ms }\n";
    let relay = Setup::to(&backend.endpoint()).settings(limits).start();
    let mut idle = GrpcClient::connect(relay.grpc()).await;
    idle.ready().await;
    let half_head = "POST /v1/traces HTTP/1.1\r\nhost: re";
    let half_body = post("/v1/traces", &[PB, "content-length: 5000"]) + "half of it";
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut open = Vec::new();
    for beginning in ["", half_head, &half_body, preface] {
        for address in [relay.grpc(), relay.http()].repeat(4) {
            let mut client = HttpClient::connect(address).await;
            client.send(beginning.as_bytes()).await;
            open.push(client);
        }
    }
    assert_unharmed(&relay, &backend).await;
    // The senders hold on to their ends: it is the relay that closes.
    for client in &mut open[..24] {
        client.closed().await;
    }
    drop(open);
    only_idle_connections_hold_bytes(&relay, 1).await;
    let mut call = idle.export(&[]).await;
    call.send(frame(0, &body("milvus", 0, 1)), true);
    assert_eq!(
        call.answer().await.code(),
        Code::Ok,
        "the idle one still serves"
    );
    assert_eq!(relay.stop().await.totals.accepted, 9);
}

/// A backend as Go's protobuf makes it: what is no valid message, broken strings included, is refused whole.
fn strict(received: &Received) -> Answer {
    if received.message_bytes > 0 && received.spans == 0 {
        Answer::Grpc(Code::InvalidArgument, None)
    } else {
        Answer::Take
    }
}

#[tokio::test]
async fn a50_one_senders_broken_string_costs_nobody_a_span() {
    let backend = FakeBackend::start().await;
    backend.judge(strict);
    let relay = Setup::default()
        .settings("batch: { delay: 300ms }\n")
        .destination("jaeger", &backend.endpoint(), "")
        .start();
    let mut broken = generate::request("py-client", 1_000, 1);
    broken.resource_spans[0].scope_spans[0].spans[0].attributes[0] =
        generate::attribute("peer", "BROKEN");
    let mut broken = broken.encode_to_vec();
    let at = broken.windows(6).position(|six| six == b"BROKEN").unwrap();
    broken[at] = 0xff;
    for (first, way) in [0, 10, 20, 30].into_iter().zip(WAYS) {
        taken(&relay, way, &body("standalone", first, 10)).await;
        if first == 10 {
            let response = taken(&relay, way, &broken).await;
            assert_eq!(
                response.partial_success, None,
                "values that nobody reads pass"
            );
        }
    }
    backend.wait_for_spans(41).await;
    relay.until_settled().await;

    let first = &backend.received()[0];
    assert_eq!(
        (first.spans, first.request.resource_spans.len()),
        (0, 0),
        "refused as a whole"
    );
    assert!(first.message_bytes > 41 * 200, "all senders were in it");
    let mut ids: Vec<_> = backend
        .spans()
        .into_iter()
        .map(|span| span.span_id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 41);
    let values = backend.spans().into_iter().flat_map(|span| span.attributes);
    let repaired = generate::attribute("peer", "\u{fffd}ROKEN");
    assert_eq!(values.filter(|value| *value == repaired).count(), 1);
    let account = relay.stop().await.totals.destinations["jaeger"].clone();
    assert_eq!((account.exported, account.rejected_by_destination), (41, 0));
}

#[tokio::test]
async fn a11_over_size_is_measured_at_the_limit_exactly() {
    let backend = FakeBackend::start().await;
    let relay = Setup::to(&backend.endpoint()).settings(LIMIT).start();
    for (bytes, taken) in [(-2, true), (0, true), (2, false)] {
        let body = empty_spans(REQUEST_BYTES_MAX.checked_add_signed(bytes).unwrap());
        assert_eq!(
            body.len(),
            REQUEST_BYTES_MAX.checked_add_signed(bytes).unwrap()
        );
        for compressed in [false, true] {
            let over = over_grpc(&relay, &body, compressed).await.code();
            let expected = if taken {
                Code::Ok
            } else {
                Code::ResourceExhausted
            };
            assert_eq!(over, expected, "{bytes}");
            let over = over_http(&relay, &body, compressed).await.status;
            assert_eq!(over, if taken { 200 } else { 413 }, "{bytes}");
        }
    }
    send(&relay, &generate::request("milvus", 0, 1)).await;
    assert_eq!(relay.stop().await.totals.accepted, 1);
}
