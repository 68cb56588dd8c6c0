//! What the benches over sockets share: a load, a counting destination, and processes measured through /proc.
//!
//! Everything here runs in one thread on one core, and has to be cheap: what it costs is what the relay cannot be given.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "each bench uses a part of it, and ends where something is wrong; figures are rounded anyway"
)]

pub(crate) mod client; // one connection: a prepared body out, the verdict back
pub(crate) mod fresh; // what is new in a request that is sent again: trace ids, a service
pub(crate) mod load; // so many requests under way, or so many spans a second
pub(crate) mod pieces; // a body in frames of the size that clients choose
#[path = "../../tests/support/ports.rs"]
pub(crate) mod ports; // loopback addresses that nobody else takes
pub(crate) mod process; // programs pinned to cores, their CPU and memory
pub(crate) mod requests; // what is sent, encoded beforehand
pub(crate) mod sink; // the destination
pub(crate) mod tally; // the spans in a message, counted while it arrives
pub(crate) mod times; // quantiles of answer times

#[path = "../../tests/support/generate.rs"]
#[allow(
    unreachable_pub,
    missing_docs,
    reason = "shared with the tests, which use more of it"
)]
mod generate;
