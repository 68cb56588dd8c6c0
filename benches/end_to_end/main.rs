//! The whole relay over sockets: its release binary pinned to one core, load and a counting sink on another.
//!
//! `cargo bench --bench end_to_end` prints one row a case: CPU per span of the relay's process, spans per second, the answers'
//! p50 and p99, and the RSS high water. `-- --seconds 5 --spans 512 --connections 4 --in-flight 8 --rate 100000` changes it.
//! Machines are noisy: compare rows of one run.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench prints, and ends where something is wrong"
)]

#[path = "../../tests/support/generate.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with the tests, which use more of it"
)]
mod generate;

mod driver;
mod process;
mod sink;

use std::time::Duration;

use driver::{Answers, Load};
use process::Relay;
use sink::{Behaviour, Sink};

/// What is offered.
#[derive(Clone, Copy, Debug)]
struct Shape {
    seconds: u64,
    /// Spans in a request.
    spans: u64,
    connections: usize,
    /// Requests under way on each connection.
    in_flight: usize,
    /// Spans offered each second; `None`: as many as it takes.
    rate: Option<u64>,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    configuration: &'static str,
    behaviour: Behaviour,
}

/// Wide limits, so that the relay's CPU is what is measured and not Jaeger's queue.
const WIDE: &str = "spans_in_flight_max: 65536, concurrency: 16";

const CASES: [Case; 4] = [
    Case {
        name: "pass",
        configuration: "",
        behaviour: Behaviour::Count,
    },
    Case {
        name: "enrich",
        configuration: "enrichment: [ { on: resource, set: { deployment.environment.name: bench } } ]\n",
        behaviour: Behaviour::Count,
    },
    Case {
        name: "ten percent",
        configuration: "sampling: { policy_file: ten_percent.yaml }\n\
             enrichment: [ { on: resource, set: { deployment.environment.name: bench } }, \
             { on: span, set: { relay: bench } } ]\n",
        behaviour: Behaviour::Count,
    },
    Case {
        name: "mute destination",
        configuration: "enrichment: [ { on: resource, set: { deployment.environment.name: bench } } ]\n",
        behaviour: Behaviour::Mute,
    },
];

fn main() {
    let shape = arguments();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    process::pin_this_process(1);
    println!(
        "{shape:?}, {} bytes a span",
        driver::span_bytes(shape.spans)
    );
    println!(
        "| case | CPU µs/span | accepted spans/s | delivered | p50 ms | p99 ms | RSS MiB | refused |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for case in CASES {
        runtime.block_on(run(case, shape));
    }
}

async fn run(case: Case, shape: Shape) {
    let sink = Sink::start(case.behaviour).await;
    let relay = Relay::start(&format!(
        "{}destinations: {{ sink: {{ endpoint: \"http://{}\", {WIDE} }} }}\nbatch: {{ spans: 8192, bytes: 1MiB, bytes_max: 16MiB }}\n",
        case.configuration,
        sink.address()
    ))
    .await;
    let load = Load::new(relay.grpc, shape).await;
    load.run(Duration::from_millis(500)).await;
    let before = relay.cpu();
    let delivered_before = sink.spans();
    let started = tokio::time::Instant::now();
    let Answers {
        accepted,
        refused,
        mut took,
    } = load.run(Duration::from_secs(shape.seconds)).await;
    let elapsed = started.elapsed().as_secs_f64();
    let cpu = relay.cpu().saturating_sub(before);
    took.sort_unstable();
    println!(
        "| {} | {:.3} | {:.0} | {} | {:.2} | {:.2} | {:.0} | {refused} |",
        case.name,
        cpu.as_secs_f64() * 1e6 / (accepted.max(1)) as f64,
        accepted as f64 / elapsed,
        sink.spans() - delivered_before,
        at(&took, 0.50),
        at(&took, 0.99),
        relay.rss_high_water_mib(),
    );
    relay.stop().await;
}

/// A quantile of sorted answer times, in milliseconds.
fn at(took: &[Duration], quantile: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into the list"
    )]
    let index = (took.len().saturating_sub(1) as f64 * quantile) as usize;
    took.get(index)
        .map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
}

fn arguments() -> Shape {
    let mut shape = Shape {
        seconds: 5,
        spans: 512,
        connections: 4,
        in_flight: 8,
        rate: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        // cargo bench passes this to every bench.
        if name == "--bench" {
            continue;
        }
        let value: u64 = arguments
            .next()
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("{name} takes a number"));
        let small = usize::try_from(value).unwrap();
        match name.as_str() {
            "--seconds" => shape.seconds = value,
            "--spans" => shape.spans = value,
            "--connections" => shape.connections = small,
            "--in-flight" => shape.in_flight = small,
            "--rate" => shape.rate = Some(value),
            _ => panic!(
                "{name} is not known: --seconds, --spans, --connections, --in-flight, --rate"
            ),
        }
    }
    shape
}
