//! What is written of a run: JSON, Markdown and plots.

mod goals;
mod plots;
mod tables;

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use crate::results::Results;

/// The part of a document that a run replaces.
const MARKS: [&str; 2] = ["<!-- results -->\n", "<!-- /results -->"];

/// Writes everything into one folder.
pub(crate) fn write(results: &Results, folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let json = serde_json::to_string_pretty(results)? + "\n";
    fs::write(folder.join("results.json"), json)?;
    fs::write(folder.join("results.md"), whole(results))?;
    plots::draw(results, folder)
}

/// A document with a part that a run replaces.
#[derive(Debug)]
pub(crate) struct Document {
    path: PathBuf,
    before: String,
    after: String,
}

impl Document {
    /// Reads it, before anything is measured: an hour later is late to find that the marks are missing.
    pub(crate) fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        let text = fs::read_to_string(path)?;
        let parts = text.split_once(MARKS[0]).and_then(|(before, rest)| {
            let (_, after) = rest.split_once(MARKS[1])?;
            Some((before, after))
        });
        let (before, after) =
            parts.ok_or_else(|| format!("{} lacks the lines {MARKS:?}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            before: before.to_owned(),
            after: after.to_owned(),
        })
    }

    /// Replaces the marked part by what is most asked for.
    pub(crate) fn write(&self, results: &Results) -> Result<(), Box<dyn Error>> {
        let Self {
            path,
            before,
            after,
        } = self;
        let (made, goals) = (tables::made(results), goals::table(results));
        let ratios = tables::ratios(results);
        let [open, close] = MARKS;
        let text = format!("{before}{open}{made}\n{goals}\n{ratios}{close}{after}");
        Ok(fs::write(path, text)?)
    }
}

/// All tables that this run has figures for.
pub(crate) fn whole(results: &Results) -> String {
    let about = "# Results\n\nWritten by `benches/compare/run`. \
                 [../PERFORMANCE.md](../PERFORMANCE.md) says how to read them.\n";
    let sections = [
        about.to_owned(),
        tables::made(results),
        format!("## Goals\n\n{}", goals::table(results)),
        tables::section(
            "CPU per span, as a multiple of the relay's",
            &tables::ratios(results),
        ),
        tables::rows(results),
        tables::section("Jaeger with its default settings", &tables::jaeger(results)),
        tables::section("Before the first span", &tables::still(results)),
        tables::section(
            "What the relay's cost per span depends on",
            &tables::growth(results),
        ),
    ];
    let there: Vec<String> = sections
        .into_iter()
        .filter(|section| !section.is_empty())
        .collect();
    there.join("\n")
}
