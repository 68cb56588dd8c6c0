//! One loop per listener: takes connections, whatever goes wrong with single ones.

use std::{io, pin::pin, sync::Arc, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tracing::{debug, warn};

use super::{Peer, Shared, connection, refusals::Turned};
use crate::metrics::Transport;

/// The first wait after `accept` failed for want of something, and the longest. Descriptors come back when connections
/// close, so there is no point in asking sooner; a second keeps the service back within one (acceptance case A14).
const BACK_OFF_FIRST: Duration = Duration::from_millis(10);
const BACK_OFF_MAX: Duration = Duration::from_millis(640);

/// A silent peer is probed after this long, then three times as often as an answer takes to be late; so that a machine
/// that vanished does not keep a connection. Chosen by eye, near `idle_timeout`.
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// What was written and is not acknowledged after this long ends the connection.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

/// Accepts until the receivers stop.
pub(super) async fn run(listener: TcpListener, expected: Transport, shared: Arc<Shared>) {
    let mut back_off = BackOff::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stopping.begun.cancelled() => return,
        };
        match accepted {
            Ok((socket, address)) => {
                back_off = BackOff::default();
                open(socket, Peer { address, expected }, &shared);
            }
            Err(error) => {
                let wait = back_off.after(&error);
                if let Some(held_back) = shared.refusals.pass(Turned::AcceptFailed) {
                    warn!(%error, wait_ms = wait.as_millis(), held_back, "a connection was not accepted");
                }
                sleep(wait).await;
            }
        }
    }
}

fn open(socket: TcpStream, peer: Peer, shared: &Arc<Shared>) {
    let connections_max = shared.options.load().connections_max;
    let Some(slot) = shared.connections.take(connections_max) else {
        shared.refusals.turn_away(peer, Turned::TooManyConnections);
        return;
    };
    if let Err(error) = prepare(&socket) {
        debug!(peer = %peer.address, %error, "the socket of a connection takes no options");
    }
    let stopped = shared.stopping.connections.clone();
    let of_connection = Arc::clone(shared);
    shared.tasks.spawn(async move {
        // Made here and lent, not given: the task would have room for it twice.
        let serving = pin!(connection::run(socket, peer, of_connection));
        stopped.run_until_cancelled(serving).await;
        drop(slot);
    });
}

/// Without `TCP_NODELAY` small answers wait 40 ms for the peer's delayed acknowledgement.
fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_EVERY)
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
    Ok(())
}

/// How long to wait after `accept` failed.
#[derive(Debug)]
struct BackOff {
    next: Duration,
}

impl Default for BackOff {
    fn default() -> Self {
        Self {
            next: BACK_OFF_FIRST,
        }
    }
}

impl BackOff {
    /// A connection that its peer gave up before it was accepted is nothing to wait for; all else (no descriptors, no
    /// memory) is waited out, longer each time.
    fn after(&mut self, error: &io::Error) -> Duration {
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::Interrupted
        ) {
            return Duration::ZERO;
        }
        let wait = self.next;
        self.next = (self.next * 2).min(BACK_OFF_MAX);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_want_of_something_is_waited_out() {
        let mut back_off = BackOff::default();
        let aborted = io::Error::from_raw_os_error(libc::ECONNABORTED);
        let no_descriptors = io::Error::from_raw_os_error(libc::EMFILE);
        assert_eq!(back_off.after(&aborted), Duration::ZERO);
        assert_eq!(back_off.after(&no_descriptors), BACK_OFF_FIRST);
        assert_eq!(back_off.after(&no_descriptors), BACK_OFF_FIRST * 2);
        assert_eq!(back_off.after(&aborted), Duration::ZERO);
        for _ in 0..10 {
            back_off.after(&no_descriptors);
        }
        assert_eq!(back_off.after(&no_descriptors), BACK_OFF_MAX);
    }
}
