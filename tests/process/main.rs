//! The relay's program as a process: killed, stopped, overloaded, flooded, without descriptors, with a clock that jumps.
//!
//! What only a process shows is tested here: its memory, its time on the CPU, its descriptors, its log, its end. Repetitions
//! and durations are shortened, and where a case bounds a time ten times as much is allowed; `tests/long/run` runs the same
//! tests with the whole figures against the program as users get it.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(
    clippy::print_stdout,
    reason = "what was measured is told beside what is allowed; cargo shows it of a test that fails"
)]
#![allow(
    clippy::cast_precision_loss,
    reason = "spans, bytes and requests are compared with shares and gauges, which are doubles"
)]

/// Whether the figures are the whole ones.
const WHOLE: bool = false;

// === the parts ===
mod load; // senders that remember what they were told
#[path = "../support/ports.rs"]
mod ports;
mod relay; // the process, its books, and what /proc says of it
#[path = "../support/mod.rs"]
mod support;
mod witness; // a destination that knows which span came how often

// === the cases, the longest first ===
mod abundance; // A09, A38
mod bombs; // A10
mod clock; // A96
mod crash; // A05
mod crowds; // A17, A93, A97
mod depth; // A13
mod descriptors; // A14
mod exposure; // A19
mod floods; // A15, A16
mod logs; // A108
mod outage; // A02, A03, A18
mod patience; // A54, A55
mod scrape; // A92
mod slow_destination; // A04
mod steady; // A01
mod stop; // A07, A08
