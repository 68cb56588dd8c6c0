//! What is taken: every encoding, on both ports, over both transports, at the limits, and whatever way it came.

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse, trace_service_client::TraceServiceClient,
};
use prost::Message;
use tonic::codec::CompressionEncoding;

use super::{
    REQUEST_BYTES_MAX, UnderTest,
    client::{HttpClient, deflate, frame, grpc, gzip, http, http_traces, post, zstd},
    request, sized, span, spans,
};
use crate::{budget::Use, metrics::Transport, otlp};

#[tokio::test]
async fn a39_a42_http_in_every_encoding_on_both_ports() {
    let relay = UnderTest::start().await;
    let plain = spans(3);
    let zipped = gzip(&plain);
    let members = [gzip(&plain[..10]), gzip(&plain[10..])].concat();
    let (deflated, zstd) = (deflate(&plain), zstd(&plain));
    let mut sent = 0;
    for port in relay.ports() {
        let cases: [(&[&str], &[u8]); 7] = [
            (&[], &plain),
            (&["content-encoding: identity"], &plain),
            (&["content-encoding: gzip"], &zipped),
            (&["content-encoding: X-GZIP"], &zipped),
            (&["content-encoding: gzip"], &members),
            (&["content-encoding: deflate"], &deflated),
            (&["content-encoding: zstd"], &zstd),
        ];
        for (headers, body) in cases {
            let answer = http_traces(port, headers, body).await;
            assert_eq!(
                (answer.status, &answer.body[..]),
                (200, &[][..]),
                "{headers:?}"
            );
            assert_eq!(answer.header("content-type"), Some(otlp::PROTOBUF));
            sent += 3;
        }
    }
    assert_eq!(relay.totals().accepted, sent);
    for message in relay.export() {
        assert_eq!(message.encode_to_vec(), plain);
    }
    relay.finish().await;
}

#[tokio::test]
async fn a67_a68_http_chunked_and_one_after_the_other_on_one_connection() {
    let relay = UnderTest::start().await;
    let body = spans(2);
    let (first, second) = body.split_at(20);
    let head = post(
        "/v1/traces",
        &[
            "content-type: application/x-protobuf; charset=utf-8",
            "transfer-encoding: chunked",
        ],
    );
    let chunk =
        |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let request = [head.as_bytes(), &chunk(first), &chunk(second), b"0\r\n\r\n"].concat();

    let mut client = HttpClient::connect(relay.http).await;
    for _ in 0..1_000 {
        client.send(&request).await;
        assert_eq!(client.answer().await.status, 200);
        relay.export();
    }
    client.send(&[&request[..], &request].concat()).await; // pipelined
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(relay.totals().accepted, 2_004);
    assert_eq!(relay.budget.used(Use::Windows), 1 << 20, "one connection");
    relay.finish().await;
}

#[tokio::test]
async fn a68_expect_100_continue_is_honoured() {
    let relay = UnderTest::start().await;
    let body = spans(1);
    let head = post(
        "/v1/traces",
        &[
            "content-type: application/x-protobuf",
            &format!("content-length: {}", body.len()),
            "expect: 100-continue",
        ],
    );
    let mut client = HttpClient::connect(relay.http).await;
    client.send(head.as_bytes()).await;
    assert_eq!(client.answer().await.status, 100);
    client.send(&body).await;
    assert_eq!(client.answer().await.status, 200);
    relay.finish().await;
}

#[tokio::test]
async fn a51_grpc_in_every_encoding_on_both_ports() {
    let relay = UnderTest::start().await;
    let plain = spans(3);
    let zipped = gzip(&plain);
    for port in relay.ports() {
        for (encoding, body) in [
            ("identity", frame(0, &plain)),
            ("gzip", frame(1, &zipped)),
            ("gzip", frame(0, &plain)), // a single message may be left uncompressed
            ("deflate", frame(1, &deflate(&plain))),
            ("zstd", frame(1, &zstd(&plain))),
        ] {
            let answer = grpc(port, &[("grpc-encoding", encoding)], body).await;
            assert_eq!(
                (answer.code(), &answer.data[..]),
                (tonic::Code::Ok, &[0; 5][..])
            );
        }
    }
    assert_eq!(relay.totals().transports[&Transport::Grpc].accepted, 30);
    relay.finish().await;
}

#[tokio::test]
async fn the_generated_client_is_served() {
    let relay = UnderTest::start().await;
    for port in relay.ports() {
        let client = TraceServiceClient::connect(format!("http://{port}"))
            .await
            .unwrap();
        let mut client = client.send_compressed(CompressionEncoding::Gzip);
        let request = ExportTraceServiceRequest::decode(spans(40)).unwrap();
        let answer = client.export(request).await.unwrap().into_inner();
        assert_eq!(answer, ExportTraceServiceResponse::default());
    }
    assert_eq!(relay.totals().accepted, 80);
    relay.finish().await;
}

#[tokio::test]
async fn a45_a46_empty_requests_succeed() {
    let relay = UnderTest::start().await;
    for body in [vec![], request(vec![]).to_vec()] {
        let answer = http_traces(relay.http, &[], &body).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        let answer = http_traces(relay.http, &["content-encoding: gzip"], &gzip(&body)).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        let answer = grpc(relay.grpc, &[], frame(0, &body)).await;
        assert_eq!((answer.code(), answer.data.len()), (tonic::Code::Ok, 5));
    }
    assert_eq!(relay.totals().received, 0);
    assert!(relay.export().is_empty());
    relay.finish().await;
}

#[tokio::test]
async fn a47_unusable_spans_are_rejected_one_by_one() {
    let relay = UnderTest::start().await;
    for (bad, good) in [(3, 7), (10, 0)] {
        let mut all: Vec<_> = (0..bad).map(|index| span(index, 5)).collect();
        all.extend((0..good).map(|index| span(index, 16)));
        let body = request(all);

        let answer = grpc(relay.grpc, &[], frame(0, &body)).await;
        assert_eq!(answer.code(), tonic::Code::Ok);
        let told = ExportTraceServiceResponse::decode(&answer.data[5..]).unwrap();
        let over_http = http_traces(relay.http, &[], &body).await;
        assert_eq!(over_http.status, 200);
        assert_eq!(
            ExportTraceServiceResponse::decode(&over_http.body[..]).unwrap(),
            told
        );

        let partial_success = told.partial_success.unwrap();
        assert_eq!(partial_success.rejected_spans, i64::try_from(bad).unwrap());
        assert!(!partial_success.error_message.is_empty());
    }
    let totals = relay.totals();
    assert_eq!((totals.accepted, totals.rejected), (14, 26));
    relay.finish().await;
}

#[tokio::test]
async fn a47_an_id_has_its_length_and_is_not_zero() {
    let relay = UnderTest::start().await;
    let trace_ids = [15, 16, 17].map(|bytes| (vec![7; bytes], vec![7; 8], bytes == 16));
    let span_ids = [7, 8, 9].map(|bytes| (vec![7; 16], vec![7; bytes], bytes == 8));
    let others = [
        (vec![], vec![7; 8], false),
        (vec![7; 16], vec![], false),
        (vec![0; 16], vec![7; 8], false),
        (vec![7; 16], vec![0; 8], false),
        ([vec![0; 15], vec![1]].concat(), vec![7; 8], true),
        (vec![7; 16], [vec![0; 7], vec![1]].concat(), true),
    ];
    for (trace_id, span_id, is_usable) in trace_ids.into_iter().chain(span_ids).chain(others) {
        let what = format!("{trace_id:?} {span_id:?}");
        let mut odd = span(0, 16);
        (odd.trace_id, odd.span_id) = (trace_id, span_id);
        let answer = http_traces(relay.http, &[], &request(vec![odd])).await;
        let told = ExportTraceServiceResponse::decode(&answer.body[..]).unwrap();
        let rejected = told.partial_success.map_or(0, |part| part.rejected_spans);
        assert_eq!(rejected, i64::from(!is_usable), "{what}");
    }
    relay.finish().await;
}

#[tokio::test]
async fn a11_the_size_limit_holds_to_the_byte() {
    let relay = UnderTest::start().await;
    for (bytes, taken) in [
        (REQUEST_BYTES_MAX - 1, true),
        (REQUEST_BYTES_MAX, true),
        (REQUEST_BYTES_MAX + 1, false),
    ] {
        let plain = sized(bytes);
        let zipped = gzip(&plain);
        assert!(zipped.len() < bytes / 2);
        let (status, code) = if taken {
            (200, tonic::Code::Ok)
        } else {
            (413, tonic::Code::ResourceExhausted)
        };
        let answer = http_traces(relay.http, &[], &plain).await;
        assert_eq!(answer.status, status, "HTTP, {bytes}");
        let answer = http_traces(relay.http, &["content-encoding: gzip"], &zipped).await;
        assert_eq!(answer.status, status, "HTTP, gzip, {bytes}");
        let answer = grpc(relay.grpc, &[], frame(0, &plain)).await;
        assert_eq!(answer.code(), code, "gRPC, {bytes}");
        let answer = grpc(relay.grpc, &[("grpc-encoding", "gzip")], frame(1, &zipped)).await;
        assert_eq!(answer.code(), code, "gRPC, gzip, {bytes}");

        let head = post(
            "/v1/traces",
            &[
                "content-type: application/x-protobuf",
                "transfer-encoding: chunked",
            ],
        );
        let chunked = [
            format!("{bytes:x}\r\n").as_bytes(),
            &plain,
            b"\r\n0\r\n\r\n",
        ]
        .concat();
        let answer = http(relay.http, &head, &chunked).await;
        assert_eq!(answer.status, status, "HTTP, chunked, {bytes}");
        relay.export();
    }
    relay.finish().await;
}

#[tokio::test]
async fn wrong_ports_and_paths_are_taken_and_counted() {
    let relay = UnderTest::start().await;
    let body = spans(1);
    let headers = [
        "content-type: application/x-protobuf".to_owned(),
        format!("content-length: {}", body.len()),
    ];
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    for path in ["/", "/v1/traces/", "/v1/traces/v1/traces", "/v1/traces"] {
        assert_eq!(
            http(relay.http, &post(path, &headers), &body).await.status,
            200,
            "{path}"
        );
    }
    assert_eq!(http_traces(relay.grpc, &[], &body).await.status, 200);
    assert_eq!(
        grpc(relay.http, &[], frame(0, &body)).await.code(),
        tonic::Code::Ok
    );

    for kind in [
        "root_path",
        "trailing_slash",
        "doubled_path",
        "http_on_grpc_port",
        "grpc_on_http_port",
    ] {
        let sample = format!("otlp_relay_misdirected_total{{kind=\"{kind}\"}}");
        assert_eq!(relay.sample(&sample), 1, "{kind}");
    }
    assert_eq!(relay.totals().accepted, 6);
    relay.finish().await;
}
