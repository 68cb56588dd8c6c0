//! From text to a tree of nodes: one YAML document, read event by event, within bounds.
//!
//! Invariant: the tree is never nested deeper than [`NESTING_MAX`] and never has more than [`NODES_MAX`] nodes, aliases
//! written out included, so that whoever walks it may recurse, and an alias bomb stays small.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::{Entry, Findings, Node, Place, Value, scalar};

/// Bytes of a document at most; a configuration of thousands of services is far smaller.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// Nodes of a document at most, aliases written out included; chosen by eye, some thousands of services.
pub const NODES_MAX: usize = 20_000;
/// Levels of lists and mappings in each other at most; settings and policies need six.
pub const NESTING_MAX: usize = 32;

/// Reads the one document in `text`. `source` is the file as it was named. `None`: what was found, and reported, leaves
/// nothing to work with; otherwise reading went on after mistakes such as a key used twice (the first one counts).
pub fn parse(source: &str, text: &str, findings: &mut Findings) -> Option<Node> {
    let source: Arc<str> = Arc::from(source);
    if text.len() > DOCUMENT_BYTES_MAX {
        let message = format!(
            "{} bytes; at most {DOCUMENT_BYTES_MAX} are read",
            text.len()
        );
        findings.mistake(&Place::new(&source, 1), "", message);
        return None;
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::new(&source, findings);
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let step = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => Err(Stop::unreadable(&error, text)),
        };
        if let Err(stop) = step {
            let place = Place::new(&source, stop.line);
            builder.findings.mistake(&place, "", stop.message);
            return None;
        }
    }
    let empty = Node {
        value: Value::Null,
        place: Place::new(&source, 1),
    };
    Some(builder.root.unwrap_or(empty))
}

/// Why reading ended early.
struct Stop {
    line: usize,
    message: String,
}

impl Stop {
    fn at(span: Span, message: impl Into<String>) -> Self {
        Self {
            line: line(span),
            message: message.into(),
        }
    }

    /// The scanner's words, with a hint where the usual slips are seen. It notices a tab only in the line before.
    fn unreadable(error: &ScanError, text: &str) -> Self {
        let number = error.marker().line().max(1);
        let mut lines = text.lines().skip(number - 1);
        let (line, next) = (lines.next().unwrap_or_default(), lines.next());
        let (number, hint) = if begins_with_tab(line) {
            (
                number,
                "; the line begins with a tab: YAML indents with spaces",
            )
        } else if next.is_some_and(begins_with_tab) {
            (
                number + 1,
                "; the line begins with a tab: YAML indents with spaces",
            )
        } else if line.contains("${") {
            (number, "; put a value with `${env:NAME}` into quotes")
        } else {
            (number, "")
        };
        Self {
            line: number,
            message: format!("not readable as YAML: {}{hint}", error.info()),
        }
    }
}

fn begins_with_tab(line: &str) -> bool {
    line.trim_start_matches(' ').starts_with('\t')
}

/// A list or mapping that is still open.
struct Open {
    value: Value,
    place: Place,
    anchor: usize,
    /// The key whose value comes next; only mappings have one.
    key: Option<(String, Place)>,
    /// The keys seen so far, and whether the present one is among them.
    keys: BTreeSet<String>,
    repeated: bool,
}

/// A finished node that aliases may refer to.
struct Anchored {
    node: Node,
    nodes: usize,
    nesting: usize,
}

struct Builder<'a> {
    source: &'a Arc<str>,
    findings: &'a mut Findings,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Anchored>,
    nodes: usize,
    documents: usize,
    root: Option<Node>,
}

impl<'a> Builder<'a> {
    fn new(source: &'a Arc<str>, findings: &'a mut Findings) -> Self {
        Self {
            source,
            findings,
            open: Vec::new(),
            anchors: BTreeMap::new(),
            nodes: 0,
            documents: 0,
            root: None,
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        match event {
            Event::DocumentStart(_) => self.begin_document(span),
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), span)
            }
            Event::SequenceStart(anchor, tag) => {
                self.tag(tag.as_deref(), span);
                self.begin(Value::List(Vec::new()), anchor, span)
            }
            Event::MappingStart(anchor, tag) => {
                self.tag(tag.as_deref(), span);
                self.begin(Value::Map(Vec::new()), anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin_document(&mut self, span: Span) -> Result<(), Stop> {
        self.documents += 1;
        match self.documents {
            1 => Ok(()),
            _ => Err(Stop::at(
                span,
                "a second document begins; write one document a file",
            )),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), Stop> {
        let as_string = self.tag(tag, span) || style != ScalarStyle::Plain;
        if self.awaits_key() {
            let place = self.place(span);
            self.key(text.to_owned(), place);
            return Ok(());
        }
        let value = if as_string {
            Value::String(text.to_owned())
        } else {
            scalar::resolve(text)
        };
        self.count(1, span)?;
        let node = Node {
            value,
            place: self.place(span),
        };
        self.put(node, anchor, span)
    }

    /// Whether the tag makes a scalar a string; any tag but `!!str` is a mistake.
    fn tag(&mut self, tag: Option<&Tag>, span: Span) -> bool {
        let Some(tag) = tag else { return false };
        if tag.is_yaml_core_schema() && tag.suffix == "str" {
            return true;
        }
        let place = self.place(span);
        self.findings.mistake(
            &place,
            "",
            format!("the tag `{tag}` is not understood; leave it out"),
        );
        false
    }

    fn awaits_key(&self) -> bool {
        self.open
            .last()
            .is_some_and(|open| matches!(open.value, Value::Map(_)) && open.key.is_none())
    }

    fn key(&mut self, key: String, place: Place) {
        let path = self.path();
        let open = self
            .open
            .last_mut()
            .expect("a key is awaited only in an open mapping");
        open.repeated = !open.keys.insert(key.clone());
        if open.repeated {
            let first = line_of(&open.value, &key);
            self.findings.mistake(
                &place,
                super::join(&path, &key),
                format!("used twice; the first is in line {first}"),
            );
        }
        open.key = Some((key, place));
    }

    fn begin(&mut self, value: Value, anchor: usize, span: Span) -> Result<(), Stop> {
        if self.awaits_key() {
            return Err(Stop::at(
                span,
                "a list or mapping as a key; keys are plain names",
            ));
        }
        if self.open.len() == NESTING_MAX {
            return Err(Stop::at(
                span,
                format!("nested deeper than {NESTING_MAX} levels"),
            ));
        }
        self.count(1, span)?;
        let place = self.place(span);
        self.open.push(Open {
            value,
            place,
            anchor,
            key: None,
            keys: BTreeSet::new(),
            repeated: false,
        });
        Ok(())
    }

    fn end(&mut self, span: Span) -> Result<(), Stop> {
        let open = self.open.pop().expect("the parser closes what it opened");
        let node = Node {
            value: open.value,
            place: open.place,
        };
        self.put(node, open.anchor, span)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Stop> {
        if self.awaits_key() {
            return Err(Stop::at(span, "an alias as a key; write the name"));
        }
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(Stop::at(span, "an alias inside its own anchor"));
        };
        if self.open.len() + anchored.nesting > NESTING_MAX {
            return Err(Stop::at(
                span,
                format!("nested deeper than {NESTING_MAX} levels by an alias"),
            ));
        }
        let (node, nodes) = (anchored.node.clone(), anchored.nodes);
        self.count(nodes, span)?;
        self.put(node, 0, span)
    }

    /// Puts a finished node where it belongs. The value of a key that was used before is left out. A list or mapping under
    /// a key stands where the key does: that is where people look for what it lacks.
    fn put(&mut self, mut node: Node, anchor: usize, span: Span) -> Result<(), Stop> {
        if anchor != 0 {
            self.anchor(anchor, &node, span)?;
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => {
                let (key, place) = open.key.take().expect("a value follows its key");
                if matches!(node.value, Value::List(_) | Value::Map(_)) {
                    node.place = place.clone();
                }
                if !open.repeated {
                    entries.push(Entry { key, place, node });
                }
            }
            _ => unreachable!("only lists and mappings are opened"),
        }
        Ok(())
    }

    /// Keeps a node for its aliases. Its copy counts, so that nested anchors cannot copy without bound.
    fn anchor(&mut self, anchor: usize, node: &Node, span: Span) -> Result<(), Stop> {
        let (nodes, nesting) = extent(node);
        self.count(nodes, span)?;
        let node = node.clone();
        self.anchors.insert(
            anchor,
            Anchored {
                node,
                nodes,
                nesting,
            },
        );
        Ok(())
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > NODES_MAX {
            return Err(Stop::at(
                span,
                format!("more than {NODES_MAX} values, those of aliases included"),
            ));
        }
        Ok(())
    }

    /// The dotted path of the innermost open node.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match (&open.value, &open.key) {
                (Value::Map(_), Some((key, _))) => path = super::join(&path, key),
                (Value::List(items), _) => path = format!("{path}[{}]", items.len()),
                _ => {}
            }
        }
        path
    }

    fn place(&self, span: Span) -> Place {
        Place::new(self.source, line(span))
    }
}

fn line(span: Span) -> usize {
    span.start.line().max(1)
}

fn line_of(map: &Value, key: &str) -> usize {
    let Value::Map(entries) = map else { return 0 };
    let first = entries.iter().find(|entry| entry.key == key);
    first.map_or(0, |entry| entry.place.line)
}

/// How many nodes a node is, itself included, and how many levels of lists and mappings.
fn extent(node: &Node) -> (usize, usize) {
    let sum = |(nodes, nesting): (usize, usize), child: &Node| {
        let (more, deep) = extent(child);
        (nodes + more, nesting.max(deep))
    };
    match &node.value {
        Value::List(items) => {
            let (nodes, nesting) = items.iter().fold((1, 0), sum);
            (nodes, nesting + 1)
        }
        Value::Map(entries) => {
            let children = entries.iter().map(|entry| &entry.node);
            let (nodes, nesting) = children.fold((1, 0), sum);
            (nodes, nesting + 1)
        }
        _ => (1, 0),
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
