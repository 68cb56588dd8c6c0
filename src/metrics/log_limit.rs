//! Keeps one kind of log line from flooding the log: a few lines in a while, the rest as a number.

use std::{sync::Mutex, time::Duration};

use tokio::time::Instant;

/// Lets `lines` through in each `period`, and counts what it holds back.
#[derive(Debug)]
pub struct LogLimit {
    lines: u32,
    period: Duration,
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    since: Option<Instant>,
    passed: u32,
    suppressed: u64,
}

impl LogLimit {
    /// Lets `lines` through in each `period`.
    pub const fn new(lines: u32, period: Duration) -> Self {
        let window = Window {
            since: None,
            passed: 0,
            suppressed: 0,
        };
        Self {
            lines,
            period,
            window: Mutex::new(window),
        }
    }

    /// Whether to log now; if so, how many lines were held back since the last one.
    pub fn pass(&self, now: Instant) -> Option<u64> {
        let mut window = self
            .window
            .lock()
            .expect("no code path panics while it counts");
        if window
            .since
            .is_none_or(|since| now.duration_since(since) >= self.period)
        {
            window.since = Some(now);
            window.passed = 0;
        }
        if window.passed < self.lines {
            window.passed += 1;
            return Some(std::mem::take(&mut window.suppressed));
        }
        window.suppressed += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_held_back_is_told_with_the_next_line() {
        let limit = LogLimit::new(2, Duration::from_secs(10));
        let start = Instant::now();
        assert_eq!(limit.pass(start), Some(0));
        assert_eq!(limit.pass(start), Some(0));
        assert_eq!(limit.pass(start), None);
        assert_eq!(limit.pass(start + Duration::from_secs(9)), None);
        assert_eq!(limit.pass(start + Duration::from_secs(10)), Some(2));
    }
}
