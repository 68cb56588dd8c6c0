//! What a request holds, counted while its body arrives, so that its index is paid for and allocated at once.
//!
//! It hops over spans and checks the levels above them. A field is taken as soon as its tag and length are there, which is
//! when the bytes are still in the processor's caches; a value may arrive later.

use std::mem;

use super::{fields::Broken, head::Head, index::Counts};
use crate::otlp::{self, SPAN_ID_BYTES, TRACE_ID_BYTES};

/// The least bytes of a usable span: both ids, each with its tag and length.
const SPAN_BYTES_MIN: usize = TRACE_ID_BYTES + SPAN_ID_BYTES + 4;

/// Counts the parts of a request and checks the levels above its spans.
pub fn count(body: &[u8]) -> Result<Counts, Broken> {
    Counting::default().finish(body)
}

/// A count under way.
#[derive(Clone, Debug, Default)]
pub struct Counting {
    counts: Counts,
    /// Where the next field starts: beyond what has arrived, where a value has not.
    at: usize,
    level: Level,
    /// Where the `ResourceSpans` at hand ends, and whether it has a resource already.
    resource_spans_end: usize,
    has_resource: bool,
    /// Where the `ScopeSpans` at hand ends, and whether it has a scope already.
    scope_spans_end: usize,
    has_scope: bool,
    broken: bool,
}

/// The message whose fields are being counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Level {
    #[default]
    Request,
    ResourceSpans,
    ScopeSpans,
}

/// Why no more fields are taken.
enum Step {
    /// The last one is a message whose fields come first.
    Entered,
    /// It was the last one of its message.
    Ended,
    /// The next one has not arrived.
    MoreToCome,
}

impl Counting {
    /// Counts on in what has arrived of the body: each time from its beginning, and more of it.
    pub fn advance(&mut self, arrived: &[u8]) {
        self.broken = self.broken || self.run(arrived, usize::MAX).is_err();
    }

    /// The counts of the whole body.
    pub fn finish(mut self, body: &[u8]) -> Result<Counts, Broken> {
        if self.broken {
            return Err(Broken);
        }
        self.run(body, body.len())?;
        match self.level {
            Level::Request => Ok(self.counts),
            Level::ResourceSpans | Level::ScopeSpans => Err(Broken),
        }
    }

    /// Counts as far as `arrived` goes; `end` is where the body ends, as far as that is known.
    fn run(&mut self, arrived: &[u8], end: usize) -> Result<(), Broken> {
        loop {
            let (message_end, outer) = match self.level {
                Level::Request => (end, None),
                Level::ResourceSpans => (self.resource_spans_end, Some(Level::Request)),
                Level::ScopeSpans => (self.scope_spans_end, Some(Level::ResourceSpans)),
            };
            match (self.walk(arrived, message_end)?, outer) {
                (Step::Entered, _) => {}
                (Step::Ended, Some(outer)) => self.level = outer,
                (Step::Ended, None) | (Step::MoreToCome, _) => return Ok(()),
            }
        }
    }

    /// Takes fields of the message at hand, which ends at `message_end`.
    fn walk(&mut self, arrived: &[u8], message_end: usize) -> Result<Step, Broken> {
        let is_whole = message_end <= arrived.len();
        let readable = arrived.get(..message_end).unwrap_or(arrived);
        let level = self.level;
        while let Some(rest) = readable.get(self.at..)
            && let Some(head) = Head::of(rest, is_whole)
        {
            let field_end = self.at.saturating_add(head.field_bytes);
            if field_end > message_end {
                return Err(Broken);
            }
            self.take(&head, field_end)?;
            if self.level != level {
                return Ok(Step::Entered);
            }
        }
        if self.at == message_end {
            Ok(Step::Ended)
        } else if is_whole {
            Err(Broken)
        } else {
            Ok(Step::MoreToCome)
        }
    }

    /// Takes a field of the message at hand, and enters it where it has parts that count.
    #[inline]
    fn take(&mut self, head: &Head, field_end: usize) -> Result<(), Broken> {
        let counts = &mut self.counts;
        let mut next = field_end;
        match (self.level, head.number) {
            (Level::ScopeSpans, otlp::scope_spans::SPANS) => {
                let long_enough = head.message_bytes()? >= SPAN_BYTES_MIN;
                counts.spans = counts.spans.saturating_add(1);
                counts.indexed_max = counts.indexed_max.saturating_add(usize::from(long_enough));
            }
            (Level::Request, otlp::request::RESOURCE_SPANS) => {
                next = field_end.saturating_sub(head.message_bytes()?);
                counts.resources = counts.resources.saturating_add(1);
                self.level = Level::ResourceSpans;
                self.resource_spans_end = field_end;
                self.has_resource = false;
            }
            (Level::ResourceSpans, otlp::resource_spans::SCOPE_SPANS) => {
                next = field_end.saturating_sub(head.message_bytes()?);
                counts.scopes = counts.scopes.saturating_add(1);
                self.level = Level::ScopeSpans;
                self.scope_spans_end = field_end;
                self.has_scope = false;
            }
            (Level::ResourceSpans, otlp::resource_spans::RESOURCE) => {
                head.message_bytes()?;
                counts.repeated |= mem::replace(&mut self.has_resource, true);
            }
            (Level::ScopeSpans, otlp::scope_spans::SCOPE) => {
                head.message_bytes()?;
                counts.repeated |= mem::replace(&mut self.has_scope, true);
            }
            (Level::ResourceSpans, otlp::resource_spans::SCHEMA_URL)
            | (Level::ScopeSpans, otlp::scope_spans::SCHEMA_URL) => {
                head.message_bytes()?;
            }
            _ => {}
        }
        self.at = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of `body` when it arrives in these pieces.
    fn counted(body: &[u8], pieces: usize) -> Result<Counts, Broken> {
        let mut counting = Counting::default();
        for end in (0..body.len()).step_by(pieces) {
            counting.advance(&body[..end]);
        }
        counting.finish(body)
    }

    #[test]
    fn it_is_the_same_in_whatever_pieces_a_body_arrives() {
        let scope_spans = [
            b"\x0a\x03\x0a\x01s".as_slice(),           // a scope
            b"\x12\x1e000000000000000000000000000000", // a span that is long enough
            b"\x12\x02\x08\x01",                       // one that is not
            b"\xf8\x7d\x96\x01",                       // 2015: a varint
            b"\xfb\x7d\x0a\x01x\xfc\x7d",              // 2015: a group
            b"\x1a\x01u",                              // a schema URL
        ]
        .concat();
        let resource_spans = [
            b"\x0a\x00\x12".as_slice(),
            &[u8::try_from(scope_spans.len()).unwrap()],
            &scope_spans,
            b"\x12\x00",
            b"\x0a\x00", // a second resource
        ]
        .concat();
        let body = [
            b"\x0a\x00\xf9\x7d01234567\x0a".as_slice(),
            &[u8::try_from(resource_spans.len()).unwrap()],
            &resource_spans,
            b"\xfb\x7d\x0a\x01x\xfc\x7d", // 2015: a group
            b"\x0a\x00",
        ]
        .concat();
        let whole = count(&body);
        let expected = Counts {
            resources: 3,
            scopes: 2,
            spans: 2,
            indexed_max: 1,
            repeated: true,
        };
        assert_eq!(whole, Ok(expected));
        for pieces in 1..=body.len() {
            assert_eq!(counted(&body, pieces), whole, "{pieces}");
            // Cut anywhere but between its fields, it is broken.
            let cut = &body[..pieces];
            assert_eq!(counted(cut, 1), count(cut), "cut at {pieces}");
        }
        let sound = (0..body.len()).filter(|&end| count(&body[..end]).is_ok());
        assert_eq!(sound.count(), 5, "before and after each field but the last");
    }

    #[test]
    fn a_part_that_is_longer_than_what_it_stands_in_is_broken() {
        let cases: [&[u8]; 6] = [
            b"\x0a\x02\x12\x01\x00",         // a scope longer than its resource
            b"\x0a\x04\x12\x02\x12\x01\x00", // a span longer than its scope
            b"\x0a\x01\x12",                 // a tag without a length
            b"\x0a\x02\x10\x01",             // a scope that is a number
            b"\x08\x01",                     // a resource that is a number
            b"\x0a\x02\x08\x01",
        ];
        for case in cases {
            assert_eq!(count(case), Err(Broken), "{case:02x?}");
            assert_eq!(counted(case, 1), Err(Broken), "{case:02x?}");
        }
    }
}
