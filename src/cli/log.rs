//! Log lines: text for people or JSON for machines, on standard error, as the configuration in force says.

use std::io;

use tracing::Subscriber;
use tracing_subscriber::{
    Layer, Registry,
    filter::LevelFilter,
    fmt::{self, writer::BoxMakeWriter},
    layer::SubscriberExt,
    reload,
};

use crate::{
    config::{Log, LogFormat},
    relay::SetLog,
};

/// From now on log lines are written, and later as the answer is told.
pub(super) fn init(log: Log) -> SetLog {
    let (subscriber, set_log) = subscriber(log, || BoxMakeWriter::new(io::stderr));
    tracing::subscriber::set_global_default(subscriber)
        .expect("a program starts its log once, before anything else does");
    set_log
}

fn subscriber(log: Log, writer: fn() -> BoxMakeWriter) -> (impl Subscriber, SetLog) {
    let (layer, handle) = reload::Layer::new(lines(log, writer()));
    let set_log = move |log: Log| {
        let set = handle.reload(lines(log, writer()));
        set.expect("the subscriber lives as long as the process");
    };
    (Registry::default().with(layer), Box::new(set_log))
}

fn lines(log: Log, writer: BoxMakeWriter) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = fmt::layer().with_writer(writer).with_target(false);
    let lines = match log.format {
        LogFormat::Text => {
            let ansi = io::IsTerminal::is_terminal(&io::stderr());
            lines.with_ansi(ansi).boxed()
        }
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // The filter outermost: what stands within a layer on a registry is not asked for its level, and every trace event of
    // the libraries would be looked at before it is dropped.
    lines.and_then(LevelFilter::from_level(log.level)).boxed()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing::Level;

    use super::*;

    static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

    struct Writer;

    impl io::Write for Writer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            WRITTEN.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a warning, a fact and a detail leave behind.
    fn written() -> Vec<String> {
        tracing::warn!(count = 7, "warning");
        tracing::info!("fact");
        tracing::debug!("detail");
        let bytes = std::mem::take(&mut *WRITTEN.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn level_and_format_change_while_lines_are_written() {
        use LogFormat::{Json, Text};
        let log = |format, level| Log { format, level };
        let (subscriber, set_log) =
            subscriber(log(Text, Level::INFO), || BoxMakeWriter::new(|| Writer));
        assert_eq!(subscriber.max_level_hint(), Some(LevelFilter::INFO));
        tracing::subscriber::with_default(subscriber, || {
            let lines = written();
            assert_eq!(lines.len(), 2, "{lines:?}");
            assert!(lines[0].ends_with("WARN warning count=7"), "{lines:?}");
            for (level, count) in [(Level::WARN, 1), (Level::DEBUG, 3), (Level::ERROR, 0)] {
                set_log(log(Text, level));
                assert_eq!(written().len(), count, "{level}");
            }
            set_log(log(Json, Level::WARN));
            let line: serde_json::Value = serde_json::from_str(&written()[0]).unwrap();
            assert_eq!(line["message"], "warning");
            assert_eq!(line["count"], 7);
        });
    }
}
