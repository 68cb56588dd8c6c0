//! The embedded trace store: the newest traces as they passed, with what was decided about them.

/// What the store is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The bytes it holds at most; 0 turns it off.
    pub bytes_max: usize,
}
