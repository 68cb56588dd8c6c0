//! What goes out: headers, encodings, sizes and numbers (A70, A71, and the drain after an outage).

use http::{HeaderName, HeaderValue};
use tonic::Code;

use super::*;

#[tokio::test]
async fn grpc_and_http_requests_carry_what_their_protocols_ask_for() {
    for (protocol, path, content_type) in [
        (
            Protocol::Grpc,
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            "application/grpc",
        ),
        (Protocol::Http, "/base/v1/traces", "application/x-protobuf"),
    ] {
        let backend = FakeBackend::start().await;
        let mut options = quick(&backend, protocol);
        options.endpoint = format!("{}/base/", backend.endpoint()).parse().unwrap();
        let token = HeaderName::from_static("authorization");
        let mut value = HeaderValue::from_static("Bearer secret");
        value.set_sensitive(true);
        options.headers = vec![(token, value)];
        let rig = Rig::start(options);
        rig.push(&["a"]).await;
        rig.settled().await;

        let received = backend.received().remove(0);
        let header = |name: &str| received.headers[name].to_str().unwrap().to_owned();
        assert_eq!(received.path, path);
        assert_eq!(header("content-type"), content_type);
        assert_eq!(header("authorization"), "Bearer secret");
        let agent = concat!("otlp-relay/", env!("CARGO_PKG_VERSION"));
        assert_eq!(header("user-agent"), agent);
        if protocol == Protocol::Grpc {
            assert_eq!(header("te"), "trailers");
            assert_eq!(header("grpc-timeout"), "5000m");
        } else {
            assert!(header("content-length").parse::<usize>().unwrap() > 0);
        }
        rig.finish().await;
    }
}

#[tokio::test]
async fn compressed_requests_are_read_and_so_are_their_compressed_answers() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let backend = FakeBackend::start().await;
            let mut options = quick(&backend, protocol);
            options.compression = compression;
            let rig = Rig::start(options);
            backend.script([Answer::Partial(1, "read me")]);
            rig.push(&["a", "b"]).await;
            let account = rig.settled().await;
            let both = (account.exported, account.rejected_by_destination);
            assert_eq!(both, (1, 1), "{protocol:?} {compression:?}");
            assert_eq!(backend.names(), ["a", "b"]);
            rig.finish().await;
        }
    }
}

#[tokio::test]
async fn a71_requests_come_together_in_batches_and_no_message_is_empty() {
    let backend = FakeBackend::start().await;
    let mut options = quick(&backend, Protocol::Grpc);
    options.batch.spans = 50;
    options.batch.delay = Duration::from_millis(100);
    let rig = Rig::start(options);
    for _ in 0..120 {
        rig.push(&["a"]).await;
    }
    assert_eq!(rig.settled().await.exported, 120);
    let received = backend.received();
    assert!(
        received
            .iter()
            .all(|message| (1..=50).contains(&message.spans))
    );
    assert!(received.len() < 20, "{} messages", received.len());
    rig.finish().await;
}

#[tokio::test]
async fn a70_a_request_above_the_limit_is_split_and_a_span_above_it_is_lost_alone() {
    let limit = 100_000;
    let backend = FakeBackend::start().await;
    let mut options = quick(&backend, Protocol::Grpc);
    options.batch.bytes_max = limit;
    options.batch.bytes = limit;
    let rig = Rig::start(options);
    let (medium, huge) = ("m".repeat(30_000), "h".repeat(150_000));
    let mut names = vec![medium.as_str(); 20];
    names.push(&huge);
    rig.push(&names).await;
    let account = rig.settled().await;
    assert_eq!(account.exported, 20);
    assert_eq!(account.lost[&crate::metrics::Loss::TooLarge], 1);
    let received = backend.received();
    assert!(
        received
            .iter()
            .all(|message| message.message_bytes <= limit)
    );
    rig.finish().await;
}

#[tokio::test]
async fn a33_a_limit_that_nobody_configured_is_learned_and_shown() {
    let limit = 40_000;
    for (protocol, refusal) in [
        (Protocol::Grpc, Answer::Grpc(Code::ResourceExhausted, None)),
        (Protocol::Http, Answer::Http(413, Vec::new(), Bytes::new())),
    ] {
        let backend = FakeBackend::start().await;
        let rig = Rig::start(quick(&backend, protocol));
        backend.judge(move |received| {
            if received.message_bytes > limit {
                refusal.clone()
            } else {
                Answer::Take
            }
        });
        let name = "n".repeat(3_000);
        rig.push(&[name.as_str(); 40]).await;
        assert_eq!(rig.settled().await.exported, 40);
        let learned = rig.exporter.status().learned_bytes_max.unwrap();
        let received = backend.received();
        let refused = received.iter().map(|message| message.message_bytes);
        let smallest_refused = refused.filter(|&bytes| bytes > limit).min().unwrap();
        assert!(
            (limit / 4..smallest_refused).contains(&learned),
            "{learned}"
        );
        rig.finish().await;
    }
}

#[tokio::test]
async fn never_more_spans_under_way_than_allowed_also_when_a_full_queue_drains() {
    let backend = FakeBackend::start().await;
    let mut options = quick(&backend, Protocol::Grpc);
    options.batch.spans = 100;
    options.spans_in_flight_max = 250;
    options.concurrency = 4;
    let rig = Rig::start(options);
    backend.answer(Answer::Grpc(Code::Unavailable, None));
    for _ in 0..100 {
        rig.push(&nameless(70)).await;
    }
    backend.wait_for_requests(5).await;
    backend.answer(Answer::TakeAfter(Duration::from_millis(3)));
    assert_eq!(rig.settled().await.exported, 7_000);
    assert!(backend.spans_under_way_max() <= 250);
    assert!(backend.requests_under_way_max() <= 4);
    assert!(backend.spans_under_way_max() > 100, "it uses what it may");
    rig.finish().await;
}
