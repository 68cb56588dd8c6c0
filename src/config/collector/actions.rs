//! The actions of the Collector's `attributes` and `resource` processors as entries of `enrichment`.

use crate::document::{Node, Value};

use super::{child, line, written};

/// Writes a line for each action of a list.
pub(super) fn translate(out: &mut String, on: &str, list: &str, node: &Node) {
    let Value::List(items) = &node.value else {
        return line(out, &format!("    {list} -> nothing"));
    };
    for (index, item) in items.iter().enumerate() {
        let equivalent = equivalent(on, item).unwrap_or_else(|| "nothing".to_owned());
        line(out, &format!("    {list}[{index}] -> {equivalent}"));
    }
}

fn equivalent(on: &str, item: &Node) -> Option<String> {
    let key = written(child(item, "key")?);
    let value = child(item, "value").map(written);
    let entry = |edit: &str| format!("enrichment: {{ on: {on}, {edit} }}");
    Some(match written(child(item, "action")?).as_str() {
        "insert" => entry(&format!("set_if_absent: {{ {key}: {} }}", value?)),
        "upsert" => entry(&format!("set: {{ {key}: {} }}", value?)),
        "update" => {
            let edit = entry(&format!("set: {{ {key}: {} }}", value?));
            format!("{edit}, which also adds it where it is missing")
        }
        "delete" => entry(&format!("remove: [{key}]")),
        "hash" => {
            let edit = entry(&format!("hash: [{key}]"));
            format!("{edit}, keyed by enrichment_hash_key_file, so with other values")
        }
        _ => return None,
    })
}
