//! See `src/receiver/fuzzing.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| otlp_relay::receiver::fuzzing::fuzz_body(bytes));
