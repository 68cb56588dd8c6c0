//! The `Retry-After` header: seconds or an HTTP date (RFC 9110, 10.2.3).
//!
//! The time of day is passed in. What is neither is ignored.

use std::time::{Duration, SystemTime};

/// How long the peer asks to wait; a date in the past is no wait at all.
pub(super) fn parse(value: &[u8], now: SystemTime) -> Option<Duration> {
    let value = std::str::from_utf8(value).ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a very long wait, which the caller clamps.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a72_seconds_and_dates_are_read_and_the_rest_is_ignored() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let seconds = Duration::from_secs;
        let cases: [(&str, Option<Duration>); 11] = [
            ("5", Some(seconds(5))),
            (" 0 ", Some(seconds(0))),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(seconds(10))),
            ("Sun, 06 Nov 1994 08:49:27 GMT", Some(seconds(0))),
            ("99999999999999999999999", Some(seconds(u64::MAX))),
            ("-1", None),
            ("1e9", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
            ("Sun, 99 Nov 1994", None),
        ];
        for (value, expected) in cases {
            assert_eq!(parse(value.as_bytes(), now), expected, "{value:?}");
        }
        assert_eq!(parse(&[0xff, b'5'], now), None);
    }
}
