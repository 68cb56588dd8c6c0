//! Ports of our own for a real Jaeger whose other settings are its defaults, so that several run on one machine.

use std::{net::SocketAddr, path::Path, process::Command};

use super::ports::free_address;

/// Every port that Jaeger would take and nobody here asks.
const UNUSED: [&str; 8] = [
    "collector.otlp.http.host-port",
    "query.grpc-server.host-port",
    "collector.grpc-server.host-port",
    "collector.http-server.host-port",
    "http-server.host-port",
    "processor.jaeger-compact.server-host-port",
    "processor.jaeger-binary.server-host-port",
    "processor.zipkin-compact.server-host-port",
];
/// Beyond it Jaeger forgets the oldest, which bounds its memory and is not counted as dropped. More than any scenario of the
/// end-to-end tests makes.
const TRACES_MAX: u32 = 50_000;

/// Where it is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JaegerPorts {
    /// OTLP over gRPC.
    pub(crate) otlp: SocketAddr,
    /// The query API.
    pub(crate) query: SocketAddr,
    /// Health and metrics.
    pub(crate) admin: SocketAddr,
}

impl JaegerPorts {
    pub(crate) fn free() -> Self {
        Self {
            otlp: free_address(),
            query: free_address(),
            admin: free_address(),
        }
    }

    /// The command that starts `program` on them, with its spans in memory.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let used = [
            ("collector.otlp.grpc.host-port", self.otlp),
            ("query.http-server.host-port", self.query),
            ("admin.http.host-port", self.admin),
        ];
        let unused = UNUSED.map(|port| (port, free_address()));
        let mut command = Command::new(program);
        command
            .env("SPAN_STORAGE_TYPE", "memory")
            .arg(format!("--memory.max-traces={TRACES_MAX}"));
        for (port, address) in used.into_iter().chain(unused) {
            command.arg(format!("--{port}={address}"));
        }
        command
    }
}
