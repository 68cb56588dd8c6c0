//! `${env:NAME}` and `${env:NAME:-default}` inside string values, replaced after parsing: a value can never change the
//! structure, and what is put in is never looked at again. Keys stay as written.

use super::{Findings, Node, Value};

/// Bytes of a value after replacement at most; chosen by eye, far above any header or name.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Replaces the references in all string values of `node`, at the dotted path `key`. `lookup` gives a variable's value.
/// The default serves when the variable is unset or empty, as in a shell; `$$` is `$`.
pub fn expand(
    node: &mut Node,
    key: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    findings: &mut Findings,
) {
    match &mut node.value {
        Value::String(text) if text.contains('$') => match expanded(text, lookup) {
            Ok(value) => *text = value,
            Err(message) => findings.mistake(&node.place, key, message),
        },
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                expand(item, &format!("{key}[{index}]"), lookup, findings);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                let path = super::join(key, &entry.key);
                expand(&mut entry.node, &path, lookup, findings);
            }
        }
        _ => {}
    }
}

fn expanded(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let (reference, after) = after
                .split_once('}')
                .ok_or("`${` without `}`; write `$$` for a plain `$`")?;
            out.push_str(&value_of(reference, lookup)?);
            rest = after;
        } else {
            out.push('$');
        }
        if out.len() > VALUE_BYTES_MAX {
            return Err(format!(
                "longer than {VALUE_BYTES_MAX} bytes after replacement"
            ));
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn value_of(reference: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let body = reference.strip_prefix("env:").ok_or_else(|| {
        format!("`${{{reference}}}` is not understood: write `${{env:NAME}}`, or `$${{` for a plain `${{`")
    })?;
    let (name, default) = match body.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (body, None),
    };
    if !is_name(name) {
        return Err(format!("`{name}` is no name of an environment variable"));
    }
    match (lookup(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!(
            "the environment variable {name} is not set; set it, or write `${{env:{name}:-default}}`"
        )),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Place;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("jaeger".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICK" => Some("a: [1, ${env:HOST}]\n".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn references_are_replaced_once() {
        let cases = [
            ("http://${env:HOST}:4317", "http://jaeger:4317"),
            ("${env:HOST:-x}", "jaeger"),
            ("${env:UNSET:-x}", "x"),
            ("${env:UNSET:-}", ""),
            ("${env:EMPTY:-x}", "x"),
            ("[${env:EMPTY}]", "[]"),
            ("${env:UNSET:-a:-b}", "a:-b"),
            ("$${env:HOST}", "${env:HOST}"),
            ("a$b$", "a$b$"),
            ("${env:TRICK}", "a: [1, ${env:HOST}]\n"),
        ];
        for (written, value) in cases {
            assert_eq!(
                expanded(written, &lookup).as_deref(),
                Ok(value),
                "{written}"
            );
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_a_mistake() {
        let cases = [
            ("${env:UNSET}", "UNSET is not set"),
            ("${HOST}", "write `${env:NAME}`"),
            ("${env:HOST", "without `}`"),
            ("${env:}", "no name"),
            ("${env:1A}", "no name"),
        ];
        for (written, message) in cases {
            let found = expanded(written, &lookup).unwrap_err();
            assert!(found.contains(message), "{written}: {found}");
        }
    }

    #[test]
    fn a_value_has_a_bound() {
        let long = |_: &str| Some("x".repeat(VALUE_BYTES_MAX));
        assert!(expanded("${env:A}", &long).is_ok());
        assert!(expanded("${env:A}${env:A}", &long).is_err());
    }

    #[test]
    fn every_string_is_reached_and_nothing_else_changes() {
        // given
        let text = "a: { b: ['${env:UNSET}', 7, '${env:HOST}'] }\n'${env:HOST}': x\n";
        let mut findings = Findings::default();
        let mut node = crate::document::parse("f.yaml", text, &mut findings).unwrap();
        // when
        expand(&mut node, "", &lookup, &mut findings);
        // then
        assert_eq!(findings.0.len(), 1);
        assert_eq!(findings.0[0].key, "a.b[0]");
        assert_eq!(
            findings.0[0].place,
            Place {
                source: "f.yaml".into(),
                line: 1
            }
        );
        let Value::Map(entries) = node.value else {
            panic!()
        };
        assert_eq!(entries[1].key, "${env:HOST}");
    }
}
