//! The relay's release binary as a process between the other parts, and what it says of itself.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    http::Http,
    ledger::Ledger,
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
            (ledger.held() == 0).then_some(ledger)
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
