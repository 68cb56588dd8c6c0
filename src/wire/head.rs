//! The head of a field whose value need not have arrived.
//!
//! It does not look into values, and tells nothing apart that [`Fields`] does not: where all bytes are there, both see the same
//! fields.

use super::fields::{Broken, Fields, split_tag, varint};
use crate::otlp::FieldNumber;

/// The tag of a field, and how long the field is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// Its number.
    pub(super) number: FieldNumber,
    /// The bytes of the whole field.
    pub(super) field_bytes: usize,
    /// The bytes of its value, where it has a length.
    message_bytes: Option<usize>,
}

impl Head {
    /// The head of the field that starts `bytes`; `None` as long as too little of it is there, and where it is broken. Groups
    /// and fields without a length must be there, and groups are not looked at before everything is: they would be walked
    /// again and again.
    #[inline]
    pub(super) fn of(bytes: &[u8], everything: bool) -> Option<Self> {
        let (tag, head_bytes, length) = match *bytes {
            [tag @ 0x08..0x80, length @ 0..0x80, ..] => (tag, 2, usize::from(length)),
            [tag @ 0x08..0x80, low, high @ 0..0x80, ..] => {
                let length = usize::from(low & 0x7f) | usize::from(high) << 7;
                (tag, 3, length)
            }
            _ => return Self::of_any(bytes, everything),
        };
        if tag & 0x07 != 2 {
            return Self::of_any(bytes, everything);
        }
        Some(Self {
            number: FieldNumber::from(tag >> 3),
            field_bytes: length.saturating_add(head_bytes),
            message_bytes: Some(length),
        })
    }

    fn of_any(bytes: &[u8], everything: bool) -> Option<Self> {
        let (tag, after_tag) = varint(bytes).ok()?;
        let (number, wire_type) = split_tag(tag).ok()?;
        let (field_bytes, message_bytes) = match wire_type {
            2 => {
                let (length, after_length) = varint(after_tag).ok()?;
                let length = usize::try_from(length).ok()?;
                let head_bytes = bytes.len().wrapping_sub(after_length.len());
                (head_bytes.checked_add(length)?, Some(length))
            }
            3 if !everything => return None,
            _ => (Fields::of(bytes).next()?.ok()?.end, None),
        };
        Some(Self {
            number,
            field_bytes,
            message_bytes,
        })
    }

    /// The bytes of the value of a field that must be a message, a string or bytes.
    #[inline]
    pub(super) fn message_bytes(&self) -> Result<usize, Broken> {
        self.message_bytes.ok_or(Broken)
    }
}
