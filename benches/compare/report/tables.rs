//! Tables in Markdown.

use std::fmt::Write;

use crate::{
    cases::CASES,
    growth::{Grows, Point},
    results::{Results, Row, mean},
    rig::requests::SpanSize,
    subjects::Subject,
    trial::Figures,
};

const WRITTEN: &str = "a string takes what is written";

/// A table below its title, or nothing where nothing was measured.
pub(super) fn section(title: &str, table: &str) -> String {
    if table.is_empty() {
        String::new()
    } else {
        format!("## {title}\n\n{table}")
    }
}

/// A table of these lines, or nothing where there are none.
fn table(columns: &[&str], lines: &str) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let rule = "| --- ".repeat(columns.len());
    format!("| {} |\n{rule}|\n{lines}", columns.join(" | "))
}

/// When, on what, and with which programs.
pub(super) fn made(results: &Results) -> String {
    let machine = &results.machine;
    let quick = if results.quick {
        " These are rough: `--quick` cuts all times short."
    } else {
        ""
    };
    format!(
        "{}, on {} cores of {}, {} GiB, Linux {}: {}.{}{quick}\n",
        results.date,
        machine.cores,
        machine.cpu,
        machine.memory_gib,
        machine.kernel,
        machine.versions.join(", "),
        disturbances(results)
    )
}

/// What disturbed the trials, on average, where the destination is not a process of its own.
fn disturbances(results: &Results) -> String {
    let rows = results.rows.iter().filter(|row| !to_jaeger(row));
    let trials: Vec<Figures> = rows
        .flat_map(|row| &row.rounds)
        .chain(results.growth.iter().flat_map(|point| &point.rounds))
        .cloned()
        .collect();
    if trials.is_empty() {
        return String::new();
    }
    format!(
        " While it measured, everything else on the machine took {:.1} % of a core, and the machine's host {:.1} %.",
        mean(&trials, |figures| figures.others_share) * 100.0,
        mean(&trials, |figures| figures.stolen_share) * 100.0
    )
}

/// How many times the relay's CPU a span costs the others.
pub(super) fn ratios(results: &Results) -> String {
    let mut lines = String::new();
    for (case, size) in CASES
        .iter()
        .flat_map(|case| case.sizes.iter().map(move |size| (case, *size)))
    {
        let Some(row) = results.row(case.name, size, Subject::Relay) else {
            continue;
        };
        let ratio = |subject| {
            let times = results.times_as_much(case.name, size, subject);
            times.map_or("n/a".to_owned(), |times| format!("{times:.1}"))
        };
        let floor = results.row(case.name, size, Subject::Pump);
        let floor = floor.map_or("n/a".to_owned(), |row| {
            format!("{:.3}", row.mean(|figures| figures.cpu_us_per_span))
        });
        writeln!(
            lines,
            "| {} | {} | {:.3} | {} | {} | {floor} |",
            case.name,
            row.span_bytes,
            row.mean(|figures| figures.cpu_us_per_span),
            ratio(Subject::Collector),
            ratio(Subject::Rotel),
        )
        .expect(WRITTEN);
    }
    let columns = [
        "case",
        "bytes a span",
        "relay, µs",
        "Collector ÷ relay",
        "Rotel ÷ relay",
        "bytes copied, µs",
    ];
    table(&columns, &lines)
}

/// Every figure of every subject, a table for each size of spans.
pub(super) fn rows(results: &Results) -> String {
    const COLUMNS: [&str; 15] = [
        "case",
        "subject",
        "CPU µs/span",
        "acknowledged/s",
        "delivered/s",
        "never delivered",
        "p50 ms",
        "p99 ms",
        "max ms",
        "RSS MiB",
        "refused",
        "its core",
        "load's core",
        "others",
        "",
    ];
    let of_size = |(size, about): (SpanSize, u32)| {
        let lines: String = results
            .rows
            .iter()
            .filter(|row| row.size == size && !to_jaeger(row))
            .map(line)
            .collect();
        section(
            &format!("Spans of about {about} bytes"),
            &table(&COLUMNS, &lines),
        )
    };
    let [small, large] = [(SpanSize::Small, 381), (SpanSize::Large, 800)].map(of_size);
    if large.is_empty() {
        small
    } else {
        small + "\n" + &large
    }
}

fn to_jaeger(row: &Row) -> bool {
    row.rounds
        .iter()
        .any(|figures| figures.dropped_by_jaeger.is_some())
}

fn line(row: &Row) -> String {
    let Row { case, subject, .. } = row;
    if row.rounds.is_empty() {
        return format!(
            "| {case} | {subject} | failed: {} |\n",
            row.failures.join("; ")
        );
    }
    let mean = |of: fn(&Figures) -> f64| row.mean(of);
    let note = if row.rounds.iter().any(Figures::load_bound) {
        "the load was the limit"
    } else {
        ""
    };
    format!(
        "| {case} | {subject} | {:.3} | {:.0} | {:.0} | {} | {:.1} | {:.1} | {:.0} | {:.0} | {} | {:.0} % | {:.0} % | {:.0} % | {note} |\n",
        mean(|figures| figures.cpu_us_per_span),
        mean(|figures| figures.acknowledged_per_s),
        mean(|figures| figures.delivered_per_s),
        never_delivered(row),
        mean(|figures| figures.p50_ms),
        mean(|figures| figures.p99_ms),
        row.max(|figures| figures.max_ms),
        row.max(|figures| figures.rss_mib),
        refused(row),
        mean(|figures| figures.subject_share) * 100.0,
        mean(|figures| figures.load_share) * 100.0,
        mean(|figures| figures.others_share + figures.stolen_share) * 100.0,
    )
}

/// Of all rounds together.
fn never_delivered(row: &Row) -> String {
    let all: Option<i64> = row
        .rounds
        .iter()
        .map(|figures| figures.never_delivered)
        .sum();
    all.map_or("n/a".to_owned(), |spans| spans.to_string())
}

/// Of all rounds together.
fn refused(row: &Row) -> u64 {
    row.rounds.iter().map(|figures| figures.refused).sum()
}

/// What became of spans in a real Jaeger.
pub(super) fn jaeger(results: &Results) -> String {
    const COLUMNS: [&str; 9] = [
        "case",
        "subject",
        "acknowledged/s",
        "dropped by Jaeger",
        "never delivered",
        "refused",
        "CPU µs/span",
        "p99 ms",
        "RSS MiB",
    ];
    let mut lines = String::new();
    for row in results.rows.iter().filter(|row| to_jaeger(row)) {
        let dropped: Option<u64> = row
            .rounds
            .iter()
            .map(|figures| figures.dropped_by_jaeger)
            .sum();
        writeln!(
            lines,
            "| {} | {} | {:.0} | {} | {} | {} | {:.2} | {:.0} | {:.0} |",
            row.case,
            row.subject,
            row.mean(|figures| figures.acknowledged_per_s),
            dropped.unwrap_or(0),
            never_delivered(row),
            refused(row),
            row.mean(|figures| figures.cpu_us_per_span),
            row.mean(|figures| figures.p99_ms),
            row.max(|figures| figures.rss_mib),
        )
        .expect(WRITTEN);
    }
    table(&COLUMNS, &lines)
}

/// Before the first span.
pub(super) fn still(results: &Results) -> String {
    let mut lines = String::new();
    for still in &results.still {
        let size = still
            .stripped_mib
            .map_or("n/a".to_owned(), |size| format!("{size:.1}"));
        writeln!(
            lines,
            "| {} | {:.1} | {:.1} | {size} |",
            still.subject, still.idle_rss_mib, still.listening_after_ms
        )
        .expect(WRITTEN);
    }
    table(
        &[
            "subject",
            "idle RSS MiB",
            "listening after ms",
            "stripped binary MiB",
        ],
        &lines,
    )
}

/// What the relay's cost depends on, a table for each series.
pub(super) fn growth(results: &Results) -> String {
    let tables = Grows::ALL.map(|grows| {
        let lines: String = results.series(grows).into_iter().map(point).collect();
        let columns = [
            grows.name(),
            "CPU µs/span",
            "acknowledged/s",
            "waits by 1000 spans",
            "waiting for a core, µs/span",
            "RSS MiB",
            "refused",
            "its cores",
            "load's core",
        ];
        table(&columns, &lines)
    });
    let there: Vec<&str> = tables
        .iter()
        .map(String::as_str)
        .filter(|table| !table.is_empty())
        .collect();
    there.join("\n")
}

fn point(point: &Point) -> String {
    let of = |of: fn(&Figures) -> f64| mean(&point.rounds, of);
    let refused: u64 = point.rounds.iter().map(|figures| figures.refused).sum();
    format!(
        "| {} | {:.3} | {:.0} | {:.2} | {:.3} | {:.0} | {refused} | {:.0} % | {:.0} % |\n",
        point.at,
        of(|figures| figures.cpu_us_per_span),
        of(|figures| figures.acknowledged_per_s),
        of(|figures| figures.waits_per_1000_spans),
        of(|figures| figures.queued_us_per_span),
        of(|figures| figures.rss_mib),
        of(|figures| figures.subject_share) * 100.0,
        of(|figures| figures.load_share) * 100.0,
    )
}
