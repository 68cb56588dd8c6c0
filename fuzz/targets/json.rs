//! See `tests/support/fuzzing/json.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| otlp_relay_fuzz::fuzzing::json::fuzz_body(bytes));
