//! See `tests/support/fuzzing/http_edge.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| otlp_relay_fuzz::fuzzing::http_edge::fuzz_body(bytes));
