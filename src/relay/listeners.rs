//! The ports of a relay: all bound before anything is started.

use std::{fmt, io, net::SocketAddr, sync::Arc, thread};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Shared, pages};
use crate::{admin, config::Config, exporter::InvalidTls, metrics::Transport};

/// Connections that the kernel completes before they are accepted, at most; bursts of reconnecting clients fit.
const BACKLOG: i32 = 1024;

/// Bound sockets.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) receivers: Vec<(TcpListener, Transport)>,
    pub(super) admin: std::net::TcpListener,
}

/// The addresses that were bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Where OTLP/gRPC is expected.
    pub grpc: Option<SocketAddr>,
    /// Where OTLP/HTTP is expected.
    pub http: Option<SocketAddr>,
    /// Where the admin API is.
    pub admin: SocketAddr,
}

/// The relay cannot start.
#[derive(Debug)]
pub enum BindError {
    /// An address cannot be listened on.
    Listen {
        /// The setting that names it.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The TLS files of a destination do not work.
    Tls {
        /// The destination.
        destination: Arc<str>,
        /// Why.
        error: InvalidTls,
    },
}

/// The admin server on a thread and runtime of its own, so that it answers while the receivers are saturated.
#[derive(Debug)]
pub(super) struct AdminThread {
    stop: CancellationToken,
    thread: thread::JoinHandle<()>,
}

// === impl Listeners ===

impl Listeners {
    pub(super) fn bind(config: &Config) -> Result<Self, BindError> {
        let mut receivers = Vec::new();
        for (key, listen, transport) in [
            (
                "receivers.grpc.listen",
                config.receivers.grpc_listen,
                Transport::Grpc,
            ),
            (
                "receivers.http.listen",
                config.receivers.http_listen,
                Transport::Http,
            ),
        ] {
            if let Some(address) = listen {
                let bound = bind(address).and_then(TcpListener::from_std);
                let listener = bound.map_err(|error| BindError::Listen {
                    key,
                    address,
                    error,
                })?;
                receivers.push((listener, transport));
            }
        }
        let (key, address) = ("admin.listen", config.admin.listen);
        let admin = bind(address).map_err(|error| BindError::Listen {
            key,
            address,
            error,
        })?;
        Ok(Self { receivers, admin })
    }

    pub(super) fn addresses(&self) -> Addresses {
        let of = |wanted| {
            let (listener, _) = self
                .receivers
                .iter()
                .find(|(_, transport)| *transport == wanted)?;
            listener.local_addr().ok()
        };
        Addresses {
            grpc: of(Transport::Grpc),
            http: of(Transport::Http),
            admin: self
                .admin
                .local_addr()
                .expect("a bound socket has an address"),
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restarted relay takes its port although connections of the old one are still in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

// === impl AdminThread ===

impl AdminThread {
    /// Serves until [`AdminThread::stop`].
    pub(super) fn start(listener: std::net::TcpListener, shared: &Arc<Shared>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let stop = CancellationToken::new();
        let until = stop.clone();
        // Made here and not there: a thread has memory of its own for each size that it allocates, and serving needs few.
        let options = Arc::clone(&shared.admin_options);
        let server = admin::Server::new(listener, options, pages::state(shared))?;
        let thread = thread::Builder::new().name("admin".into()).spawn(move || {
            if let Err(error) = runtime.block_on(server.run(until)) {
                tracing::error!(%error, "the admin server ended");
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends it at once, whoever is still connected.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        drop(tokio::task::spawn_blocking(|| self.thread.join()).await);
    }
}

// === impl BindError ===

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen {
                key,
                address,
                error,
            } if error.kind() == io::ErrorKind::AddrInUse => {
                write!(
                    f,
                    "{key}: port {} of {} is in use by another program (a Jaeger or a Collector on the same machine \
                     listens on 4317 and 4318 too): stop that, or set {key} to another port",
                    address.port(),
                    address.ip()
                )
            }
            Self::Listen {
                key,
                address,
                error,
            } => {
                write!(f, "{key}: cannot listen on {address}: {error}")
            }
            Self::Tls { destination, error } => {
                write!(f, "destinations.{destination}.tls.{error}")
            }
        }
    }
}

impl std::error::Error for BindError {}
