//! Coming from a Collector.
use crate::document::{Node, Value};
/// Whether a document is a Collector's configuration.
pub fn is_collector(root: &Node) -> bool {
    let Value::Map(entries) = &root.value else {
        return false;
    };
    let has = |key: &str| entries.iter().any(|entry| entry.key == key);
    has("service") || has("exporters") || has("processors")
}
