//! Built-in defaults, OpenTelemetry's variables, the file, and the relay's own variables, merged by figment.
//!
//! figment decides which source wins for each key; the nodes themselves are then taken from that source, so that every
//! value keeps its line, its type as written, and the file's order.

use std::collections::BTreeSet;

use figment::{
    Figment, Metadata, Profile, Provider,
    value::{Dict, Map, Value as Merged},
};

use crate::document::{Entry, Findings, Node, Place, Value, parse};

use super::{
    otel,
    schema::{self, Preset},
    sources::Surroundings,
    variables,
};

/// One source of settings. Its name tells whose value won.
struct Layer {
    name: &'static str,
    root: Node,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let dict = match figment_value(&self.root, &mut Vec::new()) {
            Merged::Dict(_, dict) => dict,
            _ => Dict::new(),
        };
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

/// Merges everything into one tree, in which every key that has a default is set. `file` is the file's root.
pub(super) fn merge(file: Node, around: &Surroundings<'_>, findings: &mut Findings) -> Node {
    let configured = destination_names(&file);
    let variables = variables::read(around, &file, findings);
    let opentelemetry = if configured.is_empty() && destination_names(&variables).is_empty() {
        otel::destination(around, findings)
    } else {
        mapping(Vec::new(), &Place::whole("environment"))
    };
    let mut names: BTreeSet<String> = configured.into_iter().collect();
    names.extend(destination_names(&variables));
    names.extend(destination_names(&opentelemetry));
    let layers = [
        Layer {
            name: "environment",
            root: variables,
        },
        Layer {
            name: "file",
            root: file,
        },
        Layer {
            name: "opentelemetry",
            root: opentelemetry,
        },
        Layer {
            name: "default",
            root: defaults(&names),
        },
    ];
    let figment = layers
        .iter()
        .rev()
        .fold(Figment::new(), |figment, layer| figment.merge(layer));
    let merged =
        Provider::data(&figment).expect("providers that cannot fail merge without failing");
    let root = Merged::from(merged.get(&Profile::Default).cloned().unwrap_or_default());
    let sources = Sources {
        layers: &layers,
        figment: &figment,
    };
    sources.node(&root, &mut Vec::new())
}

/// Nothing where a mapping belongs (`queue:` and no more) must not hide the defaults, so it is left out.
fn figment_value<'n>(node: &'n Node, names: &mut Vec<&'n str>) -> Merged {
    match &node.value {
        Value::Map(entries) => {
            let mut dict = Dict::new();
            for entry in entries {
                names.push(&entry.key);
                let empty_group = entry.node.value == Value::Null && schema::is_group(names);
                if !empty_group {
                    dict.insert(entry.key.clone(), figment_value(&entry.node, names));
                }
                names.pop();
            }
            Merged::from(dict)
        }
        // Lists are replaced whole and leaves are looked up again by their path: what is in them does not matter here.
        _ => Merged::from(String::new()),
    }
}

/// What is needed to turn figment's answer back into nodes with places.
struct Sources<'a> {
    layers: &'a [Layer],
    figment: &'a Figment,
}

impl Sources<'_> {
    fn node(&self, merged: &Merged, names: &mut Vec<String>) -> Node {
        let Merged::Dict(_, dict) = merged else {
            return self.winner(merged, names).clone();
        };
        let entries = self.order(dict, names).into_iter().map(|(key, place)| {
            names.push(key.clone());
            let node = self.node(&dict[&key], names);
            names.pop();
            Entry { key, place, node }
        });
        let entries = entries.collect();
        let place = self.first(names).map(|node| &node.place);
        mapping(entries, &place.cloned().unwrap_or_else(Place::built_in))
    }

    fn winner(&self, merged: &Merged, names: &[String]) -> &Node {
        let name = self.figment.get_metadata(merged.tag());
        let name = name.map_or("", |metadata| metadata.name.as_ref());
        self.layers
            .iter()
            .find(|layer| layer.name == name)
            .and_then(|layer| at(&layer.root, names))
            .expect("figment's values come from one of the layers")
    }

    /// The node at a path in the layer that comes first.
    fn first(&self, names: &[String]) -> Option<&Node> {
        self.layers.iter().find_map(|layer| at(&layer.root, names))
    }

    /// The keys of a merged mapping with their places: as the file orders them, then as the other sources do.
    fn order(&self, dict: &Dict, names: &[String]) -> Vec<(String, Place)> {
        let mut keys: Vec<(String, Place)> = Vec::with_capacity(dict.len());
        for layer in [1, 0, 2, 3].map(|index: usize| &self.layers[index]) {
            let Some(Value::Map(entries)) = at(&layer.root, names).map(|node| &node.value) else {
                continue;
            };
            for entry in entries {
                let known = keys.iter().any(|(key, _)| *key == entry.key);
                if !known && let Some(merged) = dict.get(&entry.key) {
                    let mut path = names.to_vec();
                    path.push(entry.key.clone());
                    keys.push((entry.key.clone(), self.key_place(merged, &path, entry)));
                }
            }
        }
        keys
    }

    /// A leaf stands where its winner does; a mapping where the file has it.
    fn key_place(&self, merged: &Merged, path: &[String], entry: &Entry) -> Place {
        match merged {
            Merged::Dict(..) => entry.place.clone(),
            _ => self.winner(merged, path).place.clone(),
        }
    }
}

/// The node at a path.
pub(super) fn at<'n>(root: &'n Node, names: &[String]) -> Option<&'n Node> {
    names.iter().try_fold(root, |node, name| match &node.value {
        Value::Map(entries) => entries
            .iter()
            .find(|entry| entry.key == *name)
            .map(|entry| &entry.node),
        _ => None,
    })
}

fn destination_names(root: &Node) -> Vec<String> {
    match at(root, &["destinations".to_owned()]).map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.iter().map(|entry| entry.key.clone()).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn mapping(entries: Vec<Entry>, place: &Place) -> Node {
    Node {
        value: Value::Map(entries),
        place: place.clone(),
    }
}

/// The defaults of the table, those of a destination for each name.
fn defaults(destinations: &BTreeSet<String>) -> Node {
    let mut root = mapping(Vec::new(), &Place::built_in());
    for key in schema::keys() {
        let Preset::Value(written) = key.default else {
            continue;
        };
        let mut node = parse("", written, &mut Findings::default()).expect("defaults are readable");
        node.place = Place::built_in();
        let names: Vec<&str> = key.path.split('.').collect();
        if names[0] == "destinations" {
            for destination in destinations {
                let names = [&["destinations", destination], &names[2..]].concat();
                insert(&mut root, &names, node.clone()).expect("the table has one kind a path");
            }
        } else {
            insert(&mut root, &names, node).expect("the table has one kind a path");
        }
    }
    root
}

/// Sets the node at a path, making the mappings on the way. The error is the node that is in the way.
pub(super) fn insert(root: &mut Node, names: &[&str], node: Node) -> Result<(), Node> {
    let Some((name, rest)) = names.split_first() else {
        *root = node;
        return Ok(());
    };
    let place = node.place.clone();
    let Value::Map(entries) = &mut root.value else {
        return Err(node);
    };
    let index = entries.iter().position(|entry| entry.key == *name);
    let index = index.unwrap_or_else(|| {
        entries.push(Entry {
            key: (*name).to_owned(),
            place: place.clone(),
            node: mapping(Vec::new(), &place),
        });
        entries.len() - 1
    });
    insert(&mut entries[index].node, rest, node)
}
