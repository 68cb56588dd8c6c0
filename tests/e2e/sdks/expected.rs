//! The spans that every client makes, and whether what arrived is what it made.
//!
//! Everything in a span follows from its number, but for the ids, which an SDK chooses: those have to be distinct, and fit
//! together to traces. Beside them only `flags` is not compared: SDKs differ in what they know of a parent.

use std::collections::{BTreeMap, HashSet};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{
        Span, Status,
        span::{Event, Link},
    },
};

use crate::relay::ENRICHED;

/// More than two batches of an SDK's, fewer than its queue holds.
pub(crate) const SPANS: u64 = 1_100;
const SPANS_PER_TRACE: u64 = 10;
/// 2027, in nanoseconds.
const START: u64 = 1_800_000_000_000_000_000;
/// `Internal`, `Server`, `Client`, `Producer`, `Consumer`.
const KINDS: [i32; 5] = [1, 2, 3, 4, 5];
const OK: i32 = 1;
const ERROR: i32 = 2;
/// Of a link: the first half of a trace id whose second half is a number.
const REMOTE: u64 = 1 << 63;

/// What has arrived of one client: each span by its number.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    spans: BTreeMap<u64, Span>,
}

// === impl Arrived ===

impl Arrived {
    /// Takes the spans of `service` out of what a destination got. Each came once and is what the client made.
    pub(crate) fn of(service: &str, requests: Vec<ExportTraceServiceRequest>) -> Self {
        let mut arrived = Self::default();
        let of_resources = requests
            .into_iter()
            .flat_map(|request| request.resource_spans);
        for of_resource in of_resources {
            let resource = of_resource.resource.unwrap_or_default();
            if text(&resource, "service.name") != Some(service) {
                continue;
            }
            let (key, value) = ENRICHED;
            assert_eq!(
                text(&resource, key),
                Some(value),
                "the resource is enriched"
            );
            for of_scope in of_resource.scope_spans {
                assert_scope(of_scope.scope.as_ref());
                of_scope
                    .spans
                    .into_iter()
                    .for_each(|span| arrived.add(span));
            }
        }
        arrived.assert_ids();
        arrived
    }

    pub(crate) fn count(&self) -> u64 {
        u64::try_from(self.spans.len()).unwrap()
    }

    fn add(&mut self, mut span: Span) {
        let number = number(&span);
        normalise(&mut span);
        assert_eq!(span, expected(number, &span), "as the client made it");
        let former = self.spans.insert(number, span);
        assert_eq!(former, None, "span {number} came twice");
    }

    fn assert_ids(&self) {
        let ids: HashSet<&[u8]> = self.spans.values().map(|span| &span.span_id[..]).collect();
        assert_eq!(ids.len(), self.spans.len(), "span ids are distinct");
        for (number, span) in &self.spans {
            let root = self.spans.get(&(number - number % SPANS_PER_TRACE));
            if let Some(root) = root {
                let parent = if number % SPANS_PER_TRACE == 0 {
                    &[]
                } else {
                    &root.span_id[..]
                };
                assert_eq!(span.trace_id, root.trace_id, "the trace of span {number}");
                assert_eq!(span.parent_span_id, parent, "the parent of span {number}");
            }
        }
        let traces: HashSet<&[u8]> = self.spans.values().map(|span| &span.trace_id[..]).collect();
        let tens: HashSet<u64> = self
            .spans
            .keys()
            .map(|number| number / SPANS_PER_TRACE)
            .collect();
        assert_eq!(traces.len(), tens.len(), "traces are distinct");
    }
}

/// Sorts what has no order, and takes out what SDKs do as they like.
fn normalise(span: &mut Span) {
    let by_key = |attributes: &mut Vec<KeyValue>| attributes.sort_by(|a, b| a.key.cmp(&b.key));
    by_key(&mut span.attributes);
    span.flags = 0;
    for link in &mut span.links {
        link.flags = 0;
    }
    // No status and one that says nothing are the same.
    span.status.get_or_insert_default();
}

/// Span `number` with the ids of `of`.
fn expected(number: u64, of: &Span) -> Span {
    let start = START + number * 1000 + 1;
    let mut span = Span {
        trace_id: of.trace_id.clone(),
        span_id: of.span_id.clone(),
        parent_span_id: of.parent_span_id.clone(),
        name: format!("search 検索 🔍 {number}"),
        kind: KINDS[usize::try_from(number % 5).unwrap()],
        start_time_unix_nano: start,
        end_time_unix_nano: start + 500_002,
        attributes: attributes(number),
        status: Some(status(number)),
        ..Span::default()
    };
    if number.is_multiple_of(4) {
        span.events = [0, 1].map(|event| self::event(event, start)).into();
    }
    if number.is_multiple_of(7) {
        span.links = vec![link(number)];
    }
    span
}

fn attributes(number: u64) -> Vec<KeyValue> {
    let integer = i64::try_from(number).unwrap();
    let half = f64::from(u32::try_from(number).unwrap()) + 0.5;
    let texts = ["a", "ß", "🔍"].map(|text| Value::StringValue(text.to_owned()));
    let attributes = [
        ("booleans", list([true, false].map(Value::BoolValue))),
        ("doubles", list([0.5, -1.5].map(Value::DoubleValue))),
        ("empty", Value::StringValue(String::new())),
        ("even", Value::BoolValue(number.is_multiple_of(2))),
        ("half", Value::DoubleValue(half)),
        ("integers", list([1, -2, 3].map(Value::IntValue))),
        ("large", Value::IntValue((1 << 53) - 1)),
        ("negative", Value::IntValue(-integer - 1)),
        ("number", Value::IntValue(integer)),
        (
            "text",
            Value::StringValue("Ünïcödé 検索 🔍 \"quoted\" \\ \t\n\u{1}".to_owned()),
        ),
        ("texts", list(texts)),
    ];
    attributes.map(|(key, value)| attribute(key, value)).into()
}

fn status(number: u64) -> Status {
    match number % 5 {
        1 => Status {
            code: ERROR,
            message: format!("went wrong: {number} ✗"),
        },
        2 => Status {
            code: OK,
            ..Status::default()
        },
        _ => Status::default(),
    }
}

fn event(event: u64, start: u64) -> Event {
    Event {
        time_unix_nano: start + 100 + event,
        name: format!("event ✓ {event}"),
        attributes: vec![attribute(
            "event",
            Value::IntValue(i64::try_from(event).unwrap()),
        )],
        ..Event::default()
    }
}

fn link(number: u64) -> Link {
    Link {
        trace_id: [REMOTE.to_be_bytes(), number.to_be_bytes()].concat(),
        span_id: (number + 1).to_be_bytes().into(),
        attributes: vec![attribute(
            "link",
            Value::StringValue("from elsewhere".to_owned()),
        )],
        ..Link::default()
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn list<const N: usize>(values: [Value; N]) -> Value {
    let values = values.map(|value| AnyValue { value: Some(value) }).into();
    Value::ArrayValue(ArrayValue { values })
}

fn assert_scope(scope: Option<&InstrumentationScope>) {
    let scope = scope.expect("every client names its scope");
    assert_eq!((&*scope.name, &*scope.version), ("e2e", "1.2.3"));
}

fn number(span: &Span) -> u64 {
    let mut attributes = span.attributes.iter();
    let number = attributes.find(|attribute| attribute.key == "number");
    match number.and_then(|number| number.value.as_ref()?.value.as_ref()) {
        Some(Value::IntValue(number)) => u64::try_from(*number).unwrap(),
        _ => panic!("a span without its number: {span:?}"),
    }
}

fn text<'a>(resource: &'a Resource, key: &str) -> Option<&'a str> {
    let mut attributes = resource.attributes.iter();
    let attribute = attributes.find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(value) => Some(value),
        _ => None,
    }
}

#[test]
fn a_changed_span_is_noticed() {
    let mut span = Span {
        span_id: vec![1; 8],
        trace_id: vec![1; 16],
        attributes: attributes(4),
        ..Span::default()
    };
    span = expected(4, &span);
    Arrived::default().add(span.clone());
    let changes: [fn(&mut Span); 4] = [
        |span| span.name.push(' '),
        |span| span.events.truncate(1),
        |span| span.end_time_unix_nano += 1,
        |span| span.attributes.truncate(10),
    ];
    for change in changes {
        let mut other = span.clone();
        change(&mut other);
        assert_ne!(other, expected(4, &other));
    }
}
