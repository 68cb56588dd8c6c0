//! `hash`: replaces a value by its HMAC-SHA-256, so that equal values stay equal and cannot be guessed without the key.
//!
//! What is hashed: of a string and of bytes the bytes themselves; of a boolean `true` or `false`; of a number its shortest
//! decimal form without an exponent (`42`, `0.5`; the double 1 and the integer 1 are the same); of a list, a map or a kind
//! of value that is not known yet its encoding. An attribute without a value keeps none. Of a repeated value the last one
//! counts, as in protobuf, and the hash takes the place of all of them: nothing of a hashed value stays.

use std::fmt::{self, Write};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{draft::append_others, encode};
use crate::{
    otlp,
    wire::{AnyValue, Field, Fields, WireType},
};

/// Hexadecimal digits of a hash.
pub(super) const DIGITS: usize = 64;

/// The key, ready for use.
#[derive(Clone)]
pub(super) struct Hasher {
    keyed: Hmac<Sha256>,
}

impl Hasher {
    /// HMAC takes keys of any length.
    pub(super) fn new(key: &[u8]) -> Self {
        Self {
            keyed: Hmac::new_from_slice(key).expect("HMAC takes keys of any length"),
        }
    }

    /// Appends `key_value` with its value hashed, and returns true; or false, when it has none.
    pub(super) fn rewrite(&self, key_value: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(digits) = self.digits(key_value) else {
            return false;
        };
        append_others(key_value, otlp::key_value::VALUE, out);
        let value = encode::open(out, otlp::key_value::VALUE, DIGITS);
        encode::field(out, otlp::any_value::STRING, &digits);
        encode::close(out, &value);
        true
    }

    fn digits(&self, key_value: &[u8]) -> Option<[u8; DIGITS]> {
        let mut feed = Feed(self.keyed.clone());
        match counting_field(key_value)? {
            Counting::Known(_, AnyValue::String(text)) => feed.0.update(text),
            Counting::Known(_, AnyValue::Bool(value)) => feed.text(value),
            Counting::Known(_, AnyValue::Int(value)) => feed.text(value),
            Counting::Known(_, AnyValue::Double(value)) => feed.text(value),
            Counting::Known(field, AnyValue::Other) | Counting::Unknown(field) => {
                feed.0.update(field.value);
            }
        }
        Some(hexadecimal(&feed.0.finalize().into_bytes()))
    }
}

/// The key is a secret.
impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

/// Takes text as it is formatted, without a buffer in between.
struct Feed(Hmac<Sha256>);

impl Feed {
    fn text(&mut self, value: impl fmt::Display) {
        write!(self, "{value}").expect("hashing cannot fail");
    }
}

impl Write for Feed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

/// The field of a value that counts.
enum Counting<'a> {
    Known(Field<'a>, AnyValue<'a>),
    /// None of OTLP 1.11.
    Unknown(Field<'a>),
}

/// Of all fields of all values of a `KeyValue`: the last one that OTLP knows, else the last.
fn counting_field(key_value: &[u8]) -> Option<Counting<'_>> {
    let mut counting = None;
    let values = Fields::of(key_value)
        .readable()
        .filter(|field| (field.number, field.wire_type) == (otlp::key_value::VALUE, WireType::Len));
    for value in values.map(|field| field.value) {
        for field in Fields::of(value).readable() {
            let known = (otlp::any_value::STRING..=otlp::any_value::BYTES).contains(&field.number);
            if known {
                counting = Some(Counting::Known(field, AnyValue::of(field.raw(value))));
            } else if !matches!(counting, Some(Counting::Known(..))) {
                counting = Some(Counting::Unknown(field));
            }
        }
    }
    counting
}

fn hexadecimal(digest: &[u8]) -> [u8; DIGITS] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0; DIGITS];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(digest) {
        pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    digits
}
