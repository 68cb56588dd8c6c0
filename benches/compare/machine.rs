//! What the figures were made on and with.

use std::{fs, io};

use serde::Serialize;

use crate::subjects::{Subject, installed};

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
    /// What each program says of its version; the relay's names its commit.
    pub(crate) versions: Vec<String>,
}

impl Machine {
    pub(crate) fn this() -> io::Result<Self> {
        let cpu_info = fs::read_to_string("/proc/cpuinfo")?;
        let model = cpu_info.lines().find(|line| line.starts_with("model name"));
        let memory = fs::read_to_string("/proc/meminfo")?;
        let total_kib = memory.split_whitespace().nth(1).unwrap_or_default();
        let mut versions = Vec::new();
        for subject in [Subject::Relay, Subject::Collector, Subject::Rotel] {
            versions.push(subject.version()?);
        }
        let jaeger = fs::read_to_string(installed("jaeger/.stamp"))?;
        versions.push(format!("jaeger {}", jaeger.trim()));
        Ok(Self {
            cpu: model.map_or("unknown", after_colon).to_owned(),
            cores: cpu_info
                .lines()
                .filter(|line| line.starts_with("processor"))
                .count(),
            memory_gib: (total_kib.parse().unwrap_or(f64::NAN) / f64::from(1 << 20)).round(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            versions,
        })
    }
}

fn after_colon(line: &str) -> &str {
    line.split_once(':').map_or("", |(_, value)| value.trim())
}
