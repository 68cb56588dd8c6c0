//! See `tests/support/fuzzing/configuration.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(
    |bytes: &[u8]| otlp_relay_fuzz::fuzzing::configuration::fuzz_body(bytes)
);
