//! The list `enrichment` as it is written: which keys an entry has, and what each may hold.
//!
//! Everything wrong is reported at once, and what is right is compiled. It reads no files: whoever calls has the hash key.

use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;

use super::{
    encode,
    entry::{Entry, Level, Operation, Setting},
    hash::Hasher,
    strings::{Mask, Rewriting},
};
use crate::{
    document::{self, Findings, Node, Section, Value},
    matching::{Glob, Matcher},
    otlp::{self, FieldNumber},
};

/// What an entry may do, in the order in which it is done.
const OPERATIONS: [&str; 7] = [
    "set",
    "set_if_absent",
    "rename",
    "remove",
    "hash",
    "mask",
    "truncate_bytes",
];

/// The largest `truncate_bytes`: no request is larger, so a larger one would never cut anything.
const TRUNCATE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Bytes of a compiled mask at most. Chosen by eye: the largest expressions of redaction take a tenth of it.
const REGEX_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Bytes of a hash key below which it can be guessed: 128 bits.
const HASH_KEY_BYTES_GOOD: usize = 16;

/// Reads the list. An entry with a mistake is left out as a whole when what it is about is unknown.
pub(super) fn entries(
    list: &Node,
    key: &str,
    hash_key: Option<&[u8]>,
    findings: &mut Findings,
) -> Vec<Entry> {
    let items = match &list.value {
        Value::List(items) => items.as_slice(),
        Value::Null => &[],
        other => {
            let found = other.in_words();
            let message = format!("found {found}; allowed: a list of edits");
            findings.mistake(&list.place, key, message);
            &[]
        }
    };
    let reader = Reader::new(hash_key);
    let entries = items.iter().enumerate();
    entries
        .filter_map(|(index, item)| reader.entry(item, &format!("{key}[{index}]"), findings))
        .collect()
}

struct Reader {
    /// The key of `hash`; `Err` says what is wrong with it.
    hasher: Result<Arc<Hasher>, &'static str>,
    /// A doubt about the key.
    doubt: Option<String>,
}

impl Reader {
    fn new(hash_key: Option<&[u8]>) -> Self {
        let key = hash_key.map(without_line_end);
        let hasher = match key {
            None => {
                Err("needs a secret key: set `enrichment_hash_key_file` to a file that holds one")
            }
            Some([]) => Err("needs a secret key, but the file `enrichment_hash_key_file` is empty"),
            Some(key) => Ok(Arc::new(Hasher::new(key))),
        };
        let doubt = key
            .filter(|key| key.len() < HASH_KEY_BYTES_GOOD)
            .map(|key| {
                let found = key.len();
                format!("the key has {found} bytes and can be guessed; use at least {HASH_KEY_BYTES_GOOD} random ones")
            });
        Self { hasher, doubt }
    }

    fn entry(&self, node: &Node, path: &str, findings: &mut Findings) -> Option<Entry> {
        let mut section = Section::open(node, path, findings)?;
        let on = level(&mut section);
        let matcher = matcher(&mut section, on);
        let at = on.unwrap_or(Level::Span).layout().attributes;
        let mut operations = Vec::new();
        operations.extend(settings(&mut section, "set", at).map(Operation::Set));
        operations.extend(settings(&mut section, "set_if_absent", at).map(Operation::SetIfAbsent));
        operations.extend(renames(&mut section));
        operations.extend(globs(&mut section, "remove").map(Operation::Remove));
        operations.extend(self.hash(&mut section));
        operations.extend(rewriting(&mut section).map(Operation::Rewrite));
        if !OPERATIONS.into_iter().any(|key| section.has(key)) {
            let message = format!("does nothing; allowed: {}", OPERATIONS.join(", "));
            section.findings().mistake(&node.place, path, message);
        }
        section.finish();
        Some(Entry {
            on: on?,
            matcher,
            operations,
        })
    }

    fn hash(&self, section: &mut Section<'_, '_>) -> Option<Operation> {
        let keys = globs(section, "hash")?;
        match &self.hasher {
            Ok(hasher) => {
                if let Some(doubt) = &self.doubt {
                    section.warning("hash", doubt);
                }
                Some(Operation::Hash(keys, Arc::clone(hasher)))
            }
            Err(message) => {
                section.mistake("hash", *message);
                None
            }
        }
    }
}

/// Editors end a file with a line end that nobody means as a part of the key.
fn without_line_end(mut key: &[u8]) -> &[u8] {
    while let [rest @ .., b'\n' | b'\r'] = key {
        key = rest;
    }
    key
}

fn level(section: &mut Section<'_, '_>) -> Option<Level> {
    if !section.has("on") {
        section.mistake("on", "missing; allowed: resource, span, event");
        return None;
    }
    let choices = [
        ("resource", Level::Resource),
        ("span", Level::Span),
        ("event", Level::Event),
    ];
    section.choice("on", &choices)
}

fn matcher(section: &mut Section<'_, '_>, on: Option<Level>) -> Option<Matcher> {
    let path = section.path("match");
    let matcher = Matcher::read(section.node("match")?, &path, section.findings());
    if on == Some(Level::Resource) && (matcher.reads_scope() || matcher.reads_span()) {
        let scope = matcher.reads_scope().then_some("scope");
        let keys: Vec<_> = scope.into_iter().chain(matcher.span_keys()).collect();
        let message = format!(
            "a resource is shared by all its spans, so `{}` cannot choose among them; allowed with `on: resource`: \
             service, resource_attributes",
            keys.join("`, `")
        );
        section.mistake("match", message);
    }
    (!matcher.is_empty()).then_some(matcher)
}

fn settings(
    section: &mut Section<'_, '_>,
    key: &'static str,
    attributes: FieldNumber,
) -> impl Iterator<Item = Setting> {
    let mut settings = Vec::new();
    for (path, entry) in named(section, key) {
        let Some(value) = encoded_value(&entry.node.value) else {
            let found = entry.node.value.in_words();
            let message = format!("found {found}; allowed: a string, a number, true or false");
            section.findings().mistake(&entry.node.place, path, message);
            continue;
        };
        let mut field = Vec::new();
        let key_value = encode::open(&mut field, attributes, 0);
        encode::field(&mut field, otlp::key_value::KEY, entry.key.as_bytes());
        encode::field(&mut field, otlp::key_value::VALUE, &value);
        encode::close(&mut field, &key_value);
        settings.push(Setting {
            key: entry.key.as_bytes().into(),
            field: field.into(),
        });
    }
    settings.into_iter()
}

/// The `AnyValue` message of a scalar.
fn encoded_value(value: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match value {
        Value::String(text) => encode::field(&mut out, otlp::any_value::STRING, text.as_bytes()),
        Value::Bool(value) => {
            encode::tag(&mut out, otlp::any_value::BOOL, encode::VARINT);
            encode::varint(&mut out, u64::from(*value));
        }
        Value::Int(value) => {
            encode::tag(&mut out, otlp::any_value::INT, encode::VARINT);
            encode::varint(&mut out, value.cast_unsigned());
        }
        Value::Float(value) => {
            encode::tag(&mut out, otlp::any_value::DOUBLE, encode::FIXED64);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Value::Null | Value::List(_) | Value::Map(_) => return None,
    }
    Some(out)
}

fn renames(section: &mut Section<'_, '_>) -> impl Iterator<Item = Operation> {
    let mut renames = Vec::new();
    for (path, entry) in named(section, "rename") {
        let place = &entry.node.place;
        match &entry.node.value {
            Value::String(to) if to.is_empty() => {
                let message = "the new key is empty; to take an attribute out use `remove`";
                section.findings().mistake(place, path, message);
            }
            Value::String(to) if *to == entry.key => {
                let message = "the new key is the old one; take it out";
                section.findings().mistake(place, path, message);
            }
            Value::String(to) => renames.push(Operation::Rename {
                from: entry.key.as_bytes().into(),
                to: to.as_bytes().into(),
            }),
            other => {
                let found = other.in_words();
                let message = format!("found {found}; allowed: the new key, a string");
                section.findings().mistake(place, path, message);
            }
        }
    }
    renames.into_iter()
}

fn globs(section: &mut Section<'_, '_>, key: &'static str) -> Option<Box<[Glob]>> {
    let keys = section.strings(key)?;
    if keys.iter().any(|key| key.is_empty()) {
        section.mistake(
            key,
            "found an empty key; allowed: keys of attributes, with `*` for any run of characters",
        );
    }
    Some(keys.into_iter().map(Glob::new).collect())
}

fn rewriting(section: &mut Section<'_, '_>) -> Option<Rewriting> {
    let masks: Vec<_> = named(section, "mask")
        .into_iter()
        .filter_map(|(path, entry)| mask(&path, entry, section.findings()))
        .collect();
    let truncate_bytes = truncate_bytes(section);
    (!masks.is_empty() || truncate_bytes.is_some()).then_some(Rewriting {
        masks,
        truncate_bytes,
    })
}

fn mask(path: &str, entry: &document::Entry, findings: &mut Findings) -> Option<Mask> {
    let regex = compiled(&entry.key)
        .map_err(|message| findings.mistake(&entry.place, path, message))
        .ok();
    let Value::String(replacement) = &entry.node.value else {
        let found = entry.node.value.in_words();
        let message =
            format!("found {found}; allowed: a string, which takes the place of what matches");
        findings.mistake(&entry.node.place, path, message);
        return None;
    };
    if names_group(replacement) {
        let message = "the replacement is written as it is: `$` stands for no part of the match";
        findings.warning(&entry.node.place, path, message);
    }
    Some(Mask {
        regex: regex?,
        replacement: replacement.as_bytes().into(),
    })
}

/// Whether a reader used to other tools would expect a group to be filled in.
fn names_group(replacement: &str) -> bool {
    let mut pairs = replacement.as_bytes().windows(2);
    pairs.any(|pair| pair[0] == b'$' && (pair[1].is_ascii_digit() || pair[1] == b'{'))
}

/// A mask's expression, or what is wrong with it.
fn compiled(pattern: &str) -> Result<Regex, String> {
    let mut parser = ParserBuilder::new().utf8(false).build();
    let parsed = parser.parse(pattern).map_err(|broken| match broken {
        regex_syntax::Error::Parse(broken) => fault(broken.span(), broken.kind()),
        regex_syntax::Error::Translate(broken) => fault(broken.span(), broken.kind()),
        other => format!("no regular expression: {other}"),
    })?;
    if parsed
        .properties()
        .minimum_len()
        .is_none_or(|shortest| shortest == 0)
    {
        let message = "matches where there is nothing to mask, or never; write an expression that takes one character at least";
        return Err(message.to_owned());
    }
    RegexBuilder::new(pattern)
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|_| {
            format!("takes more than {REGEX_BYTES_MAX} bytes compiled; use smaller repetitions")
        })
}

fn fault(at: &regex_syntax::ast::Span, kind: &dyn std::fmt::Display) -> String {
    let column = at.start.column;
    format!(
        "no regular expression: {kind}, at character {column}; look-around and back references are not understood"
    )
}

/// A number of bytes, as the key says, or a size such as `4KiB`.
fn truncate_bytes(section: &mut Section<'_, '_>) -> Option<usize> {
    let most = i64::try_from(TRUNCATE_BYTES_MAX).ok()?;
    let bytes = match section.node("truncate_bytes")?.value {
        Value::Int(_) => section.integer("truncate_bytes", 1..=most)?.cast_unsigned(),
        _ => section.size("truncate_bytes")?,
    };
    if !(1..=TRUNCATE_BYTES_MAX).contains(&bytes) {
        let message = format!("found {bytes} bytes; allowed: 1 to {TRUNCATE_BYTES_MAX}");
        section.mistake("truncate_bytes", message);
        return None;
    }
    usize::try_from(bytes).ok()
}

/// The lines of a mapping whose keys the user chooses, each with its dotted path. A mapping without any is a mistake.
fn named<'n>(
    section: &mut Section<'n, '_>,
    key: &'static str,
) -> Vec<(String, &'n document::Entry)> {
    let entries = section.entries(key);
    let nothing = section.node(key).is_some_and(|node| match &node.value {
        Value::Null => true,
        Value::Map(entries) => entries.is_empty(),
        _ => false,
    });
    if nothing {
        section.mistake(key, "is empty; take it out");
    }
    let (empty, entries): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .partition(|(_, entry)| entry.key.is_empty());
    for (path, entry) in empty {
        let message = "found an empty key; allowed: anything else";
        section.findings().mistake(&entry.place, path, message);
    }
    entries
}
