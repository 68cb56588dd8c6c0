//! The wire room against prost: what a reader of objects sees is what our ranges say.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use otlp_relay::wire::{self, Index, Wanted};
use proptest::prelude::*;
use prost::Message;

use crate::support::{
    corpus,
    fuzzing::{
        objects::{each_alone, filtered},
        scan::{self as oracle, EVERYTHING, check_split, indexed, usable},
    },
    generate,
};

fn scan(body: &[u8], wanted: Wanted) -> Result<Index, wire::Broken> {
    let counts = wire::count(body)?;
    assert!(!counts.repeated, "prost writes every singular message once");
    oracle::scan(body, &counts, wanted)
}

fn only_usable(request: &ExportTraceServiceRequest) -> ExportTraceServiceRequest {
    filtered(request, |_| true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_scan_sees_what_prost_sees(request in generate::any_request()) {
        let body = request.encode_to_vec();
        let index = scan(&body, EVERYTHING).unwrap();
        let usable = usable(&request);
        prop_assert_eq!(indexed(&body, &index), usable.clone());
        let unusable = generate::spans(&request) - usable.len() as u64;
        prop_assert_eq!(index.unusable.total(), unusable);
    }

    #[test]
    fn what_prost_reads_the_scan_reads(
        request in generate::any_request(),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in option_cut(),
    ) {
        let mut body = request.encode_to_vec();
        if body.is_empty() {
            return Ok(());
        }
        for (at, value) in mutations {
            let at = at.index(body.len());
            body[at] = value;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len() + 1));
        }
        oracle::fuzz_body(&body);
    }

    #[test]
    fn splitting_keeps_every_span_and_every_limit(
        request in generate::any_request(),
        spans_max in 1_u64..6,
        bytes_max in 50_usize..2000,
    ) {
        check_split(&only_usable(&request), spans_max, bytes_max);
    }

    #[test]
    fn what_is_repaired_is_what_prost_takes(
        request in generate::any_request(),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut body = only_usable(&request).encode_to_vec();
        if body.is_empty() {
            return Ok(());
        }
        for (at, value) in mutations {
            let at = at.index(body.len());
            body[at] = value;
        }
        if let Ok(counts) = wire::count(&body) {
            oracle::check_repair(&body, &counts);
        }
    }
}

fn option_cut() -> impl Strategy<Value = Option<prop::sample::Index>> {
    prop::option::weighted(0.3, any::<prop::sample::Index>())
}

#[test]
fn recorded_requests_are_scanned_and_split_without_a_loss() {
    for recorded in corpus::recorded() {
        let request = ExportTraceServiceRequest::decode(&recorded.body[..]).unwrap();
        let index = scan(&recorded.body, EVERYTHING).unwrap();
        assert_eq!(
            index.spans.len() as u64,
            recorded.spans,
            "{}",
            recorded.file
        );
        assert_eq!(index.unusable.total(), 0, "{}", recorded.file);
        check_split(&request, 512, 3584 << 10);
        check_split(&request, 100, 64 << 10);
    }
}

#[test]
fn a_span_is_too_large_from_the_first_byte_over_the_limit() {
    // Around the lengths where a prefix takes one byte more.
    for padding in [0, 60, 80, 1000, 16_250, 16_300, 16_384] {
        let mut request = generate::request("milvus", 0, 3);
        request.resource_spans[0].scope_spans[0].spans[1].name = "x".repeat(padding);
        for alone in each_alone(&request) {
            let bytes = alone.encoded_len();
            for bytes_max in [bytes - 1, bytes, bytes + 1] {
                check_split(&request, 512, bytes_max);
            }
        }
    }
}

#[test]
fn a_scope_of_many_pieces_keeps_what_stands_around_its_spans() {
    let mut request = generate::request("milvus", 0, 700);
    let resource = &mut request.resource_spans[0];
    resource.schema_url = "resource schema".into();
    resource.scope_spans[0].schema_url = "scope schema".into();
    let second = generate::request("milvus", 700, 5).resource_spans[0].scope_spans[0].clone();
    resource.scope_spans.push(second);
    request
        .resource_spans
        .extend(generate::request("segcore", 705, 300).resource_spans);
    for spans_max in [1, 7, 512] {
        check_split(&request, spans_max, 1 << 20);
    }
}

#[test]
fn broken_utf8_is_repaired_and_everything_else_stays() {
    let mut request = generate::request("milvus", 0, 3);
    request.resource_spans[0].scope_spans[0].spans[1].name = "XXXX".into();
    let mut body = request.encode_to_vec();
    let at = body
        .windows(4)
        .position(|window| window == b"XXXX")
        .unwrap();
    body[at] = 0xff;

    let repaired = wire::repair(&[body.into()]);

    request.resource_spans[0].scope_spans[0].spans[1].name = "\u{fffd}XXX".into();
    let decoded = ExportTraceServiceRequest::decode(&repaired.segments.concat()[..]).unwrap();
    assert_eq!(decoded, request);
    assert_eq!(
        (
            repaired.spans,
            repaired.malformed,
            repaired.strings_repaired
        ),
        (3, 0, 1)
    );
}

#[test]
fn a13_values_nested_a_million_deep_overflow_no_stack() {
    let mut value = Vec::new();
    for _ in 0..60_000 {
        // Each level: an AnyValue with an array of one AnyValue; lengths grow to three bytes, which keeps this quick.
        let mut array = vec![0x0a];
        prost::encoding::encode_varint(value.len() as u64, &mut array);
        array.extend(&value);
        value = vec![0x2a];
        prost::encoding::encode_varint(array.len() as u64, &mut value);
        value.extend(array);
        if value.len() > 200_000 {
            break;
        }
    }
    let mut attribute = vec![0x0a, 1, b'k', 0x12];
    prost::encoding::encode_varint(value.len() as u64, &mut attribute);
    attribute.extend(value);
    let mut request = generate::request("milvus", 0, 1);
    let mut span = request.resource_spans[0].scope_spans[0]
        .spans
        .remove(0)
        .encode_to_vec();
    span.push(0x4a);
    prost::encoding::encode_varint(attribute.len() as u64, &mut span);
    span.extend(attribute);
    let body = [
        generate::nested(1, &generate::nested(2, &generate::nested(2, &span))),
        generate::request("milvus", 1, 1).encode_to_vec(),
    ]
    .concat();

    let unread = scan(&body, Wanted::default()).unwrap();
    assert_eq!(
        unread.spans.len(),
        2,
        "values nobody reads pass as they came"
    );
    let read = scan(&body, EVERYTHING).unwrap();
    assert_eq!((read.spans.len(), read.unusable.broken), (1, 1));
    let repaired = wire::repair(&[body.into()]);
    assert_eq!((repaired.spans, repaired.malformed), (1, 1));
}
