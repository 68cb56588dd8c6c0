//! Checks properties of the source tree that the compiler does not.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The rooms from the bottom up, as `src/lib.rs` lists them. A room may use those in the rows above it, and no others.
const LAYERS: &[&[&str]] = &[
    &["otlp", "sync"],
    &["budget", "document"],
    &["metrics", "wire"],
    &["json", "request"],
    &["matching"],
    &["enrichment", "sampling"],
    &["processor"],
    &["queue"],
    &["store"],
    &["exporter", "pipeline"],
    &["admin", "receiver"],
    &["config"],
    &["relay"],
    &["cli"],
];

#[test]
fn modules_use_only_lower_layers() {
    let mut broken = Vec::new();
    for path in sources("src") {
        let module = module_of(&path);
        if matches!(module.as_str(), "lib" | "main") {
            continue;
        }
        let from = layer(&module).unwrap_or_else(|| panic!("{module} is missing from LAYERS"));
        for used in names_after_crate(&fs::read_to_string(&path).unwrap()) {
            if used != module && layer(&used).is_some_and(|to| to >= from) {
                broken.push(format!(
                    "{}: `{module}` must not use `{used}`",
                    path.display()
                ));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_library_lists_its_rooms_in_the_same_order() {
    let library = fs::read_to_string("src/lib.rs").unwrap();
    let listed: Vec<&str> = library
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert_eq!(listed, LAYERS.concat());
}

#[test]
fn every_file_says_what_it_is_for() {
    let folders = [
        "src",
        "tests",
        "benches",
        "examples",
        "fuzz/src",
        "fuzz/targets",
    ];
    for path in folders.into_iter().flat_map(sources) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("//!"),
            "{} lacks a `//!` header",
            path.display()
        );
    }
}

#[test]
fn grouped_and_single_imports_are_seen() {
    assert_eq!(names_after_crate("use crate::a::B; crate::c()"), ["a", "c"]);
    assert_eq!(
        names_after_crate("use crate::{a::{B, C}, d, e::F};"),
        ["a", "d", "e"]
    );
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&module))
}

/// The names that directly follow `crate::`, also inside `crate::{…}`.
fn names_after_crate(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for tail in text.split("crate::").skip(1) {
        let mut depth = 0;
        let mut name = String::new();
        let mut complete = false;
        for c in tail.chars() {
            match c {
                _ if depth <= 1 && !complete && (c.is_alphanumeric() || c == '_') => name.push(c),
                '{' => depth += 1,
                '}' => depth -= 1,
                _ if c.is_whitespace() => continue,
                ',' if depth == 1 => {
                    names.push(std::mem::take(&mut name));
                    complete = false;
                    continue;
                }
                _ => complete = true,
            }
            if depth == 0 && !name.is_empty() && !(c.is_alphanumeric() || c == '_') {
                break;
            }
        }
        names.push(name);
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The top-level module a file belongs to: `src/wire/scan.rs` is part of `wire`.
fn module_of(path: &Path) -> String {
    let first = path.strip_prefix("src").unwrap().iter().next().unwrap();
    Path::new(first)
        .file_stem()
        .unwrap()
        .to_string_lossy()
        .into_owned()
}

fn sources(dir: impl AsRef<Path>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
