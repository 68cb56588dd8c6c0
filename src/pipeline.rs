//! The way of a body without sockets: through the door, the steps and into the queues, or refused whole.
//!
//! It knows no transport beyond its name. Invariant: every span of a scanned body is booked exactly once, together with
//! the answer.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::time::Instant;

use crate::{budget::Permit, metrics::Transport, request::Refusal};

/// Where a body came from.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// How it came in.
    pub transport: Transport,
    /// From whom.
    pub peer: SocketAddr,
}

/// A body was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Spans that were rejected one by one; the others go on.
    pub rejected_spans: u64,
    /// Why, or a warning when none was rejected; empty when there is nothing to say.
    pub message: String,
}

/// The stages between a receiver and the queues.
#[derive(Debug)]
pub struct Pipeline {}

impl Pipeline {
    /// Takes a whole, decompressed body. Waits for room in the queues until `deadline`, then refuses it whole.
    pub async fn take(
        &self,
        _body: Bytes,
        _permit: Permit,
        _origin: Origin,
        _deadline: Instant,
    ) -> Result<Receipt, Refusal> {
        unimplemented!()
    }
}
