//! The command line: one function a command, each ending in an exit code.
//!
//! It parses arguments and prints; everything else happens in the rooms before it.

mod check;
mod demo;
mod healthcheck;
mod load;
mod log;
mod print_config;
mod run;
mod send;
mod signals;
mod trace;

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand, ValueEnum};

use crate::config::{self, Surroundings};

/// Wrong usage or configuration; clap's own code for wrong usage too.
const WRONG_USAGE: u8 = 2;

/// Where the admin port is asked for when the configuration has it wrong.
const ADMIN_USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8888);

/// Version and commit.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("OTLP_RELAY_COMMIT"),
    ")"
);

/// An OTLP trace relay between Milvus and Jaeger: samples, enriches, batches, and loses nothing it accepted.
#[derive(Debug, Parser)]
#[command(name = "otlp-relay", version = VERSION, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Where the configuration comes from, for the commands that have one.
#[derive(Debug, clap::Args)]
struct Source {
    /// The configuration file. Without it: otlp-relay.yaml here, then /etc/otlp-relay/config.yaml, else built-in defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the relay: what happens without a command.
    Run {
        #[command(flatten)]
        source: Source,
    },
    /// Validates everything and lists all mistakes and warnings.
    Check {
        #[command(flatten)]
        source: Source,
        /// Also resolves and reaches each destination.
        #[arg(long)]
        destinations: bool,
    },
    /// Prints the configuration in force, every default filled in, secrets masked.
    PrintConfig {
        #[command(flatten)]
        source: Source,
    },
    /// Asks a running relay whether it is alive: exit code 0 when it is.
    Healthcheck {
        #[command(flatten)]
        source: Source,
        /// Asks whether it is ready.
        #[arg(long)]
        ready: bool,
        /// Where its admin port is.
        #[arg(long)]
        url: Option<String>,
    },
    /// Sends a small test trace, and prints its id and what was answered.
    Send {
        /// Where to.
        #[arg(long, value_name = "URL")]
        endpoint: Option<String>,
        /// How.
        #[arg(long, value_enum, default_value = "grpc")]
        protocol: WireProtocol,
        /// How many traces.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        count: u32,
    },
    /// Shows the whole thing on this machine alone: a relay, a Milvus-like load, and the embedded trace store.
    Demo {
        /// Ends after this many seconds; else on Ctrl-C.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        seconds: Option<u64>,
    },
}

/// A protocol of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum WireProtocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with protobuf.
    Http,
}

/// What a command that only prints has to say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// For standard output.
    pub text: String,
    /// What went wrong, for standard error.
    pub complaint: String,
    /// The exit code.
    pub code: u8,
}

/// Runs the command that the process' arguments name.
pub fn main() -> ExitCode {
    let Arguments { source, command } = Arguments::parse();
    match command.unwrap_or(Command::Run { source }) {
        Command::Run { source } => run::run(source.file()),
        Command::Check {
            source,
            destinations,
        } => print(&check::run(source.file(), destinations)),
        Command::PrintConfig { source } => print(&print_config::run(source.file())),
        Command::Healthcheck { source, ready, url } => print(&ask(source.file(), ready, url)),
        Command::Send {
            endpoint,
            protocol,
            count,
        } => send::run(endpoint.as_deref(), protocol, count),
        Command::Demo { seconds } => demo::run(seconds),
    }
}

impl Source {
    fn file(&self) -> Option<&Path> {
        self.config.as_deref()
    }
}

/// Asks the relay at `url`, or the one that this configuration describes.
fn ask(config: Option<&Path>, ready: bool, url: Option<String>) -> Output {
    let url = url.unwrap_or_else(|| {
        let listen = config::admin_listen(config, &Surroundings::of_process());
        healthcheck::url_of(listen.unwrap_or(ADMIN_USUAL))
    });
    match healthcheck::healthcheck(&url, ready, healthcheck::DEADLINE) {
        Ok(answer) => Output {
            text: format!("{}\n", answer.trim_end()),
            ..Output::default()
        },
        Err(message) => Output {
            complaint: format!("{message}\n"),
            code: 1,
            ..Output::default()
        },
    }
}

/// Prints to standard output.
fn say(text: &str) {
    write(io::stdout().lock(), text);
}

/// Prints to standard error, where whoever pipes the output away still sees it.
fn complain(text: &str) {
    write(io::stderr().lock(), text);
}

/// A reader that has gone away, as `head` does, is no error.
fn write(mut to: impl Write, text: &str) {
    drop(to.write_all(text.as_bytes()).and_then(|()| to.flush()));
}

fn print(output: &Output) -> ExitCode {
    say(&output.text);
    complain(&output.complaint);
    ExitCode::from(output.code)
}

/// The runtime of a command.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It was taken everywhere, and `demo` and `send` ran without it all the same.
    #[test]
    fn only_commands_with_a_configuration_take_one() {
        for (line, taken) in [
            ("", true),
            ("run", true),
            ("check", true),
            ("print-config", true),
            ("healthcheck", true),
            ("demo", false),
            ("send", false),
        ] {
            let words = ["otlp-relay"].into_iter().chain(line.split_whitespace());
            let parsed = Arguments::try_parse_from(words.chain(["--config", "x.yaml"]));
            assert_eq!(parsed.is_ok(), taken, "{line}: {parsed:?}");
        }
        // Before the command it would be ignored.
        Arguments::try_parse_from(["otlp-relay", "--config", "x.yaml", "demo"]).unwrap_err();
    }
}
