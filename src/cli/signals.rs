//! The signals of a process: SIGTERM and SIGINT stop it, a second one at once; SIGHUP reloads.

use std::io;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::spawn_blocking,
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
    loop {
        match signals.next().await {
            Event::Reload => reload(relay.clone()).await,
            Event::Stop if stop.is_cancelled() => exit_at_once(),
            Event::Stop => {
                tracing::info!("stopping; a second signal exits at once");
                stop.cancel();
            }
        }
    }
}

/// Reads files, so it is kept off the tasks that serve; how it went has been logged.
async fn reload(relay: Handle) {
    drop(spawn_blocking(move || relay.reload()).await);
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
