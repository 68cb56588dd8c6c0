//! The `otlp-relay` program: see `cli`.
#![forbid(unsafe_code)]

fn main() {}
