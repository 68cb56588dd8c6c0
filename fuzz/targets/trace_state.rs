//! See `tests/support/fuzzing/trace_state.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| otlp_relay_fuzz::fuzzing::trace_state::fuzz_body(bytes));
