//! What edits do to a message: its attributes by their keys, and the fields that stand apart.
//!
//! It knows nothing of settings or conditions. Every edit says whether it changed anything, by [`Draft::touch`].

use super::{Draft, Kind, Part, Piece, append_others, part_of};
use crate::{
    enrichment::encode,
    otlp::{self, FieldNumber},
    wire::fields::field_at,
};

/// Edits of attributes. `field` is a whole field, tag and length included.
impl<'a> Draft<'a> {
    /// Sets an attribute: the first one with this key is replaced where it stands, others with it are removed; without one
    /// it comes last.
    pub(in crate::enrichment) fn set(&mut self, key: &'a [u8], field: &'a [u8]) {
        self.load();
        let mut found = false;
        let mut changed = false;
        for part in &mut self.parts {
            if part.kind != Kind::Attribute(key) {
                continue;
            }
            if found {
                part.kind = Kind::Gone;
                changed = true;
            } else if part.bytes.of(self.message, &self.arena) != field {
                part.bytes = Piece::Given(field);
                changed = true;
            }
            found = true;
        }
        if !found {
            self.parts.push(Part {
                kind: Kind::Attribute(key),
                bytes: Piece::Given(field),
            });
        }
        if changed || !found {
            self.touch();
        }
    }

    /// Sets an attribute unless there is one with this key, whatever its value.
    pub(in crate::enrichment) fn set_if_absent(&mut self, key: &'a [u8], field: &'a [u8]) {
        self.load();
        if !self.has(key) {
            self.set(key, field);
        }
    }

    /// Gives every attribute with the key `from` the key `to`, where it stands; what had that key before is removed.
    pub(in crate::enrichment) fn rename(&mut self, from: &[u8], to: &'a [u8]) {
        self.load();
        if !self.has(from) {
            return;
        }
        self.lost_keys = true;
        for index in 0..self.parts.len() {
            match self.parts[index].kind {
                Kind::Attribute(key) if key == to => self.parts[index].kind = Kind::Gone,
                Kind::Attribute(key) if key == from => {
                    self.rewrite_one(index, |key_value, out| {
                        encode::field(out, otlp::key_value::KEY, to);
                        append_others(key_value, otlp::key_value::KEY, out);
                        true
                    });
                    self.parts[index].kind = Kind::Attribute(to);
                }
                _ => {}
            }
        }
    }

    /// Removes the attributes whose keys `picks` picks.
    pub(in crate::enrichment) fn remove(&mut self, picks: impl Fn(&[u8]) -> bool) {
        self.load();
        let mut changed = false;
        for part in &mut self.parts {
            if matches!(part.kind, Kind::Attribute(key) if picks(key)) {
                part.kind = Kind::Gone;
                changed = true;
            }
        }
        if changed {
            self.lost_keys = true;
            self.touch();
        }
    }

    /// Writes the attributes anew whose keys `picks` picks: `write` gets the `KeyValue` message, appends the new one and
    /// returns true; or it returns false, and the attribute stays as it is.
    pub(in crate::enrichment) fn rewrite(
        &mut self,
        picks: impl Fn(&[u8]) -> bool,
        mut write: impl FnMut(&[u8], &mut Vec<u8>) -> bool,
    ) {
        self.load();
        for index in 0..self.parts.len() {
            if matches!(self.parts[index].kind, Kind::Attribute(key) if picks(key)) {
                self.rewrite_one(index, &mut write);
            }
        }
    }

    /// Whether there is an attribute with this key.
    pub(in crate::enrichment) fn has(&self, wanted: &[u8]) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part.kind, Kind::Attribute(key) if key == wanted))
    }

    /// The keys of the attributes.
    pub(in crate::enrichment) fn keys(&self) -> impl Iterator<Item = &'a [u8]> {
        self.parts.iter().filter_map(|part| match part.kind {
            Kind::Attribute(key) => Some(key),
            _ => None,
        })
    }

    fn rewrite_one(&mut self, index: usize, write: impl FnOnce(&[u8], &mut Vec<u8>) -> bool) {
        let piece = self.parts[index].bytes;
        let field = match piece {
            Piece::Arena(..) => {
                self.stash.clear();
                self.stash
                    .extend_from_slice(piece.of(self.message, &self.arena));
                &self.stash
            }
            Piece::Message(..) | Piece::Given(_) => piece.of(self.message, &[]),
        };
        let key_value = field_at(field, 0).map_or(&[] as &[u8], |field| field.value);
        let start = self.arena.len();
        // A large value takes its room at once; growing towards it would take up to twice as much.
        self.arena.reserve(field.len());
        let message = encode::open(&mut self.arena, self.layout.attributes, key_value.len());
        if write(key_value, &mut self.arena) {
            encode::close(&mut self.arena, &message);
            self.parts[index].bytes = Piece::Arena(start, self.arena.len());
            self.touch();
        } else {
            self.arena.truncate(start);
        }
    }
}

/// Edits of fields that stand apart.
impl<'a> Draft<'a> {
    /// Sets a field of bytes or of a string; an empty value removes it, since that is what its absence means.
    pub(in crate::enrichment) fn set_field(&mut self, number: FieldNumber, value: &[u8]) {
        self.load();
        let start = self.arena.len();
        encode::field(&mut self.arena, number, value);
        let new = Part {
            kind: Kind::Apart(number),
            bytes: Piece::Arena(start, self.arena.len()),
        };
        let mut found = value.is_empty();
        let mut changed = false;
        for part in &mut self.parts {
            if part.kind != Kind::Apart(number) {
                continue;
            }
            if found {
                part.kind = Kind::Gone;
                changed = true;
            } else if part.bytes.of(self.message, &[])
                != part_of(&self.arena, start, self.arena.len())
            {
                *part = new;
                changed = true;
            }
            found = true;
        }
        if !found {
            self.parts.push(new);
        }
        if changed || !found {
            self.touch();
        }
    }

    /// The first nested message in a field with `number` at or after the place `from` in the list of parts: its place, and
    /// the message as it came. Messages that were replaced or removed are passed over.
    pub(in crate::enrichment) fn next_nested(
        &mut self,
        number: FieldNumber,
        from: usize,
    ) -> Option<(usize, &'a [u8])> {
        self.load();
        let message = self.message;
        let parts = self.parts.iter().enumerate().skip(from);
        parts
            .filter(|(_, part)| part.kind == Kind::Apart(number))
            .find_map(|(index, part)| match part.bytes {
                Piece::Message(start, _) => Some((index, field_at(message, start).ok()?.value)),
                Piece::Arena(..) | Piece::Given(_) => None,
            })
    }

    /// Puts an edited message in the place of one of [`Self::next_nested`].
    pub(in crate::enrichment) fn replace_nested(
        &mut self,
        index: usize,
        number: FieldNumber,
        edited: &Draft<'_>,
    ) {
        let start = self.arena.len();
        let message = encode::open(&mut self.arena, number, edited.message.len());
        edited.append_to(&mut self.arena);
        encode::close(&mut self.arena, &message);
        self.parts[index].bytes = Piece::Arena(start, self.arena.len());
        self.touch();
    }

    /// Removes one of [`Self::next_nested`].
    pub(in crate::enrichment) fn remove_nested(&mut self, index: usize) {
        self.parts[index].kind = Kind::Gone;
        self.touch();
    }
}
