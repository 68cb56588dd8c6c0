//! What a policy file may hold, and every mistake in one.

use super::*;

fn findings(text: &str) -> Vec<String> {
    read(text, Randomness::Auto, 0).1
}

#[test]
fn policies_are_listed_as_compiled_with_their_conditions_as_written() {
    let sampler = sampler(
        "
services: { standalone: { sampleFraction: 0.1 } }
rules:
  - { name: health checks, match: { span: [a, 'b*'], attributes: { n: 1, b: true, d: 0.5 } }, sample_fraction: 0 }
  - { sample_fraction: '0.25', match: { service: x } }
",
        Randomness::Auto,
        0,
    );
    assert_eq!(
        serde_json::to_value(sampler.policies()).unwrap(),
        serde_json::json!([
            {
                "name": "rule health checks",
                "kind": "rule",
                "fraction": 0.0,
                "match": { "span": ["a", "b*"], "attributes": { "n": 1, "b": true, "d": 0.5 } },
            },
            { "name": "rule 2", "kind": "rule", "fraction": 0.25, "match": { "service": "x" } },
            {
                "name": "service standalone",
                "kind": "service",
                "fraction": 0.1,
                "match": { "service": "standalone" },
            },
            { "name": "default", "kind": "default", "fraction": 1.0, "match": {} },
        ])
    );
}

#[test]
fn an_empty_file_keeps_everything() {
    for text in [
        "",
        "{}",
        "default:",
        "{ default: {}, services: {}, rules: [] }",
    ] {
        let (sampler, findings) = read(text, Randomness::Auto, 0);
        assert_eq!(findings, [""; 0], "{text}");
        assert_eq!(
            sampler.policies(),
            Sampler::keep_all(Randomness::Auto, 0).policies(),
            "{text}"
        );
    }
}

#[test]
fn what_the_rules_read_is_wanted() {
    let sampler = sampler(
        "
rules:
  - { match: { status: error }, sample_fraction: 1 }
  - { match: { scope: a, resource_attributes: { b: 1 } }, sample_fraction: 1 }
",
        Randomness::Auto,
        0,
    );
    let expected = crate::wire::Wanted {
        status: true,
        scope: true,
        resource_attributes: crate::wire::Detail::Values,
        ..crate::wire::Wanted::default()
    };
    assert_eq!(sampler.wanted(), expected);
    assert_eq!(
        Sampler::keep_all(Randomness::Auto, 0).wanted(),
        crate::wire::Wanted::default()
    );
}

/// Among the mistakes in `text` there is one with `expected`.
#[track_caller]
fn check_mistake(text: &str, expected: &str) {
    let found = findings(text);
    let mut mistakes = found.iter().filter(|line| line.contains(": mistake: "));
    assert!(
        mistakes.any(|line| line.contains(expected)),
        "{text}: {found:?} lacks {expected}"
    );
}

/// A policy file with one rule.
fn rule(rest: &str) -> String {
    format!("rules:\n  - {{ name: a, {rest} }}")
}

#[test]
fn a_fraction_is_from_0_to_1_and_is_given_once() {
    let default = "p.yaml:1: mistake: default.sample_fraction: found the number 1.1; allowed: a fraction from 0 to 1";
    check_mistake("default: { sample_fraction: 1.1 }", default);
    check_mistake(
        "default: { sampleFraction: -0.1 }",
        "default.sampleFraction: found the number -0.1",
    );
    check_mistake(
        "default: { sample_fraction: .nan }",
        "default.sample_fraction: found",
    );
    let service = "services.a.sample_fraction: ";
    check_mistake(
        "services: { a: { sample_fraction: 10 } }",
        &format!("{service}found the number 10"),
    );
    check_mistake(
        "services: { a: { sample_fraction: half } }",
        &format!("{service}found `half`"),
    );
    check_mistake("services: { a: {} }", &format!("{service}missing"));
    let in_rule = "p.yaml:2: mistake: rules[0].sample_fraction: ";
    check_mistake(
        &rule("sample_fraction: 2"),
        &format!("{in_rule}found the number 2"),
    );
    check_mistake(&rule("match: { span: a }"), &format!("{in_rule}missing"));
    let twice = "rules[0].sampleFraction: the same as `sample_fraction`";
    check_mistake(&rule("sample_fraction: 1, sampleFraction: 1"), twice);
    for outside in ["-0.000001", "1.000001", "-1e-20", ".inf"] {
        check_mistake(
            &format!("default: {{ sample_fraction: {outside} }}"),
            "allowed: a fraction from 0 to 1",
        );
    }
    for edge in ["0", "1", "0.0", "1.0", "1e-20", "0.999999"] {
        assert_eq!(
            findings(&format!("default: {{ sample_fraction: {edge} }}")),
            [""; 0]
        );
    }
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest_one() {
    check_mistake(
        "defaults: {}",
        "defaults: unknown key; allowed: default, rules, services; did you mean `default`?",
    );
    check_mistake(
        "default: { sample_fracton: 1 }",
        "default.sample_fracton: unknown key",
    );
    check_mistake(
        "services: { a: { sample_fraction: 1, x: 1 } }",
        "services.a.x: unknown key",
    );
    check_mistake(
        &rule("sample_fraction: 1, matches: {}"),
        "did you mean `match`?",
    );
    check_mistake(
        &rule("sample_fraction: 1, match: { spam: a }"),
        "rules[0].match.spam: unknown key",
    );
}

#[test]
fn a_wrong_type_is_a_mistake() {
    check_mistake("[]", "found a list; allowed: a mapping");
    check_mistake("rules: {}", "rules: found a mapping; allowed: a list");
    check_mistake("rules: [a]", "rules[0]: found `a`; allowed: a mapping");
    check_mistake("services: []", "services: found a list; allowed: a mapping");
    check_mistake(
        "services: { a: 0.1 }",
        "services.a: found the number 0.1; write { sample_fraction: 0.1 }",
    );
    check_mistake(
        "default: 1",
        "default: found the number 1; write { sample_fraction: 1 }",
    );
    check_mistake(
        "rules: [{ name: 7, sample_fraction: 1 }]",
        "rules[0].name: found the number 7",
    );
}

#[test]
fn what_comes_later_says_so() {
    let later = "does not exist yet";
    check_mistake(
        "whole_traces: { wait_max: 30s }",
        &format!("whole_traces: {later}"),
    );
    let rate = rule("sample_fraction: 1, traces_per_second_max: 5");
    check_mistake(&rate, &format!("rules[0].traces_per_second_max: {later}"));
    let root = rule("match: { root_span: a }, sample_fraction: 1");
    check_mistake(&root, &format!("rules[0].match.root_span: {later}"));
}

#[test]
fn names_are_used_once() {
    let text = "
rules:
  - { name: a, match: { service: a }, sample_fraction: 1 }
  - { name: a, match: { service: b }, sample_fraction: 1 }
  - { match: { service: c }, sample_fraction: 1 }
  - { name: '3', match: { service: d }, sample_fraction: 1 }
";
    let found = findings(text);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("p.yaml:4: mistake: rules[1].name: `a` is the name of rules[0] too"));
    assert!(found[1].contains("rules[3].name: `3` is the name of rules[2] too"));
}

#[test]
fn services_are_named_once() {
    let found = findings("services:\n  a: { sample_fraction: 1 }\n  a: { sample_fraction: 0 }\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("p.yaml:3: mistake: services.a"),
        "{found:?}"
    );
}

#[test]
fn a_rule_that_is_never_reached_is_a_mistake() {
    let rules = |first: &str, second: &str| {
        format!(
            "rules:\n  - {{ name: first, {first} sample_fraction: 1 }}\n  - {{ name: second, {second} sample_fraction: 0 }}\n"
        )
    };
    let mistake = "p.yaml:3: mistake: rules[1].match: never reached: rules[0] (`first`, p.yaml:2)";
    let warning = "p.yaml:3: warning: rules[1].match: never reached: rules[0] (`first`, p.yaml:2)";
    let cases = [
        (
            "",
            "match: { service: a },",
            Some(format!("{mistake} has no condition")),
        ),
        (
            "match: {},",
            "",
            Some(format!("{mistake} has no condition")),
        ),
        (
            "match: { service: a },",
            "match: { service: a },",
            Some(format!("{mistake} has the same conditions")),
        ),
        (
            "match: { service: [a, b], scope: c },",
            "match: { scope: [c], service: [b, a] },",
            Some(format!("{mistake} has the same conditions")),
        ),
        (
            "match: { service: a },",
            "match: { service: a, scope: b },",
            Some(format!("{warning} takes every span")),
        ),
        (
            "match: { service: a, scope: b },",
            "match: { service: a },",
            None,
        ),
        ("match: { service: a },", "match: { service: b },", None),
        ("match: { service: a },", "", None),
        // A rule whose conditions could not be read says nothing about others.
        (
            "match: { servce: a },",
            "match: { service: a },",
            Some("p.yaml:2: mistake: rules[0].match.servce: unknown key".to_owned()),
        ),
    ];
    for (first, second, expected) in cases {
        let found = findings(&rules(first, second));
        match expected {
            Some(expected) => assert!(
                found.len() == 1 && found[0].starts_with(&expected),
                "{first} {second}: {found:?} is not {expected}"
            ),
            None => assert_eq!(found, [""; 0], "{first} {second}"),
        }
    }
}

#[test]
fn each_rule_that_looks_at_single_spans_draws_a_warning() {
    let cases = [
        ("span: a", "`span`"),
        ("status: error", "`status`"),
        ("kind: server", "`kind`"),
        (
            "{ duration_min: 1s, duration_max: 2s }",
            "`duration_min`, `duration_max`",
        ),
        ("{ attributes: { a: 1, b: 2 }, service: x }", "`attributes`"),
    ];
    for (conditions, keys) in cases {
        let found = findings(&format!(
            "rules:\n  - match:\n      {conditions}\n    sample_fraction: 1"
        ));
        assert_eq!(found.len(), 1, "{conditions}: {found:?}");
        let start = format!("p.yaml:2: warning: rules[0].match: looks at single spans ({keys})");
        assert!(found[0].starts_with(&start), "{conditions}: {found:?}");
        assert!(found[0].contains("traces can lose parts"));
    }
    let whole = "rules: [{ match: { service: a, scope: b, resource_attributes: { c: 1 } }, sample_fraction: 1 }]";
    assert_eq!(findings(whole), [""; 0]);
}

#[test]
fn a_service_that_looks_like_a_pattern_draws_a_warning() {
    let found = findings("services: { 'milvus-*': { sample_fraction: 1 } }");
    assert!(
        found[0].starts_with("p.yaml:1: warning: services.milvus-*: "),
        "{found:?}"
    );
}

#[test]
fn the_parts_of_a_milvus_with_different_fractions_draw_a_warning() {
    let found = |services: &str| {
        findings(&format!(
            "default: {{ sample_fraction: 0.5 }}\nservices: {{ {services} }}\n"
        ))
    };
    let (go, cpp) = (
        "standalone: { sample_fraction: 0.1 }",
        "segcore: { sample_fraction: 0.1 }",
    );
    let different = format!("{go}, segcore: {{ sample_fraction: 0.2 }}");
    for (services, [of_go, of_cpp]) in [
        (go, [0.1, 0.5]),
        (cpp, [0.5, 0.1]),
        (&different, [0.1, 0.2]),
    ] {
        let start = format!(
            "p.yaml:2: warning: services: `standalone` keeps {of_go} and `segcore` {of_cpp}: "
        );
        let found = found(services);
        assert!(
            found.len() == 1 && found[0].starts_with(&start),
            "{found:?}"
        );
    }
    for services in [&format!("{go}, {cpp}"), "proxy: { sample_fraction: 0.1 }"] {
        assert_eq!(found(services), [""; 0], "{services}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let text = "
default: { sample_fraction: 7 }
services: { a: { sample_fraction: x } }
rules:
  - { name: a, match: { kind: bad, status: bad }, sample_fraction: -1 }
  - { name: a, traces_per_second_max: 5 }
whole_traces: {}
more: 1
";
    // Two fractions, two words, a fraction, a name, a missing fraction, two of later, an unknown key.
    let found = findings(text);
    let mistakes = found.iter().filter(|line| line.contains(": mistake: "));
    assert_eq!(mistakes.count(), 10, "{found:#?}");
}

#[test]
fn there_is_a_bound_on_rules_and_services() {
    use std::fmt::Write as _;
    let rules = |count: usize| {
        let mut text = "rules:\n".to_owned();
        for index in 0..count {
            writeln!(
                text,
                "  - {{ match: {{ service: s{index} }}, sample_fraction: 1 }}"
            )
            .unwrap();
        }
        text
    };
    for allowed in [999, 1000] {
        assert_eq!(findings(&rules(allowed)), [""; 0], "{allowed}");
    }
    let found = findings(&rules(1001));
    assert_eq!(
        found,
        ["p.yaml:1: mistake: rules: 1001 rules; at most 1000"]
    );
}
