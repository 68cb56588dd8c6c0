//! Durations and sizes as people write them: `200ms`, `1m`, `16MiB`, and back.
//!
//! A number without a unit is refused: it is how milliseconds get taken for seconds.

use std::time::Duration;

/// Units of duration, in nanoseconds, the largest first.
const DURATION_UNITS: &[(&str, u64)] = &[
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Units of size, in bytes. Binary ones come first and largest first: sizes are written with them.
const SIZE_UNITS: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Reads a duration such as `200ms`, `7s`, `1.5m`, or `1m30s` as a Collector writes it. The error says what is allowed.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const ALLOWED: &str = "a duration such as 200ms, 7s or 1m";
    let (mut total, mut rest) = (0_u64, text.trim());
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    loop {
        let (part, more) = rest.split_at(end_of_part(rest));
        let nanos = quantity(part, DURATION_UNITS, ALLOWED)?;
        total = total.checked_add(nanos).ok_or(ALLOWED)?;
        rest = more;
        if rest.is_empty() {
            return Ok(Duration::from_nanos(total));
        }
    }
}

/// Where a number follows a unit.
fn end_of_part(text: &str) -> usize {
    let mut after_unit = false;
    let next = text.char_indices().find(|(_, c)| {
        let is_next = after_unit && c.is_ascii_digit();
        after_unit |= c.is_ascii_alphabetic();
        is_next
    });
    next.map_or(text.len(), |(at, _)| at)
}

/// Reads a size such as `16MiB`, `512KiB`, `4MB`; a lone `0` needs no unit. The error says what is allowed.
pub fn parse_size(text: &str) -> Result<u64, String> {
    if text.trim() == "0" {
        return Ok(0);
    }
    quantity(text, SIZE_UNITS, "a size such as 16MiB, 512KiB or 4MB")
}

/// Writes a duration in the largest unit that keeps it a whole number.
pub fn display_duration(duration: Duration) -> String {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    if nanos == 0 {
        return "0s".to_owned();
    }
    display(nanos, DURATION_UNITS)
}

/// Writes a size in the largest binary unit that keeps it a whole number.
pub fn display_size(bytes: u64) -> String {
    if bytes == 0 {
        return "0".to_owned();
    }
    let binary = [SIZE_UNITS[0], SIZE_UNITS[1], SIZE_UNITS[2], ("B", 1)];
    display(bytes, &binary)
}

/// Writes a size that need not be exact: rounded down, by less than a tenth.
pub fn display_size_rounded(bytes: u64) -> String {
    let is_fine = |(_, unit): &&(&str, u64)| bytes / unit >= 10;
    let (_, unit) = SIZE_UNITS[..3].iter().find(is_fine).unwrap_or(&("B", 1));
    display_size(bytes - bytes % unit)
}

fn display(amount: u64, units: &[(&str, u64)]) -> String {
    let (unit, size) = units
        .iter()
        .find(|(_, size)| amount.is_multiple_of(*size))
        .expect("every table of units ends with 1");
    format!("{}{unit}", amount / size)
}

fn quantity(text: &str, units: &[(&str, u64)], allowed: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = (&text[..digits], text[digits..].trim_start());
    if unit.is_empty() {
        return Err(format!("{allowed}, with its unit"));
    }
    let scale = units
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, scale)| *scale)
        .ok_or_else(|| format!("{allowed}; the units are {}", names(units)))?;
    scaled(number, scale).ok_or_else(|| allowed.to_owned())
}

fn names(units: &[(&str, u64)]) -> String {
    let names: Vec<_> = units.iter().rev().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// `number` × `scale`, exactly for whole numbers; a fraction is cut to a whole unit of the smallest kind.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(scale);
    }
    let (whole, fraction) = number.split_once('.')?;
    // Nine digits are nanoseconds of a second; more could not matter.
    if fraction.is_empty() || fraction.len() > 9 || fraction.contains('.') {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let numerator = fraction.parse::<u128>().ok()? * u128::from(scale);
    let denominator = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = u64::try_from(numerator / denominator).ok()?;
    whole.checked_mul(scale)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        let cases = [
            ("200ms", 200_000_000),
            ("7s", 7_000_000_000),
            ("1m", 60_000_000_000),
            ("1.5s", 1_500_000_000),
            ("2h", 7_200_000_000_000),
            ("250us", 250_000),
            ("0", 0),
            (" 5 s ", 5_000_000_000),
            ("1m30s", 90_000_000_000),
            ("5m0s", 300_000_000_000),
            ("1h0.5s1ms", 3_600_501_000_000),
        ];
        for (written, nanos) in cases {
            let duration = parse_duration(written).unwrap();
            assert_eq!(duration, Duration::from_nanos(nanos), "{written}");
            let again = parse_duration(&display_duration(duration)).unwrap();
            assert_eq!(again, duration, "{written}");
        }
        assert_eq!(display_duration(Duration::from_millis(1500)), "1500ms");
        assert_eq!(display_duration(Duration::ZERO), "0s");
    }

    #[test]
    fn sizes_are_read_and_written() {
        let cases = [
            ("16MiB", 16 << 20),
            ("3584KiB", 3_670_016),
            ("1.5MiB", 1_572_864),
            ("4MB", 4_000_000),
            ("2kB", 2_000),
            ("1GiB", 1 << 30),
            ("100B", 100),
            ("0", 0),
        ];
        for (written, bytes) in cases {
            assert_eq!(parse_size(written).unwrap(), bytes, "{written}");
            assert_eq!(parse_size(&display_size(bytes)).unwrap(), bytes);
        }
        assert_eq!(display_size(3_670_016), "3584KiB");
        for (bytes, rounded) in [
            (0, "0"),
            (10 * 1024 - 1, "10239B"),
            (10 * 1024 + 1, "10KiB"),
            (78_293_674, "74MiB"),
            (8 << 20, "8MiB"),
            (3 << 30, "3GiB"),
            ((3 << 30) + 1, "3GiB"),
        ] {
            assert_eq!(display_size_rounded(bytes), rounded, "{bytes}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused_and_the_units_are_named() {
        for text in [
            "",
            "7",
            "s",
            "-7s",
            "7 parsecs",
            "1.s",
            "1..5s",
            "∞s",
            "99999999999h",
            "1e3s",
            "5m0",
            "1m30",
            "1ms-1s",
            "5000000h500000h",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        for text in ["16", "16MIB", "mib", "-1B", "99999999999GiB", "auto"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        assert!(
            parse_size("16mb")
                .unwrap_err()
                .contains("B, kB, MB, GB, KiB, MiB, GiB")
        );
        assert!(parse_duration("200").unwrap_err().contains("with its unit"));
    }
}
