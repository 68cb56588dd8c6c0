//! A changed configuration is in force as a whole, soon, without a restart; or the old one stays and says why.

use std::time::Duration;

use otlp_relay::config::LogFormat;
use tokio::time::{Instant, timeout};
use tonic::Code;

use crate::{
    PATIENCE,
    calls::{document, reload, sample, send},
    client::http,
    support::{
        fake_backend::{Answer, FakeBackend},
        generate,
        log::Log,
        relay_under_test::{RelayUnderTest, Setup},
    },
};

const KEEP_ALL: &str = "default: { sample_fraction: 1 }\n";
const KEEP_NONE: &str = "default: { sample_fraction: 0 }\n";
const MISTAKEN: &str = "default: { sample_fraction: 1.5 }\n";

/// How soon an edit holds (product contract: watched, polled every second).
const IN_FORCE_WITHIN: Duration = Duration::from_secs(2);

async fn is_successful(relay: &RelayUnderTest) -> bool {
    let value = sample(relay, "otlp_relay_config_last_reload_successful").await;
    value.unwrap() > 0.5
}

/// How many of ten spans are kept.
async fn kept(relay: &RelayUnderTest) -> u64 {
    let before = relay.totals().forwarded;
    send(relay, &generate::request("standalone", 0, 10)).await;
    relay.totals().forwarded - before
}

#[tokio::test]
async fn an_edit_of_the_policy_file_is_in_force_within_two_seconds() {
    let backend = FakeBackend::start().await;
    let setup = Setup::to(&backend.endpoint()).policies(KEEP_ALL);
    let relay = setup.start_on_disk("watched");
    assert_eq!(kept(&relay).await, 10);
    for (policies, expected) in [(KEEP_NONE, 0), (KEEP_ALL, 10)] {
        let edited = Instant::now();
        relay.write_policies(policies);
        while kept(&relay).await != expected {
            assert!(edited.elapsed() < IN_FORCE_WITHIN, "{policies}");
        }
    }
    assert!(is_successful(&relay).await);
    relay.stop().await;
}

/// It was overlooked for ever: the first look took the files as they were then for what had been loaded.
#[tokio::test]
async fn an_edit_between_loading_and_the_first_look_is_noticed() {
    let setup = Setup::quick().policies(KEEP_ALL);
    let relay = setup.start_on_disk("edited-at-once");
    let edited = Instant::now();
    relay.write_policies(KEEP_NONE);
    while kept(&relay).await != 0 {
        assert!(edited.elapsed() < IN_FORCE_WITHIN, "it is not in force");
    }
    relay.stop().await;
}

/// Waits until the last reload went well, or until it did not; as long as an edit may take.
async fn until_successful(relay: &RelayUnderTest, expected: bool) {
    let edited = Instant::now();
    while is_successful(relay).await != expected {
        assert!(edited.elapsed() < IN_FORCE_WITHIN, "not {expected}");
    }
}

/// The files of the old configuration were watched, so the repaired one was never looked at.
#[tokio::test]
async fn a_mistake_in_a_file_that_is_named_for_the_first_time_can_be_repaired() {
    let setup = Setup::quick();
    let relay = setup.start_on_disk("named-for-the-first-time");
    let with = |file: &str| {
        setup
            .clone()
            .settings(&format!("sampling: {{ policy_file: {file} }}\n"))
    };
    // given a configuration that is refused for the file that it names
    relay.write_file("new.yaml", MISTAKEN);
    relay.write_config(&with("new.yaml"));
    until_successful(&relay, false).await;
    // when that file is repaired, it is in force
    relay.write_file("new.yaml", KEEP_NONE);
    until_successful(&relay, true).await;
    assert_eq!(kept(&relay).await, 0);
    // and the same with a file that comes later
    relay.write_config(&with("later.yaml"));
    until_successful(&relay, false).await;
    relay.write_file("later.yaml", KEEP_ALL);
    until_successful(&relay, true).await;
    assert_eq!(kept(&relay).await, 10);
    relay.stop().await;
}

#[tokio::test]
async fn a_reload_can_be_asked_for() {
    let backend = FakeBackend::start().await;
    let relay = Setup::to(&backend.endpoint()).policies(KEEP_ALL).start();
    let generation = |document: &serde_json::Value| document["generation"].as_u64().unwrap();
    let (status, first) = reload(&relay).await;
    assert_eq!((status, &first["reloaded"]), (200, &true.into()));
    relay.write_policies(KEEP_NONE);
    assert_eq!(kept(&relay).await, 10, "not yet");
    let (_, second) = reload(&relay).await;
    assert_eq!(generation(&second), generation(&first) + 1);
    assert_eq!(kept(&relay).await, 0);
    relay.stop().await;
}

#[tokio::test]
async fn a98_a_mistake_keeps_the_old_configuration_and_is_shown() {
    let backend = FakeBackend::start().await;
    let relay = Setup::to(&backend.endpoint()).policies(KEEP_ALL).start();
    assert!(is_successful(&relay).await);
    relay.write_policies(MISTAKEN);
    let (status, answer) = reload(&relay).await;
    assert_eq!((status, &answer["reloaded"]), (422, &false.into()));
    let mistake = answer["mistakes"][0].as_str().unwrap();
    for part in ["policies.yaml", "sample_fraction", "1.5"] {
        assert!(mistake.contains(part), "{part} is missing in: {mistake}");
    }
    assert!(!is_successful(&relay).await);
    assert_eq!(kept(&relay).await, 10, "the old one is in force");
    relay.edit(KEEP_NONE).unwrap();
    assert!(is_successful(&relay).await);
    assert_eq!(kept(&relay).await, 0);
    relay.stop().await;
}

#[tokio::test]
async fn destinations_come_change_and_go() {
    let (first, second) = (FakeBackend::start().await, FakeBackend::start().await);
    let one = Setup::to(&first.endpoint());
    let relay = one.start();
    kept(&relay).await;
    first.wait_for_spans(10).await;

    relay.write_config(&one.clone().destination("added", &second.endpoint(), ""));
    assert_eq!(reload(&relay).await.0, 200);
    kept(&relay).await;
    relay.until_settled().await;
    assert_eq!((first.spans().len(), second.spans().len()), (20, 10));

    // The first name gets the other endpoint, the added one goes.
    relay.write_config(&Setup::to(&second.endpoint()));
    assert_eq!(reload(&relay).await.0, 200);
    kept(&relay).await;
    relay.until_settled().await;
    assert_eq!((first.spans().len(), second.spans().len()), (20, 20));

    let totals = relay.stop().await.totals;
    let account = |name: &str| {
        let account = &totals.destinations[name];
        (account.forwarded, account.exported)
    };
    assert_eq!((account("jaeger"), account("added")), ((30, 30), (10, 10)));
}

/// Until the next reload it was still shown, and what it had lost counted as lost while stopping: exit code 1.
#[tokio::test]
async fn a_removed_destination_that_has_drained_is_no_part_of_the_end() {
    let (gone, stays) = (FakeBackend::start().await, FakeBackend::start().await);
    gone.answer(Answer::Grpc(Code::Unavailable, None));
    let destination = |name: &str, backend: &FakeBackend| {
        let endpoint = backend.endpoint();
        format!("  {name}: {{ endpoint: {endpoint}, retry: {{ give_up_after: 1s }} }}\n")
    };
    let (gone, stays) = (destination("gone", &gone), destination("stays", &stays));
    let with = |destinations: &str| Setup::quick().settings(destinations);
    let relay = with(&format!("destinations:\n{gone}{stays}")).start();
    kept(&relay).await;
    relay.write_config(&with(&format!("destinations:\n{stays}")));
    assert_eq!(reload(&relay).await.0, 200);

    let shown = async {
        while document(&relay, "/api/v1/destinations").await["destinations"][1].is_object() {}
    };
    timeout(PATIENCE, shown).await.expect("only one is shown");
    let ended = relay.stop().await;
    assert_eq!(ended.totals.destinations["gone"].lost_total(), 10);
    assert_eq!(ended.drained.lost, 0);
}

#[tokio::test]
async fn without_its_last_destination_the_store_takes_over_and_gives_back() {
    let backend = FakeBackend::start().await;
    let with = Setup::to(&backend.endpoint());
    let relay = with.start();
    kept(&relay).await;
    relay.write_config(&Setup::quick());
    assert_eq!(reload(&relay).await.0, 200);
    kept(&relay).await;
    relay.write_config(&with);
    assert_eq!(reload(&relay).await.0, 200);
    kept(&relay).await;
    relay.until_settled().await;
    let totals = relay.stop().await.totals;
    assert_eq!(totals.destinations["jaeger"].exported, 20);
    assert_eq!(totals.destinations["store"].exported, 10);
    assert_eq!(totals.forwarded, 30);
}

/// These were silently ignored: the log and the admin port kept what they were started with.
#[tokio::test]
async fn the_log_and_who_may_use_the_admin_port_change_with_a_reload() {
    let relay = Setup::quick().start();
    assert_eq!(relay.log().level, tracing::Level::INFO);
    let ask = "GET /api/v1/ledger HTTP/1.1\r\nhost: relay.example\r\n\r\n";
    assert_eq!(http(relay.admin(), ask, b"").await.status, 421);
    relay.write_file("token", "secret\n");
    relay.write_config(&Setup::quick().settings(
        "log: { level: debug, format: json }\n\
         admin: { allowed_hosts: [relay.example], token_file: token }\n",
    ));
    assert_eq!(reload(&relay).await.0, 200);
    assert_eq!(relay.log().level, tracing::Level::DEBUG);
    assert_eq!(relay.log().format, LogFormat::Json);
    assert_eq!(http(relay.admin(), ask, b"").await.status, 200);
    assert_eq!(reload(&relay).await.0, 401, "without the token");
    relay.stop().await;
}

/// Only the warnings of the first configuration were logged.
#[tokio::test]
async fn a_reloads_warnings_are_logged() {
    let relay = Setup::quick().policies(KEEP_ALL).start();
    let log = Log::start();
    let tearing = "rules: [{ name: r, match: { status: error }, sample_fraction: 1 }]\n";
    relay.edit(&[KEEP_NONE, tearing].concat()).unwrap();
    let lines = log.lines();
    let warning = "policies.yaml:2: warning: rules[0]";
    let warned = |line: &String| line.contains("WARN") && line.contains(warning);
    assert!(lines.iter().any(warned), "{lines:?}");
    relay.stop().await;
}

#[tokio::test]
async fn the_embedded_stores_queue_follows_its_bound() {
    let relay = Setup::quick()
        .settings("queue: { bytes_max: 3MiB }\n")
        .start();
    let bytes_max = "otlp_relay_queue_bytes_max{destination=\"store\"}";
    assert_eq!(sample(&relay, bytes_max).await, Some(3_145_728.0));
    relay.set_variable("OTLP_RELAY__QUEUE__BYTES_MAX", "2MiB");
    assert_eq!(reload(&relay).await.0, 200);
    assert_eq!(sample(&relay, bytes_max).await, Some(2_097_152.0));
    relay.stop().await;
}

#[tokio::test]
async fn a_changed_listener_or_budget_needs_a_restart() {
    let backend = FakeBackend::start().await;
    let relay = Setup::to(&backend.endpoint()).policies(KEEP_ALL).start();
    relay.write_policies(KEEP_NONE);
    for (variable, value) in [
        ("OTLP_RELAY__RECEIVERS__GRPC__LISTEN", "127.0.0.1:4317"),
        ("OTLP_RELAY__BUDGET__BYTES", "128MiB"),
        ("OTLP_RELAY__METRICS__COLLECTOR_NAMES", "plain"),
    ] {
        relay.set_variable(variable, value);
        let (status, answer) = reload(&relay).await;
        let mistakes = answer["mistakes"].to_string();
        assert_eq!(status, 422);
        assert!(mistakes.contains("needs a restart"), "{mistakes}");
        assert!(!is_successful(&relay).await);
        relay.set_variable("OTLP_RELAY__RECEIVERS__GRPC__LISTEN", "127.0.0.1:0");
        relay.set_variable("OTLP_RELAY__BUDGET__BYTES", "");
    }
    assert_eq!(
        kept(&relay).await,
        10,
        "nothing of it is in force, the policies neither"
    );
    let ledger = document(&relay, "/api/v1/ledger").await;
    assert_eq!(ledger["balanced"], true);
    relay.stop().await;
}
