//! What each subject costs before the first span: its program, its start, its memory.

use std::{fs, io, path::Path, process::Command, time::Duration};

use serde::Serialize;
use tokio::time::sleep;

use crate::{
    rig::{
        process::Cores,
        requests::Transport,
        sink::{Behaviour, Sink},
    },
    subjects::{Setup, Subject, Work},
};

/// Until memory is what it will be.
const SETTLED: Duration = Duration::from_secs(2);
/// Starts for each figure, of which the median counts: files come from the disk only once, and a huge page more or less is 2 MiB.
const STARTS: usize = 5;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Still {
    pub(crate) subject: Subject,
    pub(crate) idle_rss_mib: f64,
    /// From the start of the process until its ports are open, `taskset` included.
    pub(crate) listening_after_ms: f64,
    /// Without symbols; none where there is no `strip`.
    pub(crate) stripped_mib: Option<f64>,
}

pub(crate) async fn measure(subject: Subject) -> io::Result<Still> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compare");
    let sink = Sink::start(Behaviour::Count, Transport::Grpc).await;
    let setup = Setup {
        work: Work::Enrich,
        destination: sink.address(),
        transport: Transport::Grpc,
        gzip: false,
        cores: Cores::First,
        policies: None,
    };
    let (mut idle_rss_mib, mut listening_after_ms) = (Vec::new(), Vec::new());
    // One after the other: a core that slept in between takes twice as long.
    for _ in 0..STARTS {
        let running = subject.start(&setup, &folder)?;
        listening_after_ms.push(running.listening_after.as_secs_f64() * 1e3);
        running.stop().await?;
    }
    for _ in 0..STARTS {
        let running = subject.start(&setup, &folder)?;
        sleep(SETTLED).await;
        idle_rss_mib.push(running.process.rss_mib());
        running.stop().await?;
    }
    Ok(Still {
        subject,
        idle_rss_mib: median(idle_rss_mib),
        listening_after_ms: median(listening_after_ms),
        stripped_mib: stripped_mib(&subject.program(), &folder),
    })
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn stripped_mib(program: &Path, folder: &Path) -> Option<f64> {
    let stripped = folder.join("stripped");
    let status = Command::new("strip")
        .arg("-o")
        .args([&stripped, program])
        .status()
        .ok()?;
    let bytes = fs::metadata(&stripped).ok()?.len();
    fs::remove_file(stripped).ok()?;
    status
        .success()
        .then_some(bytes as f64 / f64::from(1 << 20))
}
