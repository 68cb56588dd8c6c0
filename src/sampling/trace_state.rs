//! The tracestate of a span: what its `ot` member says of the sampling before us, and the same with another `th`.
//!
//! It decides nothing. What does not follow the grammar is treated as absent, and other vendors' members pass as they
//! came. Sources: W3C Trace Context, "tracestate header"; OpenTelemetry, tracestate handling.

use super::{
    Threshold, ThresholdChange,
    threshold::{HEX_DIGITS, parse_hex},
};

/// The most members of a tracestate; one with more is treated as absent (W3C, "list").
const MEMBERS_MAX: usize = 32;
/// The longest value of the member `ot`, in bytes (OpenTelemetry, tracestate handling).
const OT_BYTES_MAX: usize = 256;
/// How OpenTelemetry's member starts.
const OT: &[u8] = b"ot=";
/// The sub-key of the rejection threshold.
const TH: &[u8] = b"th";
/// The sub-key of explicit randomness.
const RV: &[u8] = b"rv";

/// What a tracestate says of the sampling before us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Arrival {
    /// The threshold that the span has passed, or so it says.
    pub(super) threshold: Option<Threshold>,
    /// Explicit randomness, 56 bits.
    pub(super) randomness: Option<u64>,
}

impl Arrival {
    /// Reads a tracestate.
    pub(super) fn read(trace_state: &[u8]) -> Self {
        let mut arrival = Self::default();
        for (key, value) in ot_value(trace_state).into_iter().flat_map(sub_keys) {
            match key {
                TH => arrival.threshold = Threshold::parse(value),
                RV => arrival.randomness = parse_randomness(value),
                _ => {}
            }
        }
        arrival
    }
}

/// Writes `trace_state` with its `th` changed to `out`, which is cleared first. The changed member moves to the front, as
/// W3C wants it; everything else stays, but for blanks around members. A value that would exceed 256 bytes goes without
/// `th`, and a tracestate that cannot be read stays as it is. `out` is empty when nothing is left.
pub fn rewrite_trace_state(trace_state: &[u8], change: ThresholdChange, out: &mut Vec<u8>) {
    out.clear();
    let threshold = match change {
        ThresholdChange::None => None,
        ThresholdChange::Set(threshold) => Some(Some(threshold)),
        ThresholdChange::Erase => Some(None),
    };
    let (Some(threshold), Some(value)) = (threshold, ot_value(trace_state)) else {
        out.extend_from_slice(trace_state);
        return;
    };
    write_ot(value, threshold, out);
    if out.len() > OT.len() + OT_BYTES_MAX {
        // A probability that cannot be told is better than one that is untrue.
        out.clear();
        write_ot(value, None, out);
    }
    for member in members(trace_state).filter(|member| !member.starts_with(OT)) {
        if !out.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(member);
    }
}

/// Writes the member `ot`: `rv`, then `th`, then what else it had; nothing when that is nothing.
fn write_ot(value: &[u8], threshold: Option<Threshold>, out: &mut Vec<u8>) {
    let mut separator = OT;
    let mut start_sub_key = |out: &mut Vec<u8>| {
        out.extend_from_slice(separator);
        separator = b";";
    };
    let mut copy = |key: &[u8], value: &[u8], out: &mut Vec<u8>| {
        start_sub_key(out);
        out.extend_from_slice(key);
        out.push(b':');
        out.extend_from_slice(value);
    };
    for (key, value) in sub_keys(value).filter(|(key, _)| *key == RV) {
        copy(key, value, out);
    }
    if let Some(threshold) = threshold {
        copy(TH, &[], out);
        threshold.write(out);
    }
    for (key, value) in sub_keys(value).filter(|(key, _)| !matches!(*key, TH | RV)) {
        copy(key, value, out);
    }
}

/// The value of the first member `ot`, when list and value follow the grammar.
fn ot_value(trace_state: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    for (index, member) in members(trace_state).enumerate() {
        if index == MEMBERS_MAX {
            return None;
        }
        found = found.or_else(|| member.strip_prefix(OT));
    }
    found.filter(|value| is_ot_value(value))
}

/// The members without the blanks around them; empty ones are allowed and mean nothing.
fn members(trace_state: &[u8]) -> impl Iterator<Item = &[u8]> {
    trace_state
        .split(|&byte| byte == b',')
        .map(trim_blanks)
        .filter(|member| !member.is_empty())
}

fn trim_blanks(mut member: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = member {
        member = rest;
    }
    member
}

/// The `key:value` pairs of an `ot` value.
fn sub_keys(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    value
        .split(|&byte| byte == b';')
        .filter_map(|pair| split_pair(pair))
}

fn split_pair(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = pair.iter().position(|&byte| byte == b':')?;
    let (key, value) = pair.split_at(colon);
    Some((key, value.strip_prefix(b":")?))
}

fn is_ot_value(value: &[u8]) -> bool {
    value.len() <= OT_BYTES_MAX
        && value.split(|&byte| byte == b';').all(|pair| {
            split_pair(pair).is_some_and(|(key, value)| {
                key.first().is_some_and(u8::is_ascii_lowercase)
                    && key
                        .iter()
                        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                    && value
                        .iter()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
            })
        })
}

/// Reads an `rv`: exactly 14 lowercase hex digits.
fn parse_randomness(digits: &[u8]) -> Option<u64> {
    (digits.len() == HEX_DIGITS as usize)
        .then(|| parse_hex(digits))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Threshold = Threshold(1 << 55);

    fn arrival(threshold: Option<u64>, randomness: Option<u64>) -> Arrival {
        Arrival {
            threshold: threshold.map(Threshold),
            randomness,
        }
    }

    fn rewritten(trace_state: &str, change: ThresholdChange) -> String {
        let mut out = b"left over".to_vec();
        rewrite_trace_state(trace_state.as_bytes(), change, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn th_and_rv_are_read_wherever_they_stand() {
        let rv = Some(0x01_2345_6789_abcd);
        let th = Some(0x80_0000_0000_0000);
        let cases = [
            ("", arrival(None, None)),
            ("ot=th:8", arrival(th, None)),
            ("ot=th:0", arrival(Some(0), None)),
            ("ot=rv:0123456789abcd", arrival(None, rv)),
            ("ot=rv:0123456789abcd;th:8", arrival(th, rv)),
            ("ot=a:b;th:8;c:;rv:0123456789abcd", arrival(th, rv)),
            ("vendor=x, ot=th:8 ,,\tother=y", arrival(th, None)),
            ("notot=th:8", arrival(None, None)),
            ("ot=p:8;r:3", arrival(None, None)),
            // Of a repeated key the first member counts, and the last sub-key.
            ("ot=th:8,ot=th:c", arrival(th, None)),
            ("ot=th:c;th:8", arrival(th, None)),
        ];
        for (text, expected) in cases {
            assert_eq!(Arrival::read(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a79_what_breaks_the_grammar_is_absent() {
        let nothing = arrival(None, None);
        let rv = arrival(None, Some(0x01_2345_6789_abcd));
        let th = arrival(Some(0x80_0000_0000_0000), None);
        let padded = |bytes: usize| format!("ot=th:8;x:{}", "a".repeat(bytes - "th:8;x:".len()));
        let members = |count: usize| format!("{}ot=th:8", "v=1,".repeat(count - 1));
        let cases = [
            // Bad digits.
            ("ot=th:xyz".to_owned(), nothing),
            ("ot=th:".to_owned(), nothing),
            ("ot=th:C".to_owned(), nothing),
            ("ot=th:000000000000000".to_owned(), nothing),
            ("ot=rv:0123456789abc".to_owned(), nothing),
            ("ot=rv:0123456789abcde".to_owned(), nothing),
            ("ot=rv:0123456789ABCD".to_owned(), nothing),
            // One bad value does not spoil the other.
            ("ot=rv:0123456789abcd;th:C".to_owned(), rv),
            ("ot=rv:012;th:8".to_owned(), th),
            // A bad sub-key spoils all of `ot`.
            ("ot=".to_owned(), nothing),
            ("ot=th".to_owned(), nothing),
            ("ot=th:8;".to_owned(), nothing),
            ("ot=th:8;;x:1".to_owned(), nothing),
            ("ot=th:8;X:1".to_owned(), nothing),
            ("ot=th:8;1x:1".to_owned(), nothing),
            ("ot=th:8;:1".to_owned(), nothing),
            ("ot=th:8;x:a b".to_owned(), nothing),
            ("ot=th:8;x:é".to_owned(), nothing),
            ("OT=th:8".to_owned(), nothing),
            ("ot:th=8".to_owned(), nothing),
            // Limits at and beyond.
            (padded(OT_BYTES_MAX), th),
            (padded(OT_BYTES_MAX + 1), nothing),
            (members(MEMBERS_MAX), th),
            (members(MEMBERS_MAX + 1), nothing),
            // Empty members are not counted, and others' members need not be well-formed.
            (format!("{}ot=th:8", ",".repeat(100)), th),
            ("é, =, x,ot=th:8".to_owned(), th),
        ];
        for (text, expected) in cases {
            assert_eq!(Arrival::read(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(Arrival::read(b"\xff\xfe,ot=th:\xff"), nothing);
    }

    #[test]
    fn the_changed_member_moves_to_the_front() {
        let set = ThresholdChange::Set(HALF);
        let erase = ThresholdChange::Erase;
        let cases = [
            ("ot=th:4", set, "ot=th:8"),
            ("ot=rv:0123456789abcd", set, "ot=rv:0123456789abcd;th:8"),
            (
                "a=1 , ot=x:y;th:4;rv:0123456789abcd\t,,b=2",
                set,
                "ot=rv:0123456789abcd;th:8;x:y,a=1,b=2",
            ),
            ("ot=p:8;r:3", set, "ot=th:8;p:8;r:3"),
            // A bad `rv` is not ours to take away.
            ("ot=rv:1;th:4", set, "ot=rv:1;th:8"),
            // Repeated ones become one.
            ("ot=th:4;th:2,a=1,ot=th:1", set, "ot=th:8,a=1"),
            ("ot=th:4", erase, ""),
            ("ot=th:4,a=1", erase, "a=1"),
            ("a=1,ot=th:4;x:y", erase, "ot=x:y,a=1"),
            ("ot=rv:0123456789abcd;th:4", erase, "ot=rv:0123456789abcd"),
            // Nothing changes: byte for byte.
            ("a=1 , ot=th:4", ThresholdChange::None, "a=1 , ot=th:4"),
            // Unreadable: byte for byte.
            ("a=1 , ot=th;4", set, "a=1 , ot=th;4"),
            ("a=1", erase, "a=1"),
        ];
        for (text, change, expected) in cases {
            assert_eq!(rewritten(text, change), expected, "{text} {change:?}");
        }
    }

    #[test]
    fn a_value_that_would_become_too_long_goes_without_th() {
        // Given a value with room for `;th:8` and one with a byte less.
        let with_bytes = |bytes: usize| format!("v=1,ot=x:{}", "a".repeat(bytes - "x:".len()));
        let fits = with_bytes(OT_BYTES_MAX - ";th:8".len());
        let does_not = with_bytes(OT_BYTES_MAX - ";th:8".len() + 1);
        // When `th` is set, then only the first takes it.
        let set = ThresholdChange::Set(HALF);
        assert!(rewritten(&fits, set).starts_with("ot=th:8;x:"));
        let without = does_not.replace("v=1,", "") + ",v=1";
        assert_eq!(rewritten(&does_not, set), without);
        // And what it had is untrue now.
        let had = format!("ot=th:c;x:{}", "a".repeat(OT_BYTES_MAX - "th:c;x:".len()));
        let longer = ThresholdChange::Set(Threshold(0xc123_0000_0000_0000 >> 8));
        assert_eq!(rewritten(&had, longer), had.replace("th:c;", ""));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_and_rewritten_without_panic(
            before in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
            after in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        ) {
            let trace_state = [&before, OT, &after].concat();
            let mut out = Vec::new();
            for change in [ThresholdChange::Set(HALF), ThresholdChange::Erase] {
                rewrite_trace_state(&trace_state, change, &mut out);
                proptest::prop_assert!(out.len() <= trace_state.len() + ";th:8".len());
            }
        }

        #[test]
        fn anything_is_read_and_rewritten_without_harm(
            trace_state in "(ot=)?([a-zA-Z0-9:;=, .é]|th:|rv:|,ot=){0,60}",
            threshold in 0_u64..1 << 56,
        ) {
            let mut out = Vec::new();
            let set = ThresholdChange::Set(Threshold(threshold));
            rewrite_trace_state(trace_state.as_bytes(), set, &mut out);
            let (before, after) = (Arrival::read(trace_state.as_bytes()), Arrival::read(&out));
            // What was set is read again, or nothing changed; `rv` is never touched.
            let changed = after.threshold == Some(Threshold(threshold));
            proptest::prop_assert!(changed || out == trace_state.as_bytes());
            proptest::prop_assert_eq!(before.randomness, after.randomness);
            // Others' members are all there, in their order.
            let others = |text| members(text).filter(|member| !member.starts_with(OT)).map(<[u8]>::to_vec).collect::<Vec<_>>();
            proptest::prop_assert_eq!(others(trace_state.as_bytes()), others(&out));
        }
    }
}
