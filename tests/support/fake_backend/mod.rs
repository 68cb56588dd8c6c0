//! A scripted destination: OTLP over gRPC and HTTP on one port, which records what it takes and answers as it is told.
//!
//! It decodes with prost and knows nothing of the relay, so unit tests and integration tests share it.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it, and unit tests include it too"
)]

mod answer;
mod encoding;
mod serve;

use std::{
    collections::VecDeque,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span,
};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::{Instant, timeout},
};

/// Nothing in a test takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A destination on a port of its own. Dropped, it closes its port and all connections.
pub struct FakeBackend {
    address: SocketAddr,
    state: Arc<State>,
    server: AbortHandle,
}

/// What a request is answered.
#[derive(Clone)]
pub enum Answer {
    /// It is taken.
    Take,
    /// It is taken after this long.
    TakeAfter(Duration),
    /// It is taken but for so many spans.
    Partial(i64, &'static str),
    /// A gRPC status, with a `RetryInfo` of this delay.
    Grpc(tonic::Code, Option<Duration>),
    /// An HTTP status with headers and body, sent as it is, over either protocol.
    Http(u16, Vec<(&'static str, String)>, Bytes),
    /// A gRPC answer without a status: headers, a message, no trailers.
    NoTrailers,
    /// The stream or connection is reset, with this HTTP/2 reason.
    Reset(h2::Reason),
    /// Nothing, for ever.
    Mute,
    /// A success whose body never ends.
    Endless,
    /// An HTTP status whose body never comes.
    HeadOnly(u16),
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// When its body was whole.
    pub at: Instant,
    /// Its path.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// The bytes of the message after decompression.
    pub message_bytes: usize,
    /// The message.
    pub request: ExportTraceServiceRequest,
    /// Its spans.
    pub spans: usize,
}

/// Decides about each request.
type Judge = Box<dyn Fn(&Received) -> Answer + Send + Sync>;

struct State {
    script: Mutex<VecDeque<Answer>>,
    judge: Mutex<Judge>,
    records: Mutex<Records>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Records {
    received: Vec<Received>,
    taken: Vec<ExportTraceServiceRequest>,
    connections: usize,
    spans_under_way: usize,
    spans_under_way_max: usize,
    requests_under_way: usize,
    requests_under_way_max: usize,
}

impl FakeBackend {
    /// One that takes everything, on a free port of 127.0.0.1.
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    /// One at this address.
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let state = Arc::new(State {
            script: Mutex::default(),
            judge: Mutex::new(Box::new(|_| Answer::Take)),
            records: Mutex::default(),
            changed: watch::channel(()).0,
        });
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        let server = tasks.spawn(serve::serve(listener, Arc::clone(&state)));
        tasks.detach_all();
        Self {
            address,
            state,
            server,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint for either protocol.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the next requests so, one after the other; afterwards as before.
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state.script.lock().unwrap().extend(answers);
    }

    /// Answers every request that no script is for so.
    pub fn answer(&self, answer: Answer) {
        self.judge(move |_| answer.clone());
    }

    /// Answers every request that no script is for by what it says.
    pub fn judge(&self, judge: impl Fn(&Received) -> Answer + Send + Sync + 'static) {
        *self.state.judge.lock().unwrap() = Box::new(judge);
    }

    /// All requests so far, whatever they were answered.
    pub fn received(&self) -> Vec<Received> {
        self.records(|records| records.received.clone())
    }

    /// All requests that were taken so far.
    pub fn taken(&self) -> Vec<ExportTraceServiceRequest> {
        self.records(|records| records.taken.clone())
    }

    /// What was taken since the last time, and forgets all requests: for loads that would not fit the memory.
    pub fn take_records(&self) -> Vec<ExportTraceServiceRequest> {
        let mut records = self.state.records.lock().unwrap();
        records.received.clear();
        std::mem::take(&mut records.taken)
    }

    /// The spans that were taken so far.
    pub fn spans(&self) -> Vec<Span> {
        self.taken().into_iter().flat_map(spans).collect()
    }

    /// The names of the spans that were taken so far, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.spans().into_iter().map(|span| span.name).collect();
        names.sort_unstable();
        names
    }

    /// Connections that were ever opened.
    pub fn connections(&self) -> usize {
        self.records(|records| records.connections)
    }

    /// The most spans that were under way at once: received and not yet answered.
    pub fn spans_under_way_max(&self) -> usize {
        self.records(|records| records.spans_under_way_max)
    }

    /// The most requests that were under way at once.
    pub fn requests_under_way_max(&self) -> usize {
        self.records(|records| records.requests_under_way_max)
    }

    /// Waits until it has taken this many spans.
    pub async fn wait_for_spans(&self, count: usize) {
        self.wait_until(&format!("{count} spans"), |backend| {
            backend.spans().len() >= count
        })
        .await;
    }

    /// Waits until it has received this many requests.
    pub async fn wait_for_requests(&self, count: usize) {
        self.wait_until(&format!("{count} requests"), |backend| {
            backend.records(|records| records.received.len()) >= count
        })
        .await;
    }

    async fn wait_until(&self, what: &str, reached: impl Fn(&Self) -> bool) {
        let mut changed = self.state.changed.subscribe();
        let waiting = async {
            while !reached(self) {
                changed.changed().await.unwrap();
            }
        };
        if timeout(PATIENCE, waiting).await.is_err() {
            let (requests, spans) = (self.received().len(), self.spans().len());
            panic!("waited for {what}, there are {requests} requests and {spans} spans");
        }
    }

    fn records<T>(&self, read: impl FnOnce(&Records) -> T) -> T {
        read(&self.state.records.lock().unwrap())
    }
}

impl Drop for FakeBackend {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl fmt::Debug for FakeBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeBackend")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// All spans of a request.
pub fn spans(request: ExportTraceServiceRequest) -> Vec<Span> {
    let scopes = request
        .resource_spans
        .into_iter()
        .flat_map(|resource_spans| resource_spans.scope_spans);
    scopes.flat_map(|scope_spans| scope_spans.spans).collect()
}

/// A listener that accepts and then swallows everything in silence.
pub async fn mute_at(address: SocketAddr) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
        }
    });
    (address, tasks)
}
