//! The relay as a process of its own: started from its release binary, pinned to a core, measured through /proc.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// The CPU time unit of /proc: a hundredth of a second on Linux everywhere.
const TICK: Duration = Duration::from_millis(10);

/// A running relay.
pub(crate) struct Relay {
    child: Child,
    folder: PathBuf,
    pub(crate) grpc: SocketAddr,
}

/// Moves this process to a core; where `taskset` is missing, the scheduler decides.
pub(crate) fn pin_this_process(core: usize) {
    let pid = std::process::id().to_string();
    drop(
        Command::new("taskset")
            .args(["-apc", &core.to_string(), &pid])
            .output(),
    );
}

impl Relay {
    /// Starts it on core 0 with this configuration, ports added.
    pub(crate) async fn start(configuration: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("otlp-relay-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let [grpc, admin] = free_ports();
        fs::write(
            folder.join("ten_percent.yaml"),
            "default: { sample_fraction: 0.1 }\n",
        )
        .unwrap();
        let ports = format!(
            "receivers: {{ grpc: {{ listen: \"{grpc}\" }}, http: {{ listen: off }} }}\nadmin: {{ listen: \"{admin}\" }}\nlog: {{ level: warn }}\n"
        );
        let file = folder.join("relay.yaml");
        fs::write(&file, ports + configuration).unwrap();
        let binary = env!("CARGO_BIN_EXE_otlp-relay");
        let child = Command::new("taskset")
            .args(["-c", "0", binary, "run", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .expect("taskset, of util-linux, pins the relay to a core");
        let relay = Self {
            child,
            folder,
            grpc,
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while tokio::net::TcpStream::connect(grpc).await.is_err() {
            assert!(Instant::now() < deadline, "the relay does not listen");
            sleep(Duration::from_millis(10)).await;
        }
        relay
    }

    /// User and system time so far.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let after_name = stat.rsplit_once(") ").unwrap().1;
        let ticks =
            |field: usize| -> u32 { after_name.split(' ').nth(field).unwrap().parse().unwrap() };
        TICK * (ticks(11) + ticks(12))
    }

    /// The most memory it had at any time.
    pub(crate) fn rss_high_water_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024.0
    }

    /// Ends it.
    pub(crate) async fn stop(mut self) {
        drop(
            Command::new("kill")
                .arg(self.child.id().to_string())
                .status(),
        );
        let deadline = Instant::now() + Duration::from_secs(12);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the relay does not stop");
            sleep(Duration::from_millis(20)).await;
        }
        drop(fs::remove_dir_all(&self.folder));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_ports() -> [SocketAddr; 2] {
    let sockets = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    sockets.map(|socket| socket.local_addr().unwrap())
}
