//! `check`: every mistake and warning, one a line, and on demand whether each destination can be reached.

use std::{fmt::Write, io, net::SocketAddr, path::Path, time::Duration};

use tokio::{
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::timeout,
};

use super::Output;
use crate::{
    config::{self, Config, Foreign, Surroundings},
    document::{Findings, Severity},
};

/// How long resolving a name, and connecting to what it resolves to, may each take: as long as one attempt to export.
const REACH_TIME_MAX: Duration = Duration::from_secs(5);

/// Why writing text cannot fail.
const WRITES: &str = "writing to a string does not fail";

/// Exit code 0, or 1 when there is a mistake or a destination that cannot be reached.
pub(super) fn run(file: Option<&Path>, destinations: bool) -> Output {
    check(file, destinations, &Surroundings::of_process())
}

fn check(file: Option<&Path>, destinations: bool, around: &Surroundings<'_>) -> Output {
    match config::foreign(file, around) {
        Some(Foreign::Collector(text)) => return reported(text, 1),
        Some(Foreign::Policies(findings)) => {
            let code = u8::from(findings.any_mistake());
            return reported(report(&findings, file), code);
        }
        None => {}
    }
    match config::load(file, around) {
        Ok(config) => {
            let text = report(&config.warnings, config.file.as_deref());
            let mut output = reported(text, 0);
            if destinations {
                try_destinations(&config, around, &mut output);
            }
            output
        }
        Err(invalid) => {
            let mut text = report(&invalid.findings, file);
            if destinations {
                text.push_str("destinations are tried once there is no mistake\n");
            }
            reported(text, 1)
        }
    }
}

/// The report is what was asked for, so it goes to standard output, mistakes and all.
fn reported(text: String, code: u8) -> Output {
    Output {
        text,
        code,
        ..Output::default()
    }
}

fn try_destinations(config: &Config, around: &Surroundings<'_>, output: &mut Output) {
    match super::runtime() {
        Ok(runtime) => {
            for (line, reached) in runtime.block_on(reach(config, around)) {
                output.text.push_str(&line);
                output.code = output.code.max(u8::from(!reached));
            }
            // A name that still resolves is not waited for.
            runtime.shutdown_background();
        }
        Err(error) => {
            writeln!(output.text, "destinations cannot be tried: {error}").expect(WRITES);
            output.code = 1;
        }
    }
}

/// The findings, then how many there are. `file` is what was read, where that is known.
fn report(findings: &Findings, file: Option<&Path>) -> String {
    let mut text = findings.to_string();
    let name = file.map_or_else(
        || "configuration".to_owned(),
        |file| file.display().to_string(),
    );
    let count = |severity, word| match findings.count(severity) {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    };
    let (mistakes, warnings) = (
        count(Severity::Mistake, "mistake"),
        count(Severity::Warning, "warning"),
    );
    writeln!(text, "{name}: {mistakes}, {warnings}").expect(WRITES);
    text
}

/// A line for each destination in the order of the file, and whether it was reached. All are tried at once.
async fn reach(config: &Config, around: &Surroundings<'_>) -> Vec<(String, bool)> {
    let mut tries = JoinSet::new();
    for (index, destination) in config.destinations.iter().enumerate() {
        let (host, port) = config::host_and_port(destination);
        let about = format!("destinations.{}: {host}:{port}", destination.name);
        tries.spawn(async move {
            let addresses = resolve(&host, port).await;
            let reached = match &addresses {
                Ok(addresses) => connect(addresses).await,
                Err(why) => Err(why.clone()),
            };
            (index, about, addresses.unwrap_or_default(), reached)
        });
    }
    let mut outcomes = tries.join_all().await;
    outcomes.sort_by_key(|(index, ..)| *index);
    let lines = outcomes.into_iter().map(|(_, about, addresses, reached)| {
        let own = addresses.into_iter().find_map(|address| {
            let listener = config.own_listener(address, around)?;
            Some(format!("{address} is this relay's own `{listener}`"))
        });
        match own.map_or(reached, Err) {
            Ok(address) => (format!("{about}: reached at {address}\n"), true),
            Err(why) => (format!("{about}: mistake: {why}\n"), false),
        }
    });
    lines.collect()
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let resolved = within(lookup_host((host, port))).await;
    resolved
        .map(Iterator::collect)
        .map_err(|error| format!("the name does not resolve: {error}"))
}

async fn connect(addresses: &[SocketAddr]) -> Result<SocketAddr, String> {
    let connecting = within(TcpStream::connect(addresses)).await;
    let stream = connecting.map_err(|error| format!("no connection: {error}"))?;
    stream
        .peer_addr()
        .map_err(|error| format!("no connection: {error}"))
}

async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer within 5 s");
    timeout(REACH_TIME_MAX, work).await.map_err(|_| late())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn checked(text: &str, destinations: bool) -> (String, u8) {
        let read = |path: &Path| match path.to_str() {
            Some("otlp-relay.yaml") => Ok(text.as_bytes().to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        let around = Surroundings::new(BTreeMap::new(), &read);
        let Output { text, code, .. } = check(None, destinations, &around);
        (text, code)
    }

    #[test]
    fn mistakes_and_warnings_are_lines_with_a_count_at_the_end() {
        assert_eq!(
            checked("log: { level: info }\n", false),
            ("otlp-relay.yaml: 0 mistakes, 0 warnings\n".to_owned(), 0)
        );
        let (text, code) = checked(
            "log: { level: loud }\ndestinations: { a: { endpoint: 'http://a', x: 1 } }\n",
            true,
        );
        assert_eq!(code, 1);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            "otlp-relay.yaml:1: mistake: log.level: found `loud`; allowed: error, warn, info, debug, trace"
        );
        assert!(
            lines[1].starts_with("otlp-relay.yaml:2: mistake: destinations.a.x: unknown key"),
            "{text}"
        );
        assert!(
            lines[2].starts_with("otlp-relay.yaml:2: warning: destinations.a.endpoint: no port"),
            "{text}"
        );
        assert_eq!(
            lines[3..],
            [
                "configuration: 2 mistakes, 1 warning",
                "destinations are tried once there is no mistake"
            ]
        );
    }

    #[test]
    fn a_policy_file_is_checked_by_itself() {
        let (text, code) = checked(
            "services: { standalone: { sample_fraction: 0.1 }, segcore: { sample_fraction: 0.1 } }\n",
            false,
        );
        assert_eq!(
            (&*text, code),
            ("configuration: 0 mistakes, 0 warnings\n", 0)
        );
        let (text, code) = checked(
            "default:\n  sample_fraction: ${env:NONE}\nrules: [{ match: { status: error }, sample_fraction: 7 }]\n",
            false,
        );
        assert_eq!(code, 1);
        let lines: Vec<_> = text.lines().collect();
        for (line, start) in lines.iter().zip([
            "otlp-relay.yaml:2: mistake: default.sample_fraction: the environment variable NONE is not set",
            "otlp-relay.yaml:3: warning: rules[0].match: looks at single spans",
            "otlp-relay.yaml:3: mistake: rules[0].sample_fraction: found the number 7",
            "configuration: 2 mistakes, 1 warning",
        ]) {
            assert!(line.starts_with(start), "{text}");
        }
    }

    #[test]
    fn a_collectors_file_is_translated() {
        let (text, code) = checked(
            "exporters: { debug: }\nservice: { pipelines: { traces: } }\n",
            false,
        );
        assert_eq!(code, 1);
        assert!(
            text.starts_with("otlp-relay.yaml is a Collector's configuration."),
            "{text}"
        );
        assert!(text.contains("  debug (line 1): store"), "{text}");
    }

    /// Only the resolver knows that this is 127.0.0.1.
    #[test]
    fn a_destination_that_resolves_to_the_relay_itself_is_a_mistake() {
        let (text, code) = checked(
            "destinations: { a: { endpoint: 'http://127.1:4317' } }\n",
            true,
        );
        assert_eq!(code, 1);
        let expected = "destinations.a: 127.1:4317: mistake: 127.0.0.1:4317 is this relay's own `receivers.grpc.listen`\n";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn destinations_are_reached_or_not() {
        // given a listener, and a port that was one
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap().port();
        let closed = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        // when
        let text = format!(
            "destinations:\n  a: {{ endpoint: 'http://127.0.0.1:{open}' }}\n  b: {{ endpoint: 'http://127.0.0.1:{closed}' }}\n  c: {{ endpoint: 'http://no.such.invalid:1' }}\n"
        );
        let (text, code) = checked(&text, true);
        // then
        assert_eq!(code, 1);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "otlp-relay.yaml: 0 mistakes, 0 warnings");
        assert_eq!(
            lines[1],
            format!("destinations.a: 127.0.0.1:{open}: reached at 127.0.0.1:{open}")
        );
        assert!(
            lines[2].starts_with(&format!(
                "destinations.b: 127.0.0.1:{closed}: mistake: no connection: "
            )),
            "{text}"
        );
        assert!(
            lines[3].starts_with(
                "destinations.c: no.such.invalid:1: mistake: the name does not resolve: "
            ),
            "{text}"
        );
    }
}
