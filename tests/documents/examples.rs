//! What users copy: the README's YAML and commands, and the configurations that are shipped.

use std::{io, process::Command};

use otlp_relay::config::{self, Surroundings};

use super::{README, find, keys, load, load_shipped, parse, string, text};

/// They went to standard output, into whatever read the configuration there.
#[test]
fn mistakes_are_told_on_standard_error() {
    for arguments in [
        &["print-config", "--config", "no/such.yaml"][..],
        &["run", "--config", "no/such.yaml"],
        &["send", "--endpoint", "localhost"],
        &["healthcheck", "--url", "localhost"],
    ] {
        let program = env!("CARGO_BIN_EXE_otlp-relay");
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        assert_ne!(output.stderr, b"", "{arguments:?}");
    }
}

/// What `otlp-relay [COMMAND] --help` prints.
pub(super) fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_otlp-relay"))
        .args(arguments)
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?} is no command");
    String::from_utf8(output.stdout).unwrap()
}

/// The blocks of code in this language.
pub(super) fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let open = format!("```{language}\n");
    let blocks = document.split(open.as_str()).skip(1);
    blocks
        .map(|rest| rest.split_once("```").unwrap().0)
        .collect()
}

#[test]
fn shipped_configurations_load() {
    for file in ["config/otlp-relay.yaml", "docker/otlp-relay/config.yaml"] {
        let config = load_shipped(file, &[]);
        assert_eq!(config.destinations.len(), 1, "{file}");
        assert_eq!(config.watched.len(), 2, "{file}: with its policies");
    }
}

#[test]
fn the_readmes_yaml_loads() {
    let readme = text(README);
    let (mut policies, mut settings) = (0, 0);
    for block in blocks(&readme, "yaml") {
        let root = parse(README, block);
        if find(&root, &["trace"]).is_some() {
            milvus(block);
        } else if find(&root, &["default"]).is_some() {
            policies += 1;
            let named = "sampling: { policy_file: policies.yaml }\n";
            loads(named, block);
        } else {
            settings += 1;
            let first = keys(&root)[0];
            let known = config::keys().iter().any(|key| key.path.starts_with(first));
            assert!(known, "{first}: neither a configuration nor policies");
            loads(block, "default: { sample_fraction: 1 }\n");
        }
    }
    assert!(policies >= 1 && settings >= 2, "{policies}, {settings}");
}

fn loads(settings: &str, policies: &str) {
    load("relay.yaml", &[], &|path| match path.to_str() {
        Some("relay.yaml") => Ok(settings.into()),
        Some("policies.yaml") => Ok(policies.into()),
        Some("hash.key") => Ok(b"0123456789abcdef".into()),
        Some("token.txt") => Ok(b"Bearer secret\n".into()),
        _ => Err(io::ErrorKind::NotFound.into()),
    });
}

/// The README shows what the compose file's Milvus reads.
fn milvus(block: &str) {
    let (told, shipped) = (
        parse(README, block),
        super::yaml("docker/milvus/milvus.yaml"),
    );
    for key in ["exporter", "sampleFraction"] {
        let path = ["trace", key];
        assert_eq!(
            find(&told, &path).unwrap().value,
            find(&shipped, &path).unwrap().value
        );
    }
    for key in ["endpoint", "method", "secure"] {
        let path = ["trace", "otlp", key];
        assert_eq!(
            find(&told, &path).unwrap().value,
            find(&shipped, &path).unwrap().value
        );
    }
    assert!(!string(find(&told, &["trace", "otlp", "endpoint"]).unwrap()).contains("://"));
}

/// Every `otlp-relay COMMAND` in the README's shell blocks exists, with its flags; files that it names exist.
#[test]
fn the_readmes_commands_exist() {
    let readme = text(README);
    let mut seen = 0;
    for line in blocks(&readme, "sh").concat().lines() {
        let line = line.split('#').next().unwrap();
        let arguments = line
            .split_once("otlp-relay ")
            .or_else(|| line.split_once("cargo run --release -- "));
        if let Some((_, arguments)) = arguments {
            seen += 1;
            let mut words = arguments.split_whitespace();
            let help = help(&[words.next().unwrap()]);
            for flag in words.clone().filter(|word| word.starts_with("--")) {
                assert!(help.contains(flag), "{line}: no {flag}");
            }
            let files = words.filter(|word| word.contains('/'));
            files.for_each(|file| drop(text(file)));
        }
        if let Some((_, example)) = line.split_once("--example ") {
            drop(text(&format!("examples/{}.rs", example.trim())));
        }
    }
    assert!(seen >= 4, "the commands were not found");
}

/// A variable of the relay's own that a document names means something to it.
#[test]
fn the_readmes_variables_are_read() {
    let readme = text(README);
    let from = readme
        .match_indices("OTLP_RELAY_")
        .map(|(at, _)| &readme[at..]);
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    for rest in from {
        let name = rest.split(|c| !is_name(c)).next().unwrap();
        if name == config::LISTEN_HOST_VARIABLE {
            continue;
        }
        let value = rest[name.len()..].trim_start_matches('=');
        let value = value.split(['`', ' ', '\n']).next().unwrap();
        let environment = [(name.to_owned(), value.to_owned())].into();
        let around = Surroundings::new(environment, &|_| Err(io::ErrorKind::NotFound.into()));
        let loaded = config::load(None, &around);
        let config = loaded.unwrap_or_else(|invalid| panic!("{name}={value}:\n{invalid}"));
        let warnings = config.warnings.to_string();
        assert!(!warnings.contains("nothing reads"), "{warnings}");
    }
}
