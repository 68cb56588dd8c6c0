//! The command line: one function a command.

pub mod healthcheck;
