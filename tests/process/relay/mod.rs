//! A relay's process: what it says of itself, what it is told, and how it ends.
//!
//! Invariant: a relay that [`Relay::stop`] stopped has balanced its books, lost nobody's panic, and ended by itself.

mod launch;
mod proc;

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    time::Duration,
};

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{
    WHOLE,
    support::{
        client::{HttpAnswer, http},
        ledger::Ledger,
    },
};

pub(crate) use launch::Launch;

/// Nothing that is waited for takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a condition that nobody signals.
const LOOK: Duration = Duration::from_millis(5);
/// What the process may take beside its budget and its trace store, in bytes (product.md, "Limits that always hold").
pub(crate) const RSS_BESIDE_BYTES: u64 = 50 << 20;
/// The default of `store.bytes_max`.
pub(crate) const STORE_BYTES: u64 = 16 << 20;

/// A bound that a case sets: whole in `tests/long`, ten times as much where machines are shared.
pub(crate) fn at_most(bound: Duration) -> Duration {
    if WHOLE { bound } else { bound * 10 }
}

/// The figure of a case, or what of it is enough for every day.
pub(crate) fn figure<T>(short: T, whole: T) -> T {
    if WHOLE { whole } else { short }
}

/// A relay at work.
#[derive(Debug)]
pub(crate) struct Relay {
    launch: Launch,
    folder: PathBuf,
    child: Child,
    grpc: SocketAddr,
    http: SocketAddr,
    admin: SocketAddr,
}

/// How a relay ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Everything it has logged.
    pub(crate) log: String,
    pub(crate) took: Duration,
}

// === impl Relay ===

impl Relay {
    pub(crate) fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.http
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Both of its ports for OTLP.
    pub(crate) fn ports(&self) -> [SocketAddr; 2] {
        [self.grpc, self.http]
    }

    async fn until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_ready().await {
            self.assert_running();
            assert!(Instant::now() < deadline, "not ready:\n{}", self.log());
            sleep(LOOK).await;
        }
    }

    /// Whether it is there, and says that it is ready.
    async fn is_ready(&self) -> bool {
        if tokio::net::TcpStream::connect(self.admin).await.is_err() {
            return false;
        }
        // It listens before it serves.
        self.get("/readyz").await.status == 200
    }

    /// Asks its admin port.
    pub(crate) async fn get(&self, path: &str) -> HttpAnswer {
        let admin = self.admin;
        let token = self.launch.admin_token.as_ref();
        let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n"));
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n{}\r\n",
            authorization.unwrap_or_default()
        );
        http(admin, &head, b"").await
    }

    /// The sum over the series of a metric that carry this text; 0 where there is none.
    pub(crate) async fn metric(&self, name: &str, with: &str) -> f64 {
        let page = String::from_utf8(self.get("/metrics").await.body).unwrap();
        let samples = page.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (own, labels) = series.split_once('{').unwrap_or((series, ""));
            (own == name && labels.contains(with)).then(|| value.parse::<f64>().unwrap())
        });
        samples.sum()
    }

    /// The bytes of its budget that are in use.
    pub(crate) async fn budget_used(&self) -> f64 {
        let page = String::from_utf8(self.get("/metrics").await.body).unwrap();
        let samples = page.lines().filter_map(|line| {
            let rest = line.strip_prefix("otlp_relay_budget_bytes{")?;
            let (labels, value) = rest.rsplit_once(' ')?;
            (!labels.contains("free") && !labels.contains("total"))
                .then(|| value.parse::<f64>().unwrap())
        });
        samples.sum()
    }

    /// The books, which balance whenever one looks.
    pub(crate) async fn ledger(&self) -> Ledger {
        let answer = self.get("/api/v1/ledger").await;
        assert_eq!(answer.status, 200, "{}", answer.head);
        let ledger: Ledger = serde_json::from_slice(&answer.body).unwrap();
        ledger.assert_balanced();
        ledger
    }

    /// Waits until its books are as they shall be.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Ledger) -> bool) -> Ledger {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ledger = self.ledger().await;
            if holds(&ledger) {
                return ledger;
            }
            assert!(
                Instant::now() < deadline,
                "in vain until {what}: {ledger:?}"
            );
            sleep(LOOK).await;
        }
    }

    /// Waits until no destination holds anything.
    pub(crate) async fn until_settled(&self) -> Ledger {
        self.until("everything is settled", |ledger| ledger.held() == 0)
            .await
    }

    /// Writes a file into its folder as editors do: whole, and at once.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let new = self.folder.join(format!("{file}.new"));
        fs::write(&new, text).unwrap();
        fs::rename(new, self.folder.join(file)).unwrap();
    }

    /// Everything it has logged.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join("log")).unwrap()).into_owned()
    }

    pub(crate) fn assert_running(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("it ended with {status}:\n{}", self.log());
        }
    }

    /// Sends a signal by its name, through the program, because the system call is unsafe code.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "kill -s {signal}"
        );
    }

    /// Kills it, waits for its end, and starts it again where it was; returns how long the new one took to be ready.
    pub(crate) async fn kill_and_start_again(&mut self) -> Duration {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.assert_no_panic();
        let start = Instant::now();
        self.child = self
            .launch
            .spawn(&self.folder, [self.grpc, self.http, self.admin]);
        self.until_ready().await;
        start.elapsed()
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(mut self) -> Ended {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "no end:\n{}", self.log());
            sleep(LOOK).await;
        };
        self.assert_no_panic();
        Ended {
            status,
            log: self.log(),
            took: start.elapsed(),
        }
    }

    /// Stops it as a container engine does. In its last line everything received has a fate, and nothing is still held.
    pub(crate) async fn stop(self) -> Ended {
        self.signal("TERM");
        let ended = self.ended().await;
        ended.assert_settled();
        ended
    }

    fn assert_no_panic(&self) {
        let log = self.log();
        for word in ["panicked", "does not balance", "poisoned"] {
            assert!(!log.contains(word), "{word}:\n{log}");
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Where it has ended already there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

// === impl Ended ===

impl Ended {
    fn assert_settled(&self) {
        let last = self.last_line();
        let came = last("accepted") + last("refused") + last("rejected");
        assert_eq!(last("received"), came, "{}", self.log);
        // The line has no undecided and no exported spans, which make up the difference.
        assert!(
            last("sampled_out") + last("forwarded") <= last("accepted"),
            "{}",
            self.log
        );
        assert!(last("lost") <= last("forwarded"), "{}", self.log);
        assert_eq!(last("held"), 0, "{}", self.log);
    }

    /// The numbers of its last line, by their keys.
    fn last_line(&self) -> impl Fn(&str) -> u64 {
        let mut lines = self.log.lines().rev();
        let line = lines.find(|line| line.contains("otlp-relay stopped"));
        let line = line.unwrap_or_else(|| panic!("no last line:\n{}", self.log));
        move |key| {
            let text = if line.starts_with('{') {
                let line: Value = serde_json::from_str(line).unwrap();
                line[key].to_string()
            } else {
                let mut words = line.split(' ');
                let prefix = format!("{key}=");
                let word = words.find_map(|word| word.strip_prefix(&prefix));
                word.unwrap_or_else(|| panic!("no {key} in {line}")).into()
            };
            text.parse().unwrap()
        }
    }
}
