//! Mistakes in the list: each is found, with its place, its key, what is wrong, and the nearest name; all at once.

use super::support::{HASH_KEY, read};
use crate::document::Severity;

/// The findings, one a line.
fn findings(yaml: &str, hash_key: Option<&[u8]>) -> Vec<String> {
    let (_, findings) = read(yaml, hash_key);
    findings.0.iter().map(ToString::to_string).collect()
}

/// Asserts that there is one finding in `entry`, and that it contains all `parts`.
fn check(entry: &str, parts: &[&str]) {
    let found = findings(&format!("- {{ {entry} }}"), Some(HASH_KEY));
    assert_eq!(found.len(), 1, "{entry}: {found:#?}");
    for part in parts {
        assert!(
            found[0].contains(part),
            "{entry}: {} lacks {part}",
            found[0]
        );
    }
    assert!(
        found[0].contains("relay.yaml:1: mistake: enrichment[0]"),
        "{}",
        found[0]
    );
}

/// An entry with one mistake, and two parts of its message.
const MISTAKES: &[(&str, [&str; 2])] = &[
    (
        "on: spam, set: { a: 1 }",
        [
            "[0].on: found `spam`; allowed: resource, span, event",
            "did you mean `span`",
        ],
    ),
    (
        "set: { a: 1 }",
        ["[0].on: missing", "allowed: resource, span, event"],
    ),
    (
        "on: span",
        [
            "[0]: does nothing",
            "allowed: set, set_if_absent, rename, remove, hash, mask, truncate_bytes",
        ],
    ),
    ("on: span, match: { service: x }", ["[0]: does nothing", ""]),
    (
        "on: span, set: { a: 1 }, sett: { a: 1 }",
        ["[0].sett: unknown key", "did you mean `set`"],
    ),
    ("on: span, set: {}", ["[0].set: is empty", ""]),
    ("on: span, mask: {}", ["[0].mask: is empty", ""]),
    ("on: span, rename:", ["[0].rename: is empty", ""]),
    ("on: span, remove: []", ["[0].remove", "at least one"]),
    (
        "on: span, set: [a]",
        ["[0].set: found a list; allowed: a mapping", ""],
    ),
    (
        "on: span, set: { a: [1] }",
        [
            "[0].set.a: found a list",
            "allowed: a string, a number, true or false",
        ],
    ),
    ("on: span, set: { a: }", ["[0].set.a: found nothing", ""]),
    ("on: span, set: { '': 1 }", ["[0].set", "empty key"]),
    (
        "on: span, set_if_absent: { a: { b: c } }",
        ["[0].set_if_absent.a: found a mapping", ""],
    ),
    (
        "on: span, rename: { a: 1 }",
        ["[0].rename.a: found the number 1", "the new key, a string"],
    ),
    (
        "on: span, rename: { a: a }",
        ["[0].rename.a: the new key is the old one", ""],
    ),
    (
        "on: span, rename: { a: '' }",
        ["[0].rename.a: the new key is empty", "remove"],
    ),
    (
        "on: span, remove: [1]",
        ["[0].remove[0]: found the number 1; allowed: a string", ""],
    ),
    (
        "on: span, remove: ['']",
        ["[0].remove: found an empty key", ""],
    ),
    (
        "on: span, hash: { a: b }",
        ["[0].hash: found a mapping", ""],
    ),
    (
        "on: span, mask: { 'a[': x }",
        [
            "[0].mask.a[: no regular expression: unclosed character class, at character 2",
            "",
        ],
    ),
    (
        "on: span, mask: { '(?=a)': x }",
        ["look-around", "at character 1"],
    ),
    (
        "on: span, mask: { 'ä(b': x }",
        ["unclosed group, at character 2", ""],
    ),
    (
        "on: span, mask: { '\\p{Nope}': x }",
        ["no regular expression", "at character 1"],
    ),
    ("on: span, mask: { 'a*': x }", ["nothing to mask", ""]),
    ("on: span, mask: { '\\b': x }", ["nothing to mask", ""]),
    ("on: span, mask: { '': x }", ["empty key", ""]),
    (
        "on: span, mask: { '(\\w{100}){1000}': x }",
        ["smaller repetitions", ""],
    ),
    (
        "on: span, mask: { a: 1 }",
        ["[0].mask.a: found the number 1; allowed: a string", ""],
    ),
    (
        "on: span, truncate_bytes: 0",
        [
            "[0].truncate_bytes: found the number 0; allowed: a whole number from 1 to 67108864",
            "",
        ],
    ),
    (
        "on: span, truncate_bytes: 67108865",
        ["[0].truncate_bytes: found the number 67108865", ""],
    ),
    ("on: span, truncate_bytes: -1", ["[0].truncate_bytes", ""]),
    (
        "on: span, truncate_bytes: 65MiB",
        [
            "[0].truncate_bytes: found 68157440 bytes; allowed: 1 to",
            "",
        ],
    ),
    (
        "on: span, truncate_bytes: many",
        ["[0].truncate_bytes", "`many`"],
    ),
    (
        "on: span, match: { servce: x }, set: { a: 1 }",
        ["[0].match.servce: unknown key", "`service`"],
    ),
    (
        "on: resource, match: { span: x, status: ok }, set: { a: 1 }",
        [
            "[0].match: a resource is shared by all its spans, so `span`, `status` cannot",
            "service, resource_attributes",
        ],
    ),
    (
        "on: resource, match: { scope: x }, set: { a: 1 }",
        ["`scope` cannot", ""],
    ),
];

#[test]
fn every_mistake_has_its_message() {
    for (entry, parts) in MISTAKES {
        check(entry, parts);
    }
}

#[test]
fn what_is_allowed_at_the_limits_is_found_right() {
    for entry in [
        "on: span, truncate_bytes: 1",
        "on: span, truncate_bytes: 64MiB",
        "on: span, remove: one",
        "on: resource, match: { service: x, resource_attributes: { a: 1 } }, set: { a: 1 }",
        "on: event, match: { span: x, scope: y }, set: { a: 1 }",
        "on: span, match: {}, set: { a: 1 }",
        r"on: span, mask: { '\bx': y }",
        r"on: span, mask: { '(?-u:\xff)': y }",
    ] {
        let found = findings(&format!("- {{ {entry} }}"), Some(HASH_KEY));
        assert!(found.is_empty(), "{entry}: {found:#?}");
    }
}

#[test]
fn hash_needs_a_key() {
    let yaml = "- { on: span, hash: [a] }\n- { on: event, hash: [b] }";
    for (key, message) in [
        (None, "set `enrichment_hash_key_file`"),
        (Some(b"".as_slice()), "`enrichment_hash_key_file` is empty"),
        (Some(b"\r\n"), "`enrichment_hash_key_file` is empty"),
    ] {
        let found = findings(yaml, key);
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(found[0].contains("relay.yaml:1: mistake: enrichment[0].hash"));
        assert!(found[1].contains("relay.yaml:2: mistake: enrichment[1].hash"));
        assert!(
            found.iter().all(|line| line.contains(message)),
            "{found:#?}"
        );
    }
    assert!(findings("- { on: span, set: { a: 1 } }", None).is_empty());
}

#[test]
fn doubtful_things_are_warnings() {
    for (yaml, key, message) in [
        (
            "- { on: span, hash: [a] }",
            b"fifteen bytes!!".as_slice(),
            "15 bytes",
        ),
        (
            "- { on: span, mask: { '(a)b': '$1' } }",
            HASH_KEY,
            "written as it is",
        ),
        (
            "- { on: span, mask: { '(a)b': 'x${1}' } }",
            HASH_KEY,
            "written as it is",
        ),
    ] {
        let (enricher, findings) = read(yaml, Some(key));
        assert_eq!(findings.0.len(), 1, "{yaml}");
        assert_eq!(findings.0[0].severity, Severity::Warning);
        assert!(
            findings.0[0].message.contains(message),
            "{:?}",
            findings.0[0]
        );
        assert!(!enricher.is_empty());
    }
    assert!(findings("- { on: span, hash: [a] }", Some(b"sixteen bytes!!!")).is_empty());
}

#[test]
fn all_mistakes_are_found_at_once_with_their_lines() {
    let yaml = "\
- on: resource
  match: { kind: server }
  set: { a: null, b: [1] }
- on: nowhere
  mask: { 'a(': 1 }
- just a string
- on: span
  truncate_bytes: 0
  rename: { x: x }
  hash: [y]
  colour: red
";
    let found = findings(yaml, None);
    let places: Vec<_> = found
        .iter()
        .map(|line| line.split(' ').nth(2).unwrap().trim_end_matches(':'))
        .collect();
    let mut sorted = places.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            "enrichment[0].match",
            "enrichment[0].set.a",
            "enrichment[0].set.b",
            "enrichment[1].mask.a(",
            "enrichment[1].mask.a(",
            "enrichment[1].on",
            "enrichment[2]",
            "enrichment[3].colour",
            "enrichment[3].hash",
            "enrichment[3].rename.x",
            "enrichment[3].truncate_bytes",
        ]
    );
    for (line, key) in [
        (3, "set.b"),
        (5, "mask.a("),
        (6, "enrichment[2]"),
        (8, "truncate_bytes"),
        (11, "colour"),
    ] {
        let place = format!("relay.yaml:{line}:");
        assert!(
            found
                .iter()
                .any(|found| found.starts_with(&place) && found.contains(key)),
            "{line} {key}: {found:#?}"
        );
    }
}

#[test]
fn no_list_is_no_edits() {
    for (yaml, mistakes) in [("[]", 0), ("~", 0), ("{ on: span }", 1), ("text", 1)] {
        let (enricher, findings) = read(yaml, None);
        assert!(enricher.is_empty());
        assert_eq!(findings.0.len(), mistakes, "{yaml}");
    }
}
