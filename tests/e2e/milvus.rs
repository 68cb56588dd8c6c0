//! A real Milvus 2.3.5 on its fixed ports, and the Python programs that use it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::Command,
    time::Duration,
};

use crate::parts::{Process, beside, installed};

/// One Milvus at a time is on a machine: most of its ports are always these.
const PORTS: [u16; 11] = [
    19530, 19529, 9091, 2379, 2380, 19532, 19531, 21121, 21123, 21124, 13333,
];
/// Spans leave Milvus' Go part and its C++ part every five seconds; after this long without a new one, all have.
pub(crate) const FLUSHED_AFTER: Duration = Duration::from_secs(7);
/// The longest of the programs takes half a minute on two idle cores.
const CLIENT_MAX: Duration = Duration::from_mins(3);

#[derive(Debug)]
pub(crate) struct Milvus {
    _process: Process,
}

impl Milvus {
    /// A Milvus without collections that reports its spans to `otlp` over gRPC.
    pub(crate) async fn start(folder: &Path, otlp: SocketAddr) -> Self {
        for port in PORTS {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
            assert!(free, "port {port} is taken; is another Milvus running?");
        }
        let home = milvus_home();
        let mut command = Command::new(installed("milvus/bin/milvus-server"));
        command
            .arg("--data")
            .arg(&home)
            .args(["--proxy-port", "19530"])
            // Its own default, 53100, is among the ports that outgoing connections of anybody have.
            .args(["--root-coord-port", "19532"])
            .args(["--extra-config", "trace.exporter=otlp"])
            .args(["--extra-config", "trace.sampleFraction=1"])
            .args(["--extra-config", "trace.otlp.secure=false"])
            .args(["--extra-config", &format!("trace.otlp.endpoint={otlp}")]);
        let mut process = Process::start("milvus", folder, &mut command);
        client(folder, "ready", &[], None)
            .succeeded(CLIENT_MAX)
            .await;
        process.assert_running();
        Self { _process: process }
    }
}

/// The tutorial's client, which exports its own spans to `otlp`; returns its trace id.
pub(crate) async fn tutorial(folder: &Path, otlp: SocketAddr) -> u128 {
    let output = client(folder, "tutorial", &[], Some(otlp))
        .succeeded(CLIENT_MAX)
        .await;
    // The log has grown with each run.
    let id = output
        .lines()
        .filter_map(|line| line.strip_prefix("trace_id "))
        .next_back();
    u128::from_str_radix(id.expect("it prints its trace id"), 16).unwrap()
}

/// Searches over many growing rows, without spans of the client's.
pub(crate) async fn grow(folder: &Path, rows: u32, searches: u32) -> String {
    let arguments = [rows.to_string(), searches.to_string()];
    client(folder, "grow", &arguments, None)
        .succeeded(CLIENT_MAX)
        .await
}

/// Searches for so many seconds, without spans of the client's.
pub(crate) fn load(folder: &Path, seconds: u32, connections: u32) -> Process {
    let arguments = [seconds.to_string(), connections.to_string()];
    client(folder, "load", &arguments, None)
}

fn client(
    folder: &Path,
    name: &'static str,
    arguments: &[String],
    otlp: Option<SocketAddr>,
) -> Process {
    let mut command = Command::new(installed("client/bin/python"));
    command
        .arg(beside(&format!("clients/{name}.py")))
        .args(arguments);
    if let Some(otlp) = otlp {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{otlp}"));
    }
    Process::start(name, folder, &mut command)
}

/// What Milvus unpacks is kept, 8 s of its first start; what a former run stored is not.
fn milvus_home() -> std::path::PathBuf {
    let home = installed("milvus").join("home");
    for former in ["data", "logs"] {
        let former = home.join(former);
        if former.exists() {
            fs::remove_dir_all(former).unwrap();
        }
    }
    home
}
