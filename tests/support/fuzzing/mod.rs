//! What must hold of any bytes that a stranger sends: one file a fuzz target, each with one function that takes the bytes and
//! asserts, and the oracles that those share with the property tests.
//!
//! The functions have two callers: the fuzz targets in `fuzz/targets`, which make inputs for hours, and their twins in
//! `tests/it/fuzzing.rs`, which run over the seeds in `cargo test`. They reach what is public. Rooms that hide what reads
//! bytes (`receiver`'s frames, `exporter`'s answers) have the same function inside, with its twin beside it.
//!
//! The crate of the fuzz targets includes this folder by its path, so it uses nothing else of `tests/support`.

pub mod configuration;
pub mod http_edge;
pub mod json;
mod json_model;
mod json_tree;
pub mod objects;
pub mod scan;
pub mod steps;
pub mod trace_state;
