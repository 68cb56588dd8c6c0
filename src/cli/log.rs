//! Log lines: text for people or JSON for machines, on standard error.

use std::io;

use tracing_subscriber::filter::LevelFilter;

use crate::config::{Log, LogFormat};

/// From now on log lines are written. A second call changes nothing.
pub(super) fn init(log: &Log) {
    let lines = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(LevelFilter::from_level(log.level))
        .with_target(false);
    let set = match log.format {
        LogFormat::Text => {
            let ansi = io::IsTerminal::is_terminal(&io::stderr());
            tracing::subscriber::set_global_default(lines.with_ansi(ansi).finish())
        }
        LogFormat::Json => {
            tracing::subscriber::set_global_default(lines.json().flatten_event(true).finish())
        }
    };
    drop(set);
}
