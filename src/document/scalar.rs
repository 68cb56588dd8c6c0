//! What a plain YAML scalar means: the core schema of YAML 1.2 (section 10.3), so `off` and `no` are strings.

use super::Value;

/// Types a plain scalar; one that means nothing else is a string.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Value::Float(f64::NAN),
        _ => number(text).unwrap_or_else(|| Value::String(text.to_owned())),
    }
}

fn number(text: &str) -> Option<Value> {
    if let Some(digits) = text.strip_prefix("0x") {
        return unsigned(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return unsigned(digits, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        let infinity = f64::INFINITY;
        return Some(Value::Float(if text.starts_with('-') {
            -infinity
        } else {
            infinity
        }));
    }
    // Rust also reads `inf` and `nan`, which YAML does not.
    let shaped = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if !shaped {
        return None;
    }
    match text.parse() {
        Ok(integer) => Some(Value::Int(integer)),
        Err(_) => text.parse().ok().map(Value::Float),
    }
}

fn unsigned(digits: &str, radix: u32) -> Option<Value> {
    let plain = digits.starts_with(|c: char| c.is_ascii_alphanumeric());
    plain
        .then(|| i64::from_str_radix(digits, radix).ok())?
        .map(Value::Int)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_typed_as_the_core_schema_types_them() {
        let text = |text: &str| Value::String(text.to_owned());
        let cases = [
            ("", Value::Null),
            ("~", Value::Null),
            ("null", Value::Null),
            ("nULL", text("nULL")),
            ("true", Value::Bool(true)),
            ("yes", text("yes")),
            ("off", text("off")),
            ("7", Value::Int(7)),
            ("+7", Value::Int(7)),
            ("-7", Value::Int(-7)),
            ("0x1F", Value::Int(31)),
            ("0o17", Value::Int(15)),
            ("0x+1", text("0x+1")),
            ("0x", text("0x")),
            ("007", Value::Int(7)),
            ("0.5", Value::Float(0.5)),
            (".5", Value::Float(0.5)),
            ("1e3", Value::Float(1000.0)),
            ("-.inf", Value::Float(f64::NEG_INFINITY)),
            ("inf", text("inf")),
            ("nan", text("nan")),
            ("1.2.3", text("1.2.3")),
            ("127.0.0.1:4317", text("127.0.0.1:4317")),
            ("16MiB", text("16MiB")),
            (
                "18446744073709551615",
                Value::Float(18_446_744_073_709_551_615.0),
            ),
        ];
        for (written, expected) in cases {
            assert_eq!(resolve(written), expected, "{written}");
        }
    }
}
