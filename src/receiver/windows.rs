//! The receive window of a connection: what a peer may send before anybody reads it, and what pays for it.

use crate::budget::{Budget, Permit, Use};

/// The window of a connection while the windows use at most a quarter of the budget, in bytes: enough for a request of
/// 512 spans of Milvus (at most 163 kB) on each of several streams without a stall.
const WIDE_BYTES: usize = 1024 * 1024;

/// The window of any further connection, in bytes: HTTP/2 starts with 65,535, and there is no smaller one.
const NARROW_BYTES: usize = 64 * 1024;

/// The share of the budget that wide windows may use: one in this many.
const WIDE_SHARE: usize = 4;

/// A connection's window, paid for until it is dropped.
#[derive(Debug)]
pub(super) struct Window {
    permit: Permit,
}

impl Window {
    /// Charges a connection that opens; `None` when the budget has no room for it.
    pub(super) fn charge(budget: &Budget) -> Option<Self> {
        let wide = budget.used(Use::Windows) + WIDE_BYTES <= budget.total() / WIDE_SHARE;
        let permit = wide
            .then(|| budget.try_claim(WIDE_BYTES, Use::Windows).ok())
            .flatten()
            .or_else(|| budget.try_claim(NARROW_BYTES, Use::Windows).ok())?;
        Some(Self { permit })
    }

    /// Its size in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.permit.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_wide_then_narrow_then_refused() {
        let budget = Budget::new(8 * WIDE_BYTES, 3 * WIDE_BYTES - NARROW_BYTES);
        let widths: Vec<_> = std::iter::from_fn(|| Window::charge(&budget))
            .map(|window| {
                let bytes = window.bytes();
                std::mem::forget(window);
                bytes
            })
            .collect();
        assert_eq!(widths, [WIDE_BYTES, WIDE_BYTES, NARROW_BYTES, NARROW_BYTES]);
    }

    #[test]
    fn a_closed_connection_gives_its_window_back() {
        let budget = Budget::new(4 * WIDE_BYTES, 0);
        drop(Window::charge(&budget).unwrap());
        assert_eq!(budget.used_total(), 0);
        assert_eq!(Window::charge(&budget).unwrap().bytes(), WIDE_BYTES);
    }
}
