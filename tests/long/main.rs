//! The cases of `tests/process` with their whole figures, and the soak: for the program as users get it.
//!
//! `tests/long/run` builds it and runs this, one case after the other; plain `cargo test` does not.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(
    clippy::print_stdout,
    reason = "the figures of a run are its record; the harness prints them"
)]
#![allow(
    clippy::cast_precision_loss,
    reason = "spans, bytes and requests are compared with shares and gauges, which are doubles"
)]

/// Whether the figures are the whole ones.
const WHOLE: bool = true;

// === the parts ===
#[path = "../process/load.rs"]
mod load;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../process/relay/mod.rs"]
mod relay;
#[path = "../support/mod.rs"]
mod support;
#[path = "../process/witness.rs"]
mod witness;

// === the cases ===
#[path = "../process/abundance.rs"]
mod abundance;
#[path = "../process/bombs.rs"]
mod bombs;
#[path = "../process/clock.rs"]
mod clock;
#[path = "../process/crash.rs"]
mod crash;
#[path = "../process/crowds.rs"]
mod crowds;
#[path = "../process/depth.rs"]
mod depth;
#[path = "../process/descriptors.rs"]
mod descriptors;
#[path = "../process/exposure.rs"]
mod exposure;
#[path = "../process/floods.rs"]
mod floods;
#[path = "../process/logs.rs"]
mod logs;
#[path = "../process/outage.rs"]
mod outage;
#[path = "../process/patience.rs"]
mod patience;
#[path = "../process/scrape.rs"]
mod scrape;
#[path = "../process/slow_destination.rs"]
mod slow_destination;
mod soak; // A99
#[path = "../process/steady.rs"]
mod steady;
#[path = "../process/stop.rs"]
mod stop;
