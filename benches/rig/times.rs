//! Answer times and their quantiles.

use std::time::Duration;

/// Answer times, in no order until they are asked for.
#[derive(Debug, Default)]
pub(crate) struct Times {
    took: Vec<Duration>,
}

/// What a row says of them, in milliseconds. NaN where nothing was answered.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_field_names,
    reason = "a number says its unit wherever it is used"
)]
pub(crate) struct Quantiles {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

impl Times {
    pub(crate) fn add(&mut self, took: Duration) {
        self.took.push(took);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.took.extend(other.took);
    }

    pub(crate) fn quantiles(mut self) -> Quantiles {
        self.took.sort_unstable();
        let at = |quantile: f64| {
            let index = (self.took.len().saturating_sub(1) as f64 * quantile) as usize;
            let took = self.took.get(index);
            took.map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
        };
        Quantiles {
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            max_ms: at(1.0),
        }
    }
}
