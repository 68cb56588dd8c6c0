//! What is compared: each relay as a process, told to do the same work in the words of its own configuration.

mod collector;
pub(crate) mod pump;
mod relay;
mod rotel;

use std::{
    fmt, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde::{Serialize, Serializer};

use crate::{
    rig::{
        ports::free_address,
        process::{Cores, Process},
        requests::Transport,
    },
    scrape,
};

/// The attribute that everybody sets on every resource.
pub(crate) const RESOURCE_ATTRIBUTE: (&str, &str) = ("deployment.environment.name", "bench");
/// The attribute that is set on spans where spans are sampled.
pub(crate) const SPAN_ATTRIBUTE: (&str, &str) = ("relay", "bench");
/// Spans in a batch, for everybody: the Collector's and Rotel's default.
pub(crate) const BATCH_SPANS: u32 = 8192;
/// Batches under way at most: more than a destination that answers at once ever sees.
pub(crate) const BATCHES_IN_FLIGHT: u32 = 16;
/// Above the largest recorded request.
pub(crate) const REQUEST_MIB_MAX: u32 = 64;
/// Everybody drains longer than it takes to give up.
const STOP_WITHIN: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The relay with the batch and the limits that everybody has.
    Relay,
    /// The relay with its defaults.
    RelayDefaults,
    Collector,
    /// The Collector, waiting for room in its queue instead of dropping what it has acknowledged.
    CollectorBlocking,
    /// The Collector with the defaults of its batch processor and of its exporter's queue.
    CollectorDefaults,
    Rotel,
    /// No relay: the bytes of each connection go on as they came. What the kernel's sockets cost, and nothing else.
    Pump,
}

/// What a relay shall do with spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Keep all, set an attribute on each resource.
    Enrich,
    /// Keep a tenth of the traces, set an attribute on each resource and on each span.
    TenPercent,
}

/// What a subject is told.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) work: Work,
    pub(crate) destination: SocketAddr,
    pub(crate) transport: Transport,
    /// Whether what leaves is compressed.
    pub(crate) gzip: bool,
    pub(crate) cores: Cores,
    /// The relay's policies, where they differ from what the work asks for.
    pub(crate) policies: Option<String>,
}

/// A subject at work.
#[derive(Debug)]
pub(crate) struct Running {
    subject: Subject,
    pub(crate) process: Process,
    addresses: Addresses,
    /// From its start until all its ports were open.
    pub(crate) listening_after: Duration,
}

/// Where a subject listens.
#[derive(Clone, Copy, Debug)]
struct Addresses {
    grpc: SocketAddr,
    http: SocketAddr,
    /// Its own metrics; Rotel has none.
    admin: SocketAddr,
}

// === impl Subject ===

impl Subject {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::RelayDefaults => "relay, its defaults",
            Self::Collector => "Collector",
            Self::CollectorBlocking => "Collector, blocking",
            Self::CollectorDefaults => "Collector, its defaults",
            Self::Rotel => "Rotel",
            Self::Pump => "bytes copied",
        }
    }

    /// Ours, however it is configured.
    pub(crate) fn is_relay(self) -> bool {
        matches!(self, Self::Relay | Self::RelayDefaults)
    }

    pub(crate) fn program(self) -> PathBuf {
        match self {
            Self::Relay | Self::RelayDefaults => from_environment("OTLP_RELAY_PROGRAM"),
            Self::Collector | Self::CollectorBlocking | Self::CollectorDefaults => {
                installed("collector/collector")
            }
            Self::Rotel => installed("rotel/rotel-agent"),
            Self::Pump => std::env::current_exe().expect("Linux knows a program's own file"),
        }
    }

    /// What it says of its version.
    pub(crate) fn version(self) -> io::Result<String> {
        let output = Command::new(self.program()).arg("--version").output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Starts it and waits until it listens. Configuration and log go to that folder.
    pub(crate) fn start(self, setup: &Setup, folder: &Path) -> io::Result<Running> {
        fs::create_dir_all(folder)?;
        let addresses = Addresses {
            grpc: free_address(),
            http: free_address(),
            admin: free_address(),
        };
        let mut command = Command::new(self.program());
        match self {
            Self::Relay => relay::arguments(&mut command, setup, addresses, true, folder)?,
            Self::RelayDefaults => relay::arguments(&mut command, setup, addresses, false, folder)?,
            Self::Collector | Self::CollectorBlocking | Self::CollectorDefaults => {
                collector::arguments(&mut command, setup, addresses, self, folder)?;
            }
            Self::Rotel => rotel::arguments(&mut command, setup, addresses, folder),
            Self::Pump => pump::arguments(&mut command, setup, addresses),
        }
        let mut process = Process::start(setup.cores, &command, folder)?;
        let ports = match self {
            Self::Pump => &[addresses.grpc][..],
            _ => &[addresses.grpc, addresses.http],
        };
        let listening_after = process.listens(ports)?;
        Ok(Running {
            subject: self,
            process,
            addresses,
            listening_after,
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

// === impl Running ===

impl Running {
    pub(crate) fn listens(&self, transport: Transport) -> SocketAddr {
        match transport {
            Transport::Grpc => self.addresses.grpc,
            Transport::Http => self.addresses.http,
        }
    }

    /// The spans it says it sampled out, where it says so.
    pub(crate) fn sampled_out(&self) -> Option<u64> {
        match self.subject {
            Subject::Relay | Subject::RelayDefaults => relay::sampled_out(self.addresses.admin),
            Subject::Collector | Subject::CollectorBlocking | Subject::CollectorDefaults => {
                collector::sampled_out(self.addresses.admin)
            }
            Subject::Rotel | Subject::Pump => None,
        }
    }

    pub(crate) async fn stop(self) -> io::Result<()> {
        self.process.stop(STOP_WITHIN).await
    }
}

/// A file of the folder that `tests/e2e/install` fills.
pub(crate) fn installed(path: &str) -> PathBuf {
    from_environment("OTLP_RELAY_CACHE").join(path)
}

fn from_environment(name: &str) -> PathBuf {
    let value = std::env::var_os(name);
    let value = value.unwrap_or_else(|| panic!("benches/compare/run sets {name}"));
    value.into()
}
