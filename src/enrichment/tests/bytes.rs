//! What no edit touches passes byte by byte; a tracestate is replaced beside the edits; a second span costs no memory.

use opentelemetry_proto::tonic::{
    common::v1::any_value::Value,
    trace::v1::{Span, span::Event},
};
use prost::Message;

use super::support::{attribute, enricher, field_into, span_view, text, written};
use crate::{
    enrichment::{Enricher, SCRATCH_FACTOR},
    otlp,
    wire::{Prepend, ResourceView, ScopeView},
};

/// A field that OTLP does not have, of each wire type.
const UNKNOWN: [&[u8]; 5] = [
    b"\xf8\x7d\x05",                             // 2015: a varint
    b"\xf9\x7d\x01\x02\x03\x04\x05\x06\x07\x08", // 2015: eight bytes
    b"\xfa\x7d\x02\xff\xfe",                     // 2015: two bytes
    b"\xfb\x7d\x08\x01\xfc\x7d",                 // 2015: a group
    b"\xfd\x7d\x01\x02\x03\x04",                 // 2015: four bytes
];

fn field(number: otlp::FieldNumber, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    field_into(&mut out, number, &parts.concat());
    out
}

fn write_span(enricher: &Enricher, span: &[u8], trace_state: Option<&[u8]>) -> Option<Vec<u8>> {
    let mut editing = enricher.editing();
    editing.enter_resource(ResourceView::default());
    editing.enter_scope(ScopeView::default());
    let mut changed = false;
    let out = written(|out| changed = editing.write_span(span_view(span), trace_state, out));
    assert!(changed || out.is_empty());
    changed.then_some(out)
}

fn write_resource(enricher: &Enricher, resource: &[u8]) -> Vec<u8> {
    let mut editing = enricher.editing();
    editing.enter_resource(ResourceView { message: resource });
    written(|out| editing.write_resource(out))
}

#[test]
fn what_changes_nothing_writes_nothing() {
    let span = Span {
        name: "s".to_owned(),
        trace_state: "a=b".to_owned(),
        attributes: vec![text("a", "x"), text("b", "y")],
        events: vec![Event::default()],
        ..Span::default()
    }
    .encode_to_vec();
    for operations in [
        "set: { a: x }",
        "set_if_absent: { a: z }",
        "rename: { c: d }",
        "remove: [c, d*]",
        "hash: [c]",
        "mask: { zzz: y }",
        "truncate_bytes: 1",
        "match: { span: other }, set: { a: z }",
        "match: { attributes: { a: other } }, set: { a: z }",
    ] {
        for level in ["span", "event"] {
            let yaml = format!("- {{ on: {level}, {operations} }}");
            if level == "event" && operations.starts_with("set") {
                continue;
            }
            assert_eq!(write_span(&enricher(&yaml), &span, None), None, "{yaml}");
            let same = Some(b"a=b".as_slice());
            assert_eq!(write_span(&enricher(&yaml), &span, same), None, "{yaml}");
        }
    }
}

#[test]
fn a61_unknown_fields_stay_at_every_level() {
    for unknown in UNKNOWN {
        // Given a span, an event, attributes and values with a field that nobody knows, at their start, middle and end.
        let value = |text: &[u8]| {
            field(
                otlp::key_value::VALUE,
                &[unknown, &field(otlp::any_value::STRING, &[text]), unknown],
            )
        };
        let key = |key: &[u8]| field(otlp::key_value::KEY, &[key]);
        let attributes = |number, a: &[u8], b: &[u8]| {
            [
                unknown.to_vec(),
                field(number, &[unknown, &key(a), unknown, &value(b), unknown]),
                unknown.to_vec(),
            ]
            .concat()
        };
        let span = |key: &[u8], text: &[u8]| {
            let events = attributes(otlp::event::ATTRIBUTES, key, text);
            let event = [unknown, &events, b"\x12\x01e"].concat();
            let attributes = attributes(otlp::span::ATTRIBUTES, key, text);
            [
                attributes.as_slice(),
                &field(otlp::span::EVENTS, &[&event]),
                unknown,
            ]
            .concat()
        };
        // When only values are edited, every byte but those of the value stays.
        let yaml = "
- { on: span, mask: { secret: '***' } }
- { on: event, mask: { secret: '***' } }";
        assert_eq!(
            write_span(&enricher(yaml), &span(b"a", b"a secret"), None),
            Some(span(b"a", b"a ***"))
        );
        // When an attribute comes to it, it comes last.
        let set = enricher("- { on: span, set: { new: true } }");
        let appended = attribute("new", Value::BoolValue(true)).encode_to_vec();
        let before = span(b"a", b"x");
        let after = [before.clone(), field(otlp::span::ATTRIBUTES, &[&appended])].concat();
        assert_eq!(write_span(&set, &before, None), Some(after));
        // The same on a resource.
        let before = attributes(otlp::resource::ATTRIBUTES, b"a", b"x");
        let after = [
            before.clone(),
            field(otlp::resource::ATTRIBUTES, &[&appended]),
        ]
        .concat();
        let set = enricher("- { on: resource, set: { new: true } }");
        assert_eq!(write_resource(&set, &before), after);
    }
}

#[test]
fn renaming_and_hashing_keep_the_unknown_fields_of_an_attribute() {
    let unknown = UNKNOWN[2];
    let given = field(
        otlp::span::ATTRIBUTES,
        &[unknown, b"\x0a\x01a", unknown, b"\x12\x03\x0a\x01v"],
    );
    let renamed = field(
        otlp::span::ATTRIBUTES,
        &[b"\x0a\x01b", unknown, unknown, b"\x12\x03\x0a\x01v"],
    );
    let rename = enricher("- { on: span, rename: { a: b } }");
    assert_eq!(write_span(&rename, &given, None), Some(renamed));
    let hashed = write_span(&enricher("- { on: span, hash: [a] }"), &given, None).unwrap();
    let count = hashed
        .windows(unknown.len())
        .filter(|window| *window == unknown)
        .count();
    assert_eq!(count, 2);
}

#[test]
fn repeated_keys_and_values_are_read_as_protobuf_merges_them() {
    // Given an attribute whose key comes twice, and whose value comes in three parts: "secret", nothing, 7.
    let given = field(
        otlp::span::ATTRIBUTES,
        &[
            b"\x0a\x01x",
            b"\x12\x08\x0a\x06secret",
            b"\x0a\x01a",
            b"\x12\x00",
            b"\x12\x02\x18\x07",
        ],
    );
    let decoded =
        |bytes: Option<Vec<u8>>| Span::decode(bytes.unwrap().as_slice()).unwrap().attributes;
    // Then the last key counts, for every operation.
    let rename = enricher("- { on: span, rename: { a: b, x: wrong } }");
    let renamed = decoded(write_span(&rename, &given, None));
    assert_eq!(renamed, [attribute("b", Value::IntValue(7))]);
    // And the last value is hashed, and nothing of the others stays.
    let hash =
        |span: &[u8]| write_span(&enricher("- { on: span, hash: [a] }"), span, None).unwrap();
    let hashed = hash(&given);
    assert!(!hashed.windows(6).any(|window| window == b"secret"));
    let plain = Span {
        attributes: vec![attribute("a", Value::IntValue(7))],
        ..Span::default()
    };
    let value = |bytes| decoded(Some(bytes))[0].value.clone();
    assert_eq!(value(hashed), value(hash(&plain.encode_to_vec())));
    // And a mask treats the values that do not count too.
    let mask = enricher("- { on: span, mask: { secret: s } }");
    let masked = write_span(&mask, &given, None).unwrap();
    assert!(!masked.windows(6).any(|window| window == b"secret"));
}

#[test]
fn broken_utf8_passes_and_is_edited_byte_by_byte() {
    let attribute = |key: &[u8], text: &[u8]| {
        let value = field(otlp::any_value::STRING, &[text]);
        let fields = [
            field(otlp::key_value::KEY, &[key]),
            field(otlp::key_value::VALUE, &[&value]),
        ];
        field(otlp::span::ATTRIBUTES, &[&fields.concat()])
    };
    for (operations, before, after) in [
        (
            "mask: { secret: s }",
            (b"a\xff".as_slice(), b"\xfe secret \xff".as_slice()),
            (b"a\xff".as_slice(), b"\xfe s \xff".as_slice()),
        ),
        (
            "truncate_bytes: 3",
            (b"a", b"\xff\xfe\xfd\xfc"),
            (b"a", b"\xff\xfe\xfd"),
        ),
        // Six continuation bytes: no character starts nearby.
        (
            "truncate_bytes: 5",
            (b"a", b"\x80\x80\x80\x80\x80\x80"),
            (b"a", b"\x80\x80\x80\x80\x80"),
        ),
    ] {
        let enricher = enricher(&format!("- {{ on: span, {operations} }}"));
        assert_eq!(
            write_span(&enricher, &attribute(before.0, before.1), None),
            Some(attribute(after.0, after.1)),
            "{operations}"
        );
    }
    let remove = enricher("- { on: span, remove: [\"a*\"] }");
    assert_eq!(
        write_span(&remove, &attribute(b"a\xff", b"x"), None),
        Some(vec![])
    );
}

#[test]
fn a_broken_value_passes_as_it_came() {
    // A string that claims more bytes than there are, beside one that is whole.
    let broken = field(
        otlp::span::ATTRIBUTES,
        &[b"\x0a\x01a", b"\x12\x0b\x0a\x06secret\x0a\x7fx"],
    );
    let masked = field(
        otlp::span::ATTRIBUTES,
        &[b"\x0a\x01a", b"\x12\x06\x0a\x01s\x0a\x7fx"],
    );
    let mask = enricher("- { on: span, mask: { secret: s } }");
    assert_eq!(write_span(&mask, &broken, None), Some(masked));
    let set = enricher("- { on: span, set: { a: x } }");
    assert!(write_span(&set, &broken, None).is_some());
}

#[test]
fn a_tracestate_is_replaced_where_it_stood() {
    let nothing = Enricher::default();
    let field = |text: &[u8]| field(otlp::span::TRACE_STATE, &[text]);
    let name = b"\x2a\x01n".as_slice();
    for (before, new, after) in [
        (
            vec![name],
            b"a=b".as_slice(),
            vec![name.to_vec(), field(b"a=b")],
        ),
        (
            vec![&field(b"x=y"), name],
            b"a=b",
            vec![field(b"a=b"), name.to_vec()],
        ),
        (
            vec![&field(b"x=y"), name, &field(b"z=z")],
            b"a=b",
            vec![field(b"a=b"), name.to_vec()],
        ),
        (vec![&field(b"x=y"), name], b"", vec![name.to_vec()]),
    ] {
        let written = write_span(&nothing, &before.concat(), Some(new));
        assert_eq!(written, Some(after.concat()));
    }
    assert_eq!(write_span(&nothing, name, Some(b"")), None);
    let set = enricher("- { on: span, set: { a: b } }");
    let span = write_span(&set, &field(b"x=y"), Some(b"n=w")).unwrap();
    let span = Span::decode(span.as_slice()).unwrap();
    assert_eq!(
        (span.trace_state.as_str(), span.attributes),
        ("n=w", vec![text("a", "b")])
    );
}

#[test]
fn a_resource_is_written_as_it_came_when_no_edit_changes_it() {
    let resource = [UNKNOWN.concat(), b"\x10\x05".to_vec()].concat();
    for yaml in [
        "[]",
        "- { on: resource, remove: [a] }",
        "- { on: span, set: { a: b } }",
    ] {
        assert_eq!(write_resource(&enricher(yaml), &resource), resource);
        assert_eq!(write_resource(&enricher(yaml), b""), b"");
    }
}

#[test]
fn large_values_are_edited_and_superseded_copies_let_go() {
    // Given a value of 3 MiB that fourteen entries write anew, one of them after a look at it.
    let large = format!("secret {}", "x".repeat(3 << 20));
    let span = Span {
        attributes: vec![text("a", &large), text("b", "secret")],
        ..Span::default()
    }
    .encode_to_vec();
    let twelve = "- { on: span, mask: { secret: one } }\n- { on: span, mask: { one: secret } }\n";
    let yaml = format!(
        "{}
- {{ on: span, rename: {{ a: c }} }}
- {{ on: span, match: {{ attributes: {{ c: 'secret*' }} }}, mask: {{ secret: three }} }}",
        twelve.repeat(6)
    );
    let enricher = enricher(&yaml);
    let mut editing = enricher.editing();
    editing.enter_resource(ResourceView::default());
    editing.enter_scope(ScopeView::default());
    // When it is written.
    let written = written(|out| assert!(editing.write_span(span_view(&span), None, out)));
    // Then it is right, and not every version of it was held until the end.
    let expected = [
        text("c", &large.replace("secret", "three")),
        text("b", "three"),
    ];
    assert!(Span::decode(written.as_slice()).unwrap().attributes == expected);
    let scratch_bytes = editing.scratch_bytes();
    assert!(
        scratch_bytes < SCRATCH_FACTOR * large.len(),
        "{scratch_bytes}"
    );
}

#[test]
fn more_spans_take_no_more_memory() {
    let yaml = "
- { on: resource, set: { a: b }, remove: [c] }
- { on: span, set: { a: b }, hash: [h], mask: { secret: s }, rename: { r: q }, truncate_bytes: 20 }
- { on: span, match: { attributes: { q: '*' } }, mask: { s: t }, remove: [q] }
- { on: event, set: { a: b }, mask: { secret: s } }";
    let enricher = enricher(yaml);
    let attributes = vec![text("h", "x"), text("r", "a secret"), text("c", "secret")];
    let event = Event {
        attributes: attributes.clone(),
        ..Event::default()
    };
    let span = Span {
        attributes,
        events: vec![event; 3],
        ..Span::default()
    }
    .encode_to_vec();
    let mut editing = enricher.editing();
    let resources = [b"\x0a\x03\x0a\x01c".as_slice(), b"\x0a\x03\x0a\x01d"];
    // When it is written again and again, under resources that take turns.
    let scratch_bytes: Vec<_> = (0..100)
        .map(|round| {
            let message = resources[round % 2];
            editing.enter_resource(ResourceView { message });
            editing.enter_scope(ScopeView::default());
            let mut out = Prepend::with_capacity(4096);
            assert!(editing.write_span(span_view(&span), None, &mut out));
            editing.scratch_bytes()
        })
        .collect();
    // Then the first time for each resource has made all the room there has to be.
    assert_eq!(scratch_bytes[1..], [scratch_bytes[1]; 99]);
}
