//! `print-config`: the configuration in force, every default filled in, secrets masked.

use std::path::Path;

use super::{Output, WRONG_USAGE};
use crate::config::{self, Surroundings};

/// YAML and exit code 0, or all mistakes and 2.
pub(super) fn run(file: Option<&Path>) -> Output {
    match config::load(file, &Surroundings::of_process()) {
        Ok(config) => Output {
            text: config.to_yaml(),
            ..Output::default()
        },
        Err(invalid) => Output {
            complaint: invalid.to_string(),
            code: WRONG_USAGE,
            ..Output::default()
        },
    }
}
