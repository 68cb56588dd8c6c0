//! The bytes of one connection against real receivers: it ends, no answer but those of the table, the books balance, and every
//! byte of the budget comes back. A panic that the relay catches is a finding all the same: both callers see to that.
//!
//! Time is paused: when nobody has anything to do, it jumps to the next deadline, so that a silent client is timed out at once.
//! The sockets are real and on loopback, where what is sent has arrived when `send` returns. All but the counters is new for each
//! input, so that a finding needs no other input before it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, LazyLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use otlp_relay::{
    budget::Budget,
    metrics::{self, CollectorNames, Fate, Metrics, Transport},
    pipeline::{Pipeline, Stages},
    queue::{self, Queue, Queues},
    receiver::{Options, Receivers},
    request::Reason,
    store::{self, Store},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::steps::snapshot;

/// The largest body, in bytes: small, so that a small input can exceed it.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// What a connection may take, in bytes: a window and a few bodies.
const BUDGET_BYTES: usize = 8 << 20;

/// Far beyond the sum of all timeouts of a connection, in paused time.
const ENDS_WITHIN: Duration = Duration::from_hours(1);

/// What HTTP/1 clients may be told beside the rows of the table: to go on, that it was taken, about a preflight, and hyper's own
/// words for heads that it cannot read.
const STATUSES: [u16; 6] = [100, 200, 204, 403, 414, 431];

/// For all inputs, as a relay has one for as long as it lives: the library's histograms give nothing back when they are dropped,
/// which the sanitizer would call a leak.
static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    Metrics::new(metrics::Options {
        collector_names: CollectorNames::Total,
        commit: "fuzzing",
    })
});

/// The target: what a client sends, whatever it is. Its length decides whether it comes at once or in two parts, and whether the
/// client closes its side behind it or falls silent.
pub fn fuzz_body(sent: &[u8]) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let relay = Relay::start().await;
        match timeout(ENDS_WITHIN, relay.converse(sent)).await {
            Ok(answered) => check_answers(&answered),
            // It lasts as long as its client wants, and there are not many of them.
            Err(_elapsed) => assert!(asks_for_a_watch(sent), "every connection ends"),
        }
        relay.finish().await;
    });
}

/// Receivers with a queue that nobody sends from.
struct Relay {
    address: SocketAddr,
    budget: Budget,
    metrics: Metrics,
    queue: Queue,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Relay {
    async fn start() -> Self {
        let budget = Budget::new(BUDGET_BYTES, REQUEST_BYTES_MAX);
        let metrics = METRICS.clone();
        let queues = Queues::new(metrics.ledger().clone());
        let room = queue::Options {
            bytes_max: BUDGET_BYTES / 2,
            required: true,
        };
        let queue = queues.open("jaeger".into(), room);
        let stages = Stages {
            snapshot: snapshot("default: { sample_fraction: 0.5 }", "[]"),
            policies: metrics.policy_counters(["default"]),
            message_bytes_max: REQUEST_BYTES_MAX,
        };
        let (store, _keeper) = Store::new(store::Options { bytes_max: 0 });
        let receivers = Receivers {
            pipeline: Arc::new(Pipeline::new(stages, queues, store, metrics.clone())),
            budget: budget.clone(),
            metrics: metrics.clone(),
            options: Arc::new(ArcSwap::from_pointee(options())),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(receivers.serve(vec![(listener, Transport::Http)], stop.clone()));
        tasks.close();
        Self {
            address,
            budget,
            metrics,
            queue,
            stop,
            tasks,
        }
    }

    /// Sends all of it, and reads until the relay has nothing more to say.
    async fn converse(&self, sent: &[u8]) -> Vec<u8> {
        let mut client = TcpStream::connect(self.address).await.unwrap();
        let in_parts = sent.len() % 4 >= 2;
        let (first, second) = sent.split_at(if in_parts { sent.len() / 2 } else { sent.len() });
        // The relay may have closed before it was told everything, and then there is nothing to say about that.
        drop(client.write_all(first).await);
        if in_parts {
            tokio::task::yield_now().await;
            drop(client.write_all(second).await);
        }
        if sent.len().is_multiple_of(2) {
            drop(client.shutdown().await);
        }
        let mut answered = Vec::new();
        drop(client.read_to_end(&mut answered).await);
        answered
    }

    /// Stops, and checks that nothing is left: no permit, no task, no span without a fate.
    async fn finish(self) {
        self.stop.cancel();
        let stopped = timeout(ENDS_WITHIN, self.tasks.wait()).await;
        stopped.expect("the receivers stop");
        while let Some(parcel) = self.queue.try_pop() {
            parcel.settle(Fate::Exported);
        }
        assert_eq!(self.budget.used_total(), 0, "every byte comes back");
        assert_eq!(self.metrics.ledger().totals().imbalance(), None);
    }
}

fn options() -> Options {
    Options {
        grpc_listen: None,
        http_listen: None,
        cors_allowed_origins: vec!["http://allowed.example".to_owned()],
        request_bytes_max: REQUEST_BYTES_MAX,
        connections_max: 2,
        streams_max: 8,
        requests_max: 4,
        header_timeout: Duration::from_secs(10),
        body_timeout: Duration::from_secs(30),
        idle_timeout: Duration::from_secs(60),
        wait_max: Duration::from_secs(7),
        shutdown_deadline: Duration::from_secs(8),
    }
}

/// Whether the method of gRPC's health service is named that never ends by itself.
fn asks_for_a_watch(sent: &[u8]) -> bool {
    sent.windows(5).any(|bytes| bytes == b"Watch")
}

/// The first answer of HTTP/1 has a status of the table, and not the one that stands for a fault of the relay.
fn check_answers(answered: &[u8]) {
    let text = String::from_utf8_lossy(answered);
    let Some((version, rest)) = text.split_once(' ') else {
        return;
    };
    if ["HTTP/1.0", "HTTP/1.1"].contains(&version) {
        let status: u16 = rest[..3].parse().unwrap();
        let rows = Reason::ALL
            .into_iter()
            .filter(|reason| *reason != Reason::Internal)
            .map(|reason| reason.row().status);
        assert!(
            STATUSES.into_iter().chain(rows).any(|row| row == status),
            "{text}"
        );
    }
}
