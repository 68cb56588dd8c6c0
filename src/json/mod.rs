//! OTLP/JSON becomes OTLP protobuf, which then goes the way of every request. No I/O, no clock, no tree: one pass over the text
//! writes one message, and nothing is allocated per value, but for a moment the name in a key that has escapes.
//!
//! It is as tolerant as senders are odd (OTLP, "JSON Protobuf Encoding", and what proto3 asks of parsers): ids in hexadecimal
//! of any case, numbers as strings, `null` for anything that is absent, names of enums, both spellings of keys, unknown
//! fields. What cannot be read in a span makes that span unreadable and no other: it is written as a span that the scan
//! rejects. What cannot be read around spans is no OTLP. Invariant: a message is never longer than [`bytes_max`] says.

mod out;
mod reader;
#[cfg(test)]
mod tests;
mod text;
mod values;

use std::fmt;

use out::Out;
use reader::Reader;
use text::Text;

/// The most bytes that the message of a text of so many bytes takes.
///
/// A value never takes more bytes than its text, for it has quotes, or a name before it; long strings in an array have two quotes
/// and a comma, and a tag and a length of up to five bytes. The largest of those has 16 KiB for each byte more.
pub fn bytes_max(text_bytes: usize) -> usize {
    text_bytes + text_bytes / 8192 + 16
}

/// What a text became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcoded {
    /// An `ExportTraceServiceRequest`.
    pub message: Vec<u8>,
    /// The first thing that could not be read in a span, where there was one.
    pub mistake: Option<Mistake>,
}

/// Something could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where its value starts in the text, in bytes.
    pub at: usize,
    /// What is wrong.
    pub what: Wrong,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The text is no JSON.
    Syntax {
        /// What should have stood there.
        expected: &'static str,
    },
    /// Values are nested more than [`DEPTH_MAX`] deep.
    TooDeep,
    /// The message takes more than [`bytes_max`], which no text is known to do.
    TooLong,
    /// Logs or metrics: the name says which.
    OtherSignal(&'static str),
    /// A field holds something else than it should.
    Value {
        /// The field, by its name in OTLP/JSON.
        field: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
}

/// The deepest nesting of objects and arrays. OTLP has eight levels, and attribute values three for each of theirs.
pub const DEPTH_MAX: u8 = 128;

/// Writes the message that `text` stands for into `room`, an empty buffer with a capacity of [`bytes_max`], which is the one that
/// comes back. A text that is empty stands for an empty request, as an empty body does in protobuf.
pub fn transcode(text: &str, room: Vec<u8>) -> Result<Transcoded, Mistake> {
    let mut reader = Reader {
        text: Text::new(text),
        out: Out::new(room),
        mistake: None,
        span: None,
    };
    reader.request()?;
    let mistake = reader.mistake;
    match reader.out.into_bytes() {
        Some(message) => Ok(Transcoded { message, mistake }),
        None => Err(Mistake {
            at: 0,
            what: Wrong::TooLong,
        }),
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at;
        match self.what {
            Wrong::Syntax { expected } => {
                write!(f, "the body is no JSON: at byte {at} {expected} is missing")
            }
            Wrong::TooDeep => write!(
                f,
                "the body is nested more than {DEPTH_MAX} levels deep at byte {at}"
            ),
            Wrong::TooLong => f.write_str("the body takes more bytes in protobuf than in JSON"),
            Wrong::OtherSignal(name) => write!(
                f,
                "the body has {name} at byte {at}, and only traces are relayed (resourceSpans)"
            ),
            Wrong::Value { field, expected } => {
                write!(f, "{field} at byte {at} is not {expected}")
            }
        }
    }
}

impl std::error::Error for Mistake {}
