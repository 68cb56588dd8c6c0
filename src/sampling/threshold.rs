//! Rejection thresholds: from probabilities and back, and as the hex digits of `th`.
//!
//! It knows no tracestate and no policy. Source: OpenTelemetry, tracestate probability sampling; the rounding is that
//! of the Collector's `pkg/sampling`, so that both write the same digits.

use super::Threshold;

/// How many values the randomness of a trace can have: 56 bits of it are random.
const RANDOMNESS_VALUES: u64 = 1 << 56;
/// The same as a float, which it is exactly.
const RANDOMNESS_VALUES_F64: f64 = 72_057_594_037_927_936.0;
/// Hex digits of a randomness or of a threshold written in full.
pub(super) const HEX_DIGITS: u32 = 14;
/// Significant hex digits of a threshold that we write; the Collector's default `sampling_precision`.
pub(super) const PRECISION: u32 = 4;

impl Threshold {
    /// The threshold that keeps the share `probability`, written with `precision` significant hex digits; none below
    /// 2^-56, where nothing is kept.
    pub(super) fn of_probability(probability: f64, precision: u32) -> Option<Self> {
        if probability * RANDOMNESS_VALUES_F64 < 1.0 {
            return None;
        }
        if probability >= 1.0 {
            return Some(Self(0));
        }
        let exact = RANDOMNESS_VALUES - scaled(probability);
        let digits = (precision + leading_digits(probability))
            .max(precision + leading_digits(1.0 - probability))
            .min(HEX_DIGITS);
        let cut = 4 * (HEX_DIGITS - digits);
        let half = (1_u64 << cut) >> 1;
        Some(Self(((exact + half) >> cut) << cut))
    }

    /// The share that it keeps.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the Collector loses the same last bits"
    )]
    pub(super) fn probability(self) -> f64 {
        RANDOMNESS_VALUES.saturating_sub(self.0) as f64 / RANDOMNESS_VALUES_F64
    }

    /// Reads a `th`: 1 to 14 lowercase hex digits, the missing ones zeros.
    pub(super) fn parse(digits: &[u8]) -> Option<Self> {
        let missing = HEX_DIGITS.checked_sub(u32::try_from(digits.len()).ok()?)?;
        Some(Self(parse_hex(digits)? << (4 * missing)))
    }

    /// Writes it as a `th`: without trailing zeros, `0` for what keeps everything.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let mut rest = self.0;
        loop {
            let [digit, ..] = (rest >> 52).to_le_bytes();
            out.push(if digit < 10 {
                b'0' + digit
            } else {
                b'a' - 10 + digit
            });
            rest = (rest << 4) & (RANDOMNESS_VALUES - 1);
            if rest == 0 {
                return;
            }
        }
    }
}

/// Reads lowercase hex digits, at least one and at most [`HEX_DIGITS`].
pub(super) fn parse_hex(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > HEX_DIGITS as usize {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

/// `probability` in 2^-56ths.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a probability is between 0 and 1, so the product is between 0 and 2^56"
)]
fn scaled(probability: f64) -> u64 {
    (probability * RANDOMNESS_VALUES_F64).round() as u64
}

/// How many hex digits of a threshold are `f` (for a small share) or `0` (for a small rest) and so say nothing yet: a
/// fourth of the exponent of `share`, which is between 0 and 1 and not subnormal.
fn leading_digits(share: f64) -> u32 {
    /// The biased exponent of numbers from 0.5 up to 1, whose `frexp` exponent is 0.
    const EXPONENT_OF_HALF: u64 = 1022;
    let exponent = (share.to_bits() >> 52) & 0x7ff;
    u32::try_from(EXPONENT_OF_HALF.saturating_sub(exponent) / 4).unwrap_or(HEX_DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(threshold: Threshold) -> String {
        let mut out = Vec::new();
        threshold.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// The Collector's digits for a probability, at full and at its default precision.
    const VECTORS: &[(f64, &str, &str)] = &[
        (1.0, "0", "0"),
        (0.75, "4", "4"),
        (0.5, "8", "8"),
        (1.0 / 3.0, "aaaaaaaaaaaaac", "aaab"),
        (0.2, "cccccccccccccc", "cccd"),
        (0.1, "e6666666666666", "e666"),
        (0.05, "f3333333333333", "f3333"),
        (0.01, "fd70a3d70a3d71", "fd70a"),
        (0.001, "ffbe76c8b43958", "ffbe77"),
        (0.0001, "fff972474538ef", "fff9724"),
        (0.999, "004189374bc6a8", "004189"),
        (0.9999, "00068db8bac71", "00068dc"),
    ];

    #[test]
    fn a76_thresholds_have_the_digits_of_the_collector() {
        for (probability, full, short) in VECTORS {
            let digits =
                |precision| written(Threshold::of_probability(*probability, precision).unwrap());
            assert_eq!(digits(HEX_DIGITS), *full, "{probability} in full");
            assert_eq!(digits(PRECISION), *short, "{probability} in short");
        }
    }

    #[test]
    fn the_probability_of_a_threshold_is_near_the_one_it_was_made_of() {
        for (probability, ..) in VECTORS {
            let threshold = Threshold::of_probability(*probability, PRECISION).unwrap();
            let error = (threshold.probability() / probability - 1.0).abs();
            assert!(error < 1.0 / 4096.0, "{probability}: off by {error}");
        }
    }

    #[test]
    fn below_the_smallest_probability_nothing_is_kept() {
        let smallest = 1.0 / RANDOMNESS_VALUES_F64;
        let digits = |probability| Threshold::of_probability(probability, PRECISION).map(written);
        assert_eq!(digits(smallest).as_deref(), Some("ffffffffffffff"));
        assert_eq!(digits(smallest * 0.999), None);
        assert_eq!(digits(0.0), None);
        // The largest below 1 still is not everything.
        assert_eq!(
            digits(1.0 - f64::EPSILON / 2.0).as_deref(),
            Some("00000000000008")
        );
    }

    #[test]
    fn a_smaller_probability_never_has_a_lower_threshold() {
        // Also across the borders at which the number of digits changes.
        let probabilities = (1..4096).map(|step| f64::from(step) / 4096.0);
        let borders = (1..52).flat_map(|power| {
            let border = 0.5_f64.powi(power);
            [1.0 - 1e-12, 1.0, 1.0 + 1e-12].map(|factor| border * factor)
        });
        let mut all: Vec<f64> = probabilities.chain(borders).collect();
        all.extend(all.clone().iter().map(|probability| 1.0 - probability));
        all.sort_by(f64::total_cmp);
        let thresholds: Vec<_> = all
            .iter()
            .filter_map(|probability| Threshold::of_probability(*probability, PRECISION))
            .collect();
        assert!(thresholds.is_sorted_by(|smaller, larger| smaller >= larger));
    }

    #[test]
    fn digits_are_read_as_they_are_written() {
        for digits in [
            "0",
            "8",
            "c",
            "fd70a",
            "ffbe77",
            "004189",
            "00000000000001",
            "ffffffffffffff",
        ] {
            let threshold = Threshold::parse(digits.as_bytes()).unwrap();
            assert_eq!(written(threshold), digits);
        }
        assert_eq!(Threshold::parse(b"80"), Some(Threshold(1 << 55)));
    }

    #[test]
    fn a79_bad_digits_are_no_threshold() {
        let cases: [&[u8]; 7] = [b"", b"g", b"C", b"0x8", b"-8", b"000000000000000", b"\xff"];
        for digits in cases {
            assert_eq!(Threshold::parse(digits), None, "{digits:?}");
        }
    }
}
