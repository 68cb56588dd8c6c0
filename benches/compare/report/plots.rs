//! Plots as SVG: bars that compare subjects, and lines of what the relay's cost depends on.

use std::{error::Error, path::Path};

use plotters::{
    coord::types::RangedCoordf64,
    prelude::*,
    style::{
        Color, RGBColor,
        text_anchor::{HPos, Pos, VPos},
    },
};

use crate::{
    cases::{CASES, SPAN_1},
    growth::Grows,
    results::{Results, mean},
    rig::requests::SpanSize,
    subjects::Subject,
    trial::Figures,
};

const SIZE: (u32, u32) = (900, 420);
const SMALL: (u32, u32) = (480, 300);
/// Subjects in the order of their bars, each with its colour: apart also for those who see fewer colours.
const SUBJECTS: [(Subject, RGBColor); 3] = [
    (Subject::Collector, RGBColor(0xd5, 0x5e, 0x00)),
    (Subject::Rotel, RGBColor(0x99, 0x99, 0x99)),
    (Subject::Relay, RGBColor(0x00, 0x72, 0xb2)),
];
/// Of the width of a group of bars: the gap to the next group, and one bar.
const GAP: f64 = 0.22;
const BAR: f64 = (1.0 - GAP) / SUBJECTS.len() as f64;

/// Cases from left to right, a logarithmic scale upwards.
type Chart<'area, 'file> =
    ChartContext<'area, SVGBackend<'file>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// What a plot of bars shows.
struct Bars {
    file: &'static str,
    title: &'static str,
    size: SpanSize,
    of: fn(&Figures) -> f64,
}

/// Draws every plot that this run has figures for.
pub(super) fn draw(results: &Results, folder: &Path) -> Result<(), Box<dyn Error>> {
    let cpu = |figures: &Figures| figures.cpu_us_per_span;
    for bars in [
        Bars {
            file: "cpu-381.svg",
            title: "CPU per span of 381 bytes, µs",
            size: SpanSize::Small,
            of: cpu,
        },
        Bars {
            file: "cpu-800.svg",
            title: "CPU per span of 800 bytes, µs",
            size: SpanSize::Large,
            of: cpu,
        },
        Bars {
            file: "p99.svg",
            title: "Answers, p99 in ms",
            size: SpanSize::Small,
            of: |figures| figures.p99_ms,
        },
        Bars {
            file: "rss.svg",
            title: "RSS high water, MiB",
            size: SpanSize::Small,
            of: |figures| figures.rss_mib,
        },
    ] {
        bars.draw(results, folder)?;
    }
    for grows in Grows::ALL {
        line(results, grows, folder)?;
    }
    Ok(())
}

impl Bars {
    /// Nothing where nothing was measured.
    fn draw(&self, results: &Results, folder: &Path) -> Result<(), Box<dyn Error>> {
        // A request of one span costs ten times the others' span, so its bars would be the only ones to see.
        let names = CASES.iter().map(|case| case.name);
        let cases: Vec<&str> = names
            .filter(|case| *case != SPAN_1)
            .filter(|case| self.value(results, case, Subject::Relay).is_some())
            .collect();
        let all = cases.iter().flat_map(|case| {
            SUBJECTS.map(|(subject, _)| self.value(results, case, subject).unwrap_or(0.0))
        });
        let roof = all.fold(0.0, f64::max) * 1.4;
        if cases.is_empty() {
            return Ok(());
        }
        let file = folder.join(self.file);
        let area = SVGBackend::new(&file, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, ("sans-serif", 18))
            .margin(10)
            .x_label_area_size(130)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..cases.len() as f64, 0.0..roof)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .disable_x_axis()
            .max_light_lines(1)
            .y_label_formatter(&|value| short(*value))
            .draw()?;
        for (place, (subject, colour)) in SUBJECTS.into_iter().enumerate() {
            let values: Vec<Option<f64>> = cases
                .iter()
                .map(|case| self.value(results, case, subject))
                .collect();
            one_subject(&mut chart, (subject, colour), place, &values)?;
        }
        case_names(&mut chart, &cases)?;
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()?;
        Ok(area.present()?)
    }

    fn value(&self, results: &Results, case: &str, subject: Subject) -> Option<f64> {
        let row = results.row(case, self.size, subject)?;
        Some(row.mean(self.of)).filter(|value| value.is_finite() && *value > 0.0)
    }
}

/// A subject's bar in every case where it has a value, with the value on it.
fn one_subject(
    chart: &mut Chart<'_, '_>,
    (subject, colour): (Subject, RGBColor),
    place: usize,
    values: &[Option<f64>],
) -> Result<(), Box<dyn Error>> {
    let tops = || {
        let numbered = values.iter().enumerate();
        numbered.filter_map(|(number, top)| {
            let left = number as f64 + GAP / 2.0 + place as f64 * BAR;
            Some((left, (*top)?))
        })
    };
    let bars =
        tops().map(|(left, top)| Rectangle::new([(left, 0.0), (left + BAR, top)], colour.filled()));
    chart
        .draw_series(bars)?
        .label(subject.name())
        .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], colour.filled()));
    let style = ("sans-serif", 10).into_text_style(chart.plotting_area());
    let style = style.pos(Pos::new(HPos::Center, VPos::Bottom));
    let texts =
        tops().map(|(left, top)| Text::new(short(top), (left + BAR / 2.0, top), style.clone()));
    chart.draw_series(texts)?;
    Ok(())
}

/// The cases' names below their bars, from top to bottom.
fn case_names(chart: &mut Chart<'_, '_>, cases: &[&str]) -> Result<(), Box<dyn Error>> {
    let style = ("sans-serif", 12)
        .into_font()
        .transform(FontTransform::Rotate90);
    let names = cases.iter().enumerate().map(|(number, case)| {
        let place = (number as f64 + 0.5, 0.0);
        EmptyElement::at(place) + Text::new((*case).to_owned(), (8, 6), style.clone())
    });
    chart.draw_series(names)?;
    Ok(())
}

fn line(results: &Results, grows: Grows, folder: &Path) -> Result<(), Box<dyn Error>> {
    let cost = |figures: &Figures| figures.cpu_us_per_span;
    let points: Vec<(f64, f64)> = results
        .series(grows)
        .into_iter()
        .map(|point| (f64::from(point.at), mean(&point.rounds, cost)))
        .collect();
    let [(first, _), .., (last, _)] = points[..] else {
        return Ok(());
    };
    let roof = points.iter().map(|(_, cost)| *cost).fold(0.0, f64::max) * 1.2;
    let name = grows.name();
    let file = folder.join(format!("growth-{}.svg", name.replace(' ', "-")));
    let area = SVGBackend::new(&file, SMALL).into_drawing_area();
    area.fill(&WHITE)?;
    let (_, colour) = SUBJECTS[2];
    let mut chart = ChartBuilder::on(&area)
        .caption(format!("CPU per span in µs, by {name}"), ("sans-serif", 15))
        .margin(10)
        .margin_right(25)
        .x_label_area_size(30)
        .y_label_area_size(50)
        .build_cartesian_2d((first..last).log_scale(), 0.0..roof)?;
    chart
        .configure_mesh()
        .max_light_lines(1)
        .x_label_formatter(&|value| format!("{value:.0}"))
        .draw()?;
    chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?;
    chart.draw_series(
        points
            .iter()
            .map(|point| Circle::new(*point, 4, colour.filled())),
    )?;
    Ok(area.present()?)
}

fn short(value: f64) -> String {
    match value {
        ..1.0 => format!("{value:.2}"),
        ..10.0 => format!("{value:.1}"),
        ..10_000.0 => format!("{value:.0}"),
        _ => format!("{:.0} k", value / 1e3),
    }
}
