//! A destination that counts the spans it gets and does nothing else, at once, late or never answering.

use std::{
    convert::Infallible,
    io::{self, Write},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use flate2::write::GzDecoder;
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_ENCODING};
use http_body_util::{BodyExt, Full, combinators::WithTrailers};
use hyper::{body::Incoming, server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use super::{requests::Transport, tally::Tally};

/// Room for some batches of 8192 spans, so that no relay waits for this destination's windows.
const STREAM_WINDOW_BYTES: u32 = 16 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 128 << 20;
/// More than any relay has under way.
const STREAMS_MAX: u32 = 1024;

/// What it does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Counts its spans and answers OK.
    Count,
    /// The same, so much later.
    Late(Duration),
    /// Reads it and never answers.
    Mute,
}

/// A destination.
#[derive(Debug)]
pub(crate) struct Sink {
    address: SocketAddr,
    spans: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

#[derive(Clone, Debug)]
struct Service {
    behaviour: Behaviour,
    spans: Arc<AtomicU64>,
}

impl Sink {
    pub(crate) async fn start(behaviour: Behaviour, transport: Transport) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let spans = Arc::new(AtomicU64::new(0));
        let service = Service {
            behaviour,
            spans: Arc::clone(&spans),
        };
        #[expect(clippy::disallowed_methods, reason = "ended by Drop")]
        let accepting = tokio::spawn(accept(listener, transport, service));
        Self {
            address,
            spans,
            accepting,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Spans of answered requests.
    pub(crate) fn spans(&self) -> u64 {
        self.spans.load(Ordering::Relaxed)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, transport: Transport, service: Service) {
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        // What a relay does to its connections is its own affair; what it delivered is what counts.
        connections.spawn(serve(socket, transport, service.clone()));
    }
}

async fn serve(socket: TcpStream, transport: Transport, service: Service) -> hyper::Result<()> {
    let socket = TokioIo::new(socket);
    let service = service_fn(move |request| {
        let service = service.clone();
        async move { service.take(request, transport).await }
    });
    match transport {
        Transport::Grpc => {
            conn::http2::Builder::new(TokioExecutor::new())
                .max_concurrent_streams(STREAMS_MAX)
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .serve_connection(socket, service)
                .await
        }
        Transport::Http => {
            conn::http1::Builder::new()
                .serve_connection(socket, service)
                .await
        }
    }
}

// === impl Service ===

type Trailers = std::future::Ready<Option<Result<HeaderMap, Infallible>>>;
type Answer = WithTrailers<Full<Bytes>, Trailers>;

impl Service {
    async fn take(
        &self,
        request: Request<Incoming>,
        transport: Transport,
    ) -> Result<Response<Answer>, hyper::Error> {
        let compressed = request.headers().contains_key(CONTENT_ENCODING);
        let mut reading = match transport {
            Transport::Grpc => Reading::Prefix(Vec::new()),
            Transport::Http => Reading::message(compressed),
        };
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            if let Some(data) = frame?.data_ref() {
                reading.feed(data);
            }
        }
        match self.behaviour {
            Behaviour::Count => {}
            Behaviour::Late(by) => sleep(by).await,
            Behaviour::Mute => std::future::pending().await,
        }
        self.spans.fetch_add(reading.spans(), Ordering::Relaxed);
        Ok(ok(transport))
    }
}

fn ok(transport: Transport) -> Response<Answer> {
    let (content_type, message, trailers) = match transport {
        Transport::Grpc => {
            let status = ("grpc-status", HeaderValue::from_static("0"));
            let mut trailers = HeaderMap::new();
            trailers.insert(status.0, status.1);
            ("application/grpc", &[0; 5][..], Some(Ok(trailers)))
        }
        Transport::Http => ("application/x-protobuf", &[][..], None),
    };
    let body = Full::new(Bytes::from_static(message)).with_trailers(std::future::ready(trailers));
    Response::builder()
        .header("content-type", content_type)
        .body(body)
        .unwrap()
}

// === impl Reading ===

/// How far a body has been read.
enum Reading {
    /// gRPC's flag and length are not there yet.
    Prefix(Vec<u8>),
    Plain(Tally),
    Compressed(Box<GzDecoder<Tally>>),
}

impl Reading {
    fn message(compressed: bool) -> Self {
        if compressed {
            Self::Compressed(Box::new(GzDecoder::new(Tally::new())))
        } else {
            Self::Plain(Tally::new())
        }
    }

    fn feed(&mut self, data: &[u8]) {
        match self {
            Self::Prefix(prefix) => {
                let missing = (5 - prefix.len()).min(data.len());
                prefix.extend(&data[..missing]);
                if prefix.len() == 5 {
                    *self = Self::message(prefix[0] == 1);
                    self.feed(&data[missing..]);
                }
            }
            Self::Plain(tally) => tally.feed(data),
            Self::Compressed(decoder) => decoder.write_all(data).expect("a relay sends valid gzip"),
        }
    }

    fn spans(self) -> u64 {
        match self {
            Self::Prefix(_) => 0,
            Self::Plain(tally) => tally.spans,
            Self::Compressed(decoder) => decoder.finish().expect("gzip that ends").spans,
        }
    }
}

impl Write for Tally {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.feed(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
