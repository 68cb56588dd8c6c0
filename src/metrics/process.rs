//! What the operating system says about this process: memory and CPU, from `/proc`. Elsewhere than on Linux nothing is said.

use std::{fs, time::Duration};

/// Clock ticks in a second as `/proc` counts them: `USER_HZ`, 100 on every architecture that Linux servers have (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// Resident memory in bytes.
pub(super) fn rss_bytes() -> Option<u64> {
    rss_of(&fs::read_to_string("/proc/self/status").ok()?)
}

/// CPU time used, user and system.
pub(super) fn cpu_time() -> Option<Duration> {
    cpu_of(&fs::read_to_string("/proc/self/stat").ok()?)
}

fn rss_of(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn cpu_of(stat: &str) -> Option<Duration> {
    // The second field is the command in brackets, which may itself hold spaces and brackets.
    let (_, after_command) = stat.rsplit_once(')')?;
    let mut fields = after_command.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok().map(f64::from);
    Some(Duration::from_secs_f64(
        (ticks()? + ticks()?) / TICKS_PER_SECOND,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_cpu_are_read_from_the_lines_of_proc() {
        assert_eq!(
            rss_of("VmSize:\t 99 kB\nVmRSS:\t    2048 kB\n"),
            Some(2_097_152)
        );
        assert_eq!(rss_of("VmSize:\t 99 kB\n"), None);
        let stat = "7 (a) (b c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu_of(stat), Some(Duration::from_secs(3)));
        assert_eq!(cpu_of("7 (a"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_both() {
        assert!(rss_bytes().is_some_and(|bytes| bytes > 1024 * 1024));
        assert!(cpu_time().is_some());
    }
}
