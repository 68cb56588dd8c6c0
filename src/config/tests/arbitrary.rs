//! Whatever a file or a variable holds, loading ends with a configuration or with mistakes, and never otherwise.

use proptest::prelude::*;

use super::*;

const SHIPPED: &str = include_str!("../../../config/otlp-relay.yaml");
const POLICIES: &str = include_str!("../../../config/policies.milvus.yaml");

/// What loading may answer; what it says is on lines of its own.
fn is_sound(world: &World) {
    match world.load() {
        Ok(config) => {
            let printed = config.to_yaml();
            let again = World {
                files: world.files.clone(),
                ..World::default()
            }
            .file("otlp-relay.yaml", &printed);
            let second = again.load().map(|config| config.to_yaml());
            assert_eq!(
                second.unwrap_or_else(|invalid| panic!("{invalid}\n{printed}")),
                printed
            );
        }
        Err(Invalid { findings, .. }) => {
            assert!(findings.any_mistake());
            let lines = findings.to_string().lines().count();
            assert_eq!(lines, findings.0.len(), "{findings}");
        }
    }
}

/// `text` with some bytes replaced by pieces that matter to YAML.
fn mutated(text: &'static str) -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "",
        "\n",
        "  ",
        "- ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        "&a ",
        "*a",
        "\t",
        "'",
        "\"",
        "#",
        "|\n",
        "null",
        "0",
        "-1",
        "1e9",
        ".inf",
        "${env:A}",
        "${",
        "!!str ",
        "---\n",
        "\u{0}",
        "ä",
        "\u{85}",
        "off",
        "destinations",
        "<<: ",
    ]);
    prop::collection::vec((0..text.len(), 0..8_usize, pieces), 1..6).prop_map(move |edits| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, removed, piece) in edits {
            let at = at.min(bytes.len());
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, piece.bytes());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

proptest! {
    #[test]
    fn any_text_is_a_configuration_or_a_mistake(text in "\\PC{0,200}|[-\\[\\]{}:,&*#?|>'\"%@` a1\n\t]{0,120}") {
        is_sound(&World::of(&text));
    }

    #[test]
    fn the_shipped_file_with_some_bytes_changed_is_one_or_the_other(text in mutated(SHIPPED)) {
        is_sound(&World::of(&text).file("policies.milvus.yaml", POLICIES));
    }

    #[test]
    fn so_are_the_shipped_policies(text in mutated(POLICIES)) {
        is_sound(&World::of(SHIPPED).file("policies.milvus.yaml", &text));
    }

    #[test]
    fn so_is_any_value_of_any_key_from_the_environment(
        index in 0..keys().len(),
        value in "\\PC{1,40}|[0-9]{1,20}(B|KiB|s|ms)?|auto|off|never|null|https?://[a-z0-9.:/@\\[\\]]{0,30}",
    ) {
        let path = keys()[index].path.replace('*', "jaeger");
        let variable = format!("OTLP_RELAY__{}", path.to_uppercase().replace('.', "__"));
        let world = World::of(SHIPPED).file("policies.milvus.yaml", POLICIES);
        is_sound(&world.variable(&variable, &value));
    }
}
