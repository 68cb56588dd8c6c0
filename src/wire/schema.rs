//! OTLP's messages as a table: which field holds what. Only the validation in depth reads it; the hot path has its few field
//! numbers spelled out.

use super::fields::WireType;
use crate::otlp::FieldNumber;

/// A message type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    ResourceSpans,
    ScopeSpans,
    Resource,
    EntityRef,
    Scope,
    Span,
    Event,
    Link,
    Status,
    KeyValue,
    AnyValue,
    Array,
    KvList,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string: UTF-8 in every strict reader.
    String,
    /// Bytes.
    Bytes,
    /// A message.
    Message(Message),
    /// A number of this wire type.
    Number(WireType),
    /// A field this relay does not know: passed on as it came.
    Unknown,
}

const VARINT: Kind = Kind::Number(WireType::Varint);
const FIXED32: Kind = Kind::Number(WireType::Fixed32);
const FIXED64: Kind = Kind::Number(WireType::Fixed64);
const STRING: Kind = Kind::String;
const BYTES: Kind = Kind::Bytes;
const RESOURCE: Kind = Kind::Message(Message::Resource);
const ENTITY_REF: Kind = Kind::Message(Message::EntityRef);
const SCOPE_SPANS: Kind = Kind::Message(Message::ScopeSpans);
const SCOPE: Kind = Kind::Message(Message::Scope);
const SPAN: Kind = Kind::Message(Message::Span);
const EVENT: Kind = Kind::Message(Message::Event);
const LINK: Kind = Kind::Message(Message::Link);
const STATUS: Kind = Kind::Message(Message::Status);
const KEY_VALUE: Kind = Kind::Message(Message::KeyValue);
const ANY_VALUE: Kind = Kind::Message(Message::AnyValue);
const ARRAY: Kind = Kind::Message(Message::Array);
const KV_LIST: Kind = Kind::Message(Message::KvList);

impl Message {
    /// What the field with `number` holds (opentelemetry-proto 1.11, `trace.proto`, `common.proto`, `resource.proto`).
    pub(super) fn field(self, number: FieldNumber) -> Kind {
        // A row a message type, its fields in their order: the table reads as the `.proto` files do.
        let row: &[Kind] = match self {
            Self::ResourceSpans => &[RESOURCE, SCOPE_SPANS, STRING],
            Self::ScopeSpans => &[SCOPE, SPAN, STRING],
            Self::Resource => &[KEY_VALUE, VARINT, ENTITY_REF],
            Self::EntityRef => &[STRING, STRING, STRING, STRING],
            Self::Scope => &[STRING, STRING, KEY_VALUE, VARINT],
            Self::Span => &[
                BYTES, BYTES, STRING, BYTES, STRING, VARINT, FIXED64, FIXED64, KEY_VALUE, VARINT,
                EVENT, VARINT, LINK, VARINT, STATUS, FIXED32,
            ],
            Self::Event => &[FIXED64, STRING, KEY_VALUE, VARINT],
            Self::Link => &[BYTES, BYTES, STRING, KEY_VALUE, VARINT, FIXED32],
            Self::Status => &[Kind::Unknown, STRING, VARINT],
            // The last fields of these two belong to profiles (`key_strindex`, `string_value_strindex`), but readers know
            // their type.
            Self::KeyValue => &[STRING, ANY_VALUE, VARINT],
            Self::AnyValue => &[
                STRING, VARINT, VARINT, FIXED64, ARRAY, KV_LIST, BYTES, VARINT,
            ],
            Self::Array => &[ANY_VALUE],
            Self::KvList => &[KEY_VALUE],
        };
        let index = number
            .checked_sub(1)
            .and_then(|index| usize::try_from(index).ok());
        index
            .and_then(|index| row.get(index))
            .copied()
            .unwrap_or(Kind::Unknown)
    }
}
