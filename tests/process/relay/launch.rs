//! How a relay's process is started: its folder, its configuration, its listeners, its limits.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::Relay;
use crate::ports::free_address;

/// How a relay is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Launch {
    name: String,
    settings: String,
    descriptors_max: Option<u32>,
    ports: Ports,
    environment: Vec<(String, String)>,
    /// What its admin port wants to be told, if anything.
    pub(super) admin_token: Option<String>,
}

/// How the listeners are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ports {
    /// With their address.
    #[default]
    Addressed,
    /// The number alone.
    Bare,
    /// The admin port on every address.
    WideAdmin,
}

// === impl Launch ===

impl Launch {
    /// With these lines in its configuration file, in a folder of this name.
    pub(crate) fn new(name: &str, settings: &str) -> Self {
        Self {
            name: name.to_owned(),
            settings: settings.to_owned(),
            ..Self::default()
        }
    }

    /// It may open so many files and sockets.
    pub(crate) fn descriptors_max(mut self, count: u32) -> Self {
        self.descriptors_max = Some(count);
        self
    }

    /// Its listeners are given as ports alone.
    pub(crate) fn bare_ports(mut self) -> Self {
        self.ports = Ports::Bare;
        self
    }

    /// Its admin port listens on every address.
    pub(crate) fn wide_admin(mut self) -> Self {
        self.ports = Ports::WideAdmin;
        self
    }

    /// With this variable in its environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Its admin port wants this token, as its settings say.
    pub(crate) fn admin_token(mut self, token: &str) -> Self {
        self.admin_token = Some(token.to_owned());
        self
    }

    /// The folder of its files, which stays after the run. It exists from now on.
    pub(crate) fn folder(&self) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("process")
            .join(&self.name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Starts it, and waits until it is ready.
    pub(crate) async fn start(self) -> Relay {
        let folder = self.folder();
        let [grpc, http, admin] = [free_address(), free_address(), free_address()];
        drop(fs::remove_file(folder.join("log")));
        let child = self.spawn(&folder, [grpc, http, admin]);
        let mut relay = Relay {
            launch: self,
            folder,
            child,
            grpc,
            http,
            admin,
        };
        relay.until_ready().await;
        relay
    }

    pub(super) fn spawn(&self, folder: &Path, [grpc, http, admin]: [SocketAddr; 3]) -> Child {
        let file = folder.join("otlp-relay.yaml");
        fs::write(&file, &self.settings).unwrap();
        let log = File::options()
            .create(true)
            .append(true)
            .open(folder.join("log"))
            .unwrap();
        let mut command = match self.descriptors_max {
            None => Command::new(program()),
            Some(count) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {count}; exec \"$0\" \"$@\"")]);
                shell.arg(program());
                shell
            }
        };
        let given = |address: SocketAddr| match self.ports {
            Ports::Bare => address.port().to_string(),
            _ => address.to_string(),
        };
        let wide = self.ports == Ports::WideAdmin;
        let admin = if wide {
            format!("0.0.0.0:{}", admin.port())
        } else {
            given(admin)
        };
        command
            .args(["run", "--config"])
            .arg(file)
            .env_clear() // nothing that the machine's own variables say
            .env("OTLP_RELAY__RECEIVERS__GRPC__LISTEN", given(grpc))
            .env("OTLP_RELAY__RECEIVERS__HTTP__LISTEN", given(http))
            .env("OTLP_RELAY__ADMIN__LISTEN", admin)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }
}

/// What `tests/long/run` has built as users get it, or what cargo has built for the tests.
fn program() -> PathBuf {
    std::env::var_os("OTLP_RELAY_PROGRAM")
        .map_or_else(|| env!("CARGO_BIN_EXE_otlp-relay").into(), PathBuf::from)
}
