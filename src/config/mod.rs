//! The configuration: defaults, file and environment merged, validated as a whole, handed to each stage as its options.
//!
//! Only this room reads files and the environment, and only through [`Surroundings`]: loading the same files with the
//! same environment gives the same answer, at the start and at every reload. All mistakes are reported at once.

pub mod collector;
mod cors;
mod destination;
mod endpoint;
mod files;
mod foreign;
mod headers;
mod kinds;
mod listen;
mod memory;
mod merge;
mod otel;
mod print;
mod schema;
mod settings;
mod sources;
mod variables;

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    admin,
    document::{Findings, Node, Severity, Value},
    enrichment::Enricher,
    exporter,
    metrics::CollectorNames,
    receiver,
    sampling::{Randomness, Sampler},
    store,
};

pub use endpoint::host_and_port;
pub use foreign::{Foreign, foreign};
pub use listen::LISTEN_HOST_VARIABLE;
pub use schema::{Key, Kind, Preset, keys};
pub use sources::{Surroundings, USUAL_FILES, fingerprint_of};

use files::Files;
use listen::ListenHost;
use settings::{Setting, Settings};
use sources::EDITS;

/// A valid configuration. Its `Debug` shows no secret.
pub struct Config {
    /// What the receivers are told.
    pub receivers: receiver::Options,
    /// The bytes of telemetry the process may hold.
    pub budget_bytes: usize,
    /// The policies, compiled.
    pub sampler: Arc<Sampler>,
    /// The edits, compiled.
    pub enricher: Arc<Enricher>,
    /// The destinations in the order of the file; without any the embedded store is the only one.
    pub destinations: Vec<exporter::Options>,
    /// What the admin server is told.
    pub admin: admin::Options,
    /// What the embedded trace store is told.
    pub store: store::Options,
    /// How long the queues may take to drain at shutdown.
    pub shutdown_deadline: Duration,
    /// How the Collector's metric names are spelled.
    pub collector_names: CollectorNames,
    /// How log lines are written.
    pub log: Log,
    /// The configuration file; `None`: built-in defaults.
    pub file: Option<PathBuf>,
    /// The files whose content decides: when one changes, the configuration is loaded again.
    pub watched: Watched,
    /// What is worth a line although it stops nothing.
    pub warnings: Findings,
    settings: Settings,
}

/// Files with the [`fingerprint`] of each as it was read; none for a file that could not be read.
pub type Watched = BTreeMap<PathBuf, Option<u64>>;

/// A configuration that cannot come into force.
#[derive(Debug)]
pub struct Invalid {
    /// Everything that was found, at least one mistake among it.
    pub findings: Findings,
    /// The files that were looked at: a change of one of them may mend it.
    pub watched: Watched,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// As what.
    pub format: LogFormat,
    /// From which level on.
    pub level: tracing::Level,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Loads `file`, or the first of [`USUAL_FILES`] that exists, or the built-in defaults, with the environment over it.
pub fn load(file: Option<&Path>, around: &Surroundings<'_>) -> Result<Config, Invalid> {
    let mut findings = Findings::default();
    let mut watched = Watched::new();
    let config = read(file, around, &mut watched, &mut findings);
    findings.sort();
    one_mistake_a_key(&mut findings);
    match config {
        Some(mut config) if !findings.any_mistake() => {
            config.watched = watched;
            config.warnings = findings;
            Ok(config)
        }
        _ => {
            debug_assert!(findings.any_mistake(), "what is missing has been reported");
            Err(Invalid { findings, watched })
        }
    }
}

/// Where the admin port of a relay with this configuration is, as far as it can be told: a relay at work keeps its last good
/// configuration, so whoever asks it how it is passes over other mistakes. `None`: the key itself is wrong.
pub fn admin_listen(file: Option<&Path>, around: &Surroundings<'_>) -> Option<SocketAddr> {
    let (mut watched, mut findings) = (Watched::new(), Findings::default());
    let written = sources::read_configuration(file, around, &mut watched, &mut findings);
    let root = written.unwrap_or_default().root;
    let settings = settings(root, around, &mut findings);
    settings.listen("admin.listen")?.0
}

/// The first mistake about a key at a place is the cause; what else is said of it there follows from it.
fn one_mistake_a_key(findings: &mut Findings) {
    let mut seen = HashSet::new();
    findings.0.retain(|finding| {
        finding.severity == Severity::Warning
            || finding.key.is_empty()
            || seen.insert((finding.place.clone(), finding.key.clone()))
    });
}

/// Tells the content of a file from any other, within this process.
pub fn fingerprint(content: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

/// What is built once and stays. Every other key changes with a reload.
const FIXED: [&str; 5] = [
    "receivers.grpc.listen",
    "receivers.http.listen",
    "budget.bytes",
    "admin.listen",
    "metrics.collector_names",
];

/// What a reload cannot change: mistakes that say "needs a restart".
pub fn restart_needed(old: &Config, new: &Config) -> Findings {
    let mut findings = Findings::default();
    for path in FIXED {
        if old.settings.get(path) != new.settings.get(path) {
            let message = "changed, which needs a restart";
            findings.mistake(&new.settings.place(path), path, message);
        }
    }
    findings
}

impl Config {
    /// The bytes that the queue of one destination holds at most.
    pub fn queue_bytes_max(&self) -> usize {
        self.settings
            .bytes("queue.bytes_max")
            .expect("a valid configuration has worked `auto` out")
    }

    /// What `budget.bytes: auto` came to, if that is what was written.
    pub fn budget_auto(&self) -> Option<usize> {
        self.settings.budget_is_auto.then_some(self.budget_bytes)
    }

    /// The key of the relay's own listener that takes connections to `address`, if one does.
    pub fn own_listener(
        &self,
        address: SocketAddr,
        around: &Surroundings<'_>,
    ) -> Option<&'static str> {
        listen::own_at(&self.settings, around, address)
    }

    /// The configuration in force as YAML: every default filled in, secrets masked, edits with their references to the
    /// environment. It loads again to the same.
    pub fn to_yaml(&self) -> String {
        print::print(&self.settings)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.findings.fmt(f)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("file", &self.file)
            .field("settings", &self.to_yaml())
            .finish_non_exhaustive()
    }
}

/// Every part is read before any is missed, so that all their mistakes are reported.
fn read(
    named: Option<&Path>,
    around: &Surroundings<'_>,
    watched: &mut Watched,
    findings: &mut Findings,
) -> Option<Config> {
    let written = sources::read_configuration(named, around, watched, findings)?;
    let mut settings = settings(written.root, around, findings);
    memory::check(&mut settings, around, findings);
    listen::check(&settings, around, findings);
    let mut files = Files::new(around, written.path.as_deref(), watched);
    let destinations = destination::Reading {
        settings: &mut settings,
        around,
        files: &mut files,
        findings,
    }
    .all();
    let sampler = sampler(&settings, around, &mut files, findings);
    let enricher = enricher(&settings, around, &mut files, findings);
    let admin = admin(&settings, &mut files, findings);
    let store = store(&settings, findings);
    let receivers = receivers(&settings, findings);
    Some(Config {
        receivers: receivers?,
        budget_bytes: settings.bytes("budget.bytes")?,
        sampler: Arc::new(sampler?),
        enricher: Arc::new(enricher?),
        destinations: destinations?,
        admin: admin?,
        store: store?,
        shutdown_deadline: settings.duration("shutdown.deadline")?,
        collector_names: collector_names(&settings)?,
        log: log(&settings)?,
        file: written.path,
        watched: Watched::new(),
        warnings: Findings::default(),
        settings,
    })
}

/// Every key by itself.
fn settings(root: Node, around: &Surroundings<'_>, findings: &mut Findings) -> Settings {
    let tree = merge::merge(root, around, findings);
    let host = ListenHost::read(around, findings);
    Settings::read(&tree, &host, findings)
}

fn receivers(settings: &Settings, findings: &mut Findings) -> Option<receiver::Options> {
    Some(receiver::Options {
        grpc_listen: settings.listen("receivers.grpc.listen")?.0,
        http_listen: settings.listen("receivers.http.listen")?.0,
        cors_allowed_origins: cors::origins(settings, findings)?,
        request_bytes_max: settings.bytes("receivers.request_bytes_max")?,
        connections_max: settings.integer("receivers.connections_max")?,
        streams_max: settings.integer("receivers.streams_max")?,
        requests_max: settings.integer("receivers.requests_max")?,
        header_timeout: settings.duration("receivers.header_timeout")?,
        body_timeout: settings.duration("receivers.body_timeout")?,
        idle_timeout: settings.duration("receivers.idle_timeout")?,
        wait_max: settings.duration("queue.wait_max")?,
        shutdown_deadline: settings.duration("shutdown.deadline")?,
    })
}

fn admin(
    settings: &Settings,
    files: &mut Files<'_>,
    findings: &mut Findings,
) -> Option<admin::Options> {
    let token = files.optional(settings, "admin.token_file", findings, Files::secret_text)?;
    Some(admin::Options {
        listen: settings.listen("admin.listen")?.0?,
        allowed_hosts: settings.texts("admin.allowed_hosts")?.to_vec(),
        token: token.0,
    })
}

fn store(settings: &Settings, findings: &mut Findings) -> Option<store::Options> {
    let path = "store.bytes_max";
    let bytes_max = settings.bytes(path)?;
    if bytes_max == 0 && settings.destinations.is_empty() {
        let message = "0 turns the embedded trace store off, and it is the only destination; \
            name a destination, or give the store some bytes";
        findings.mistake(&settings.place(path), path, message);
    }
    Some(store::Options { bytes_max })
}

/// The policies of the policy file, compiled; without one everything is kept.
fn sampler(
    settings: &Settings,
    around: &Surroundings<'_>,
    files: &mut Files<'_>,
    findings: &mut Findings,
) -> Option<Sampler> {
    let randomness = match settings.text("sampling.randomness") {
        Some("hash") => Randomness::Hash,
        _ => Randomness::Auto,
    };
    let hash_seed = settings.integer("sampling.hash_seed").unwrap_or_default();
    let document = |files: &mut Files<'_>, named: files::Named<'_>, findings: &mut Findings| {
        let bytes = files.read(named, findings)?;
        let mut root = sources::read_document(&files.locate(named.path), bytes, findings)?;
        sources::expand(&mut root, "", around, findings);
        Some(root)
    };
    let root = files.optional(settings, "sampling.policy_file", findings, document)?;
    Some(match root.0 {
        Some(root) => Sampler::read(&root, randomness, hash_seed, findings),
        None => Sampler::keep_all(randomness, hash_seed),
    })
}

/// The edits, compiled.
fn enricher(
    settings: &Settings,
    around: &Surroundings<'_>,
    files: &mut Files<'_>,
    findings: &mut Findings,
) -> Option<Enricher> {
    let key = "enrichment_hash_key_file";
    let hash_key = files.optional(settings, key, findings, Files::secret);
    let Setting::Edits(written) = settings.get(EDITS)? else {
        return None;
    };
    let mut edits = written.clone();
    sources::expand(&mut edits, EDITS, around, findings);
    if edits.value == Value::Null {
        // `enrichment:` and nothing below it: everything there is a comment.
        edits.value = Value::List(Vec::new());
    }
    // A key file that cannot be read has been reported; the edits are not to say the same again.
    let unread = hash_key.is_none().then_some(&b"unread"[..]);
    let hash_key = hash_key.and_then(|key| key.0);
    Some(Enricher::read(
        &edits,
        EDITS,
        hash_key.as_deref().or(unread),
        findings,
    ))
}

fn collector_names(settings: &Settings) -> Option<CollectorNames> {
    Some(match settings.text("metrics.collector_names")? {
        "plain" => CollectorNames::Plain,
        "both" => CollectorNames::Both,
        "off" => CollectorNames::Off,
        _ => CollectorNames::Total,
    })
}

fn log(settings: &Settings) -> Option<Log> {
    let format = match settings.text("log.format")? {
        "json" => LogFormat::Json,
        _ => LogFormat::Text,
    };
    let level = settings.text("log.level")?.parse().ok()?;
    Some(Log { format, level })
}

#[cfg(test)]
mod tests;
