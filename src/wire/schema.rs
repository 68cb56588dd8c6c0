//! OTLP's messages as a table: which field has which name and holds what. Whoever reads in depth goes by it, in protobuf or
//! in JSON; the hot path has its few field numbers spelled out.

use super::fields::WireType;
use crate::otlp::FieldNumber;

/// A message type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// `ExportTraceServiceRequest`.
    Request,
    /// `ResourceSpans`.
    ResourceSpans,
    /// `ScopeSpans`.
    ScopeSpans,
    /// `Resource`.
    Resource,
    /// `EntityRef`.
    EntityRef,
    /// `InstrumentationScope`.
    Scope,
    /// `Span`.
    Span,
    /// `Span.Event`.
    Event,
    /// `Span.Link`.
    Link,
    /// `Status`.
    Status,
    /// `KeyValue`.
    KeyValue,
    /// `AnyValue`.
    AnyValue,
    /// `ArrayValue`.
    Array,
    /// `KeyValueList`.
    KvList,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string: UTF-8 in every strict reader.
    String,
    /// Bytes that are an id: in JSON hexadecimal (OTLP, "JSON Protobuf Encoding").
    Id,
    /// Other bytes: in JSON base64.
    Bytes,
    /// A message.
    Message(Message),
    /// `bool`.
    Bool,
    /// `int32`.
    Int32,
    /// `uint32`.
    Uint32,
    /// `int64`.
    Int64,
    /// `fixed32`.
    Fixed32,
    /// `fixed64`.
    Fixed64,
    /// `double`.
    Double,
    /// An enum and its names, the one of 0 first.
    Enum(&'static [&'static str]),
    /// A field this relay does not know: passed on as it came.
    Unknown,
}

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldType {
    /// Its name in JSON, in lowerCamelCase; empty where there is no such field.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may occur more than once: in JSON it is an array.
    pub repeated: bool,
}

const SPAN_KINDS: Kind = Kind::Enum(&[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
]);
const STATUS_CODES: Kind =
    Kind::Enum(&["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"]);

const fn one(name: &'static str, kind: Kind) -> FieldType {
    FieldType {
        name,
        kind,
        repeated: false,
    }
}

const fn many(name: &'static str, kind: Kind) -> FieldType {
    FieldType {
        name,
        kind,
        repeated: true,
    }
}

const fn message(name: &'static str, message: Message) -> FieldType {
    one(name, Kind::Message(message))
}

const fn messages(name: &'static str, message: Message) -> FieldType {
    many(name, Kind::Message(message))
}

const SCHEMA_URL: FieldType = one("schemaUrl", Kind::String);
const ATTRIBUTES: FieldType = messages("attributes", Message::KeyValue);
const DROPPED_ATTRIBUTES: FieldType = one("droppedAttributesCount", Kind::Uint32);
const TRACE_ID: FieldType = one("traceId", Kind::Id);
const SPAN_ID: FieldType = one("spanId", Kind::Id);
const TRACE_STATE: FieldType = one("traceState", Kind::String);
const NAME: FieldType = one("name", Kind::String);
const FLAGS: FieldType = one("flags", Kind::Fixed32);
const NO_FIELD: FieldType = one("", Kind::Unknown);

// The fields of each message by their numbers, from 1 (opentelemetry-proto 1.11, `trace.proto`, `common.proto`,
// `resource.proto`). The last fields of `KeyValue` and `AnyValue` belong to profiles, but readers know their type.
const REQUEST: &[FieldType] = &[messages("resourceSpans", Message::ResourceSpans)];
const RESOURCE_SPANS: &[FieldType] = &[
    message("resource", Message::Resource),
    messages("scopeSpans", Message::ScopeSpans),
    SCHEMA_URL,
];
const SCOPE_SPANS: &[FieldType] = &[
    message("scope", Message::Scope),
    messages("spans", Message::Span),
    SCHEMA_URL,
];
const RESOURCE: &[FieldType] = &[
    ATTRIBUTES,
    DROPPED_ATTRIBUTES,
    messages("entityRefs", Message::EntityRef),
];
const ENTITY_REF: &[FieldType] = &[
    SCHEMA_URL,
    one("type", Kind::String),
    many("idKeys", Kind::String),
    many("descriptionKeys", Kind::String),
];
const SCOPE: &[FieldType] = &[
    NAME,
    one("version", Kind::String),
    ATTRIBUTES,
    DROPPED_ATTRIBUTES,
];
const SPAN: &[FieldType] = &[
    TRACE_ID,
    SPAN_ID,
    TRACE_STATE,
    one("parentSpanId", Kind::Id),
    NAME,
    one("kind", SPAN_KINDS),
    one("startTimeUnixNano", Kind::Fixed64),
    one("endTimeUnixNano", Kind::Fixed64),
    ATTRIBUTES,
    DROPPED_ATTRIBUTES,
    messages("events", Message::Event),
    one("droppedEventsCount", Kind::Uint32),
    messages("links", Message::Link),
    one("droppedLinksCount", Kind::Uint32),
    message("status", Message::Status),
    FLAGS,
];
const EVENT: &[FieldType] = &[
    one("timeUnixNano", Kind::Fixed64),
    NAME,
    ATTRIBUTES,
    DROPPED_ATTRIBUTES,
];
const LINK: &[FieldType] = &[
    TRACE_ID,
    SPAN_ID,
    TRACE_STATE,
    ATTRIBUTES,
    DROPPED_ATTRIBUTES,
    FLAGS,
];
const STATUS: &[FieldType] = &[
    NO_FIELD,
    one("message", Kind::String),
    one("code", STATUS_CODES),
];
const KEY_VALUE: &[FieldType] = &[
    one("key", Kind::String),
    message("value", Message::AnyValue),
    one("keyStrindex", Kind::Int32),
];
const ANY_VALUE: &[FieldType] = &[
    one("stringValue", Kind::String),
    one("boolValue", Kind::Bool),
    one("intValue", Kind::Int64),
    one("doubleValue", Kind::Double),
    message("arrayValue", Message::Array),
    message("kvlistValue", Message::KvList),
    one("bytesValue", Kind::Bytes),
    one("stringValueStrindex", Kind::Int32),
];
const ARRAY: &[FieldType] = &[messages("values", Message::AnyValue)];
const KV_LIST: &[FieldType] = &[messages("values", Message::KeyValue)];

impl Message {
    fn fields(self) -> &'static [FieldType] {
        match self {
            Self::Request => REQUEST,
            Self::ResourceSpans => RESOURCE_SPANS,
            Self::ScopeSpans => SCOPE_SPANS,
            Self::Resource => RESOURCE,
            Self::EntityRef => ENTITY_REF,
            Self::Scope => SCOPE,
            Self::Span => SPAN,
            Self::Event => EVENT,
            Self::Link => LINK,
            Self::Status => STATUS,
            Self::KeyValue => KEY_VALUE,
            Self::AnyValue => ANY_VALUE,
            Self::Array => ARRAY,
            Self::KvList => KV_LIST,
        }
    }

    /// What the field with `number` holds.
    pub(super) fn field(self, number: FieldNumber) -> Kind {
        let index = number
            .checked_sub(1)
            .and_then(|index| usize::try_from(index).ok());
        index
            .and_then(|index| self.fields().get(index))
            .map_or(Kind::Unknown, |field| field.kind)
    }

    /// The field that JSON calls `name`, in `lowerCamelCase` or in `snake_case`, with its number. Looks first at the fields after
    /// `previous`, because encoders write them in order; 0 where there is no previous one.
    pub fn named(
        self,
        name: &[u8],
        previous: FieldNumber,
    ) -> Option<(FieldNumber, &'static FieldType)> {
        if name.is_empty() {
            return None;
        }
        let numbered = || (1..).zip(self.fields());
        let find = |same: fn(&str, &[u8]) -> bool| {
            let mut after = numbered().filter(|(number, _)| *number > previous);
            let mut before = numbered().filter(|(number, _)| *number <= previous);
            after
                .find(|(_, field)| same(field.name, name))
                .or_else(|| before.find(|(_, field)| same(field.name, name)))
        };
        find(|field, name| field.as_bytes() == name).or_else(|| find(is_snake_case_of))
    }
}

impl Kind {
    /// How a value of this kind is written; an unknown one may be written in any way.
    pub fn wire_type(self) -> Option<WireType> {
        match self {
            Self::String | Self::Id | Self::Bytes | Self::Message(_) => Some(WireType::Len),
            Self::Bool | Self::Int32 | Self::Uint32 | Self::Int64 | Self::Enum(_) => {
                Some(WireType::Varint)
            }
            Self::Fixed32 => Some(WireType::Fixed32),
            Self::Fixed64 | Self::Double => Some(WireType::Fixed64),
            Self::Unknown => None,
        }
    }
}

/// Whether `name` is `camel` as the `.proto` files spell it.
fn is_snake_case_of(camel: &str, name: &[u8]) -> bool {
    let mut rest = name.iter();
    let same = camel.bytes().all(|byte| {
        if byte.is_ascii_uppercase() {
            rest.next() == Some(&b'_') && rest.next() == Some(&byte.to_ascii_lowercase())
        } else {
            rest.next() == Some(&byte)
        }
    });
    same && rest.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_both_spellings_wherever_one_looks_first() {
        for previous in [0, 1, 7, 16, 99] {
            for (name, number) in [
                ("traceId", Some(1)),
                ("trace_id", Some(1)),
                ("start_time_unix_nano", Some(7)),
                ("flags", Some(16)),
                ("start_timeUnixNano", None),
                ("trace_id_", None),
                ("trace", None),
                ("TraceId", None),
                ("", None),
            ] {
                let found = Message::Span.named(name.as_bytes(), previous);
                assert_eq!(
                    found.map(|(number, _)| number),
                    number,
                    "{name} after {previous}"
                );
            }
        }
        assert_eq!(Message::Status.named(b"", 0), None, "field 1 is reserved");
    }

    #[test]
    fn the_wire_types_are_those_of_the_scan() {
        assert_eq!(Message::Span.field(16), Kind::Fixed32);
        assert_eq!(Message::Span.field(17), Kind::Unknown);
        assert_eq!(Message::Span.field(0), Kind::Unknown);
        assert_eq!(SPAN_KINDS.wire_type(), Some(WireType::Varint));
    }
}
