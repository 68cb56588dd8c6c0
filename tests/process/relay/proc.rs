//! What /proc says of a relay's process: its memory, its descriptors, its time on the CPU.

use std::{fs, path::PathBuf, time::Duration};

use super::Relay;

/// The CPU time unit of /proc: a hundredth of a second on Linux everywhere.
const TICK: Duration = Duration::from_millis(10);

impl Relay {
    fn proc(&self, file: &str) -> PathBuf {
        format!("/proc/{}/{file}", self.child.id()).into()
    }

    fn status_bytes(&self, key: &str) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kibibytes.unwrap().parse::<u64>().unwrap() * 1024
    }

    /// The memory it has resident, in bytes.
    pub(crate) fn rss(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    /// The most that it has ever had resident, in bytes, since it was started or [`Relay::forget_rss_max`].
    pub(crate) fn rss_max(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// The most that it has ever had resident is measured from now on.
    pub(crate) fn forget_rss_max(&self) {
        fs::write(self.proc("clear_refs"), "5").unwrap();
    }

    /// Its open files and sockets.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// Its user and system time.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(self.proc("stat")).unwrap();
        let fields = stat.rsplit_once(") ").unwrap().1;
        let ticks =
            |field: usize| -> u32 { fields.split(' ').nth(field).unwrap().parse().unwrap() };
        TICK * (ticks(11) + ticks(12))
    }
}
