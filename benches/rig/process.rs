//! Programs as processes of their own, pinned to cores, measured through /proc.
//!
//! A process ends with its guard, by its id, so that a failed run leaves nothing behind.

use std::{
    fs::{self, File},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// The CPU time unit of /proc: a hundredth of a second on Linux everywhere.
const TICK: Duration = Duration::from_millis(10);
/// Everything that is started here listens after a second at most; a loaded machine gets time.
const LISTENS_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at a port. It is what the time until listening is known to.
const LOOK: Duration = Duration::from_micros(200);

/// Where a process may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cores {
    /// The first, which is the subject's alone.
    First,
    /// The second, for load and sink.
    Second,
    Both,
}

/// A running program.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Times that a thread gave up its core by itself: it waited for data, a lock, or a wake-up.
    pub(crate) waits: u64,
    /// Time that threads could have run and had no core.
    pub(crate) queued: Duration,
}

/// What happened on the whole machine so far, on all cores.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Machine {
    /// What all processes together have used.
    pub(crate) used: Duration,
    /// What a virtual machine's host gave to others while somebody here could have run.
    pub(crate) stolen: Duration,
}

impl Cores {
    fn list(self) -> &'static str {
        match self {
            Self::First => "0",
            Self::Second => "1",
            Self::Both => "0,1",
        }
    }
}

/// Moves this process to a core; where `taskset` is missing, the scheduler decides.
pub(crate) fn pin_this_process(cores: Cores) {
    let pid = std::process::id().to_string();
    drop(
        Command::new("taskset")
            .args(["-apc", cores.list(), &pid])
            .output(),
    );
}

// === impl Process ===

impl Process {
    /// Starts a program; its output goes to a file of that folder.
    pub(crate) fn start(cores: Cores, program: &Command, folder: &Path) -> io::Result<Self> {
        let path = Path::new(program.get_program());
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log)?;
        let environment = program.get_envs();
        let child = Command::new("taskset")
            .args(["-c", cores.list()])
            .arg(program.get_program())
            .args(program.get_args())
            .envs(environment.filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        Ok(Self { name, child, log })
    }

    /// Waits until all these ports are open; returns how long it took.
    pub(crate) fn listens(&mut self, at: &[SocketAddr]) -> io::Result<Duration> {
        let start = Instant::now();
        for address in at {
            while std::net::TcpStream::connect(address).is_err() {
                if self.child.try_wait()?.is_some() || start.elapsed() > LISTENS_WITHIN {
                    let output = fs::read_to_string(&self.log)?;
                    let message = format!("{} does not listen at {address}: {output}", self.name);
                    return Err(io::Error::other(message));
                }
                // The finest timer of tokio is five times as long.
                std::thread::sleep(LOOK);
            }
        }
        Ok(start.elapsed())
    }

    pub(crate) fn used(&self) -> Used {
        used(&format!("/proc/{}", self.child.id()))
    }

    /// The most memory it had at any time.
    pub(crate) fn rss_high_water_mib(&self) -> f64 {
        self.status_kib("VmHWM:") / 1024.0
    }

    /// The memory it has now.
    pub(crate) fn rss_mib(&self) -> f64 {
        self.status_kib("VmRSS:") / 1024.0
    }

    fn status_kib(&self, key: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        number_after(&status, key) as f64
    }

    /// Sends a signal by its name: `STOP`, `CONT`, `TERM`. Through the program, because the system call is unsafe code.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.is_ok(), "there is no kill program");
    }

    /// Asks it to end, and ends it when it does not.
    pub(crate) async fn stop(mut self, within: Duration) -> io::Result<()> {
        self.signal("TERM");
        let deadline = Instant::now() + within;
        while self.child.try_wait()?.is_none() && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where it has ended already there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What this process has used so far.
pub(crate) fn used_by_this_process() -> Used {
    used("/proc/self")
}

/// What /proc/stat says.
pub(crate) fn machine() -> Machine {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let all = stat.lines().next().unwrap().split_whitespace().skip(1);
    let ticks: Vec<u32> = all.map(|ticks| ticks.parse().unwrap()).collect();
    // User, nice, system, idle, waiting for a disk, interrupts, soft interrupts, stolen.
    let [user, nice, system, _, _, interrupts, soft, stolen, ..] = ticks[..] else {
        panic!("/proc/stat has fewer columns than any Linux writes");
    };
    Machine {
        used: TICK * (user + nice + system + interrupts + soft),
        stolen: TICK * stolen,
    }
}

/// The whole process' time is given in ticks, which are too coarse for a subject that is hardly busy; that of its threads in
/// nanoseconds, but without threads that have ended. Neither is ever too much, so the larger one counts.
fn used(process: &str) -> Used {
    let stat = fs::read_to_string(format!("{process}/stat")).unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    let ticks =
        |field: usize| -> u32 { after_name.split(' ').nth(field).unwrap().parse().unwrap() };
    let mut used = Used::default();
    for thread in fs::read_dir(format!("{process}/task")).unwrap() {
        let thread = thread.unwrap().path();
        // A thread may have ended since it was listed.
        if let Ok(status) = fs::read_to_string(thread.join("status")) {
            used.waits += number_after(&status, "\nvoluntary_ctxt_switches:");
        }
        if let Ok(schedule) = fs::read_to_string(thread.join("schedstat")) {
            let mut nanoseconds = schedule.split(' ').map(|number| number.parse().unwrap());
            used.cpu += Duration::from_nanos(nanoseconds.next().unwrap());
            used.queued += Duration::from_nanos(nanoseconds.next().unwrap());
        }
    }
    used.cpu = used.cpu.max(TICK * (ticks(11) + ticks(12)));
    used
}

fn number_after(text: &str, key: &str) -> u64 {
    let (_, rest) = text.split_once(key).unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

impl std::ops::Sub for Used {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            waits: self.waits.saturating_sub(before.waits),
            queued: self.queued.saturating_sub(before.queued),
        }
    }
}

impl std::ops::Sub for Machine {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            used: self.used.saturating_sub(before.used),
            stolen: self.stolen.saturating_sub(before.stolen),
        }
    }
}
