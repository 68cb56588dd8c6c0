//! `demo`: a relay, a Milvus-like load over its own ports, and the embedded trace store; a line a second, and the ledger.
//!
//! It reads and writes nothing outside the process.

use std::{io, path::Path, process::ExitCode, time::Duration};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{complain, load::Load, log, run::farewell, runtime, say, signals::Signals};
use crate::{
    config::{self, Config, Invalid, Log, LogFormat, Surroundings},
    exporter::Resolver,
    metrics::Totals,
    relay::{Addresses, BindError, Handle, Relay},
    store,
};

/// The usual ports, so that what is read elsewhere fits; and any others, when a Jaeger or Collector has those.
const LISTENERS: [&str; 2] = [
    "receivers: { grpc: { listen: 127.0.0.1:4317 }, http: { listen: 127.0.0.1:4318 } }\nadmin: { listen: 127.0.0.1:8888 }\n",
    "receivers: { grpc: { listen: 127.0.0.1:0 }, http: { listen: 127.0.0.1:0 } }\nadmin: { listen: 127.0.0.1:0 }\n",
];

/// What the demo shows: sampling in whole traces, and a resource attribute of our own.
const SETTINGS: &str = "\
sampling: { policy_file: policies.yaml }
enrichment:
  - on: resource
    set: { deployment.environment.name: demo }
";

/// The demo has lines of its own for standard output.
const LOG: Log = Log {
    format: LogFormat::Text,
    level: tracing::Level::WARN,
};

/// The same fraction for all services of a trace keeps traces whole.
const POLICIES: &str = "default: { sample_fraction: 0.25 }\n";

pub(super) fn run(seconds: Option<u64>) -> ExitCode {
    drop(log::init(LOG)); // It never changes.
    match runtime().map(|runtime| runtime.block_on(demo(seconds))) {
        Ok(Ok(code)) => code,
        Ok(Err(message)) => {
            complain(&format!("{message}\n"));
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&format!("cannot start the runtime: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

async fn demo(seconds: Option<u64>) -> Result<ExitCode, String> {
    let signals = Signals::catch().map_err(|error| format!("cannot catch signals: {error}"))?;
    let relay = start()?;
    let addresses = relay.addresses();
    let handle = relay.handle();
    say(&welcome(addresses));
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    let load = Load::new(addresses, &tasks)
        .expect("the demo's configuration listens for both protocols")
        .map_err(|error| error.to_string())?;
    let stop_load = CancellationToken::new();
    let loading = tasks.spawn(load.run(stop_load.clone()));
    let running = tasks.spawn(relay.run(stop.clone()));
    tasks.spawn(signals.follow(stop.clone(), handle.clone()));
    let lasts = seconds.map_or(Duration::MAX, Duration::from_secs);
    // Until the time is over or Ctrl-C.
    drop(tokio::time::timeout(lasts, stop.run_until_cancelled(live(&handle))).await);
    stop_load.cancel();
    drop(loading.await);
    stop.cancel();
    let ended = running.await.map_err(|error| error.to_string())?;
    let ended = ended.map_err(|error| error.to_string())?;
    say(&ledger(&ended.totals));
    Ok(farewell(&ended))
}

fn start() -> Result<Relay, String> {
    let mut last = String::new();
    for listeners in LISTENERS {
        let config = config(listeners).map_err(|invalid| invalid.to_string())?;
        let load = Box::new(move || self::config(listeners));
        let keep_log = Box::new(|_| ());
        match Relay::bind(config, load, keep_log, Resolver::System) {
            Ok(relay) => return Ok(relay),
            Err(error @ BindError::Listen { .. }) => last = error.to_string(),
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(last)
}

/// The demo's configuration, from no file and no environment.
fn config(listeners: &str) -> Result<Config, Invalid> {
    let read = |path: &Path| match path.file_name().and_then(|name| name.to_str()) {
        Some("demo.yaml") => Ok([listeners, SETTINGS].concat().into_bytes()),
        Some("policies.yaml") => Ok(POLICIES.into()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    let around = Surroundings::new([].into(), &read);
    config::load(Some(Path::new("demo.yaml")), &around)
}

fn welcome(Addresses { grpc, http, admin }: Addresses) -> String {
    let of = |address: Option<_>| {
        address.map_or_else(String::new, |address: std::net::SocketAddr| {
            address.to_string()
        })
    };
    format!(
        "otlp-relay demo: a Milvus-like load of about 2,000 spans a second; one trace in four is kept.\n\
         \n\
         OTLP/gRPC        {}\n\
         OTLP/HTTP        {}\n\
         newest traces    http://{admin}/api/v1/traces\n\
         metrics          http://{admin}/metrics\n\
         ledger           http://{admin}/api/v1/ledger\n\
         \n\
         Ctrl-C ends it. Spans per second, and held at this moment:\n",
        of(grpc),
        of(http),
    )
}

/// Prints a line a second.
async fn live(handle: &Handle) {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut before = handle.totals();
    loop {
        ticks.tick().await;
        let now = handle.totals();
        say(&line(&before, &now));
        before = now;
    }
}

fn line(before: &Totals, now: &Totals) -> String {
    let (exported, held, lost) = stored(now);
    let (exported_before, _, lost_before) = stored(before);
    format!(
        "received {:>6}  kept {:>6}  sampled out {:>6}  exported {:>6}  held {:>6}  lost {:>4}\n",
        now.received - before.received,
        now.forwarded - before.forwarded,
        now.sampled_out - before.sampled_out,
        exported - exported_before,
        held,
        lost - lost_before,
    )
}

/// Exported, held and lost spans of the embedded store.
fn stored(totals: &Totals) -> (u64, u64, u64) {
    totals
        .destinations
        .get(store::DESTINATION)
        .map_or((0, 0, 0), |account| {
            (account.exported, account.held, account.lost_total())
        })
}

fn ledger(totals: &Totals) -> String {
    let (exported, held, lost) = stored(totals);
    let verdict = totals.imbalance().map_or_else(
        || "it balances".to_owned(),
        |imbalance| format!("it does NOT balance: {imbalance}"),
    );
    format!(
        "\nledger, in spans: {verdict}\n\
         received {} = accepted {} + refused {} + rejected {}\n\
         accepted {} = sampled out {} + forwarded {}\n\
         forwarded {} = exported {exported} + lost {lost} + held {held}\n",
        totals.received,
        totals.accepted,
        totals.refused,
        totals.rejected,
        totals.accepted,
        totals.sampled_out,
        totals.forwarded,
        totals.forwarded,
    )
}
