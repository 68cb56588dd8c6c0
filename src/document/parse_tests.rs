//! Documents read and refused.

use super::*;

fn read(text: &str) -> (Option<Node>, Vec<String>) {
    let mut findings = Findings::default();
    let node = parse("f.yaml", text, &mut findings);
    let lines = findings.0.iter().map(ToString::to_string).collect();
    (node, lines)
}

fn node(text: &str) -> Node {
    let (node, findings) = read(text);
    assert!(findings.is_empty(), "{findings:?}");
    node.unwrap()
}

/// A tree without its places, as a word.
fn plain(node: &Node) -> String {
    match &node.value {
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(plain).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Map(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|entry| format!("{}:{}", entry.key, plain(&entry.node)))
                .collect();
            format!("{{{}}}", entries.join(" "))
        }
        Value::String(text) => format!("'{text}'"),
        other => other.in_words().replace("the number ", ""),
    }
}

#[test]
fn documents_become_trees() {
    let cases = [
        ("", "nothing"),
        ("# only a comment\n", "nothing"),
        ("a: 1\nb:\n  - x\n  - 'y'\n", "{a:1 b:['x' 'y']}"),
        ("a: { b: [1, 2.5], c: }\n", "{a:{b:[1 2.5] c:nothing}}"),
        ("8888: \"7\"\n", "{8888:'7'}"),
        ("a: !!str 7\n", "{a:'7'}"),
        ("---\na: |\n  two\n  lines\n", "{a:'two\nlines\n'}"),
        ("\u{feff}a: 1\n", "{a:1}"),
        (
            "a: &x { b: 1 }\nc: *x\nd: [*x]\n",
            "{a:{b:1} c:{b:1} d:[{b:1}]}",
        ),
        ("a: &x 7\n&k c: *x\n", "{a:7 c:7}"),
    ];
    for (text, expected) in cases {
        assert_eq!(plain(&node(text)), expected, "{text}");
    }
}

#[test]
fn every_node_knows_its_line() {
    let root = node("a:\n  b: 1\n\n  c:\n    - x\n");
    let Value::Map(entries) = &root.value else {
        panic!()
    };
    let Value::Map(inner) = &entries[0].node.value else {
        panic!()
    };
    let Value::List(items) = &inner[1].node.value else {
        panic!()
    };
    assert_eq!(entries[0].place.line, 1);
    assert_eq!(inner[0].place.line, 2);
    assert_eq!(inner[1].place.line, 4);
    assert_eq!(inner[1].node.place.line, 4);
    assert_eq!(items[0].place.to_string(), "f.yaml:5");
}

#[test]
fn a_key_used_twice_is_a_mistake_and_the_first_counts() {
    let (node, findings) = read("a:\n  - b: 1\n    c: 2\n    b: 3\nd: 4\nd: { e: 1 }\n");
    assert_eq!(plain(&node.unwrap()), "{a:[{b:1 c:2}] d:4}");
    assert_eq!(
        findings,
        [
            "f.yaml:4: mistake: a[0].b: used twice; the first is in line 2",
            "f.yaml:6: mistake: d: used twice; the first is in line 5",
        ]
    );
}

#[test]
fn what_is_no_usable_document_is_refused_with_its_line() {
    let cases = [
        ("a: 1\n\tb: 2\n", "f.yaml:2", "tab"),
        ("a: [1, 2\nb: 3\n", "f.yaml:", "not readable as YAML"),
        ("a: { b: ${env:X} }\n", "f.yaml:1", "into quotes"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2", "second document"),
        ("a: 1\n? [b]\n: 2\n", "f.yaml:2", "as a key"),
        ("a: &x b\n*x : 2\n", "f.yaml:2", "alias as a key"),
        ("a: *nope\n", "f.yaml:1", "not readable as YAML"),
        ("a: &x [*x]\n", "f.yaml:1", "own anchor"),
        ("a: \"\\q\"\n", "f.yaml:1", "not readable as YAML"),
    ];
    for (text, place, message) in cases {
        let (node, findings) = read(text);
        assert_eq!(node, None, "{text}");
        assert_eq!(findings.len(), 1, "{text}: {findings:?}");
        assert!(findings[0].starts_with(place), "{text}: {findings:?}");
        assert!(findings[0].contains(message), "{text}: {findings:?}");
    }
}

#[test]
fn a_tag_is_a_mistake() {
    let (node, findings) = read("a: !secret x\nb: !!set { c: }\n");
    assert_eq!(plain(&node.unwrap()), "{a:'x' b:{c:nothing}}");
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings[0].contains("the tag `!secret` is not understood"));
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(read(&nested(NESTING_MAX)).0.is_some());
    let (node, findings) = read(&nested(NESTING_MAX + 1));
    assert_eq!(node, None);
    assert!(findings[0].contains("deeper than 32"), "{findings:?}");
    // and a document that is nothing but brackets ends at once
    assert_eq!(read(&"[".repeat(DOCUMENT_BYTES_MAX)).0, None);
    // and through an alias
    let (node, findings) = read(&format!("a: &x {}\nb: [*x]\n", nested(NESTING_MAX - 1)));
    assert_eq!(node, None);
    assert!(findings[0].contains("by an alias"), "{findings:?}");
}

#[test]
fn size_is_bounded() {
    let text = |bytes: usize| format!("a: {}", "x".repeat(bytes - 3));
    assert!(read(&text(DOCUMENT_BYTES_MAX)).0.is_some());
    let (node, findings) = read(&text(DOCUMENT_BYTES_MAX + 1));
    assert_eq!(node, None);
    assert!(findings[0].contains("at most 1048576"), "{findings:?}");
}

#[test]
fn nodes_are_bounded_and_an_alias_bomb_stays_small() {
    let list = |items: usize| format!("[{}]", vec!["1"; items].join(","));
    assert!(read(&list(NODES_MAX - 1)).0.is_some());
    assert_eq!(read(&list(NODES_MAX)).0, None);
    // given nine lists, each of nine times the one before
    let mut bomb = vec!["a0: &a0 x".to_owned()];
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push(format!("a{level}: &a{level} [{aliases}]"));
    }
    // when, then
    let (node, findings) = read(&bomb.join("\n"));
    assert_eq!(node, None);
    assert!(findings[0].contains("aliases included"), "{findings:?}");
}
