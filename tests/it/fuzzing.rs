//! The stable twins of the fuzz targets that reach what is public: the same functions over the recorded requests, the seeds written
//! by hand, whatever was found, and what all of them are changed to.
//!
//! The targets `grpc_frames` and `answers` have their twins in `receiver` and `exporter`, which hide what those read.

use crate::support::{
    corpus::{Recorded, recorded, recorded_json},
    fuzzing, seeds,
};

/// As large as the fuzzers' inputs get. Larger recordings are scanned, split and sent by tests of their own.
const RECORDED_BYTES_MAX: usize = 64 * 1024;

fn bodies(requests: Vec<Recorded>) -> Vec<Vec<u8>> {
    let small = requests
        .into_iter()
        .filter(|request| request.bytes <= RECORDED_BYTES_MAX);
    small.map(|request| request.body).collect()
}

#[test]
fn any_bytes_are_scanned_split_and_repaired_as_prost_reads_them() {
    seeds::for_each("scan", &bodies(recorded()), fuzzing::scan::fuzz_body);
}

#[test]
fn any_body_passes_the_steps_as_objects_do() {
    seeds::for_each("steps", &bodies(recorded()), fuzzing::steps::fuzz_every_way);
}

#[test]
fn any_text_is_read_as_a_tolerant_model_reads_it() {
    seeds::for_each("json", &bodies(recorded_json()), fuzzing::json::fuzz_body);
}

#[test]
fn any_tracestate_is_read_and_written_without_harm() {
    seeds::for_each("trace_state", &[], fuzzing::trace_state::fuzz_body);
}

#[test]
fn whatever_a_connection_says_it_ends_and_leaves_nothing_behind() {
    seeds::for_each("http_edge", &[], fuzzing::http_edge::fuzz_body);
}

#[test]
fn any_file_is_a_configuration_or_a_mistake() {
    seeds::for_each("configuration", &[], fuzzing::configuration::fuzz_body);
}
