//! The spans in an OTLP request, counted while its bytes arrive in pieces of any size.
//!
//! It hops over spans without looking into them and keeps nothing, so a destination need not collect what it is sent.

/// `ResourceSpans` in a request, `ScopeSpans` in those, spans in those: the field of each level, from the outside in.
const FIELDS: [u64; 3] = [1, 2, 2];
/// The level whose fields are spans.
const SPANS: usize = FIELDS.len() - 1;

/// Where the reading stands.
#[derive(Clone, Copy, Debug)]
enum Expect {
    /// A field's number and type.
    Tag,
    /// The length of a field with this number.
    Length(u64),
    /// The rest of a number.
    Number,
}

/// Counts the spans of one message.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) spans: u64,
    expect: Expect,
    /// The number being read, and how many bits of it are there.
    number: u64,
    bits: u32,
    /// Bytes to hop over.
    skip: u64,
    /// Bytes read so far.
    position: u64,
    /// Where the open levels below the request end.
    ends: [u64; SPANS],
    level: usize,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            spans: 0,
            expect: Expect::Tag,
            number: 0,
            bits: 0,
            skip: 0,
            position: 0,
            ends: [0; SPANS],
            level: 0,
        }
    }

    /// The spans of a whole message.
    pub(crate) fn of(message: &[u8]) -> u64 {
        let mut tally = Self::new();
        tally.feed(message);
        tally.spans
    }

    /// The next piece of the message.
    pub(crate) fn feed(&mut self, mut piece: &[u8]) {
        while let [first, rest @ ..] = piece {
            if self.skip > 0 {
                let hop = self.skip.min(piece.len() as u64);
                self.skip -= hop;
                self.position += hop;
                piece = &piece[hop as usize..];
            } else {
                self.position += 1;
                self.read(*first);
                piece = rest;
            }
            self.leave_levels();
        }
    }

    /// One byte of a number; a whole one decides what comes next.
    fn read(&mut self, byte: u8) {
        self.number |= u64::from(byte & 0x7f) << self.bits;
        self.bits += 7;
        if byte & 0x80 != 0 {
            return;
        }
        let number = std::mem::take(&mut self.number);
        self.bits = 0;
        match self.expect {
            Expect::Tag => self.begin_field(number),
            Expect::Length(field) => self.begin_content(field, number),
            Expect::Number => self.expect = Expect::Tag,
        }
    }

    fn begin_field(&mut self, tag: u64) {
        match tag & 7 {
            0 => self.expect = Expect::Number,
            1 => self.skip = 8,
            2 => self.expect = Expect::Length(tag >> 3),
            5 => self.skip = 4,
            other => panic!("a message with wire type {other}"),
        }
    }

    fn begin_content(&mut self, field: u64, length: u64) {
        self.expect = Expect::Tag;
        if field == FIELDS[self.level] && self.level < SPANS {
            self.ends[self.level] = self.position + length;
            self.level += 1;
        } else {
            self.spans += u64::from(field == FIELDS[self.level]);
            self.skip = length;
        }
    }

    /// A level ends where its last field does.
    fn leave_levels(&mut self) {
        let between_fields = self.skip == 0 && self.bits == 0 && matches!(self.expect, Expect::Tag);
        while between_fields && self.level > 0 && self.position >= self.ends[self.level - 1] {
            self.level -= 1;
        }
    }
}
