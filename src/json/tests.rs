//! Texts of every dialect and their messages, read back by prost; what is refused, and where.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message as _;

use super::*;

fn written(text: &str) -> Result<Transcoded, Mistake> {
    let room = Vec::with_capacity(bytes_max(text.len()));
    let before = (room.as_ptr(), room.capacity());
    let transcoded = transcode(text, room)?;
    let message = &transcoded.message;
    assert_eq!(
        (message.as_ptr(), message.capacity()),
        before,
        "its room is kept"
    );
    Ok(transcoded)
}

fn request(text: &str) -> ExportTraceServiceRequest {
    let transcoded = written(text).unwrap_or_else(|mistake| panic!("{text}: {mistake}"));
    assert_eq!(transcoded.mistake, None, "{text}");
    ExportTraceServiceRequest::decode(&transcoded.message[..]).unwrap()
}

/// A request with these texts as the elements of `spans`.
fn with_spans(spans: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#)
}

/// The span with these members.
fn span(members: &str) -> Span {
    let mut request = request(&with_spans(&format!("{{{members}}}")));
    let mut scopes = request.resource_spans.remove(0).scope_spans;
    scopes.remove(0).spans.remove(0)
}

/// What an attribute with this value becomes; `None` without one.
fn value(text: &str) -> Option<Value> {
    let members = format!(r#""attributes":[{{"key":"k","value":{text}}}]"#);
    let value = span(&members).attributes.remove(0).value;
    value.and_then(|value| value.value)
}

/// The mistake that makes this span unreadable, while its neighbours are read.
fn mistake(span: &str) -> Wrong {
    let text = with_spans(&format!(r#"{{"name":"before"}},{span},{{"name":"after"}}"#));
    let transcoded = written(&text).unwrap();
    let counts = crate::wire::count(&transcoded.message).unwrap();
    assert_eq!(counts.spans, 3, "{span}");
    let names: Vec<_> = [&b"before"[..], b"after"]
        .into_iter()
        .filter(|name| {
            transcoded
                .message
                .windows(name.len())
                .any(|part| part == *name)
        })
        .collect();
    assert_eq!(names.len(), 2, "{span}");
    transcoded.mistake.expect("something is wrong").what
}

/// Why this text is refused as a whole.
fn refused(text: &str) -> Wrong {
    written(text).expect_err(text).what
}

const TRACE_ID: &str = "5b8efff798038103d269b633813fc60c";

#[test]
fn a41_ids_are_hexadecimal_of_any_case() {
    let expected = hex(TRACE_ID);
    for spelled in [TRACE_ID.to_owned(), TRACE_ID.to_uppercase()] {
        let span = span(&format!(
            r#""traceId":"{spelled}","spanId":"EEE19b7ec3c1b174","parentSpanId":"","links":[{{"traceId":"{spelled}","spanId":"00"}}]"#
        ));
        assert_eq!(span.trace_id, expected);
        assert_eq!(span.span_id, hex("eee19b7ec3c1b174"));
        assert!(span.parent_span_id.is_empty());
        assert_eq!(
            (&span.links[0].trace_id, &span.links[0].span_id[..]),
            (&expected, &[0][..])
        );
    }
}

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<_> = digits
        .chars()
        .map(|digit| digit.to_digit(16).unwrap())
        .collect();
    let bytes = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]);
    bytes.map(|byte| u8::try_from(byte).unwrap()).collect()
}

#[test]
fn a41_numbers_are_numbers_or_strings() {
    for (members, start, dropped, flags) in [
        (
            r#""startTimeUnixNano":"1795238518923041332","droppedAttributesCount":3,"flags":257"#,
            1_795_238_518_923_041_332,
            3,
            257,
        ),
        (
            r#""startTimeUnixNano":1795238518923041332,"droppedAttributesCount":"3","flags":"257""#,
            1_795_238_518_923_041_332,
            3,
            257,
        ),
        (
            r#""start_time_unix_nano":1.5e18,"dropped_attributes_count":3.0,"flags":2.57e2"#,
            1_500_000_000_000_000_000,
            3,
            257,
        ),
        (
            r#""startTimeUnixNano":18446744073709551615,"droppedAttributesCount":4294967295,"flags":4294967295"#,
            u64::MAX,
            u32::MAX,
            u32::MAX,
        ),
        (
            r#""startTimeUnixNano":null,"droppedAttributesCount":"","flags":" 0 ""#,
            0,
            0,
            0,
        ),
    ] {
        let span = span(members);
        assert_eq!(
            (
                span.start_time_unix_nano,
                span.dropped_attributes_count,
                span.flags
            ),
            (start, dropped, flags),
            "{members}"
        );
    }
}

#[test]
fn a41_enums_are_numbers_or_names() {
    for (spelled, kind) in [
        ("3", 3),
        (r#""3""#, 3),
        (r#""SPAN_KIND_CLIENT""#, 3),
        ("99", 99),
        (r#""SPAN_KIND_OF_TOMORROW""#, 0),
        ("null", 0),
    ] {
        assert_eq!(
            span(&format!(r#""kind":{spelled}"#)).kind,
            kind,
            "{spelled}"
        );
    }
    let status = span(r#""status":{"code":"STATUS_CODE_ERROR","message":"m"}"#)
        .status
        .unwrap();
    assert_eq!((status.code, &*status.message), (2, "m"));
}

#[test]
fn a41_values_of_attributes() {
    for (text, expected) in [
        (
            r#"{"stringValue":"s"}"#,
            Some(Value::StringValue("s".into())),
        ),
        (
            r#"{"string_value":""}"#,
            Some(Value::StringValue(String::new())),
        ),
        (r#"{"boolValue":false}"#, Some(Value::BoolValue(false))),
        (r#"{"intValue":"-7"}"#, Some(Value::IntValue(-7))),
        (
            r#"{"intValue":9223372036854775807}"#,
            Some(Value::IntValue(i64::MAX)),
        ),
        (
            r#"{"intValue":-9223372036854775808}"#,
            Some(Value::IntValue(i64::MIN)),
        ),
        (r#"{"doubleValue":1}"#, Some(Value::DoubleValue(1.0))),
        (r#"{"doubleValue":"1.5"}"#, Some(Value::DoubleValue(1.5))),
        (
            r#"{"doubleValue":"Infinity"}"#,
            Some(Value::DoubleValue(f64::INFINITY)),
        ),
        (
            r#"{"doubleValue":-Infinity}"#,
            Some(Value::DoubleValue(f64::NEG_INFINITY)),
        ),
        (
            r#"{"bytesValue":"AAECAw=="}"#,
            Some(Value::BytesValue(vec![0, 1, 2, 3])),
        ),
        (
            r#"{"bytesValue":"\/-_+"}"#,
            Some(Value::BytesValue(vec![0xff, 0xef, 0xfe])),
        ),
        ("{}", None),
        ("null", None),
        (r#"{"stringValue":null}"#, None),
        (r#"{"aValueOfTomorrow":[{}]}"#, None),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
    for text in [r#"{"doubleValue":"NaN"}"#, r#"{"doubleValue":NaN}"#] {
        assert!(matches!(value(text), Some(Value::DoubleValue(value)) if value.is_nan()));
    }
}

#[test]
fn a41_lists_may_be_empty_and_absent_and_nested() {
    for text in [
        r#"{"arrayValue":{}}"#,
        r#"{"arrayValue":{"values":null}}"#,
        r#"{"array_value":{"values":[]}}"#,
    ] {
        assert!(matches!(value(text), Some(Value::ArrayValue(list)) if list.values.is_empty()));
    }
    assert!(
        matches!(value(r#"{"kvlistValue":{}}"#), Some(Value::KvlistValue(list)) if list.values.is_empty())
    );
    let Some(Value::ArrayValue(list)) = value(
        r#"{"arrayValue":{"values":[{"intValue":1},null,{},{"kvlistValue":{"values":[{"key":"k","value":{"boolValue":true}}]}}]}}"#,
    ) else {
        panic!("it is a list")
    };
    assert_eq!(list.values.len(), 4, "null keeps its place");
    assert_eq!(list.values[1], AnyValue { value: None });
    assert!(
        matches!(&list.values[3].value, Some(Value::KvlistValue(list)) if list.values[0].key == "k")
    );
}

#[test]
fn a41_null_is_absent_everywhere() {
    for text in [
        "null",
        "{}",
        "",
        " \n",
        r#"{"resourceSpans":null}"#,
        r#"{"resourceSpans":[]}"#,
        r#"{"resourceSpans":[null]}"#,
    ] {
        assert_eq!(
            request(text),
            ExportTraceServiceRequest::default(),
            "{text:?}"
        );
    }
    let nulls = r#"{"resourceSpans":[{"resource":null,"schemaUrl":null,"scopeSpans":[{"scope":null,"spans":[null]},null]}]}"#;
    let request = request(nulls);
    assert_eq!(request.resource_spans[0].resource, None);
    assert!(request.resource_spans[0].scope_spans[0].spans.is_empty());
    let empty = span(
        r#""traceId":null,"name":null,"kind":null,"attributes":null,"events":[null],"links":null,"status":null,"flags":null"#,
    );
    assert_eq!(empty, Span::default());
}

#[test]
fn a41_unknown_fields_are_ignored_wherever_they_are() {
    let text = r#"{"new":[{"a":[1,"}]",{"b":null}]}],"resourceSpans":[{"new":{"x":{}},"scopeSpans":[{"new":-1.5e3,
        "spans":[{"new":"\"","name":"n","deprecated":true}]}]}]}"#;
    let mut request = request(text);
    let scope_spans = &mut request.resource_spans[0].scope_spans[0];
    assert_eq!(scope_spans.spans.remove(0).name, "n");
}

#[test]
fn a41_of_a_key_that_comes_twice_the_last_one_counts_and_lists_grow() {
    let span = span(
        r#""name":"first","name":"last","attributes":[{"key":"a"}],"attributes":[{"key":"b"}]"#,
    );
    assert_eq!((&*span.name, span.attributes.len()), ("last", 2));
}

#[test]
fn strings_are_unescaped_and_halves_of_pairs_replaced() {
    for (spelled, expected) in [
        (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r"é\u00e9\ud83d\ude00", "éé😀"),
        (r"cut\ud83d", "cut\u{fffd}"),
        (r"\ude00\ud83d\n", "\u{fffd}\u{fffd}\n"),
        (r"\ud83d\u0041", "\u{fffd}A"),
        (r"\u12", "\u{fffd}12"),
        (r"\x\é", "\u{fffd}\u{fffd}"),
        ("tab\tand\nline", "tab\tand\nline"),
    ] {
        assert_eq!(
            span(&format!(r#""name":"{spelled}""#)).name,
            expected,
            "{spelled}"
        );
    }
    assert_eq!(span(r#""n\u0061me":"n""#).name, "n", "keys, too");
}

#[test]
fn one_odd_span_costs_no_other() {
    for (odd, field) in [
        (r#"{"traceId":"W47/95gDgQPSabYzgT/GDA=="}"#, "traceId"),
        (r#"{"traceId":7}"#, "traceId"),
        (r#"{"spanId":"xyz"}"#, "spanId"),
        (r#"{"name":{}}"#, "name"),
        (r#"{"kind":-1}"#, "kind"),
        (r#"{"kind":1.5}"#, "kind"),
        (r#"{"startTimeUnixNano":"yesterday"}"#, "startTimeUnixNano"),
        (r#"{"startTimeUnixNano":-1}"#, "startTimeUnixNano"),
        (r#"{"flags":4294967296}"#, "flags"),
        (r#"{"attributes":{}}"#, "attributes"),
        (r#"{"attributes":[7]}"#, "attributes"),
        (r#"{"attributes":[{"key":"k","value":"v"}]}"#, "value"),
        (
            r#"{"attributes":[{"value":{"intValue":"a"}}],"name":[[]]}"#,
            "intValue",
        ),
        (
            r#"{"attributes":[{"value":{"boolValue":"yes"}}]}"#,
            "boolValue",
        ),
        (
            r#"{"attributes":[{"value":{"bytesValue":"?"}}]}"#,
            "bytesValue",
        ),
        (r#"{"status":"OK"}"#, "status"),
        (r#""a span""#, "an element of spans"),
        ("[[]]", "an element of spans"),
    ] {
        assert!(
            matches!(mistake(odd), Wrong::Value { field: found, .. } if found == field),
            "{odd}"
        );
    }
}

#[test]
fn what_is_wrong_around_spans_refuses_the_request() {
    for text in [
        "7",
        "[]",
        r#"{"resourceSpans":{}}"#,
        r#"{"resourceSpans":[7]}"#,
        r#"{"resourceSpans":[{"resource":[]}]}"#,
        r#"{"resourceSpans":[{"resource":{"attributes":[{"key":7}]}}]}"#,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":"none"}]}]}"#,
    ] {
        assert!(matches!(refused(text), Wrong::Value { .. }), "{text}");
    }
    for name in ["resourceLogs", "resource_metrics"] {
        let text = format!(r#"{{"{name}":[]}}"#);
        assert_eq!(refused(&text), Wrong::OtherSignal(name));
    }
}

#[test]
fn broken_json_is_told_where_it_breaks() {
    for (text, at) in [
        ("{", 1),
        ("{]", 1),
        (r#"{"a""#, 4),
        (r#"{"a":}"#, 5),
        (r#"{"a":1,}"#, 7),
        (r#"{"a":1 "b":2}"#, 7),
        ("{a:1}", 1),
        (r#"{"a":[1,]}"#, 8),
        (r#"{"a":[,]}"#, 6),
        (r#"{"a":"b}"#, 8),
        (r#"{"a":"\"#, 7),
        (r#"{"a":nul}"#, 5),
        (r#"{"a":'b'}"#, 5),
        ("{} {}", 3),
        ("\u{feff}{} x", 6),
    ] {
        let mistake = written(text).expect_err(text);
        assert!(matches!(mistake.what, Wrong::Syntax { .. }), "{text}");
        assert_eq!(mistake.at, at, "{text}: {mistake}");
    }
}

#[test]
fn a13_nesting_is_bounded() {
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let allowed = usize::from(DEPTH_MAX) - 1; // the request is an object
    assert!(written(&format!(r#"{{"a":{}}}"#, deep(allowed))).is_ok());
    assert_eq!(
        refused(&format!(r#"{{"a":{}}}"#, deep(allowed + 1))),
        Wrong::TooDeep
    );
    assert_eq!(
        refused(&format!(r#"{{"a":{}"#, "[".repeat(1_000_000))),
        Wrong::TooDeep
    );
    let values = r#"{"arrayValue":{"values":["#.repeat(1_000_000);
    let text = with_spans(&format!(r#"{{"attributes":[{{"key":"k","value":{values}"#));
    // The smallest stack that any thread of the relay could have.
    let reading = std::thread::Builder::new().stack_size(512 * 1024);
    let read = reading.spawn(move || refused(&text)).unwrap().join();
    assert_eq!(read.unwrap(), Wrong::TooDeep);
}

/// The bound that pays for the message holds where values are as short, or as long, as their texts can be.
#[test]
fn no_message_is_longer_than_its_bound() {
    let many = |element: &str, count: usize| vec![element; count].join(",");
    let long = format!(r#""{}""#, "x".repeat(16 * 1024));
    for text in [
        with_spans(&many("{}", 10_000)),
        with_spans(&many("1", 10_000)),
        with_spans(&many(r#"{"kind":[]}"#, 10_000)),
        with_spans(&format!(r#"{{"attributes":[{}]}}"#, many("{}", 10_000))),
        with_spans(&format!("{{{}}}", many(r#""kind":2147483647"#, 10_000))),
        with_spans(&format!("{{{}}}", many(r#""flags":1"#, 10_000))),
        with_spans(&format!(
            r#"{{"attributes":[{{"value":{{{}}}}}]}}"#,
            many(r#""intValue":-1,"boolValue":true,"doubleValue":1"#, 10_000)
        )),
        format!(r#"{{"resourceSpans":[{}]}}"#, many("{}", 10_000)),
        format!(
            r#"{{"resourceSpans":[{{"resource":{{"entityRefs":[{{"idKeys":[{},{}]}}]}}}}]}}"#,
            many(&long, 200),
            many(r#""""#, 10_000),
        ),
    ] {
        let transcoded = written(&text).unwrap();
        assert!(transcoded.message.len() <= bytes_max(text.len()));
        crate::wire::count(&transcoded.message).unwrap();
    }
}

#[test]
fn mistakes_say_what_to_change() {
    let text = with_spans(r#"{"traceId":"W47/95gDgQPSabYzgT/GDA=="}"#);
    let mistake = written(&text).unwrap().mistake.unwrap();
    assert_eq!(
        mistake.to_string(),
        "traceId at byte 54 is not hexadecimal, as ids are in OTLP/JSON; base64 is for other bytes"
    );
    let refused = written(r#"{"resourceSpans":["#).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the body is no JSON: at byte 18 a comma or a closing bracket is missing"
    );
}
