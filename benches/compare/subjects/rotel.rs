//! Rotel's arguments. It has no sampler of its own, and no metrics about itself.

use std::{path::Path, process::Command};

use super::{Addresses, BATCH_SPANS, REQUEST_MIB_MAX, RESOURCE_ATTRIBUTE, Setup, Work};
use crate::rig::requests::Transport;

pub(super) fn arguments(command: &mut Command, setup: &Setup, addresses: Addresses, folder: &Path) {
    assert_eq!(setup.work, Work::Enrich, "Rotel cannot sample");
    let (key, value) = RESOURCE_ATTRIBUTE;
    let destination = setup.destination;
    let protocol = match setup.transport {
        Transport::Grpc => "grpc",
        Transport::Http => "http",
    };
    // `none` is what is asked for; this version compresses all the same.
    let compression = if setup.gzip { "gzip" } else { "none" };
    let arguments = [
        ("otlp-grpc-endpoint", addresses.grpc.to_string()),
        ("otlp-http-endpoint", addresses.http.to_string()),
        (
            "otlp-grpc-max-recv-msg-size-mib",
            REQUEST_MIB_MAX.to_string(),
        ),
        ("exporter", "otlp".to_owned()),
        ("otlp-exporter-endpoint", format!("http://{destination}")),
        ("otlp-exporter-protocol", protocol.to_owned()),
        ("otlp-exporter-compression", compression.to_owned()),
        ("batch-max-size", BATCH_SPANS.to_string()),
        ("otel-resource-attributes", format!("{key}={value}")),
        ("pid-file", folder.join("rotel.pid").display().to_string()),
    ];
    command.arg("start");
    for (name, value) in arguments {
        command.args([format!("--{name}"), value]);
    }
}
