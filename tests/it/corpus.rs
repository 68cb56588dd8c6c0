//! What real clients sent comes out with every span as it went in: same span, resource, scope and schema URLs.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{ResourceSpans, ScopeSpans},
};
use otlp_relay::metrics::Transport;
use prost::Message;

use crate::{
    calls::{WAYS, taken},
    client::{http, post},
    support::{
        corpus::{Recorded, recorded, recorded_json},
        fake_backend::FakeBackend,
        generate::flatten,
        relay_under_test::Setup,
    },
};

/// `batch.bytes_max` and `batch.spans` as they are by default.
const MESSAGE_BYTES_MAX: usize = 3584 * 1024;
const MESSAGE_SPANS_MAX: usize = 512;

/// Every span with all that it belongs to, encoded, in an order that does not depend on how they were grouped.
fn multiset<'a>(requests: impl IntoIterator<Item = &'a ExportTraceServiceRequest>) -> Vec<Vec<u8>> {
    let flat = requests.into_iter().flat_map(flatten);
    let mut spans: Vec<_> = flat
        .map(|(resource, resource_url, scope, scope_url, span)| {
            let scope_spans = ScopeSpans {
                scope: Some(scope),
                spans: vec![span],
                schema_url: scope_url,
            };
            let alone = ResourceSpans {
                resource: Some(resource),
                scope_spans: vec![scope_spans],
                schema_url: resource_url,
            };
            alone.encode_to_vec()
        })
        .collect();
    spans.sort_unstable();
    spans
}

fn assert_same(sent: &[Vec<u8>], came: &[Vec<u8>], way: (Transport, bool)) {
    let decode = |span: &Vec<u8>| ResourceSpans::decode(&span[..]).unwrap();
    for (sent, came) in sent.iter().zip(came) {
        assert_eq!(decode(sent), decode(came), "{way:?}");
    }
    assert_eq!(sent.len(), came.len(), "{way:?}");
}

/// Sends these requests in one way, and compares what arrives; returns the size of each message that left, in bytes.
async fn pass(requests: &[Recorded], way: (Transport, bool)) -> Vec<usize> {
    let backend = FakeBackend::start().await;
    let relay = Setup::to(&backend.endpoint()).start();
    for request in requests {
        let response = taken(&relay, way, &request.body).await;
        assert_eq!(response.partial_success, None, "{}", request.file);
    }
    let spans: u64 = requests.iter().map(|request| request.spans).sum();
    let totals = relay.stop().await.totals;
    assert_eq!((totals.received, totals.accepted), (spans, spans));
    assert_eq!(totals.destinations["jaeger"].exported, spans);

    let sent = requests
        .iter()
        .map(|request| ExportTraceServiceRequest::decode(&request.body[..]).unwrap());
    let sent: Vec<_> = sent.collect();
    assert_same(&multiset(&sent), &multiset(&backend.taken()), way);
    let received = backend.received();
    for message in &received {
        assert!(message.message_bytes <= MESSAGE_BYTES_MAX);
        assert!(message.spans <= MESSAGE_SPANS_MAX);
    }
    received
        .iter()
        .map(|message| message.message_bytes)
        .collect()
}

#[tokio::test]
async fn a01_every_recorded_request_comes_out_as_it_went_in() {
    let requests = recorded();
    for way in WAYS {
        pass(&requests, way).await;
    }
}

#[tokio::test]
async fn a_request_above_the_message_limit_leaves_in_pieces() {
    let mut requests = recorded();
    requests.retain(|request| request.file.contains("over4MiB"));
    assert!(
        requests[0].bytes > MESSAGE_BYTES_MAX,
        "else it shows nothing"
    );
    for way in WAYS {
        let messages = pass(&requests, way).await;
        assert!(messages.len() > 1, "{messages:?}");
    }
}

/// Milvus' C++ part over HTTP: to the root, in keys that OTLP/JSON does not have.
#[tokio::test]
async fn a41_what_milvus_posts_to_the_root_arrives_as_over_grpc() {
    let headers = ["content-type: application/json", "accept: */*"];
    let mut posted_any = false;
    for recorded in recorded_json() {
        let Some(twin) = recorded.twin_body() else {
            continue;
        };
        let backend = FakeBackend::start().await;
        let relay = Setup::to(&backend.endpoint()).start();
        let length = format!("content-length: {}", recorded.bytes);
        let head = post("/", &[&headers[..], &[&length]].concat());
        let answer = http(relay.http(), &head, &recorded.body).await;
        assert_eq!((answer.status, &answer.body[..]), (200, &b"{}"[..]));
        let totals = relay.stop().await.totals;
        assert_eq!(totals.received, recorded.spans);
        assert_eq!(totals.destinations["jaeger"].exported, recorded.spans);
        let twin = ExportTraceServiceRequest::decode(&twin[..]).unwrap();
        let (sent, came) = (multiset(&[twin]), multiset(&backend.taken()));
        assert_same(&sent, &came, (Transport::Http, false));
        posted_any = true;
    }
    assert!(posted_any);
}
