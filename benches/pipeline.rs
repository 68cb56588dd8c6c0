//! The way of a body without sockets: from its bytes to the payload, by policies and edits.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench ends where something is wrong"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use otlp_relay::{
    budget::{Budget, Use},
    processor::{Processed, Snapshot},
    request::{Counted, Request},
    wire::{self, Checks},
};
use prost::Message;
use support::{corpus, generate, settings};
use tokio::time::Instant;

const KEEP_ALL: &str = "default: { sample_fraction: 1 }\n";
const TENTH: &str = "default: { sample_fraction: 0.1 }\n";
const RESOURCE_EDIT: &str = "[ { on: resource, set: { deployment.environment.name: bench } } ]";
const SPAN_EDIT: &str = "[ { on: resource, set: { deployment.environment.name: bench } }, { on: span, set: { relay: bench } } ]";
const RULES: &str = "default: { sample_fraction: 1 }\nrules:\n\
    \x20 - { name: health, match: { span: \"grpc.health.v1.Health/*\" }, sample_fraction: 0 }\n\
    \x20 - { name: errors, match: { status: error }, sample_fraction: 1 }\n\
    \x20 - { name: slow, match: { service: standalone, duration_min: 200ms }, sample_fraction: 1 }\n";

const CASES: [(&str, &str, &str); 5] = [
    ("pass", KEEP_ALL, "[]"),
    ("resource edit", KEEP_ALL, RESOURCE_EDIT),
    ("span edit", KEEP_ALL, SPAN_EDIT),
    ("ten percent, span edit", TENTH, SPAN_EDIT),
    ("three rules", RULES, "[]"),
];

async fn process(snapshot: &Snapshot, budget: &Budget, body: Bytes) -> Processed {
    let permit = budget.try_claim(body.len(), Use::Bodies).unwrap();
    let checks = Checks {
        wanted: snapshot.wanted(),
        message_bytes_max: usize::MAX,
    };
    let deadline = Instant::now() + Duration::from_secs(1);
    let mut request = Request::admit(Counted::new(body, permit).unwrap(), &checks, deadline)
        .await
        .unwrap();
    snapshot.process(&mut request, deadline).await.unwrap()
}

fn bench(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let budget = Budget::new(1 << 30, 1 << 20);
    let generated = Bytes::from(generate::request("standalone", 0, 512).encode_to_vec());
    let milvus = corpus::recorded()
        .into_iter()
        .find(|recorded| recorded.file == "milvus-go-load512-1.pb")
        .map(|recorded| Bytes::from(recorded.body))
        .unwrap();
    for (name, body) in [("generated 512", generated), ("milvus 512", milvus)] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(
            wire::count(&body).unwrap().spans as u64,
        ));
        for (case, policies, enrichment) in CASES {
            let snapshot = settings::snapshot(policies, enrichment);
            group.bench_function(case, |bencher| {
                bencher.iter(|| runtime.block_on(process(&snapshot, &budget, body.clone())));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
