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

impl Message {
    /// What the field with `number` holds (opentelemetry-proto 1.11, `trace.proto`, `common.proto`, `resource.proto`).
    pub(super) fn field(self, number: FieldNumber) -> Kind {
        use Kind::{Bytes, String};
        match (self, number) {
            (Self::ResourceSpans, 1) => Kind::Message(Self::Resource),
            (Self::ResourceSpans, 2) => Kind::Message(Self::ScopeSpans),
            (Self::ScopeSpans, 1) => Kind::Message(Self::Scope),
            (Self::ScopeSpans, 2) => Kind::Message(Self::Span),
            (Self::ResourceSpans | Self::ScopeSpans, 3) => String,
            (Self::Resource, 1) | (Self::Scope | Self::Event, 3) => Kind::Message(Self::KeyValue),
            (Self::Link, 4) | (Self::Span, 9) => Kind::Message(Self::KeyValue),
            (Self::Resource, 3) => Kind::Message(Self::EntityRef),
            (Self::Resource, 2) => VARINT,
            (Self::EntityRef, 1..=4) => String,
            (Self::Scope, 1 | 2) => String,
            (Self::Scope | Self::Event, 4) | (Self::Link, 5) => VARINT,
            (Self::Span, 1 | 2 | 4) | (Self::Link, 1 | 2) => Bytes,
            (Self::Span, 3 | 5) | (Self::Link, 3) | (Self::Event | Self::Status, 2) => String,
            (Self::Span, 6 | 10 | 12 | 14) | (Self::Status, 3) => VARINT,
            (Self::Span, 7 | 8) | (Self::Event, 1) => FIXED64,
            (Self::Span, 11) => Kind::Message(Self::Event),
            (Self::Span, 13) => Kind::Message(Self::Link),
            (Self::Span, 15) => Kind::Message(Self::Status),
            (Self::Span, 16) | (Self::Link, 6) => FIXED32,
            (Self::KeyValue, 1) | (Self::AnyValue, 1) => String,
            (Self::KeyValue, 2) | (Self::Array, 1) => Kind::Message(Self::AnyValue),
            // The last ones belong to profiles (`key_strindex`, `string_value_strindex`), but readers know their type.
            (Self::AnyValue, 2 | 3 | 8) | (Self::KeyValue, 3) => VARINT,
            (Self::AnyValue, 4) => FIXED64,
            (Self::AnyValue, 5) => Kind::Message(Self::Array),
            (Self::AnyValue, 6) => Kind::Message(Self::KvList),
            (Self::AnyValue, 7) => Bytes,
            (Self::KvList, 1) => Kind::Message(Self::KeyValue),
            _ => Kind::Unknown,
        }
    }
}
