//! Everything that one run found out, as it is kept.

use serde::Serialize;

use crate::{
    growth::{Grows, Point},
    machine::Machine,
    rig::requests::SpanSize,
    still::Still,
    subjects::Subject,
    trial::Figures,
};

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Results {
    pub(crate) date: String,
    /// Whether times were cut short: such figures are rough.
    pub(crate) quick: bool,
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<Row>,
    pub(crate) growth: Vec<Point>,
    pub(crate) still: Vec<Still>,
}

/// One subject in one case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) case: &'static str,
    #[serde(skip)]
    pub(crate) size: SpanSize,
    /// Bytes of a span in its request, on average.
    pub(crate) span_bytes: u64,
    pub(crate) subject: Subject,
    pub(crate) rounds: Vec<Figures>,
    /// Why a round has no figures.
    pub(crate) failures: Vec<String>,
}

impl Results {
    pub(crate) fn row(&self, case: &str, size: SpanSize, subject: Subject) -> Option<&Row> {
        let of = |row: &&Row| row.case == case && row.size == size && row.subject == subject;
        self.rows
            .iter()
            .find(of)
            .filter(|row| !row.rounds.is_empty())
    }

    /// How many times as much CPU a span costs another subject.
    pub(crate) fn times_as_much(
        &self,
        case: &str,
        size: SpanSize,
        subject: Subject,
    ) -> Option<f64> {
        let cost = |figures: &Figures| figures.cpu_us_per_span;
        let relay = self.row(case, size, Subject::Relay)?.mean(cost);
        Some(self.row(case, size, subject)?.mean(cost) / relay)
    }

    /// A series' points in order.
    pub(crate) fn series(&self, grows: Grows) -> Vec<&Point> {
        let of = |point: &&Point| point.series == grows.name() && !point.rounds.is_empty();
        self.growth.iter().filter(of).collect()
    }
}

impl Row {
    pub(crate) fn mean(&self, of: impl Fn(&Figures) -> f64) -> f64 {
        mean(&self.rounds, of)
    }

    pub(crate) fn max(&self, of: impl Fn(&Figures) -> f64) -> f64 {
        self.rounds.iter().map(of).fold(f64::NEG_INFINITY, f64::max)
    }
}

pub(crate) fn mean(rounds: &[Figures], of: impl Fn(&Figures) -> f64) -> f64 {
    rounds.iter().map(of).sum::<f64>() / rounds.len() as f64
}
