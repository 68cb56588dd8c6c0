//! Sampling and unusable spans through the whole relay, as senders and destinations see them.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message;

use crate::{
    calls::{WAYS, send, taken},
    support::{fake_backend::FakeBackend, generate, relay_under_test::Setup},
};

/// The ids of the traces that this service's spans left for.
fn traces_of(requests: &[ExportTraceServiceRequest], service: &str) -> BTreeSet<Vec<u8>> {
    let name = generate::attribute("service.name", service);
    let spans = requests.iter().flat_map(generate::flatten);
    spans
        .filter(|(resource, ..)| resource.attributes.contains(&name))
        .map(|(.., span)| span.trace_id)
        .collect()
}

#[tokio::test]
async fn each_service_has_its_fraction_and_smaller_ones_are_nested_in_larger_ones() {
    let backend = FakeBackend::start().await;
    let policies = "\
default: { sample_fraction: 0 }
services:
  all: { sample_fraction: 1 }
  half: { sample_fraction: 0.5 }
  fifth: { sample_fraction: 0.2 }
";
    let relay = Setup::to(&backend.endpoint()).policies(policies).start();
    for service in ["all", "half", "fifth", "unnamed"] {
        send(&relay, &generate::request(service, 0, 4_000)).await;
    }
    relay.until_settled().await;
    let taken = backend.taken();
    let of = |service| traces_of(&taken, service);
    let (all, half, fifth) = (of("all"), of("half"), of("fifth"));
    assert_eq!((all.len(), of("unnamed").len()), (500, 0));
    // Five standard deviations of 500 traces.
    assert!((195..=305).contains(&half.len()), "{}", half.len());
    assert!((56..=144).contains(&fifth.len()), "{}", fifth.len());
    assert!(fifth.is_subset(&half) && half.is_subset(&all));
    let totals = relay.stop().await.totals;
    let kept = (all.len() + half.len() + fifth.len()) as u64 * 8;
    assert_eq!(
        (totals.forwarded, totals.sampled_out),
        (kept, 16_000 - kept)
    );
}

/// A span with this tracestate.
fn with_state(number: u64, trace_state: &str) -> Span {
    Span {
        trace_state: trace_state.to_owned(),
        ..generate::span(number)
    }
}

#[tokio::test]
async fn thresholds_are_raised_and_written_back() {
    let backend = FakeBackend::start().await;
    let half = "default: { sample_fraction: 0.5 }\n";
    let relay = Setup::to(&backend.endpoint()).policies(half).start();
    let cases = [
        (
            "ot=th:8;rv:c0000000000000",
            Some("ot=rv:c0000000000000;th:c"),
        ),
        ("ot=th:8;rv:bfffffffffffff", None),
        ("ot=rv:80000000000000", Some("ot=rv:80000000000000;th:8")),
        ("ot=rv:7fffffffffffff", None),
    ];
    let mut request = generate::request("client", 0, 0);
    let spans = &mut request.resource_spans[0].scope_spans[0].spans;
    let numbered = (0..).zip(cases);
    spans.extend(numbered.map(|(number, (state, _))| with_state(number, state)));
    send(&relay, &request).await;
    relay.until_settled().await;

    let mut left = backend.spans();
    left.sort_by(|one, other| one.span_id.cmp(&other.span_id));
    let left: Vec<_> = left.into_iter().map(|span| span.trace_state).collect();
    let expected: Vec<_> = cases.iter().filter_map(|(_, left)| *left).collect();
    assert_eq!(left, expected);
    relay.stop().await;
}

#[tokio::test]
async fn a47_a48_spans_with_unusable_ids_are_rejected_and_the_others_go_on() {
    let backend = FakeBackend::start().await;
    let relay = Setup::to(&backend.endpoint()).start();
    let spoil: [fn(&mut Span); 5] = [
        |span| span.trace_id.truncate(15),
        |span| span.trace_id.push(1),
        |span| span.trace_id.clear(),
        |span| span.trace_id.fill(0),
        |span| span.span_id.fill(0),
    ];
    for way in WAYS {
        let mut request = generate::request("client", 0, 8);
        let spans = &mut request.resource_spans[0].scope_spans[0].spans;
        for (span, spoil) in spans.iter_mut().zip(spoil) {
            spoil(span);
        }
        let partial = taken(&relay, way, &request.encode_to_vec())
            .await
            .partial_success;
        let partial = partial.expect("some are not usable");
        assert_eq!(partial.rejected_spans, 5, "{way:?}");
        let message = partial.error_message;
        assert!(
            (1..=1024).contains(&message.len()) && message.is_ascii(),
            "{message}"
        );

        spans_only(&mut request, 5);
        let partial = taken(&relay, way, &request.encode_to_vec())
            .await
            .partial_success;
        assert_eq!(partial.unwrap().rejected_spans, 5, "also when all are");
    }
    relay.until_settled().await;
    assert_eq!(backend.spans().len(), 4 * 3);
    let totals = relay.stop().await.totals;
    assert_eq!((totals.accepted, totals.rejected), (12, 40));
}

/// What no rule of OTLP forbids is nobody's to refuse, nor to mend.
#[tokio::test]
async fn a63_odd_values_come_out_as_they_went_in() {
    let odd: [fn(&mut Span); 6] = [
        |span| (span.start_time_unix_nano, span.end_time_unix_nano) = (0, u64::MAX),
        |span| (span.start_time_unix_nano, span.end_time_unix_nano) = (2, 1),
        |span| span.kind = 99,
        |span| span.kind = -1,
        |span| span.status.as_mut().unwrap().code = 7,
        |span| span.name.clear(),
    ];
    for way in WAYS {
        let backend = FakeBackend::start().await;
        let relay = Setup::to(&backend.endpoint()).start();
        let mut request = generate::request("client", 0, 6);
        let spans = &mut request.resource_spans[0].scope_spans[0].spans;
        for (span, odd) in spans.iter_mut().zip(odd) {
            odd(span);
        }
        let answer = taken(&relay, way, &request.encode_to_vec()).await;
        assert_eq!(answer.partial_success, None, "{way:?}");
        let totals = relay.stop().await.totals;
        assert_eq!((totals.accepted, totals.rejected), (6, 0));
        assert_eq!(backend.taken(), [request], "{way:?}");
    }
}

/// They refer to a table that only profiles have: no rule and no edit sees a key or a value in them, and they pass.
#[tokio::test]
async fn a64_what_only_profiles_have_is_as_good_as_absent_and_passes() {
    let drops =
        "rules: [{ name: r, match: { attributes: { secret: \"*\" } }, sample_fraction: 0 }]\n";
    let edits = "enrichment: [{ on: span, remove: [secret], set_if_absent: { found: no } }]\n";
    let key_only = KeyValue {
        key_strindex: 7,
        ..generate::attribute("", "secret")
    };
    let value_only = generate::typed_attribute("found", Value::StringValueStrindex(7));
    for way in WAYS {
        let backend = FakeBackend::start().await;
        let relay = Setup::to(&backend.endpoint())
            .policies(drops)
            .settings(edits)
            .start();
        let mut request = generate::request("client", 0, 2);
        let spans = &mut request.resource_spans[0].scope_spans[0].spans;
        spans[0].attributes = vec![key_only.clone(), value_only.clone()];
        spans[1].attributes = vec![generate::attribute("secret", "by its name")];
        let answer = taken(&relay, way, &request.encode_to_vec()).await;
        assert_eq!(answer.partial_success, None, "{way:?}");
        let totals = relay.stop().await.totals;
        assert_eq!(
            (totals.accepted, totals.rejected, totals.sampled_out),
            (2, 0, 1)
        );
        let left = &backend.spans()[0].attributes;
        assert_eq!(left[..2], [key_only.clone(), value_only.clone()], "{way:?}");
    }
}

/// Leaves only the first spans.
fn spans_only(request: &mut ExportTraceServiceRequest, count: usize) {
    request.resource_spans[0].scope_spans[0]
        .spans
        .truncate(count);
}
