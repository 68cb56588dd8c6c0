//! See `tests/support/fuzzing/steps.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| otlp_relay_fuzz::fuzzing::steps::fuzz_body(bytes));
