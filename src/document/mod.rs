//! YAML documents with the line of every node, and the mistakes found in them.
//!
//! It knows YAML and positions, and no setting of this relay. What reads a document reports every mistake at once.

use std::{fmt, sync::Arc};

/// A node of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it holds.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
}

/// Where a node stands: a file and its line, an environment variable, or the built-in defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named, or `environment variable NAME`, or `built-in default`.
    pub source: Arc<str>,
    /// The line, from 1; 0 where there are no lines.
    pub line: usize,
}

/// What a node holds. Scalars are typed as YAML's core schema types them; a quoted scalar is a string.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// A string.
    String(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the file; a key used twice is a mistake that [`parse`] reports.
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// What it is set to.
    pub node: Node,
}

/// Whether a finding stops the relay from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It does.
    Mistake,
    /// It is worth a line.
    Warning,
}

/// Something wrong, or doubtful, in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it stops the relay.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// The dotted path of the key, such as `batch.spans` or `rules[2].match.span`.
    pub key: String,
    /// In words: what was found, what is allowed, what to change.
    pub message: String,
    /// The nearest known name, for an unknown one.
    pub nearest: Option<String>,
}

/// All findings of one reading, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// Reports a mistake.
    pub fn mistake(&mut self, place: &Place, key: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Mistake, place, key.into(), message.into(), None);
    }

    /// Reports a warning.
    pub fn warning(&mut self, place: &Place, key: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Warning, place, key.into(), message.into(), None);
    }

    /// Whether there is anything that stops the relay.
    pub fn any_mistake(&self) -> bool {
        self.0
            .iter()
            .any(|finding| finding.severity == Severity::Mistake)
    }

    fn push(
        &mut self,
        severity: Severity,
        place: &Place,
        key: String,
        message: String,
        nearest: Option<String>,
    ) {
        self.0.push(Finding {
            severity,
            place: place.clone(),
            key,
            message,
            nearest,
        });
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.source),
            line => write!(f, "{}:{line}", self.source),
        }
    }
}
