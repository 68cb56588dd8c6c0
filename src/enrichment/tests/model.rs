//! Random requests and lists: what the edits do to bytes is what a straightforward model does to decoded objects.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{
        AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
        any_value::Value,
    },
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span::Event},
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use prost::Message;

use super::support::{edit_bytes, enricher, hash_of};

/// Few keys, so that edits and attributes meet.
const KEYS: [&str; 7] = [
    "a",
    "b",
    "user.id",
    "user.name",
    "service.name",
    "http.request.header.x",
    "",
];
const PATTERNS: [&str; 6] = ["a", "b", "user.*", "*.name", "http.request.header.*", "*"];
const TEXTS: [&str; 8] = [
    "",
    "a",
    "b",
    "bearer a.b",
    "Bearer x bearer y",
    "grün 💚💚 grün",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "42",
];
const MASKS: [(&str, &str); 4] = [
    ("(?i)bearer [a-z0-9._-]+", "bearer ***"),
    ("a+", "[a]"),
    ("ü", ""),
    ("[ab]", "$"),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum On {
    Resource,
    Span,
    Event,
}

/// One entry of the list, as the model does it.
#[derive(Clone, Debug)]
struct Edit {
    on: On,
    /// Literal `service`.
    service: Option<&'static str>,
    /// Key and literal value of one condition in `attributes`, or in `resource_attributes` on a resource.
    attribute: Option<(&'static str, &'static str)>,
    set: Vec<(&'static str, Value)>,
    set_if_absent: Vec<(&'static str, Value)>,
    rename: Vec<(&'static str, &'static str)>,
    remove: Vec<&'static str>,
    hash: Vec<&'static str>,
    mask: Vec<(&'static str, &'static str)>,
    truncate_bytes: Option<usize>,
}

// === as YAML ===

impl Edit {
    fn yaml(&self) -> String {
        let on = match self.on {
            On::Resource => "resource",
            On::Span => "span",
            On::Event => "event",
        };
        let mut parts = vec![format!("on: {on}")];
        let attributes = match self.on {
            On::Resource => "resource_attributes",
            On::Span | On::Event => "attributes",
        };
        let service = self.service.map(|name| format!("service: {name:?}"));
        let attribute = self
            .attribute
            .map(|(key, value)| format!("{attributes}: {{ {key:?}: {value:?} }}"));
        let conditions: Vec<_> = service.into_iter().chain(attribute).collect();
        if !conditions.is_empty() {
            parts.push(format!("match: {{ {} }}", conditions.join(", ")));
        }
        let scalars = |pairs: &[(&str, Value)]| {
            pairs
                .iter()
                .map(|(key, value)| format!("{key:?}: {}", scalar(value)))
                .collect()
        };
        let strings = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(key, value)| format!("{key:?}: {value:?}"))
                .collect()
        };
        let maps: [(&str, Vec<String>); 4] = [
            ("set", scalars(&self.set)),
            ("set_if_absent", scalars(&self.set_if_absent)),
            ("rename", strings(&self.rename)),
            ("mask", strings(&self.mask)),
        ];
        for (key, lines) in maps {
            if !lines.is_empty() {
                parts.push(format!("{key}: {{ {} }}", lines.join(", ")));
            }
        }
        for (key, patterns) in [("remove", &self.remove), ("hash", &self.hash)] {
            if !patterns.is_empty() {
                parts.push(format!("{key}: {patterns:?}"));
            }
        }
        if let Some(most) = self.truncate_bytes {
            parts.push(format!("truncate_bytes: {most}"));
        }
        format!("- {{ {} }}\n", parts.join(", "))
    }

    fn does_something(&self) -> bool {
        !(self.set.is_empty()
            && self.set_if_absent.is_empty()
            && self.rename.is_empty()
            && self.remove.is_empty()
            && self.hash.is_empty()
            && self.mask.is_empty()
            && self.truncate_bytes.is_none())
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::StringValue(text) => format!("{text:?}"),
        Value::BoolValue(value) => value.to_string(),
        Value::IntValue(value) => value.to_string(),
        Value::DoubleValue(value) => format!("{value:?}"),
        _ => unreachable!("only scalars are set"),
    }
}

// === the model ===

fn edit_request(edits: &[Edit], request: &mut ExportTraceServiceRequest) {
    for spans in &mut request.resource_spans {
        for edit in edits {
            edit_resource_spans(edit, spans);
        }
        spans.resource.as_mut().map(drop_dangling_entities);
    }
}

/// One entry after the other on everything, so that each sees what the ones before it did.
fn edit_resource_spans(edit: &Edit, spans: &mut ResourceSpans) {
    let mut resource = spans.resource.clone().unwrap_or_default();
    let service = match first(&resource.attributes, "service.name") {
        Some(Value::StringValue(name)) => name.as_str(),
        _ => "",
    };
    if edit.service.is_some_and(|wanted| wanted != service) {
        return;
    }
    if edit.on == On::Resource {
        if holds(edit, &resource.attributes) {
            edit_attributes(edit, &mut resource.attributes);
            spans.resource = Some(resource);
        }
        return;
    }
    for span in spans.scope_spans.iter_mut().flat_map(|s| &mut s.spans) {
        if !holds(edit, &span.attributes) {
            continue;
        }
        if edit.on == On::Span {
            edit_attributes(edit, &mut span.attributes);
        } else {
            for event in &mut span.events {
                edit_attributes(edit, &mut event.attributes);
            }
        }
    }
}

fn holds(edit: &Edit, attributes: &[KeyValue]) -> bool {
    edit.attribute.is_none_or(|(key, wanted)| {
        first(attributes, key) == Some(&Value::StringValue(wanted.to_owned()))
    })
}

/// The value of the first attribute with `key`.
fn first<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.as_ref()?.value.as_ref()
}

/// Arbitrary references name keys that are there before the edits.
fn drop_dangling_entities(resource: &mut Resource) {
    let attributes = &resource.attributes;
    resource.entity_refs.retain(|entity| {
        let mut named = entity.id_keys.iter();
        named.all(|key| attributes.iter().any(|attribute| attribute.key == *key))
    });
}

fn edit_attributes(edit: &Edit, attributes: &mut Vec<KeyValue>) {
    for (key, value) in &edit.set {
        set(attributes, key, value);
    }
    for (key, value) in &edit.set_if_absent {
        if !attributes.iter().any(|attribute| attribute.key == *key) {
            set(attributes, key, value);
        }
    }
    for (from, to) in &edit.rename {
        if attributes.iter().any(|attribute| attribute.key == *from) {
            attributes.retain(|attribute| attribute.key != *to);
            for attribute in attributes.iter_mut().filter(|a| a.key == *from) {
                (*to).clone_into(&mut attribute.key);
            }
        }
    }
    attributes.retain(|attribute| !picks(&edit.remove, &attribute.key));
    for attribute in attributes.iter_mut().filter(|a| picks(&edit.hash, &a.key)) {
        hash(&mut attribute.value);
    }
    for attribute in attributes {
        strings(&mut attribute.value, &|text| rewrite(edit, text));
    }
}

fn set(attributes: &mut Vec<KeyValue>, key: &str, value: &Value) {
    let new = super::support::attribute(key, value.clone());
    let Some(at) = attributes.iter().position(|attribute| attribute.key == key) else {
        return attributes.push(new);
    };
    attributes[at] = new;
    let mut index = 0;
    attributes.retain(|attribute| {
        index += 1;
        index <= at + 1 || attribute.key != key
    });
}

fn picks(patterns: &[&str], key: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| match pattern.split_once('*') {
            None => *pattern == key,
            Some((head, tail)) => {
                key.len() >= head.len() + tail.len() && key.starts_with(head) && key.ends_with(tail)
            }
        })
}

fn hash(value: &mut Option<AnyValue>) {
    let Some(AnyValue { value: Some(value) }) = value else {
        return;
    };
    let bytes = match &*value {
        Value::StringValue(text) => text.clone().into_bytes(),
        Value::BytesValue(bytes) => bytes.clone(),
        Value::BoolValue(value) => value.to_string().into_bytes(),
        Value::IntValue(value) => value.to_string().into_bytes(),
        Value::DoubleValue(value) => value.to_string().into_bytes(),
        Value::ArrayValue(list) => list.encode_to_vec(),
        Value::KvlistValue(map) => map.encode_to_vec(),
        Value::StringValueStrindex(_) => unreachable!("no profiles here"),
    };
    *value = Value::StringValue(hash_of(&bytes));
}

fn strings(value: &mut Option<AnyValue>, rewrite: &dyn Fn(&mut String)) {
    match value.as_mut().and_then(|value| value.value.as_mut()) {
        Some(Value::StringValue(text)) => rewrite(text),
        Some(Value::ArrayValue(list)) => {
            for item in &mut list.values {
                let mut value = Some(std::mem::take(item));
                strings(&mut value, rewrite);
                *item = value.unwrap();
            }
        }
        Some(Value::KvlistValue(map)) => {
            for item in &mut map.values {
                strings(&mut item.value, rewrite);
            }
        }
        _ => {}
    }
}

fn rewrite(edit: &Edit, text: &mut String) {
    for (pattern, replacement) in &edit.mask {
        let regex = regex::Regex::new(pattern).unwrap();
        *text = regex
            .replace_all(text, regex::NoExpand(replacement))
            .into_owned();
    }
    if let Some(most) = edit.truncate_bytes {
        while text.len() > most {
            text.pop();
        }
    }
}

/// A resource that is empty is the same as none.
fn without_empty_resources(mut request: ExportTraceServiceRequest) -> ExportTraceServiceRequest {
    for spans in &mut request.resource_spans {
        spans.resource = spans.resource.take().filter(|r| *r != Resource::default());
    }
    request
}

// === arbitrary requests and lists ===

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(&TEXTS[..]).prop_map(str::to_owned),
        1 => any::<String>(),
        // Lengths around the borders between one and two bytes of length.
        1 => (115..140_usize).prop_map(|length| "a".repeat(length)),
    ]
}

fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => texts().prop_map(Value::StringValue),
        1 => any::<bool>().prop_map(Value::BoolValue),
        1 => any::<i64>().prop_map(Value::IntValue),
        1 => (-1e9..1e9_f64).prop_map(Value::DoubleValue),
    ]
}

fn any_values() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        6 => scalars().prop_map(Some),
        1 => vec(any::<u8>(), 0..9).prop_map(|bytes| Some(Value::BytesValue(bytes))),
        1 => Just(None),
    ]
    .prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec((keys(), inner), 0..4).prop_map(|pairs| {
                let values = pairs
                    .into_iter()
                    .map(|(key, value)| key_value(key, Some(value)))
                    .collect();
                Value::KvlistValue(KeyValueList { values })
            }),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn keys() -> impl Strategy<Value = &'static str> {
    select(&KEYS[..])
}

fn key_value(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value,
        ..KeyValue::default()
    }
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let one = (keys(), option::weighted(0.9, any_values()));
    vec(one.prop_map(|(key, value)| key_value(key, value)), 0..6)
}

prop_compose! {
    fn events()(name in texts(), time_unix_nano in any::<u64>(), attributes in attributes()) -> Event {
        Event { name, time_unix_nano, attributes, dropped_attributes_count: 3 }
    }
}

prop_compose! {
    fn spans()(
        name in texts(),
        kind in 0..6,
        attributes in attributes(),
        events in vec(events(), 0..3),
        status in option::of((texts(), 0..3)),
        flags in any::<u32>(),
    ) -> Span {
        Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            name,
            kind,
            attributes,
            events,
            status: status.map(|(message, code)| Status { message, code }),
            flags,
            ..Span::default()
        }
    }
}

prop_compose! {
    fn resources()(attributes in attributes(), named in vec(any::<prop::sample::Index>(), 0..3)) -> Resource {
        let key = |index: prop::sample::Index| attributes[index.index(attributes.len())].key.clone();
        let entity_refs = if attributes.is_empty() { vec![] } else {
            named.into_iter().map(|index| EntityRef { id_keys: vec![key(index)], ..EntityRef::default() }).collect()
        };
        Resource { attributes, entity_refs, dropped_attributes_count: 1 }
    }
}

fn requests() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope = vec(spans(), 0..4).prop_map(|spans| ScopeSpans {
        scope: Some(InstrumentationScope {
            name: "scope".to_owned(),
            ..InstrumentationScope::default()
        }),
        spans,
        schema_url: "scope url".to_owned(),
    });
    let resource = (option::weighted(0.9, resources()), vec(scope, 0..3)).prop_map(
        |(resource, scope_spans)| ResourceSpans {
            resource,
            scope_spans,
            schema_url: "url".to_owned(),
        },
    );
    vec(resource, 0..4).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

/// Pairs with different, not empty keys.
fn pairs<T: Clone + std::fmt::Debug + 'static>(
    values: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Vec<(&'static str, T)>> {
    vec((select(&KEYS[..KEYS.len() - 1]), values), 0..3).prop_map(|mut pairs| {
        pairs.sort_by_key(|(key, _)| *key);
        pairs.dedup_by_key(|(key, _)| *key);
        pairs
    })
}

fn edits() -> impl Strategy<Value = Edit> {
    let set_texts = select(&TEXTS[..]).prop_map(|text| Value::StringValue(text.to_owned()));
    let settings = || {
        let values = prop_oneof![
            set_texts.clone(),
            any::<i64>().prop_map(Value::IntValue),
            any::<bool>().prop_map(Value::BoolValue),
            (-1e9..1e9_f64).prop_map(|value| Value::DoubleValue(value + 0.5)),
        ];
        pairs(values)
    };
    let conditions = (
        select(&[On::Resource, On::Span, On::Event][..]),
        option::weighted(0.2, select(&["", "a", "b"][..])),
        option::weighted(
            0.3,
            (
                select(&["a", "b", "user.id"][..]),
                select(&["", "a", "b", "42"][..]),
            ),
        ),
    );
    let rename = pairs(select(&KEYS[..KEYS.len() - 1]))
        .prop_map(|pairs| pairs.into_iter().filter(|(from, to)| from != to).collect());
    let masks = prop::sample::subsequence(MASKS.to_vec(), 0..3);
    let operations = (
        settings(),
        settings(),
        rename,
        vec(select(&PATTERNS[..]), 0..2),
        vec(select(&PATTERNS[..]), 0..2),
        masks,
        option::weighted(0.3, 1..130_usize),
    );
    (conditions, operations)
        .prop_map(
            |(
                (on, service, attribute),
                (set, set_if_absent, rename, remove, hash, mask, truncate_bytes),
            )| Edit {
                on,
                service,
                attribute,
                set,
                set_if_absent,
                rename,
                remove,
                hash,
                mask,
                truncate_bytes,
            },
        )
        .prop_filter(
            "an entry without operations is a mistake",
            Edit::does_something,
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn edits_on_bytes_do_what_the_model_does_on_objects(
        request in requests(),
        edits in vec(edits(), 1..5),
    ) {
        let yaml: String = edits.iter().map(Edit::yaml).collect();
        let bytes = edit_bytes(&enricher(&yaml), &request.encode_to_vec());
        let found = ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap();
        let mut expected = request;
        edit_request(&edits, &mut expected);
        prop_assert_eq!(without_empty_resources(found), without_empty_resources(expected), "{}", yaml);
    }
}
