//! Every row of the table "What an OTLP client is told" that a request can earn by itself, over both transports and ports.

use tonic::Code;
use tonic_types::StatusExt;

use super::{
    REQUEST_BYTES_MAX, UnderTest,
    client::{GrpcClient, frame, grpc, grpc_request, gzip, http, http_traces, post},
    spans,
};
use crate::{
    metrics::Transport,
    otlp,
    request::{MESSAGE_BYTES_MAX, Reason},
};

const PB: &str = "content-type: application/x-protobuf";
const GZ: &str = "content-encoding: gzip";

/// The request line, header lines beside the length, the body, and the row that it earns.
type HttpCase<'a> = (&'a str, &'a [&'a str], &'a [u8], Reason);

/// Sends each case to both ports and compares the answer with its row.
async fn check_http(relay: &UnderTest, cases: &[HttpCase<'_>]) {
    for &(line, headers, body, reason) in cases {
        let length = body.len();
        let head = format!("{line} HTTP/1.1\r\nhost: relay\r\ncontent-length: {length}\r\n");
        let head = headers
            .iter()
            .fold(head, |head, header| head + header + "\r\n")
            + "\r\n";
        let row = reason.row();
        let counted = || relay.refused(Transport::Http, &row.status.to_string(), row.label);
        let before = counted();
        for port in relay.ports() {
            let answer = http(port, &head, body).await;
            assert_eq!(answer.status, row.status, "{line} {headers:?}");
            let protobuf = headers.contains(&PB);
            let content_type = if protobuf { otlp::PROTOBUF } else { otlp::JSON };
            assert_eq!(
                answer.header("content-type"),
                Some(content_type),
                "{line} {headers:?}"
            );
            let (code, message) = answer.rpc_status();
            assert_eq!(code, i32::from(row.code), "{line} {headers:?}");
            assert!(
                !message.is_empty() && message.len() <= MESSAGE_BYTES_MAX,
                "{message}"
            );
            assert_eq!(answer.header("retry-after"), None);
            let allowed = (reason == Reason::WrongMethod).then_some("post");
            assert_eq!(answer.header("allow"), allowed);
            let encodings = (reason == Reason::UnknownEncoding).then_some("gzip, deflate, zstd");
            assert_eq!(answer.header("accept-encoding"), encodings);
        }
        assert_eq!(counted(), before + 2, "{line} {headers:?}");
    }
}

#[tokio::test]
async fn a42_a43_http_bodies_that_are_refused() {
    let relay = UnderTest::start().await;
    let good = spans(1);
    let zipped = gzip(&good);
    let mut wrong_checksum = zipped.clone();
    wrong_checksum[zipped.len() - 6] ^= 1;
    let trailing = [&zipped[..], b"rubbish"].concat();
    let bomb = gzip(&vec![0; 10 * REQUEST_BYTES_MAX]);
    let traces = "POST /v1/traces";
    let cases: [HttpCase<'_>; 6] = [
        (traces, &[PB], &good[1..], Reason::Malformed),
        (traces, &[PB, GZ], &good, Reason::Malformed),
        (traces, &[PB, GZ], &wrong_checksum, Reason::Malformed),
        (traces, &[PB, GZ], &trailing, Reason::Malformed),
        (traces, &[PB, GZ], &zipped[..20], Reason::Malformed),
        (traces, &[PB, GZ], &bomb, Reason::TooLarge),
    ];
    check_http(&relay, &cases).await;
    relay.finish().await;
}

#[tokio::test]
async fn a42_a43_a44_a56_http_heads_that_are_refused() {
    let relay = UnderTest::start().await;
    let good: &[u8] = &spans(1);
    let json = "content-type: application/json";
    let plain = "content-type: text/plain";
    let grpc = "content-type: application/grpc";
    let brotli = "content-encoding: br";
    let twice = "content-encoding: gzip, gzip";
    let traces = "POST /v1/traces";
    let cases: [HttpCase<'_>; 11] = [
        (traces, &[PB, brotli], good, Reason::UnknownEncoding),
        (traces, &[PB, twice], good, Reason::UnknownEncoding),
        (traces, &[], good, Reason::UnknownContentType),
        (traces, &[plain], good, Reason::UnknownContentType),
        (traces, &[grpc], good, Reason::UnknownContentType),
        ("GET /v1/traces", &[], b"", Reason::WrongMethod),
        ("PUT /v1/traces", &[PB], good, Reason::WrongMethod),
        ("OPTIONS /v1/traces", &[], b"", Reason::WrongMethod),
        ("POST /v1/trace", &[PB], good, Reason::UnknownPath),
        ("POST /v1/metrics", &[PB], good, Reason::OtherSignal),
        ("POST /v1/logs", &[json], b"{}", Reason::OtherSignal),
    ];
    check_http(&relay, &cases).await;
    relay.finish().await;
}

#[tokio::test]
async fn messages_name_what_is_right() {
    let relay = UnderTest::start().await;
    let cases = [
        ("/v1/trace", PB, "/v1/traces"),
        ("/v1/metrics", PB, "only traces"),
        ("/v1/traces", "content-type: text/json", "application/json"),
    ];
    for (path, content_type, expected) in cases {
        let head = post(path, &[content_type, "content-length: 0"]);
        let (_, message) = http(relay.http, &head, b"").await.rpc_status();
        assert!(message.contains(expected), "{message}");
    }
    relay.finish().await;
}

/// The path, the value of `grpc-encoding`, what is sent, and the row that it earns.
type GrpcCase<'a> = (&'a str, Option<&'a str>, Vec<u8>, Reason);

/// Sends all cases over one connection to each port, so that a refusal is seen to leave it usable.
async fn check_grpc(relay: &UnderTest, cases: &[GrpcCase<'_>]) {
    for port in relay.ports() {
        let mut client = GrpcClient::connect(port).await;
        for (path, encoding, body, reason) in cases {
            let headers: Vec<_> = encoding
                .iter()
                .map(|value| ("grpc-encoding", *value))
                .collect();
            let mut call = client.begin(grpc_request(path, &headers)).await;
            call.send(body.clone(), true);
            let answer = call.answer().await;
            let status = answer.status();
            assert_eq!(answer.http_status, 200, "gRPC tells its own status");
            assert_eq!(
                status.code(),
                reason.row().code,
                "{path} {body:?}: {status}"
            );
            assert!(!status.message().is_empty());
            assert!(
                status.get_details_retry_info().is_none(),
                "not worth a retry"
            );
            let bad_request = status.get_details_bad_request().is_some();
            assert_eq!(bad_request, *reason == Reason::Malformed);
            let encodings = answer.headers.get("grpc-accept-encoding");
            let expected =
                (*reason == Reason::UnknownEncoding).then_some("identity,gzip,deflate,zstd");
            assert_eq!(encodings.map(|value| value.to_str().unwrap()), expected);
        }
        let mut call = client.export(&[]).await;
        call.send(frame(0, &spans(1)), true);
        assert_eq!(call.answer().await.code(), Code::Ok);
    }
}

#[tokio::test]
async fn a52_grpc_messages_that_are_refused() {
    let relay = UnderTest::start().await;
    let good = spans(1);
    let bomb = gzip(&vec![0; 10 * REQUEST_BYTES_MAX]);
    let announced = u32::try_from(REQUEST_BYTES_MAX + 1).unwrap();
    let too_large = [&[0][..], &announced.to_be_bytes()].concat();
    let lies = [&[0, 0, 0, 1, 0][..], &good].concat();
    let plain = frame(0, &good).to_vec();
    let flagged = frame(1, &good).to_vec();
    let odd_flag = frame(7, &good).to_vec();
    let traces = otlp::TRACES_METHOD;
    let gz = Some("gzip");
    let cases = [
        (
            traces,
            None,
            frame(0, &good[1..]).to_vec(),
            Reason::Malformed,
        ),
        (traces, gz, flagged.clone(), Reason::Malformed),
        (traces, gz, frame(1, &bomb).to_vec(), Reason::TooLarge),
        (traces, None, too_large, Reason::TooLarge),
        (traces, None, vec![0, 255, 255, 255, 255], Reason::TooLarge),
        (traces, None, flagged.clone(), Reason::BrokenFrame),
        (traces, Some("identity"), flagged, Reason::BrokenFrame),
        (traces, None, odd_flag, Reason::BrokenFrame),
        (traces, None, lies, Reason::BrokenFrame),
        (traces, None, plain.repeat(2), Reason::BrokenFrame),
        (traces, None, vec![], Reason::BrokenFrame),
        (traces, None, vec![0, 0], Reason::BrokenFrame),
    ];
    check_grpc(&relay, &cases).await;
    let broken = relay.refused(Transport::Grpc, "INTERNAL", "broken_frame");
    assert_eq!(broken, 2 * 7);
    let too_large = relay.refused(Transport::Grpc, "RESOURCE_EXHAUSTED", "too_large");
    assert_eq!(too_large, 2 * 3);
    relay.finish().await;
}

#[tokio::test]
async fn a51_a56_grpc_heads_that_are_refused() {
    let relay = UnderTest::start().await;
    let body = frame(0, &spans(1)).to_vec();
    let traces = otlp::TRACES_METHOD;
    let cases = [
        (
            traces,
            Some("snappy"),
            body.clone(),
            Reason::UnknownEncoding,
        ),
        (traces, Some("br"), body.clone(), Reason::UnknownEncoding),
        (
            otlp::METRICS_METHOD,
            None,
            body.clone(),
            Reason::OtherSignal,
        ),
        (otlp::LOGS_METHOD, None, body.clone(), Reason::OtherSignal),
        ("/a.Service/Method", None, body, Reason::UnknownPath),
    ];
    check_grpc(&relay, &cases).await;
    relay.finish().await;
}

#[tokio::test]
async fn a11_over_size_is_refused_as_soon_as_it_is_announced() {
    let relay = UnderTest::start().await;
    let mut client = GrpcClient::connect(relay.grpc).await;
    let mut call = client.export(&[]).await;
    call.send(vec![0, 1, 0, 0, 0], false); // 16 MiB, and the call stays open
    let answer = call.answer().await;
    assert_eq!(answer.code(), Code::ResourceExhausted);

    let length = format!("content-length: {}", REQUEST_BYTES_MAX + 1);
    let answer = http(relay.http, &post("/v1/traces", &[PB, &length]), b"").await;
    assert_eq!(answer.status, 413);
    relay.finish().await;
}

#[tokio::test]
async fn a53_grpc_paths_with_other_content_types_are_415() {
    let relay = UnderTest::start().await;
    for port in relay.ports() {
        let mut client = GrpcClient::connect(port).await;
        for content_type in ["application/json", "application/grpc-web+proto"] {
            let request = http::Request::post(format!("http://relay{}", otlp::TRACES_METHOD))
                .header("content-type", content_type);
            let mut call = client.begin(request).await;
            call.send(frame(0, &spans(1)), true);
            assert_eq!(call.answer().await.http_status, 415, "{content_type}");
        }
    }
    relay.finish().await;
}

#[tokio::test]
async fn a68_http2_carries_otlp_over_http_too() {
    let relay = UnderTest::start().await;
    let request =
        || http::Request::post("http://relay/v1/traces").header("content-type", otlp::PROTOBUF);
    for port in relay.ports() {
        let mut client = GrpcClient::connect(port).await;
        let mut call = client.begin(request()).await;
        call.send(spans(2), true);
        let answer = call.answer().await;
        assert_eq!((answer.http_status.as_u16(), answer.data.len()), (200, 0));
        let mut call = client
            .begin(request().header("content-encoding", "br"))
            .await;
        call.send(spans(2), true);
        assert_eq!(call.answer().await.http_status, 415);
    }
    assert_eq!(relay.totals().accepted, 4);
    relay.finish().await;
}

#[tokio::test]
async fn refused_bytes_are_counted() {
    let relay = UnderTest::start().await;
    let body = &spans(5)[1..];
    http_traces(relay.http, &[], body).await;
    grpc(relay.grpc, &[], frame(0, body)).await;
    let bytes = |labels: &str| {
        relay.sample(&format!(
            "otlp_relay_refused_bytes_total{{{labels},reason=\"malformed\"}}"
        ))
    };
    let sent = body.len() as u64;
    assert_eq!(bytes("transport=\"http\",code=\"400\""), sent);
    assert_eq!(
        bytes("transport=\"grpc\",code=\"INVALID_ARGUMENT\""),
        sent + 5
    );
    relay.finish().await;
}
