//! What OTLP/JSON stands for, written down a second time: straight into prost's objects, with no table and no care for time.
//!
//! Sources: OTLP, "JSON Protobuf Encoding"; proto3, "JSON Mapping". A member that occurs twice is merged, as in protobuf.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{
        AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
        any_value::Value,
    },
    resource::v1::Resource,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span, Status,
        span::{Event, Link, SpanKind},
        status::StatusCode,
    },
};

use super::json_tree::Tree;

/// Why there is nothing to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// It cannot be read.
    Wrong,
    /// The model does not know.
    Unsure,
}

/// What a text stands for.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Without the spans that cannot be read.
    pub request: ExportTraceServiceRequest,
    /// Whether there are such spans.
    pub rejects: bool,
}

type Outcome = Result<(), Read>;

/// Reads the whole of a text.
pub fn request(tree: &Tree) -> Result<Expected, Read> {
    let mut request = ExportTraceServiceRequest::default();
    let mut rejects = false;
    let whole = match tree {
        Tree::Null => &[][..],
        Tree::Object(members) => members,
        _ => return Err(Read::Wrong),
    };
    for_each(whole, |name, value| match name {
        "resource_spans" => list(value, |value| {
            let spans = &mut request.resource_spans;
            new(spans, value, |spans, name, value| {
                resource_spans(spans, name, value, &mut rejects)
            })
        }),
        "resource_metrics" | "resource_logs" | "resource_profiles" => Err(Read::Wrong),
        _ => Ok(()),
    })?;
    Ok(Expected { request, rejects })
}

fn resource_spans(
    into: &mut ResourceSpans,
    name: &str,
    value: &Tree,
    rejects: &mut bool,
) -> Outcome {
    match name {
        "resource" => message(&mut into.resource, value, resource),
        "scope_spans" => list(value, |value| {
            new(&mut into.scope_spans, value, |into, name, value| {
                scope_spans(into, name, value, rejects)
            })
        }),
        "schema_url" => text(&mut into.schema_url, value),
        _ => Ok(()),
    }
}

fn scope_spans(into: &mut ScopeSpans, name: &str, value: &Tree, rejects: &mut bool) -> Outcome {
    match name {
        "scope" => message(&mut into.scope, value, scope),
        "spans" => list(value, |value| {
            let mut read = Span::default();
            let outcome = match value {
                Tree::Null => return Ok(()),
                Tree::Object(members) => {
                    for_each(members, |name, value| span(&mut read, name, value))
                }
                _ => {
                    // It is written as a span without ids, which a strict reader takes.
                    *rejects = true;
                    into.spans.push(read);
                    return Ok(());
                }
            };
            match outcome {
                Ok(()) => into.spans.push(read),
                Err(Read::Wrong) => *rejects = true,
                Err(Read::Unsure) => return Err(Read::Unsure),
            }
            Ok(())
        }),
        "schema_url" => text(&mut into.schema_url, value),
        _ => Ok(()),
    }
}

fn resource(into: &mut Resource, name: &str, value: &Tree) -> Outcome {
    match name {
        "attributes" => list(value, |value| new(&mut into.attributes, value, key_value)),
        "dropped_attributes_count" => number(&mut into.dropped_attributes_count, value),
        "entity_refs" => list(value, |value| new(&mut into.entity_refs, value, entity_ref)),
        _ => Ok(()),
    }
}

fn entity_ref(into: &mut EntityRef, name: &str, value: &Tree) -> Outcome {
    let texts = |into: &mut Vec<String>| {
        list(value, |value| {
            if matches!(value, Tree::Null) {
                return Ok(());
            }
            into.push(String::new());
            into.last_mut().map_or(Ok(()), |into| text(into, value))
        })
    };
    match name {
        "schema_url" => text(&mut into.schema_url, value),
        "type" => text(&mut into.r#type, value),
        "id_keys" => texts(&mut into.id_keys),
        "description_keys" => texts(&mut into.description_keys),
        _ => Ok(()),
    }
}

fn scope(into: &mut InstrumentationScope, name: &str, value: &Tree) -> Outcome {
    match name {
        "name" => text(&mut into.name, value),
        "version" => text(&mut into.version, value),
        "attributes" => list(value, |value| new(&mut into.attributes, value, key_value)),
        "dropped_attributes_count" => number(&mut into.dropped_attributes_count, value),
        _ => Ok(()),
    }
}

fn span(into: &mut Span, name: &str, value: &Tree) -> Outcome {
    match name {
        "trace_id" => id(&mut into.trace_id, value),
        "span_id" => id(&mut into.span_id, value),
        "trace_state" => text(&mut into.trace_state, value),
        "parent_span_id" => id(&mut into.parent_span_id, value),
        "name" => text(&mut into.name, value),
        "kind" => enumerated(&mut into.kind, value, |name| {
            SpanKind::from_str_name(name).map(i32::from)
        }),
        "start_time_unix_nano" => number(&mut into.start_time_unix_nano, value),
        "end_time_unix_nano" => number(&mut into.end_time_unix_nano, value),
        "attributes" => list(value, |value| new(&mut into.attributes, value, key_value)),
        "dropped_attributes_count" => number(&mut into.dropped_attributes_count, value),
        "events" => list(value, |value| new(&mut into.events, value, event)),
        "dropped_events_count" => number(&mut into.dropped_events_count, value),
        "links" => list(value, |value| new(&mut into.links, value, link)),
        "dropped_links_count" => number(&mut into.dropped_links_count, value),
        "status" => message(&mut into.status, value, status),
        "flags" => number(&mut into.flags, value),
        _ => Ok(()),
    }
}

fn event(into: &mut Event, name: &str, value: &Tree) -> Outcome {
    match name {
        "time_unix_nano" => number(&mut into.time_unix_nano, value),
        "name" => text(&mut into.name, value),
        "attributes" => list(value, |value| new(&mut into.attributes, value, key_value)),
        "dropped_attributes_count" => number(&mut into.dropped_attributes_count, value),
        _ => Ok(()),
    }
}

fn link(into: &mut Link, name: &str, value: &Tree) -> Outcome {
    match name {
        "trace_id" => id(&mut into.trace_id, value),
        "span_id" => id(&mut into.span_id, value),
        "trace_state" => text(&mut into.trace_state, value),
        "attributes" => list(value, |value| new(&mut into.attributes, value, key_value)),
        "dropped_attributes_count" => number(&mut into.dropped_attributes_count, value),
        "flags" => number(&mut into.flags, value),
        _ => Ok(()),
    }
}

fn status(into: &mut Status, name: &str, value: &Tree) -> Outcome {
    match name {
        "message" => text(&mut into.message, value),
        "code" => enumerated(&mut into.code, value, |name| {
            StatusCode::from_str_name(name).map(i32::from)
        }),
        _ => Ok(()),
    }
}

fn key_value(into: &mut KeyValue, name: &str, value: &Tree) -> Outcome {
    match name {
        "key" => text(&mut into.key, value),
        "value" => message(&mut into.value, value, any_value),
        "key_strindex" => number(&mut into.key_strindex, value),
        _ => Ok(()),
    }
}

/// The members of a `oneof`: the last one counts, and two of one message are merged.
fn any_value(into: &mut AnyValue, name: &str, value: &Tree) -> Outcome {
    let into = &mut into.value;
    match name {
        "string_value" => set(into, value, String::new(), text, Value::StringValue),
        "bool_value" => set_unless_blank(into, value, false, boolean, Value::BoolValue),
        "int_value" => set_unless_blank(into, value, 0_i64, number, Value::IntValue),
        "double_value" => set_unless_blank(into, value, 0.0, double, Value::DoubleValue),
        "bytes_value" => set(into, value, Vec::new(), base64, Value::BytesValue),
        "string_value_strindex" => {
            set_unless_blank(into, value, 0_i32, number, Value::StringValueStrindex)
        }
        "array_value" => {
            let before = match into {
                Some(Value::ArrayValue(list)) => list.clone(),
                _ => ArrayValue::default(),
            };
            let read = |list: &mut ArrayValue, value: &Tree| {
                object(list, value, |into, name, value| match name {
                    "values" => list_of_values(&mut into.values, value),
                    _ => Ok(()),
                })
            };
            set_unless_blank(into, value, before, read, Value::ArrayValue)
        }
        "kvlist_value" => {
            let before = match into {
                Some(Value::KvlistValue(list)) => list.clone(),
                _ => KeyValueList::default(),
            };
            let read = |list: &mut KeyValueList, value: &Tree| {
                object(list, value, |into, name, value| match name {
                    "values" => self::list(value, |value| new(&mut into.values, value, key_value)),
                    _ => Ok(()),
                })
            };
            set_unless_blank(into, value, before, read, Value::KvlistValue)
        }
        _ => Ok(()),
    }
}

/// In a list of values `null` keeps its place.
fn list_of_values(into: &mut Vec<AnyValue>, value: &Tree) -> Outcome {
    list(value, |value| {
        if matches!(value, Tree::Null) {
            into.push(AnyValue::default());
            return Ok(());
        }
        new(into, value, any_value)
    })
}

// === values ===

/// Sets a member of a `oneof`, unless it is absent.
fn set<T>(
    into: &mut Option<Value>,
    value: &Tree,
    mut before: T,
    read: impl FnOnce(&mut T, &Tree) -> Outcome,
    wrap: impl FnOnce(T) -> Value,
) -> Outcome {
    if !matches!(value, Tree::Null) {
        read(&mut before, value)?;
        *into = Some(wrap(before));
    }
    Ok(())
}

/// The same where an empty string is no value.
fn set_unless_blank<T>(
    into: &mut Option<Value>,
    value: &Tree,
    before: T,
    read: impl FnOnce(&mut T, &Tree) -> Outcome,
    wrap: impl FnOnce(T) -> Value,
) -> Outcome {
    if is_blank(value) {
        return Ok(());
    }
    set(into, value, before, read, wrap)
}

/// A string of blanks stands for what is absent, where no string is wanted.
fn is_blank(value: &Tree) -> bool {
    matches!(value, Tree::String(Some(text), false) if text.trim().is_empty())
}

fn message<T: Default>(
    into: &mut Option<T>,
    value: &Tree,
    member: impl FnMut(&mut T, &str, &Tree) -> Outcome,
) -> Outcome {
    if matches!(value, Tree::Null) || is_blank(value) {
        return Ok(());
    }
    object(into.get_or_insert_default(), value, member)
}

fn new<T: Default>(
    into: &mut Vec<T>,
    value: &Tree,
    member: impl FnMut(&mut T, &str, &Tree) -> Outcome,
) -> Outcome {
    let mut read = None;
    message(&mut read, value, member)?;
    into.extend(read);
    Ok(())
}

fn object<T>(
    into: &mut T,
    value: &Tree,
    mut member: impl FnMut(&mut T, &str, &Tree) -> Outcome,
) -> Outcome {
    match value {
        Tree::Object(members) => for_each(members, |name, value| member(into, name, value)),
        Tree::String(_, true) => Err(Read::Unsure),
        _ => Err(Read::Wrong),
    }
}

fn list(value: &Tree, element: impl FnMut(&Tree) -> Outcome) -> Outcome {
    match value {
        Tree::Null => Ok(()),
        Tree::Array(elements) => worst(elements.iter().map(element)),
        _ => Err(Read::Wrong),
    }
}

/// Gives each member with its name as the `.proto` files spell it, in whichever of two ways it came.
fn for_each(members: &[(Tree, Tree)], mut member: impl FnMut(&str, &Tree) -> Outcome) -> Outcome {
    worst(members.iter().map(|(key, value)| {
        let Tree::String(Some(key), _) = key else {
            return Err(Read::Unsure);
        };
        match snake_case(key) {
            Some(key) => member(&key, value),
            None => Ok(()),
        }
    }))
}

/// What the model does not know outweighs what it knows to be wrong.
fn worst(outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    let mut worst = Ok(());
    for outcome in outcomes {
        match (outcome, worst) {
            (Err(Read::Unsure), _) => return Err(Read::Unsure),
            (Err(Read::Wrong), _) => worst = Err(Read::Wrong),
            (Ok(()), _) => {}
        }
    }
    worst
}

/// `None` for names that are neither wholly in `lowerCamelCase` nor wholly in `snake_case`.
fn snake_case(key: &str) -> Option<String> {
    let camel = key.bytes().any(|byte| byte.is_ascii_uppercase());
    if camel && key.contains('_') {
        return None;
    }
    let mut snake = String::new();
    for letter in key.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    Some(snake)
}

fn text(into: &mut String, value: &Tree) -> Outcome {
    match value {
        Tree::Null => Ok(()),
        Tree::String(Some(text), _) => {
            into.clone_from(text);
            Ok(())
        }
        Tree::String(None, _) => Err(Read::Unsure),
        _ => Err(Read::Wrong),
    }
}

fn boolean(into: &mut bool, value: &Tree) -> Outcome {
    match value {
        Tree::Bool(value) => *into = *value,
        Tree::String(_, true) => return Err(Read::Unsure),
        _ => return Err(Read::Wrong),
    }
    Ok(())
}

/// A number, as one or as a string; `None` where it is as if it were absent.
fn spelled(value: &Tree) -> Result<Option<&str>, Read> {
    match value {
        Tree::Null => Ok(None),
        value if is_blank(value) => Ok(None),
        Tree::Number(spelled) => Ok(Some(spelled)),
        Tree::String(Some(spelled), false) => Ok(Some(spelled.trim())),
        Tree::String(..) => Err(Read::Unsure),
        _ => Err(Read::Wrong),
    }
}

fn number<T: TryFrom<i128>>(into: &mut T, value: &Tree) -> Outcome {
    if let Some(spelled) = spelled(value)? {
        let plain = spelled.strip_prefix('-').unwrap_or(spelled);
        if plain.is_empty() || !plain.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Read::Unsure);
        }
        let value: i128 = spelled.parse().map_err(|_| Read::Unsure)?;
        *into = value.try_into().map_err(|_| Read::Wrong)?;
    }
    Ok(())
}

fn double(into: &mut f64, value: &Tree) -> Outcome {
    if let Some(spelled) = spelled(value)? {
        *into = spelled.parse().map_err(|_| Read::Wrong)?;
    }
    Ok(())
}

/// A name that is not known stands for 0, as a number that is not known stands for itself.
fn enumerated(into: &mut i32, value: &Tree, named: impl Fn(&str) -> Option<i32>) -> Outcome {
    match spelled(value)? {
        Some(name) if name.starts_with(|first: char| first.is_ascii_alphabetic()) => {
            *into = named(name).unwrap_or(0);
        }
        Some(_) => {
            let before = *into;
            number(into, value)?;
            if *into < 0 {
                *into = before;
                return Err(Read::Wrong);
            }
        }
        None => {}
    }
    Ok(())
}

fn id(into: &mut Vec<u8>, value: &Tree) -> Outcome {
    match value {
        Tree::Null => Ok(()),
        Tree::String(Some(digits), false) => {
            let all = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            if !all || !digits.len().is_multiple_of(2) {
                return Err(Read::Wrong);
            }
            let pairs = (0..digits.len()).step_by(2).map(|at| &digits[at..at + 2]);
            let byte = |pair: &str| u8::from_str_radix(pair, 16).map_err(|_| Read::Wrong);
            *into = pairs.map(byte).collect::<Result<_, _>>()?;
            Ok(())
        }
        Tree::String(..) => Err(Read::Unsure),
        _ => Err(Read::Wrong),
    }
}

/// In the standard or the URL-safe alphabet, padded or not.
fn base64(into: &mut Vec<u8>, value: &Tree) -> Outcome {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = match value {
        Tree::String(Some(text), _) => text,
        Tree::String(None, _) => return Err(Read::Unsure),
        _ => return Err(Read::Wrong),
    };
    let digits = text.trim_end_matches('=');
    let paddings = text.len() - digits.len();
    if digits.len() % 4 == 1 || (paddings > 0 && (paddings > 2 || text.len() % 4 != 0)) {
        return Err(Read::Wrong);
    }
    let mut bits = Vec::new();
    for digit in digits.replace('-', "+").replace('_', "/").chars() {
        let value = DIGITS.find(digit).ok_or(Read::Wrong)?;
        bits.extend((0..6).rev().map(|bit| u8::from(value >> bit & 1 == 1)));
    }
    let bytes = bits.chunks_exact(8);
    *into = bytes
        .map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit))
        .collect();
    Ok(())
}
