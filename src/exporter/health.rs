//! Whether a destination is up, and when to probe one that is down.
//!
//! Plain: the clock is passed in. Invariant: of each outage at most one probe is under way.

use std::time::Duration;

use tokio::time::Instant;

use super::delivery::FlightId;

/// Probes of a destination that is down come at most this long after the last one failed.
pub(super) const PROBE_APART_MAX: Duration = Duration::from_secs(3);

/// Up, or down and why; and whether the destination wants to be left alone, which it may while it is up.
#[derive(Debug, Default)]
pub(super) struct Health {
    down: Option<Down>,
    /// Nothing leaves before: the destination asked for so much time.
    not_before: Option<Instant>,
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
    /// Nothing before then; nothing at all while a probe is under way.
    Nothing(Option<Instant>),
}

impl Health {
    /// What may be sent now.
    pub(super) fn leave(&self, now: Instant) -> Leave {
        let probe_at = self.down.as_ref().map(|down| down.probe_at);
        let earliest = probe_at.max(self.not_before);
        match &self.down {
            Some(down) if down.probe.is_some() => Leave::Nothing(None),
            _ if earliest > Some(now) => Leave::Nothing(earliest),
            Some(_) => Leave::Probe,
            None => Leave::Any,
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

    /// The destination asked to be left alone until then. An earlier wish for longer stays.
    pub(super) fn leave_alone_until(&mut self, moment: Instant) {
        self.not_before = self.not_before.max(Some(moment));
    }

    /// It is up from now on; returns since when it was down.
    pub(super) fn up(&mut self) -> Option<Instant> {
        self.down.take().map(|down| down.since)
    }

    /// All waits end: its options changed, or the relay stops.
    pub(super) fn end_waits(&mut self, now: Instant) {
        self.not_before = None;
        if let Some(down) = &mut self.down {
            down.probe_at = down.probe_at.min(now);
        }
    }
}
