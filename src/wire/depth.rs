//! Checks below a span's fields, made only where something reads there.

use super::{
    Detail, Wanted,
    fields::{Broken, Field, Fields, WireType},
    views::{key_value, plain_key_value},
};
use crate::otlp;

/// The deepest nesting of attribute values that is read; prost stops at about 47, so a value beyond it is refused by every
/// Rust peer.
const VALUE_DEPTH_MAX: u8 = 64;

/// Every relay reads the keys of a resource, because `service.name` is among them.
pub(super) fn resource_is_readable(resource: &[u8], wanted: Wanted) -> bool {
    Fields::of(resource).all(|field| {
        field.is_ok_and(|field| match field.number {
            otlp::resource::ATTRIBUTES if wanted.resource_attributes == Detail::Values => {
                message_of(&field).and_then(key_value_is_readable).is_ok()
            }
            otlp::resource::ATTRIBUTES => message_of(&field).is_ok_and(service_name_is_readable),
            _ => true,
        })
    })
}

fn service_name_is_readable(message: &[u8]) -> bool {
    let (key, _) = key_value(message);
    key_is_readable(message).is_ok()
        && (key != otlp::SERVICE_NAME.as_bytes() || key_value_is_readable(message).is_ok())
}

pub(super) fn scope_is_readable(scope: &[u8], wanted: Wanted) -> bool {
    !wanted.scope
        || Fields::of(scope).all(|field| {
            field.is_ok_and(|field| {
                field.number != otlp::scope::NAME || field.wire_type == WireType::Len
            })
        })
}

/// Whether what is wanted of a span, whose fields are known to be whole, can be read.
pub fn span_is_readable(span: &[u8], wanted: Wanted) -> bool {
    let reads_attributes = wanted.span_attributes != Detail::Nothing;
    Fields::of(span).readable().all(|field| {
        let read = match field.number {
            otlp::span::ATTRIBUTES if reads_attributes => {
                attribute_is_readable(field.value, wanted.span_attributes)
            }
            otlp::span::EVENTS if wanted.events != Detail::Nothing => {
                event_is_readable(field.value, wanted.events)
            }
            otlp::span::STATUS if wanted.status => status_is_readable(field.value),
            _ => Ok(()),
        };
        read.is_ok()
    })
}

/// Whether as much of an event's attributes as `detail` says can be read.
pub(super) fn event_is_readable(message: &[u8], detail: Detail) -> Result<(), Broken> {
    for field in Fields::of(message) {
        let field = field?;
        if field.number == otlp::event::ATTRIBUTES {
            attribute_is_readable(message_of(&field)?, detail)?;
        }
    }
    Ok(())
}

/// Whether as much of a `KeyValue` as `detail` says can be read.
pub(super) fn attribute_is_readable(message: &[u8], detail: Detail) -> Result<(), Broken> {
    match detail {
        Detail::Nothing => Ok(()),
        Detail::Keys => key_is_readable(message),
        Detail::Values => key_value_is_readable(message),
    }
}

pub(super) fn status_is_readable(message: &[u8]) -> Result<(), Broken> {
    for field in Fields::of(message) {
        let field = field?;
        if field.number == otlp::status::CODE && field.wire_type != WireType::Varint {
            return Err(Broken);
        }
    }
    Ok(())
}

/// Checks a `KeyValue` down to its fields.
#[inline]
fn key_is_readable(message: &[u8]) -> Result<(), Broken> {
    if plain_key_value(message).is_some() {
        return Ok(());
    }
    for field in Fields::of(message) {
        let field = field?;
        if field.number == otlp::key_value::KEY {
            message_of(&field)?;
        }
    }
    Ok(())
}

/// Checks a `KeyValue` down to the last nested value.
fn key_value_is_readable(message: &[u8]) -> Result<(), Broken> {
    key_value_at_depth(message, 0)
}

fn key_value_at_depth(message: &[u8], depth: u8) -> Result<(), Broken> {
    if let Some((_, value)) = plain_key_value(message) {
        return any_value_at_depth(value, depth);
    }
    for field in Fields::of(message) {
        let field = field?;
        match field.number {
            otlp::key_value::KEY => {
                message_of(&field)?;
            }
            otlp::key_value::VALUE => any_value_at_depth(message_of(&field)?, depth)?,
            _ => {}
        }
    }
    Ok(())
}

fn any_value_at_depth(message: &[u8], depth: u8) -> Result<(), Broken> {
    if depth >= VALUE_DEPTH_MAX {
        return Err(Broken);
    }
    let deeper = depth.saturating_add(1);
    for field in Fields::of(message) {
        let field = field?;
        match field.number {
            otlp::any_value::ARRAY => {
                for element in nested(message_of(&field)?) {
                    any_value_at_depth(element?, deeper)?;
                }
            }
            otlp::any_value::KVLIST => {
                for entry in nested(message_of(&field)?) {
                    key_value_at_depth(entry?, deeper)?;
                }
            }
            otlp::any_value::STRING | otlp::any_value::BYTES => {
                message_of(&field)?;
            }
            otlp::any_value::BOOL | otlp::any_value::INT => {
                scalar(&field, WireType::Varint)?;
            }
            otlp::any_value::DOUBLE => scalar(&field, WireType::Fixed64)?,
            _ => {}
        }
    }
    Ok(())
}

/// The elements of an `ArrayValue` or a `KeyValueList`: both hold them in field 1.
fn nested(message: &[u8]) -> impl Iterator<Item = Result<&[u8], Broken>> {
    Fields::of(message).filter_map(|field| match field {
        Ok(field) if field.number == 1 => Some(message_of(&field)),
        Ok(_) => None,
        Err(broken) => Some(Err(broken)),
    })
}

fn scalar(field: &Field<'_>, wire_type: WireType) -> Result<(), Broken> {
    if field.wire_type == wire_type {
        Ok(())
    } else {
        Err(Broken)
    }
}

/// The value of a field that must be a message, a string or bytes.
#[inline]
pub(super) fn message_of<'a>(field: &Field<'a>) -> Result<&'a [u8], Broken> {
    match field.wire_type {
        WireType::Len => Ok(field.value),
        _ => Err(Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of this number with a message, as far as its length is one of two bytes.
    fn nested_in(number: u8, message: &[u8]) -> Vec<u8> {
        let length = u8::try_from(message.len() & 0x7f).unwrap() | 0x80;
        let high = u8::try_from(message.len() >> 7).unwrap();
        [&[number << 3 | 2, length, high], message].concat()
    }

    #[test]
    fn values_are_read_to_a_depth() {
        for (depth, is_readable) in [
            (VALUE_DEPTH_MAX - 1, true),
            (VALUE_DEPTH_MAX, true),
            (VALUE_DEPTH_MAX + 1, false),
        ] {
            let array = |value: Vec<u8>| nested_in(5, &nested_in(1, &value));
            let list = |value: Vec<u8>| nested_in(6, &nested_in(1, &nested_in(2, &value)));
            for nest in [&array as &dyn Fn(_) -> _, &list] {
                // The innermost value is a level, too.
                let value = (1..depth).fold(vec![0x18, 1], |value, _| nest(value));
                let attribute = nested_in(2, &value);
                let found = key_value_is_readable(&attribute).is_ok();
                assert_eq!(found, is_readable, "{depth}");
            }
        }
    }
}
