//! The scan, the split, the repair and the JSON reader: nanoseconds per request, on recorded requests and generated ones.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench ends where something is wrong"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use otlp_relay::{
    json,
    wire::{self, Checks, Detail, Wanted},
};
use prost::Message;
use support::{corpus, generate};

const CHECKS: Checks = Checks {
    wanted: Wanted {
        resource_attributes: Detail::Nothing,
        span_attributes: Detail::Nothing,
        events: Detail::Nothing,
        status: false,
        scope: false,
    },
    message_bytes_max: usize::MAX,
};

/// What each bench runs on: a generated request of 512 spans, and what Milvus' two parts sent.
fn requests() -> Vec<(String, Bytes)> {
    let generated = generate::request("standalone", 0, 512).encode_to_vec();
    let recorded = corpus::recorded().into_iter().filter(|recorded| {
        ["milvus-go-load512-1.pb", "milvus-segcore-load512-1.pb"].contains(&recorded.file.as_str())
    });
    let mut requests = vec![("generated 512".to_owned(), Bytes::from(generated))];
    requests.extend(recorded.map(|recorded| (recorded.file, recorded.body.into())));
    requests
}

fn bench(criterion: &mut Criterion) {
    for (name, body) in requests() {
        let spans = wire::count(&body).unwrap().spans as u64;
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(spans));
        group.bench_function("scan", |bencher| {
            bencher.iter(|| {
                let counts = wire::count(black_box(&body)).unwrap();
                wire::scan(&body, &counts, &CHECKS).unwrap()
            });
        });
        group.bench_function("split at 100 spans", |bencher| {
            bencher.iter(|| wire::split(&[black_box(&body).clone()], 100, usize::MAX));
        });
        group.bench_function("repair", |bencher| {
            bencher.iter(|| wire::repair(&[black_box(&body).clone()]));
        });
        group.finish();
    }
}

fn bench_json(criterion: &mut Criterion) {
    for recorded in corpus::recorded_json() {
        let text = String::from_utf8(recorded.body).unwrap();
        let mut group = criterion.benchmark_group(recorded.file);
        group.throughput(Throughput::Elements(recorded.spans));
        group.bench_function("read", |bencher| {
            bencher.iter(|| {
                let room = Vec::with_capacity(json::bytes_max(text.len()));
                json::transcode(black_box(&text), room).unwrap()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, bench, bench_json);
criterion_main!(benches);
