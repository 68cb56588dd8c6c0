//! The fields of one protobuf message, one after the other: where each starts, where its value is, where it ends.
//!
//! It does not look into values. A field is either whole or [`Broken`].

use crate::otlp::FieldNumber;

/// The most nested groups that are skipped; prost's own limit, so that both accept the same bytes.
const GROUP_DEPTH_MAX: usize = 100;

/// The bytes are not a protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// How a value is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireType {
    /// Wire type 0.
    Varint,
    /// Wire type 1.
    Fixed64,
    /// Wire type 2.
    Len,
    /// Wire types 3 and 4, obsolete: skipped as a whole.
    Group,
    /// Wire type 5.
    Fixed32,
}

/// One field, as ranges of the message it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its number.
    pub number: FieldNumber,
    /// How its value is encoded.
    pub wire_type: WireType,
    /// The value: without its length where it has one; a varint as its bytes.
    pub value: &'a [u8],
    /// Where the field starts, counted from the start of the message.
    pub start: usize,
    /// Where it ends, counted the same way.
    pub end: usize,
}

/// Walks the fields of a message.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    /// Where `rest` ends, counted as the fields' ranges are.
    end: usize,
}

impl<'a> Fields<'a> {
    /// The fields of `message`.
    pub fn of(message: &'a [u8]) -> Self {
        Self {
            rest: message,
            end: message.len(),
        }
    }

    /// The fields of the message that ends with `body` and starts at `start`: their ranges count from the start of `body`.
    pub fn from(body: &'a [u8], start: usize) -> Self {
        Self {
            rest: body.get(start..).unwrap_or_default(),
            end: body.len(),
        }
    }

    /// Takes the next field if it has this number, is of a length that is written in one byte, and whole; else it stays the
    /// next. So are [`Fields::skip_varint`] and [`Fields::skip_fixed64`].
    #[inline]
    pub(super) fn take_short(&mut self, number: FieldNumber) -> Option<&'a [u8]> {
        let &[tag, length @ 0..0x80, ref after_length @ ..] = self.rest else {
            return None;
        };
        if u32::from(tag) != number << 3 | 2 {
            return None;
        }
        let (value, rest) = after_length.split_at_checked(usize::from(length))?;
        self.rest = rest;
        Some(value)
    }

    #[inline]
    pub(super) fn skip_varint(&mut self, number: FieldNumber) {
        if let &[tag, 0..0x80, ref rest @ ..] = self.rest
            && u32::from(tag) == number << 3
        {
            self.rest = rest;
        }
    }

    #[inline]
    pub(super) fn skip_fixed64(&mut self, number: FieldNumber) {
        if let &[tag, _, _, _, _, _, _, _, _, ref rest @ ..] = self.rest
            && u32::from(tag) == number << 3 | 1
        {
            self.rest = rest;
        }
    }

    /// As the others, for a field whose tag is written in two bytes.
    #[inline]
    pub(super) fn skip_fixed32(&mut self, number: FieldNumber) {
        if let &[low @ 0x80..=0xff, high @ 1..0x80, _, _, _, _, ref rest @ ..] = self.rest
            && u32::from(low & 0x7f) | u32::from(high) << 7 == number << 3 | 5
        {
            self.rest = rest;
        }
    }

    /// Whether all fields have been taken.
    #[inline]
    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Where the next field starts, counted as their ranges are.
    #[inline]
    pub(super) fn at(&self) -> usize {
        self.end.wrapping_sub(self.rest.len())
    }

    /// The fields as far as they can be read: all of them where a scan has looked.
    pub fn readable(self) -> impl Iterator<Item = Field<'a>> {
        self.map_while(Result::ok)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Broken>;

    #[expect(clippy::inline_always, reason = "see `Part::first_of`")]
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let start = self.at();
        let part = Part::first_of(self.rest);
        // After a broken field there is nothing to walk.
        self.rest = part.as_ref().map_or(&[], |part| part.rest);
        let end = self.at();
        Some(part.map(|part| Field {
            number: part.number,
            wire_type: part.wire_type,
            value: part.value,
            start,
            end,
        }))
    }
}

impl Field<'_> {
    /// The value of a varint field; 0 for any other.
    #[inline]
    pub fn varint(&self) -> u64 {
        match self.wire_type {
            WireType::Varint => varint(self.value).map_or(0, |(value, _)| value),
            _ => 0,
        }
    }

    /// The value of a fixed64 field; 0 for any other.
    #[inline]
    pub fn fixed64(&self) -> u64 {
        <[u8; 8]>::try_from(self.value).map_or(0, u64::from_le_bytes)
    }

    /// Where its value starts, counted like `start`. The value ends with the field.
    #[inline]
    pub fn value_start(&self) -> usize {
        self.end.saturating_sub(self.value.len())
    }

    /// The whole field, tag and length included, as it stands in `message`.
    #[inline]
    pub fn raw<'m>(&self, message: &'m [u8]) -> &'m [u8] {
        message.get(self.start..self.end).unwrap_or_default()
    }
}

/// The field that starts at `at`.
pub fn field_at(message: &[u8], at: usize) -> Result<Field<'_>, Broken> {
    Fields::from(message, at).next().ok_or(Broken)?
}

/// The first field of a message, and what follows it.
struct Part<'a> {
    number: FieldNumber,
    wire_type: WireType,
    value: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Part<'a> {
    /// Nearly every field has a tag of one byte and a length of one or two, so these are read in place, and the rest behind
    /// a call.
    #[expect(
        clippy::inline_always,
        reason = "a call that returns its words through memory costs more than reading the field: end_to_end, enrich, went from 0.80 to 0.65 µs a span"
    )]
    #[inline(always)]
    fn first_of(message: &'a [u8]) -> Result<Self, Broken> {
        let &[tag @ 0x08..0x80, ref after_tag @ ..] = message else {
            return Self::first_of_any(message);
        };
        let (wire_type, split) = match (tag & 0x07, after_tag) {
            (0, &[0..0x80, ..]) => (WireType::Varint, after_tag.split_at_checked(1)),
            (1, _) => (WireType::Fixed64, after_tag.split_at_checked(8)),
            (2, &[length @ 0..0x80, ref after_length @ ..]) => {
                let length = usize::from(length);
                (WireType::Len, after_length.split_at_checked(length))
            }
            // A span.
            (2, &[low, high @ 0..0x80, ref after_length @ ..]) => {
                let length = usize::from(low & 0x7f) | usize::from(high) << 7;
                (WireType::Len, after_length.split_at_checked(length))
            }
            (5, _) => (WireType::Fixed32, after_tag.split_at_checked(4)),
            _ => return Self::first_of_any(message),
        };
        let (value, rest) = split.ok_or(Broken)?;
        Ok(Self {
            number: FieldNumber::from(tag >> 3),
            wire_type,
            value,
            rest,
        })
    }

    fn first_of_any(message: &'a [u8]) -> Result<Self, Broken> {
        let (tag, after_tag) = varint(message)?;
        let (number, wire_type) = split_tag(tag)?;
        let (wire_type, (value, rest)) = match wire_type {
            0 => (WireType::Varint, before(after_tag, varint(after_tag)?.1)),
            1 => (WireType::Fixed64, first_bytes(after_tag, 8)?),
            2 => {
                let (length, after_length) = varint(after_tag)?;
                (WireType::Len, first_bytes(after_length, length)?)
            }
            3 => (
                WireType::Group,
                before(after_tag, after_group(after_tag, number)?),
            ),
            5 => (WireType::Fixed32, first_bytes(after_tag, 4)?),
            _ => return Err(Broken),
        };
        Ok(Self {
            number,
            wire_type,
            value,
            rest,
        })
    }
}

/// Splits off `length` bytes.
#[inline]
fn first_bytes(bytes: &[u8], length: u64) -> Result<(&[u8], &[u8]), Broken> {
    let length = usize::try_from(length).map_err(|_| Broken)?;
    bytes.split_at_checked(length).ok_or(Broken)
}

/// Splits `bytes` where `rest`, which is its end, begins.
#[inline]
fn before<'a>(bytes: &'a [u8], rest: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let value = bytes.get(..bytes.len().wrapping_sub(rest.len()));
    (value.unwrap_or_default(), rest)
}

/// The varint that starts `bytes`, and what follows it. At most ten bytes, the tenth at most 1: 64 bits.
#[inline]
pub(super) fn varint(bytes: &[u8]) -> Result<(u64, &[u8]), Broken> {
    match *bytes {
        [value @ 0..0x80, ref rest @ ..] => Ok((u64::from(value), rest)),
        [low, high @ 0..0x80, ref rest @ ..] => {
            Ok((u64::from(low & 0x7f) | u64::from(high) << 7, rest))
        }
        _ => long_varint(bytes),
    }
}

#[cold]
fn long_varint(bytes: &[u8]) -> Result<(u64, &[u8]), Broken> {
    let mut value = 0_u64;
    let mut rest = bytes;
    for index in 0..10_usize {
        let (&byte, after) = rest.split_first().ok_or(Broken)?;
        if index == 9 && byte > 1 {
            return Err(Broken);
        }
        value |= u64::from(byte & 0x7f) << index.wrapping_mul(7);
        rest = after;
        if byte < 0x80 {
            return Ok((value, rest));
        }
    }
    Err(Broken)
}

#[inline]
pub(super) fn split_tag(tag: u64) -> Result<(FieldNumber, u8), Broken> {
    let tag = u32::try_from(tag).map_err(|_| Broken)?;
    let number = tag >> 3;
    let [wire_type, ..] = (tag & 0x07).to_le_bytes();
    if number == 0 {
        return Err(Broken);
    }
    Ok((number, wire_type))
}

/// What follows the group that `number` opened. Groups are obsolete, but an unknown field may be one.
#[cold]
fn after_group(mut bytes: &[u8], number: FieldNumber) -> Result<&[u8], Broken> {
    let mut open = [0; GROUP_DEPTH_MAX];
    let mut depth = 0_usize;
    *open.first_mut().ok_or(Broken)? = number;
    loop {
        let (tag, after_tag) = varint(bytes)?;
        let (number, wire_type) = split_tag(tag)?;
        match wire_type {
            3 => {
                depth = depth.wrapping_add(1);
                *open.get_mut(depth).ok_or(Broken)? = number;
                bytes = after_tag;
            }
            4 => {
                if open.get(depth) != Some(&number) {
                    return Err(Broken);
                }
                bytes = after_tag;
                if depth == 0 {
                    return Ok(bytes);
                }
                depth = depth.wrapping_sub(1);
            }
            _ => bytes = Part::first_of(bytes)?.rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(message: &[u8]) -> Result<Vec<FieldNumber>, Broken> {
        Fields::of(message)
            .map(|field| field.map(|field| field.number))
            .collect()
    }

    #[test]
    fn every_wire_type_is_walked() {
        let message = [
            0x08, 0x96, 0x01, // 1: varint 150
            0x11, 1, 2, 3, 4, 5, 6, 7, 8, // 2: fixed64
            0x1a, 2, b'h', b'i', // 3: two bytes
            0x23, 0x08, 0x01, 0x2b, 0x2c,
            0x24, // 4: a group with a varint and a group 5 in it
            0x35, 1, 2, 3, 4, // 6: fixed32
        ];
        assert_eq!(numbers(&message), Ok(vec![1, 2, 3, 4, 6]));
        let first = field_at(&message, 0).unwrap();
        assert_eq!((first.varint(), first.start, first.end), (150, 0, 3));
    }

    #[test]
    fn groups_are_walked_to_a_depth() {
        for (depth, expected) in [
            (GROUP_DEPTH_MAX - 1, Ok(vec![1])),
            (GROUP_DEPTH_MAX, Ok(vec![1])),
            (GROUP_DEPTH_MAX + 1, Err(Broken)),
        ] {
            let message = [vec![0x0b; depth], vec![0x0c; depth]].concat();
            assert_eq!(numbers(&message), expected, "{depth}");
        }
    }

    #[test]
    fn what_is_cut_short_or_lies_is_broken() {
        let cases: [&[u8]; 10] = [
            &[0x08],                            // a tag without a value
            &[0x0a, 5, b'h'],                   // a length over the end
            &[0x00],                            // field number 0
            &[0x0c],                            // the end of no group
            &[0x0b, 0x14],                      // a group closed by another number
            &[0x0b],                            // a group that never ends
            &[0x0e, 0],                         // wire type 6
            &[0x80, 0x80, 0x80, 0x80, 0x10, 0], // a tag over 32 bits
            &[
                0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
            ], // a varint over 64 bits
            &[
                0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0,
            ], // a length of 2^64 - 1
        ];
        for case in cases {
            assert_eq!(numbers(case), Err(Broken), "{case:02x?}");
        }
    }
}
