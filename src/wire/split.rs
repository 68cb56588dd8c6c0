//! Makes messages smaller: pieces within limits, cut at `ResourceSpans`, `ScopeSpans` or span borders, resource and scope
//! repeated.

use bytes::Bytes;

/// One piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Together a valid sequence of `ResourceSpans` fields.
    pub segments: Vec<Bytes>,
    /// The spans in it; never 0.
    pub spans: u64,
    /// The bytes of the segments.
    pub bytes: usize,
}

/// A message cut into pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// In the order of the message, each within the limits.
    pub pieces: Vec<Piece>,
    /// Spans that alone, with their resource and scope, are over the limit: they are in no piece.
    pub too_large: u64,
}

/// Cuts a message that a scan has checked into pieces of at most `spans_max` spans and `bytes_max` bytes.
pub fn split(_segments: &[Bytes], _spans_max: u64, _bytes_max: usize) -> Pieces {
    unimplemented!()
}
