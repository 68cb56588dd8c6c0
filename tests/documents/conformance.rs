//! `docs/CONFORMANCE.md`: which acceptance case is tested where, made from the tests' own names. A test that carries a case's
//! number stands for it; a case without one is listed as open, with what is missing.

use std::{collections::BTreeMap, fs, path::Path};

use super::{
    tables::{check_in, code, table},
    text,
};

pub(super) const DOCUMENT: &str = "docs/CONFORMANCE.md";

/// The cases that are to be tested, and what each is about.
const CASES: &[(u8, &str)] = &[
    (1, "steady load arrives once and equal"),
    (2, "an outage of the destination loses nothing"),
    (3, "a full queue refuses and tells when to come again"),
    (4, "a slow destination delays and does not cascade"),
    (5, "kill -9 under load"),
    (7, "SIGTERM with a healthy destination drains"),
    (8, "SIGTERM with a dead one ends in time and counts"),
    (9, "ten times the load within the budget"),
    (10, "gzip bombs"),
    (11, "the size limit to the byte"),
    (12, "random, cut and flipped bytes"),
    (13, "values nested a million deep"),
    (14, "no file descriptors left"),
    (15, "rapid reset"),
    (16, "floods of frames"),
    (17, "slow heads, bodies and readers; mute sockets"),
    (18, "a destination with endless or broken answers"),
    (19, "what listens by default, and who may change anything"),
    (22, "foreign hosts on the admin port"),
    (23, "foreign pages on the admin port"),
    (28, "panics"),
    (29, "a path that goes mute"),
    (31, "what is retried"),
    (32, "what is not"),
    (33, "RESOURCE_EXHAUSTED and 413"),
    (34, "HTTP statuses of a destination"),
    (35, "a destination's partial success"),
    (36, "sampling behind Milvus' own fractions"),
    (38, "health and metrics under load"),
    (39, "HTTP with protobuf"),
    (40, "HTTP with JSON: the official example"),
    (41, "HTTP with JSON: every dialect"),
    (42, "HTTP encodings"),
    (43, "errors are a Status in the request's encoding"),
    (44, "methods, paths, content types"),
    (45, "empty requests over HTTP"),
    (46, "empty requests over gRPC"),
    (47, "partial success"),
    (48, "all spans unusable"),
    (49, "warnings"),
    (50, "broken UTF-8"),
    (51, "gRPC encodings"),
    (52, "broken gRPC frames"),
    (53, "other content types on gRPC's path"),
    (54, "the client's own deadline"),
    (55, "clients that cancel"),
    (56, "unknown methods, metrics and logs"),
    (57, "health, and watching it"),
    (59, "the size of answers"),
    (60, "every field comes out as it went in"),
    (61, "unknown fields stay"),
    (62, "resources and scopes are not merged wrongly"),
    (63, "odd values pass"),
    (64, "fields of profiles pass"),
    (65, "real SDKs"),
    (66, "real SDKs while there is no room"),
    (67, "kept-alive connections"),
    (68, "chunked, pipelined, Expect, HTTP/2 on both ports"),
    (69, "h2spec"),
    (70, "messages over a destination's limit"),
    (71, "batches"),
    (72, "wishes to wait"),
    (73, "a 2xx with any body"),
    (74, "redirects"),
    (75, "pings"),
    (76, "thresholds and tracestate to the bit"),
    (77, "shares are right and nested"),
    (78, "relays in series"),
    (79, "broken tracestates"),
    (92, "metrics under a scrape"),
    (93, "bounded series"),
    (95, "a name that moves"),
    (96, "a clock that jumps"),
    (97, "limits of connections and streams"),
    (98, "every wrong key"),
    (103, "the accounts of budget and queues in any order"),
    (106, "request smuggling"),
    (107, "CORS"),
    (108, "secrets and escapes in logs"),
];

/// Cases that no test stands for, and what there is meanwhile.
const OPEN: &[(u8, &str)] = &[
    (4, "limits and waits are tested one by one, not this play"),
    (5, "no kill -9 yet"),
    (
        9,
        "the bound is tested in parts (budget, allocations), not under load for a minute",
    ),
    (
        10,
        "bombs are tested at small sizes (`a_bomb_is_held_up_to_the_limit`), not a GiB, and not 100 at once",
    ),
    (
        14,
        "the accept loop's reaction is tested, not an exhausted process",
    ),
    (16, "only rapid reset (A15)"),
    (
        38,
        "the admin runtime is one of its own (`it_runs_on_a_runtime_of_its_own`); no load beside it",
    ),
    (64, "none yet"),
    (75, "no pings are sent at all, which no test watches"),
    (92, "the text is checked, no Prometheus scrapes it"),
    (96, "none yet"),
    (106, "none yet"),
    (
        108,
        "secrets are masked (`a_token_is_never_printed`) and lines are rate-limited; no test reads all logs",
    ),
];

#[test]
fn every_case_has_its_tests_or_says_what_is_missing() {
    let tests = tests_by_case();
    let mut wrong = Vec::new();
    let rows = CASES.iter().map(|(case, about)| {
        let open = OPEN.iter().find(|(open, _)| open == case);
        let where_it_is = match (tests.get(case), open) {
            (Some(tests), None) => tests.join(", "),
            (None, Some((_, missing))) => format!("open: {missing}"),
            (Some(_), Some(_)) => {
                wrong.push(format!("A{case:02} has tests and is called open"));
                String::new()
            }
            (None, None) => {
                wrong.push(format!("A{case:02} has no test, and nobody says why"));
                String::new()
            }
        };
        vec![format!("A{case:02}"), (*about).to_owned(), where_it_is]
    });
    let made = table(&["case", "what", "tests"], rows.collect::<Vec<_>>());
    for case in tests.keys() {
        if !CASES.iter().any(|(known, _)| known == case) {
            wrong.push(format!("A{case:02} has tests and is no case"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    check_in(DOCUMENT, "cases", &made);
}

/// The tests whose names begin with a case's number, or with several.
fn tests_by_case() -> BTreeMap<u8, Vec<String>> {
    let mut found = BTreeMap::<u8, Vec<String>>::new();
    let mut folders = vec![Path::new("src").to_owned(), Path::new("tests").to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    for path in files {
        let path = path.to_str().unwrap();
        for line in text(path).lines() {
            let Some((_, rest)) = line.trim_start().split_once("fn a") else {
                continue;
            };
            let name = format!("a{}", rest.split('(').next().unwrap_or_default());
            let cases: Vec<u8> = name.split('_').map_while(case_of).collect();
            for case in cases {
                let link = format!("{} in [{path}](../{path})", code(&name));
                found.entry(case).or_default().push(link);
            }
        }
    }
    found
}

/// `a07` is 7; words are no cases.
fn case_of(word: &str) -> Option<u8> {
    let digits = word.strip_prefix('a')?;
    (digits.len() >= 2).then(|| digits.parse().ok())?
}
