//! Validates a message in depth, as a strict reader would, and takes out what such a reader refuses.
//!
//! A cold path: it runs only after a destination has called a message malformed. Strings with broken UTF-8 are repaired with
//! U+FFFD, spans that are broken anywhere are left out, and everything else stays as it came.

use bytes::Bytes;

use super::{
    fields::{Field, Fields, field_at},
    prepend::Prepend,
    schema::{Kind, Message},
    split::whole,
};
use crate::otlp;

/// The deepest nesting of messages within a span, a resource or a scope: prost refuses beyond 100 levels, counted from the
/// request, and readers before us must not be stricter than we are.
const DEPTH_MAX: u8 = 96;

/// A message after repair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// What is left; empty when no span is.
    pub segments: Vec<Bytes>,
    /// Spans left.
    pub spans: u64,
    /// Spans taken out because they, their resource or their scope are malformed in depth.
    pub malformed: u64,
    /// Strings whose broken UTF-8 was replaced with U+FFFD.
    pub strings_repaired: u64,
}

/// Checks every span of a message that a scan has checked, down to the last nested value.
pub fn repair(segments: &[Bytes]) -> Repaired {
    let body = whole(segments);
    let mut repair = Repair {
        out: Prepend::with_capacity(body.len()),
        result: Repaired::default(),
    };
    for field in backwards(&body) {
        if field.number == otlp::request::RESOURCE_SPANS {
            repair.resource_spans(field.value);
        }
    }
    let segments = repair.out.finish();
    Repaired {
        segments,
        ..repair.result
    }
}

struct Repair {
    out: Prepend,
    result: Repaired,
}

impl Repair {
    fn resource_spans(&mut self, message: &[u8]) {
        let sound = sound_spans(message, Message::ResourceSpans, |scope_spans| {
            sound_spans(scope_spans, Message::ScopeSpans, |span| {
                u64::from(is_sound(Message::Span, span, 0))
            })
        });
        self.result.malformed = self
            .result
            .malformed
            .saturating_add(count_spans(message).saturating_sub(sound));
        self.result.spans = self.result.spans.saturating_add(sound);
        if sound == 0 {
            return;
        }
        let end = self.out.mark();
        for field in backwards(message) {
            if field.number == otlp::resource_spans::SCOPE_SPANS {
                self.scope_spans(field.value);
            } else {
                self.field(Message::ResourceSpans, &field, message);
            }
        }
        self.out.close(otlp::request::RESOURCE_SPANS, end);
    }

    fn scope_spans(&mut self, message: &[u8]) {
        let is_sound_span = |span: &[u8]| u64::from(is_sound(Message::Span, span, 0));
        if sound_spans(message, Message::ScopeSpans, is_sound_span) == 0 {
            return;
        }
        let end = self.out.mark();
        for field in backwards(message) {
            if field.number != otlp::scope_spans::SPANS || is_sound(Message::Span, field.value, 0) {
                self.field(Message::ScopeSpans, &field, message);
            }
        }
        self.out.close(otlp::resource_spans::SCOPE_SPANS, end);
    }

    /// Writes a sound field of `message`, its strings repaired.
    fn field(&mut self, kind: Message, field: &Field<'_>, message: &[u8]) {
        match kind.field(field.number) {
            Kind::String if std::str::from_utf8(field.value).is_err() => {
                let repaired = String::from_utf8_lossy(field.value);
                self.out.field(field.number, repaired.as_bytes());
                self.result.strings_repaired = self.result.strings_repaired.saturating_add(1);
            }
            Kind::Message(nested) => {
                let end = self.out.mark();
                for part in backwards(field.value) {
                    self.field(nested, &part, field.value);
                }
                self.out.close(field.number, end);
            }
            _ => self.out.bytes(field.raw(message)),
        }
    }
}

/// The sound spans below a `ResourceSpans` or a `ScopeSpans`: none when anything beside the nested ones is not sound.
fn sound_spans(message: &[u8], kind: Message, nested: impl Fn(&[u8]) -> u64) -> u64 {
    let mut spans = 0_u64;
    for field in Fields::of(message) {
        let Ok(field) = field else { return 0 };
        // In both messages field 2 holds what is nested: scopes or spans.
        if field.number == otlp::scope_spans::SPANS {
            spans = spans.saturating_add(nested(field.value));
        } else if !is_sound_field(kind, &field, 0) {
            return 0;
        }
    }
    spans
}

/// The spans in a `ResourceSpans`, sound or not.
fn count_spans(message: &[u8]) -> u64 {
    let nested = |message| {
        Fields::of(message)
            .readable()
            .filter(|field: &Field<'_>| field.number == otlp::scope_spans::SPANS)
    };
    nested(message).fold(0_u64, |spans, scope| {
        spans.saturating_add(nested(scope.value).count() as u64)
    })
}

/// Whether a strict reader takes the message, but for the UTF-8 of its strings.
fn is_sound(kind: Message, message: &[u8], depth: u8) -> bool {
    depth < DEPTH_MAX
        && Fields::of(message)
            .all(|field| field.is_ok_and(|field| is_sound_field(kind, &field, depth)))
}

fn is_sound_field(kind: Message, field: &Field<'_>, depth: u8) -> bool {
    let held = kind.field(field.number);
    held.wire_type()
        .is_none_or(|wire_type| field.wire_type == wire_type)
        && match held {
            Kind::Message(nested) => is_sound(nested, field.value, depth.saturating_add(1)),
            _ => true,
        }
}

/// The fields of a checked message, last one first. A stranger decides how many there are: only their places are noted, four
/// bytes each, and a field takes two.
fn backwards(message: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let starts: Vec<u32> = Fields::of(message)
        .readable()
        .filter_map(|field| u32::try_from(field.start).ok())
        .collect();
    let fields = starts.into_iter().rev();
    fields.filter_map(|start| field_at(message, start as usize).ok())
}
