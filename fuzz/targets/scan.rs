//! See `tests/support/fuzzing/scan.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| otlp_relay_fuzz::fuzzing::scan::fuzz_body(bytes));
