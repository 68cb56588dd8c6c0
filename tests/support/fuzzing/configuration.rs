//! Any text as a configuration file, as a policy file, and as a Collector's: reading ends with a configuration or with mistakes,
//! and never otherwise; what is printed of a configuration is the same configuration.

use std::{collections::BTreeMap, io, path::Path};

use otlp_relay::{
    config::{Invalid, Surroundings, collector, load},
    document::{self, Findings},
    sampling::{Randomness, Sampler},
};

/// The target: a file as it is, whatever it is.
pub fn fuzz_body(file: &[u8]) {
    check_configuration(file);
    let text = String::from_utf8_lossy(file);
    let mut findings = Findings::default();
    if let Some(root) = document::parse("fuzzing.yaml", &text, &mut findings) {
        Sampler::read(&root, Randomness::Auto, 0, &mut findings);
        if collector::is_collector(&root) {
            let translated = collector::translate(&root);
            assert!(!translated.is_empty(), "there is something to say of any");
            check_printable(&translated);
        }
    }
    check_lines(&findings);
}

/// A configuration is one that can be printed and loaded again.
fn check_configuration(file: &[u8]) {
    match loaded(file) {
        Ok(printed) => {
            let again = loaded(printed.as_bytes());
            let again = again.unwrap_or_else(|invalid| panic!("{invalid}\n{printed}"));
            assert_eq!(again, printed);
        }
        Err(Invalid { findings, .. }) => {
            assert!(findings.any_mistake());
            check_lines(&findings);
        }
    }
}

/// What is printed of the configuration that a file makes.
fn loaded(configuration: &[u8]) -> Result<String, Invalid> {
    let read = |path: &Path| match path.to_str() {
        Some("otlp-relay.yaml") => Ok(configuration.to_vec()),
        Some("policies.milvus.yaml") => Ok(b"default: { sample_fraction: 0.5 }".to_vec()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let environment = BTreeMap::from([("NAME".to_owned(), "value".to_owned())]);
    let around = Surroundings::new(environment, &read);
    load(None, &around).map(|config| config.to_yaml())
}

/// Whatever a file holds, what is found is told on lines of its own.
fn check_lines(findings: &Findings) {
    let report = findings.to_string();
    assert_eq!(report.lines().count(), findings.0.len(), "{report}");
    check_printable(&report);
}

/// Nothing of a file steers the terminal that a report is read on.
fn check_printable(report: &str) {
    let steers = |c: char| c.is_control() && c != '\n';
    assert!(!report.contains(steers), "{report:?}");
}
