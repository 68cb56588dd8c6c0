//! What tests and benches share: requests made by hand, at random, and as real clients sent them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::format_push_string,
    missing_docs,
    unreachable_pub,
    reason = "each test binary uses a part of it, and a failed unwrap is a failed test"
)]

pub mod client;
pub mod corpus;
pub mod fake_backend;
pub mod fuzzing;
pub mod generate;
pub mod ledger;
pub mod log;
pub mod relay_under_test;
pub mod seeds;
pub mod settings;
