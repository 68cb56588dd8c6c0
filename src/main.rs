//! The `otlp-relay` program: see `otlp_relay::cli`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Request-sized buffers come and go all the time: mimalloc keeps their pages, glibc gives them back to the kernel.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    otlp_relay::cli::main()
}
