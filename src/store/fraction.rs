//! Which share of traces the store keeps: all of them while it can, else half, a quarter, an eighth …, so that a trace
//! stays for a while and a flood costs next to nothing.
//!
//! Steps of two keep the sets nested and the changes few: each change tears the traces that are under way. No clock here:
//! the keeper ticks.

/// How often the share is looked at.
pub(super) const TICKS_PER_SECOND: u32 = 4;

/// A trace stays in a busy store for about this long: time to be complete and to be looked up. Chosen by eye.
pub(super) const STAY_SECONDS: u32 = 10;

/// The smallest share is one trace in 2^32.
const HALVINGS_MAX: u32 = 32;

/// How much the last tick counts in the mean of what is offered.
const LAST_TICK_WEIGHT: f64 = 0.3;

/// The share grows only when the larger one would use at most this part of what the store can take, so that it does not
/// go back and forth.
const GROW_BELOW: f64 = 0.75;

/// The share of traces that are kept.
#[derive(Clone, Debug)]
pub(super) struct Fraction {
    /// What may come in each tick on the long run, in bytes.
    tick_bytes_max: f64,
    /// What may come in at once beyond that, in bytes: half of the store, so that a burst that fits is kept whole.
    burst_bytes_max: f64,
    halvings: u32,
    /// The mean of what would come in each tick if every trace were kept, in bytes.
    offered: f64,
    /// What came in beyond `tick_bytes_max`, in bytes.
    backlog: f64,
}

impl Fraction {
    /// All traces, for a store that holds `bytes_max`.
    pub(super) fn new(bytes_max: usize) -> Self {
        let mut fraction = Self {
            tick_bytes_max: 0.0,
            burst_bytes_max: 0.0,
            halvings: 0,
            offered: 0.0,
            backlog: 0.0,
        };
        fraction.resize(bytes_max);
        fraction
    }

    /// The store holds this many bytes from now on.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a store is far smaller than 2^53 bytes"
    )]
    pub(super) fn resize(&mut self, bytes_max: usize) {
        self.tick_bytes_max = bytes_max as f64 / f64::from(STAY_SECONDS * TICKS_PER_SECOND);
        self.burst_bytes_max = bytes_max as f64 / 2.0;
    }

    /// A tick has passed in which `admitted` bytes were offered under the present share.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a tick brings far less than 2^53 bytes"
    )]
    pub(super) fn tick(&mut self, admitted: u64) {
        let admitted = admitted as f64;
        let offered = admitted * 2_f64.powi(self.halvings.cast_signed());
        self.offered += (offered - self.offered) * LAST_TICK_WEIGHT;
        self.backlog =
            (self.backlog + admitted - self.tick_bytes_max).clamp(0.0, self.burst_bytes_max);
        if self.backlog >= self.burst_bytes_max {
            while self.expected(self.halvings) > self.tick_bytes_max && self.halvings < HALVINGS_MAX
            {
                self.halvings += 1;
            }
        } else if self.may_grow() {
            self.halvings -= 1;
        }
    }

    /// A trace is kept when its hash is at most this.
    pub(super) fn threshold(&self) -> u64 {
        u64::MAX >> self.halvings
    }

    /// Whether nothing changes while nothing comes.
    pub(super) fn is_at_rest(&self) -> bool {
        self.halvings == 0 && self.backlog <= 0.0
    }

    /// The share, 0 to 1.
    pub(super) fn share(&self) -> f64 {
        2_f64.powi(-self.halvings.cast_signed())
    }

    fn may_grow(&self) -> bool {
        self.halvings > 0
            && self.backlog < self.burst_bytes_max / 2.0
            && self.expected(self.halvings - 1) <= self.tick_bytes_max * GROW_BELOW
    }

    /// The bytes that come in each tick with this share.
    fn expected(&self, halvings: u32) -> f64 {
        self.offered / 2_f64.powi(halvings.cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: usize = 16 << 20;
    const TICK: u64 = (STORE as u64) / (STAY_SECONDS * TICKS_PER_SECOND) as u64;

    /// Ticks with this load, as much of it as the share lets in.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "test loads are small"
    )]
    fn ticks(fraction: &mut Fraction, ticks: u32, offered: u64) {
        for _ in 0..ticks {
            fraction.tick((offered as f64 * fraction.share()) as u64);
        }
    }

    #[test]
    fn what_the_store_can_take_is_kept_for_ever() {
        let mut fraction = Fraction::new(STORE);
        ticks(&mut fraction, 10_000, TICK);
        assert_eq!(fraction.halvings, 0);
        assert_eq!(fraction.threshold(), u64::MAX);
    }

    #[test]
    fn a_burst_that_fits_is_kept_whole() {
        let mut fraction = Fraction::new(STORE);
        ticks(&mut fraction, 1, STORE as u64 / 2 - 1);
        assert_eq!(fraction.halvings, 0);
    }

    #[test]
    fn a_flood_leaves_the_share_that_the_store_can_take() {
        for (times, halvings) in [(2, 1), (3, 2), (4, 2), (1000, 10), (1 << 20, 20)] {
            let mut fraction = Fraction::new(STORE);
            ticks(&mut fraction, 200, TICK * times);
            assert_eq!(fraction.halvings, halvings, "{times} times too much");
        }
    }

    #[test]
    fn the_share_grows_back_when_the_flood_is_over_and_does_not_swing() {
        let mut fraction = Fraction::new(STORE);
        ticks(&mut fraction, 100, TICK * 64);
        let under_load = fraction.halvings;
        ticks(&mut fraction, 100, TICK * 64);
        assert_eq!(
            fraction.halvings, under_load,
            "a steady load changes nothing"
        );
        ticks(&mut fraction, 200, TICK / 2);
        assert_eq!(fraction.halvings, 0);
    }

    #[test]
    fn the_share_has_a_floor() {
        let mut fraction = Fraction::new(STORE);
        for _ in 0..1000 {
            fraction.tick(u64::MAX >> 8);
        }
        assert_eq!(fraction.halvings, HALVINGS_MAX);
        assert!(fraction.threshold() > 0);
    }
}
