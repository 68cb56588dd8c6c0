//! The scan at the door: checks a request's framing down to each span's fields and notes where everything is.
//!
//! The second of two passes: [`count`](super::count()) has been over the levels above the spans. A body that is broken there is
//! no OTLP; a span that is broken inside is left out alone. Invariant: what the index lists is walked later without errors.

use super::{
    Detail, Wanted,
    depth::{
        attribute_is_readable, event_is_readable, resource_is_readable, scope_is_readable,
        status_is_readable,
    },
    fields::{Broken, Field, Fields, WireType},
    index::{Counts, Index, Range32, ResourceEntry, ScopeEntry, SpanEntry, Unusable},
    prepend::VARINT_BYTES_MAX,
};
use crate::otlp::{self, SPAN_ID_BYTES, TRACE_ID_BYTES};

/// What the scan checks beyond framing.
#[derive(Clone, Copy, Debug)]
pub struct Checks {
    /// What is read deeper.
    pub wanted: Wanted,
    /// The most bytes of one message that holds a single span.
    pub message_bytes_max: usize,
}

/// Indexes a request that [`count`](super::count()) has counted.
pub fn scan(body: &[u8], counts: &Counts, checks: &Checks) -> Result<Index, Broken> {
    let mut index = Index {
        resources: Vec::with_capacity(counts.resources),
        scopes: Vec::with_capacity(counts.scopes),
        spans: Vec::with_capacity(counts.indexed_max),
        unusable: Unusable::default(),
    };
    let mut scan = Scan {
        body,
        checks,
        index: &mut index,
    };
    for field in Fields::of(body) {
        let field = field?;
        if field.number == otlp::request::RESOURCE_SPANS {
            scan.resource_spans(&field)?;
        }
    }
    Ok(index)
}

struct Scan<'a> {
    body: &'a [u8],
    checks: &'a Checks,
    index: &'a mut Index,
}

impl<'a> Scan<'a> {
    /// The fields of the message in `range`, with ranges of the whole body.
    fn fields(&self, range: Range32) -> Fields<'a> {
        let up_to_its_end = self.body.get(..range.end as usize).unwrap_or_default();
        Fields::from(up_to_its_end, range.start as usize)
    }

    fn resource_spans(&mut self, field: &Field<'a>) -> Result<(), Broken> {
        let mut entry = ResourceEntry {
            field: Range32::of_field(field),
            message: Range32::of_value(field),
            ..ResourceEntry::default()
        };
        let mut around = 0_usize;
        // The resource decides about all its spans, and may stand behind them.
        for part in self.fields(entry.message) {
            let part = part?;
            if part.number != otlp::resource_spans::SCOPE_SPANS {
                around = around.saturating_add(part.end.saturating_sub(part.start));
            }
            match part.number {
                otlp::resource_spans::RESOURCE => entry.resource = Range32::of_value(&part),
                otlp::resource_spans::SCHEMA_URL => entry.schema_url = Range32::of_value(&part),
                otlp::resource_spans::SCOPE_SPANS => {}
                _ => entry.unknown_fields = true,
            }
        }
        let previous = self.index.resources.last();
        entry.repeats = previous.is_some_and(|previous| entry.is_as(previous, self.body));
        let readable = resource_is_readable(entry.resource.of(self.body), self.checks.wanted);
        let scope_bytes_max = value_bytes_max(self.checks.message_bytes_max).saturating_sub(around);
        let first_scope = self.index.scopes.len();
        for part in self.fields(entry.message) {
            let part = part?;
            if part.number == otlp::resource_spans::SCOPE_SPANS {
                self.scope_spans(&part, scope_bytes_max, readable)?;
            }
        }
        entry.scopes = Range32::new(first_scope, self.index.scopes.len());
        self.index.resources.push(entry);
        Ok(())
    }

    fn scope_spans(
        &mut self,
        field: &Field<'a>,
        scope_bytes_max: usize,
        readable: bool,
    ) -> Result<(), Broken> {
        let mut entry = ScopeEntry {
            field: Range32::of_field(field),
            message: Range32::of_value(field),
            ..ScopeEntry::default()
        };
        // The scope may stand behind its spans, and what stands around a span goes with it into every message.
        let mut around = 0_usize;
        let mut spans = None;
        for part in self.fields(entry.message) {
            let part = part?;
            if part.number == otlp::scope_spans::SPANS {
                let (first, _) = spans.unwrap_or((part.start, part.end));
                spans = Some((first, part.end));
                continue;
            }
            around = around.saturating_add(part.end.saturating_sub(part.start));
            if part.number == otlp::scope_spans::SCOPE {
                entry.scope = Range32::of_value(&part);
            }
        }
        entry.span_fields = spans
            .map(|(start, end)| Range32::new(start, end))
            .filter(|spans| spans.len().saturating_add(around) == entry.message.len());
        let readable = readable && scope_is_readable(entry.scope.of(self.body), self.checks.wanted);
        let span_bytes_max = value_bytes_max(scope_bytes_max).saturating_sub(around);
        let first_span = self.index.spans.len();
        for part in self.fields(entry.message) {
            let part = part?;
            if part.number == otlp::scope_spans::SPANS {
                entry.incomplete |= !self.span(&part, readable, span_bytes_max);
            }
        }
        entry.spans = Range32::new(first_span, self.index.spans.len());
        self.index.scopes.push(entry);
        Ok(())
    }

    /// Indexes one span, or counts it as unusable and returns false.
    fn span(&mut self, field: &Field<'a>, readable: bool, span_bytes_max: usize) -> bool {
        let unusable = &mut self.index.unusable;
        let Ok(span) = span_entry(self.body, field, self.checks.wanted) else {
            unusable.broken = unusable.broken.saturating_add(1);
            return false;
        };
        let Some(span) = span else {
            unusable.ids = unusable.ids.saturating_add(1);
            return false;
        };
        if !readable {
            unusable.broken = unusable.broken.saturating_add(1);
            return false;
        }
        if field.end.saturating_sub(field.start) > span_bytes_max {
            unusable.too_large = unusable.too_large.saturating_add(1);
            return false;
        }
        self.index.spans.push(span);
        true
    }
}

/// The most bytes of a value whose field, its tag of one byte and its length included, has at most `field_bytes_max`.
fn value_bytes_max(field_bytes_max: usize) -> usize {
    let mut most = 0;
    let mut above_prefix = 1_usize;
    for prefix in 1..=VARINT_BYTES_MAX {
        above_prefix = above_prefix.saturating_mul(0x80);
        let left = field_bytes_max.saturating_sub(prefix).saturating_sub(1);
        most = most.max(left.min(above_prefix.saturating_sub(1)));
    }
    most
}

/// What has been read of a span.
#[derive(Default)]
struct Reading {
    wanted: Wanted,
    trace_id: Range32,
    span_id: Range32,
    entry: SpanEntry,
}

impl Reading {
    /// Notes a field whose value ends at `end`.
    #[inline]
    fn note(&mut self, number: otlp::FieldNumber, value: &[u8], end: usize) -> Result<(), Broken> {
        let range = Range32::new(end.saturating_sub(value.len()), end);
        match number {
            otlp::span::TRACE_ID => self.trace_id = range,
            otlp::span::SPAN_ID => self.span_id = range,
            otlp::span::TRACE_STATE => self.entry.trace_state = range,
            otlp::span::NAME => self.entry.name = range,
            otlp::span::ATTRIBUTES if self.wanted.span_attributes != Detail::Nothing => {
                attribute_is_readable(value, self.wanted.span_attributes)?;
            }
            otlp::span::EVENTS if self.wanted.events != Detail::Nothing => {
                event_is_readable(value, self.wanted.events)?;
            }
            otlp::span::STATUS if self.wanted.status => status_is_readable(value)?,
            _ => {}
        }
        Ok(())
    }

    /// Notes the next fields that have this number.
    #[expect(
        clippy::inline_always,
        reason = "each call knows its number, so that nothing is left of the choice"
    )]
    #[inline(always)]
    fn take(&mut self, fields: &mut Fields<'_>, number: otlp::FieldNumber) -> Result<(), Broken> {
        while let Some(value) = fields.take_short(number) {
            self.note(number, value, fields.at())?;
        }
        Ok(())
    }
}

/// Reads a span: `Err` when it is broken, `None` when its ids are not usable.
#[inline]
fn span_entry(body: &[u8], field: &Field<'_>, wanted: Wanted) -> Result<Option<SpanEntry>, Broken> {
    let message = Range32::of_value(field);
    let up_to_its_end = body.get(..message.end as usize).unwrap_or_default();
    let mut fields = Fields::from(up_to_its_end, message.start as usize);
    let mut reading = Reading {
        wanted,
        ..Reading::default()
    };
    // Encoders write fields in the order of their numbers. What comes so is taken without telling it from all others, which
    // the processor would have to guess field by field.
    reading.take(&mut fields, otlp::span::TRACE_ID)?;
    reading.take(&mut fields, otlp::span::SPAN_ID)?;
    reading.take(&mut fields, otlp::span::TRACE_STATE)?;
    reading.take(&mut fields, otlp::span::PARENT_SPAN_ID)?;
    reading.take(&mut fields, otlp::span::NAME)?;
    fields.skip_varint(otlp::span::KIND);
    fields.skip_fixed64(otlp::span::START_TIME);
    fields.skip_fixed64(otlp::span::END_TIME);
    reading.take(&mut fields, otlp::span::ATTRIBUTES)?;
    reading.take(&mut fields, otlp::span::EVENTS)?;
    reading.take(&mut fields, otlp::span::LINKS)?;
    reading.take(&mut fields, otlp::span::STATUS)?;
    fields.skip_fixed32(otlp::span::FLAGS);
    for part in fields {
        let part = part?;
        if !is_of_its_type(&part) {
            return Err(Broken);
        }
        reading.note(part.number, part.value, part.end)?;
    }
    let usable = usable_id::<TRACE_ID_BYTES>(reading.trace_id.of(body))
        && usable_id::<SPAN_ID_BYTES>(reading.span_id.of(body));
    Ok(usable.then_some(SpanEntry {
        field: Range32::of_field(field),
        message_at: message.start,
        trace_id_at: reading.trace_id.start,
        span_id_at: reading.span_id.start,
        ..reading.entry
    }))
}

/// The wire types of a span's fields by their numbers, of which 0 is none.
#[expect(
    clippy::indexing_slicing,
    reason = "the compiler evaluates it, and would not build a panic"
)]
const SPAN_WIRE_TYPES: [WireType; 17] = {
    let mut types = [WireType::Len; 17];
    types[otlp::span::KIND as usize] = WireType::Varint;
    types[otlp::span::DROPPED_ATTRIBUTES_COUNT as usize] = WireType::Varint;
    types[otlp::span::DROPPED_EVENTS_COUNT as usize] = WireType::Varint;
    types[otlp::span::DROPPED_LINKS_COUNT as usize] = WireType::Varint;
    types[otlp::span::START_TIME as usize] = WireType::Fixed64;
    types[otlp::span::END_TIME as usize] = WireType::Fixed64;
    types[otlp::span::FLAGS as usize] = WireType::Fixed32;
    types
};

/// Whether a field of a span has its wire type. An unknown one may have any.
#[inline]
fn is_of_its_type(part: &Field<'_>) -> bool {
    let expected = SPAN_WIRE_TYPES.get(part.number as usize);
    expected.is_none_or(|&expected| part.wire_type == expected)
}

/// OTLP: an id has its exact length and is not all zeros (`trace.proto`, `Span.trace_id`).
#[inline]
fn usable_id<const LENGTH: usize>(id: &[u8]) -> bool {
    id.len() == LENGTH && id.iter().any(|&byte| byte != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_value_fills_its_field() {
        for (field, value) in [
            (0, 0),
            (2, 0),
            (3, 1),
            (129, 127),
            (130, 127),
            (131, 128),
            (16_386, 16_383),
            (16_387, 16_383),
            (16_388, 16_384),
        ] {
            assert_eq!(value_bytes_max(field), value, "{field}");
        }
        assert!(value_bytes_max(usize::MAX) > 1 << 40);
    }
}
