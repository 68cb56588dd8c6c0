//! An OTLP trace relay between Milvus and Jaeger: receives, samples, enriches, batches and forwards spans, in bounded
//! memory, and loses nothing it accepted.
//!
//! The modules are listed in the order in which data passes them, bottom up: a module uses only those before it
//! (`tests/tidy.rs` holds this). `docs/ARCHITECTURE.md` is the map.
#![forbid(unsafe_code)]

pub mod otlp;
pub mod sync;

pub mod budget;
pub mod document;
pub mod metrics;
pub mod wire;

pub mod json;
pub mod request;

pub mod matching;

pub mod enrichment;
pub mod sampling;

pub mod processor;

pub mod queue;
pub mod store;

pub mod exporter;
pub mod pipeline;

pub mod admin;
pub mod receiver;

pub mod config;

pub mod relay;

pub mod cli;

#[cfg(test)]
#[path = "../tests/support/seeds.rs"]
#[expect(unreachable_pub, reason = "the integration tests use it too")]
mod seeds;
