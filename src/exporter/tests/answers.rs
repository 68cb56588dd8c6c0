//! What each answer does to the spans: acceptance cases A18, A31 to A35 and A72 to A75, over both protocols.

use h2::Reason;
use tonic::Code;

use super::*;

fn http(status: u16) -> Answer {
    Answer::Http(status, Vec::new(), Bytes::new())
}

async fn rig_and_backend(protocol: Protocol) -> (Rig, FakeBackend) {
    let backend = FakeBackend::start().await;
    (Rig::start(quick(&backend, protocol)), backend)
}

#[tokio::test]
async fn a31_a34_what_may_be_retried_arrives() {
    let grpc = [
        Answer::Grpc(Code::Unavailable, None),
        Answer::Grpc(Code::Cancelled, None),
        Answer::Grpc(Code::DeadlineExceeded, None),
        Answer::Grpc(Code::Aborted, None),
        Answer::Grpc(Code::OutOfRange, None),
        Answer::Grpc(Code::DataLoss, None),
        Answer::Grpc(Code::ResourceExhausted, Some(Duration::from_millis(10))),
        // What no peer said: none of these is a verdict.
        Answer::Reset(Reason::INTERNAL_ERROR),
        Answer::Reset(Reason::ENHANCE_YOUR_CALM),
        Answer::Reset(Reason::REFUSED_STREAM),
        Answer::NoTrailers,
        http(400),
        http(401),
        http(404),
        http(413),
        http(503),
        Answer::Http(200, Vec::new(), Bytes::from_static(b"<html>")),
    ];
    let over_http = [
        http(429),
        http(502),
        http(503),
        http(504),
        http(301),
        http(307),
        Answer::Reset(Reason::INTERNAL_ERROR),
    ];
    for (protocol, answers) in [
        (Protocol::Grpc, &grpc[..]),
        (Protocol::Http, &over_http[..]),
    ] {
        let (rig, backend) = rig_and_backend(protocol).await;
        for (number, answer) in answers.iter().enumerate() {
            backend.script([answer.clone(), answer.clone(), answer.clone()]);
            let name = format!("{protocol:?} {number}");
            rig.push(&[&name]).await;
            backend.wait_for_requests(4 * (number + 1)).await;
            let account = rig.settled().await;
            assert_eq!(account.exported, number as u64 + 1, "{name}");
        }
        let account = rig.finish().await;
        assert_eq!(account.exported, answers.len() as u64);
    }
}

#[tokio::test]
async fn a32_a34_what_is_refused_is_rejected_after_one_attempt() {
    let grpc = [
        Answer::Grpc(Code::Unknown, None),
        Answer::Grpc(Code::FailedPrecondition, None),
        Answer::Grpc(Code::AlreadyExists, None),
    ];
    let over_http = [http(408), http(500), http(501), http(405)];
    for (protocol, answers) in [
        (Protocol::Grpc, &grpc[..]),
        (Protocol::Http, &over_http[..]),
    ] {
        let (rig, backend) = rig_and_backend(protocol).await;
        for (number, answer) in answers.iter().enumerate() {
            backend.script([answer.clone()]);
            rig.push(&["a", "b"]).await;
            let account = rig.settled().await;
            assert_eq!(account.rejected_by_destination, 2 * (number as u64 + 1));
            assert_eq!(backend.received().len(), number + 1);
        }
        assert!(rig.exporter.status().last_error.is_some());
        rig.finish().await;
    }
}

#[tokio::test]
async fn a32_a34_not_allowed_is_told_and_ends_with_a_probe_that_arrives() {
    let cases = [
        (
            Protocol::Grpc,
            Answer::Grpc(Code::Unauthenticated, None),
            "UNAUTHENTICATED: as scripted",
        ),
        (
            Protocol::Grpc,
            Answer::Grpc(Code::PermissionDenied, None),
            "PERMISSION_DENIED: as scripted",
        ),
        (
            Protocol::Grpc,
            Answer::Grpc(Code::Unimplemented, None),
            "UNIMPLEMENTED: as scripted",
        ),
        (
            Protocol::Grpc,
            Answer::Grpc(Code::NotFound, None),
            "NOT_FOUND: as scripted",
        ),
        (Protocol::Http, http(401), "HTTP 401"),
        (Protocol::Http, http(403), "HTTP 403"),
        (Protocol::Http, http(404), "HTTP 404"),
    ];
    for (protocol, answer, reason) in cases {
        let (rig, backend) = rig_and_backend(protocol).await;
        backend.answer(answer);
        rig.push(&["first"]).await;
        rig.settled().await;
        rig.push(&["second"]).await;
        backend.wait_for_requests(4).await;
        let status = rig.exporter.status();
        let down = status.down.clone().expect("it counts as down");
        assert_eq!(down.reason, reason);
        assert!(status.failing_for(Instant::now()) > Some(Duration::ZERO));

        backend.answer(Answer::Take);
        let account = rig.settled().await;
        assert_eq!((account.exported, account.rejected_by_destination), (1, 1));
        assert_eq!(rig.exporter.status().down, None);
        rig.finish().await;
    }
}

#[tokio::test]
async fn a32_malformed_costs_only_what_is_malformed() {
    let body = queue::fixtures::request(&["good", "QQQQ"]);
    let at = body
        .windows(4)
        .position(|window| window == b"QQQQ")
        .unwrap();
    let mut broken = body.to_vec();
    broken[at] = 0xff;
    let broken = Bytes::from(broken);
    for (protocol, malformed) in [
        (Protocol::Grpc, Answer::Grpc(Code::InvalidArgument, None)),
        (Protocol::Grpc, Answer::Grpc(Code::Internal, None)),
        (Protocol::Http, http(400)),
    ] {
        let (rig, backend) = rig_and_backend(protocol).await;
        // The fake cannot decode broken strings, and then sees no span.
        backend.judge(move |received: &Received| {
            if received.spans == 0 {
                malformed.clone()
            } else {
                Answer::Take
            }
        });
        rig.push(&["before"]).await;
        rig.push_body(broken.clone(), 2).await;
        rig.push(&["after"]).await;
        let account = rig.settled().await;
        assert_eq!(account.exported, 4);
        assert_eq!(backend.names(), ["after", "before", "good", "\u{fffd}QQQ"]);
        rig.finish().await;
    }
}

#[tokio::test]
async fn a35_partial_success_is_counted_and_not_sent_again() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let (rig, backend) = rig_and_backend(protocol).await;
        backend.script([
            Answer::Partial(3, "three are bad"),
            Answer::Partial(1_000, "all"),
            Answer::Partial(-4, "less than nothing"),
            Answer::Partial(0, "only a warning"),
        ]);
        for (exported, rejected) in [(2, 3), (2, 8), (7, 8), (12, 8)] {
            rig.push(&["a", "b", "c", "d", "e"]).await;
            let account = rig.settled().await;
            assert_eq!(
                (account.exported, account.rejected_by_destination),
                (exported, rejected)
            );
        }
        assert_eq!(backend.received().len(), 4);
        rig.finish().await;
    }
}

#[tokio::test]
async fn a73_a_2xx_is_a_success_whatever_its_body() {
    let (rig, backend) = rig_and_backend(Protocol::Http).await;
    let protobuf = ("content-type", "application/x-protobuf".to_owned());
    let answers = [
        Answer::Http(200, vec![protobuf.clone()], Bytes::from_static(&[0xff; 9])),
        Answer::Http(200, Vec::new(), Bytes::new()),
        Answer::Http(
            200,
            vec![("content-type", "text/html".into())],
            "hello".into(),
        ),
        Answer::Http(204, Vec::new(), Bytes::new()),
        Answer::Http(202, vec![("content-encoding", "br".into())], "?".into()),
        Answer::Endless,
        Answer::Http(
            200,
            vec![protobuf, ("content-encoding", "gzip".into())],
            bomb(),
        ),
    ];
    let count = answers.len();
    backend.script(answers);
    for number in 1..=count {
        rig.push(&["a"]).await;
        assert_eq!(rig.settled().await.exported, number as u64);
    }
    assert_eq!(backend.received().len(), count, "none was sent again");
    rig.finish().await;
}

#[tokio::test]
async fn the_status_is_the_verdict_also_when_its_body_never_comes() {
    for (status, expected, attempts) in [(200, (1, 0), 1), (500, (0, 1), 1), (400, (0, 1), 2)] {
        let backend = FakeBackend::start().await;
        let mut options = quick(&backend, Protocol::Http);
        options.timeout = Duration::from_millis(200);
        let rig = Rig::start(options);
        backend.answer(Answer::HeadOnly(status));
        rig.push(&["a"]).await;
        let account = rig.settled().await;
        let both = (account.exported, account.rejected_by_destination);
        assert_eq!(both, expected, "{status}");
        assert_eq!(backend.received().len(), attempts, "{status}");
        rig.finish().await;
    }
}

#[tokio::test]
async fn a18_an_endless_grpc_answer_is_cut_and_not_asked_for_again() {
    let (rig, backend) = rig_and_backend(Protocol::Grpc).await;
    backend.script([Answer::Endless]);
    rig.push(&["a"]).await;
    let account = rig.settled().await;
    assert_eq!((account.exported, account.rejected_by_destination), (0, 1));
    assert_eq!(backend.received().len(), 1);
    rig.finish().await;
}

#[tokio::test]
async fn a18_broken_details_and_huge_trailers_harm_nobody() {
    let (rig, backend) = rig_and_backend(Protocol::Grpc).await;
    let trailers_only = |details: String| {
        let headers = vec![
            ("content-type", "application/grpc".to_owned()),
            ("grpc-status", "14".to_owned()),
            ("grpc-status-details-bin", details),
            ("grpc-message", "%zz%e2%82".to_owned()),
        ];
        Answer::Http(200, headers, Bytes::new())
    };
    backend.script([
        trailers_only("this is no base64 !!".into()),
        trailers_only("CAESA2FiYxoF//////8P".into()),
        trailers_only("A".repeat(100_000)),
    ]);
    rig.push(&["a"]).await;
    assert_eq!(rig.settled().await.exported, 1);
    assert_eq!(backend.received().len(), 4);
    rig.finish().await;
}

/// The details of a gRPC status whose `RetryInfo` says so many seconds, which the libraries here cannot say: `Status.details`
/// (3) holds an `Any` of type URL (1) and value (2), in which `retry_delay` (1) has `seconds` (1).
fn retry_info(seconds: i64) -> String {
    let field = |number: u8, bytes: &[u8]| {
        let length = u8::try_from(bytes.len()).unwrap();
        [&[number << 3 | 2, length][..], bytes].concat()
    };
    let mut duration = vec![0x08];
    prost::encoding::encode_varint(seconds.cast_unsigned(), &mut duration);
    let any = [
        field(1, b"type.googleapis.com/google.rpc.RetryInfo"),
        field(2, &field(1, &duration)),
    ];
    let status = [vec![0x08, 14], field(3, &any.concat())].concat();
    let encoded = tonic::metadata::BinaryMetadataValue::from_bytes(&status);
    String::from_utf8(encoded.as_encoded_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn a72_a_retry_info_that_no_clock_can_count_to_is_clamped() {
    for seconds in [-1, i64::MIN, 1_000_000_000_000, i64::MAX] {
        let (rig, backend) = rig_and_backend(Protocol::Grpc).await;
        let headers = vec![
            ("content-type", "application/grpc".to_owned()),
            ("grpc-status", "14".to_owned()),
            ("grpc-status-details-bin", retry_info(seconds)),
        ];
        backend.script([Answer::Http(200, headers, Bytes::new())]);
        rig.push(&["a"]).await;
        assert_eq!(rig.settled().await.exported, 1, "{seconds}");
        assert_eq!(backend.received().len(), 2, "{seconds}");
        rig.finish().await;
    }
}

#[tokio::test]
async fn a72_retry_after_is_heeded_up_to_the_longest_wait() {
    let wait = Duration::from_millis(600);
    for (protocol, answer) in [
        (
            Protocol::Grpc,
            Answer::Grpc(Code::ResourceExhausted, Some(wait)),
        ),
        (Protocol::Grpc, Answer::Grpc(Code::Unavailable, Some(wait))),
        (
            Protocol::Http,
            Answer::Http(503, vec![("retry-after", "1".into())], Bytes::new()),
        ),
        (
            Protocol::Http,
            Answer::Http(
                429,
                vec![("retry-after", "1000000000".into())],
                Bytes::new(),
            ),
        ),
    ] {
        let backend = FakeBackend::start().await;
        let mut options = quick(&backend, protocol);
        options.retry.max = Duration::from_secs(1);
        let rig = Rig::start(options);
        backend.script([answer]);
        rig.push(&["a"]).await;
        rig.settled().await;
        let received = backend.received();
        let waited = received[1].at - received[0].at;
        assert!(waited >= wait, "came back after {waited:?}");
        assert!(
            waited < Duration::from_secs(3),
            "came back after {waited:?}"
        );
        rig.finish().await;
    }
}

#[tokio::test]
async fn a74_a_redirect_is_not_followed_and_credentials_go_nowhere_else() {
    let elsewhere = FakeBackend::start().await;
    let (rig, backend) = rig_and_backend(Protocol::Http).await;
    let location = ("location", format!("{}/v1/traces", elsewhere.endpoint()));
    backend.script(
        [301, 302, 307, 308]
            .map(|status| Answer::Http(status, vec![location.clone()], Bytes::new())),
    );
    rig.push(&["a"]).await;
    backend.wait_for_requests(2).await;
    let error = rig.exporter.status().last_error.unwrap().message;
    assert!(error.contains("redirects are not followed"), "{error}");
    assert_eq!(rig.settled().await.exported, 1);
    assert!(elsewhere.received().is_empty());
    rig.finish().await;
}

/// A few kilobytes that become 64 MiB.
fn bomb() -> Bytes {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..64 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap().into()
}
