//! The signals of a process: SIGTERM and SIGINT stop it, a second one at once; SIGHUP reloads.

use std::io;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::relay::Handle;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Stop,
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// Follows the signals from now on: cancels `stop`, or reloads `relay`. Ends the process at the second order to stop.
pub(super) async fn follow(stop: CancellationToken, relay: Handle) -> io::Result<()> {
    let mut signals = Signals {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
        hangup: signal(SignalKind::hangup())?,
    };
    // Reads files, so it is kept off this task, which must hear of a stop meanwhile; how it went has been logged.
    let mut reloads = JoinSet::new();
    loop {
        while reloads.try_join_next().is_some() {}
        match signals.next().await {
            Event::Reload => {
                let relay = relay.clone();
                reloads.spawn_blocking(move || drop(relay.reload()));
            }
            Event::Stop if stop.is_cancelled() => exit_at_once(),
            Event::Stop => {
                tracing::info!("stopping; a second signal exits at once");
                stop.cancel();
            }
        }
    }
}

impl Signals {
    async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => Event::Stop,
            _ = self.interrupt.recv() => Event::Stop,
            _ = self.hangup.recv() => Event::Reload,
        }
    }
}

#[expect(
    clippy::exit,
    reason = "a second signal exits at once, whatever the relay is doing"
)]
fn exit_at_once() -> ! {
    tracing::warn!("second signal, exiting at once");
    std::process::exit(1)
}
