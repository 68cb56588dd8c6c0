//! Every key of the table: wrong type, out of range, unknown neighbour, from the environment, null.

use super::{super::schema::DESTINATION, *};

/// A configuration that sets `path` to `value` and else only what it must.
fn setting(path: &str, value: &str) -> World {
    let mut text = String::new();
    let mut names: Vec<&str> = path.split('.').collect();
    if names[0] == "destinations" {
        names[1] = "jaeger";
    }
    for (depth, name) in names.iter().enumerate() {
        let indent = "  ".repeat(depth);
        let last = depth + 1 == names.len();
        let tail = if last {
            format!(" {value}")
        } else {
            String::new()
        };
        text.push_str(&indent);
        text.push_str(name);
        text.push(':');
        text.push_str(&tail);
        text.push('\n');
        if *name == "jaeger" && path != "destinations.*.endpoint" {
            text.push_str("    endpoint: http://jaeger:4317\n");
        }
    }
    World::of(&text)
}

fn actual(path: &str) -> String {
    path.replace('*', "jaeger")
}

/// Each kind's wrong values, with a part of the message.
fn wrong_values(kind: Kind) -> Vec<(String, String)> {
    let cases: &[(&str, &str)] = match kind {
        Kind::Boolean => &[
            ("7", "found the number 7; allowed: true or false"),
            ("yes", "true or false"),
        ],
        Kind::Integer(..) => &[
            ("many", "found `many`; allowed: a whole number from"),
            ("[1]", "found a list"),
            ("1.5", "a whole number"),
            ("", "found nothing"),
        ],
        Kind::Number(..) => &[
            ("much", "found `much`; allowed: a number from"),
            (".nan", "found the number NaN"),
            ("", "found nothing"),
        ],
        Kind::Duration(..) | Kind::DurationOrNever(..) => &[
            ("5", "found the number 5; allowed: a duration"),
            ("soon", "the units are"),
            ("{ a: 1 }", "found a mapping"),
            ("1000000h", "allowed: "),
            ("", "found nothing"),
        ],
        Kind::Size(..) | Kind::SizeOrAuto(..) => &[
            ("5", "found the number 5; allowed: a size"),
            ("5 mb", "the units are"),
            ("true", "found `true`"),
            ("9999999GiB", "allowed: "),
        ],
        Kind::Text | Kind::File | Kind::SecretFile => &[
            ("7", "found the number 7; allowed: a string"),
            ("[a]", "found a list"),
            ("''", "found an empty string"),
        ],
        Kind::Texts => &[
            ("7", "found the number 7; allowed: a list"),
            ("[7]", "[0]: found the number 7; allowed: a string"),
        ],
        Kind::Listen | Kind::ListenOrOff => &[
            ("70000", "found the number 70000; allowed: a port"),
            ("jaeger:1", "found `jaeger:1`; allowed: a port"),
            ("-1", "allowed: a port"),
            ("true", "allowed: a port"),
        ],
        Kind::Choice(_) | Kind::ChoiceWithLater(..) => &[
            ("nothing", "found `nothing`; allowed: "),
            ("7", "found the number 7; allowed: "),
        ],
        Kind::Endpoint => &[
            ("jaeger:4317", "has no scheme: write http://jaeger:4317"),
            ("7", "allowed: a string"),
        ],
        Kind::Headers => &[
            ("secret", "allowed: a mapping"),
            ("{ a: 7 }", ".a: allowed: a string"),
        ],
        Kind::HeaderFiles => &[
            ("file", "found `file`; allowed: a mapping"),
            ("{ a: [] }", ".a: allowed: a string"),
        ],
        Kind::Edits => &[],
    };
    let owned = |(value, part): &(&str, &str)| ((*value).to_owned(), (*part).to_owned());
    cases.iter().map(owned).chain(out_of_range(kind)).collect()
}

/// Values one step outside of what is allowed.
fn out_of_range(kind: Kind) -> Vec<(String, String)> {
    let mut values = Vec::new();
    match kind {
        Kind::Integer(from, to) => {
            values.push((from - 1).to_string());
            values.extend(to.checked_add(1).map(|above| above.to_string()));
        }
        Kind::Number(from, to) => {
            values.extend([format!("{:?}", from - 0.01), format!("{:?}", to + 0.01)]);
        }
        Kind::Duration(from, to) | Kind::DurationOrNever(from, to) => {
            values.push(format!("{}ns", to.as_nanos() + 1));
            values.extend(
                from.as_nanos()
                    .checked_sub(1)
                    .map(|below| format!("{below}ns")),
            );
        }
        Kind::Size(from, to) | Kind::SizeOrAuto(from, to) => {
            values.push(format!("{}B", to + 1));
            values.extend(from.checked_sub(1).map(|below| format!("{below}B")));
        }
        _ => {}
    }
    values
        .into_iter()
        .map(|value| (value, "; allowed: ".to_owned()))
        .collect()
}

#[test]
fn a98_every_wrong_value_of_every_key_is_said_with_its_place() {
    for key in keys() {
        for (value, part) in wrong_values(key.kind) {
            let mistakes = setting(key.path, &value).mistakes();
            let path = actual(key.path);
            let about: Vec<_> = mistakes
                .iter()
                .filter(|line| line.contains(&path))
                .collect();
            assert!(
                about.iter().any(|line| line.starts_with("otlp-relay.yaml:")
                    && line.contains(": mistake: ")
                    && line.contains(&part)),
                "{path}: {value}: {part}: {mistakes:#?}"
            );
        }
    }
}

#[test]
fn a98_every_limit_itself_is_allowed() {
    for key in keys() {
        let limits = match key.kind {
            Kind::Integer(from, to) => vec![from.to_string(), to.to_string()],
            Kind::Number(from, to) => vec![format!("{from:?}"), format!("{to:?}")],
            Kind::Duration(from, to) | Kind::DurationOrNever(from, to) => {
                vec![
                    format!("{}ns", from.as_nanos()),
                    format!("{}ns", to.as_nanos()),
                ]
            }
            Kind::Size(from, to) | Kind::SizeOrAuto(from, to) => {
                vec![format!("{from}B").replace("0B", "0"), format!("{to}B")]
            }
            _ => continue,
        };
        for limit in limits {
            let found = match setting(key.path, &limit).load() {
                Ok(_) => continue,
                Err(invalid) => lines(&invalid.findings),
            };
            // What several keys must be together may still object; the table must not.
            let by_table = |line: &String| line.contains(": found ");
            assert!(
                !found.iter().any(by_table),
                "{}: {limit}: {found:#?}",
                key.path
            );
        }
    }
}

#[test]
fn a98_every_misspelt_key_is_unknown_and_the_right_one_is_named() {
    for key in keys() {
        let misspelt = format!("{}x", key.path);
        let mistakes = setting(&misspelt, "1").mistakes();
        let name = key.path.rsplit('.').next().unwrap();
        let expected = format!("did you mean `{name}`?");
        assert!(
            mistakes
                .iter()
                .any(|line| line.contains("unknown key") && line.contains(&expected)),
            "{misspelt}: {mistakes:#?}"
        );
    }
}

#[test]
fn a98_every_wrong_value_from_the_environment_is_said_with_the_variable() {
    for key in keys() {
        let path = actual(key.path);
        let variable = format!("OTLP_RELAY__{}", path.to_uppercase().replace('.', "__"));
        let value = "not that";
        let wrong = match key.kind {
            // Any string will do for these, or the file is missed; edits are read by enrichment.
            Kind::Text | Kind::File | Kind::SecretFile | Kind::Texts | Kind::Edits => continue,
            _ => value,
        };
        let world = World::of("destinations: { jaeger: { endpoint: 'http://jaeger:4317' } }");
        let mistakes = world.variable(&variable, wrong).mistakes();
        let start = format!("environment variable {variable}: mistake: {path}: ");
        assert!(
            mistakes.iter().any(|line| line.starts_with(&start)),
            "{variable}: {mistakes:#?}"
        );
    }
}

#[test]
fn an_unknown_variable_of_ours_is_a_mistake() {
    let world = World::default().variable("OTLP_RELAY__QUEUE__BYTE_MAX", "1MiB");
    assert_lines(
        &world.mistakes(),
        &[
            "environment variable OTLP_RELAY__QUEUE__BYTE_MAX: mistake: queue.byte_max: unknown key; allowed: bytes_max, wait_max; did you mean `bytes_max`?",
        ],
    );
}

/// They set nothing, and nothing said so.
#[test]
fn a_variable_that_only_looks_like_ours_draws_a_warning() {
    let cases = [
        (
            "OTLP_RELAY_QUEUE__BYTES_MAX",
            "OTLP_RELAY__QUEUE__BYTES_MAX",
        ),
        ("OTLP_RELAY_QUEUE_BYTES_MAX", "OTLP_RELAY__QUEUE__BYTES_MAX"),
        ("OTLP_RELAY_LISTENHOST", "OTLP_RELAY_LISTEN_HOST"),
        ("OTLP_RELAY_LOG_LEVEL", "OTLP_RELAY__LOG__LEVEL"),
    ];
    for (variable, meant) in cases {
        let (_, warnings) = World::default().variable(variable, "x").config();
        let line = format!(
            "environment variable {variable}: warning: nothing reads this variable: those that set a key begin with OTLP_RELAY__; did you mean {meant}?"
        );
        assert_lines(&warnings, &[&line]);
    }
    let (_, warnings) = World::default().variable("OTLP_RELAY_XYZ", "x").config();
    assert!(
        warnings[0].ends_with("begin with OTLP_RELAY__"),
        "{warnings:?}"
    );
    for variable in [
        "OTLP_RELAY_SERVICE_HOST",
        "OTLP_RELAY_PORT_4317_TCP",
        "OTLP_RELAYS",
        "HOME",
    ] {
        let (_, warnings) = World::default().variable(variable, "x").config();
        assert_eq!(warnings, [""; 0], "{variable}");
    }
}

#[test]
fn a_variable_that_is_not_utf8_is_a_mistake() {
    let world = World::default().variable("OTLP_RELAY__LOG__LEVEL", "inf\u{fffd}");
    assert_lines(
        &world.mistakes(),
        &[
            "environment variable OTLP_RELAY__LOG__LEVEL: mistake: log.level: its value is not UTF-8",
        ],
    );
    let reference =
        World::of("admin: { allowed_hosts: ['${env:HOST}'] }").variable("HOST", "\u{fffd}");
    assert_lines(
        &reference.mistakes(),
        &["the environment variable HOST is not set"],
    );
}

#[test]
fn every_default_is_within_its_own_limits() {
    let (config, warnings) = World::of("destinations: { a: { endpoint: 'http://b:1' } }").config();
    assert_eq!(warnings, [""; 0]);
    for key in keys() {
        let path = key.path.replace(DESTINATION, "destinations.a");
        assert!(config.settings.get(&path).is_some(), "{path}");
    }
}

#[test]
fn null_is_allowed_where_it_is_the_default_and_nowhere_else() {
    for key in keys() {
        let nullable = key.default == Preset::Value("null");
        let groups = matches!(key.kind, Kind::Headers | Kind::HeaderFiles | Kind::Edits);
        let loaded = setting(key.path, "null").load();
        assert_eq!(loaded.is_ok(), nullable || groups, "{}", key.path);
    }
}

#[test]
fn a98_all_mistakes_are_said_at_once_in_the_order_of_the_file() {
    let world = World::of(
        "queue:\n  bytes_max: 16\nlog:\n  level: loud\n  colour: red\nbatch: 7\ndestinations:\n  jaeger:\n    timeout: 5\n",
    )
    .variable("OTLP_RELAY__STORE__BYTES_MAX", "much");
    assert_lines(
        &world.mistakes(),
        &[
            "environment variable OTLP_RELAY__STORE__BYTES_MAX: mistake: store.bytes_max: found `much`",
            "otlp-relay.yaml:2: mistake: queue.bytes_max: found the number 16",
            "otlp-relay.yaml:4: mistake: log.level: found `loud`; allowed: error, warn, info, debug, trace",
            "otlp-relay.yaml:5: mistake: log.colour: unknown key; allowed: format, level",
            "otlp-relay.yaml:6: mistake: batch: found the number 7; allowed: a mapping",
            "otlp-relay.yaml:8: mistake: destinations.jaeger.endpoint: missing; it must be set",
            "otlp-relay.yaml:9: mistake: destinations.jaeger.timeout: found the number 5",
        ],
    );
}
