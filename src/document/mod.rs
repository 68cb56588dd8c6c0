//! YAML documents with the line of every node, and the mistakes found in them.
//!
//! It knows YAML, positions and units, and no setting of this relay. What reads a document reports every mistake at
//! once: nothing here stops at the first.

mod expand;
mod findings;
mod parse;
mod quantity;
mod scalar;
mod section;

use std::{fmt, sync::Arc};

pub use expand::expand;
pub use findings::{Finding, Findings, Severity, nearest};
pub use parse::{DOCUMENT_BYTES_MAX, NESTING_MAX, NODES_MAX, parse};
pub use quantity::{
    display_duration, display_size, display_size_rounded, parse_duration, parse_size,
};
pub use section::{Section, join};

/// A node of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it holds.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
}

/// Where a node stands: a file and its line, an environment variable, or the built-in defaults.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// The source of what nobody has set.
const BUILT_IN: &str = "built-in default";

impl Place {
    /// A line of a file; lines count from 1.
    pub fn new(source: &Arc<str>, line: usize) -> Self {
        Self {
            source: Arc::clone(source),
            line,
        }
    }

    /// A place without lines, such as an environment variable.
    pub fn whole(source: &str) -> Self {
        Self {
            source: Arc::from(source),
            line: 0,
        }
    }

    /// The place of what nobody has set.
    pub fn built_in() -> Self {
        Self::whole(BUILT_IN)
    }

    /// Whether nobody has set what stands here.
    pub fn is_built_in(&self) -> bool {
        *self.source == *BUILT_IN
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

impl Value {
    /// What it is, in words for a message: `the number 7`, `a list`. Strings are shown up to a length that keeps a
    /// message on one line.
    pub fn in_words(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool(value) => format!("`{value}`"),
            Self::Int(value) => format!("the number {value}"),
            Self::Float(value) => format!("the number {value}"),
            Self::String(text) => format!("`{}`", shortened(text)),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// Characters of a found value that a message repeats at most.
const SHOWN_CHARS_MAX: usize = 80;

/// `text` without control characters, so that what stands in a file can neither forge lines of a report nor steer a terminal.
pub fn on_one_line(text: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(printable).collect()
}

/// The beginning of `text`, on one line.
fn shortened(text: &str) -> String {
    let beginning: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    let mut shown = on_one_line(&beginning);
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}
