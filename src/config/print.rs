//! Settings as YAML: every default filled in, secrets masked, keys of later capabilities left out.
//!
//! What is written loads again, in the same environment, to the same settings, but for the masked values.

use std::fmt::Write;

use crate::document::{
    Entry, Node, Value, display_duration, display_size, join, parse_duration, parse_size,
};

use super::{
    schema::{self, Child, DESTINATION, Key, Kind},
    settings::{Setting, Settings},
};

/// What stands for a value that is never shown.
const MASK: &str = "\"***\"";

/// All settings in the order of the table.
pub(super) fn print(settings: &Settings) -> String {
    let mut out = String::new();
    group(&mut out, settings, "", "", 0);
    out
}

fn group(out: &mut String, settings: &Settings, prefix: &str, path: &str, depth: usize) {
    for child in schema::children(prefix) {
        match child {
            Child::Key(name, key) => setting(out, settings, key, &join(path, name), name, depth),
            Child::Group("destinations", _) => destinations(out, settings),
            Child::Group(name, prefix) => {
                line(out, depth, name, "");
                group(out, settings, prefix, &join(path, name), depth + 1);
            }
        }
    }
}

fn destinations(out: &mut String, settings: &Settings) {
    let none = if settings.destinations.is_empty() {
        " {}"
    } else {
        ""
    };
    line(out, 0, "destinations", none);
    for (name, _) in &settings.destinations {
        line(out, 1, &scalar(name), "");
        group(
            out,
            settings,
            DESTINATION,
            &format!("destinations.{name}"),
            2,
        );
    }
}

fn setting(out: &mut String, settings: &Settings, key: &Key, path: &str, name: &str, depth: usize) {
    let Some(value) = settings.get(path) else {
        return;
    };
    let text = match value {
        Setting::Nothing => nothing(key.kind).to_owned(),
        Setting::Boolean(value) => value.to_string(),
        Setting::Integer(value) => value.to_string(),
        Setting::Number(value) => format!("{value:?}"),
        Setting::Duration(value) => display_duration(*value),
        Setting::Size(value) => display_size(*value),
        Setting::Text(value) => escaped(value),
        Setting::Listen(address) => scalar(&address.to_string()),
        Setting::Texts(values) => {
            let values: Vec<_> = values.iter().map(|value| escaped(value)).collect();
            format!("[{}]", values.join(", "))
        }
        Setting::Pairs(pairs) if pairs.is_empty() => "{}".to_owned(),
        Setting::Pairs(pairs) => {
            line(out, depth, name, "");
            for (name, value, _) in pairs {
                let shown = match key.kind {
                    Kind::Headers => MASK.to_owned(),
                    _ => escaped(value),
                };
                line(out, depth + 1, &scalar(name), &format!(" {shown}"));
            }
            return;
        }
        Setting::Edits(node) => return tree(out, node, name, depth),
    };
    line(out, depth, name, &format!(" {text}"));
}

fn nothing(kind: Kind) -> &'static str {
    match kind {
        Kind::ListenOrOff => "off",
        Kind::DurationOrNever(..) => "never",
        Kind::SizeOrAuto(..) => "auto",
        _ => "null",
    }
}

fn line(out: &mut String, depth: usize, name: &str, rest: &str) {
    writeln!(out, "{:indent$}{name}:{rest}", "", indent = depth * 2)
        .expect("writing to a string does not fail");
}

/// A node under a name, in flow style where it is small: edits are read more often than written here.
fn tree(out: &mut String, node: &Node, name: &str, depth: usize) {
    match &node.value {
        Value::List(items) if !items.is_empty() => {
            line(out, depth, name, "");
            for item in items {
                writeln!(
                    out,
                    "{:indent$}- {}",
                    "",
                    flow(item),
                    indent = depth * 2 + 2
                )
                .expect("writing to a string does not fail");
            }
        }
        _ => line(out, depth, name, &format!(" {}", flow(node))),
    }
}

/// A node as it was written, references to the environment included.
pub(super) fn flow(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => float(*value),
        Value::String(text) => scalar(text),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Map(entries) => {
            let entry = |entry: &Entry| format!("{}: {}", scalar(&entry.key), flow(&entry.node));
            let entries: Vec<_> = entries.iter().map(entry).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

fn float(value: f64) -> String {
    if value.is_nan() {
        ".nan".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { ".inf" } else { "-.inf" }.to_owned()
    } else {
        format!("{value:?}")
    }
}

/// A value, with `$` doubled so that reading it again replaces nothing.
fn escaped(text: &str) -> String {
    scalar(&text.replace('$', "$$"))
}

/// A string as it stands where it can only be read as one, and in quotes otherwise.
fn scalar(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// Whether every reader of YAML takes it for a string without quotes, those of YAML 1.1 and its `off` and `1:30` too.
fn is_plain(text: &str) -> bool {
    let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let of_letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let begins_as_word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    (begins_as_word || is_quantity(text))
        && text.chars().all(|c| of_letters(c) || c == ':')
        && !text.ends_with(':')
        && !words.contains(&text.to_ascii_lowercase().as_str())
}

/// A number with a unit, such as `200ms`: no number to any reader.
fn is_quantity(text: &str) -> bool {
    parse_duration(text).is_ok_and(|_| text != "0") || parse_size(text).is_ok_and(|_| text != "0")
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("writing to a string does not fail");
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
