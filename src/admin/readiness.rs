//! Whether the relay is ready: a decision over what is known of its destinations, without clock or I/O.

use std::time::Duration;

use tokio::time::Instant;

use super::Destination;

/// A required destination may fail for so long before it counts (issue "The relay on real input").
const FAILING_MAX: Duration = Duration::from_secs(30);
/// A queue that is fuller than this many percent counts as filling up.
const FULL_PERCENT: u128 = 80;

/// Where the relay is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not all listeners are served yet.
    Starting,
    /// It takes requests.
    Running,
    /// It drains.
    ShuttingDown,
}

/// Why the relay is not ready, each reason in words; empty when it is. A destination that fails is no reason while its
/// queue has room: clients notice nothing, and taking the relay out of service would only lose what it could hold.
pub fn unready(phase: Phase, destinations: &[Destination], now: Instant) -> Vec<String> {
    match phase {
        Phase::Starting => vec!["starting".to_owned()],
        Phase::ShuttingDown => vec!["shutting down".to_owned()],
        Phase::Running => destinations
            .iter()
            .filter_map(|destination| stuck(destination, now))
            .collect(),
    }
}

fn stuck(destination: &Destination, now: Instant) -> Option<String> {
    let status = &destination.status;
    let failing = status.failing_for(now)?;
    let queue = destination.queue;
    let is_full = queue.bytes as u128 * 100 > queue.bytes_max as u128 * FULL_PERCENT;
    if !status.required || failing < FAILING_MAX || !is_full {
        return None;
    }
    let reason = status.down.as_ref().map_or("", |down| &down.reason);
    Some(format!(
        "destination {} has been failing for {} s and its queue holds {} of {} bytes: {reason}",
        status.name,
        failing.as_secs(),
        queue.bytes,
        queue.bytes_max,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        exporter::{DestinationStatus, Down},
        queue::Gauges,
    };

    fn destination(
        failing: Option<u64>,
        bytes: usize,
        required: bool,
        now: Instant,
    ) -> Destination {
        let down = failing.map(|millis| Down {
            reason: "connection refused".to_owned(),
            since: now - Duration::from_millis(millis),
        });
        Destination {
            status: DestinationStatus {
                name: "jaeger".into(),
                endpoint: "http://jaeger:4317".to_owned(),
                required,
                down,
                last_error: None,
                last_delivery: None,
                learned_bytes_max: None,
            },
            queue: Gauges {
                bytes,
                bytes_max: 1000,
                ..Gauges::default()
            },
        }
    }

    #[test]
    fn a_required_destination_that_fails_long_with_a_full_queue_counts_and_no_other() {
        let now = Instant::now() + Duration::from_secs(3600);
        for (failing, bytes, required, ready) in [
            (None, 1000, true, true),
            (Some(30_000), 801, true, false),
            (Some(29_999), 801, true, true),
            (Some(30_000), 800, true, true),
            (Some(30_000), 801, false, true),
            (Some(3_600_000), 1000, true, false),
        ] {
            let destinations = [destination(failing, bytes, required, now)];
            let reasons = unready(Phase::Running, &destinations, now);
            assert_eq!(
                reasons.is_empty(),
                ready,
                "{failing:?} {bytes} {required}: {reasons:?}"
            );
        }
    }

    #[test]
    fn the_reason_names_the_destination_and_what_it_said() {
        let now = Instant::now() + Duration::from_secs(3600);
        let destinations = [
            destination(None, 0, true, now),
            destination(Some(45_000), 900, true, now),
        ];
        assert_eq!(
            unready(Phase::Running, &destinations, now),
            [
                "destination jaeger has been failing for 45 s and its queue holds 900 of 1000 bytes: connection refused"
            ]
        );
    }

    #[test]
    fn it_is_not_ready_before_and_after_its_life() {
        let now = Instant::now();
        assert_eq!(unready(Phase::Starting, &[], now), ["starting"]);
        assert_eq!(unready(Phase::ShuttingDown, &[], now), ["shutting down"]);
        assert!(unready(Phase::Running, &[], now).is_empty());
    }
}
