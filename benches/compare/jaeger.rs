//! A real Jaeger with its default settings on ports of our own, as a destination.

use std::{fs, io, net::SocketAddr, path::Path};

use crate::{
    jaeger_ports::JaegerPorts,
    rig::process::{Cores, Process},
    scrape,
    subjects::installed,
};

#[derive(Debug)]
pub(crate) struct Jaeger {
    process: Process,
    ports: JaegerPorts,
}

impl Jaeger {
    pub(crate) fn start(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let ports = JaegerPorts::free();
        let command = ports.command(&installed("jaeger/jaeger"));
        // It needs more than what a load leaves of one core, and its own figures are not compared.
        let mut process = Process::start(Cores::Both, &command, folder)?;
        process.listens(&[ports.otlp, ports.query, ports.admin])?;
        Ok(Self { process, ports })
    }

    pub(crate) fn otlp(&self) -> SocketAddr {
        self.ports.otlp
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
        let page = scrape::get(self.ports.admin, "/metrics").unwrap_or_default();
        scrape::metric(&page, name, |_| true).unwrap_or(0)
    }
}
