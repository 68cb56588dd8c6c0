//! A request through the door and the steps, compared with the same done on decoded objects.

use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value,
};
use otlp_relay::{
    budget::{Budget, Denied, Use},
    processor::{Processed, Snapshot},
    request::Counted,
};
use proptest::prelude::*;
use prost::Message;

use crate::support::{
    corpus,
    fuzzing::steps::{self, check_account, decoded, kept, without_trace_state},
    generate, settings,
};

/// Admits and processes a body.
fn process(snapshot: &Snapshot, body: Bytes) -> Processed {
    let budget = Budget::new(1 << 30, 1 << 20);
    process_within(&budget, snapshot, body).unwrap()
}

/// The same within a budget.
fn process_within(budget: &Budget, snapshot: &Snapshot, body: Bytes) -> Result<Processed, Denied> {
    let permit = budget.try_claim(body.len(), Use::Bodies).unwrap();
    steps::process(snapshot, Counted::new(body, permit).unwrap())
}

/// Edits have to read attributes of what is kept, and no more of them than they look at. What is dropped, or what nobody looks
/// at, is the destination's to judge.
#[test]
fn a_span_that_cannot_be_edited_is_rejected_if_it_is_kept() {
    const NOTHING: &str = "[]";
    const KEYS: &str = "[ { on: span, set: { a: b } } ]";
    const VALUES: &str = "[ { on: span, set: { a: b }, mask: { a: b } } ]";
    let mut request = generate::request("standalone", 0, 3);
    request.resource_spans[0].scope_spans[0].spans[1].attributes[0] =
        generate::attribute("BROKEN", "value");
    let body = request.encode_to_vec();
    let key_at = body.windows(6).position(|six| six == b"BROKEN").unwrap();
    let (key_tag, value_tag, string_tag) = (key_at - 2, key_at + 6, key_at + 8);
    for (at, was, becomes, rejecting) in [
        (string_tag, 0x0a, 0x08, &[VALUES][..]), // a string that is a number
        (value_tag, 0x12, 0x17, &[KEYS, VALUES]), // a field of no wire type
        (key_tag, 0x0a, 0x0d, &[KEYS, VALUES]),  // a key that is a number
    ] {
        let mut body = body.clone();
        assert_eq!(body[at], was);
        body[at] = becomes;
        for edits in [NOTHING, KEYS, VALUES] {
            for kept in [0, 3] {
                let policies = format!("default: {{ sample_fraction: {} }}\n", kept / 3);
                let processed = process(&settings::snapshot(&policies, edits), body.clone().into());
                let broken = u64::from(kept > 0 && rejecting.contains(&edits));
                let found = (
                    processed.kept,
                    processed.sampled_out,
                    processed.unusable.broken,
                );
                assert_eq!(
                    found,
                    (kept - broken, 3 - kept, broken),
                    "{becomes} {edits}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_kept_is_what_filtering_objects_keeps(
        request in generate::any_request(),
        fraction in prop_oneof![Just(0.0), Just(0.5), Just(1.0)],
    ) {
        let policies = format!("default: {{ sample_fraction: {fraction} }}\n");
        let snapshot = settings::snapshot(&policies, "[]");
        let processed = process(&snapshot, request.encode_to_vec().into());
        let expected = kept(&request, &processed);
        let found = without_trace_state(generate::flatten(&decoded(&processed)));
        prop_assert_eq!(found, without_trace_state(generate::flatten(&expected)));
        check_account(generate::spans(&request), &processed);
    }

    #[test]
    fn a60_a_resource_attribute_is_set_on_every_resource_and_nothing_else_changes(
        request in generate::any_request(),
    ) {
        let snapshot = settings::snapshot(
            "default: { sample_fraction: 1 }\n",
            "[ { on: resource, set: { env: prod } } ]",
        );
        let processed = process(&snapshot, request.encode_to_vec().into());
        let mut expected = kept(&request, &processed);
        for resource_spans in &mut expected.resource_spans {
            let attributes = &mut resource_spans.resource.get_or_insert_default().attributes;
            attributes.push(generate::attribute("env", "prod"));
        }
        let found = without_trace_state(generate::flatten(&decoded(&processed)));
        let expected = without_trace_state(generate::flatten(&expected));
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a60_all_kept_and_nothing_to_edit_are_the_very_bytes_that_came() {
    let body = Bytes::from(generate::request("standalone", 0, 100).encode_to_vec());
    let snapshot = settings::snapshot("default: { sample_fraction: 1 }\n", "[]");
    let processed = process(&snapshot, body.clone());
    assert_eq!(processed.segments.len(), 1);
    assert_eq!(processed.segments[0].as_ptr(), body.as_ptr());
    assert_eq!(processed.segments[0], body);
}

#[test]
fn a_resource_edit_shares_the_spans_with_the_body() {
    let body = Bytes::from(generate::request("standalone", 0, 512).encode_to_vec());
    let snapshot = settings::snapshot(
        "default: { sample_fraction: 1 }\n",
        "[ { on: resource, set: { env: prod } } ]",
    );
    let processed = process(&snapshot, body.clone());
    let within = body.as_ptr_range();
    let shared: usize = processed
        .segments
        .iter()
        .filter(|segment| within.contains(&segment.as_ptr()))
        .map(Bytes::len)
        .sum();
    assert!(
        shared > body.len() * 9 / 10,
        "{shared} of {} bytes are shared",
        body.len()
    );
    assert!(processed.pinned > body.len());
}

#[test]
fn what_edits_add_is_paid_for_before_it_is_written() {
    // Given a mask that makes every span of 400 bytes one of 9 KB, which nobody foresees: 4.6 MB.
    let edits = format!(
        "[ {{ on: span, set: {{ note: x }}, mask: {{ x: '{}' }} }} ]",
        "y".repeat(9_000)
    );
    let snapshot = settings::snapshot("default: { sample_fraction: 1 }\n", &edits);
    let body = Bytes::from(generate::request("standalone", 0, 512).encode_to_vec());
    // When it is processed within a budget that holds it, and one that does not.
    let enough = Budget::new(64 << 20, 16 << 20);
    let processed = process_within(&enough, &snapshot, body.clone()).unwrap();
    let too_small = Budget::new(4 << 20, 1 << 20);
    let denied = process_within(&too_small, &snapshot, body).unwrap_err();
    // Then it is whole, or refused, and nothing stays claimed.
    assert_eq!(generate::spans(&decoded(&processed)), 512);
    let written: usize = processed.segments.iter().map(Bytes::len).sum();
    assert!(written > 512 * 9_000, "{written}");
    assert_eq!(denied, Denied::NeverFits);
    assert_eq!((enough.used_total(), too_small.used_total()), (0, 0));
}

#[test]
fn when_few_are_kept_the_body_can_go() {
    let body = Bytes::from(generate::request("standalone", 0, 512).encode_to_vec());
    let snapshot = settings::snapshot("default: { sample_fraction: 0.1 }\n", "[]");
    let processed = process(&snapshot, body.clone());
    assert!(
        processed.kept > 0 && processed.kept < 150,
        "{} kept",
        processed.kept
    );
    assert!(processed.pinned < body.len() / 3);
    let within = body.as_ptr_range();
    assert!(
        processed
            .segments
            .iter()
            .all(|segment| !within.contains(&segment.as_ptr()))
    );
}

#[test]
fn a62_neighbours_with_the_same_resource_leave_as_one() {
    // Milvus' C++ part sends one ResourceSpans a span.
    let mut request = ExportTraceServiceRequest::default();
    for number in 0..50 {
        request
            .resource_spans
            .extend(generate::request("segcore", number, 1).resource_spans);
    }
    request
        .resource_spans
        .extend(generate::request("standalone", 50, 1).resource_spans);
    let snapshot = settings::snapshot("default: { sample_fraction: 1 }\n", "[]");
    let processed = process(&snapshot, request.encode_to_vec().into());
    let found = decoded(&processed);
    assert_eq!(found.resource_spans.len(), 2);
    assert_eq!(generate::flatten(&found), generate::flatten(&request));
}

/// A schema URL belongs to its own level, so what differs in nothing else stays apart, each span where it was.
#[test]
fn a62_the_same_with_other_schema_urls_stays_apart() {
    let mut request = generate::request("segcore", 0, 3);
    let first = request.resource_spans[0].clone();
    let mut other_scope = generate::request("segcore", 3, 3)
        .resource_spans
        .remove(0)
        .scope_spans;
    other_scope[0].schema_url = "https://opentelemetry.io/schemas/1.13.0".into();
    request.resource_spans[0].scope_spans.extend(other_scope);
    let mut other_resource = first.clone();
    other_resource.schema_url = "https://opentelemetry.io/schemas/1.14.0".into();
    request.resource_spans.extend([other_resource, first]);
    for enrichment in ["[]", "[{ on: span, set: { seen: yes } }]"] {
        let snapshot = settings::snapshot("default: { sample_fraction: 1 }\n", enrichment);
        let found = decoded(&process(&snapshot, request.encode_to_vec().into()));
        let shape = |request: &ExportTraceServiceRequest| {
            let flat = generate::flatten(request).into_iter();
            let keys = flat.map(|(_, resource, _, scope, span)| (resource, scope, span.span_id));
            keys.collect::<Vec<_>>()
        };
        assert_eq!(shape(&found), shape(&request), "{enrichment}");
        assert_eq!(found.resource_spans.len(), 3, "{enrichment}");
        assert_eq!(found.resource_spans[0].scope_spans.len(), 2, "{enrichment}");
    }
}

#[test]
fn a_repeated_resource_is_merged_before_anything_reads_it() {
    let first = generate::request("standalone", 0, 2);
    let mut second = first.clone();
    second.resource_spans[0].scope_spans.clear();
    let attributes = &mut second.resource_spans[0]
        .resource
        .as_mut()
        .unwrap()
        .attributes;
    *attributes = vec![generate::attribute("second", "half")];
    // Two messages of one ResourceSpans, one behind the other, are one ResourceSpans with its resource twice.
    let inner = [
        first.resource_spans[0].encode_to_vec(),
        second.resource_spans[0].encode_to_vec(),
    ]
    .concat();
    let mut body = Vec::new();
    prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut body);
    prost::encoding::encode_varint(inner.len() as u64, &mut body);
    body.extend(inner);
    let expected = ExportTraceServiceRequest::decode(&body[..]).unwrap();

    let snapshot = settings::snapshot("default: { sample_fraction: 1 }\n", "[]");
    let processed = process(&snapshot, body.into());
    let found = decoded(&processed);
    assert_eq!(generate::flatten(&found), generate::flatten(&expected));
    let resource = found.resource_spans[0].resource.as_ref().unwrap();
    let last = &resource
        .attributes
        .last()
        .unwrap()
        .value
        .as_ref()
        .unwrap()
        .value;
    assert_eq!(*last, Some(Value::StringValue("half".into())));
}

#[test]
fn recorded_requests_pass_and_are_enriched() {
    let snapshot = settings::snapshot(
        "default: { sample_fraction: 1 }\n",
        "[ { on: resource, set: { env: prod } }, { on: span, set: { relay: here } } ]",
    );
    for recorded in corpus::recorded() {
        let request = ExportTraceServiceRequest::decode(&recorded.body[..]).unwrap();
        let processed = process(&snapshot, recorded.body.into());
        assert_eq!(processed.kept, recorded.spans, "{}", recorded.file);
        let mut expected = generate::flatten(&request);
        for (resource, .., span) in &mut expected {
            resource.attributes.push(generate::attribute("env", "prod"));
            span.attributes.push(generate::attribute("relay", "here"));
        }
        assert_eq!(
            generate::flatten(&decoded(&processed)),
            expected,
            "{}",
            recorded.file
        );
    }
}
