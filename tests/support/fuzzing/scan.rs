//! The wire room against prost: what a reader of objects sees is what our ranges say; what is split is what it was in pieces,
//! and what is repaired is what a strict reader takes.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use otlp_relay::wire::{self, Checks, Counting, Counts, Detail, Index, Range32, SpanEntry, Wanted};
use prost::Message;

use super::objects::{assert_same, each_alone, filtered, flatten, is_usable, spans};

/// Everything that a policy or an edit can read.
pub const EVERYTHING: Wanted = Wanted {
    resource_attributes: Detail::Values,
    span_attributes: Detail::Values,
    events: Detail::Values,
    status: true,
    scope: true,
};

/// What is looked at of a span: both ids, the tracestate, the name.
pub type Looked = (Vec<u8>, Vec<u8>, String, String);

/// The target: a body as it is, whatever it is.
pub fn fuzz_body(body: &[u8]) {
    let counts = wire::count(body);
    // Counted while it arrives, and behind its end.
    let step = 1 + body.len() % 31;
    let mut counting = Counting::default();
    for arrived in (step..body.len()).step_by(step) {
        counting.advance(&body[..arrived]);
    }
    assert_eq!(counting.finish(body), counts, "in steps of {step}");
    let Ok(counts) = counts else {
        let decoded = ExportTraceServiceRequest::decode(body);
        assert!(decoded.is_err(), "prost reads what is said to be broken");
        return;
    };
    check_repair(body, &counts);
    let (joined, counts) = join(body, counts);
    let index = scan(&joined, &counts, EVERYTHING).expect("it was counted, so it is scanned");
    assert!(index.spans.len() <= counts.indexed_max);
    let found = index.spans.len() as u64 + index.unusable.total();
    assert_eq!(found, counts.spans as u64);
    // Bytes decide about the limits, so that all of them are tried.
    let (spans_max, bytes_max) = (1 + body.len() as u64 % 5, 50 + body.len() * 37 % 2000);
    check_pieces(&joined, spans_max, bytes_max);
    if let Ok(request) = ExportTraceServiceRequest::decode(body) {
        assert_eq!(indexed(&joined, &index), usable(&request));
        check_split(&filtered(&request, |_| true), spans_max, bytes_max);
    }
}

/// Scans with no limit to the size of a span.
pub fn scan(body: &[u8], counts: &Counts, wanted: Wanted) -> Result<Index, wire::Broken> {
    let checks = Checks {
        wanted,
        message_bytes_max: usize::MAX,
    };
    wire::scan(body, counts, &checks)
}

/// The body as it is scanned: each resource and scope once.
pub fn join(body: &[u8], counts: Counts) -> (Bytes, Counts) {
    if !counts.repeated {
        return (Bytes::copy_from_slice(body), counts);
    }
    let joined = wire::join_repeated(body);
    let counts = wire::count(&joined).expect("joining keeps a message whole");
    assert!(!counts.repeated, "what is joined stands once");
    (joined.into(), counts)
}

/// The usable spans of a request of objects.
pub fn usable(request: &ExportTraceServiceRequest) -> Vec<Looked> {
    flatten(request)
        .into_iter()
        .map(|(.., span)| span)
        .filter(is_usable)
        .map(|span| (span.trace_id, span.span_id, span.trace_state, span.name))
        .collect()
}

/// The usable spans by the index of a body.
pub fn indexed(body: &[u8], index: &Index) -> Vec<Looked> {
    let text = |range: Range32| String::from_utf8(range.of(body).to_vec()).unwrap();
    let bytes = |at: u32, length: usize| body[at as usize..at as usize + length].to_vec();
    let looked = |span: &SpanEntry| {
        let ids = (bytes(span.trace_id_at, 16), bytes(span.span_id_at, 8));
        (ids.0, ids.1, text(span.trace_state), text(span.name))
    };
    index.spans.iter().map(looked).collect()
}

/// Cuts and mends: what is split and put together again is what it was.
pub fn check_split(request: &ExportTraceServiceRequest, spans_max: u64, bytes_max: usize) {
    let body = Bytes::from(request.encode_to_vec());
    let (joined, too_large) = check_pieces(&body, spans_max, bytes_max);
    let alone = each_alone(request).filter(|alone| alone.encoded_len() > bytes_max);
    assert_eq!(too_large, alone.count() as u64, "at {bytes_max}");
    if too_large == 0 {
        let joined = ExportTraceServiceRequest::decode(&joined[..]).unwrap();
        assert_same(&flatten(&joined), &flatten(request));
    }
}

/// Splits a body, and checks that no piece is over a limit and no usable span is missing. Returns the pieces behind one
/// another, and how many spans were too large for any.
fn check_pieces(body: &Bytes, spans_max: u64, bytes_max: usize) -> (Vec<u8>, u64) {
    let whole = wire::split(std::slice::from_ref(body), u64::MAX, usize::MAX);
    let pieces = wire::split(std::slice::from_ref(body), spans_max, bytes_max);
    let mut joined = Vec::new();
    let mut spans = 0;
    for piece in &pieces.pieces {
        let bytes = piece.segments.concat();
        assert_eq!(bytes.len(), piece.bytes);
        assert!(bytes.len() <= bytes_max, "{} > {bytes_max}", bytes.len());
        assert!(piece.spans > 0 && piece.spans <= spans_max);
        let counts = wire::count(&bytes).expect("a piece is a message");
        assert_eq!(counts.spans as u64, piece.spans);
        spans += piece.spans;
        joined.extend(bytes);
    }
    let in_one: u64 = whole.pieces.iter().map(|piece| piece.spans).sum();
    assert_eq!(
        spans + pieces.too_large,
        in_one + whole.too_large,
        "no span is lost"
    );
    (joined, pieces.too_large)
}

/// What is repaired is what prost takes, and no span is left out of the account.
pub fn check_repair(body: &[u8], counts: &Counts) {
    let repaired = wire::repair(&[Bytes::copy_from_slice(body)]);
    let decoded = ExportTraceServiceRequest::decode(&repaired.segments.concat()[..]);
    let decoded = decoded.expect("a strict reader takes what was repaired");
    assert_eq!(spans(&decoded), repaired.spans);
    assert_eq!(repaired.spans + repaired.malformed, counts.spans as u64);
}
