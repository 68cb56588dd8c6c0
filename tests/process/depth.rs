//! Values nested a million deep, on threads with small stacks: passed on unread, rejected where somebody reads them, refused
//! as JSON; nobody's stack overflows (acceptance case A13).

use bytes::Bytes;
use prost::Message;

use crate::{
    relay::Launch,
    support::{
        client::{frame, grpc, http, post},
        fake_backend::FakeBackend,
        generate::{nested, request},
    },
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;

const DEPTH: usize = 1_000_000;
const STACK_BYTES: &str = "524288";

/// A request of one span with an attribute `k` whose value is so deep. Written from its end, because each length follows from
/// what is within.
fn protobuf() -> Bytes {
    let mut reversed = Vec::new();
    // An AnyValue holds an array (field 5), which holds an AnyValue (field 1).
    for level in 0..2 * DEPTH {
        let mut length = Vec::new();
        prost::encoding::encode_varint(reversed.len() as u64, &mut length);
        reversed.extend(length.iter().rev());
        reversed.push(if level % 2 == 0 { 0x0a } else { 0x2a });
    }
    reversed.reverse();
    let attribute = [&nested(1, b"k")[..], &nested(2, &reversed)].concat();
    let mut template = request("deep", 0, 1);
    let span = template.resource_spans[0].scope_spans[0].spans.remove(0);
    let span = [span.encode_to_vec(), nested(9, &attribute)].concat();
    nested(1, &nested(2, &nested(2, &span))).into()
}

fn json() -> Bytes {
    let mut text = String::from(
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","attributes":[{"key":"k","value":"#,
    );
    text.push_str(&r#"{"arrayValue":{"values":["#.repeat(DEPTH));
    text.push_str(&"]}}".repeat(DEPTH));
    text.push_str("}]}]}]}]}");
    text.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_a_million_levels_overflow_no_stack() {
    let (protobuf, json) = (protobuf(), json());
    let reads = "enrichment: [{ on: span, mask: { secret: \"***\" } }]\n";
    for (name, more, rejected) in [("depth-unread", "", 0), ("depth-read", reads, 1)] {
        let backend = FakeBackend::start().await;
        let settings = format!(
            "budget: {{ bytes: 512MiB }}\nreceivers: {{ request_bytes_max: 64MiB }}\nbatch: {{ bytes: 16MiB, bytes_max: 32MiB }}\n{more}destinations: {{ jaeger: {{ endpoint: \"{}\" }} }}\n",
            backend.endpoint()
        );
        let launch = Launch::new(name, &settings).variable("RUST_MIN_STACK", STACK_BYTES);
        let mut relay = launch.start().await;
        let answer = grpc(relay.grpc(), &[], frame(0, &protobuf)).await;
        assert_eq!(answer.code(), tonic::Code::Ok, "{:?}", answer.status());
        let told = ExportTraceServiceResponse::decode(&answer.data[5..]).unwrap();
        let told = told.partial_success.map_or(0, |told| told.rejected_spans);
        assert_eq!(told, rejected, "{name}");
        let length = format!("content-length: {}", json.len());
        let head = post("/v1/traces", &["content-type: application/json", &length]);
        assert_eq!(http(relay.http(), &head, &json).await.status, 400, "{name}");
        relay.assert_running();
        let ledger = relay.until_settled().await;
        let rejected = rejected.unsigned_abs();
        assert_eq!(
            (ledger.exported(), ledger.rejected),
            (1 - rejected, rejected)
        );
        let bytes = backend
            .received()
            .iter()
            .map(|received| received.message_bytes)
            .max();
        assert_eq!(bytes.unwrap_or(0) >= protobuf.len(), rejected == 0);
        assert!(relay.stop().await.status.success());
    }
}
