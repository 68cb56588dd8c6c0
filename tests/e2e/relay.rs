//! The relay's release binary as a process between the other parts, and what it says of itself.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde::Deserialize;

use crate::{
    http::Http,
    parts::{Process, eventually},
    ports::free_address,
};

/// What the configuration sets on every resource.
pub(crate) const ENRICHED: (&str, &str) = ("relay.instance", "e2e");
/// Given instead of found, so that the assertion on memory has its number.
pub(crate) const BUDGET_BYTES: u64 = BUDGET_MEBIBYTES << 20;
const BUDGET_MEBIBYTES: u64 = 256;
/// The default of `store.bytes_max`.
pub(crate) const STORE_BYTES: u64 = 16 << 20;
/// It listens after milliseconds; a loaded machine gets time.
const START_MAX: Duration = Duration::from_secs(10);
/// Above `shutdown.deadline`.
const STOP_MAX: Duration = Duration::from_secs(12);
/// Queues are empty long before; a frozen destination alone may cost a time-out and a back-off.
const DELIVERED_MAX: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(crate) struct Relay {
    process: Process,
    folder: PathBuf,
    grpc: SocketAddr,
    http: SocketAddr,
    admin: Http,
}

/// The books, in spans, as `/api/v1/ledger` gives them.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) received: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) rejected: u64,
    pub(crate) sampled_out: u64,
    pub(crate) undecided: u64,
    pub(crate) forwarded: u64,
    pub(crate) destinations: BTreeMap<String, Account>,
}

/// The part of one destination.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Account {
    pub(crate) forwarded: u64,
    pub(crate) exported: u64,
    pub(crate) rejected_by_destination: u64,
    pub(crate) lost: BTreeMap<String, u64>,
    pub(crate) held: u64,
}

// === impl Relay ===

impl Relay {
    /// A relay that exports to both, under `policies`.
    pub(crate) async fn start(
        folder: &Path,
        policies: &str,
        jaeger: SocketAddr,
        sink: SocketAddr,
    ) -> Self {
        let destinations = format!(
            "destinations:
  jaeger: {{ endpoint: \"http://{jaeger}\" }}
  sink: {{ endpoint: \"http://{sink}\" }}
"
        );
        Self::configured(folder, policies, &destinations).await
    }

    /// A relay with its destinations and whatever else `rest` says, in YAML.
    pub(crate) async fn configured(folder: &Path, policies: &str, rest: &str) -> Self {
        let [grpc, http, admin] = [free_address(), free_address(), free_address()];
        let (key, value) = ENRICHED;
        let configuration = format!(
            "receivers:
  grpc: {{ listen: \"{grpc}\" }}
  http: {{ listen: \"{http}\" }}
budget: {{ bytes: {BUDGET_MEBIBYTES}MiB }}
sampling: {{ policy_file: policies.yaml }}
enrichment:
  - on: resource
    set: {{ {key}: {value} }}
admin: {{ listen: \"{admin}\" }}
{rest}"
        );
        let file = folder.join("otlp-relay.yaml");
        fs::write(&file, configuration).unwrap();
        fs::write(folder.join("policies.yaml"), policies).unwrap();
        let mut command = Command::new(program());
        command.args(["run", "--config"]).arg(file);
        let mut process = Process::start("relay", folder, &mut command);
        let admin = Http::new(admin);
        eventually("the relay's /readyz", START_MAX, async || {
            process.assert_running();
            let answer = admin.get("/readyz").await;
            answer.filter(|(status, _)| status.is_success())
        })
        .await;
        Self {
            process,
            folder: folder.to_owned(),
            grpc,
            http,
            admin,
        }
    }

    /// Where it takes OTLP, by default over gRPC.
    pub(crate) fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Where it takes OTLP, by default over HTTP.
    pub(crate) fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where its admin port is.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin.address()
    }

    /// Replaces the policy file as editors do: whole, and at once.
    pub(crate) fn edit_policies(&self, policies: &str) {
        let new = self.folder.join("policies.yaml.new");
        fs::write(&new, policies).unwrap();
        fs::rename(new, self.folder.join("policies.yaml")).unwrap();
    }

    pub(crate) async fn ledger(&self) -> Ledger {
        self.admin.json("/api/v1/ledger").await
    }

    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        self.admin.metric(name, labels).await
    }

    /// Waits until every destination has, or will never have, what was forwarded to it.
    pub(crate) async fn delivered(&self) -> Ledger {
        eventually("empty queues", DELIVERED_MAX, async || {
            let ledger = self.ledger().await;
            let held: u64 = ledger
                .destinations
                .values()
                .map(|account| account.held)
                .sum();
            (held == 0).then_some(ledger)
        })
        .await
    }

    /// The most memory it has ever had resident.
    pub(crate) fn rss_bytes_max(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kibibytes.unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Stops it as a container engine does; returns what it printed.
    pub(crate) async fn stop(mut self) -> String {
        self.process.signal("TERM");
        let status = self.process.ended(STOP_MAX).await;
        let output = self.process.output();
        assert_eq!(
            status.code(),
            Some(0),
            "nothing was left to lose:\n{output}"
        );
        output
    }
}

/// The binary that `tests/e2e/run` has built as users get it; the one that cargo builds for tests is another.
pub(crate) fn program() -> PathBuf {
    let program = std::env::var_os("OTLP_RELAY_PROGRAM");
    program
        .expect("tests/e2e/run names the relay in OTLP_RELAY_PROGRAM")
        .into()
}

// === impl Ledger ===

impl Ledger {
    /// The first equation that does not hold, computed apart from the relay's own check.
    fn imbalance(&self) -> Option<String> {
        let came = self.accepted + self.refused + self.rejected;
        let went = self.sampled_out + self.undecided + self.forwarded;
        if self.received != came {
            return Some("received".to_owned());
        }
        if self.accepted != went {
            return Some("accepted".to_owned());
        }
        let unbalanced = |account: &Account| account.forwarded != account.booked();
        let mut accounts = self.destinations.iter();
        accounts.find_map(|(name, account)| unbalanced(account).then(|| name.clone()))
    }

    pub(crate) fn assert_balanced(&self) {
        assert_eq!(self.imbalance(), None, "{self:?}");
    }

    /// Balanced, and every destination has everything that was forwarded.
    pub(crate) fn assert_all_exported(&self) {
        self.assert_balanced();
        for (name, account) in &self.destinations {
            assert_eq!(account.forwarded, self.forwarded, "{name}: {self:?}");
            assert_eq!(account.exported, self.forwarded, "{name}: {self:?}");
        }
    }
}

impl Account {
    fn booked(&self) -> u64 {
        let lost: u64 = self.lost.values().sum();
        self.exported + self.rejected_by_destination + lost + self.held
    }
}

#[test]
fn an_unbalanced_ledger_is_noticed() {
    let ledger = |received, accepted, forwarded, exported| {
        let account = Account {
            forwarded,
            exported,
            ..Account::default()
        };
        Ledger {
            received,
            accepted,
            forwarded,
            destinations: [("jaeger".to_owned(), account)].into(),
            ..Ledger::default()
        }
    };
    assert_eq!(ledger(3, 3, 3, 3).imbalance(), None);
    for (wrong, name) in [
        (ledger(4, 3, 3, 3), "received"),
        (ledger(3, 3, 2, 2), "accepted"),
        (ledger(3, 3, 3, 2), "jaeger"),
    ] {
        assert_eq!(wrong.imbalance().as_deref(), Some(name));
    }
}
