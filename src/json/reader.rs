//! Goes through a text by the table of OTLP's messages and writes each value as it comes.

use super::{
    Mistake, Wrong,
    out::Out,
    text::{Quoted, Text, Value},
    values::{Base64, double, hexadecimal, integer},
};
use crate::{
    otlp::FieldNumber,
    wire::schema::{FieldType, Kind, Message},
};

/// What stands in the place of a span that cannot be read: a tag of a wire type that does not exist, so that the scan rejects
/// the span.
const UNREADABLE: &[u8] = &[7];

/// What a request of another signal has instead of `resourceSpans`. Unknown fields are to be ignored (OTLP, "JSON Protobuf
/// Encoding"), but an OK for these would be a loss.
const OTHER_SIGNALS: [&str; 6] = [
    "resourceMetrics",
    "resource_metrics",
    "resourceLogs",
    "resource_logs",
    "resourceProfiles",
    "resource_profiles",
];

/// A text that becomes a message.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) text: Text<'a>,
    pub(super) out: Out,
    /// The first one in a span.
    pub(super) mistake: Option<Mistake>,
    /// Whether the span that is being read can be, where one is.
    pub(super) span: Option<Readable>,
}

/// Whether a span can be read so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readable {
    Yes,
    No,
}

impl<'a> Reader<'a> {
    /// Reads the whole text.
    pub(super) fn request(&mut self) -> Result<(), Mistake> {
        if self.text.is_at_end() {
            return Ok(());
        }
        let at = self.text.at();
        match self.text.value()? {
            Value::Object => self.message(Message::Request)?,
            Value::Null => {}
            _ => return self.wrong(at, "the body", "an object with resourceSpans"),
        }
        if self.text.is_at_end() {
            Ok(())
        } else {
            Err(self.text.missing("the end of the text"))
        }
    }

    /// Reads an object that has been opened.
    fn message(&mut self, message: Message) -> Result<(), Mistake> {
        let mut previous = 0;
        while let Some(key) = self.text.next_key()? {
            let name = key.name();
            if let Some((number, field)) = message.named(name.as_bytes(), previous) {
                previous = number;
                self.field(number, field)?;
            } else if message == Message::Request {
                self.unknown_of_request(&name)?;
            } else {
                self.skip()?;
            }
        }
        Ok(())
    }

    fn unknown_of_request(&mut self, name: &str) -> Result<(), Mistake> {
        match OTHER_SIGNALS.into_iter().find(|other| *other == name) {
            None => self.skip(),
            Some(other) => Err(Mistake {
                at: self.text.at(),
                what: Wrong::OtherSignal(other),
            }),
        }
    }

    fn skip(&mut self) -> Result<(), Mistake> {
        let value = self.text.value()?;
        self.text.skip(value)
    }

    fn field(&mut self, number: FieldNumber, field: &FieldType) -> Result<(), Mistake> {
        let at = self.text.at();
        match self.text.value()? {
            Value::Null => Ok(()),
            Value::Array if field.repeated => {
                while self.text.next_element()? {
                    let at = self.text.at();
                    let element = self.text.value()?;
                    self.element(number, field, at, element)?;
                }
                Ok(())
            }
            value if field.repeated => {
                self.text.skip(value)?;
                self.wrong(at, field.name, "an array")
            }
            value => self.write(number, field, at, value),
        }
    }

    fn element(
        &mut self,
        number: FieldNumber,
        field: &FieldType,
        at: usize,
        element: Value<'a>,
    ) -> Result<(), Mistake> {
        match (field.kind, element) {
            // In a list of values it keeps its place.
            (Kind::Message(Message::AnyValue), Value::Null) => {
                let opened = self.out.open(number);
                self.out.close(opened);
                Ok(())
            }
            (_, Value::Null) => Ok(()),
            (Kind::Message(Message::Span), element) => self.span(number, at, element),
            _ => self.write(number, field, at, element),
        }
    }

    fn span(&mut self, number: FieldNumber, at: usize, element: Value<'a>) -> Result<(), Mistake> {
        let mark = self.out.mark();
        let opened = self.out.open(number);
        self.span = Some(Readable::Yes);
        if element == Value::Object {
            self.message(Message::Span)?;
            if self.span == Some(Readable::No) {
                self.out.take_back(mark);
                let opened = self.out.open(number);
                self.out.bytes(UNREADABLE);
                self.out.close(opened);
            } else {
                self.out.close(opened);
            }
        } else {
            // A span without ids, which is rejected as well, and takes no more bytes than the shortest of elements.
            self.text.skip(element)?;
            self.wrong(at, "an element of spans", "an object")?;
            self.out.close(opened);
        }
        self.span = None;
        Ok(())
    }

    /// Writes a value that is not `null`.
    fn write(
        &mut self,
        number: FieldNumber,
        field: &FieldType,
        at: usize,
        value: Value<'a>,
    ) -> Result<(), Mistake> {
        let mark = self.out.mark();
        let written = match (field.kind, value) {
            (Kind::Message(message), Value::Object) => {
                let opened = self.out.open(number);
                self.message(message)?;
                self.out.close(opened);
                Some(())
            }
            (Kind::String, Value::String(quoted)) => {
                let opened = self.out.open(number);
                quoted.each_piece(|piece| self.out.bytes(piece.as_bytes()));
                self.out.close(opened);
                Some(())
            }
            (Kind::Id | Kind::Bytes, Value::String(quoted)) => {
                let opened = self.out.open(number);
                let written = self.bytes(field.kind, quoted);
                self.out.close(opened);
                written
            }
            (Kind::Bool, Value::Bool(value)) => {
                self.out.varint(number, value.into());
                Some(())
            }
            (kind, Value::Number(spelled)) => self.number(number, kind, spelled),
            (kind, Value::String(quoted)) => {
                let spelled = quoted.plain().map(str::trim);
                spelled.and_then(|spelled| match spelled {
                    "" => Some(()), // as if it were absent
                    spelled => self.number(number, kind, spelled),
                })
            }
            (_, value) => {
                self.text.skip(value)?;
                None
            }
        };
        if written.is_none() {
            self.out.take_back(mark);
            self.wrong(at, field.name, expected(field.kind))?;
        }
        Ok(())
    }

    fn bytes(&mut self, kind: Kind, quoted: Quoted<'a>) -> Option<()> {
        if kind == Kind::Id {
            return hexadecimal(quoted.plain()?, &mut self.out);
        }
        let mut base64 = Base64::default();
        quoted.each_piece(|piece| base64.push(piece, &mut self.out));
        base64.finish()
    }

    fn number(&mut self, number: FieldNumber, kind: Kind, spelled: &str) -> Option<()> {
        let out = &mut self.out;
        match kind {
            Kind::Double => out.fixed64(number, double(spelled)?.to_bits()),
            Kind::Fixed64 => out.fixed64(number, integer(spelled)?.try_into().ok()?),
            Kind::Fixed32 => out.fixed32(number, integer(spelled)?.try_into().ok()?),
            Kind::Uint32 => out.varint(number, u32::try_from(integer(spelled)?).ok()?.into()),
            Kind::Int64 => {
                let value = i64::try_from(integer(spelled)?).ok()?;
                out.varint(number, value.cast_unsigned());
            }
            Kind::Int32 => {
                let value = i32::try_from(integer(spelled)?).ok()?;
                out.varint(number, i64::from(value).cast_unsigned());
            }
            Kind::Enum(names) => out.varint(number, enumerated(names, spelled)?.into()),
            _ => return None,
        }
        Some(())
    }

    /// Something cannot be read: around spans nothing can be, in a span only that one.
    fn wrong(
        &mut self,
        at: usize,
        field: &'static str,
        expected: &'static str,
    ) -> Result<(), Mistake> {
        let mistake = Mistake {
            at,
            what: Wrong::Value { field, expected },
        };
        if self.span.is_none() {
            return Err(mistake);
        }
        self.span = Some(Readable::No);
        self.mistake.get_or_insert(mistake);
        Ok(())
    }
}

/// The number of an enum, which may be one that has no name yet. A name that is not known stands for 0, as a reader of
/// protobuf has it that knows fewer of them.
fn enumerated(names: &[&str], spelled: &str) -> Option<u32> {
    if spelled.starts_with(|first: char| first.is_ascii_alphabetic()) {
        let place = names.iter().position(|name| *name == spelled);
        return u32::try_from(place.unwrap_or(0)).ok();
    }
    let value = u32::try_from(integer(spelled)?).ok()?;
    i32::try_from(value).is_ok().then_some(value)
}

/// What a field of this kind should hold.
fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "a string",
        Kind::Id => "hexadecimal, as ids are in OTLP/JSON; base64 is for other bytes",
        Kind::Bytes => "base64",
        Kind::Message(_) => "an object",
        Kind::Bool => "true or false",
        Kind::Int32 | Kind::Int64 => "an integer that fits",
        Kind::Uint32 | Kind::Fixed32 | Kind::Fixed64 => "an integer from 0 that fits",
        Kind::Double => "a number",
        Kind::Enum(_) => "the number of an enum",
        Kind::Unknown => "known",
    }
}
