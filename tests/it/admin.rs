//! The admin port of a whole relay shows what became of requests.

use prost::Message;
use serde_json::{Value, json};
use tonic::Code;

use crate::{
    calls::{document, get, over_http, sample, send},
    support::{
        fake_backend::{Answer, FakeBackend},
        generate,
        relay_under_test::{RelayUnderTest, Setup},
    },
};

const POLICIES: &str = "\
default: { sample_fraction: 1 }
rules:
  - { name: quiet, match: { span: Quiet }, sample_fraction: 0 }
";

fn hex(id: &[u8]) -> String {
    format!("{:032x}", u128::from_be_bytes(id.try_into().unwrap()))
}

/// Sends one trace of eight spans, of which one has the name that a rule drops; returns its id.
async fn send_trace(relay: &RelayUnderTest) -> String {
    let mut request = generate::request("standalone", 0, 8);
    request.resource_spans[0].scope_spans[0].spans[3].name = "Quiet".into();
    send(relay, &request).await;
    hex(&generate::trace_id(0))
}

/// Waits until the store shows this trace with an answer to each of its requests.
async fn answered(relay: &RelayUnderTest, id: &str) -> Value {
    let path = format!("/api/v1/traces/{id}");
    let waiting = async {
        loop {
            let answer = get(relay.admin(), &path).await;
            let trace: Value = serde_json::from_slice(&answer.body).unwrap();
            if trace["requests"][0]["answers"][0].is_object() {
                return trace;
            }
        }
    };
    tokio::time::timeout(crate::PATIENCE, waiting)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_trace_shows_which_rule_decided_and_what_was_answered() {
    let backend = FakeBackend::start().await;
    let relay = Setup::to(&backend.endpoint()).policies(POLICIES).start();
    let id = send_trace(&relay).await;
    let trace = answered(&relay, &id).await;
    assert_eq!(
        (&trace["kept"], &trace["sampled_out"]),
        (&json!(7), &json!(1))
    );
    for span in trace["spans"].as_array().unwrap() {
        let expected = if span["name"] == "Quiet" {
            (json!("sampled_out"), json!("rule quiet"))
        } else {
            (json!("kept"), json!("default"))
        };
        assert_eq!((span["decision"].clone(), span["rule"].clone()), expected);
    }
    let answers = json!([{ "destination": "jaeger", "answer": "delivered" }]);
    assert_eq!(trace["requests"][0]["answers"], answers);
    let list = document(&relay, "/api/v1/traces?service=standalone").await;
    assert_eq!(list["traces"][0]["trace_id"], id);
    relay.stop().await;
}

#[tokio::test]
async fn a_trace_shows_that_its_destination_would_not_have_it() {
    let backend = FakeBackend::start().await;
    backend.script([Answer::Grpc(Code::Unknown, None)]);
    let relay = Setup::to(&backend.endpoint()).start();
    let id = send_trace(&relay).await;
    let trace = answered(&relay, &id).await;
    let answer = trace["requests"][0]["answers"][0]["answer"]
        .as_str()
        .unwrap();
    assert_eq!(answer, "rejected: UNKNOWN: as scripted");
    let totals = relay.stop().await.totals;
    assert_eq!(totals.destinations["jaeger"].rejected_by_destination, 8);
}

/// It was shown as kept, and never answered.
#[tokio::test]
async fn a_trace_shows_that_its_request_was_refused() {
    let backend = FakeBackend::start().await;
    backend.answer(Answer::Grpc(Code::Unavailable, None));
    let relay = Setup::to(&backend.endpoint())
        .settings("queue: { bytes_max: 1KiB, wait_max: 20ms }\nshutdown: { deadline: 100ms }\n")
        .start();
    send(&relay, &generate::request("standalone", 800, 8)).await;
    let refused = generate::request("standalone", 0, 8).encode_to_vec();
    assert_eq!(over_http(&relay, &refused, false).await.status, 503);
    let trace = answered(&relay, &hex(&generate::trace_id(0))).await;
    let answers = json!([{ "destination": "relay", "answer": "refused" }]);
    assert_eq!(trace["requests"][0]["answers"], answers);
    relay.stop().await;
}

#[tokio::test]
async fn health_metrics_ledger_and_policies_tell_the_same() {
    let backend = FakeBackend::start().await;
    let relay = Setup::to(&backend.endpoint()).policies(POLICIES).start();
    for path in ["/", "/livez", "/readyz", "/metrics"] {
        assert_eq!(get(relay.admin(), path).await.status, 200, "{path}");
    }
    send_trace(&relay).await;
    relay.until_settled().await;

    let ledger = document(&relay, "/api/v1/ledger").await;
    assert_eq!(ledger["balanced"], true);
    assert_eq!(
        (&ledger["accepted"], &ledger["sampled_out"]),
        (&json!(8), &json!(1))
    );
    assert_eq!(ledger["destinations"]["jaeger"]["exported"], 7);

    for (series, expected) in [
        (
            "otelcol_receiver_accepted_spans_total{receiver=\"otlp\",transport=\"grpc\"}",
            8.0,
        ),
        (
            "otelcol_exporter_sent_spans_total{exporter=\"jaeger\"}",
            7.0,
        ),
        (
            "otlp_relay_policy_spans_total{rule=\"rule quiet\",decision=\"sampled_out\"}",
            1.0,
        ),
        ("otlp_relay_spans_held{destination=\"jaeger\"}", 0.0),
        ("otlp_relay_destination_up{destination=\"jaeger\"}", 1.0),
    ] {
        assert_eq!(sample(&relay, series).await, Some(expected), "{series}");
    }

    let policies = document(&relay, "/api/v1/policies").await;
    let shown: Vec<_> = policies
        .as_array()
        .unwrap()
        .iter()
        .map(|shown| {
            (
                shown["policy"]["name"].clone(),
                shown["kept"].clone(),
                shown["sampled_out"].clone(),
            )
        })
        .collect();
    let expected = [("rule quiet", 0, 1), ("default", 7, 0)]
        .map(|(name, kept, dropped)| (json!(name), json!(kept), json!(dropped)));
    assert_eq!(shown, expected);
    relay.stop().await;
}

#[tokio::test]
async fn without_a_destination_the_store_is_one() {
    let relay = Setup::quick().start();
    let id = send_trace(&relay).await;
    relay.until_settled().await;
    let trace = document(&relay, &format!("/api/v1/traces/{id}")).await;
    assert_eq!(trace["span_count"], 8);
    let destinations = document(&relay, "/api/v1/destinations").await;
    assert_eq!(destinations["destinations"][0]["name"], "store");
    assert_eq!(get(relay.admin(), "/readyz").await.status, 200);
    let ended = relay.stop().await;
    assert_eq!(ended.totals.destinations["store"].exported, 8);
}
