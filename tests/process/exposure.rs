//! What a start without a configuration exposes, and what an admin port without a token allows (acceptance case A19).

use std::fs;

use crate::{relay::Launch, support::client::http};

/// The addresses that a process of this id listens on, as /proc has them: a line each of the network namespace, in hexadecimal.
fn listening(ports: &[u16]) -> Vec<String> {
    const LISTEN: &str = "0A";
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = fs::read_to_string(table).unwrap_or_default();
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (address, port) = fields[1].split_once(':').unwrap();
            let port = u16::from_str_radix(port, 16).unwrap();
            if fields[3] == LISTEN && ports.contains(&port) {
                found.push(address.to_owned());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a19_bare_ports_are_bound_to_loopback_and_a_wide_admin_port_changes_nothing() {
    const LOOPBACK: &str = "0100007F";
    let relay = Launch::new("exposure", "# all defaults\n")
        .bare_ports()
        .start()
        .await;
    let ports = [relay.grpc(), relay.http(), relay.admin()].map(|address| address.port());
    assert_eq!(listening(&ports), [LOOPBACK; 3]);
    assert!(relay.stop().await.status.success());

    let relay = Launch::new("exposure-admin", "# all defaults\n")
        .wide_admin()
        .start()
        .await;
    let admin = relay.admin();
    assert_eq!(listening(&[admin.port()]), ["00000000"]);
    for (line, status) in [
        ("GET /metrics", 200),
        ("GET /api/v1/ledger", 200),
        ("POST /api/v1/reload", 403),
    ] {
        let head = format!("{line} HTTP/1.1\r\nhost: {admin}\r\ncontent-length: 0\r\n\r\n");
        let answer = http(admin, &head, b"").await;
        assert_eq!(answer.status, status, "{line}");
    }
    let ended = relay.stop().await;
    let warned = ended
        .log
        .lines()
        .any(|line| line.contains("WARN") && line.contains("token_file"));
    assert!(warned, "{}", ended.log);
}
