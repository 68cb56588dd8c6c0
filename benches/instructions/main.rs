//! The hot path in instructions, counted by callgrind: the same whatever else the machine does.
//!
//! `benches/instructions/run` counts and compares with what was accepted; see there.
#![allow(
    clippy::unwrap_used,
    clippy::exit,
    missing_docs,
    reason = "a bench ends where something is wrong, and the crate that counts writes its own main"
)]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::{
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use gungraun::{library_benchmark, library_benchmark_group, main};
use otlp_relay::{
    budget::{Budget, Use},
    json::{self, Transcoded},
    processor::{Processed, Snapshot},
    request::{Counted, Request},
    wire::{self, Checks, Index, Pieces},
};
use prost::Message;
use support::{corpus, generate, settings};
use tokio::time::Instant;

/// As in the program: glibc's would merge what the making of a request has freed, in the midst of what is counted.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The default of `batch.bytes_max`.
const MESSAGE_BYTES_MAX: usize = 3584 << 10;
const KEEP_ALL: &str = "default: { sample_fraction: 1 }\n";
const TENTH: &str = "default: { sample_fraction: 0.1 }\n";
const RULES: &str = "default: { sample_fraction: 1 }\nrules:\n\
    \x20 - { name: health, match: { span: \"grpc.health.v1.Health/*\" }, sample_fraction: 0 }\n\
    \x20 - { name: errors, match: { status: error }, sample_fraction: 1 }\n\
    \x20 - { name: slow, match: { service: standalone, duration_min: 200ms }, sample_fraction: 1 }\n";
const EDITS: &str = "[ { on: resource, set: { deployment.environment.name: bench } }, { on: span, set: { relay: bench } } ]";

/// A request of 512 spans as Milvus sends it.
fn milvus() -> Bytes {
    let recorded = corpus::recorded().into_iter();
    recorded
        .filter(|recorded| recorded.file == "milvus-go-load512-1.pb")
        .map(|recorded| Bytes::from(recorded.body))
        .next()
        .unwrap()
}

/// A request of 512 usual spans.
fn generated() -> Bytes {
    generate::request("standalone", 0, 512)
        .encode_to_vec()
        .into()
}

/// Half a megabyte that a stranger made to cost as much as it can: spans of nothing but ids, each behind a field that nobody
/// knows, in one scope; and resources that alternate.
fn hostile() -> Bytes {
    let mut request = generate::request("x", 0, 10_000);
    for span in &mut request.resource_spans[0].scope_spans[0].spans {
        *span = opentelemetry_proto::tonic::trace::v1::Span {
            trace_id: std::mem::take(&mut span.trace_id),
            span_id: std::mem::take(&mut span.span_id),
            ..Default::default()
        };
    }
    let mut body = request.encode_to_vec();
    for number in 0..1000 {
        let service = if number % 2 == 0 { "even" } else { "odd" };
        body.extend(generate::request(service, number, 1).encode_to_vec());
    }
    body.into()
}

/// A request of 512 spans as Node sends it in JSON.
fn node() -> String {
    let recorded = corpus::recorded_json().into_iter();
    recorded
        .filter(|recorded| recorded.file == "node-json-big-0632.json")
        .map(|recorded| String::from_utf8(recorded.body).unwrap())
        .next()
        .unwrap()
}

/// Half a megabyte of JSON that a stranger made to cost as much as it can: keys that nobody knows, and nothing but escapes.
fn hostile_json() -> String {
    let member = r#""ab":[{"\\\\\\":-1e5}],"#.repeat(14_000);
    let name = r"é".repeat(1_000);
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{member}"name":"{name}"}}]}}]}}]}}"#)
}

fn admitted(body: Bytes, snapshot: &Snapshot) -> Request {
    let budget = Budget::new(1 << 30, 1 << 20);
    let permit = budget.try_claim(body.len(), Use::Bodies).unwrap();
    let checks = Checks {
        wanted: snapshot.wanted(),
        message_bytes_max: MESSAGE_BYTES_MAX,
    };
    let counted = Counted::new(body, permit).unwrap();
    at_once(Request::admit(counted, &checks, Instant::now())).unwrap()
}

/// What needs no waiting, done.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("the budget has room for everything"),
    }
}

/// A request to process, after its like was: the allocator has its pages, as in a relay that has run for a while. Without that
/// it is counted how they are made, and that differs by the length of a path.
fn warm(body: Bytes, policies: &str, edits: &str) -> (Request, Snapshot) {
    let snapshot = settings::snapshot(policies, edits);
    drop(processed(admitted(body.clone(), &snapshot), &snapshot));
    (admitted(body, &snapshot), snapshot)
}

fn to_sample(body: Bytes) -> (Request, Snapshot) {
    warm(body, TENTH, "[]")
}

fn to_enrich(body: Bytes) -> (Request, Snapshot) {
    warm(body, KEEP_ALL, EDITS)
}

fn to_admit(body: Bytes) -> (Bytes, Snapshot) {
    let (request, snapshot) = warm(body.clone(), RULES, EDITS);
    drop(request);
    (body, snapshot)
}

fn to_scan(body: Bytes) -> Bytes {
    drop(index(&body));
    body
}

fn to_split(body: Bytes) -> Bytes {
    drop(pieces(body.clone()));
    body
}

fn index(body: &Bytes) -> Index {
    let checks = Checks {
        wanted: wire::Wanted::default(),
        message_bytes_max: MESSAGE_BYTES_MAX,
    };
    let counts = wire::count(body).unwrap();
    wire::scan(black_box(body), &counts, &checks).unwrap()
}

fn pieces(body: Bytes) -> Pieces {
    wire::split(&[body], 100, 64 << 10)
}

fn processed(mut request: Request, snapshot: &Snapshot) -> (Processed, Request) {
    let processed = at_once(snapshot.process(&mut request, Instant::now())).unwrap();
    (processed, request)
}

#[library_benchmark]
#[bench::node(node())]
#[bench::hostile(hostile_json())]
fn read_json(text: String) -> (String, Transcoded) {
    let room = Vec::with_capacity(json::bytes_max(text.len()));
    let transcoded = json::transcode(black_box(&text), room).unwrap();
    (text, transcoded)
}

#[library_benchmark]
#[bench::milvus(args = (milvus()), setup = to_scan)]
#[bench::generated(args = (generated()), setup = to_scan)]
#[bench::hostile(args = (hostile()), setup = to_scan)]
fn scan(body: Bytes) -> (Bytes, Index) {
    let index = index(&body);
    (body, index)
}

#[library_benchmark]
#[bench::milvus(args = (milvus()), setup = to_sample)]
#[bench::generated(args = (generated()), setup = to_sample)]
#[bench::hostile(args = (hostile()), setup = to_sample)]
fn sample((request, snapshot): (Request, Snapshot)) -> (Processed, Request, Snapshot) {
    let (processed, request) = processed(request, &snapshot);
    (processed, request, snapshot)
}

#[library_benchmark]
#[bench::milvus(args = (milvus()), setup = to_enrich)]
#[bench::generated(args = (generated()), setup = to_enrich)]
#[bench::hostile(args = (hostile()), setup = to_enrich)]
fn enrich((request, snapshot): (Request, Snapshot)) -> (Processed, Request, Snapshot) {
    let (processed, request) = processed(request, &snapshot);
    (processed, request, snapshot)
}

#[library_benchmark]
#[bench::milvus(args = (milvus()), setup = to_split)]
#[bench::generated(args = (generated()), setup = to_split)]
#[bench::hostile(args = (hostile()), setup = to_split)]
fn split(body: Bytes) -> Pieces {
    pieces(body)
}

#[library_benchmark]
#[bench::milvus(args = (milvus()), setup = to_admit)]
#[bench::generated(args = (generated()), setup = to_admit)]
#[bench::hostile(args = (hostile()), setup = to_admit)]
fn admit_to_payload((body, snapshot): (Bytes, Snapshot)) -> (Processed, Request, Snapshot) {
    let (processed, request) = processed(admitted(body, &snapshot), &snapshot);
    (processed, request, snapshot)
}

library_benchmark_group!(
    name = hot_path;
    benchmarks = read_json, scan, sample, enrich, split, admit_to_payload
);

main!(library_benchmark_groups = hot_path);
