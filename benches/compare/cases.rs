//! The cases that every subject goes through: one row each.

use std::time::Duration;

use crate::{
    rig::{
        fresh::Fresh,
        load::Offer,
        process::Cores,
        requests::{SpanSize, Supply, Transport},
        sink::Behaviour,
    },
    subjects::{Subject, Work},
    trial::{Target, Trial},
};

pub(crate) const ENRICH: &str = "enrich";
pub(crate) const ENRICH_100K: &str = "enrich, 100 k/s";
pub(crate) const TEN_PERCENT: &str = "ten percent";
pub(crate) const TEN_PERCENT_100K: &str = "ten percent, 100 k/s";
pub(crate) const SPANS_64: &str = "64 spans a request";
pub(crate) const SPAN_1: &str = "1 span a request";
pub(crate) const GZIP_IN: &str = "gzip in";
pub(crate) const HTTP_IN: &str = "HTTP in";
pub(crate) const SLOW: &str = "slow destination";
pub(crate) const JAEGER_20K: &str = "Jaeger, 20 k/s";
pub(crate) const JAEGER_FROZEN: &str = "Jaeger, 5 k/s, frozen for 10 s";

/// Everybody, alone, in this order.
const ALL: &[Subject] = &[Subject::Collector, Subject::Rotel, Subject::Relay];
/// With the relay's defaults, and with what the bytes alone cost.
const EVERYTHING: &[Subject] = &[
    Subject::Collector,
    Subject::Rotel,
    Subject::Relay,
    Subject::RelayDefaults,
    Subject::Pump,
];
const ALL_AND_FLOOR: &[Subject] = &[
    Subject::Collector,
    Subject::Rotel,
    Subject::Relay,
    Subject::Pump,
];
/// Rotel has no sampler.
const SAMPLERS: &[Subject] = &[Subject::Collector, Subject::Relay];
/// The Collector can be told not to drop what it acknowledged, which is worth a row where it does. The relay with its
/// defaults is not among them: it keeps to 512 spans a second here, and would empty its queue for ten minutes.
const OVERLOADED: &[Subject] = &[
    Subject::Collector,
    Subject::CollectorBlocking,
    Subject::Rotel,
    Subject::Relay,
];
/// As people run them.
const DEFAULTS: &[Subject] = &[Subject::CollectorDefaults, Subject::RelayDefaults];

const BOTH_SIZES: &[SpanSize] = &[SpanSize::Small, SpanSize::Large];
const ONE_SIZE: &[SpanSize] = &[SpanSize::Small];

/// How long everything takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// A case's measured time.
    pub(crate) case: Duration,
    /// That of a point of a growth series.
    pub(crate) point: Duration,
    pub(crate) slow: Duration,
    pub(crate) jaeger: Duration,
    pub(crate) rounds: usize,
    /// Of a growth series, and of what takes long.
    pub(crate) fewer_rounds: usize,
    /// Only the cases that have a goal.
    pub(crate) goals_only: bool,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
enum Sent {
    /// Generated requests of so many spans.
    Generated(u64),
    /// The recorded requests of Milvus, each as often as the others.
    Milvus,
}

/// One row for each subject and size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) subjects: &'static [Subject],
    pub(crate) sizes: &'static [SpanSize],
    has_goal: bool,
    work: Work,
    sent: Sent,
    rate: Option<u64>,
    gzip_in: bool,
    transport_in: Transport,
    into: Target,
    transport_out: Transport,
    gzip_out: bool,
}

const BASE: Case = Case {
    name: ENRICH,
    subjects: ALL,
    sizes: BOTH_SIZES,
    has_goal: false,
    work: Work::Enrich,
    sent: Sent::Generated(512),
    rate: None,
    gzip_in: false,
    transport_in: Transport::Grpc,
    into: Target::Sink(Behaviour::Count),
    transport_out: Transport::Grpc,
    gzip_out: false,
};

const TENTH: Case = Case {
    name: TEN_PERCENT,
    subjects: SAMPLERS,
    work: Work::TenPercent,
    has_goal: true,
    ..BASE
};

const JAEGER: Case = Case {
    name: JAEGER_20K,
    subjects: DEFAULTS,
    sizes: ONE_SIZE,
    sent: Sent::Generated(100),
    rate: Some(20_000),
    into: Target::Jaeger {
        frozen: Duration::ZERO,
    },
    has_goal: true,
    ..BASE
};

pub(crate) const CASES: [Case; 15] = [
    Case {
        subjects: EVERYTHING,
        has_goal: true,
        ..BASE
    },
    Case {
        name: ENRICH_100K,
        subjects: EVERYTHING,
        rate: Some(100_000),
        has_goal: true,
        ..BASE
    },
    TENTH,
    Case {
        name: TEN_PERCENT_100K,
        rate: Some(100_000),
        ..TENTH
    },
    Case {
        name: SPANS_64,
        subjects: ALL_AND_FLOOR,
        sent: Sent::Generated(64),
        has_goal: true,
        ..BASE
    },
    Case {
        name: SPAN_1,
        subjects: ALL_AND_FLOOR,
        sent: Sent::Generated(1),
        ..BASE
    },
    Case {
        name: GZIP_IN,
        gzip_in: true,
        has_goal: true,
        ..BASE
    },
    Case {
        name: HTTP_IN,
        transport_in: Transport::Http,
        has_goal: true,
        ..BASE
    },
    Case {
        name: "HTTP out",
        transport_out: Transport::Http,
        ..BASE
    },
    Case {
        name: "gzip in and out",
        gzip_in: true,
        gzip_out: true,
        ..BASE
    },
    Case {
        name: "Milvus",
        sizes: ONE_SIZE,
        sent: Sent::Milvus,
        ..BASE
    },
    Case {
        name: SLOW,
        subjects: OVERLOADED,
        sizes: ONE_SIZE,
        into: Target::Sink(Behaviour::Late(Duration::from_secs(1))),
        has_goal: true,
        ..BASE
    },
    JAEGER,
    Case {
        name: "Jaeger, 50 k/s",
        rate: Some(50_000),
        has_goal: false,
        ..JAEGER
    },
    Case {
        name: JAEGER_FROZEN,
        rate: Some(5_000),
        into: Target::Jaeger {
            frozen: Duration::from_secs(10),
        },
        ..JAEGER
    },
];

/// Requests under way where everybody gets the same: 4 connections with 8 each.
pub(crate) const OFFER: Offer = Offer {
    connections: 4,
    in_flight: 32,
    rate: None,
};

impl Case {
    pub(crate) fn runs(&self, pace: &Pace) -> bool {
        self.has_goal || !pace.goals_only
    }

    pub(crate) fn rounds(&self, pace: &Pace) -> usize {
        match self.into {
            Target::Sink(Behaviour::Count) => pace.rounds,
            Target::Sink(_) => 1,
            Target::Jaeger { .. } => pace.fewer_rounds,
        }
    }

    /// Bytes of a span in its request.
    pub(crate) fn span_bytes(&self, size: SpanSize) -> u64 {
        match self.sent {
            Sent::Generated(spans) => size.bytes(spans),
            Sent::Milvus => {
                let (bytes, spans) = milvus().fold((0, 0), |(bytes, all), (body, spans)| {
                    (bytes + body.len() as u64, all + spans)
                });
                bytes / spans
            }
        }
    }

    pub(crate) fn trial(&self, size: SpanSize, pace: &Pace) -> Trial {
        let supply = match self.sent {
            Sent::Generated(spans) => Supply::generated(size, spans),
            Sent::Milvus => Supply::of(milvus()),
        };
        // Samplers decide by trace ids, and Jaeger stores by them.
        let fresh = match (self.work, self.into) {
            (Work::Enrich, Target::Sink(_)) => Fresh::Nothing,
            _ => Fresh::TraceIds,
        };
        Trial {
            work: self.work,
            supply: supply.encoded(self.transport_in, self.gzip_in, fresh),
            offer: Offer {
                rate: self.rate,
                ..OFFER
            },
            lasts: match self.into {
                Target::Sink(Behaviour::Count) => pace.case,
                Target::Sink(_) => pace.slow,
                Target::Jaeger { frozen } => pace.jaeger + frozen,
            },
            into: self.into,
            transport: self.transport_out,
            gzip: self.gzip_out,
            cores: Cores::First,
            policies: None,
        }
    }
}

/// What Milvus' Go part and its C++ part sent, but for the one request that no default limit lets through.
fn milvus() -> impl Iterator<Item = (Vec<u8>, u64)> {
    const DEFAULT_BYTES_MAX: usize = 4 << 20;
    let recorded = crate::corpus::recorded().into_iter();
    recorded
        .filter(|request| request.file.starts_with("milvus-") && request.bytes <= DEFAULT_BYTES_MAX)
        .map(|request| (request.body, request.spans))
}
