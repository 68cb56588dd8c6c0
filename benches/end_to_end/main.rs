//! The whole relay over sockets: its release binary pinned to one core, load and a counting sink on another.
//!
//! `cargo bench --bench end_to_end` prints one row a case: CPU per span of the relay's process, spans per second, the answers'
//! p50 and p99, and the RSS high water. `-- --seconds 5 --spans 512 --connections 4 --in-flight 8 --rate 100000` changes it,
//! `--case enrich` runs that one only; `--program A --program B --rounds 5` has two builds of the relay take turns.
//! Machines are noisy: compare rows of one run.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench prints, and ends where something is wrong"
)]

#[path = "../rig/mod.rs"]
mod rig;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rig::{
    fresh::Fresh,
    load::{Load, Offer},
    ports::free_address,
    process::{Cores, Process, pin_this_process},
    requests::{SpanSize, Supply, Transport},
    sink::{Behaviour, Sink},
};

/// The relay's own: the load shall not be what limits it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is asked for.
#[derive(Debug)]
struct Arguments {
    shape: Shape,
    /// The one case to run.
    case: Option<String>,
    /// Builds of the relay, which take turns.
    programs: Vec<PathBuf>,
    rounds: u64,
}

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

/// The case whose decisions need trace ids that were not seen before.
const TEN_PERCENT: &str = "ten percent";

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
        name: TEN_PERCENT,
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
    let Arguments {
        shape,
        case: wanted,
        programs,
        rounds,
    } = arguments();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    pin_this_process(Cores::Second);
    let bytes = SpanSize::Small.bytes(shape.spans);
    println!("{shape:?}, {bytes} bytes a span");
    println!(
        "| program | case | CPU µs/span | accepted spans/s | delivered | p50 ms | p99 ms | RSS MiB | refused |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for _ in 0..rounds {
        for case in CASES {
            if wanted.as_ref().is_none_or(|wanted| wanted == case.name) {
                for program in &programs {
                    runtime.block_on(run(program, case, shape));
                }
            }
        }
    }
}

async fn run(program: &Path, case: Case, shape: Shape) {
    let sink = Sink::start(case.behaviour, Transport::Grpc).await;
    let grpc = free_address();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("end_to_end");
    let relay = start(program, case, sink.address(), grpc, &folder);
    let fresh = match case.name {
        TEN_PERCENT => Fresh::TraceIds,
        _ => Fresh::Nothing,
    };
    let supply = Supply::generated(SpanSize::Small, shape.spans);
    let offer = Offer {
        connections: shape.connections,
        in_flight: shape.connections * shape.in_flight,
        rate: shape.rate,
    };
    let supply = supply.encoded(Transport::Grpc, false, fresh);
    let mut load = Load::connect(grpc, &supply, offer).await.unwrap();
    load.run(Duration::from_millis(500)).await;
    let (before, delivered_before) = (relay.used(), sink.spans());
    let started = tokio::time::Instant::now();
    let answers = load.run(Duration::from_secs(shape.seconds)).await;
    let elapsed = started.elapsed().as_secs_f64();
    let used = relay.used() - before;
    let times = answers.times.quantiles();
    println!(
        "| {} | {} | {:.3} | {:.0} | {} | {:.2} | {:.2} | {:.0} | {} |",
        program.file_name().unwrap_or_default().display(),
        case.name,
        used.cpu.as_secs_f64() * 1e6 / (answers.accepted.max(1)) as f64,
        answers.accepted as f64 / elapsed,
        sink.spans() - delivered_before,
        times.p50_ms,
        times.p99_ms,
        relay.rss_high_water_mib(),
        answers.refused,
    );
    relay.stop(Duration::from_secs(12)).await.unwrap();
}

/// Starts the relay on its core with the case's configuration.
fn start(
    program: &Path,
    case: Case,
    sink: std::net::SocketAddr,
    grpc: std::net::SocketAddr,
    folder: &Path,
) -> Process {
    fs::create_dir_all(folder).unwrap();
    fs::write(
        folder.join("ten_percent.yaml"),
        "default: { sample_fraction: 0.1 }\n",
    )
    .unwrap();
    let admin = free_address();
    let file = folder.join("relay.yaml");
    let configuration = format!(
        "receivers: {{ grpc: {{ listen: \"{grpc}\" }}, http: {{ listen: off }} }}\n\
         admin: {{ listen: \"{admin}\" }}\nlog: {{ level: warn }}\n{}\
         destinations: {{ sink: {{ endpoint: \"http://{sink}\", {WIDE} }} }}\n\
         batch: {{ spans: 8192, bytes: 1MiB, bytes_max: 16MiB }}\n",
        case.configuration
    );
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new(program);
    command.args(["run", "--config"]).arg(file);
    let mut relay = Process::start(Cores::First, &command, folder)
        .expect("taskset, of util-linux, pins the relay to a core");
    relay.listens(&[grpc]).unwrap();
    relay
}

fn arguments() -> Arguments {
    let mut given = Arguments {
        shape: Shape {
            seconds: 5,
            spans: 512,
            connections: 4,
            in_flight: 8,
            rate: None,
        },
        case: None,
        programs: Vec::new(),
        rounds: 1,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        // cargo bench passes this to every bench.
        if name == "--bench" {
            continue;
        }
        let value = arguments
            .next()
            .unwrap_or_else(|| panic!("{name} takes a value"));
        let number = || -> u64 {
            let number = value.parse();
            number.unwrap_or_else(|_| panic!("{name} takes a number"))
        };
        let shape = &mut given.shape;
        match name.as_str() {
            "--seconds" => shape.seconds = number(),
            "--spans" => shape.spans = number(),
            "--connections" => shape.connections = usize::try_from(number()).unwrap(),
            "--in-flight" => shape.in_flight = usize::try_from(number()).unwrap(),
            "--rate" => shape.rate = Some(number()),
            "--rounds" => given.rounds = number(),
            "--case" => given.case = Some(value),
            "--program" => given.programs.push(value.into()),
            _ => panic!(
                "{name} is not known: --seconds, --spans, --connections, --in-flight, --rate, --rounds, --case, \
                 --program"
            ),
        }
    }
    if given.programs.is_empty() {
        let built = env!("CARGO_BIN_EXE_otlp-relay");
        given.programs.push(built.into());
    }
    given
}
