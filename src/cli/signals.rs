//! The signals of a process: SIGTERM and SIGINT stop it, a second one at once; SIGHUP reloads.

use std::io;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::relay::Handle;

/// The signals of this process, caught from now on.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Stop,
    Reload,
}

impl Signals {
    /// Catches them: what comes before [`Signals::follow`] is not lost, and does not end the process in its own way. Call it
    /// within a runtime.
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Cancels `stop`, or reloads `relay`, as they ask. Ends the process at the second order to stop.
    pub(super) async fn follow(mut self, stop: CancellationToken, relay: Handle) {
        // Reads files, so it is kept off this task, which must hear of a stop meanwhile; how it went has been logged.
        let mut reloads = JoinSet::new();
        loop {
            while reloads.try_join_next().is_some() {}
            match self.next().await {
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

#[cfg(test)]
mod tests {
    use std::{process::Command, time::Duration};

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_signal_that_comes_before_it_is_followed_counts() {
        let mut signals = Signals::catch().unwrap();
        let id = std::process::id().to_string();
        let sent = Command::new("kill").args(["-s", "HUP", &id]).status();
        assert!(sent.unwrap().success());
        let event = timeout(Duration::from_secs(10), signals.next()).await;
        assert_eq!(event, Ok(Event::Reload));
    }
}
