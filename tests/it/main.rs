//! The integration tests. The list of modules is the test plan.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../support/mod.rs"]
mod support;

use support::{client, relay_under_test::PATIENCE};

mod calls; // sends and asks, in the few ways that these tests need

// === parts that pass bytes on ===
mod fuzzing; // what the fuzz targets assert, over their seeds and changes of those
mod json; // the JSON reader against prost, on arbitrary and recorded requests in every spelling
mod steps; // the door and the steps against the same done on decoded objects
mod wire; // scan, split and repair against prost, on arbitrary, mutated and recorded requests

// === a whole relay over real sockets ===
mod admin; // what the admin port shows of requests that passed
mod bad_input; // broken, too large, half-sent or lying: the answer of the table, nobody harmed, nothing left behind
mod balance; // the harness itself: an imbalance is noticed, and so is a relay that nobody stopped
mod corpus; // recorded requests of real clients come out with every span as it went in
mod destinations; // failing destinations: all or none, backpressure, outages, shutdown; nothing accepted is missing
mod reload; // edits in force soon and as a whole; mistakes keep the old configuration
mod sampling;
mod smuggling; // heads that two readers could understand differently // fractions, thresholds and unusable ids, from sender to destination
