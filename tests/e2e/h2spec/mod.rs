//! h2spec, with its strict cases, against both ports: HTTP/2 to the letter, but for a short list with reasons.

/// The short list.
pub(crate) mod exceptions;

use std::{
    collections::BTreeMap, fs, net::SocketAddr, path::Path, process::Command, time::Duration,
};

use self::exceptions::{EXCEPTIONS, Excuse};
use crate::{
    parts::{Process, folder, installed},
    relay::Relay,
    stage::KEEP_ALL,
};

/// As many cases as this version has; fewer would be a run that ended early.
const CASES: usize = 146;
/// It takes 5 s. Each case that gets no answer waits for 2 s.
const RUN_MAX: Duration = Duration::from_mins(5);
/// How often a case is asked again in which the answer may come before the fault. The fault comes first in at least half.
const ATTEMPTS_MAX: usize = 100;
/// h2spec sends five header fields of this length in one frame: more than the 120 KiB that we announce.
const LONG_HEADER: &str = "60000";

/// An answer, as h2spec sees it: its head, its body, or the end of a request that is not waited for.
const ANSWERS: [&str; 3] = ["HEADERS Frame", "DATA Frame", "RST_STREAM Frame"];

/// What a case says of the relay: nothing when it is satisfied, else what it saw.
type Findings = BTreeMap<String, Option<String>>;

#[tokio::test(flavor = "multi_thread")]
async fn a69_http2_is_spoken_to_the_letter_on_both_ports() {
    println!("--- h2spec");
    let folder = folder("h2spec");
    let relay = Relay::configured(&folder, KEEP_ALL, "").await;
    for (name, port) in [("grpc", relay.grpc()), ("http", relay.http())] {
        let findings = run(&folder, port, &[]).await;
        assert_eq!(findings.len(), CASES, "h2spec ran all its cases");
        let failed: Vec<(String, String)> = findings
            .into_iter()
            .filter_map(|(case, saw)| Some((case, saw?)))
            .collect();
        println!("{name}: {} of {CASES} cases passed", CASES - failed.len());
        for (case, saw) in failed {
            excuse(&folder, port, &case, &saw).await;
        }
    }
    let ledger = relay.ledger().await;
    assert_eq!((ledger.received, ledger.accepted), (0, 0));
    ledger.assert_balanced();
    relay.stop().await;
}

/// A failed case has to be on the list, and what its excuse says has to be so.
async fn excuse(folder: &Path, port: SocketAddr, case: &str, saw: &str) {
    let exception = EXCEPTIONS.iter().find(|exception| exception.case == case);
    let exception = exception.unwrap_or_else(|| panic!("{port}: {case} failed: {saw}"));
    println!("  {case}: {}", exception.stimulus);
    match exception.excuse {
        Excuse::Http1 => {
            assert!(saw.contains("HTTP/1.1 header"), "{port}: {case}: {saw}");
        }
        Excuse::LargerFrames => {
            let long = ["--max-header-length", LONG_HEADER];
            let again = once(folder, port, case, &long).await;
            assert_eq!(again, None, "{port}: {case} with a frame above our limit");
        }
        Excuse::AnsweredFirst => {
            let answered = ANSWERS.iter().any(|frame| saw.starts_with(frame));
            assert!(answered, "{port}: {case}: {saw}");
            for _ in 0..ATTEMPTS_MAX {
                if once(folder, port, case, &[]).await.is_none() {
                    return;
                }
            }
            panic!("{port}: {case} failed {ATTEMPTS_MAX} times: {saw}");
        }
    }
}

/// What one case says of the relay.
async fn once(folder: &Path, port: SocketAddr, case: &str, more: &[&str]) -> Option<String> {
    let findings = run(folder, port, &[&[case], more].concat()).await;
    let mut findings = findings.into_values();
    let finding = findings.next().expect("the case exists");
    assert_eq!(findings.next(), None, "{case} is one case");
    finding
}

async fn run(folder: &Path, port: SocketAddr, arguments: &[&str]) -> Findings {
    let report = folder.join("report.xml");
    let mut command = Command::new(installed("h2spec/h2spec"));
    command
        .args(["--strict", "--host", &port.ip().to_string()])
        .args(["--port", &port.port().to_string()])
        .arg("--junit-report")
        .arg(&report)
        .args(arguments);
    // It ends without success when a case fails.
    Process::start("h2spec", folder, &mut command)
        .ended(RUN_MAX)
        .await;
    let findings = findings(&fs::read_to_string(&report).unwrap());
    fs::remove_file(&report).unwrap(); // the next run has to write its own
    findings
}

/// Reads `JUnit`'s XML as h2spec writes it: a line a case, in the order of their numbers, and what was seen instead in the
/// last of the lines that follow.
fn findings(report: &str) -> Findings {
    let mut findings = Findings::new();
    let mut last: Option<(String, u32)> = None;
    for line in report.lines().map(str::trim) {
        if let Some((_, rest)) = line.split_once("<testcase package=\"") {
            let (section, _) = rest.split_once('"').unwrap();
            let number = match &last {
                Some((former, number)) if former == section => number + 1,
                _ => 1,
            };
            findings.insert(format!("{section}/{number}"), None);
            last = Some((section.to_owned(), number));
        } else if let Some((saw, _)) = line
            .split_once("</error>")
            .or(line.split_once("</failure>"))
        {
            let (section, number) = last.as_ref().expect("a finding follows its case");
            findings.insert(format!("{section}/{number}"), Some(saw.to_owned()));
        }
    }
    findings
}

#[test]
fn a_report_is_read() {
    let report = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="3.5. Preface" package="http2/3.5" id="3.5" tests="2" skipped="0" failures="0" errors="1">
    <testcase package="http2/3.5" classname="Sends client connection preface" time="0.0002"></testcase>
    <testcase package="http2/3.5" classname="Sends invalid connection preface" time="0.0006">
      <error>Connection closed
DATA Frame</error>
    </testcase>
  </testsuite>
  <testsuite name="4.1. Frame Format" package="http2/4.1" id="4.1" tests="1" skipped="0" failures="0" errors="0">
    <testcase package="http2/4.1" classname="Sends a frame" time="0.0002"></testcase>
  </testsuite>
</testsuites>"#;
    let expected = [
        ("http2/3.5/1", None),
        ("http2/3.5/2", Some("DATA Frame")),
        ("http2/4.1/1", None),
    ];
    let expected = expected.map(|(case, saw)| (case.to_owned(), saw.map(str::to_owned)));
    assert_eq!(findings(report), Findings::from(expected));
}
