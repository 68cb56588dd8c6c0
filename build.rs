//! Notes the commit that is built, for `--version` and `otlp_relay_build_info`.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "this is how a build script reads its input and speaks to cargo"
)]

use std::{path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-env-changed=OTLP_RELAY_COMMIT");
    for file in files_that_name_the_commit() {
        println!("cargo::rerun-if-changed={file}");
    }
    let given = std::env::var("OTLP_RELAY_COMMIT").ok();
    let commit = given
        .or_else(|| git(&["rev-parse", "--short=12", "HEAD"]))
        .unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env=OTLP_RELAY_COMMIT={commit}");
}

/// `HEAD`, and the branch it stands for. A file that is not there would have everything built again every time.
fn files_that_name_the_commit() -> Vec<String> {
    let branch = git(&["rev-parse", "--symbolic-full-name", "HEAD"]);
    [
        Some("HEAD".to_owned()),
        branch,
        Some("packed-refs".to_owned()),
    ]
    .into_iter()
    .flatten()
    .filter_map(|name| git(&["rev-parse", "--git-path", &name]))
    .filter(|file| Path::new(file).exists())
    .collect()
}

/// What git answers, where the sources are a checkout.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?;
    let answer = answer.trim();
    (output.status.success() && !answer.is_empty()).then(|| answer.to_owned())
}
