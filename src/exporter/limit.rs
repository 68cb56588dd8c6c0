//! The size of message that a destination takes, as far as its answers tell.
//!
//! It only ever makes messages smaller; that a single span is above it loses nothing.

/// No destination's limit is taken to be lower, in bytes: a refusal of less is about something else.
pub(super) const LEARNED_BYTES_MIN: usize = 16 * 1024;

/// What the answers of one destination say about its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LearnedLimit {
    largest_delivered: usize,
    smallest_refused: Option<usize>,
}

impl LearnedLimit {
    /// A message of this size arrived.
    pub(super) fn delivered(&mut self, bytes: usize) {
        self.largest_delivered = self.largest_delivered.max(bytes);
        if self
            .smallest_refused
            .is_some_and(|refused| refused <= bytes)
        {
            // The limit was raised, or was none.
            self.smallest_refused = None;
        }
    }

    /// A message of this size was too large.
    pub(super) fn refused(&mut self, bytes: usize) {
        if self.largest_delivered >= bytes {
            self.largest_delivered = 0;
        }
        let refused = self.smallest_refused.unwrap_or(usize::MAX);
        self.smallest_refused = Some(refused.min(bytes));
    }

    /// Size was not what it was about.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The bytes that a message should have at most; `None` when nothing was refused.
    pub(super) fn bytes_max(&self) -> Option<usize> {
        let half = self.smallest_refused? / 2;
        Some(half.max(self.largest_delivered).max(LEARNED_BYTES_MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_lies_between_what_arrived_and_what_was_refused() {
        let mut limit = LearnedLimit::default();
        assert_eq!(limit.bytes_max(), None);
        limit.refused(1_000_000);
        assert_eq!(limit.bytes_max(), Some(500_000));
        limit.delivered(800_000);
        assert_eq!(limit.bytes_max(), Some(800_000));
        limit.refused(700_000);
        assert_eq!(
            limit.bytes_max(),
            Some(350_000),
            "what arrived is out of date"
        );
        limit.refused(10);
        assert_eq!(limit.bytes_max(), Some(LEARNED_BYTES_MIN));
        limit.delivered(900_000);
        assert_eq!(limit.bytes_max(), None, "the limit was raised");
        limit.refused(2_000_000);
        limit.forget();
        assert_eq!(limit.bytes_max(), None);
    }
}
