//! A real Jaeger with its default settings on ports of our own, as a destination.

use std::{fs, io, net::SocketAddr, path::Path, process::Command};

use crate::{
    rig::{
        ports::free_address,
        process::{Cores, Process},
    },
    scrape,
    subjects::installed,
};

/// Every port that Jaeger would take; the first two are used.
const PORTS: [&str; 11] = [
    "collector.otlp.grpc.host-port",
    "admin.http.host-port",
    "query.http-server.host-port",
    "collector.otlp.http.host-port",
    "query.grpc-server.host-port",
    "collector.grpc-server.host-port",
    "collector.http-server.host-port",
    "http-server.host-port",
    "processor.jaeger-compact.server-host-port",
    "processor.jaeger-binary.server-host-port",
    "processor.zipkin-compact.server-host-port",
];
/// Beyond it Jaeger forgets the oldest, which bounds its memory and is not counted as dropped.
const TRACES_MAX: u32 = 50_000;

#[derive(Debug)]
pub(crate) struct Jaeger {
    process: Process,
    otlp: SocketAddr,
    admin: SocketAddr,
}

impl Jaeger {
    pub(crate) fn start(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let addresses: Vec<SocketAddr> = PORTS.iter().map(|_| free_address()).collect();
        let mut command = Command::new(installed("jaeger/jaeger"));
        command
            .env("SPAN_STORAGE_TYPE", "memory")
            .arg(format!("--memory.max-traces={TRACES_MAX}"));
        for (port, address) in PORTS.iter().zip(&addresses) {
            command.arg(format!("--{port}={address}"));
        }
        // It needs more than what a load leaves of one core, and its own figures are not compared.
        let mut process = Process::start(Cores::Both, &command, folder)?;
        let [otlp, admin] = [addresses[0], addresses[1]];
        process.listens(&[otlp, admin])?;
        Ok(Self {
            process,
            otlp,
            admin,
        })
    }

    pub(crate) fn otlp(&self) -> SocketAddr {
        self.otlp
    }

    pub(crate) fn freeze(&self) {
        self.process.signal("STOP");
    }

    pub(crate) fn thaw(&self) {
        self.process.signal("CONT");
    }

    /// Spans that it took, whatever it did with them then.
    pub(crate) fn received(&self) -> u64 {
        self.counted("jaeger_collector_spans_received")
    }

    /// Spans that it answered OK and threw away: only this counter tells.
    pub(crate) fn dropped(&self) -> u64 {
        self.counted("jaeger_collector_spans_dropped")
    }

    fn counted(&self, name: &str) -> u64 {
        let page = scrape::get(self.admin, "/metrics").unwrap_or_default();
        scrape::metric(&page, name, |_| true).unwrap_or(0)
    }
}
