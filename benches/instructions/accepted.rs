//! Compares the instructions that `benches/instructions/run` counted with those that were accepted.
//!
//! The run counts, and names its figures in `OTLP_RELAY_INSTRUCTIONS`. More than [`TOLERANCE`] above an accepted figure fails;
//! as far below it fails too, and asks for the lower figure, so that what was won is not lost again unseen. With
//! `OTLP_RELAY_ACCEPT` set, the figures are written down as accepted.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a failed unwrap is a failed comparison, which prints its table; the run says by variables what it wants"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write,
    fs,
};

use serde_json::Value;

/// The accepted figures, in the repository.
const ACCEPTED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/instructions/accepted.json"
);

/// By how much a figure may differ, in per cent. Counts repeat within 1 % on one machine; another one's libc copies
/// memory a little differently.
const TOLERANCE: u64 = 3;

/// Instructions by `benchmark/request`.
type Figures = BTreeMap<String, u64>;

/// Reads what the bench wrote with `--output-format=json`: one summary a line.
fn counted(lines: &str) -> Figures {
    let summaries = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    summaries
        .map(|summary: Value| {
            let text = |key: &str| summary[key].as_str().unwrap().to_owned();
            let instructions =
                &summary["profiles"][0]["data"]["total"]["metrics"]["Ir"]["values"]["new"];
            let name = format!("{}/{}", text("function_name"), text("id"));
            (name, instructions.as_u64().unwrap())
        })
        .collect()
}

/// A line for each figure, and whether all are as they were accepted.
fn compare(accepted: &Figures, counted: &Figures) -> (String, bool) {
    let names = accepted.keys().chain(counted.keys());
    let names: BTreeSet<_> = names.collect();
    let mut report = String::new();
    let mut all_well = true;
    for name in names {
        let verdict = match (accepted.get(name), counted.get(name)) {
            (Some(&was), Some(&is)) => {
                let verdict = match 100 * is {
                    percents if percents > (100 + TOLERANCE) * was => "TOO MANY",
                    percents if percents < (100 - TOLERANCE) * was => {
                        "FEWER: accept the lower figure"
                    }
                    _ => "well",
                };
                all_well &= verdict == "well";
                format!("{is:>10}, accepted {was:>10}: {verdict}")
            }
            (Some(_), None) => {
                all_well = false;
                "accepted, but NOT COUNTED".to_owned()
            }
            (None, counted) => {
                all_well = false;
                format!("{:>10}, NOT ACCEPTED yet", counted.unwrap())
            }
        };
        writeln!(report, "{name:30} {verdict}").unwrap();
    }
    (report, all_well)
}

#[test]
fn instructions_are_as_accepted() {
    let file = env::var("OTLP_RELAY_INSTRUCTIONS").expect("run benches/instructions/run");
    let counted = counted(&fs::read_to_string(file).unwrap());
    assert!(!counted.is_empty(), "the bench counted nothing");
    if env::var_os("OTLP_RELAY_ACCEPT").is_some() {
        let text = serde_json::to_string_pretty(&counted).unwrap();
        return fs::write(ACCEPTED, text + "\n").unwrap();
    }
    let accepted: Figures = serde_json::from_str(&fs::read_to_string(ACCEPTED).unwrap()).unwrap();
    let (report, all_well) = compare(&accepted, &counted);
    println!("instructions:\n{report}");
    assert!(
        all_well,
        "see above; `benches/instructions/run --accept` writes the new figures down, and the commit says why"
    );
}

#[test]
fn three_per_cent_are_noticed_both_ways() {
    let accepted: Figures = [("scan/x".to_owned(), 10_000)].into();
    for (is, expected) in [
        (10_000, true),
        (10_300, true),
        (10_301, false),
        (9_700, true),
        (9_699, false),
    ] {
        let counted = [("scan/x".to_owned(), is)].into();
        let (report, all_well) = compare(&accepted, &counted);
        assert_eq!(all_well, expected, "{is}: {report}");
    }
    assert!(!compare(&accepted, &Figures::new()).1);
    assert!(!compare(&Figures::new(), &accepted).1);
}
