//! A whole relay within the test's process: real sockets on free ports, a configuration from files that exist only here.
//!
//! Invariant: a relay that was started is stopped by [`RelayUnderTest::stop`], which holds the ledger to its equations.

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use otlp_relay::{
    config::{self, Config, Invalid, Log, Surroundings},
    exporter::Resolver,
    metrics::{DestinationTotals, Totals},
    relay::{Addresses, Ended, Handle, Relay, ReloadError},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Nothing in a test takes longer.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The configuration file and the policy file, as `sampling.policy_file` may name it.
const CONFIG: &str = "relay.yaml";
const POLICIES: &str = "policies.yaml";

/// Listeners on free ports, by the environment, so that a test's file holds only what the test is about.
const LISTENERS: [&str; 3] = [
    "OTLP_RELAY__RECEIVERS__GRPC__LISTEN",
    "OTLP_RELAY__RECEIVERS__HTTP__LISTEN",
    "OTLP_RELAY__ADMIN__LISTEN",
];

/// Waits as short as a test over sockets wants them.
const QUICK_BATCH: &str = "batch: { delay: 5ms }\n";
const QUICK_RETRY: &str = "retry: { first: 20ms, max: 60ms }";

/// A relay at work.
#[derive(Debug)]
pub struct RelayUnderTest {
    addresses: Addresses,
    handle: Handle,
    world: World,
    log: Arc<Mutex<Log>>,
    stop: CancellationToken,
    running: JoinSet<io::Result<Ended>>,
}

/// What a relay sees of files and environment.
#[derive(Clone, Debug)]
struct World {
    folder: PathBuf,
    contents: Arc<Mutex<Contents>>,
    /// Whether the files are on the disk too, where the relay watches them.
    on_disk: bool,
}

#[derive(Debug, Default)]
struct Contents {
    files: BTreeMap<PathBuf, String>,
    environment: BTreeMap<String, String>,
}

/// A configuration in parts: whatever the test says, and destinations that are quick.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    settings: String,
    destinations: String,
    policies: Option<String>,
}

// === impl Setup ===

impl Setup {
    /// No destination, and batches that do not wait.
    pub fn quick() -> Self {
        Self::default().settings(QUICK_BATCH)
    }

    /// One destination, and batches that do not wait.
    pub fn to(endpoint: &str) -> Self {
        Self::quick().destination("jaeger", endpoint, "")
    }

    /// More lines at the top level.
    pub fn settings(mut self, lines: &str) -> Self {
        self.settings.push_str(lines);
        self
    }

    /// One more destination; `more` are settings of it, each with a comma before it.
    pub fn destination(mut self, name: &str, endpoint: &str, more: &str) -> Self {
        self.destinations +=
            &format!("  {name}: {{ endpoint: {endpoint}, {QUICK_RETRY}{more} }}\n");
        self
    }

    /// A policy file.
    pub fn policies(mut self, policies: &str) -> Self {
        self.policies = Some(policies.to_owned());
        self
    }

    /// The configuration file.
    pub fn yaml(&self) -> String {
        let mut yaml = self.settings.clone();
        if !self.destinations.is_empty() {
            yaml += &format!("destinations:\n{}", self.destinations);
        }
        if self.policies.is_some() {
            yaml += &format!("sampling: {{ policy_file: {POLICIES} }}\n");
        }
        yaml
    }

    /// Starts it.
    pub fn start(&self) -> RelayUnderTest {
        self.start_in(World::new(PathBuf::new(), false))
    }

    /// Starts it on files in a new folder of this name that the relay can watch.
    pub fn start_on_disk(&self, name: &str) -> RelayUnderTest {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).unwrap();
        self.start_in(World::new(folder, true))
    }

    fn start_in(&self, world: World) -> RelayUnderTest {
        world.write(CONFIG, &self.yaml());
        if let Some(policies) = &self.policies {
            world.write(POLICIES, policies);
        }
        RelayUnderTest::start(world)
    }
}

// === impl RelayUnderTest ===

impl RelayUnderTest {
    fn start(world: World) -> Self {
        let config = world.load().unwrap_or_else(|invalid| panic!("{invalid}"));
        let load = {
            let world = world.clone();
            Box::new(move || world.load())
        };
        let log = Arc::new(Mutex::new(config.log));
        let set_log = {
            let log = Arc::clone(&log);
            Box::new(move |new| *log.lock().unwrap() = new)
        };
        let relay = Relay::bind(config, load, set_log, Resolver::System).unwrap();
        let stop = CancellationToken::new();
        let (addresses, handle) = (relay.addresses(), relay.handle());
        let mut running = JoinSet::new();
        running.spawn(relay.run(stop.clone()));
        Self {
            addresses,
            handle,
            world,
            log,
            stop,
            running,
        }
    }

    /// Where it expects OTLP/gRPC.
    pub fn grpc(&self) -> SocketAddr {
        self.addresses.grpc.unwrap()
    }

    /// Where it expects OTLP/HTTP.
    pub fn http(&self) -> SocketAddr {
        self.addresses.http.unwrap()
    }

    /// Where its admin API is.
    pub fn admin(&self) -> SocketAddr {
        self.addresses.admin
    }

    /// Its books and controls.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Its books.
    pub fn totals(&self) -> Totals {
        self.handle.totals()
    }

    /// How it would have its log written.
    pub fn log(&self) -> Log {
        *self.log.lock().unwrap()
    }

    /// The account of a destination.
    pub fn account(&self, destination: &str) -> DestinationTotals {
        self.totals().destinations[destination].clone()
    }

    /// Changes the policy file, and nothing else: a reload puts it in force.
    pub fn write_policies(&self, policies: &str) {
        self.world.write(POLICIES, policies);
    }

    /// Changes the configuration file, and nothing else.
    pub fn write_config(&self, setup: &Setup) {
        self.world.write(CONFIG, &setup.yaml());
    }

    /// Changes another file that the configuration names, and nothing else.
    pub fn write_file(&self, name: &str, text: &str) {
        self.world.write(name, text);
    }

    /// Changes a variable of the environment, and nothing else.
    pub fn set_variable(&self, name: &str, value: &str) {
        let mut contents = self.world.contents.lock().unwrap();
        contents.environment.insert(name.into(), value.into());
    }

    /// Changes the policies and puts them in force.
    pub fn edit(&self, policies: &str) -> Result<u64, ReloadError> {
        self.write_policies(policies);
        self.handle.reload()
    }

    /// Waits until a condition holds that nobody signals.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            let totals = self.totals();
            assert!(
                Instant::now() < deadline,
                "in vain until {what}: {totals:?}"
            );
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until no destination holds anything.
    pub async fn until_settled(&self) {
        self.until("everything is settled", |relay| held(&relay.totals()) == 0)
            .await;
    }

    /// Tells it to stop without waiting for it.
    pub fn begin_stop(&self) {
        self.stop.cancel();
    }

    /// Stops it: the ledger balances, every span has its fate, and every byte of the budget is back.
    pub async fn stop(mut self) -> Ended {
        self.stop.cancel();
        let ended = timeout(PATIENCE, self.running.join_next()).await;
        let ended = ended.expect("it stops in time").unwrap().unwrap().unwrap();
        assert_balanced(&ended.totals);
        assert_eq!(
            held(&ended.totals),
            0,
            "spans without a fate: {:?}",
            ended.totals
        );
        assert_eq!(
            self.handle.budget().used_total(),
            0,
            "bytes that nobody holds"
        );
        ended
    }
}

impl Drop for RelayUnderTest {
    fn drop(&mut self) {
        let stopped = self.running.is_empty();
        assert!(
            stopped || thread::panicking(),
            "a test ends with `stop`, which checks the ledger"
        );
    }
}

/// Panics unless every equation of the ledger holds: those it knows itself, and that the transports add up to the whole.
pub fn assert_balanced(totals: &Totals) {
    assert_eq!(totals.imbalance(), None, "{totals:?}");
    let of_transports = totals.transports.values().fold((0, 0, 0), |sum, one| {
        (
            sum.0 + one.accepted,
            sum.1 + one.refused,
            sum.2 + one.rejected,
        )
    });
    let of_all = (totals.accepted, totals.refused, totals.rejected);
    assert_eq!(of_transports, of_all, "the transports differ: {totals:?}");
}

fn held(totals: &Totals) -> u64 {
    let accounts = totals.destinations.values();
    accounts.map(|account| account.held).sum()
}

// === impl World ===

impl World {
    fn new(folder: PathBuf, on_disk: bool) -> Self {
        let listeners = LISTENERS.map(|name| (name.to_owned(), "127.0.0.1:0".to_owned()));
        let contents = Contents {
            environment: listeners.into(),
            ..Contents::default()
        };
        Self {
            folder,
            contents: Arc::new(Mutex::new(contents)),
            on_disk,
        }
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.folder.join(file);
        let mut contents = self.contents.lock().unwrap();
        contents.files.insert(path.clone(), text.to_owned());
        if self.on_disk {
            // At once, as editors do.
            let new = path.with_extension("new");
            fs::write(&new, text).unwrap();
            fs::rename(&new, &path).unwrap();
        }
    }

    fn load(&self) -> Result<Config, Invalid> {
        let contents = self.contents.lock().unwrap();
        let read = |path: &Path| match contents.files.get(path) {
            Some(text) => Ok(text.clone().into_bytes()),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let around = Surroundings::new(contents.environment.clone(), &read);
        config::load(Some(&self.folder.join(CONFIG)), &around)
    }
}
