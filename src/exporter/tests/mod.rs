//! Tests of exporters against scripted destinations over real sockets.

mod answers;
mod connections;
mod ends;
#[path = "../../../tests/support/fake_backend/mod.rs"]
mod fake_backend;
mod messages;
mod pings;
mod tls;

use std::time::Duration;

use bytes::Bytes;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::*;
use crate::{
    budget::Budget,
    metrics::{DestinationTotals, Transport},
    queue::{
        self, Payload,
        fixtures::{budget, payload, payload_of, tally},
    },
};
use fake_backend::{Answer, FakeBackend, Received, mute_at};

/// Nothing in a test takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Options as the configuration's defaults have them.
pub(super) fn options(endpoint: &str) -> Options {
    Options {
        name: "jaeger".into(),
        endpoint: endpoint.parse().unwrap(),
        protocol: Protocol::Grpc,
        compression: Compression::None,
        headers: Vec::new(),
        tls: Tls::default(),
        timeout: Duration::from_secs(5),
        concurrency: 4,
        spans_in_flight_max: 512,
        retry: Retry {
            first: Duration::from_millis(500),
            factor: 1.5,
            jitter: 0.5,
            max: Duration::from_secs(3),
            give_up_after: None,
        },
        batch: queue::BatchOptions {
            spans: 512,
            bytes: 1 << 20,
            bytes_max: 3584 << 10,
            delay: Duration::from_millis(200),
        },
        queue: queue::Options {
            bytes_max: 64 << 20,
            required: true,
        },
    }
}

/// Such, but with waits as short as a test over sockets wants them.
fn quick(backend: &FakeBackend, protocol: Protocol) -> Options {
    let mut options = options(&backend.endpoint());
    options.protocol = protocol;
    options.batch.delay = Duration::from_millis(5);
    options.retry.first = Duration::from_millis(20);
    options.retry.max = Duration::from_millis(60);
    options
}

/// An exporter with what stands around it in the relay.
struct Rig {
    metrics: Metrics,
    queues: Queues,
    budget: Budget,
    tasks: TaskTracker,
    exporter: Exporter,
}

impl Rig {
    fn start(options: Options) -> Self {
        Self::start_with(options, Resolver::System)
    }

    fn start_with(options: Options, resolver: Resolver) -> Self {
        Self::start_in(options, resolver, None)
    }

    /// One whose trace store does this when it is told of an answer.
    fn start_telling(
        options: Options,
        on_verdict: impl Fn(Box<[u64]>, &Arc<str>, &str) + Send + Sync + 'static,
    ) -> Self {
        Self::start_in(options, Resolver::System, Some(Arc::new(on_verdict)))
    }

    fn start_in(options: Options, resolver: Resolver, on_verdict: Option<OnVerdict>) -> Self {
        let metrics = Metrics::default();
        let queues = Queues::new(metrics.ledger().clone());
        let tasks = TaskTracker::new();
        let context = Context {
            queues: queues.clone(),
            metrics: metrics.clone(),
            resolver,
            tasks: tasks.clone(),
            on_verdict,
        };
        Self {
            exporter: Exporter::spawn(options, context).unwrap(),
            metrics,
            queues,
            budget: budget(),
            tasks,
        }
    }

    /// One request with these spans comes in.
    async fn push(&self, names: &[&str]) {
        self.push_payload(payload(&self.budget, names)).await;
    }

    /// One request of one span comes in, of which the trace store may have a sample.
    async fn push_sampled(&self, sample: Option<u64>) {
        let mut payload = payload(&self.budget, &["a"]);
        payload.sample = sample;
        self.push_payload(payload).await;
    }

    /// One encoded request comes in.
    async fn push_body(&self, body: Bytes, spans: u64) {
        self.push_payload(payload_of(&self.budget, body, spans))
            .await;
    }

    async fn push_payload(&self, payload: Payload) {
        let tally = tally(payload.spans);
        let deadline = Instant::now() + PATIENCE;
        self.queues
            .admit(Transport::Grpc, tally, Some(payload), deadline)
            .await
            .unwrap();
    }

    fn account(&self) -> DestinationTotals {
        let totals = self.metrics.ledger().totals();
        assert_eq!(totals.imbalance(), None);
        totals.destinations["jaeger"].clone()
    }

    /// Waits until nothing is held any more.
    async fn settled(&self) -> DestinationTotals {
        eventually("everything is settled", || self.account().held == 0).await;
        self.account()
    }

    /// Ends it, and checks that no span, byte or task is left.
    async fn finish(self) -> DestinationTotals {
        self.exporter.drain(Instant::now() + PATIENCE).await;
        let account = self.account();
        assert_eq!(account.held, 0);
        assert_eq!(self.budget.used_total(), 0);
        self.tasks.close();
        drop(self.exporter);
        timeout(PATIENCE, self.tasks.wait())
            .await
            .expect("every task ends with its exporter");
        account
    }
}

/// Waits for a condition, which nobody signals, with a deadline.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(1)).await;
    }
}

/// A number of spans without a name.
fn nameless(count: usize) -> Vec<&'static str> {
    vec![""; count]
}
