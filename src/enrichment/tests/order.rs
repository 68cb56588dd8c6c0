//! What an entry sees of the ones before it, and which of them its `match` picks.

use opentelemetry_proto::tonic::{
    resource::v1::Resource,
    trace::v1::{Span, Status, span::Event},
};

use super::support::{edited, edited_span, enricher, request, span_attributes, text};
use crate::wire::{Detail, ScopeView, Wanted};

fn service(name: &str) -> Resource {
    Resource {
        attributes: vec![text("service.name", name)],
        ..Resource::default()
    }
}

/// Whether an entry set `hit` on the only span of a request from the service `old`.
fn hits(yaml: &str) -> bool {
    let given = request(service("old"), vec![Span::default()]);
    let out = edited(yaml, &given);
    !out.resource_spans[0].scope_spans[0].spans[0]
        .attributes
        .is_empty()
}

#[test]
fn an_entry_on_spans_sees_the_resource_as_the_entries_before_it_left_it() {
    let rename = "- { on: resource, set: { service.name: new } }\n";
    let old = "- { on: span, match: { service: old }, set: { hit: true } }\n";
    let new = "- { on: span, match: { service: new }, set: { hit: true } }\n";
    for (yaml, expected) in [
        (format!("{rename}{old}"), false),
        (format!("{rename}{new}"), true),
        (format!("{old}{rename}"), true),
        (format!("{new}{rename}"), false),
    ] {
        assert_eq!(hits(&yaml), expected, "{yaml}");
    }
}

#[test]
fn an_entry_on_resources_sees_what_entries_on_resources_did() {
    let yaml = "
- { on: resource, match: { service: old }, set: { service.name: new, tier: 1 } }
- { on: resource, match: { service: old }, set: { wrong: 1 } }
- { on: resource, match: { service: new, resource_attributes: { tier: 1 } }, set: { service.name: newest } }
- { on: resource, match: { resource_attributes: { absent: 1 } }, set: { wrong: 1 } }
- { on: span, match: { service: newest }, set: { hit: true } }";
    assert!(hits(yaml));
    let out = edited(yaml, &request(service("old"), vec![]));
    let resource = out.resource_spans[0].resource.as_ref().unwrap();
    let keys: Vec<_> = resource.attributes.iter().map(|a| a.key.as_str()).collect();
    assert_eq!(keys, ["service.name", "tier"]);
    assert_eq!(resource.attributes[0], text("service.name", "newest"));
}

#[test]
fn an_entry_on_spans_sees_what_entries_on_spans_did() {
    let yaml = "
- { on: span, set: { a: 1, b: x } }
- { on: span, match: { attributes: { a: 1 } }, rename: { b: c } }
- { on: span, match: { attributes: { b: x } }, set: { wrong: true } }
- { on: span, match: { attributes: { c: x } }, set: { right: 'yes' } }
- { on: span, match: { attributes: { right: 'y*' } }, remove: [a, c] }";
    assert_eq!(span_attributes(yaml, vec![]), [text("right", "yes")]);
}

#[test]
fn an_entry_on_events_looks_at_the_span_as_it_is_at_its_turn() {
    let span = |events: Vec<Event>, attributes| Span {
        events,
        attributes,
        ..Span::default()
    };
    let yaml = "
- { on: event, match: { attributes: { a: '1' } }, set: { first: 1 } }
- { on: event, match: { attributes: { a: '2' } }, set: { wrong: 1 } }
- { on: span, set: { a: '2' } }
- { on: event, match: { attributes: { a: '2' } }, rename: { first: second } }";
    let out = edited_span(yaml, span(vec![Event::default(); 2], vec![text("a", "1")]));
    for event in out.events {
        let keys: Vec<_> = event.attributes.iter().map(|a| a.key.as_str()).collect();
        assert_eq!(keys, ["second"]);
    }
    assert_eq!(out.attributes, [text("a", "2")]);
}

#[test]
fn conditions_on_the_span_itself_hold_or_do_not() {
    for (conditions, expected) in [
        ("span: 'Sea*'", true),
        ("span: Query", false),
        ("status: error", true),
        ("status: ok", false),
        ("kind: server", true),
        ("kind: client", false),
        ("duration_min: 1s", true),
        ("duration_min: 3s", false),
        ("scope: ''", true),
        ("scope: other", false),
        ("service: ''", true),
        ("service: other", false),
    ] {
        let span = Span {
            name: "Search".to_owned(),
            kind: 2,
            end_time_unix_nano: 2_000_000_000,
            status: Some(Status {
                code: 2,
                ..Status::default()
            }),
            ..Span::default()
        };
        // The second entry makes the span a changed one before the third looks at it.
        let yaml = format!(
            "
- {{ on: span, match: {{ {conditions} }}, set: {{ one: 'x' }} }}
- {{ on: span, set: {{ two: 'x' }} }}
- {{ on: span, match: {{ {conditions}, attributes: {{ two: x }} }}, set: {{ three: 'x' }} }}"
        );
        let out = edited_span(&yaml, span);
        let keys: Vec<_> = out.attributes.iter().map(|a| a.key.as_str()).collect();
        let all: &[&str] = if expected {
            &["one", "two", "three"]
        } else {
            &["two"]
        };
        assert_eq!(keys, all, "{conditions}");
    }
}

#[test]
fn a_scope_says_whether_any_edit_may_apply_to_its_spans() {
    let entered = |yaml: &str| {
        let enricher = enricher(yaml);
        let mut editing = enricher.editing();
        editing.enter_resource(crate::wire::ResourceView::default());
        editing.enter_scope(ScopeView::default())
    };
    assert!(!entered("[]"));
    assert!(!entered("- { on: resource, set: { a: 1 } }"));
    assert!(!entered(
        "- { on: span, match: { service: x }, set: { a: 1 } }"
    ));
    assert!(!entered(
        "- { on: span, match: { scope: x }, set: { a: 1 } }"
    ));
    assert!(entered("- { on: span, match: { span: x }, set: { a: 1 } }"));
    assert!(entered("- { on: event, set: { a: 1 } }"));
}

#[test]
fn wanted_is_what_entries_and_their_conditions_read() {
    let none = Wanted::default();
    for (yaml, wanted) in [
        ("[]", none),
        (
            "- { on: resource, set: { a: 1 } }",
            Wanted {
                resource_attributes: Detail::Keys,
                ..none
            },
        ),
        (
            "- { on: span, set: { a: 1 } }",
            Wanted {
                span_attributes: Detail::Keys,
                ..none
            },
        ),
        (
            "- { on: span, set: { a: 1 }, mask: { secret: x } }",
            Wanted {
                span_attributes: Detail::Values,
                ..none
            },
        ),
        (
            "- { on: resource, truncate_bytes: 9 }",
            Wanted {
                resource_attributes: Detail::Values,
                ..none
            },
        ),
        (
            "- { on: event, set: { a: 1 } }",
            Wanted {
                events: Detail::Keys,
                ..none
            },
        ),
        (
            "- { on: event, match: { status: ok, scope: x, attributes: { a: 1 } }, set: { a: 1 } }",
            Wanted {
                events: Detail::Keys,
                status: true,
                scope: true,
                span_attributes: Detail::Values,
                ..none
            },
        ),
    ] {
        assert_eq!(enricher(yaml).wanted(), wanted, "{yaml}");
        assert_eq!(enricher(yaml).is_empty(), yaml == "[]");
    }
}
