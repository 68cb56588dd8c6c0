//! A world of files and variables in memory, and what loading makes of it.

mod arbitrary;
mod keys;
mod merging;
mod rules;

use std::{collections::BTreeMap, io, net::IpAddr, path::Path};

use super::*;

/// Files, variables, addresses, and what was before.
#[derive(Default)]
pub(super) struct World {
    files: BTreeMap<String, Vec<u8>>,
    variables: BTreeMap<String, String>,
    addresses: Vec<IpAddr>,
    budget_auto: Option<usize>,
}

impl World {
    /// A configuration file and nothing else.
    pub(super) fn of(text: &str) -> Self {
        Self::default().file("otlp-relay.yaml", text)
    }

    pub(super) fn file(mut self, path: &str, content: &str) -> Self {
        self.files.insert(path.to_owned(), content.into());
        self
    }

    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same files after the process has started with `config`.
    pub(super) fn after(mut self, config: &Config) -> Self {
        self.budget_auto = config.budget_auto();
        self
    }

    /// An address of the machine beyond loopback.
    pub(super) fn address(mut self, ip: &str) -> Self {
        self.addresses.push(ip.parse().unwrap());
        self
    }

    pub(super) fn load(&self) -> Result<Config, Invalid> {
        self.load_named(None)
    }

    pub(super) fn load_named(&self, file: Option<&str>) -> Result<Config, Invalid> {
        self.around(|around| load(file.map(Path::new), around))
    }

    /// Looks at this world.
    pub(super) fn around<T>(&self, look: impl FnOnce(&Surroundings<'_>) -> T) -> T {
        let read = |path: &Path| {
            let path = path.to_str().unwrap();
            let missing = || io::Error::from(io::ErrorKind::NotFound);
            self.files.get(path).cloned().ok_or_else(missing)
        };
        let is_own = |ip: IpAddr| ip.is_loopback() || self.addresses.contains(&ip);
        look(&Surroundings {
            environment: self.variables.clone(),
            read: &read,
            is_own: &is_own,
            budget_auto: self.budget_auto,
        })
    }

    /// A configuration without mistakes; its warnings as lines.
    pub(super) fn config(&self) -> (Config, Vec<String>) {
        match self.load() {
            Ok(config) => {
                let warnings = lines(&config.warnings);
                (config, warnings)
            }
            Err(invalid) => panic!("\n{invalid}"),
        }
    }

    /// What is wrong, as lines, warnings included.
    pub(super) fn mistakes(&self) -> Vec<String> {
        match self.load() {
            Ok(config) => panic!("no mistakes in {config:?}"),
            Err(invalid) => lines(&invalid.findings),
        }
    }
}

fn lines(findings: &Findings) -> Vec<String> {
    findings.0.iter().map(ToString::to_string).collect()
}

/// Asserts that exactly these lines are found, each only by the part that is given.
#[track_caller]
pub(super) fn assert_lines(found: &[String], expected: &[&str]) {
    let alike = found.len() == expected.len()
        && found
            .iter()
            .zip(expected)
            .all(|(line, part)| line.contains(part));
    assert!(alike, "found {found:#?}\nexpected {expected:#?}");
}
