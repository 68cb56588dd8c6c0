//! The goals, as ratios and limits within one run, and whether they are reached.

use std::fmt::Write;

use crate::{
    cases::{
        ENRICH, ENRICH_100K, GZIP_IN, HTTP_IN, JAEGER_20K, JAEGER_FROZEN, SLOW, SPANS_64,
        TEN_PERCENT, TEN_PERCENT_100K,
    },
    growth::{Grows, Point},
    results::{Results, Row, mean},
    rig::requests::SpanSize,
    still::Still,
    subjects::Subject,
    trial::Figures,
};

/// The relay's default budget, and what a process may need besides.
const RSS_MIB_MAX: f64 = 256.0 + 50.0;
/// What "flat" means: the dearest point against the cheapest.
const FLAT: f64 = 1.25;

#[derive(Clone, Copy, Debug)]
enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

/// What the relay shall reach, and what it did.
struct Goal {
    what: String,
    wanted: Wanted,
    /// None where this run did not look.
    found: Option<f64>,
    /// The figures that it is made of, or those of the others.
    beside: String,
}

/// One line a goal.
pub(super) fn table(results: &Results) -> String {
    let mut table =
        "| figure | goal | found | | beside it |\n| --- | --- | --- | --- | --- |\n".to_owned();
    let goals = ratios(results)
        .into_iter()
        .chain(limits(results))
        .chain(at_jaeger(results))
        .chain(still(results))
        .chain(growth(results));
    for goal in goals {
        let (sign, limit) = match goal.wanted {
            Wanted::AtLeast(limit) => ('≥', limit),
            Wanted::AtMost(limit) => ('≤', limit),
        };
        let verdict = match (goal.wanted, goal.found) {
            (_, None) => "not measured",
            (Wanted::AtLeast(limit), Some(found)) if found >= limit => "reached",
            (Wanted::AtMost(limit), Some(found)) if found <= limit => "reached",
            _ => "**not reached**",
        };
        let found = goal.found.map_or_else(String::new, short);
        let (what, limit, beside) = (goal.what, short(limit), goal.beside);
        writeln!(
            table,
            "| {what} | {sign} {limit} | {found} | {verdict} | {beside} |"
        )
        .expect("a string takes what is written");
    }
    table
}

fn ratios(results: &Results) -> Vec<Goal> {
    [
        (ENRICH, Subject::Collector, 10.0),
        (ENRICH_100K, Subject::Collector, 10.0),
        (TEN_PERCENT, Subject::Collector, 13.0),
        (TEN_PERCENT_100K, Subject::Collector, 13.0),
        (ENRICH, Subject::Rotel, 14.0),
        (SPANS_64, Subject::Collector, 8.0),
        (GZIP_IN, Subject::Collector, 8.0),
        (HTTP_IN, Subject::Collector, 15.0),
    ]
    .map(|(case, subject, wanted)| Goal {
        what: format!("{case}: CPU per span, {} ÷ relay", subject.name()),
        wanted: Wanted::AtLeast(wanted),
        found: results.times_as_much(case, SpanSize::Small, subject),
        beside: of_each(results, case, &[subject, Subject::Relay], " µs", |row| {
            row.mean(|figures| figures.cpu_us_per_span)
        }),
    })
    .into()
}

fn limits(results: &Results) -> Vec<Goal> {
    const OTHERS: [Subject; 3] = [Subject::Collector, Subject::Rotel, Subject::Pump];
    let limit = |case, what, most, of: fn(&Row) -> f64| Goal {
        what: format!("{case}: {what}"),
        wanted: Wanted::AtMost(most),
        found: results.row(case, SpanSize::Small, Subject::Relay).map(of),
        beside: of_each(results, case, &OTHERS, "", of),
    };
    let p99: fn(&Row) -> f64 = |row| row.mean(|figures| figures.p99_ms);
    let rss: fn(&Row) -> f64 = |row| row.max(|figures| figures.rss_mib);
    vec![
        limit(ENRICH_100K, "answer p99, ms", 5.0, p99),
        limit(ENRICH, "RSS high water, MiB", RSS_MIB_MAX, rss),
        limit(SLOW, "RSS high water, MiB", RSS_MIB_MAX, rss),
        Goal {
            what: "acknowledged and never delivered, in any trial of the relay".to_owned(),
            wanted: Wanted::AtMost(0.0),
            found: most_undelivered(results, Subject::is_relay),
            beside: most_undelivered(results, |subject| !subject.is_relay())
                .map_or_else(String::new, |most| format!("the others {}", short(most))),
        },
    ]
}

/// The most of any trial; infinite where a subject was still delivering when nobody waited any longer.
fn most_undelivered(results: &Results, of: impl Fn(Subject) -> bool) -> Option<f64> {
    let rows = results.rows.iter().filter(|row| of(row.subject));
    let points = results.growth.iter().filter(|_| of(Subject::Relay));
    let trials = rows
        .flat_map(|row| &row.rounds)
        .chain(points.flat_map(|point| &point.rounds));
    trials
        .map(|figures| {
            figures
                .never_delivered
                .map_or(f64::INFINITY, |spans| spans as f64)
        })
        .reduce(f64::max)
}

fn at_jaeger(results: &Results) -> Vec<Goal> {
    let dropped = |row: &Row| row.max(|figures| figures.dropped_by_jaeger.unwrap_or(0) as f64);
    [JAEGER_20K, JAEGER_FROZEN]
        .map(|case| Goal {
            what: format!("{case}: spans that Jaeger dropped"),
            wanted: Wanted::AtMost(0.0),
            found: results
                .row(case, SpanSize::Small, Subject::RelayDefaults)
                .map(dropped),
            beside: of_each(results, case, &[Subject::CollectorDefaults], "", dropped),
        })
        .into()
}

fn still(results: &Results) -> Vec<Goal> {
    let limit = |what: &str, most, of: fn(&Still) -> Option<f64>| {
        let (relay, others): (Vec<&Still>, _) = results
            .still
            .iter()
            .partition(|still| still.subject.is_relay());
        let beside = others
            .into_iter()
            .filter_map(|still| Some(format!("{} {}", still.subject.name(), short(of(still)?))));
        Goal {
            what: what.to_owned(),
            wanted: Wanted::AtMost(most),
            found: relay.first().and_then(|still| of(still)),
            beside: beside.collect::<Vec<_>>().join(", "),
        }
    };
    vec![
        limit("idle RSS, MiB", 15.0, |still| Some(still.idle_rss_mib)),
        limit("listening after, ms", 10.0, |still| {
            Some(still.listening_after_ms)
        }),
        limit("stripped binary, MiB", 12.0, |still| still.stripped_mib),
    ]
}

fn growth(results: &Results) -> Vec<Goal> {
    let cost = |point: &&Point| mean(&point.rounds, |figures: &Figures| figures.cpu_us_per_span);
    let goal = |grows: Grows, from: u32| {
        let mut points = results.series(grows);
        points.retain(|point| point.at >= from);
        let costs: Vec<f64> = points.iter().map(cost).collect();
        let (name, to) = (grows.name(), grows.points().last().copied().unwrap_or(from));
        let (what, limit, found) = match grows {
            Grows::Cores => (
                "CPU per span, free on 2 cores ÷ on 1".to_owned(),
                1.1,
                costs.first().zip(costs.get(1)).map(|(one, two)| two / one),
            ),
            _ => (
                format!("CPU per span, {from} to {to} {name}: dearest ÷ cheapest"),
                FLAT,
                spread(&costs),
            ),
        };
        let beside = points
            .iter()
            .map(|point| format!("{}: {}", point.at, short(cost(point))));
        Goal {
            what,
            wanted: Wanted::AtMost(limit),
            found,
            beside: beside.collect::<Vec<_>>().join(", "),
        }
    };
    vec![
        goal(Grows::Cores, 1),
        goal(Grows::SpansInRequest, 512),
        goal(Grows::Connections, 1),
        goal(Grows::Rules, 1),
        goal(Grows::Services, 1),
    ]
}

fn spread(costs: &[f64]) -> Option<f64> {
    let dearest = costs.iter().copied().reduce(f64::max)?;
    Some(dearest / costs.iter().copied().reduce(f64::min)?)
}

/// A figure of these subjects, where they have one.
fn of_each(
    results: &Results,
    case: &str,
    subjects: &[Subject],
    unit: &str,
    of: impl Fn(&Row) -> f64,
) -> String {
    let there = subjects.iter().filter_map(|subject| {
        let row = results.row(case, SpanSize::Small, *subject)?;
        Some(format!("{} {}{unit}", subject.name(), short(of(row))))
    });
    there.collect::<Vec<_>>().join(", ")
}

fn short(number: f64) -> String {
    match number {
        _ if number.is_infinite() => "unknown".to_owned(),
        _ if number.abs() >= 100.0 || number.fract() == 0.0 => format!("{number:.0}"),
        _ => format!("{number:.2}"),
    }
}
