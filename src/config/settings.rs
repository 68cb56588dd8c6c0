//! The merged tree read by the table of keys: each setting typed and within its limits, or reported and absent.
//!
//! It checks each key by itself. What is absent here has been reported, so whoever asks for it may give up silently.

use std::{collections::BTreeMap, fmt, net::SocketAddr, time::Duration};

use crate::{
    document::{Entry, Findings, Node, Place, Section, Value},
    store,
};

use super::{
    kinds,
    listen::ListenHost,
    schema::{self, Child, DESTINATION, Key, Preset},
};

/// Destinations at most: each has a queue, workers and metrics of its own; chosen by eye.
const DESTINATIONS_MAX: usize = 16;

/// Characters of a destination's name at most: it is a metric label.
const NAME_CHARS_MAX: usize = 64;

/// The value of one key.
#[derive(Clone, PartialEq)]
pub(super) enum Setting {
    /// `null`, `off`, `auto` or `never`.
    Nothing,
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Duration(Duration),
    Size(u64),
    Text(String),
    Texts(Vec<String>),
    Listen(SocketAddr),
    /// Names and values in the order of the file, with their places.
    Pairs(Vec<(String, String, Place)>),
    Edits(Node),
}

/// A value, or none where a word says so: `off`, `auto`, `never`, `null`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Optional<T>(pub(super) Option<T>);

/// All settings by their dotted path.
#[derive(Clone)]
pub(super) struct Settings {
    values: BTreeMap<String, (Place, Option<Setting>)>,
    /// The destinations' names in the order of the file, with their places.
    pub(super) destinations: Vec<(String, Place)>,
    /// Whether `budget.bytes` was worked out.
    pub(super) budget_is_auto: bool,
    /// Where the whole stands.
    pub(super) place: Place,
}

/// Values may be secrets, so only the names are shown.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Settings {
    /// Reads everything under `root`.
    pub(super) fn read(root: &Node, host: &ListenHost, findings: &mut Findings) -> Self {
        let mut settings = Self {
            values: BTreeMap::new(),
            destinations: Vec::new(),
            budget_is_auto: false,
            place: root.place.clone(),
        };
        let mut reading = Reading {
            settings: &mut settings,
            host,
        };
        if let Some(mut section) = Section::open(root, "", findings) {
            reading.group(&mut section, "");
            section.finish();
        }
        settings
    }

    /// Where a key stands.
    pub(super) fn place(&self, path: &str) -> Place {
        self.values
            .get(path)
            .map_or_else(|| self.place.clone(), |(place, _)| place.clone())
    }

    /// Where what is wrong between these keys is mended: at the first that somebody has set.
    pub(super) fn place_of_cause(&self, paths: [&str; 2]) -> Place {
        let [first, second] = paths.map(|path| self.place(path));
        let only_second = first.is_built_in() && !second.is_built_in();
        if only_second { second } else { first }
    }

    /// The value of a key; `None` when it was wrong, absent, or stands in something that was.
    pub(super) fn get(&self, path: &str) -> Option<&Setting> {
        self.values.get(path)?.1.as_ref()
    }

    /// Fills in what a computed default or `auto` comes to.
    pub(super) fn resolve(&mut self, path: &str, setting: Setting) {
        let place = self.place(path);
        self.values.insert(path.to_owned(), (place, Some(setting)));
    }

    pub(super) fn boolean(&self, path: &str) -> Option<bool> {
        match self.get(path)? {
            Setting::Boolean(value) => Some(*value),
            _ => mistyped(path),
        }
    }

    /// A whole number that the table keeps within the type asked for.
    pub(super) fn integer<T: TryFrom<i64>>(&self, path: &str) -> Option<T> {
        match self.get(path)? {
            Setting::Integer(value) => T::try_from(*value).ok(),
            _ => mistyped(path),
        }
    }

    pub(super) fn number(&self, path: &str) -> Option<f64> {
        match self.get(path)? {
            Setting::Number(value) => Some(*value),
            _ => mistyped(path),
        }
    }

    pub(super) fn duration(&self, path: &str) -> Option<Duration> {
        match self.get(path)? {
            Setting::Duration(value) => Some(*value),
            _ => mistyped(path),
        }
    }

    /// A duration, or `never`.
    pub(super) fn duration_or_never(&self, path: &str) -> Option<Optional<Duration>> {
        match self.get(path)? {
            Setting::Nothing => Some(Optional(None)),
            _ => self.duration(path).map(|value| Optional(Some(value))),
        }
    }

    pub(super) fn size(&self, path: &str) -> Option<u64> {
        match self.get(path)? {
            Setting::Size(value) => Some(*value),
            _ => mistyped(path),
        }
    }

    /// A size in bytes, for a length in memory.
    pub(super) fn bytes(&self, path: &str) -> Option<usize> {
        usize::try_from(self.size(path)?).ok()
    }

    /// A size, or `auto`.
    pub(super) fn size_or_auto(&self, path: &str) -> Option<Optional<u64>> {
        match self.get(path)? {
            Setting::Nothing => Some(Optional(None)),
            _ => self.size(path).map(|value| Optional(Some(value))),
        }
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        match self.get(path)? {
            Setting::Text(value) => Some(value),
            _ => mistyped(path),
        }
    }

    /// A string or a path, or `null`.
    pub(super) fn text_or_null(&self, path: &str) -> Option<Optional<&str>> {
        match self.get(path)? {
            Setting::Nothing => Some(Optional(None)),
            _ => self.text(path).map(|value| Optional(Some(value))),
        }
    }

    pub(super) fn texts(&self, path: &str) -> Option<&[String]> {
        match self.get(path)? {
            Setting::Texts(values) => Some(values),
            _ => mistyped(path),
        }
    }

    /// A listener, or `off`.
    pub(super) fn listen(&self, path: &str) -> Option<Optional<SocketAddr>> {
        match self.get(path)? {
            Setting::Nothing => Some(Optional(None)),
            Setting::Listen(address) => Some(Optional(Some(*address))),
            _ => mistyped(path),
        }
    }

    pub(super) fn pairs(&self, path: &str) -> Option<&[(String, String, Place)]> {
        match self.get(path)? {
            Setting::Pairs(pairs) => Some(pairs),
            _ => mistyped(path),
        }
    }
}

/// A path was asked for as something else than the table says: a fault in this room, which the test that loads the
/// defaults finds.
fn mistyped<T>(path: &str) -> Option<T> {
    debug_assert!(false, "{path} is of another kind");
    None
}

struct Reading<'a> {
    settings: &'a mut Settings,
    host: &'a ListenHost,
}

impl Reading<'_> {
    fn group(&mut self, section: &mut Section<'_, '_>, prefix: &str) {
        for child in schema::children(prefix) {
            match child {
                Child::Key(name, key) => self.key(section, name, key),
                Child::Group("destinations", _) => self.destinations(section),
                Child::Group(name, path) => {
                    if let Some(mut inner) = section.section(name) {
                        self.group(&mut inner, path);
                        inner.finish();
                    }
                }
            }
        }
    }

    fn destinations(&mut self, section: &mut Section<'_, '_>) {
        for (index, (path, entry)) in section.entries("destinations").into_iter().enumerate() {
            if index == DESTINATIONS_MAX {
                let message = format!("more than {DESTINATIONS_MAX} destinations");
                section.findings().mistake(&entry.place, path, message);
                return;
            }
            check_name(&path, entry, section.findings());
            let destination = (entry.key.clone(), entry.place.clone());
            self.settings.destinations.push(destination);
            if let Some(mut inner) = Section::open(&entry.node, path, section.findings()) {
                self.group(&mut inner, DESTINATION);
                inner.finish();
            }
        }
    }

    fn key(&mut self, section: &mut Section<'_, '_>, name: &'static str, key: &'static Key) {
        let path = section.path(name);
        let place = section.place(name);
        let node = section.node(name);
        if node.is_none() && key.default == Preset::Required {
            let message = format!("missing; it must be set: {}", key.meaning);
            section.mistake(name, message);
        }
        let nullable = key.default == Preset::Value("null");
        let setting = match node {
            None => None,
            Some(node) if nullable && node.value == Value::Null => Some(Setting::Nothing),
            Some(node) => kinds::read(section, name, key.kind, node, self.host),
        };
        self.settings.values.insert(path, (place, setting));
    }
}

fn check_name(path: &str, entry: &Entry, findings: &mut Findings) {
    let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name = &entry.key;
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(usable) {
        let message = format!(
            "a destination's name has 1 to {NAME_CHARS_MAX} letters, digits, `-`, `_` and `.`"
        );
        findings.mistake(&entry.place, path, message);
    } else if name == store::DESTINATION {
        let message = "this name belongs to the embedded trace store; choose another";
        findings.mistake(&entry.place, path, message);
    }
}
