//! The relay's configuration.

use std::{fmt::Write, fs, io, net::SocketAddr, path::Path, process::Command};

use super::{
    Addresses, BATCH_SPANS, BATCHES_IN_FLIGHT, RESOURCE_ATTRIBUTE, SPAN_ATTRIBUTE, Setup, Work,
    scrape,
};
use crate::rig::requests::Transport;

/// Bytes of a batch at most: so many that its spans are what ends it.
const BATCH_MIB_MAX: u32 = 32;

pub(super) fn arguments(
    command: &mut Command,
    setup: &Setup,
    addresses: Addresses,
    wide: bool,
    folder: &Path,
) -> io::Result<()> {
    let policies = match (&setup.policies, setup.work) {
        (Some(policies), _) => policies,
        (None, Work::Enrich) => "default: { sample_fraction: 1 }\n",
        (None, Work::TenPercent) => "default: { sample_fraction: 0.1 }\n",
    };
    fs::write(folder.join("policies.yaml"), policies)?;
    let file = folder.join("otlp-relay.yaml");
    fs::write(&file, configuration(setup, addresses, wide))?;
    command.args(["run", "--config"]).arg(file);
    Ok(())
}

fn configuration(setup: &Setup, addresses: Addresses, wide: bool) -> String {
    let Addresses { grpc, http, admin } = addresses;
    let (key, value) = RESOURCE_ATTRIBUTE;
    let mut written = format!(
        "receivers: {{ grpc: {{ listen: \"{grpc}\" }}, http: {{ listen: \"{http}\" }} }}\n\
         admin: {{ listen: \"{admin}\" }}\n\
         log: {{ level: warn }}\n\
         sampling: {{ policy_file: policies.yaml }}\n\
         enrichment:\n\
         \x20 - {{ on: resource, set: {{ {key}: {value} }} }}\n"
    );
    let mut add = |lines: std::fmt::Arguments<'_>| {
        written
            .write_fmt(lines)
            .expect("a string takes what is written");
    };
    if setup.work == Work::TenPercent {
        let (key, value) = SPAN_ATTRIBUTE;
        add(format_args!(
            "  - {{ on: span, set: {{ {key}: {value} }} }}\n"
        ));
    }
    let (protocol, destination) = (protocol(setup.transport), setup.destination);
    let compression = if setup.gzip { "gzip" } else { "none" };
    add(format_args!(
        "destinations:\n\
         \x20 sink:\n\
         \x20   endpoint: \"http://{destination}\"\n\
         \x20   protocol: {protocol}\n\
         \x20   compression: {compression}\n"
    ));
    if wide {
        let spans_in_flight = BATCH_SPANS * BATCHES_IN_FLIGHT;
        add(format_args!(
            "    spans_in_flight_max: {spans_in_flight}\n\
             \x20   concurrency: {BATCHES_IN_FLIGHT}\n\
             batch: {{ spans: {BATCH_SPANS}, bytes: {BATCH_MIB_MAX}MiB, bytes_max: {BATCH_MIB_MAX}MiB }}\n"
        ));
    }
    written
}

fn protocol(transport: Transport) -> &'static str {
    match transport {
        Transport::Grpc => "grpc",
        Transport::Http => "http",
    }
}

pub(super) fn sampled_out(admin: SocketAddr) -> Option<u64> {
    let ledger = scrape::get(admin, "/api/v1/ledger")?;
    let ledger: serde_json::Value = serde_json::from_str(&ledger).ok()?;
    ledger["sampled_out"].as_u64()
}
