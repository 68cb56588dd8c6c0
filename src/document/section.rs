//! Reads one mapping by its keys: typed values out, every mistake reported with its place, its dotted key, what was
//! found and what is allowed. What was never asked for is unknown, and [`Section::finish`] says so.
//!
//! Numbers and booleans may come as strings, because values from the environment do. `None` from a typed reader means
//! that the key is absent, or that it is wrong and this has been reported.

use std::{ops::RangeInclusive, time::Duration};

use super::{Entry, Findings, Node, Place, Value, parse_duration, parse_size};

/// A mapping that is being read. A mapping with nothing in it (`sampling:` and no more) reads as an empty one.
#[derive(Debug)]
pub struct Section<'n, 'f> {
    path: String,
    place: &'n Place,
    entries: &'n [Entry],
    findings: &'f mut Findings,
    known: Vec<&'static str>,
    later: Vec<&'static str>,
}

impl<'n, 'f> Section<'n, 'f> {
    /// Starts on a mapping at the dotted path `path` (empty for a whole document). `None`: it is no mapping, which has
    /// been reported.
    pub fn open(
        node: &'n Node,
        path: impl Into<String>,
        findings: &'f mut Findings,
    ) -> Option<Self> {
        let path = path.into();
        let entries: &[Entry] = match &node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            other => {
                let found = other.in_words();
                findings.mistake(
                    &node.place,
                    path,
                    format!("found {found}; allowed: a mapping"),
                );
                return None;
            }
        };
        Some(Self {
            path,
            place: &node.place,
            entries,
            findings,
            known: Vec::new(),
            later: Vec::new(),
        })
    }

    /// The dotted path of `key` in here.
    pub fn path(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Where `key` stands, or the mapping when it is absent.
    pub fn place(&self, key: &str) -> Place {
        self.entry(key)
            .map_or(self.place, |entry| &entry.place)
            .clone()
    }

    /// Where reports go, for mistakes that only the caller can see.
    pub fn findings(&mut self) -> &mut Findings {
        self.findings
    }

    /// Reports a mistake about `key`, at its place or, when it is absent, at the mapping's.
    pub fn mistake(&mut self, key: &str, message: impl Into<String>) {
        let (place, path) = (self.place(key), self.path(key));
        self.findings.mistake(&place, path, message);
    }

    /// Reports a warning about `key`, at its place or, when it is absent, at the mapping's.
    pub fn warning(&mut self, key: &str, message: impl Into<String>) {
        let (place, path) = (self.place(key), self.path(key));
        self.findings.warning(&place, path, message);
    }

    /// Whether `key` is there, as anything at all. It counts as known from now on.
    pub fn has(&mut self, key: &'static str) -> bool {
        self.known.push(key);
        self.entry(key).is_some()
    }

    /// The value of `key` as it is.
    pub fn node(&mut self, key: &'static str) -> Option<&'n Node> {
        self.known.push(key);
        self.entry(key).map(|entry| &entry.node)
    }

    /// A mapping whose keys are names chosen by the user: each with its dotted path.
    pub fn entries(&mut self, key: &'static str) -> Vec<(String, &'n Entry)> {
        let path = self.path(key);
        let Some(node) = self.node(key) else {
            return Vec::new();
        };
        let Some(section) = Section::open(node, path, self.findings) else {
            return Vec::new();
        };
        let entries = section.entries.iter();
        entries
            .map(|entry| (join(&section.path, &entry.key), entry))
            .collect()
    }

    /// A string.
    pub fn string(&mut self, key: &'static str) -> Option<&'n str> {
        let node = self.node(key)?;
        match &node.value {
            Value::String(text) => Some(text),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                self.refuse(key, node, "a string: put it into quotes")
            }
            _ => self.refuse(key, node, "a string"),
        }
    }

    /// A string or a list of them, without empty lists.
    pub fn strings(&mut self, key: &'static str) -> Option<Vec<&'n str>> {
        let node = self.node(key)?;
        let Value::List(items) = &node.value else {
            return self.string(key).map(|text| vec![text]);
        };
        if items.is_empty() {
            return self.refuse(key, node, "a string or a list of at least one");
        }
        self.all_strings(key, items)
    }

    /// A list of strings, which may be empty.
    pub fn string_list(&mut self, key: &'static str) -> Option<Vec<&'n str>> {
        let items = self.list(key)?;
        self.all_strings(key, items)
    }

    fn all_strings(&mut self, key: &str, items: &'n [Node]) -> Option<Vec<&'n str>> {
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            if let Value::String(text) = &item.value {
                texts.push(text.as_str());
            } else {
                let path = format!("{}[{index}]", self.path(key));
                let found = item.value.in_words();
                let message = format!("found {found}; allowed: a string");
                self.findings.mistake(&item.place, path, message);
            }
        }
        (texts.len() == items.len()).then_some(texts)
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, key: &'static str) -> Option<bool> {
        let node = self.node(key)?;
        match &node.value {
            Value::Bool(value) => Some(*value),
            Value::String(text) if text == "true" => Some(true),
            Value::String(text) if text == "false" => Some(false),
            _ => self.refuse(key, node, "true or false"),
        }
    }

    /// A whole number within `allowed`.
    pub fn integer(&mut self, key: &'static str, allowed: RangeInclusive<i64>) -> Option<i64> {
        let node = self.node(key)?;
        let number = match &node.value {
            Value::Int(number) => Some(*number),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if allowed.contains(&number) => Some(number),
            _ => {
                let (first, last) = (allowed.start(), allowed.end());
                let words = format!("a whole number from {first} to {last}");
                self.refuse(key, node, &words)
            }
        }
    }

    /// A number within `allowed`.
    pub fn number(&mut self, key: &'static str, allowed: RangeInclusive<f64>) -> Option<f64> {
        let node = self.node(key)?;
        match number(&node.value) {
            Some(number) if allowed.contains(&number) => Some(number),
            _ => {
                let (first, last) = (allowed.start(), allowed.end());
                self.refuse(key, node, &format!("a number from {first} to {last}"))
            }
        }
    }

    /// A share from 0 to 1, under its name or one of `spellings`; both at once are a mistake.
    pub fn fraction(&mut self, key: &'static str, spellings: &[&'static str]) -> Option<f64> {
        let mut used = None;
        for name in [key].iter().chain(spellings) {
            if !self.has(name) {
                continue;
            }
            if let Some(first) = used {
                self.mistake(name, format!("the same as `{first}`, which is set too"));
                return None;
            }
            used = Some(*name);
        }
        let node = self.node(used?)?;
        match number(&node.value) {
            Some(number) if (0.0..=1.0).contains(&number) => Some(number),
            _ => self.refuse(used?, node, "a fraction from 0 to 1, such as 0.1 for 10 %"),
        }
    }

    /// A duration such as `200ms`.
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        let node = self.node(key)?;
        match as_duration(node) {
            Ok(duration) => Some(duration),
            Err(allowed) => self.refuse(key, node, &allowed),
        }
    }

    /// A size such as `16MiB`, in bytes.
    pub fn size(&mut self, key: &'static str) -> Option<u64> {
        let node = self.node(key)?;
        match as_size(node) {
            Ok(bytes) => Some(bytes),
            Err(allowed) => self.refuse(key, node, &allowed),
        }
    }

    /// One of a closed set of words.
    pub fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let node = self.node(key)?;
        let text = match &node.value {
            Value::String(text) => text,
            _ => "",
        };
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        let (place, path) = (self.place(key), self.path(key));
        let found = node.value.in_words();
        let message = format!("found {found}; allowed: {}", words.join(", "));
        self.findings.unknown(&place, path, message, text, &words);
        None
    }

    /// A list; item `i` has the dotted path `path(key)[i]`.
    pub fn list(&mut self, key: &'static str) -> Option<&'n [Node]> {
        let node = self.node(key)?;
        match &node.value {
            Value::List(items) => Some(items),
            _ => self.refuse(key, node, "a list"),
        }
    }

    /// A mapping in here. `None`: absent, or no mapping, which has been reported.
    pub fn section(&mut self, key: &'static str) -> Option<Section<'n, '_>> {
        let node = self.node(key)?;
        let path = self.path(key);
        Section::open(node, path, self.findings)
    }

    /// A key that belongs to a capability that comes later: using it is a mistake that says so.
    pub fn later(&mut self, key: &'static str) {
        self.later.push(key);
        if self.entry(key).is_some() {
            self.mistake(key, "does not exist yet; take it out");
        }
    }

    /// Reports every key that was never asked for, with the nearest one that was.
    pub fn finish(mut self) {
        self.known.sort_unstable();
        self.known.dedup();
        for entry in self.entries {
            let key = entry.key.as_str();
            if !self.known.contains(&key) && !self.later.contains(&key) {
                let path = join(&self.path, &entry.key);
                let message = unknown_key(&self.known);
                self.findings
                    .unknown(&entry.place, path, message, &entry.key, &self.known);
            }
        }
    }

    fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn refuse<T>(&mut self, key: &str, node: &Node, allowed: &str) -> Option<T> {
        let path = self.path(key);
        let found = node.value.in_words();
        self.findings.mistake(
            &node.place,
            path,
            format!("found {found}; allowed: {allowed}"),
        );
        None
    }
}

/// The dotted path of `key` in `path`.
pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// Names that a message lists at most; a mapping with more is better looked up.
const LISTED_MAX: usize = 16;

fn unknown_key(known: &[&str]) -> String {
    match known.len() {
        0 => "unknown key; nothing is allowed here".to_owned(),
        1..=LISTED_MAX => format!("unknown key; allowed: {}", known.join(", ")),
        _ => "unknown key".to_owned(),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        #[allow(clippy::cast_precision_loss, reason = "limits are far below 2^53")]
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn as_duration(node: &Node) -> Result<Duration, String> {
    match &node.value {
        Value::String(text) => parse_duration(text),
        Value::Int(number) => parse_duration(&number.to_string()),
        Value::Float(number) => parse_duration(&number.to_string()),
        _ => parse_duration(""),
    }
}

fn as_size(node: &Node) -> Result<u64, String> {
    match &node.value {
        Value::String(text) => parse_size(text),
        Value::Int(number) => parse_size(&number.to_string()),
        Value::Float(number) => parse_size(&number.to_string()),
        _ => parse_size(""),
    }
}

#[cfg(test)]
#[path = "section_tests.rs"]
mod tests;
