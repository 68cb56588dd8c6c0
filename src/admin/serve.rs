//! The admin listener: few connections, none for ever, and a time limit on everything.
//!
//! It shares nothing with ingest but what it reads, so it answers while ingest is saturated; run it on a runtime of its own
//! to make that hold for the scheduler too.

use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::{Router, body::Body};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use super::{Options, State, guard::Guard, machine_name, routes};
use crate::metrics::LogLimit;

/// Open connections at most: people, a Prometheus or two, health checks. Of more, the oldest is cut: one that asks and goes
/// is not there any more, and one that stays open, as a Prometheus', is opened again.
pub(super) const CONNECTIONS_MAX: usize = 64;
/// From the opening of a connection or the end of a request until the next head is whole.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection is asked to end after this long, so that slow readers do not hold their places.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(60);
/// What such a connection has to end in good order before it is cut.
const GRACE: Duration = Duration::from_secs(2);
/// The head of a request is at most this many bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// After an error of accept, such as no free file descriptor, the next attempt comes this much later.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// Such errors are logged this often at most.
const LOG_PERIOD: Duration = Duration::from_secs(10);

/// A peer's address, as the routes see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// The admin server of one relay, its port bound and its routes laid, which serves nothing yet.
#[derive(Debug)]
pub struct Server {
    listener: std::net::TcpListener,
    router: Router,
}

/// The open connections, the oldest first. Dropped, they are cut.
#[derive(Debug, Default)]
struct Connections {
    tasks: JoinSet<()>,
    open: VecDeque<AbortHandle>,
}

impl Server {
    /// Serves `state` on `listener`. Each request is held to `options` as they are then.
    pub fn new(
        listener: std::net::TcpListener,
        options: Arc<ArcSwap<Options>>,
        state: State,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let guard = Guard::new(options, listener.local_addr()?, machine_name());
        let router = routes::router(state, guard);
        Ok(Self { listener, router })
    }

    /// Serves until `stop`, on whatever tokio runtime this runs. At `stop` connections are cut: it is the last thing to stop,
    /// and there is no time left to wait for readers.
    pub async fn run(self, stop: CancellationToken) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
        let mut connections = Connections::default();
        let errors = LogLimit::new(1, LOG_PERIOD);
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    connections.add(connection(stream, peer, self.router.clone()));
                }
                Err(error) => {
                    if let Some(held_back) = errors.pass(Instant::now()) {
                        tracing::warn!(%error, held_back, "admin connection not accepted");
                    }
                    sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }
}

impl Connections {
    /// Serves one more, for which the oldest goes if there are too many: who holds places keeps nobody out.
    fn add(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        self.open.retain(|open| !open.is_finished());
        if self.open.len() >= CONNECTIONS_MAX
            && let Some(oldest) = self.open.pop_front()
        {
            oldest.abort();
        }
        self.open.push_back(self.tasks.spawn(connection));
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        router.clone().call(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // A peer that breaks off or sends garbage is no concern of anybody else's.
    if timeout(CONNECTION_AGE_MAX, connection.as_mut())
        .await
        .is_err()
    {
        connection.as_mut().graceful_shutdown();
        timeout(GRACE, connection).await.ok();
    }
}
