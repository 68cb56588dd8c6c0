//! Sends traces to a relay and asks its admin port, in the few ways that these tests need.

use std::net::SocketAddr;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use otlp_relay::metrics::Transport;
use prost::Message;
use tonic::Code;

use crate::{
    client::{GrpcAnswer, HttpAnswer, frame, grpc, gzip, http, http_traces},
    support::{generate, relay_under_test::RelayUnderTest},
};

/// The ways in which a body can travel: the transport, and whether it is compressed.
pub(crate) const WAYS: [(Transport, bool); 4] = [
    (Transport::Grpc, false),
    (Transport::Grpc, true),
    (Transport::Http, false),
    (Transport::Http, true),
];

/// Sends a body and returns what a success says; anything else fails.
pub(crate) async fn taken(
    relay: &RelayUnderTest,
    (transport, compressed): (Transport, bool),
    body: &[u8],
) -> ExportTraceServiceResponse {
    let message = match transport {
        Transport::Grpc => {
            let answer = over_grpc(relay, body, compressed).await;
            assert_eq!(answer.code(), Code::Ok, "{:?}", answer.status());
            answer.data.slice(5..)
        }
        Transport::Http => {
            let answer = over_http(relay, body, compressed).await;
            assert_eq!(answer.status, 200, "{}", answer.head);
            answer.body.into()
        }
    };
    ExportTraceServiceResponse::decode(message).unwrap()
}

/// One gRPC call over a connection of its own.
pub(crate) async fn over_grpc(relay: &RelayUnderTest, body: &[u8], compressed: bool) -> GrpcAnswer {
    if compressed {
        let headers = [("grpc-encoding", "gzip")];
        grpc(relay.grpc(), &headers, frame(1, &gzip(body))).await
    } else {
        grpc(relay.grpc(), &[], frame(0, body)).await
    }
}

/// One HTTP request over a connection of its own.
pub(crate) async fn over_http(relay: &RelayUnderTest, body: &[u8], compressed: bool) -> HttpAnswer {
    if compressed {
        let headers = ["content-encoding: gzip"];
        http_traces(relay.http(), &headers, &gzip(body)).await
    } else {
        http_traces(relay.http(), &[], body).await
    }
}

/// Sends usable spans over gRPC, which must be taken whole.
pub(crate) async fn send(relay: &RelayUnderTest, request: &ExportTraceServiceRequest) {
    let response = taken(relay, WAYS[0], &request.encode_to_vec()).await;
    assert_eq!(response.partial_success, None);
}

/// An encoded request of one service.
pub(crate) fn body(service: &str, first: u64, spans: u64) -> Bytes {
    generate::request(service, first, spans)
        .encode_to_vec()
        .into()
}

/// Asks a path of the admin port.
pub(crate) async fn get(admin: SocketAddr, path: &str) -> HttpAnswer {
    let head = format!("GET {path} HTTP/1.1\r\nhost: {admin}\r\n\r\n");
    http(admin, &head, b"").await
}

/// Asks for a document of the admin API, which must be there.
pub(crate) async fn document(relay: &RelayUnderTest, path: &str) -> serde_json::Value {
    let answer = get(relay.admin(), path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.head);
    serde_json::from_slice(&answer.body).unwrap()
}

/// Asks for a reload: the status and the document.
pub(crate) async fn reload(relay: &RelayUnderTest) -> (u16, serde_json::Value) {
    let admin = relay.admin();
    let head =
        format!("POST /api/v1/reload HTTP/1.1\r\nhost: {admin}\r\ncontent-length: 0\r\n\r\n");
    let answer = http(admin, &head, b"").await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

/// The value of a sample on the metrics page, by its name and labels as they are written; none where it is not there.
pub(crate) async fn sample(relay: &RelayUnderTest, series: &str) -> Option<f64> {
    let answer = get(relay.admin(), "/metrics").await;
    let page = String::from_utf8(answer.body).unwrap();
    let found = page.lines().find_map(|line| line.strip_prefix(series))?;
    Some(found.trim().parse().unwrap())
}
