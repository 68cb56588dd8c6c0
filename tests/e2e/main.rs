//! End to end: the relay's release binary between a real Milvus, its tutorial's client and a real Jaeger.
//!
//! `tests/e2e/run` installs the parts, builds the relay and runs this; plain `cargo test` does not. Each scenario starts
//! processes of its own, with Jaeger's default settings and with a recording sink as the relay's second destination,
//! which says exactly what left the relay, and ends with a ledger that balances.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(
    clippy::print_stdout,
    reason = "the figures of a run are its record; the harness prints them"
)]

// === the parts ===
/// A proxy that can be cut and restored.
mod cut;
/// A destination that answers as it is told and remembers what it took.
#[path = "../support/fake_backend/mod.rs"]
mod fake_backend;
/// GET and JSON, for admin ports and Jaeger's query API.
mod http;
/// A real Jaeger, and what it has.
mod jaeger;
/// Where a Jaeger listens.
#[path = "../support/jaeger_ports.rs"]
mod jaeger_ports;
/// The relay's books, and whether they balance.
#[path = "../support/ledger.rs"]
#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "the other tests use it too"
)]
mod ledger;
/// A sender at a fixed rate that remembers what was acknowledged.
mod load;
/// A real Milvus, and its Python clients.
mod milvus;
/// Processes, folders and waiting.
mod parts;
/// Addresses for programs that are about to start.
#[path = "../support/ports.rs"]
mod ports;
/// The relay as a process, and its metrics.
mod relay;
/// A destination that remembers every span it was sent.
mod sink;
/// All of them put together.
mod stage;
/// A proxy that measures gRPC messages on their way.
mod tap;

// === the scenarios ===
/// HTTP/2 to the letter.
mod h2spec;
/// Jaeger away for 20 seconds, under load: cut off, frozen, killed.
mod outage;
/// Milvus with more than 4 MiB in one request.
mod oversize;
/// Milvus and its client with Milvus' fraction at 0, then raised while everything runs.
mod policies;
/// A real Prometheus beside it, and its own tool's opinion.
mod prometheus;
/// OpenTelemetry's SDKs of five languages, also while there is no room.
mod sdks;
/// The Rust examples, and the Collector's load generator.
mod senders;
/// Milvus and its tutorial's client, everything kept.
mod tutorial;
