//! A real OpenTelemetry SDK that sends a nested trace over OTLP/HTTP with protobuf and prints its id.
//!
//! `cargo run --example http_client [-- ENDPOINT]`, by default to `http://127.0.0.1:4318/v1/traces`.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::{env, error::Error};

use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};

#[path = "shared/nested.rs"]
mod nested;

fn main() -> Result<(), Box<dyn Error>> {
    let endpoint = env::args()
        .nth(1)
        .unwrap_or_else(|| "http://127.0.0.1:4318/v1/traces".into());
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .build()?;
    let trace_id = nested::send(exporter, "rust-http-client")?;
    println!("{trace_id}");
    Ok(())
}
