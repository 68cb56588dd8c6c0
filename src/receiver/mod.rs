//! Sockets, HTTP, gRPC framing, decompression, timeouts, answers. It knows nothing of spans.
//!
//! The way of a request: `accept` takes the connection, `sniff` looks at its first bytes, `connection` drives it,
//! `exchange` answers one request on it: `route` says what is wanted, `grpc` or `http` collects the body through
//! `intake`, the pipeline takes it, and `answer` writes what the client is told. Invariant: every request is either
//! answered or counted as refused, and every byte of a body that is held is paid for by a permit.

mod accept;
mod activity;
mod answer;
mod arriving;
mod connection;
mod cors;
mod decompress;
mod exchange;
mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod grpc;
mod health;
mod http;
mod intake;
mod options;
mod refusals;
mod room;
mod route;
mod sending;
mod slots;
mod sniff;
mod stopping;
#[cfg(test)]
mod tests;
mod transcoding;
mod unwind;
mod windows;

use std::{fmt, net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use options::Options;

use self::{
    health::Health,
    refusals::Refusals,
    slots::Slots,
    stopping::{Schedule, Stopping},
};
use crate::{
    budget::Budget,
    metrics::{Metrics, Transport},
    pipeline::Pipeline,
};

/// The receivers of one relay, and what they need of the other rooms.
#[derive(Debug)]
pub struct Receivers {
    /// Takes what was received.
    pub pipeline: Arc<Pipeline>,
    /// Pays for receive windows and bodies.
    pub budget: Budget,
    /// Counts what is refused or misdirected.
    pub metrics: Metrics,
    /// Limits and timeouts; a new value holds for the requests and connections that come after it.
    pub options: Arc<ArcSwap<Options>>,
}

/// What all connections of all listeners share.
struct Shared {
    pipeline: Arc<Pipeline>,
    budget: Budget,
    metrics: Metrics,
    options: Arc<ArcSwap<Options>>,
    refusals: Refusals,
    health: Health,
    connections: Slots,
    requests: Slots,
    checks: Slots,
    watches: Slots,
    stopping: Stopping,
    /// Every task of every connection; empty when the receivers have stopped.
    tasks: TaskTracker,
}

/// Who is at the other end of a connection, and what was expected of them.
#[derive(Clone, Copy, Debug)]
struct Peer {
    address: SocketAddr,
    /// What the port is meant for; both protocols are understood all the same.
    expected: Transport,
}

impl Receivers {
    /// Serves listeners that are already bound, each named by what its port is meant for, until `stop`. Then: health says
    /// `NOT_SERVING`, listeners close, those who wait for room are refused, HTTP/2 connections get GOAWAY, open bodies one
    /// second. The last connections are dropped 1.5 seconds after `stop`, or sooner where the options give the relay less
    /// than three; it returns when their tasks have ended.
    pub async fn serve(self, listeners: Vec<(TcpListener, Transport)>, stop: CancellationToken) {
        let shared = Arc::new(Shared {
            refusals: Refusals::new(self.metrics.clone()),
            health: Health::serving().await,
            connections: Slots::default(),
            requests: Slots::default(),
            checks: Slots::default(),
            watches: Slots::default(),
            stopping: Stopping::new(stop),
            tasks: TaskTracker::new(),
            pipeline: self.pipeline,
            budget: self.budget,
            metrics: self.metrics,
            options: self.options,
        });
        for (listener, expected) in listeners {
            let accepting = accept::run(listener, expected, Arc::clone(&shared));
            shared.tasks.spawn(accepting);
        }
        shared.tasks.close();
        shared.stop().await;
    }
}

impl Shared {
    /// Waits for the order to stop, and follows it.
    async fn stop(&self) {
        self.stopping.begun.cancelled().await;
        let schedule = Schedule::within(self.options.load().shutdown_deadline);
        self.health.not_serving().await;
        self.stopping.run(schedule, &self.tasks).await;
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
