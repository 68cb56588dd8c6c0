//! `mask` and `truncate_bytes`: every string in an attribute's value is masked, then cut; strings in lists and maps too.
//!
//! Keys, names, messages and `bytes` values are no string values and stay. Invariant: what a mask covers never leaves;
//! where a bound is reached the text ends early, and no value grows without bound.

use regex::bytes::Regex;

use super::encode;
use crate::{
    otlp::{self, FieldNumber},
    wire::{Fields, WireType},
};

/// Messages nested in a value at most: prost's own limit. What is nested deeper cannot be masked, so it is left out.
const NESTING_MAX: usize = 100;

/// Bytes that masks may add to one resource, span or event. Without a bound a long replacement for a short match would
/// make many times of a request. Chosen by eye: far above what redaction adds.
const MASK_GROWTH_BYTES_MAX: usize = 1024 * 1024;

/// The most bytes of a character in UTF-8.
const CHARACTER_BYTES_MAX: usize = 4;

/// The compiled masks and the limit of one entry.
#[derive(Debug, Default)]
pub(super) struct Rewriting {
    /// In the order of the file; each sees what the ones before it left.
    pub(super) masks: Vec<Mask>,
    /// Bytes of a string at most.
    pub(super) truncate_bytes: Option<usize>,
}

/// One line of `mask`.
#[derive(Debug)]
pub(super) struct Mask {
    /// Never matches an empty text.
    pub(super) regex: Regex,
    /// Written as it is: nothing in it stands for a part of the match.
    pub(super) replacement: Box<[u8]>,
}

/// Scratch memory, and what masks may still add to the message at hand.
#[derive(Debug)]
pub(super) struct Texts {
    masked: Vec<u8>,
    growth_left: usize,
}

/// The messages in which strings are found.
#[derive(Clone, Copy)]
enum Shape {
    KeyValue,
    AnyValue,
    Array,
    KeyValueList,
    Text,
}

// === impl Texts ===

impl Texts {
    pub(super) fn new() -> Self {
        Self {
            masked: Vec::new(),
            growth_left: MASK_GROWTH_BYTES_MAX,
        }
    }

    /// The next resource, span or event.
    pub(super) fn begin(&mut self) {
        self.growth_left = MASK_GROWTH_BYTES_MAX;
    }

    #[cfg(test)]
    pub(super) fn scratch_bytes(&self) -> usize {
        self.masked.capacity()
    }
}

// === impl Rewriting ===

impl Rewriting {
    /// Appends `key_value` with its strings masked and cut. Returns false where nothing changes; what was appended is
    /// then of no use.
    pub(super) fn rewrite(&self, key_value: &[u8], out: &mut Vec<u8>, texts: &mut Texts) -> bool {
        let fits = self
            .truncate_bytes
            .is_none_or(|most| key_value.len() <= most);
        if self.masks.is_empty() && fits {
            return false;
        }
        self.message(Shape::KeyValue, key_value, NESTING_MAX, out, texts)
    }

    fn message(
        &self,
        shape: Shape,
        message: &[u8],
        levels_left: usize,
        out: &mut Vec<u8>,
        texts: &mut Texts,
    ) -> bool {
        let Some(levels_left) = levels_left.checked_sub(1) else {
            return self.too_deep(message, out);
        };
        let mut changed = false;
        let mut end = 0;
        for field in Fields::of(message).readable() {
            end = field.end;
            let Some(child) = shape.child(field.number, field.wire_type) else {
                out.extend_from_slice(field.raw(message));
                continue;
            };
            let nested = encode::open(out, field.number, field.value.len());
            changed |= match child {
                Shape::Text => self.text(field.value, out, texts),
                child => self.message(child, field.value, levels_left, out, texts),
            };
            encode::close(out, &nested);
        }
        // What is broken in here is no string for any reader.
        out.extend_from_slice(message.get(end..).unwrap_or_default());
        changed
    }

    fn too_deep(&self, message: &[u8], out: &mut Vec<u8>) -> bool {
        if self.masks.is_empty() {
            out.extend_from_slice(message);
            return false;
        }
        !message.is_empty()
    }

    fn text(&self, text: &[u8], out: &mut Vec<u8>, texts: &mut Texts) -> bool {
        let start = out.len();
        out.extend_from_slice(text);
        let mut changed = false;
        for mask in &self.masks {
            let before = out.len() - start;
            if !mask.apply(&out[start..], before + texts.growth_left, &mut texts.masked) {
                continue;
            }
            texts.growth_left -= texts.masked.len().saturating_sub(before);
            out.truncate(start);
            out.extend_from_slice(&texts.masked);
            changed = true;
        }
        if let Some(most) = self.truncate_bytes
            && out.len() - start > most
        {
            let cut = character_border(&out[start..], most);
            out.truncate(start + cut);
            changed = true;
        }
        changed
    }
}

impl Mask {
    /// Whether it matches anywhere in `text`; if so, `masked` is the text with every match replaced, cut at `most` bytes.
    fn apply(&self, text: &[u8], most: usize, masked: &mut Vec<u8>) -> bool {
        let mut done = 0;
        masked.clear();
        while let Some(found) = self.regex.find_at(text, done) {
            masked.reserve(text.len().saturating_sub(masked.len()));
            masked.extend_from_slice(&text[done..found.start()]);
            masked.extend_from_slice(&self.replacement);
            done = found.end();
            if masked.len() >= most || found.is_empty() {
                break;
            }
        }
        if done == 0 {
            return false;
        }
        if masked.len() < most {
            masked.extend_from_slice(&text[done..]);
        }
        masked.truncate(character_border(masked, most));
        true
    }
}

impl Shape {
    fn child(self, number: FieldNumber, wire_type: WireType) -> Option<Self> {
        if wire_type != WireType::Len {
            return None;
        }
        match (self, number) {
            (Self::KeyValue, otlp::key_value::VALUE) | (Self::Array, otlp::array_value::VALUES) => {
                Some(Self::AnyValue)
            }
            (Self::KeyValueList, otlp::key_value_list::VALUES) => Some(Self::KeyValue),
            (Self::AnyValue, otlp::any_value::STRING) => Some(Self::Text),
            (Self::AnyValue, otlp::any_value::ARRAY) => Some(Self::Array),
            (Self::AnyValue, otlp::any_value::KVLIST) => Some(Self::KeyValueList),
            _ => None,
        }
    }
}

/// The most bytes of `text`, up to `most`, that end where a character ends. In broken UTF-8, where no character starts
/// nearby, that is `most`.
fn character_border(text: &[u8], most: usize) -> usize {
    if text.len() <= most {
        return text.len();
    }
    (0..CHARACTER_BYTES_MAX)
        .filter_map(|back| most.checked_sub(back))
        .find(|&cut| text[cut] & 0b1100_0000 != 0b1000_0000)
        .unwrap_or(most)
}
