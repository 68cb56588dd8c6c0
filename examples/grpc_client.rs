//! A real OpenTelemetry SDK that sends a nested trace over OTLP/gRPC and prints its id.
//!
//! `cargo run --example grpc_client [-- ENDPOINT]`, by default to `http://127.0.0.1:4317`.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::{env, error::Error};

use opentelemetry_otlp::{SpanExporter, WithExportConfig};

#[path = "shared/nested.rs"]
mod nested;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let endpoint = env::args()
        .nth(1)
        .unwrap_or_else(|| "http://127.0.0.1:4317".into());
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()?;
    let trace_id = nested::send(exporter, "rust-grpc-client")?;
    println!("{trace_id}");
    Ok(())
}
