//! JSON, value by value (RFC 8259). Strings and numbers are slices of the text until somebody needs more.
//!
//! It is lenient where a reader loses nothing by it: numbers may be spelled `NaN` and `Infinity`, as Python spells them, and
//! strings may hold control characters. Invariant: it never goes back, and never deeper than [`DEPTH_MAX`].

use std::borrow::Cow;

use memchr::memchr2;

use super::{DEPTH_MAX, Mistake, Wrong};

/// Names with escapes are no longer than this, in bytes as they are spelled: OTLP's longest has 22 letters, six bytes each.
const NAME_BYTES_MAX: usize = 256;

/// A text and how far it is read.
#[derive(Clone, Debug)]
pub(super) struct Text<'a> {
    whole: &'a str,
    at: usize,
    depth: u8,
    /// Nothing of the innermost object or array is read yet.
    first: bool,
}

/// A value, or the beginning of one that has parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    /// As it is spelled.
    Number(&'a str),
    String(Quoted<'a>),
    /// [`Text::next_key`] has what follows.
    Object,
    /// [`Text::next_element`] has what follows.
    Array,
}

/// What stands between two quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quoted<'a> {
    raw: &'a str,
    /// There are escapes in it.
    escaped: bool,
}

impl<'a> Text<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        // RFC 8259, 8.1: a parser may ignore a byte order mark.
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Self {
            whole: text,
            at,
            depth: 0,
            first: false,
        }
    }

    /// Where it is read up to, in bytes, blanks skipped: where the next value starts.
    pub(super) fn at(&mut self) -> usize {
        self.skip_blanks();
        self.at
    }

    /// Whether there is nothing more.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.at() == self.whole.len()
    }

    /// The next value.
    pub(super) fn value(&mut self) -> Result<Value<'a>, Mistake> {
        let value = match self.peek() {
            Some(b'"') => Value::String(self.string()?),
            Some(b'{') => self.open(Value::Object)?,
            Some(b'[') => self.open(Value::Array)?,
            Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'N' | b'I') => Value::Number(self.number()),
            Some(b'n') => self.literal("null", Value::Null)?,
            Some(b't') => self.literal("true", Value::Bool(true))?,
            Some(b'f') => self.literal("false", Value::Bool(false))?,
            _ => return Err(self.missing("a value")),
        };
        Ok(value)
    }

    /// The key of the next member of the innermost object, which is a [`Value::Object`]; `None` at its end.
    pub(super) fn next_key(&mut self) -> Result<Option<Quoted<'a>>, Mistake> {
        if !self.next_part(b'}', "a comma or a closing brace")? {
            return Ok(None);
        }
        if self.peek() != Some(b'"') {
            return Err(self.missing("a key in quotes"));
        }
        let key = self.string()?;
        if self.peek() != Some(b':') {
            return Err(self.missing("a colon"));
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Whether the innermost array, which is a [`Value::Array`], has another element.
    pub(super) fn next_element(&mut self) -> Result<bool, Mistake> {
        self.next_part(b']', "a comma or a closing bracket")
    }

    /// Goes on behind `value`, whatever its parts are.
    pub(super) fn skip(&mut self, value: Value<'a>) -> Result<(), Mistake> {
        match value {
            Value::Object => {
                while self.next_key()?.is_some() {
                    let member = self.value()?;
                    self.skip(member)?;
                }
            }
            Value::Array => {
                while self.next_element()? {
                    let element = self.value()?;
                    self.skip(element)?;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Ok(())
    }

    /// Something is missing here.
    pub(super) fn missing(&mut self, expected: &'static str) -> Mistake {
        Mistake {
            at: self.at(),
            what: Wrong::Syntax { expected },
        }
    }

    fn open(&mut self, value: Value<'a>) -> Result<Value<'a>, Mistake> {
        if self.depth == DEPTH_MAX {
            return Err(Mistake {
                at: self.at,
                what: Wrong::TooDeep,
            });
        }
        self.at += 1;
        self.depth += 1;
        self.first = true;
        Ok(value)
    }

    /// Goes to the next part of the innermost object or array; false when `end` closes it.
    fn next_part(&mut self, end: u8, expected: &'static str) -> Result<bool, Mistake> {
        let first = std::mem::take(&mut self.first);
        match self.peek() {
            Some(found) if found == end => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if first => Ok(true),
            _ => Err(self.missing(expected)),
        }
    }

    /// The next byte that is no blank.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.whole.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn skip_blanks(&mut self) {
        let bytes = self.whole.as_bytes();
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn literal(&mut self, spelled: &'static str, value: Value<'a>) -> Result<Value<'a>, Mistake> {
        if !self.whole[self.at..].starts_with(spelled) {
            return Err(self.missing("a value"));
        }
        self.at += spelled.len();
        Ok(value)
    }

    /// What may be a number: whoever needs it reads it.
    fn number(&mut self) -> &'a str {
        let rest = &self.whole[self.at..];
        let end = rest.bytes().position(
            |byte| !matches!(byte, b'+' | b'-' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z'),
        );
        let spelled = &rest[..end.unwrap_or(rest.len())];
        self.at += spelled.len();
        spelled
    }

    #[inline]
    fn string(&mut self) -> Result<Quoted<'a>, Mistake> {
        let start = self.at + 1;
        let bytes = self.whole.as_bytes();
        let mut escaped = false;
        let mut at = start;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(plain) = memchr2(b'"', b'\\', rest) else {
                self.at = bytes.len();
                return Err(self.missing("a closing quote"));
            };
            at += plain;
            if bytes[at] == b'"' {
                break;
            }
            escaped = true;
            // Whatever is escaped is no end; a character that is longer than a byte has no quote in it.
            at += 2;
        }
        self.at = at + 1;
        Ok(Quoted {
            raw: &self.whole[start..at],
            escaped,
        })
    }
}

impl<'a> Quoted<'a> {
    /// The string, where it is spelled without escapes.
    pub(super) fn plain(self) -> Option<&'a str> {
        (!self.escaped).then_some(self.raw)
    }

    /// The string as a name that might be known; as it is spelled where it is too long for that.
    pub(super) fn name(self) -> Cow<'a, str> {
        if !self.escaped || self.raw.len() > NAME_BYTES_MAX {
            return Cow::Borrowed(self.raw);
        }
        let mut name = String::new();
        self.each_piece(|piece| name.push_str(piece));
        Cow::Owned(name)
    }

    /// Gives `take` the string piece by piece. One half of a surrogate pair, as JavaScript leaves it where it cuts a string,
    /// becomes U+FFFD; so does an escape that does not exist.
    #[inline]
    pub(super) fn each_piece(self, mut take: impl FnMut(&str)) {
        let mut rest = self.raw;
        if self.escaped {
            while let Some((plain, behind)) = rest.split_once('\\') {
                take(plain);
                rest = behind;
                take(take_escape(&mut rest).encode_utf8(&mut [0; 4]));
            }
        }
        take(rest);
    }
}

/// The character of an escape, whose backslash was before `rest`; takes it off.
fn take_escape(rest: &mut &str) -> char {
    let mut characters = rest.chars();
    let escape = characters.next();
    *rest = characters.as_str();
    match escape {
        Some(character @ ('"' | '\\' | '/')) => character,
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => take_unicode(rest),
        _ => char::REPLACEMENT_CHARACTER,
    }
}

/// The character whose digits, behind `\u`, `rest` starts with, and with them the other half of a pair.
fn take_unicode(rest: &mut &str) -> char {
    let Some(unit) = take_unit(rest) else {
        return char::REPLACEMENT_CHARACTER;
    };
    let mut behind = rest.strip_prefix("\\u").unwrap_or_default();
    let units = [Some(unit), take_unit(&mut behind)];
    match char::decode_utf16(units.into_iter().flatten()).next() {
        Some(Ok(character)) => {
            if character.len_utf16() == 2 {
                *rest = behind;
            }
            character
        }
        _ => char::REPLACEMENT_CHARACTER,
    }
}

/// Takes off four hexadecimal digits.
fn take_unit(rest: &mut &str) -> Option<u16> {
    let (digits, behind) = rest.split_at_checked(4)?;
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    *rest = behind;
    u16::from_str_radix(digits, 16).ok()
}
