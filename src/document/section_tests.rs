//! A mapping read key by key: what is taken, what is reported.

use super::*;
use crate::document::parse;

/// Reads `text` with `read` and finishes; what was read, and the findings as lines.
fn with<T>(
    text: &str,
    read: impl for<'n, 'f> FnOnce(&mut Section<'n, 'f>) -> T,
) -> (T, Vec<String>) {
    let mut findings = Findings::default();
    let node = parse("f.yaml", text, &mut findings).unwrap();
    let mut section = Section::open(&node, "s", &mut findings).unwrap();
    let value = read(&mut section);
    section.finish();
    let lines = findings.0.iter().map(ToString::to_string).collect();
    (value, lines)
}

#[test]
fn values_of_every_kind_are_read() {
    let text = "
string: x
strings: [a, b]
lone: a
boolean: true
integer: 7
number: 0.5
fraction: 1
duration: 200ms
size: 16MiB
choice: http
list: [1]
section: { inner: 1 }
names: { x.y: 1 }
";
    let (paths, findings) = with(text, |s| {
        assert_eq!(s.string("string"), Some("x"));
        assert_eq!(s.strings("strings"), Some(vec!["a", "b"]));
        assert_eq!(s.strings("lone"), Some(vec!["a"]));
        assert_eq!(s.boolean("boolean"), Some(true));
        assert_eq!(s.integer("integer", 0..=7), Some(7));
        assert_eq!(s.number("number", 0.0..=1.0), Some(0.5));
        assert_eq!(s.fraction("fraction", &[]), Some(1.0));
        assert_eq!(s.duration("duration"), Some(Duration::from_millis(200)));
        assert_eq!(s.size("size"), Some(16 << 20));
        assert_eq!(s.choice("choice", &[("grpc", 1), ("http", 2)]), Some(2));
        assert_eq!(s.list("list").unwrap().len(), 1);
        let mut inner = s.section("section").unwrap();
        assert_eq!(inner.integer("inner", 0..=1), Some(1));
        inner.finish();
        assert_eq!(s.string("absent"), None);
        let names = s.entries("names");
        names.into_iter().map(|(path, _)| path).collect::<Vec<_>>()
    });
    assert_eq!(paths, ["s.names.x.y"]);
    assert_eq!(findings, [""; 0]);
}

#[test]
fn strings_stand_for_numbers_and_booleans() {
    let ((), findings) = with("a: '7'\nb: 'true'\nc: '0.5'\n", |s| {
        assert_eq!(s.integer("a", 0..=9), Some(7));
        assert_eq!(s.boolean("b"), Some(true));
        assert_eq!(s.fraction("c", &[]), Some(0.5));
    });
    assert_eq!(findings, [""; 0]);
}

type Reader = fn(&mut Section<'_, '_>) -> bool;

/// What is written, how it is read, what is said.
const REFUSED: &[(&str, Reader, &str)] = &[
    (
        "k: 7",
        |s| s.string("k").is_some(),
        "found the number 7; allowed: a string: put it into quotes",
    ),
    (
        "k: [a]",
        |s| s.string("k").is_some(),
        "found a list; allowed: a string",
    ),
    (
        "k:",
        |s| s.string("k").is_some(),
        "found nothing; allowed: a string",
    ),
    (
        "k: []",
        |s| s.strings("k").is_some(),
        "found a list; allowed: a string or a list of at least one",
    ),
    (
        "k: yes",
        |s| s.boolean("k").is_some(),
        "found `yes`; allowed: true or false",
    ),
    (
        "k: 8",
        |s| s.integer("k", 0..=7).is_some(),
        "found the number 8; allowed: a whole number from 0 to 7",
    ),
    (
        "k: 1.5",
        |s| s.integer("k", 0..=7).is_some(),
        "found the number 1.5; allowed: a whole number from 0 to 7",
    ),
    (
        "k: .nan",
        |s| s.number("k", 0.0..=1.0).is_some(),
        "found the number NaN; allowed: a number from 0 to 1",
    ),
    (
        "k: 1.01",
        |s| s.fraction("k", &[]).is_some(),
        "found the number 1.01; allowed: a fraction from 0 to 1, such as 0.1 for 10 %",
    ),
    (
        "k: NaN",
        |s| s.fraction("k", &[]).is_some(),
        "found `NaN`; allowed: a fraction from 0 to 1, such as 0.1 for 10 %",
    ),
    (
        "k: 200",
        |s| s.duration("k").is_some(),
        "found the number 200; allowed: a duration such as 200ms, 7s or 1m, with its unit",
    ),
    (
        "k: auto",
        |s| s.size("k").is_some(),
        "found `auto`; allowed: a size such as 16MiB, 512KiB or 4MB; the units are B, kB, MB, GB, KiB, MiB, GiB",
    ),
    (
        "k: { a: 1 }",
        |s| s.list("k").is_some(),
        "found a mapping; allowed: a list",
    ),
    (
        "k: 1",
        |s| s.section("k").is_some(),
        "found the number 1; allowed: a mapping",
    ),
    (
        "k: htp",
        |s| s.choice("k", &[("grpc", ()), ("http", ())]).is_some(),
        "found `htp`; allowed: grpc, http; did you mean `http`?",
    ),
];

#[test]
fn every_kind_says_what_it_found_and_what_it_allows() {
    for (text, read, message) in REFUSED {
        let (some, findings) = with(text, read);
        assert!(!some, "{text}");
        assert_eq!(
            findings,
            [format!("f.yaml:1: mistake: s.k: {message}")],
            "{text}"
        );
    }
}

#[test]
fn an_item_that_is_no_string_is_named_by_its_index() {
    let (texts, findings) = with("k: [a, 7, [b]]", |s| s.strings("k").is_some());
    assert!(!texts);
    assert_eq!(
        findings,
        [
            "f.yaml:1: mistake: s.k[1]: found the number 7; allowed: a string",
            "f.yaml:1: mistake: s.k[2]: found a list; allowed: a string",
        ]
    );
}

#[test]
fn a_fraction_has_one_spelling_at_a_time() {
    let read = |s: &mut Section<'_, '_>| s.fraction("sample_fraction", &["sampleFraction"]);
    assert_eq!(with("sampleFraction: 0.1", read), (Some(0.1), vec![]));
    assert_eq!(with("sample_fraction: 0.1", read), (Some(0.1), vec![]));
    let (fraction, findings) = with("sampleFraction: 0.1\nsample_fraction: 0.2", read);
    assert_eq!(fraction, None);
    assert_eq!(
        findings,
        ["f.yaml:1: mistake: s.sampleFraction: the same as `sample_fraction`, which is set too"]
    );
}

#[test]
fn unknown_and_later_keys_are_mistakes() {
    let ((), findings) = with("spanns: 1\nlater: 2\nzzz: 3\n", |s| {
        s.integer("spans", 0..=1);
        s.later("later");
    });
    assert_eq!(
        findings,
        [
            "f.yaml:2: mistake: s.later: does not exist yet; take it out",
            "f.yaml:1: mistake: s.spanns: unknown key; allowed: spans; did you mean `spans`?",
            "f.yaml:3: mistake: s.zzz: unknown key; allowed: spans",
        ]
    );
}

#[test]
fn nothing_reads_as_an_empty_mapping_and_a_list_does_not() {
    let mut findings = Findings::default();
    let node = parse("f.yaml", "", &mut findings).unwrap();
    assert!(Section::open(&node, "", &mut findings).is_some());
    let node = parse("f.yaml", "- a\n", &mut findings).unwrap();
    assert!(Section::open(&node, "", &mut findings).is_none());
    assert_eq!(
        findings.to_string(),
        "f.yaml:1: mistake: found a list; allowed: a mapping\n"
    );
}

#[test]
fn a_found_value_cannot_forge_a_line() {
    let (_, findings) = with("k: \"x\\nf.yaml:9: \\e[31m\"", |s| s.boolean("k"));
    assert!(!findings[0].contains(['\n', '\u{1b}']), "{findings:?}");
}

#[test]
fn a_key_cannot_forge_a_line() {
    let (_, findings) = with("\"x\\nf.yaml:9: \\e[31m\": 1", |_| 0);
    assert_eq!(
        findings[0],
        "f.yaml:1: mistake: s.x f.yaml:9:  [31m: unknown key; nothing is allowed here"
    );
}
