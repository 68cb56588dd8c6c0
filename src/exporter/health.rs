//! Whether a destination is up, and when to probe one that is down.
//!
//! Plain: the clock is passed in. Invariant: of each outage at most one probe is under way.

use std::time::Duration;

use tokio::time::Instant;

use super::delivery::FlightId;

/// Probes of a destination that is down come at most this long after the last one failed.
pub(super) const PROBE_APART_MAX: Duration = Duration::from_secs(3);

/// Up, or down and why.
#[derive(Debug, Default)]
pub(super) struct Health {
    down: Option<Down>,
}

#[derive(Debug)]
struct Down {
    cause: Cause,
    since: Instant,
    failures: u32,
    probe_at: Instant,
    /// The probe that is under way.
    probe: Option<FlightId>,
}

/// What brought a destination down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It does not answer, or asks for time: any verdict shows that it is back.
    Failing,
    /// It answers with verdicts that cannot be about the spans alone: only a delivery shows that it is back.
    Verdicts,
}

/// What may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// Anything.
    Any,
    /// One probe.
    Probe,
    /// Nothing; a probe from then on, unless one is under way.
    Nothing(Option<Instant>),
}

impl Health {
    /// What may be sent now.
    pub(super) fn leave(&self, now: Instant) -> Leave {
        match &self.down {
            None => Leave::Any,
            Some(down) if down.probe.is_some() => Leave::Nothing(None),
            Some(down) if down.probe_at <= now => Leave::Probe,
            Some(down) => Leave::Nothing(Some(down.probe_at)),
        }
    }

    /// Since when it is down.
    pub(super) fn down_since(&self) -> Option<Instant> {
        self.down.as_ref().map(|down| down.since)
    }

    /// What brought it down.
    pub(super) fn cause(&self) -> Option<Cause> {
        self.down.as_ref().map(|down| down.cause)
    }

    /// Failures since it went down, this one included if it fails now: what the wait before the next probe grows with.
    pub(super) fn failures(&self) -> u32 {
        self.down.as_ref().map_or(0, |down| down.failures) + 1
    }

    /// A probe leaves.
    pub(super) fn probe_sent(&mut self, flight: FlightId) {
        if let Some(down) = &mut self.down {
            down.probe = Some(flight);
        }
    }

    /// A message came back; returns whether it is the probe that was awaited. The probe of an outage that is over is none.
    pub(super) fn landed(&mut self, flight: FlightId) -> bool {
        let awaited = self.down.as_mut().map(|down| &mut down.probe);
        awaited.is_some_and(|probe| probe.take_if(|probe| *probe == flight).is_some())
    }

    /// The probe came back without success: the next one leaves after `wait`.
    pub(super) fn probe_failed(&mut self, cause: Cause, now: Instant, wait: Duration) {
        if let Some(down) = &mut self.down {
            down.cause = cause;
            down.failures += 1;
            down.probe_at = now + wait;
        }
    }

    /// It is down from now on. One that is down already keeps its pace.
    pub(super) fn down(&mut self, cause: Cause, now: Instant, wait: Duration) {
        let down = self.down.get_or_insert(Down {
            cause,
            since: now,
            failures: 1,
            probe_at: now + wait,
            probe: None,
        });
        down.cause = cause;
    }

    /// It is up from now on; returns since when it was down.
    pub(super) fn up(&mut self) -> Option<Instant> {
        self.down.take().map(|down| down.since)
    }

    /// The next probe leaves at once: its options changed, or the relay stops.
    pub(super) fn probe_now(&mut self, now: Instant) {
        if let Some(down) = &mut self.down {
            down.probe_at = down.probe_at.min(now);
        }
    }
}
