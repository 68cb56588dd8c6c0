//! The relay beside the OpenTelemetry Collector and Rotel: the same load, the same destination, one core each.
//!
//! `benches/compare/run` installs what is compared, builds this, and runs it; docs/PERFORMANCE.md says how to read what
//! it writes. A subject that fails is a row without figures, and a failure in the end; the others go on.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs,
    reason = "a bench prints, and ends where something is wrong; figures are rounded anyway"
)]

#[path = "../rig/mod.rs"]
mod rig;

#[path = "../../tests/support/corpus.rs"]
#[allow(unreachable_pub, dead_code, reason = "shared with the tests")]
mod corpus;
#[path = "../../tests/support/jaeger_ports.rs"]
mod jaeger_ports;

mod calm;
mod cases;
mod growth;
mod jaeger;
mod machine;
mod report;
mod results;
mod scrape;
mod still;
mod subjects;
mod trial;

use std::{error::Error, path::PathBuf, time::Duration};

use cases::{CASES, Case, Pace};
use growth::{Grows, Point};
use machine::Machine;
use report::Document;
use results::{Results, Row};
use rig::{
    ports, // where `jaeger_ports` looks for it, as in the tests
    process::{Cores, pin_this_process},
    requests::SpanSize,
};
use subjects::{Subject, pump};

/// The relay's own: the load shall not be what limits it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WHOLE: Pace = Pace {
    case: Duration::from_secs(6),
    point: Duration::from_secs(4),
    slow: Duration::from_secs(30),
    jaeger: Duration::from_secs(20),
    rounds: 3,
    fewer_rounds: 2,
    goals_only: false,
};

const QUICK: Pace = Pace {
    case: Duration::from_secs(2),
    point: Duration::from_secs(2),
    slow: Duration::from_secs(8),
    jaeger: Duration::from_secs(10),
    rounds: 2,
    fewer_rounds: 1,
    goals_only: true,
};

/// What `benches/compare/run` asks for.
#[derive(Debug, Default)]
struct Arguments {
    quick: bool,
    date: String,
    /// Where the results go.
    into: PathBuf,
    /// A document whose marked part is replaced.
    document: Option<PathBuf>,
    /// Parts of the names of what runs; none of them: everything.
    only: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    if let [argument, listen, to] = &given[..]
        && argument == pump::ARGUMENT
    {
        return runtime()?.block_on(pump::run(listen, to));
    }
    let arguments = arguments(given)?;
    let pace = if arguments.quick { QUICK } else { WHOLE };
    let runtime = runtime()?;
    let document = arguments.document.as_deref().map(Document::read);
    let document = document.transpose()?;
    pin_this_process(Cores::Second);
    let mut results = Results {
        date: arguments.date.clone(),
        quick: arguments.quick,
        machine: Machine::this()?,
        rows: Vec::new(),
        growth: Vec::new(),
        still: Vec::new(),
    };
    runtime.block_on(everything(&arguments, &pace, &mut results))?;
    report::write(&results, &arguments.into)?;
    if let Some(document) = document {
        document.write(&results)?;
    }
    println!("\n{}", report::whole(&results));
    let failures: Vec<&str> = results
        .rows
        .iter()
        .flat_map(|row| row.failures.iter().map(String::as_str))
        .collect();
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("\n").into())
    }
}

/// One thread: everything that this process does shall fit on one core.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

async fn everything(
    arguments: &Arguments,
    pace: &Pace,
    results: &mut Results,
) -> Result<(), Box<dyn Error>> {
    if arguments.wants("still") {
        for subject in [Subject::Collector, Subject::Rotel, Subject::Relay] {
            results.still.push(still::measure(subject).await?);
        }
    }
    // What is asked for by its name runs also in a quick run.
    let wanted = |case: &&Case| {
        arguments.wants(case.name) && (!arguments.only.is_empty() || case.runs(pace))
    };
    for case in CASES.iter().filter(wanted) {
        for size in case.sizes.iter().filter(|size| size.runs(pace)) {
            results.rows.extend(compare(case, *size, pace).await);
            // What is there is kept, whatever happens to the rest.
            report::write(results, &arguments.into)?;
        }
    }
    for grows in Grows::ALL {
        if arguments.wants("growth") || arguments.wants(grows.name()) {
            results.growth.extend(grow(grows, pace).await?);
        }
    }
    Ok(())
}

/// One case for all its subjects, in turn, as many times as there are rounds.
async fn compare(case: &Case, size: SpanSize, pace: &Pace) -> Vec<Row> {
    let trial = case.trial(size, pace);
    let row = |subject: &Subject| Row {
        case: case.name,
        size,
        span_bytes: case.span_bytes(size),
        subject: *subject,
        rounds: Vec::new(),
        failures: Vec::new(),
    };
    let mut rows: Vec<Row> = case.subjects.iter().map(row).collect();
    for _ in 0..case.rounds(pace) {
        for (subject, row) in case.subjects.iter().zip(&mut rows) {
            match calm::run(&trial, *subject).await {
                Ok(figures) => {
                    println!(
                        "{}, {} bytes: {}: {:.3} µs/span, {:.0} acknowledged/s, p99 {:.1} ms",
                        case.name,
                        row.span_bytes,
                        row.subject,
                        figures.cpu_us_per_span,
                        figures.acknowledged_per_s,
                        figures.p99_ms
                    );
                    row.rounds.push(figures);
                }
                Err(error) => {
                    let failure = format!("{}: {}: {error}", case.name, row.subject);
                    println!("{failure}");
                    row.failures.push(failure);
                }
            }
        }
    }
    rows
}

/// One series, all its points in each round.
async fn grow(grows: Grows, pace: &Pace) -> Result<Vec<Point>, Box<dyn Error>> {
    let point = |at: &u32| Point {
        series: grows.name(),
        at: *at,
        rounds: Vec::new(),
    };
    let mut points: Vec<Point> = grows.points().iter().map(point).collect();
    for _ in 0..pace.fewer_rounds {
        for point in &mut points {
            let figures = calm::run(&grows.trial(point.at, pace), Subject::Relay).await?;
            println!(
                "{} {}: {:.3} µs/span, {:.0} acknowledged/s",
                point.at, point.series, figures.cpu_us_per_span, figures.acknowledged_per_s
            );
            point.rounds.push(figures);
        }
    }
    Ok(points)
}

impl SpanSize {
    /// The goals are about small spans.
    fn runs(self, pace: &Pace) -> bool {
        self == Self::Small || !pace.goals_only
    }
}

impl Arguments {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| name.contains(wanted))
    }
}

fn arguments(given: Vec<String>) -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    let mut given = given.into_iter();
    while let Some(argument) = given.next() {
        let mut value = || given.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            // cargo bench passes this to every bench.
            "--bench" => {}
            "--quick" => arguments.quick = true,
            "--date" => arguments.date = value()?,
            "--into" => arguments.into = value()?.into(),
            "--document" => arguments.document = Some(value()?.into()),
            "--only" => arguments.only.push(value()?),
            _ => return Err(format!("{argument} is not known: --quick, --only CASE")),
        }
    }
    Ok(arguments)
}
