//! See `src/exporter/fuzzing.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| otlp_relay::exporter::fuzzing::fuzz_body(bytes));
