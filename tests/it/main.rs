//! The integration tests. The list of modules is the test plan.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../support/mod.rs"]
mod support;

mod steps; // the door and the steps against the same done on decoded objects
mod wire; // scan, split and repair against prost, on arbitrary, mutated and recorded requests
