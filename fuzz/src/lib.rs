//! The bodies of the fuzz targets, compiled once for all of them. They are the project's tests' own: see the folder.
#![allow(
    dead_code,
    clippy::unwrap_used,
    missing_docs,
    reason = "the tests use more of it than the targets do, and a failed unwrap is a finding"
)]

#[path = "../../tests/support/fuzzing/mod.rs"]
pub mod fuzzing;
