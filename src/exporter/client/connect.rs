//! Connections to a destination: TCP and TLS settings, the HTTP client's pool, and who owns its tasks.
//!
//! Invariant: with a [`Connection`] end the tasks behind it, also when the peer is mute.

use std::{
    error, fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, Uri, uri::Scheme};
use hyper::{body::Incoming, rt::Executor};
use hyper_rustls::{
    FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream,
};
use hyper_util::{
    client::legacy::{Client as HttpClient, Error, connect::HttpConnector},
    rt::{TokioIo, TokioTimer},
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tower_service::Service;

use super::{
    frame::Chunks,
    gather::Gathering,
    resolver::{Resolver, Shuffled},
    tls::{self, InvalidTls},
};
use crate::exporter::{Options, Protocol};

/// An idle connection is probed after this long: below the minutes after which firewalls forget it.
const KEEPALIVE_TIME: Duration = Duration::from_secs(30);
/// Between two such probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Probes without an answer before the connection is given up.
const KEEPALIVE_RETRIES: u32 = 3;
/// Idle HTTP/1.1 connections are closed after this long: servers close theirs after a minute or more.
const IDLE_MAX: Duration = Duration::from_secs(50);
/// The receive window of an answer and of all answers on a connection, in bytes: answers are small, and unread ones must
/// not take memory.
const WINDOW_BYTES: u32 = 64 * 1024;
/// Headers and trailers of an answer at most, in bytes.
const HEADERS_BYTES_MAX: u32 = 16 * 1024;

/// Makes connections to one destination.
#[derive(Debug)]
pub(super) struct Connector {
    protocol: Protocol,
    /// None towards a plain endpoint.
    tls: Option<Handshake>,
    timeout: Duration,
    idle_max: usize,
    resolver: Resolver,
    tasks: TaskTracker,
}

/// What a TLS handshake is made with.
#[derive(Clone, Debug)]
struct Handshake {
    config: ClientConfig,
    server_name: Option<ServerName<'static>>,
}

/// The way to a destination: a plain endpoint is never spoken to over TLS, nor the other way round, and pays for none.
#[derive(Clone)]
enum Way {
    Plain(HttpConnector<Shuffled>),
    Tls(HttpsConnector<HttpConnector<Shuffled>>),
}

/// One generation of connections: with HTTP/2 a single one, with HTTP/1.1 as many as there are requests under way.
pub(super) struct Connection {
    http: HttpClient<Gathering<Way>, Chunks>,
    _stop: DropGuard,
}

/// Spawns the tasks behind one [`Connection`], and ends them with it.
#[derive(Clone)]
struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Connector {
    pub(super) fn new(
        options: &Options,
        resolver: Resolver,
        tasks: TaskTracker,
    ) -> Result<Self, InvalidTls> {
        let tls = || {
            Ok(Handshake {
                config: tls::config(&options.tls)?,
                server_name: tls::server_name(&options.tls)?,
            })
        };
        let over_tls = options.endpoint.scheme() == Some(&Scheme::HTTPS);
        Ok(Self {
            protocol: options.protocol,
            tls: over_tls.then(tls).transpose()?,
            timeout: options.timeout,
            idle_max: options.concurrency,
            resolver,
            tasks,
        })
    }

    /// A connection that is opened when it is first used.
    pub(super) fn connect(&self) -> Connection {
        let stop = CancellationToken::new();
        let tasks = Tasks {
            tracker: self.tasks.clone(),
            stop: stop.clone(),
        };
        let http = HttpClient::builder(tasks)
            .http2_only(self.protocol == Protocol::Grpc)
            .http2_initial_stream_window_size(WINDOW_BYTES)
            .http2_initial_connection_window_size(WINDOW_BYTES)
            .http2_max_header_list_size(HEADERS_BYTES_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(self.idle_max)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .build(Gathering(self.way()));
        Connection {
            http,
            _stop: stop.drop_guard(),
        }
    }

    fn tcp(&self) -> HttpConnector<Shuffled> {
        let mut tcp = HttpConnector::new_with_resolver(Shuffled(self.resolver.clone()));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE_TIME));
        tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        // Shared out among the addresses of a name, so that a mute one leaves time for the others.
        tcp.set_connect_timeout(Some(self.timeout / 2));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(self.timeout * 2));
        tcp
    }

    fn way(&self) -> Way {
        let tcp = self.tcp();
        let Some(tls) = &self.tls else {
            return Way::Plain(tcp);
        };
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls.config.clone());
        let mut builder = builder.https_only();
        if let Some(name) = &tls.server_name {
            let resolver = FixedServerNameResolver::new(name.clone());
            builder = builder.with_server_name_resolver(resolver);
        }
        Way::Tls(match self.protocol {
            Protocol::Grpc => builder.enable_http2().wrap_connector(tcp),
            Protocol::Http => builder.enable_all_versions().wrap_connector(tcp),
        })
    }
}

impl Service<Uri> for Way {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = Box<dyn error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match self {
            Self::Plain(tcp) => tcp.poll_ready(cx).map_err(Into::into),
            Self::Tls(tls) => tls.poll_ready(cx),
        }
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        match self {
            Self::Plain(tcp) => {
                let connecting = tcp.call(to);
                Box::pin(async move { Ok(connecting.await?.into()) })
            }
            Self::Tls(tls) => tls.call(to),
        }
    }
}

impl Connection {
    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&self, request: Request<Chunks>) -> Result<Response<Incoming>, Error> {
        self.http.request(request).await
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl<F> Executor<F> for Tasks
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        let stop = self.stop.clone();
        self.tracker
            .spawn(async move { stop.run_until_cancelled_owned(task).await });
    }
}
