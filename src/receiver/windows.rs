//! What a connection holds beside the requests on it: its receive window, which a peer may fill before anybody reads it, and
//! its own state; and what pays for both.

use crate::budget::{Budget, Permit, Use};

/// What a connection is charged while connections use at most a quarter of the budget, in bytes: its window is enough for a
/// request of 512 spans of Milvus (at most 163 kB) on each of several streams without a stall.
const WIDE_BYTES: usize = 1024 * 1024;

/// What any further connection is charged, in bytes: HTTP/2 starts with a window of 65,535, and there is no smaller one.
const NARROW_BYTES: usize = STATE_BYTES + 64 * 1024;

/// What a connection takes beside its window, in bytes: buffers of its frames, both ways, tables of headers, streams and
/// tasks. With 1000 connections that send small requests the process has 65 KiB more for each of them.
const STATE_BYTES: usize = 64 * 1024;

/// The share of the budget that wide connections may use: one in this many.
const WIDE_SHARE: usize = 4;

/// A connection's window and state, paid for until it is dropped.
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

    /// The size of the window in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.permit.bytes() - STATE_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_wide_then_narrow_then_refused() {
        let budget = Budget::new(8 * WIDE_BYTES, 3 * WIDE_BYTES - NARROW_BYTES);
        let charged: Vec<_> = std::iter::from_fn(|| Window::charge(&budget))
            .map(|window| {
                let bytes = window.bytes() + STATE_BYTES;
                std::mem::forget(window);
                bytes
            })
            .collect();
        assert_eq!(
            charged,
            [WIDE_BYTES, WIDE_BYTES, NARROW_BYTES, NARROW_BYTES]
        );
    }

    #[test]
    fn a_closed_connection_gives_its_window_back() {
        let budget = Budget::new(4 * WIDE_BYTES, 0);
        drop(Window::charge(&budget).unwrap());
        assert_eq!(budget.used_total(), 0);
        let window = Window::charge(&budget).unwrap();
        assert_eq!(window.bytes(), WIDE_BYTES - STATE_BYTES);
    }
}
