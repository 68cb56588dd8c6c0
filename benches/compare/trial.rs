//! One trial: one subject alone, under one load, before one destination.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::{
    jaeger::Jaeger,
    rig::{
        load::{Answers, Load, Offer},
        process::{Cores, Machine, Used, machine, used_by_this_process},
        requests::{Supply, Transport},
        sink::{Behaviour, Sink},
    },
    subjects::{Running, Setup, Subject, Work},
};

/// Before the measured time: connections are opened, memory is touched, code is warm.
const WARM_UP: Duration = Duration::from_secs(1);
/// When nothing more came for this long after the load, nothing more will come: nobody's batch waits longer.
const QUIET: Duration = Duration::from_secs(3);
/// The same where requests may have to be sent again: the Collector's first two waits before that.
const QUIET_BETWEEN_RETRIES: Duration = Duration::from_secs(15);
/// Between two looks at what came.
const LOOK: Duration = Duration::from_millis(100);
/// The longest wait for what is still under way.
const DELIVERED_WITHIN: Duration = Duration::from_secs(180);
/// Above this share of its core a process is what limits the rest.
const BUSY: f64 = 0.9;

/// What a subject is put through.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) work: Work,
    pub(crate) supply: Supply,
    pub(crate) offer: Offer,
    pub(crate) lasts: Duration,
    pub(crate) into: Target,
    /// The protocol towards the destination.
    pub(crate) transport: Transport,
    /// Whether what goes there is compressed.
    pub(crate) gzip: bool,
    pub(crate) cores: Cores,
    /// The relay's policies, where they differ from what the work asks for.
    pub(crate) policies: Option<String>,
}

/// Where the spans go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Sink(Behaviour),
    /// Jaeger, frozen for so long in the middle of the load.
    Jaeger {
        frozen: Duration,
    },
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    /// User and system time of the subject from the load's first request until everything was delivered, by the spans that
    /// it acknowledged. What it only puts into a queue in the meantime costs later, and belongs to the span.
    pub(crate) cpu_us_per_span: f64,
    /// The same without what was done after the last answer.
    pub(crate) cpu_us_per_span_until_answered: f64,
    pub(crate) acknowledged_per_s: f64,
    pub(crate) delivered_per_s: f64,
    /// Acknowledged, not sampled out, and never delivered; none where the subject does not say what it sampled out, or
    /// was still delivering when nobody waited any longer.
    /// Below zero, something was delivered twice, or after its client had given up.
    pub(crate) never_delivered: Option<i64>,
    pub(crate) refused: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    pub(crate) rss_mib: f64,
    /// The subject's share of a core.
    pub(crate) subject_share: f64,
    /// This process' share of its core, with load and sink.
    pub(crate) load_share: f64,
    /// What everything else on the machine took, in cores: a destination that is a process of its own, and noise.
    pub(crate) others_share: f64,
    /// What the host of a virtual machine gave to others, in cores.
    pub(crate) stolen_share: f64,
    /// Threads of the subject that gave up their core to wait, by 1000 spans.
    pub(crate) waits_per_1000_spans: f64,
    /// Time that threads of the subject waited for a core, in µs by span.
    pub(crate) queued_us_per_span: f64,
    pub(crate) dropped_by_jaeger: Option<u64>,
}

#[derive(Debug)]
enum Destination {
    Sink(Sink),
    Jaeger(Jaeger),
}

/// The measured time.
#[derive(Debug)]
struct Window {
    seconds: f64,
    subject: Used,
    load: Used,
    machine: Machine,
    delivered: u64,
    answers: Answers,
}

impl Trial {
    /// Runs it once.
    pub(crate) async fn run(&self, subject: Subject) -> io::Result<Figures> {
        let folder = folder()?;
        let destination = Destination::start(self.into, self.transport, &folder).await?;
        let setup = Setup {
            work: self.work,
            destination: destination.address(),
            transport: self.transport,
            gzip: self.gzip,
            cores: self.cores,
            policies: self.policies.clone(),
        };
        let running = subject.start(&setup, &folder)?;
        let to = running.listens(self.supply.transport);
        let mut load = Load::connect(to, &self.supply, self.offer).await?;
        let warm_up = load.run(WARM_UP).await;
        // What the warm-up left under way would count for the spans that are measured.
        self.undelivered(warm_up.accepted, &running, &destination)
            .await;
        let before = running.process.used();
        let mut window = self.measure(&mut load, &running, &destination).await;
        window.answers.refused += warm_up.refused;
        let acknowledged = warm_up.accepted + window.answers.accepted;
        let undelivered = self.undelivered(acknowledged, &running, &destination).await;
        let cpu = (running.process.used() - before).cpu;
        let figures = figures(window, &running, &destination, cpu, undelivered);
        // An open connection would have a relay wait for more.
        drop(load);
        running.stop().await?;
        Ok(figures)
    }

    async fn measure(
        &self,
        load: &mut Load,
        running: &Running,
        destination: &Destination,
    ) -> Window {
        let delivered = destination.delivered();
        let (subject, own) = (running.process.used(), used_by_this_process());
        let all = machine();
        let start = Instant::now();
        let (answers, ()) = tokio::join!(load.run(self.lasts), self.disturb(destination));
        Window {
            seconds: start.elapsed().as_secs_f64(),
            subject: running.process.used() - subject,
            load: used_by_this_process() - own,
            machine: machine() - all,
            delivered: destination.delivered() - delivered,
            answers,
        }
    }

    /// Freezes Jaeger in the middle of the load, where that is asked for.
    async fn disturb(&self, destination: &Destination) {
        if let (Target::Jaeger { frozen }, Destination::Jaeger(jaeger)) = (self.into, destination)
            && !frozen.is_zero()
        {
            sleep(self.lasts.saturating_sub(frozen) / 2).await;
            jaeger.freeze();
            sleep(frozen).await;
            jaeger.thaw();
        }
    }

    /// Waits until everything came that is still to come; says how much did not.
    async fn undelivered(
        &self,
        acknowledged: u64,
        running: &Running,
        destination: &Destination,
    ) -> Option<i64> {
        let sampled_out = match self.work {
            Work::Enrich => Some(0),
            Work::TenPercent => running.sampled_out(),
        };
        let missing = |delivered: u64| {
            Some(acknowledged.cast_signed() - sampled_out?.cast_signed() - delivered.cast_signed())
        };
        let quiet = match self.into {
            Target::Sink(Behaviour::Count) => QUIET,
            _ => QUIET_BETWEEN_RETRIES,
        };
        let start = Instant::now();
        let (mut last, mut since) = (destination.delivered(), start);
        while missing(last).is_none_or(|missing| missing > 0)
            && since.elapsed() < quiet
            && start.elapsed() < DELIVERED_WITHIN
        {
            sleep(LOOK).await;
            let now = destination.delivered();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        let still_coming = since.elapsed() < quiet;
        missing(last).filter(|missing| *missing <= 0 || !still_coming)
    }
}

/// Configurations and logs of the last trial; they stay.
fn folder() -> io::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compare");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn figures(
    window: Window,
    running: &Running,
    destination: &Destination,
    cpu: Duration,
    never_delivered: Option<i64>,
) -> Figures {
    let accepted = window.answers.accepted.max(1) as f64;
    let times = window.answers.times.quantiles();
    let microseconds = |time: Duration| time.as_secs_f64() * 1e6;
    let known = window.subject.cpu + window.load.cpu;
    let others = window.machine.used.saturating_sub(known);
    Figures {
        cpu_us_per_span: microseconds(cpu) / accepted,
        cpu_us_per_span_until_answered: microseconds(window.subject.cpu) / accepted,
        acknowledged_per_s: accepted / window.seconds,
        delivered_per_s: window.delivered as f64 / window.seconds,
        never_delivered,
        refused: window.answers.refused,
        p50_ms: times.p50_ms,
        p99_ms: times.p99_ms,
        max_ms: times.max_ms,
        rss_mib: running.process.rss_high_water_mib(),
        subject_share: window.subject.cpu.as_secs_f64() / window.seconds,
        load_share: window.load.cpu.as_secs_f64() / window.seconds,
        others_share: others.as_secs_f64() / window.seconds,
        stolen_share: window.machine.stolen.as_secs_f64() / window.seconds,
        waits_per_1000_spans: window.subject.waits as f64 * 1e3 / accepted,
        queued_us_per_span: microseconds(window.subject.queued) / accepted,
        dropped_by_jaeger: match destination {
            Destination::Sink(_) => None,
            Destination::Jaeger(jaeger) => Some(jaeger.dropped()),
        },
    }
}

// === impl Figures ===

impl Figures {
    /// Whether the load, and not the subject, was what limited the rate.
    pub(crate) fn load_bound(&self) -> bool {
        self.load_share > BUSY && self.subject_share < BUSY
    }
}

// === impl Destination ===

impl Destination {
    async fn start(into: Target, transport: Transport, folder: &Path) -> io::Result<Self> {
        Ok(match into {
            Target::Sink(behaviour) => Self::Sink(Sink::start(behaviour, transport).await),
            Target::Jaeger { .. } => Self::Jaeger(Jaeger::start(folder)?),
        })
    }

    fn address(&self) -> std::net::SocketAddr {
        match self {
            Self::Sink(sink) => sink.address(),
            Self::Jaeger(jaeger) => jaeger.otlp(),
        }
    }

    fn delivered(&self) -> u64 {
        match self {
            Self::Sink(sink) => sink.spans(),
            Self::Jaeger(jaeger) => jaeger.received(),
        }
    }
}
