//! The order in which receivers stop, as signals that every request and connection can wait for.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Watchers of `grpc.health.v1` hear `NOT_SERVING` this long before GOAWAY. h2 sends GOAWAY ahead of everything queued, so
/// only time can order the two; chosen by eye, a tenth of what open bodies get.
const HEALTH_LEAD: Duration = Duration::from_millis(100);

/// A body that is open when the stop begins may go on for this long (product.md, "What accepted means").
const BODIES_GRACE: Duration = Duration::from_secs(1);

/// Answers to refused bodies are written within this; then connections are dropped.
const ANSWERS_GRACE: Duration = Duration::from_millis(500);

/// From the stop until connections are dropped.
pub(super) const DRAIN_MAX: Duration = BODIES_GRACE.saturating_add(ANSWERS_GRACE);

/// When the steps come, counted from the stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    go_away: Duration,
    bodies: Duration,
    connections: Duration,
}

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

    /// It has begun: gives the other signals as the schedule says; returns when all `tasks` have ended, which they do soon
    /// after the last signal, because none of them does anything then but end.
    pub(super) async fn run(&self, schedule: Schedule, tasks: &TaskTracker) {
        let start = Instant::now();
        sleep_until(start + schedule.go_away).await;
        self.go_away.cancel();
        let drained = timeout_at(start + schedule.bodies, tasks.wait()).await;
        self.bodies.cancel();
        if drained.is_err() {
            let answered = timeout_at(start + schedule.connections, tasks.wait()).await;
            self.connections.cancel();
            if answered.is_err() {
                tasks.wait().await;
            }
        }
    }
}

impl Schedule {
    /// All steps within half of `deadline`: the other half is for delivering what came last.
    pub(super) fn within(deadline: Duration) -> Self {
        let share = (deadline / 2).min(DRAIN_MAX).div_duration_f64(DRAIN_MAX);
        Self {
            go_away: HEALTH_LEAD.mul_f64(share),
            bodies: BODIES_GRACE.mul_f64(share),
            connections: DRAIN_MAX.mul_f64(share),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_steps_come_within_half_of_the_deadline() {
        for (deadline, go_away, bodies, connections) in [
            (8000, 100, 1000, 1500),
            (3000, 100, 1000, 1500),
            (1500, 50, 500, 750),
            (0, 0, 0, 0),
        ] {
            let [go_away, bodies, connections] =
                [go_away, bodies, connections].map(Duration::from_millis);
            let expected = Schedule {
                go_away,
                bodies,
                connections,
            };
            let schedule = Schedule::within(Duration::from_millis(deadline));
            assert_eq!(schedule, expected, "{deadline}");
        }
    }
}
