//! What the relay's cost per span depends on: one number grows, everything else stays.

use serde::Serialize;

use crate::{
    cases::{OFFER, Pace},
    rig::{
        fresh::Fresh,
        load::Offer,
        process::Cores,
        requests::{SpanSize, Supply, Transport, service},
        sink::Behaviour,
    },
    subjects::Work,
    trial::{Figures, Target, Trial},
};

/// Spans in a request where something else grows.
const SPANS: u64 = 512;
/// Bytes under way at most: an eighth of the relay's budget.
const BYTES_IN_FLIGHT: u64 = 32 << 20;

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grows {
    /// Cores that the relay may run on.
    Cores,
    /// Connections of clients; as many requests are under way as always, in turn on all of them.
    Connections,
    /// Rules of the policies, none of which matches.
    Rules,
    /// Services, each with a policy of its own and all of them sending.
    Services,
    SpansInRequest,
}

/// One measured point of a series.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Point {
    pub(crate) series: &'static str,
    pub(crate) at: u32,
    /// Of each round.
    pub(crate) rounds: Vec<Figures>,
}

impl Grows {
    pub(crate) const ALL: [Self; 5] = [
        Self::Cores,
        Self::Connections,
        Self::Rules,
        Self::Services,
        Self::SpansInRequest,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cores => "cores",
            Self::Connections => "connections",
            Self::Rules => "rules",
            Self::Services => "services",
            Self::SpansInRequest => "spans a request",
        }
    }

    pub(crate) fn points(self) -> &'static [u32] {
        match self {
            Self::Cores => &[1, 2],
            Self::Connections | Self::Services => &[1, 100, 1000],
            Self::Rules => &[1, 10, 100],
            Self::SpansInRequest => &[10, 64, 512, 2_000, 10_000],
        }
    }

    pub(crate) fn trial(self, at: u32, pace: &Pace) -> Trial {
        let spans = match self {
            Self::SpansInRequest => u64::from(at),
            _ => SPANS,
        };
        let fresh = match self {
            Self::Services => Fresh::Services(at),
            _ => Fresh::Nothing,
        };
        let in_flight = BYTES_IN_FLIGHT / (spans * SpanSize::Small.bytes(spans));
        Trial {
            work: Work::Enrich,
            supply: Supply::generated(SpanSize::Small, spans).encoded(
                Transport::Grpc,
                false,
                fresh,
            ),
            offer: Offer {
                connections: match self {
                    Self::Connections => at as usize,
                    _ => OFFER.connections,
                },
                in_flight: OFFER.in_flight.min(in_flight as usize),
                rate: None,
            },
            lasts: pace.point,
            into: Target::Sink(Behaviour::Count),
            transport: Transport::Grpc,
            gzip: false,
            cores: match (self, at) {
                (Self::Cores, 2) => Cores::Both,
                _ => Cores::First,
            },
            policies: self.policies(at),
        }
    }

    fn policies(self, at: u32) -> Option<String> {
        const DEFAULT: &str = "default: { sample_fraction: 1 }\n";
        let (list, entry): (_, fn(u32) -> String) = match self {
            Self::Rules => ("rules", |number| {
                format!(
                    "  - {{ name: rule {number}, match: {{ span: \"absent.Service{number}/*\" }}, sample_fraction: 0 }}\n"
                )
            }),
            Self::Services => ("services", |number| {
                format!("  {}: {{ sample_fraction: 1 }}\n", service(number))
            }),
            Self::Cores | Self::Connections | Self::SpansInRequest => return None,
        };
        let entries: String = (0..at).map(entry).collect();
        Some(format!("{DEFAULT}{list}:\n{entries}"))
    }
}
