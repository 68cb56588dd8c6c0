//! The wire room against prost: what a reader of objects sees is what our ranges say.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use otlp_relay::wire::{self, Checks, Detail, Index, Wanted};
use proptest::prelude::*;
use prost::Message;

use crate::support::{corpus, generate};

const EVERYTHING: Wanted = Wanted {
    resource_attributes: Detail::Values,
    span_attributes: Detail::Values,
    events: Detail::Values,
    status: true,
    scope: true,
};

fn scan(body: &[u8], wanted: Wanted) -> Result<Index, wire::Broken> {
    let checks = Checks {
        wanted,
        message_bytes_max: usize::MAX,
    };
    wire::count(body).and_then(|counts| {
        assert!(!counts.repeated, "prost writes every singular message once");
        wire::scan(body, &counts, &checks)
    })
}

fn usable(request: &ExportTraceServiceRequest) -> Vec<(Vec<u8>, Vec<u8>, String, String)> {
    let usable = |id: &[u8], length| id.len() == length && id.iter().any(|&byte| byte != 0);
    generate::flatten(request)
        .into_iter()
        .map(|(.., span)| span)
        .filter(|span| usable(&span.trace_id, 16) && usable(&span.span_id, 8))
        .map(|span| (span.trace_id, span.span_id, span.trace_state, span.name))
        .collect()
}

fn indexed(body: &[u8], index: &Index) -> Vec<(Vec<u8>, Vec<u8>, String, String)> {
    let text = |range: wire::Range32| String::from_utf8(range.of(body).to_vec()).unwrap();
    let bytes = |at: u32, length: usize| body[at as usize..at as usize + length].to_vec();
    index
        .spans
        .iter()
        .map(|span| {
            let ids = (bytes(span.trace_id_at, 16), bytes(span.span_id_at, 8));
            (ids.0, ids.1, text(span.trace_state), text(span.name))
        })
        .collect()
}

/// Cuts and mends: what is split and put together again is what it was.
fn check_split(request: &ExportTraceServiceRequest, spans_max: u64, bytes_max: usize) {
    let body = Bytes::from(request.encode_to_vec());
    let pieces = wire::split(&[body], spans_max, bytes_max);
    let mut spans = 0;
    let mut joined = ExportTraceServiceRequest::default();
    for piece in &pieces.pieces {
        let bytes = piece.segments.concat();
        assert_eq!(bytes.len(), piece.bytes);
        assert!(bytes.len() <= bytes_max, "{} > {bytes_max}", bytes.len());
        let decoded = ExportTraceServiceRequest::decode(&bytes[..]).unwrap();
        assert!(piece.spans > 0 && piece.spans <= spans_max);
        assert_eq!(generate::spans(&decoded), piece.spans);
        spans += piece.spans;
        joined.resource_spans.extend(decoded.resource_spans);
    }
    assert_eq!(spans + pieces.too_large, generate::spans(request));
    let too_large = each_alone(request).filter(|alone| alone.encoded_len() > bytes_max);
    assert_eq!(pieces.too_large, too_large.count() as u64, "at {bytes_max}");
    if pieces.too_large == 0 {
        assert_eq!(generate::flatten(&joined), generate::flatten(request));
    }
}

/// Each span as a request of its own, with its resource and scope.
fn each_alone(
    request: &ExportTraceServiceRequest,
) -> impl Iterator<Item = ExportTraceServiceRequest> {
    request.resource_spans.iter().flat_map(|resource| {
        resource.scope_spans.iter().flat_map(move |scope| {
            scope.spans.iter().map(move |span| {
                let mut scope = scope.clone();
                scope.spans = vec![span.clone()];
                let mut resource = resource.clone();
                resource.scope_spans = vec![scope];
                ExportTraceServiceRequest {
                    resource_spans: vec![resource],
                }
            })
        })
    })
}

fn only_usable(mut request: ExportTraceServiceRequest) -> ExportTraceServiceRequest {
    for resource in &mut request.resource_spans {
        for scope in &mut resource.scope_spans {
            scope.spans.retain(|span| {
                let ids = [(&span.trace_id, 16), (&span.span_id, 8)];
                ids.iter()
                    .all(|(id, length)| id.len() == *length && id.iter().any(|&b| b != 0))
            });
        }
    }
    request
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
        let decoded = ExportTraceServiceRequest::decode(&body[..]);
        let checks = Checks { wanted: EVERYTHING, message_bytes_max: usize::MAX };
        let counts = wire::count(&body);
        if let Ok(decoded) = &decoded {
            let mut counts = counts.expect("prost reads it");
            let mut bytes = Bytes::from(body.clone());
            if counts.repeated {
                bytes = wire::join_repeated(&bytes).into();
                counts = wire::count(&bytes).expect("joining keeps a message whole");
            }
            let index = wire::scan(&bytes, &counts, &checks).expect("prost reads it");
            prop_assert_eq!(indexed_ids(&bytes, &index), usable_ids(decoded));
        } else if let Ok(counts) = counts {
            // Not so strict above the spans: a span that prost would refuse the request for is left out alone.
            drop(wire::scan(&body, &counts, &checks));
        }
    }

    #[test]
    fn splitting_keeps_every_span_and_every_limit(
        request in generate::any_request(),
        spans_max in 1_u64..6,
        bytes_max in 50_usize..2000,
    ) {
        check_split(&only_usable(request), spans_max, bytes_max);
    }

    #[test]
    fn what_is_repaired_is_what_prost_takes(
        request in generate::any_request(),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut body = only_usable(request).encode_to_vec();
        if body.is_empty() {
            return Ok(());
        }
        for (at, value) in mutations {
            let at = at.index(body.len());
            body[at] = value;
        }
        if wire::count(&body).is_err() {
            return Ok(());
        }
        let before = wire::count(&body).unwrap().spans as u64;
        let repaired = wire::repair(&[body.into()]);
        let decoded = ExportTraceServiceRequest::decode(&repaired.segments.concat()[..]);
        let decoded = decoded.expect("a strict reader takes what was repaired");
        prop_assert_eq!(generate::spans(&decoded), repaired.spans);
        prop_assert_eq!(repaired.spans + repaired.malformed, before);
    }
}

fn option_cut() -> impl Strategy<Value = Option<prop::sample::Index>> {
    prop::option::weighted(0.3, any::<prop::sample::Index>())
}

fn indexed_ids(body: &[u8], index: &Index) -> Vec<(Vec<u8>, Vec<u8>)> {
    let bytes = |at: u32, length: usize| body[at as usize..at as usize + length].to_vec();
    let ids = |span: &wire::SpanEntry| (bytes(span.trace_id_at, 16), bytes(span.span_id_at, 8));
    index.spans.iter().map(ids).collect()
}

fn usable_ids(request: &ExportTraceServiceRequest) -> Vec<(Vec<u8>, Vec<u8>)> {
    usable(request)
        .into_iter()
        .map(|(trace, span, ..)| (trace, span))
        .collect()
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
