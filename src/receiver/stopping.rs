//! The order in which receivers stop, as signals that every request and connection can wait for.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::health::Health;

/// Watchers of `grpc.health.v1` hear `NOT_SERVING` this long before GOAWAY. h2 sends GOAWAY ahead of everything queued, so
/// only time can order the two; chosen by eye, a tenth of what open bodies get.
const HEALTH_LEAD: Duration = Duration::from_millis(100);

/// A body that is open when the stop begins may go on for this long (product.md, "What accepted means").
const BODIES_GRACE: Duration = Duration::from_secs(1);

/// Answers to refused bodies are written within this; then connections are dropped.
const ANSWERS_GRACE: Duration = Duration::from_millis(500);

/// From the stop until every connection is closed at most.
pub(super) const DRAIN_MAX: Duration = BODIES_GRACE.saturating_add(ANSWERS_GRACE);

/// The signals, in the order in which they come.
#[derive(Clone, Debug)]
pub(super) struct Stopping {
    /// No new connections, no new requests, no waiting for room.
    pub(super) begun: CancellationToken,
    /// Connections end when their requests are answered.
    pub(super) go_away: CancellationToken,
    /// Bodies that are still open are refused.
    pub(super) bodies: CancellationToken,
    /// Connections that are still open are dropped.
    pub(super) connections: CancellationToken,
}

impl Stopping {
    /// Begins when `begun` is cancelled.
    pub(super) fn new(begun: CancellationToken) -> Self {
        Self {
            begun,
            go_away: CancellationToken::new(),
            bodies: CancellationToken::new(),
            connections: CancellationToken::new(),
        }
    }

    /// Waits for the beginning and gives the signals; returns when all `tasks` have ended.
    pub(super) async fn run(&self, health: &Health, tasks: &TaskTracker) {
        self.begun.cancelled().await;
        let start = Instant::now();
        health.not_serving().await;
        sleep_until(start + HEALTH_LEAD).await;
        self.go_away.cancel();
        let drained = timeout_at(start + BODIES_GRACE, tasks.wait()).await;
        self.bodies.cancel();
        if drained.is_err() {
            let answered = timeout_at(start + DRAIN_MAX, tasks.wait()).await;
            self.connections.cancel();
            if answered.is_err() {
                tasks.wait().await;
            }
        }
    }
}
