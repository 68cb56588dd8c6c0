//! How long to wait before the next attempt, and the dice for it.
//!
//! It has no clock. Invariant: no wait is longer than its cap, whatever a peer asks for.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use super::Retry;

/// Waits that grow and are shaken at random, so that many relays do not come back at the same moment.
#[derive(Debug)]
pub(super) struct Backoff {
    retry: Retry,
    dice: Dice,
}

/// A small source of randomness for jitter and for the order of addresses; not for secrets.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Backoff {
    /// By these settings.
    pub(super) fn new(retry: Retry, dice: Dice) -> Self {
        Self { retry, dice }
    }

    /// Changes the settings.
    pub(super) fn reconfigure(&mut self, retry: Retry) {
        self.retry = retry;
    }

    /// The wait after so many failures in a row, at least one; at most `cap` and the setting `max`.
    pub(super) fn wait(&mut self, failures: u32, cap: Duration) -> Duration {
        let cap = cap.min(self.retry.max);
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.retry.first.as_secs_f64() * self.retry.factor.powi(exponent);
        let grown = grown.min(cap.as_secs_f64());
        let shaken = grown * (1.0 + self.retry.jitter * (2.0 * self.dice.roll() - 1.0));
        Duration::try_from_secs_f64(shaken).unwrap_or(cap).min(cap)
    }

    /// The wait when the peer asked for `wish`: not shorter than our own, not longer than the setting `max`.
    pub(super) fn heed(&self, wish: Option<Duration>, own: Duration) -> Duration {
        wish.map_or(own, |wish| wish.min(self.retry.max).max(own))
    }
}

impl Dice {
    /// Different in every process and at every call.
    pub(super) fn new() -> Self {
        Self(RandomState::new().hash_one(0_u8))
    }

    /// The same each time.
    #[cfg(test)]
    pub(super) fn loaded(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from 0 up to, not including, `end`; 0 when `end` is 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let next = u128::from(self.next()) * end as u128;
        usize::try_from(next >> 64).unwrap_or(0)
    }

    /// A number from 0 to 1.
    fn roll(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }

    /// The next number of splitmix64: a few operations, every state in one cycle.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry = Retry {
        first: Duration::from_millis(500),
        factor: 1.5,
        jitter: 0.5,
        max: Duration::from_secs(3),
        give_up_after: None,
    };
    const NO_CAP: Duration = Duration::MAX;

    #[test]
    fn waits_grow_are_shaken_and_end_at_the_cap() {
        let mut backoff = Backoff::new(RETRY, Dice::loaded(1));
        for (failures, middle) in [(1, 0.5), (2, 0.75), (3, 1.125), (4, 1.6875)] {
            let waits: Vec<f64> = (0..200)
                .map(|_| backoff.wait(failures, NO_CAP).as_secs_f64())
                .collect();
            assert!(
                waits
                    .iter()
                    .all(|wait| (middle * 0.5..=middle * 1.5).contains(wait))
            );
            let spread = waits.iter().copied().fold(0.0, f64::max)
                - waits.iter().copied().fold(f64::MAX, f64::min);
            assert!(spread > middle * 0.8, "jitter covers its range: {spread}");
        }
        for failures in [8, 100, u32::MAX] {
            assert!(backoff.wait(failures, NO_CAP) <= RETRY.max);
            assert!(backoff.wait(failures, NO_CAP) >= RETRY.max / 2);
        }
        let drain = Duration::from_millis(500);
        assert!(backoff.wait(9, drain) <= drain);
    }

    #[test]
    fn a72_a_peers_wish_is_clamped_between_backoff_and_cap() {
        let backoff = Backoff::new(RETRY, Dice::loaded(1));
        let own = Duration::from_millis(700);
        let cases = [
            (None, own),
            (Some(Duration::ZERO), own),
            (Some(Duration::from_secs(2)), Duration::from_secs(2)),
            (Some(Duration::from_secs(5)), RETRY.max),
            (Some(Duration::from_secs(1_000_000_000_000)), RETRY.max),
        ];
        for (wish, expected) in cases {
            assert_eq!(backoff.heed(wish, own), expected, "{wish:?}");
        }
    }

    #[test]
    fn dice_stay_in_range() {
        let mut dice = Dice::new();
        assert_eq!(dice.below(0), 0);
        let mut seen = [0; 3];
        for _ in 0..300 {
            seen[dice.below(3)] += 1;
        }
        assert!(seen.iter().all(|&count| count > 50), "{seen:?}");
    }
}
