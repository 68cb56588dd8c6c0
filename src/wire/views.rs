//! Read-only views over scanned bytes: a resource, a scope, a span, an event, their attributes.
//!
//! They never fail: the scan at the door has checked what they read. Of a scalar field that is repeated the last one
//! counts, as in protobuf.

use super::fields::{Field, Fields, WireType};
use crate::otlp::{self, FieldNumber};

/// The `KeyValue`s with one field number in one message.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    fields: Fields<'a>,
    number: FieldNumber,
}

/// A value as far as conditions and edits read it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AnyValue<'a> {
    /// A string, not necessarily UTF-8.
    String(&'a [u8]),
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// A list, a map, bytes, or nothing.
    Other,
}

/// A `Resource`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResourceView<'a> {
    /// The message, without its tag and length; empty when there is none.
    pub message: &'a [u8],
}

/// An `InstrumentationScope`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScopeView<'a> {
    /// The message, without its tag and length; empty when there is none.
    pub message: &'a [u8],
}

/// A `Span` with usable ids.
#[derive(Clone, Copy, Debug)]
pub struct SpanView<'a> {
    /// The message, without its tag and length.
    pub message: &'a [u8],
    /// The trace id, not zero.
    pub trace_id: &'a [u8; otlp::TRACE_ID_BYTES],
    /// The span id, not zero.
    pub span_id: &'a [u8; otlp::SPAN_ID_BYTES],
    /// The tracestate; empty when there is none.
    pub trace_state: &'a [u8],
    /// The name; empty when there is none.
    pub name: &'a [u8],
}

/// A `Span.Event`.
#[derive(Clone, Copy, Debug)]
pub struct EventView<'a> {
    /// The message, without its tag and length.
    pub message: &'a [u8],
}

// === impl Attributes ===

impl<'a> Attributes<'a> {
    /// The attributes that `message` holds in fields with `number`.
    pub fn of(message: &'a [u8], number: FieldNumber) -> Self {
        Self {
            fields: Fields::of(message),
            number,
        }
    }

    /// The value of the first attribute with this key. The others' values are not looked into.
    pub fn get(mut self, key: &str) -> Option<AnyValue<'a>> {
        std::iter::from_fn(|| self.next_message())
            .map(key_and_message)
            .find(|&(found, _)| found == key.as_bytes())
            .map(|(_, value)| AnyValue::of(value))
    }

    fn next_message(&mut self) -> Option<&'a [u8]> {
        self.fields
            .by_ref()
            .filter_map(Result::ok)
            .find(|field| field.number == self.number && field.wire_type == WireType::Len)
            .map(|field| field.value)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a [u8], AnyValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.next_message().map(key_value)
    }
}

/// The key and the value of a `KeyValue`.
pub fn key_value(message: &[u8]) -> (&[u8], AnyValue<'_>) {
    let (key, value) = key_and_message(message);
    (key, AnyValue::of(value))
}

/// The key of a `KeyValue`.
#[inline]
pub fn key(message: &[u8]) -> &[u8] {
    key_and_message(message).0
}

/// The key and the value of a `KeyValue` as every encoder writes a short one: the key, then the value, and nothing else.
#[inline]
pub(super) fn plain_key_value(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = Fields::of(message);
    let key = fields.take_short(otlp::key_value::KEY)?;
    let value = fields.take_short(otlp::key_value::VALUE)?;
    fields.is_at_end().then_some((key, value))
}

/// The key of a `KeyValue`, and its value as a message; empty when there is none.
#[inline]
fn key_and_message(message: &[u8]) -> (&[u8], &[u8]) {
    plain_key_value(message).unwrap_or_else(|| last_key_and_message(message))
}

fn last_key_and_message(message: &[u8]) -> (&[u8], &[u8]) {
    let mut key: &[u8] = &[];
    let mut value: &[u8] = &[];
    for field in Fields::of(message).readable() {
        match (field.number, field.wire_type) {
            (otlp::key_value::KEY, WireType::Len) => key = field.value,
            (otlp::key_value::VALUE, WireType::Len) => value = field.value,
            _ => {}
        }
    }
    (key, value)
}

// === impl AnyValue ===

impl<'a> AnyValue<'a> {
    /// The value that an `AnyValue` message holds.
    pub fn of(message: &'a [u8]) -> Self {
        let mut value = Self::Other;
        for field in Fields::of(message).readable() {
            value = match (field.number, field.wire_type) {
                (otlp::any_value::STRING, WireType::Len) => Self::String(field.value),
                (otlp::any_value::BOOL, WireType::Varint) => Self::Bool(field.varint() != 0),
                (otlp::any_value::INT, WireType::Varint) => Self::Int(field.varint().cast_signed()),
                (otlp::any_value::DOUBLE, WireType::Fixed64) => {
                    Self::Double(f64::from_bits(field.fixed64()))
                }
                (otlp::any_value::STRING..=otlp::any_value::BYTES, _) => Self::Other,
                // An unknown field is none of the value's kinds.
                _ => value,
            };
        }
        value
    }
}

// === impl ResourceView, ScopeView, EventView ===

impl<'a> ResourceView<'a> {
    /// Its attributes.
    pub fn attributes(self) -> Attributes<'a> {
        Attributes::of(self.message, otlp::resource::ATTRIBUTES)
    }

    /// `service.name`, where it is a string; else empty.
    pub fn service_name(self) -> &'a [u8] {
        match self.attributes().get(otlp::SERVICE_NAME) {
            Some(AnyValue::String(name)) => name,
            _ => &[],
        }
    }
}

impl<'a> ScopeView<'a> {
    /// Its name; empty when there is none.
    pub fn name(self) -> &'a [u8] {
        last(self.message, otlp::scope::NAME, WireType::Len).map_or(&[], |field| field.value)
    }
}

impl<'a> EventView<'a> {
    /// Its attributes.
    pub fn attributes(self) -> Attributes<'a> {
        Attributes::of(self.message, otlp::event::ATTRIBUTES)
    }
}

// === impl SpanView ===

impl<'a> SpanView<'a> {
    /// Its attributes.
    pub fn attributes(self) -> Attributes<'a> {
        Attributes::of(self.message, otlp::span::ATTRIBUTES)
    }

    /// Its kind as a number: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub fn kind(self) -> u64 {
        last(self.message, otlp::span::KIND, WireType::Varint).map_or(0, |field| field.varint())
    }

    /// Its status code: 0 unset, 1 ok, 2 error.
    pub fn status_code(self) -> u64 {
        let mut code = 0;
        for field in Fields::of(self.message).readable() {
            // A repeated message is merged, so a later status without a code keeps the code of the earlier one.
            if (field.number, field.wire_type) == (otlp::span::STATUS, WireType::Len) {
                code = last(field.value, otlp::status::CODE, WireType::Varint)
                    .map_or(code, |field| field.varint());
            }
        }
        code
    }

    /// From its start to its end in nanoseconds; 0 where it ends before it starts.
    pub fn duration_nanos(self) -> u64 {
        let (mut start, mut end) = (0_u64, 0_u64);
        for field in Fields::of(self.message).readable() {
            match (field.number, field.wire_type) {
                (otlp::span::START_TIME, WireType::Fixed64) => start = field.fixed64(),
                (otlp::span::END_TIME, WireType::Fixed64) => end = field.fixed64(),
                _ => {}
            }
        }
        end.saturating_sub(start)
    }

    /// The span id of its parent; empty for a root.
    pub fn parent_span_id(self) -> &'a [u8] {
        last(self.message, otlp::span::PARENT_SPAN_ID, WireType::Len)
            .map_or(&[], |field| field.value)
    }
}

fn last(message: &[u8], number: FieldNumber, wire_type: WireType) -> Option<Field<'_>> {
    Fields::of(message)
        .readable()
        .filter(|field| (field.number, field.wire_type) == (number, wire_type))
        .last()
}
