//! A destination that counts the spans it gets and does nothing else, or never answers.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, combinators::WithTrailers};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use otlp_relay::wire;
use tokio::{net::TcpListener, task::JoinHandle};

/// What it does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Counts its spans and answers OK.
    Count,
    /// Reads it and never answers.
    Mute,
}

/// A destination.
pub(crate) struct Sink {
    address: SocketAddr,
    spans: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Sink {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let spans = Arc::new(AtomicU64::new(0));
        #[expect(clippy::disallowed_methods, reason = "ended by Drop")]
        let accepting = tokio::spawn(accept(listener, behaviour, Arc::clone(&spans)));
        Self {
            address,
            spans,
            accepting,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn spans(&self) -> u64 {
        self.spans.load(Ordering::Relaxed)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, behaviour: Behaviour, spans: Arc<AtomicU64>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        let spans = Arc::clone(&spans);
        let service = service_fn(move |request| take(request, behaviour, Arc::clone(&spans)));
        connections.spawn(
            hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .max_concurrent_streams(1024)
                .serve_connection(TokioIo::new(socket), service),
        );
    }
}

type Trailers = std::future::Ready<Option<Result<HeaderMap, std::convert::Infallible>>>;
type Answer = WithTrailers<Full<Bytes>, Trailers>;

async fn take(
    request: Request<Incoming>,
    behaviour: Behaviour,
    spans: Arc<AtomicU64>,
) -> Result<Response<Answer>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    if behaviour == Behaviour::Mute {
        std::future::pending::<()>().await;
    }
    let counts = wire::count(&body[5..]).expect("what leaves the relay is whole");
    spans.fetch_add(counts.spans as u64, Ordering::Relaxed);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let answer = Full::new(Bytes::from_static(&[0; 5]))
        .with_trailers(std::future::ready(Some(Ok(trailers))));
    Ok(Response::builder()
        .header("content-type", "application/grpc")
        .body(answer)
        .unwrap())
}
