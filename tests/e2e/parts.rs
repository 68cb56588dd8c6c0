//! Processes, folders and waiting: what every part of a scenario is made of.
//!
//! A process ends with its guard, by its id and its children's ids, so that a failed assertion leaves nothing behind.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// Between two looks at a condition. Short against everything that is waited for, long against a look.
const POLL: Duration = Duration::from_millis(50);

/// A program that runs until it is told otherwise; its output goes to a file beside its data.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

/// Waits until `probe` finds something, and says what was waited for when it does not.
pub(crate) async fn eventually<T>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "waited {within:?} in vain: {what}"
        );
        sleep(POLL).await;
    }
}

/// Waits until what `probe` sees has been the same for as long as `quiet`.
pub(crate) async fn settled<T: PartialEq>(
    what: &str,
    quiet: Duration,
    within: Duration,
    mut probe: impl FnMut() -> T,
) -> T {
    let mut last = probe();
    let mut since = Instant::now();
    eventually(what, within, async || {
        let now = probe();
        if now != last {
            last = now;
            since = Instant::now();
        }
        (since.elapsed() >= quiet).then_some(())
    })
    .await;
    last
}

/// An empty folder for one scenario's configuration and logs; it stays after the run.
pub(crate) fn folder(scenario: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("e2e")
        .join(scenario);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A file of the folder that `tests/e2e/install` fills.
pub(crate) fn installed(path: &str) -> PathBuf {
    let cache = std::env::var_os("OTLP_RELAY_CACHE")
        .expect("tests/e2e/run names the folder of the real parts in OTLP_RELAY_CACHE");
    let file = Path::new(&cache).join(path);
    assert!(
        file.exists(),
        "{} is missing; tests/e2e/install puts it there",
        file.display()
    );
    file
}

/// A file beside these sources.
pub(crate) fn beside(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/e2e")
        .join(path)
}

/// Cargo puts examples beside the folder that this program is in.
pub(crate) fn example(name: &str) -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let profile = program.ancestors().nth(2).unwrap();
    let example = profile.join("examples").join(name);
    assert!(
        example.exists(),
        "{} is missing; cargo build --examples",
        example.display()
    );
    example
}

// === impl Process ===

impl Process {
    pub(crate) fn start(name: &'static str, folder: &Path, command: &mut Command) -> Self {
        let log = folder.join(format!("{name}.log"));
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name, child, log }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Sends a signal by its name: `STOP`, `CONT`, `TERM`, `KILL`.
    pub(crate) fn signal(&self, signal: &str) {
        kill(signal, &[self.id()]);
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self, within: Duration) -> ExitStatus {
        let what = format!("the end of {}, see {}", self.name, self.log.display());
        eventually(&what, within, async || self.child.try_wait().unwrap()).await
    }

    /// Waits until it ends, and for success; what it printed is the answer.
    pub(crate) async fn succeeded(mut self, within: Duration) -> String {
        let status = self.ended(within).await;
        let output = self.output();
        assert!(
            status.success(),
            "{} ended with {status}:\n{output}",
            self.name
        );
        output
    }

    /// Fails at once when it has ended, instead of waiting for what can no longer come.
    pub(crate) fn assert_running(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("{} ended with {status}:\n{}", self.name, self.output());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let mut ids = vec![self.id()];
        descendants(self.id(), &mut ids);
        kill("KILL", &ids);
        // The status of a process that was killed says nothing.
        drop(self.child.wait());
    }
}

/// Milvus' launcher is a Python program that starts the server and does not always take it along.
fn descendants(id: u32, into: &mut Vec<u32>) {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    for child in children.split_whitespace().filter_map(|id| id.parse().ok()) {
        into.push(child);
        descendants(child, into);
    }
}

/// Through the program, because the system call is unsafe code.
fn kill(signal: &str, ids: &[u32]) {
    let ids = ids.iter().map(u32::to_string);
    let status = Command::new("kill")
        .arg(format!("-{signal}"))
        .args(ids)
        .stderr(Stdio::null())
        .status();
    assert!(status.is_ok(), "there is no kill program");
}
