//! Each operation on the attributes of a span, and all of them on every level.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, ArrayValue, EntityRef, KeyValue, KeyValueList, any_value::Value},
    resource::v1::Resource,
    trace::v1::{Span, span::Event},
};

use super::support::{
    attribute, edited, edited_span, hash_of, request, resource_attributes, span_attributes, text,
};

fn check(operations: &str, before: Vec<KeyValue>, after: &[KeyValue]) {
    let yaml = format!("- {{ on: span, {operations} }}");
    assert_eq!(span_attributes(&yaml, before), after, "{operations}");
}

fn list(values: Vec<Value>) -> Value {
    Value::ArrayValue(ArrayValue {
        values: values
            .into_iter()
            .map(|value| AnyValue { value: Some(value) })
            .collect(),
    })
}

fn string(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

#[test]
fn set_replaces_in_place_and_appends_what_is_new() {
    let (a, b) = (text("a", "1"), text("b", "2"));
    for (operations, before, after) in [
        ("set: { a: new }", vec![], vec![text("a", "new")]),
        (
            "set: { a: new }",
            vec![a.clone(), b.clone()],
            vec![text("a", "new"), b.clone()],
        ),
        (
            "set: { c: new }",
            vec![a.clone()],
            vec![a.clone(), text("c", "new")],
        ),
        ("set: { a: \"\" }", vec![a.clone()], vec![text("a", "")]),
        (
            "set: { a: new }",
            vec![a.clone(), b.clone(), a.clone()],
            vec![text("a", "new"), b.clone()],
        ),
        (
            "set: { c: 1, d: 2 }",
            vec![],
            vec![
                attribute("c", Value::IntValue(1)),
                attribute("d", Value::IntValue(2)),
            ],
        ),
    ] {
        check(operations, before, &after);
    }
}

#[test]
fn set_takes_every_scalar() {
    for (yaml, value) in [
        ("plain", string("plain")),
        ("\"1\"", string("1")),
        ("1", Value::IntValue(1)),
        ("-1", Value::IntValue(-1)),
        ("9223372036854775807", Value::IntValue(i64::MAX)),
        ("0.5", Value::DoubleValue(0.5)),
        ("true", Value::BoolValue(true)),
        ("false", Value::BoolValue(false)),
    ] {
        check(
            &format!("set: {{ a: {yaml} }}"),
            vec![],
            &[attribute("a", value)],
        );
    }
}

#[test]
fn set_if_absent_leaves_what_is_there() {
    let empty = KeyValue {
        key: "a".to_owned(),
        ..KeyValue::default()
    };
    check("set_if_absent: { a: new }", vec![], &[text("a", "new")]);
    check(
        "set_if_absent: { a: new }",
        vec![text("a", "1")],
        &[text("a", "1")],
    );
    check("set_if_absent: { a: new }", vec![empty.clone()], &[empty]);
}

#[test]
fn rename_keeps_value_and_place_and_replaces_the_target() {
    let (a, b, c) = (text("a", "1"), text("b", "2"), text("c", "3"));
    for (operations, before, after) in [
        (
            "rename: { a: z }",
            vec![a.clone(), b.clone()],
            vec![text("z", "1"), b.clone()],
        ),
        (
            "rename: { a: c }",
            vec![a.clone(), b.clone(), c.clone()],
            vec![text("c", "1"), b.clone()],
        ),
        (
            "rename: { c: a }",
            vec![a.clone(), b.clone(), c.clone()],
            vec![b.clone(), text("a", "3")],
        ),
        (
            "rename: { x: a }",
            vec![a.clone(), b.clone()],
            vec![a.clone(), b.clone()],
        ),
        (
            "rename: { a: z }",
            vec![a.clone(), b.clone(), a.clone()],
            vec![text("z", "1"), b.clone(), text("z", "1")],
        ),
        (
            "rename: { a: b, b: c }",
            vec![a.clone()],
            vec![text("c", "1")],
        ),
    ] {
        check(operations, before, &after);
    }
}

#[test]
fn remove_takes_keys_and_globs() {
    let headers = || {
        vec![
            text("http.request.header.a", "1"),
            text("http.request.header", "2"),
            text("db.statement", "3"),
            text("db.statement", "4"),
            text("x", "5"),
        ]
    };
    let left = [text("http.request.header", "2"), text("x", "5")];
    check(
        r#"remove: ["db.statement", "http.request.header.*"]"#,
        headers(),
        &left,
    );
    check(r#"remove: "*""#, headers(), &[]);
    check("remove: absent", headers(), &headers());
}

#[test]
fn hash_takes_the_bytes_of_strings_and_the_text_of_other_scalars() {
    for (value, hashed) in [
        (string("alice"), b"alice".as_slice()),
        (string(""), b""),
        (Value::BytesValue(b"\xff\x00".to_vec()), b"\xff\x00"),
        (Value::BoolValue(true), b"true"),
        (Value::IntValue(-42), b"-42"),
        (Value::DoubleValue(0.5), b"0.5"),
        (Value::DoubleValue(1e21), b"1000000000000000000000"),
        // The list's encoding: one value in it, the string "a".
        (list(vec![string("a")]), b"\x0a\x03\x0a\x01a"),
    ] {
        check(
            r#"hash: ["enduser.id"]"#,
            vec![attribute("enduser.id", value)],
            &[text("enduser.id", &hash_of(hashed))],
        );
    }
}

#[test]
fn hash_is_the_hmac_of_the_key_without_its_line_end() {
    // From `printf alice | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef`.
    let digest = "433deb45467e4e53dbaba594c88bc3a200f705a2150788c3d11e6040e63e8510";
    check("hash: a", vec![text("a", "alice")], &[text("a", digest)]);
}

#[test]
fn hash_takes_globs_and_duplicates_and_leaves_what_has_no_value() {
    let empty = KeyValue {
        key: "user.none".to_owned(),
        ..KeyValue::default()
    };
    let before = vec![
        text("user.a", "1"),
        text("other", "1"),
        text("user.a", "2"),
        empty.clone(),
    ];
    let after = [
        text("user.a", &hash_of(b"1")),
        text("other", "1"),
        text("user.a", &hash_of(b"2")),
        empty,
    ];
    check(r#"hash: ["user.*"]"#, before, &after);
}

#[test]
fn mask_replaces_every_match_in_strings() {
    let mask = r#"mask: { "(?i)bearer [a-z0-9._-]+": "bearer ***" }"#;
    for (before, after) in [
        (string("Bearer abc.def"), string("bearer ***")),
        (
            string("x BEARER 1, bearer 2"),
            string("x bearer ***, bearer ***"),
        ),
        (string("nothing"), string("nothing")),
        (
            Value::BytesValue(b"bearer abc".to_vec()),
            Value::BytesValue(b"bearer abc".to_vec()),
        ),
        (Value::IntValue(7), Value::IntValue(7)),
        (
            list(vec![
                string("ok"),
                Value::IntValue(1),
                list(vec![string("bearer x")]),
            ]),
            list(vec![
                string("ok"),
                Value::IntValue(1),
                list(vec![string("bearer ***")]),
            ]),
        ),
        (
            Value::KvlistValue(KeyValueList {
                values: vec![text("bearer k", "bearer v"), text("n", "1")],
            }),
            Value::KvlistValue(KeyValueList {
                values: vec![text("bearer k", "bearer ***"), text("n", "1")],
            }),
        ),
    ] {
        check(mask, vec![attribute("a", before)], &[attribute("a", after)]);
    }
}

#[test]
fn masks_are_applied_in_order_and_replacements_are_literal() {
    check(
        r#"mask: { "a+": b, "b+": c }"#,
        vec![text("k", "aaxb")],
        &[text("k", "cxc")],
    );
    check(
        r#"mask: { "(a)b": "$$" }"#,
        vec![text("k", "ab")],
        &[text("k", "$$")],
    );
}

#[test]
fn truncate_cuts_at_a_character_border() {
    for (most, before, after) in [
        (3, "abcd", "abc"),
        (4, "abcd", "abcd"),
        (5, "abcd", "abcd"),
        (3, "aäü", "aä"),
        (4, "aäü", "aä"),
        (5, "aäü", "aäü"),
        (3, "💚", ""),
        (4, "💚💚", "💚"),
        (1, "", ""),
    ] {
        let operations = format!("truncate_bytes: {most}");
        check(&operations, vec![text("k", before)], &[text("k", after)]);
        check(
            &operations,
            vec![attribute("k", list(vec![string(before)]))],
            &[attribute("k", list(vec![string(after)]))],
        );
    }
}

#[test]
fn truncate_takes_sizes_and_cuts_after_masking() {
    let long = "x".repeat(5000);
    check(
        "truncate_bytes: 4KiB",
        vec![text("k", &long)],
        &[text("k", &long[..4096])],
    );
    check(
        r#"mask: { "secret": s }, truncate_bytes: 5"#,
        vec![text("k", "xsecret123")],
        &[text("k", "xs123")],
    );
}

#[test]
fn the_operations_of_an_entry_are_done_in_a_fixed_order() {
    // Written backwards: set, set_if_absent, rename, remove, hash, mask, truncate_bytes all the same.
    let operations = r#"truncate_bytes: 8, mask: { "[0-9]": "_" }, hash: [d], remove: [c], rename: { b: c, a: d }, set_if_absent: { b: 1 }, set: { a: v }"#;
    let hash = hash_of(b"v");
    let masked: String = hash
        .chars()
        .take(8)
        .map(|c| if c.is_ascii_digit() { '_' } else { c })
        .collect();
    check(operations, vec![], &[text("d", &masked)]);
}

#[test]
fn a_mask_does_not_make_more_of_a_message_than_its_bound() {
    const GROWTH: usize = 1024 * 1024;
    // Given a short match with a long replacement, and texts of nothing but matches, in two spans.
    let replacement = "ü".repeat(500);
    let span = |length| Span {
        attributes: vec![
            text("a", &"x".repeat(length)),
            text("b", "xx"),
            text("c", "x-"),
        ],
        ..Span::default()
    };
    let given = request(Resource::default(), vec![span(100_000), span(100_001)]);
    // When they are masked.
    let yaml = format!("- {{ on: span, mask: {{ x: {replacement} }} }}");
    let out = edited(&yaml, &given);
    // Then in each span the first value takes all the growth there is, in whole characters, no other grows by more than
    // is left of it, and no match is left anywhere.
    let spans = &out.resource_spans[0].scope_spans[0].spans;
    let lengths = |span: &Span| -> Vec<usize> {
        let values = span
            .attributes
            .iter()
            .map(|attribute| attribute.value.clone());
        let texts = values.map(|value| match value.and_then(|value| value.value) {
            Some(Value::StringValue(text)) => text,
            other => panic!("{other:?} is no string"),
        });
        texts
            .inspect(|text| assert!(!text.contains('x')))
            .map(|text| text.len())
            .collect()
    };
    assert_eq!(lengths(&spans[0]), [100_000 + GROWTH, 2, 2]);
    assert_eq!(lengths(&spans[1]), [100_000 + GROWTH, 2, 2]);
}

#[test]
fn what_is_nested_too_deep_to_be_masked_is_left_out() {
    let nested =
        |levels: usize, inner: Value| (0..levels).fold(inner, |value, _| list(vec![value]));
    let yaml = "- { on: span, mask: { secret: s } }";
    // prost itself refuses what is nested deeper than it reads, so the bytes are searched.
    for (levels, masked) in [(40, true), (49, true), (50, false), (60, false)] {
        let span = Span {
            attributes: vec![attribute("k", nested(levels, string("a secret")))],
            ..Span::default()
        };
        let bytes = prost::Message::encode_to_vec(&request(Resource::default(), vec![span]));
        let out = super::support::edit_bytes(&super::support::enricher(yaml), &bytes);
        let has = |needle: &[u8]| out.windows(needle.len()).any(|window| window == needle);
        assert!(!has(b"secret"), "{levels}");
        assert_eq!(has(b"a s"), masked, "{levels}");
    }
}

#[test]
fn every_level_has_its_own_attributes() {
    let operations = r"set: { new: 1 }, rename: { a: b }";
    let before = vec![text("a", "x")];
    let after = [text("b", "x"), attribute("new", Value::IntValue(1))];
    for level in ["resource", "span", "event"] {
        let event = Event {
            name: "e".to_owned(),
            attributes: before.clone(),
            ..Event::default()
        };
        let span = Span {
            name: "s".to_owned(),
            attributes: before.clone(),
            events: vec![event.clone(), event],
            ..Span::default()
        };
        let resource = Resource {
            attributes: before.clone(),
            ..Resource::default()
        };
        let mut expected = request(resource, vec![span]);
        let given = expected.clone();
        let spans = &mut expected.resource_spans[0];
        let span = &mut spans.scope_spans[0].spans[0];
        match level {
            "resource" => spans.resource.as_mut().unwrap().attributes = after.to_vec(),
            "span" => span.attributes = after.to_vec(),
            _ => span
                .events
                .iter_mut()
                .for_each(|event| event.attributes = after.to_vec()),
        }
        assert_eq!(
            edited(&format!("- {{ on: {level}, {operations} }}"), &given),
            expected
        );
    }
}

#[test]
fn empty_resources_and_spans_get_attributes_too() {
    let set = [text("a", "b")];
    assert_eq!(
        resource_attributes("- { on: resource, set: { a: b } }", vec![]),
        set
    );
    assert_eq!(
        span_attributes("- { on: span, set: { a: b } }", vec![]),
        set
    );
    let span = Span {
        events: vec![Event::default()],
        ..Span::default()
    };
    let edited = edited_span("- { on: event, set: { a: b } }", span);
    assert_eq!(edited.events[0].attributes, set);
}

#[test]
fn entities_that_name_a_lost_key_are_dropped() {
    let entity = |name: &str, id: &str, description: &str| EntityRef {
        r#type: name.to_owned(),
        id_keys: vec![id.to_owned()],
        description_keys: vec![description.to_owned()],
        ..EntityRef::default()
    };
    let all = ["host", "service", "both"];
    for (operations, left) in [
        ("set: { service.name: new }", all.as_slice()),
        ("hash: [service.name]", &all),
        ("remove: [absent]", &all),
        ("remove: [service.name]", &["host"]),
        ("rename: { service.name: x }", &["host"]),
        ("remove: [host.name]", &["service", "both"]),
        ("remove: [\"*\"]", &[]),
    ] {
        let resource = Resource {
            attributes: vec![
                text("host.id", "1"),
                text("host.name", "2"),
                text("service.name", "3"),
            ],
            entity_refs: vec![
                entity("host", "host.id", "host.name"),
                entity("service", "service.name", "service.name"),
                entity("both", "host.id", "service.name"),
            ],
            ..Resource::default()
        };
        let out = edited(
            &format!("- {{ on: resource, {operations} }}"),
            &request(resource, vec![]),
        );
        let entities = &out.resource_spans[0].resource.as_ref().unwrap().entity_refs;
        let found: Vec<_> = entities
            .iter()
            .map(|entity| entity.r#type.as_str())
            .collect();
        assert_eq!(found, left, "{operations}");
    }
}
