//! The edits from outside: a list in YAML, messages in, messages out.

/// What passes untouched, byte by byte, and what costs nothing.
mod bytes;
/// Random requests and lists against a model on decoded objects.
mod model;
/// Each operation.
mod operations;
/// What an entry sees of the ones before it, on which level.
mod order;
/// Mistakes in the list.
mod reading;
/// A list in YAML, and a request written anew by it.
mod support;
