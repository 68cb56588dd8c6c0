//! How the value of each kind of key is read: typed and within its limits, or refused with what is allowed.

use std::time::Duration;

use crate::document::{Node, Section, Value, display_duration, display_size};

use super::{listen::ListenHost, schema::Kind, settings::Setting};

/// Reads `name` of `section`, which is `node`. `None`: it was refused.
pub(super) fn read(
    section: &mut Section<'_, '_>,
    name: &'static str,
    kind: Kind,
    node: &Node,
    host: &ListenHost,
) -> Option<Setting> {
    let word = |setting: &str| matches!(&node.value, Value::String(text) if text == setting);
    match kind {
        Kind::Boolean => section.boolean(name).map(Setting::Boolean),
        Kind::Integer(from, to) => section.integer(name, from..=to).map(Setting::Integer),
        Kind::Number(from, to) => section.number(name, from..=to).map(Setting::Number),
        Kind::DurationOrNever(..) if word("never") => Some(Setting::Nothing),
        Kind::Duration(from, to) | Kind::DurationOrNever(from, to) => {
            duration(section, name, from, to, kind)
        }
        Kind::SizeOrAuto(..) if word("auto") => Some(Setting::Nothing),
        Kind::Size(from, to) | Kind::SizeOrAuto(from, to) => size(section, name, from, to, kind),
        Kind::Text | Kind::File | Kind::SecretFile | Kind::Endpoint => text(section, name),
        Kind::Texts => texts(section, name, node),
        Kind::ListenOrOff if word("off") => Some(Setting::Nothing),
        Kind::Listen | Kind::ListenOrOff => match host.address(&node.value, kind) {
            Ok(address) => Some(Setting::Listen(address)),
            Err(message) => refuse(section, name, message),
        },
        Kind::Choice(words) => choice(section, name, words),
        Kind::ChoiceWithLater(words, later) => {
            if let Some(word) = later.iter().find(|later| word(later)) {
                let allowed = words.join(", ");
                let message = format!("`{word}` does not exist yet; allowed: {allowed}");
                return refuse(section, name, message);
            }
            choice(section, name, words)
        }
        Kind::Headers => pairs(section, name, node, true),
        Kind::HeaderFiles => pairs(section, name, node, false),
        Kind::Edits => Some(Setting::Edits(node.clone())),
    }
}

fn refuse(
    section: &mut Section<'_, '_>,
    name: &str,
    message: impl Into<String>,
) -> Option<Setting> {
    section.mistake(name, message);
    None
}

fn duration(
    section: &mut Section<'_, '_>,
    name: &'static str,
    from: Duration,
    to: Duration,
    kind: Kind,
) -> Option<Setting> {
    let found = section.duration(name)?;
    if (from..=to).contains(&found) {
        return Some(Setting::Duration(found));
    }
    let found = display_duration(found);
    let message = format!("found {found}; allowed: {}", kind.in_words());
    refuse(section, name, message)
}

fn size(
    section: &mut Section<'_, '_>,
    name: &'static str,
    from: u64,
    to: u64,
    kind: Kind,
) -> Option<Setting> {
    let found = section.size(name)?;
    if (from..=to).contains(&found) {
        return Some(Setting::Size(found));
    }
    let found = display_size(found);
    let message = format!("found {found}; allowed: {}", kind.in_words());
    refuse(section, name, message)
}

fn text(section: &mut Section<'_, '_>, name: &'static str) -> Option<Setting> {
    let text = section.string(name)?;
    if text.is_empty() {
        return refuse(section, name, "found an empty string; leave the key out");
    }
    Some(Setting::Text(text.to_owned()))
}

/// A list of strings; one string with commas serves too, because a variable cannot hold a list.
fn texts(section: &mut Section<'_, '_>, name: &'static str, node: &Node) -> Option<Setting> {
    if let Value::String(text) = &node.value {
        let parts = text.split(',').map(str::trim);
        let texts = parts.filter(|part| !part.is_empty()).map(str::to_owned);
        return Some(Setting::Texts(texts.collect()));
    }
    let texts = section.string_list(name)?;
    let texts = texts.into_iter().map(str::to_owned).collect();
    Some(Setting::Texts(texts))
}

fn choice(
    section: &mut Section<'_, '_>,
    name: &'static str,
    words: &[&'static str],
) -> Option<Setting> {
    let choices: Vec<_> = words.iter().map(|word| (*word, *word)).collect();
    let word = section.choice(name, &choices)?;
    Some(Setting::Text(word.to_owned()))
}

/// A mapping of names to strings. What is `secret` is never repeated in a message.
fn pairs(
    section: &mut Section<'_, '_>,
    name: &'static str,
    node: &Node,
    secret: bool,
) -> Option<Setting> {
    if secret && !matches!(node.value, Value::Map(_) | Value::Null) {
        return refuse(
            section,
            name,
            "allowed: a mapping of header names to values",
        );
    }
    let mut pairs = Vec::new();
    let mut whole = true;
    for (path, entry) in section.entries(name) {
        if let Value::String(text) = &entry.node.value {
            pairs.push((entry.key.clone(), text.clone(), entry.place.clone()));
        } else {
            let message = "allowed: a string; put the value into quotes";
            section.findings().mistake(&entry.place, path, message);
            whole = false;
        }
    }
    whole.then_some(Setting::Pairs(pairs))
}
