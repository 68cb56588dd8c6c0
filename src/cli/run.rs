//! `run`: the relay, from its configuration to its last line.

use std::{path::Path, process::ExitCode};

use tokio::{runtime::Runtime, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{WRONG_USAGE, complain, log, runtime, signals::Signals};
use crate::{
    config::{self, Config, Surroundings},
    exporter::Resolver,
    metrics::{DestinationTotals, Totals},
    relay::{Addresses, Ended, Load, Relay, SetLog},
};

pub(super) fn run(file: Option<&Path>) -> ExitCode {
    let config = match config::load(file, &Surroundings::of_process()) {
        Ok(config) => config,
        Err(invalid) => {
            complain(&format!(
                "{invalid}otlp-relay does not start; `otlp-relay check` lists the same\n"
            ));
            return ExitCode::from(WRONG_USAGE);
        }
    };
    let set_log = log::init(config.log);
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the runtime");
            return ExitCode::FAILURE;
        }
    };
    let load = loader(file, &config);
    run_to_end(runtime, serve(config, load, set_log))
}

/// Waits for nothing that is left behind at the end: a name that is being resolved blocks its thread for as long as the
/// system's resolver likes.
fn run_to_end<T>(runtime: Runtime, whole: impl Future<Output = T>) -> T {
    let end = runtime.block_on(whole);
    runtime.shutdown_background();
    end
}

/// Loads the same configuration again, from the file as it is then.
fn loader(file: Option<&Path>, first: &Config) -> Load {
    let (file, budget_auto) = (file.map(Path::to_path_buf), first.budget_auto());
    Box::new(move || {
        let around = Surroundings {
            budget_auto,
            ..Surroundings::of_process()
        };
        config::load(file.as_deref(), &around)
    })
}

async fn serve(config: Config, load: Load, set_log: SetLog) -> ExitCode {
    let file = config.file.clone();
    let signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "cannot catch signals");
            return ExitCode::FAILURE;
        }
    };
    let relay = match Relay::bind(config, load, set_log, Resolver::System) {
        Ok(relay) => relay,
        Err(error) => {
            tracing::error!(%error, "cannot start");
            return ExitCode::from(WRONG_USAGE);
        }
    };
    announce(relay.addresses(), file.as_deref());
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(signals.follow(stop.clone(), relay.handle()));
    match relay.run(stop).await {
        Ok(ended) => farewell(&ended),
        Err(error) => {
            tracing::error!(%error, "cannot start");
            ExitCode::FAILURE
        }
    }
}

/// Names every bound address.
fn announce(addresses: Addresses, file: Option<&Path>) {
    let file = file.map_or_else(
        || "built-in defaults".into(),
        |file| file.display().to_string(),
    );
    tracing::info!(version = super::VERSION, config = file, "otlp-relay starts");
    let bound = [
        ("OTLP/gRPC", addresses.grpc),
        ("OTLP/HTTP", addresses.http),
        ("admin", Some(addresses.admin)),
    ];
    for (what, address) in bound {
        if let Some(address) = address {
            tracing::info!(%address, "{what} listens");
        }
    }
}

/// The last line: what was delivered and what was lost. Exit code 1 when something was lost while stopping, or has no
/// fate.
pub(super) fn farewell(ended: &Ended) -> ExitCode {
    let Totals {
        received,
        accepted,
        refused,
        rejected,
        sampled_out,
        forwarded,
        ..
    } = ended.totals;
    let accounts = || ended.totals.destinations.values();
    let lost: u64 = accounts().map(DestinationTotals::lost_total).sum();
    let held: u64 = accounts().map(|account| account.held).sum();
    let drained = ended.drained;
    tracing::info!(
        received,
        accepted,
        refused,
        rejected,
        sampled_out,
        forwarded,
        lost,
        held,
        delivered_while_stopping = drained.delivered,
        lost_while_stopping = drained.lost,
        "otlp-relay stopped"
    );
    if let Some(imbalance) = ended.totals.imbalance() {
        tracing::error!(
            imbalance,
            "the ledger does not balance: a fault of the relay"
        );
    }
    if drained.lost > 0 || held > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use tokio::time::Instant;

    use super::*;
    use crate::metrics::{Ledger, Settled, Tally, Transport};

    #[test]
    fn whatever_is_not_delivered_at_the_end_is_told_by_the_exit_code() {
        let held = |spans| {
            let ledger = Ledger::default();
            let tally = Tally {
                received: spans,
                forwarded: spans,
                ..Tally::default()
            };
            ledger.accept(Transport::Grpc, tally, [&"jaeger".into()]);
            ledger.totals()
        };
        for (totals, lost, expected) in [
            (held(0), 0, ExitCode::SUCCESS),
            (held(0), 1, ExitCode::FAILURE),
            (held(1), 0, ExitCode::FAILURE),
        ] {
            let drained = Settled {
                lost,
                ..Settled::default()
            };
            let code = farewell(&Ended { totals, drained });
            assert_eq!(format!("{code:?}"), format!("{expected:?}"));
        }
    }

    #[test]
    fn a_blocked_thread_does_not_hold_up_the_end() {
        let patience = Duration::from_secs(10);
        let (_keep, blocked_on) = mpsc::channel::<()>();
        let started = Instant::now();
        run_to_end(runtime().unwrap(), async move {
            let (running, begun) = tokio::sync::oneshot::channel();
            tokio::task::spawn_blocking(move || {
                running.send(()).unwrap();
                blocked_on.recv_timeout(patience)
            });
            begun.await.unwrap();
        });
        assert!(started.elapsed() < patience / 2);
    }
}
