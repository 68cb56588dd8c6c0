//! Senders other than Milvus: the OpenTelemetry SDK for Rust in `examples/`, and the Collector's telemetrygen.

use std::{net::SocketAddr, process::Command, time::Duration};

use crate::{
    parts::{Process, example, installed},
    stage::{KEEP_ALL, Stage},
};

/// Each of these ends by itself within a few seconds.
const SENDER_MAX: Duration = Duration::from_mins(1);
/// A sender that has ended has flushed; the relay's batches leave every 200 ms.
const QUIET: Duration = Duration::from_secs(1);

/// A search with two children.
const EXAMPLE_SPANS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_examples_traces_arrive_whole() {
    let stage = Stage::start("examples", KEEP_ALL).await;
    let (grpc, http) = (stage.relay.grpc(), stage.relay.http());
    let examples = [
        ("grpc_client", "rust-grpc-client", format!("http://{grpc}")),
        (
            "http_client",
            "rust-http-client",
            format!("http://{http}/v1/traces"),
        ),
    ];
    for (name, service, endpoint) in examples {
        let mut command = Command::new(example(name));
        let example = Process::start(name, &stage.folder, command.arg(endpoint));
        let output = example.succeeded(SENDER_MAX).await;
        let trace = trace_id(&output).unwrap_or_else(|| panic!("no trace id in {output:?}"));
        let spans = stage.whole_trace(trace, &[service], QUIET).await;
        assert_eq!(spans.len(), EXAMPLE_SPANS, "{name}");
        stage.assert_same_trace(trace, &spans).await;
    }
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetrygens_traces_arrive_whole() {
    let stage = Stage::start("telemetrygen", KEEP_ALL).await;
    let runs = [
        ("telemetrygen-grpc", stage.relay.grpc(), None),
        ("telemetrygen-http", stage.relay.http(), Some("--otlp-http")),
    ];
    let mut expected = 0;
    for (name, to, over) in runs {
        telemetrygen(&stage, name, to, over).await;
        expected += WORKERS * TRACES * (CHILD_SPANS + 1);
    }
    stage.relay.delivered().await;
    let sent = u32::try_from(stage.sink.span_count()).unwrap();
    assert_eq!(sent, expected, "as many spans as telemetrygen made");
    stage.assert_same_spans(&stage.sink.traces()).await;
    let ledger = stage.finish().await;
    assert_eq!(ledger.received, u64::from(expected));
}

/// Of a worker, in a second: unthrottled, the SDK inside drops most of what it makes.
const RATE: &str = "500";
const WORKERS: u32 = 2;
const TRACES: u32 = 500;
const CHILD_SPANS: u32 = 3;

async fn telemetrygen(stage: &Stage, name: &'static str, to: SocketAddr, over: Option<&str>) {
    let mut command = Command::new(installed("telemetrygen/telemetrygen"));
    command
        .args([
            "traces",
            "--otlp-insecure",
            "--rate",
            RATE,
            "--service",
            name,
        ])
        .args(["--otlp-endpoint", &to.to_string()])
        .args(["--workers", &WORKERS.to_string()])
        .args(["--traces", &TRACES.to_string()])
        .args(["--child-spans", &CHILD_SPANS.to_string()])
        .args(over);
    Process::start(name, &stage.folder, &mut command)
        .succeeded(SENDER_MAX)
        .await;
}

/// The first word of 32 hexadecimal digits.
fn trace_id(output: &str) -> Option<u128> {
    let words = output.split(|c: char| !c.is_ascii_alphanumeric());
    let mut ids = words.filter(|word| word.len() == 32);
    ids.find_map(|word| u128::from_str_radix(word, 16).ok())
}
