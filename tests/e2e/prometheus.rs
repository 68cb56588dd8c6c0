//! A real Prometheus scrapes the relay under load, and its `promtool` finds no fault with the page (acceptance case A92).

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{
    http::Http,
    load::Load,
    parts::{Process, eventually, installed},
    ports::free_address,
    stage::{KEEP_ALL, Stage},
};

/// In spans a second.
const RATE: u64 = 2_000;
/// Spans before the scrapes are looked at: ten seconds of load, and ten scrapes.
const SPANS: u64 = 10 * RATE;
/// Prometheus starts and scrapes within seconds; a machine with other work to do gets time.
const SCRAPED_MAX: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a92_prometheus_scrapes_under_load_and_promtool_finds_no_fault() {
    let stage = Stage::start("prometheus", KEEP_ALL).await;
    let (own, relay) = (free_address(), stage.relay.admin());
    let configuration = format!(
        "global: {{ scrape_interval: 1s }}
scrape_configs:
  - job_name: otlp-relay
    static_configs: [{{ targets: [\"{relay}\"] }}]
"
    );
    let file = stage.folder.join("prometheus.yml");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new(installed("prometheus/prometheus"));
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--web.listen-address={own}"))
        .arg(format!(
            "--storage.tsdb.path={}",
            stage.folder.join("tsdb").display()
        ));
    let mut prometheus = Process::start("prometheus", &stage.folder, &mut command);
    let mut load = Load::start(stage.relay.grpc(), RATE);
    load.acknowledged(SPANS).await;

    let api = Http::new(own);
    // The value of an expression, once there is one.
    let value = async |expression: &str| {
        eventually(expression, SCRAPED_MAX, async || {
            let path = format!("/api/v1/query?query={expression}");
            let (_, body) = api.get(&path).await?;
            let answer: Value = serde_json::from_slice(&body).ok()?;
            let value = answer["data"]["result"][0]["value"][1].as_str()?;
            value.parse::<f64>().ok()
        })
        .await
    };
    assert!(
        (value("min(min_over_time(up[10s]))").await - 1.0).abs() < 0.5,
        "every scrape succeeded"
    );
    assert!(value("scrape_samples_scraped").await > 50.0);
    // Grows all the time, and so has a rate that is the load's.
    let resets = value("sum(resets(otelcol_receiver_accepted_spans_total[1m]))").await;
    assert!(resets < 0.5, "{resets} times a counter went back");
    lint(&stage.folder, relay).await;

    load.stop().await;
    let ledger = stage.relay.delivered().await;
    let accepted = f64::from(u32::try_from(ledger.accepted).unwrap());
    eventually("the last scrape", SCRAPED_MAX, async || {
        let scraped = value("sum(otelcol_receiver_accepted_spans_total)").await;
        ((scraped - accepted).abs() < 0.5).then_some(())
    })
    .await;
    prometheus.assert_running();
    stage.finish().await;
}

/// What `promtool check metrics` says of the page, which is nothing.
async fn lint(folder: &std::path::Path, relay: std::net::SocketAddr) {
    let (_, page) = Http::new(relay).get("/metrics").await.unwrap();
    let file = folder.join("metrics.txt");
    fs::write(&file, page).unwrap();
    let output = Command::new(installed("prometheus/promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::from(fs::File::open(file).unwrap()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
