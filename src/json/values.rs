//! Numbers, ids and bytes, as JSON spells them. Each function gives `None` for what is none of its kind.

use super::out::Out;

/// An integer, exactly: `12`, but also `1.2e1` and `12.0`, as proto3 allows where nothing is lost.
pub(super) fn integer(spelled: &str) -> Option<i128> {
    match spelled.as_bytes() {
        [b'0'..=b'9', ..] => spelled.parse::<u64>().ok().map(i128::from),
        _ => None,
    }
    .or_else(|| any_integer(spelled))
}

/// The same for what is not only digits.
fn any_integer(spelled: &str) -> Option<i128> {
    let (negative, unsigned) = match spelled.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, spelled.strip_prefix('+').unwrap_or(spelled)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()?),
        None => (unsigned, 0_i64),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let mut value = 0_i128;
    for digit in whole.bytes().chain(fraction.bytes()) {
        let digit = char::from(digit).to_digit(10)?;
        value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
    }
    // Tens that are still to be multiplied, or to be divided by. The value leaves the loops long before a stranger's exponent
    // does: it overflows, or has no zero at its end.
    let mut tens = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    while tens > 0 && value != 0 {
        value = value.checked_mul(10)?;
        tens -= 1;
    }
    while tens < 0 && value != 0 {
        if value % 10 != 0 {
            return None;
        }
        value /= 10;
        tens += 1;
    }
    Some(if negative { -value } else { value })
}

/// A number with a fraction; `NaN`, `Infinity` and `-Infinity` are some.
pub(super) fn double(spelled: &str) -> Option<f64> {
    spelled.parse().ok()
}

/// Writes the bytes of an id, of any length: whether it is a usable one is not decided here.
pub(super) fn hexadecimal(spelled: &str, out: &mut Out) -> Option<()> {
    let (pairs, odd) = spelled.as_bytes().as_chunks();
    if !odd.is_empty() {
        return None;
    }
    for &[high, low] in pairs {
        out.bytes(&[hexadecimal_digit(high)? << 4 | hexadecimal_digit(low)?]);
    }
    Some(())
}

#[inline]
fn hexadecimal_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Undoes base64 as it comes: in the standard or the URL-safe alphabet, padded or not (proto3, "JSON Mapping").
#[derive(Debug, Default)]
pub(super) struct Base64 {
    /// The bits that make no byte yet, and how many those are.
    bits: u16,
    count: u8,
    digits: u64,
    paddings: u64,
    wrong: bool,
}

impl Base64 {
    /// Writes the bytes that the next piece completes.
    pub(super) fn push(&mut self, piece: &str, out: &mut Out) {
        for digit in piece.bytes() {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                b'=' => {
                    self.paddings += 1;
                    continue;
                }
                _ => {
                    self.wrong = true;
                    return;
                }
            };
            self.wrong |= self.paddings > 0;
            self.digits += 1;
            self.bits = self.bits << 6 | u16::from(value);
            self.count += 6;
            if self.count >= 8 {
                self.count -= 8;
                let [_, byte] = (self.bits >> self.count).to_be_bytes();
                out.bytes(&[byte]);
                self.bits &= (1 << self.count) - 1;
            }
        }
    }

    /// Whether that was base64.
    pub(super) fn finish(self) -> Option<()> {
        let whole = match self.digits % 4 {
            1 => false,
            0 => self.paddings == 0,
            over => self.paddings == 0 || self.paddings == 4 - over,
        };
        (whole && !self.wrong).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_however_they_are_spelled() {
        for (spelled, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("-0.0", Some(0)),
            ("7", Some(7)),
            ("007", Some(7)),
            ("+7", Some(7)),
            ("7.", Some(7)),
            (".7e1", Some(7)),
            ("-7.00", Some(-7)),
            ("1795238518923041332", Some(1_795_238_518_923_041_332)),
            ("1795238518923041332.0", Some(1_795_238_518_923_041_332)),
            ("1.795238518923041332e18", Some(1_795_238_518_923_041_332)),
            ("1795238518923041332000E-3", Some(1_795_238_518_923_041_332)),
            ("18446744073709551615", Some(u64::MAX.into())),
            ("0e999999999", Some(0)),
            ("0.000e-999999999", Some(0)),
            ("1e999999999999", None),
            ("1e-999999999999", None),
            ("1e99999999999999999999", None),
            ("1.5", None),
            ("15e-1", None),
            ("", None),
            (".", None),
            ("-", None),
            ("--1", None),
            ("1-", None),
            ("e5", None),
            ("1e", None),
            ("0x10", None),
            ("NaN", None),
            ("1 2", None),
            ("٣", None),
        ] {
            assert_eq!(integer(spelled), expected, "{spelled}");
        }
        assert_eq!(integer(&"9".repeat(1000)), None);
    }

    #[test]
    fn doubles_have_names_for_what_is_no_number() {
        assert_eq!(double("1.5"), Some(1.5));
        assert_eq!(double("-1e-3"), Some(-0.001));
        assert_eq!(double("Infinity"), Some(f64::INFINITY));
        assert_eq!(double("-Infinity"), Some(f64::NEG_INFINITY));
        assert!(double("NaN").unwrap().is_nan());
        assert_eq!(double(""), None);
        assert_eq!(double("1,5"), None);
    }

    fn written(write: impl FnOnce(&mut Out) -> Option<()>) -> Option<Vec<u8>> {
        let mut out = Out::new(Vec::with_capacity(64));
        write(&mut out)?;
        out.into_bytes()
    }

    #[test]
    fn ids_are_hexadecimal_in_any_case() {
        let read = |spelled: &str| written(|out| hexadecimal(spelled, out));
        assert_eq!(read("00fFAb"), Some(vec![0, 255, 0xab]));
        assert_eq!(read(""), Some(vec![]));
        for wrong in ["0", "0g", "0x", " 00", "AAEC==", "é"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn base64_has_two_alphabets_and_may_be_padded() {
        let read = |pieces: &[&str]| {
            written(|out| {
                let mut base64 = Base64::default();
                for piece in pieces {
                    base64.push(piece, out);
                }
                base64.finish()
            })
        };
        for (pieces, expected) in [
            (&[""][..], Some(vec![])),
            (&["AA=="], Some(vec![0])),
            (&["AA"], Some(vec![0])),
            (&["-_", "8="], Some(vec![0xfb, 0xff])),
            (&["+/8"], Some(vec![0xfb, 0xff])),
            (&["AQ", "ID"], Some(vec![1, 2, 3])),
            (&["A"], None),
            (&["AA="], None),
            (&["AAAA="], None),
            (&["AA==AA=="], None),
            (&["A A="], None),
        ] {
            assert_eq!(read(pieces), expected, "{pieces:?}");
        }
    }
}
