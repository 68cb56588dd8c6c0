//! The receivers over real sockets, with a real pipeline and a queue that nobody sends from. Time is real, because sockets
//! do not know paused time: waits have short limits, and every wait for an event has a deadline.

#[path = "../../../tests/support/client.rs"]
#[allow(
    missing_docs,
    unreachable_pub,
    reason = "the integration tests use it too"
)]
mod client;
mod connections;
mod cors;
mod every_refusal;
mod full;
mod hostile;
mod json;
#[path = "../../../tests/support/log.rs"]
#[allow(unreachable_pub, reason = "the integration tests use it too")]
pub(super) mod log;
mod refusals;
mod shutdown;
mod slow;
mod taken;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message;
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::client::{GrpcCall, GrpcClient, frame, http_traces};
use super::{Options, Receivers};
use crate::{
    budget::{Budget, Use},
    enrichment::Enricher,
    metrics::{CollectorNames, Fate, Levels, Metrics, Totals, Transport},
    pipeline::{Pipeline, Stages},
    processor::Snapshot,
    queue::{self, Queue, Queues},
    sampling::{Randomness, Sampler},
    store::{self, Store},
};

/// Whatever a test waits for comes within this, or the test fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// The size limit of the tests, in bytes.
const REQUEST_BYTES_MAX: usize = 256 * 1024;

/// What a test changes of the usual set-up.
struct Setup {
    options: Options,
    budget_bytes: usize,
    queue_bytes_max: usize,
}

/// Receivers on both ports of loopback.
struct UnderTest {
    grpc: SocketAddr,
    http: SocketAddr,
    options: Arc<ArcSwap<Options>>,
    budget: Budget,
    metrics: Metrics,
    queue: Queue,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            options: Options {
                grpc_listen: None,
                http_listen: None,
                cors_allowed_origins: Vec::new(),
                request_bytes_max: REQUEST_BYTES_MAX,
                connections_max: 64,
                streams_max: 128,
                requests_max: 256,
                header_timeout: PATIENCE,
                body_timeout: PATIENCE,
                idle_timeout: PATIENCE,
                wait_max: PATIENCE,
                shutdown_deadline: PATIENCE,
            },
            budget_bytes: 64 << 20,
            queue_bytes_max: 16 << 20,
        }
    }
}

impl Setup {
    async fn start(self) -> UnderTest {
        let budget = Budget::new(self.budget_bytes, self.options.request_bytes_max);
        let metrics = Metrics::new(crate::metrics::Options {
            collector_names: CollectorNames::Total,
            commit: "test",
        });
        let queues = Queues::new(metrics.ledger().clone());
        let queue_options = queue::Options {
            bytes_max: self.queue_bytes_max,
            required: true,
        };
        let queue = queues.open("jaeger".into(), queue_options);
        let stages = Stages {
            snapshot: Snapshot {
                sampler: Sampler::keep_all(Randomness::Auto, 0).into(),
                enricher: Enricher::default().into(),
            },
            policies: metrics.policy_counters(["default"]),
            message_bytes_max: 64 << 20,
        };
        let (store, _keeper) = Store::new(store::Options { bytes_max: 0 });
        let options = Arc::new(ArcSwap::from_pointee(self.options));
        let receivers = Receivers {
            pipeline: Arc::new(Pipeline::new(stages, queues, store, metrics.clone())),
            budget: budget.clone(),
            metrics: metrics.clone(),
            options: Arc::clone(&options),
        };
        let (grpc_listener, grpc) = listen().await;
        let (http_listener, http) = listen().await;
        let stop = CancellationToken::new();
        let listeners = vec![
            (grpc_listener, Transport::Grpc),
            (http_listener, Transport::Http),
        ];
        let serving = TaskTracker::new().spawn(receivers.serve(listeners, stop.clone()));
        UnderTest {
            grpc,
            http,
            options,
            budget,
            metrics,
            queue,
            stop,
            serving,
        }
    }
}

/// A relay that takes one request at a time, and a client whose request waits because the queue is full.
async fn with_the_only_request_waiting() -> (UnderTest, GrpcClient, GrpcCall) {
    let mut setup = Setup {
        queue_bytes_max: 1,
        ..Setup::default()
    };
    setup.options.requests_max = 1;
    let relay = setup.start().await;
    assert_eq!(http_traces(relay.http, &[], &spans(1)).await.status, 200);
    let mut client = GrpcClient::connect(relay.grpc).await;
    let mut waiting = client.export(&[]).await;
    waiting.send(frame(0, &spans(1)), true);
    relay
        .until("the request waits", |relay| {
            relay.budget.used(Use::Bodies) > 0
        })
        .await;
    (relay, client, waiting)
}

impl UnderTest {
    async fn start() -> Self {
        Setup::default().start().await
    }

    fn ports(&self) -> [SocketAddr; 2] {
        [self.grpc, self.http]
    }

    fn totals(&self) -> Totals {
        self.metrics.ledger().totals()
    }

    /// The value of a sample that begins like this on the metrics page; 0 when there is none.
    fn sample(&self, start: &str) -> u64 {
        let page = self.metrics.render(&Levels::default());
        page.lines()
            .filter(|line| line.starts_with(start))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// How many requests were refused with this code and reason.
    fn refused(&self, transport: Transport, code: &str, reason: &str) -> u64 {
        let labels = format!(
            "otlp_relay_refusals_total{{transport=\"{}\",code=\"{code}\",reason=\"{reason}\"}}",
            transport.label()
        );
        self.sample(&labels)
    }

    /// Takes everything out of the queue, as if a destination had taken it, and returns the messages.
    fn export(&self) -> Vec<ExportTraceServiceRequest> {
        std::iter::from_fn(|| self.queue.try_pop())
            .map(|parcel| {
                let message: Vec<u8> = parcel.segments.concat();
                parcel.settle(Fate::Exported);
                ExportTraceServiceRequest::decode(&message[..]).unwrap()
            })
            .collect()
    }

    /// Waits until `condition` holds.
    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !condition(self) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| panic!("{what} did not come to pass: {:?}", self.totals()));
    }

    /// Sends until a connection is free to take it.
    async fn until_taken(&self, body: &[u8]) {
        let sending = async {
            loop {
                let mut client = client::HttpClient::connect(self.http).await;
                let length = format!("content-length: {}", body.len());
                let head = client::post(
                    "/v1/traces",
                    &[
                        "content-type: application/x-protobuf",
                        "connection: close",
                        &length,
                    ],
                );
                client.send(&[head.as_bytes(), body].concat()).await;
                if client.closed().await.starts_with(b"HTTP/1.1 200") {
                    break;
                }
            }
        };
        timeout(PATIENCE, sending)
            .await
            .expect("a connection is taken");
    }

    /// Stops, and checks that nothing is left: no permit, no connection, no span without a fate.
    async fn finish(self) {
        self.export();
        self.stop.cancel();
        timeout(PATIENCE, self.serving).await.unwrap().unwrap();
        let totals = self.metrics.ledger().totals();
        assert_eq!(totals.imbalance(), None);
        assert_eq!(totals.destinations["jaeger"].held, 0);
        assert_eq!(self.budget.used(Use::Bodies), 0, "bodies");
        assert_eq!(self.budget.used(Use::Windows), 0, "windows");
        assert_eq!(self.budget.used_total(), 0);
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An encoded request with as many usable spans.
pub(super) fn spans(count: usize) -> Bytes {
    request((0..count).map(|index| span(index, 16)).collect())
}

/// An encoded request of just this size, with one span.
fn sized(bytes: usize) -> Bytes {
    let with_name = |name_bytes: usize| {
        let mut span = span(0, 16);
        span.name = "n".repeat(name_bytes);
        request(vec![span])
    };
    // Lengths are varints, so the name is searched for, from near its size.
    (bytes.saturating_sub(80)..bytes)
        .map(with_name)
        .find(|request| request.len() == bytes)
        .expect("a name of one more byte makes the request one to four bytes longer")
}

fn span(index: usize, trace_id_bytes: usize) -> Span {
    Span {
        trace_id: vec![7; trace_id_bytes],
        span_id: (index as u64 + 1).to_be_bytes().to_vec(),
        name: format!("span {index}"),
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        ..Span::default()
    }
}

fn request(spans: Vec<Span>) -> Bytes {
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    request.encode_to_vec().into()
}
