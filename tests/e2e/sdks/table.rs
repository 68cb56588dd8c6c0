//! The clients that the relay is tested with, a row each: what `sdks` runs, and what `docs/CONFORMANCE.md` lists.
//!
//! Only facts, so that the test of the documents can read them without the parts of a scenario.
#![allow(
    dead_code,
    reason = "the scenario needs other columns than the documents"
)]

/// One exporter of one SDK.
#[derive(Debug)]
pub(crate) struct Client {
    /// Also its `service.name`.
    pub(crate) name: &'static str,
    pub(crate) sdk: Sdk,
    pub(crate) protocol: Protocol,
    pub(crate) refused: Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sdk {
    /// The version of Milvus' own tutorial.
    PythonOfTutorial,
    Python,
    Node,
    Rust,
    Go,
    Java,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    Protobuf,
    Json,
}

/// What a client does when it is told to come again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It comes again, for longer than the few seconds of the test.
    ComesAgain,
    /// What was refused is lost, whatever the answer was.
    GivesUp,
}

pub(crate) const CLIENTS: &[Client] = &[
    client("python-1.33-grpc", Sdk::PythonOfTutorial, Protocol::Grpc),
    client(
        "python-1.33-http",
        Sdk::PythonOfTutorial,
        Protocol::Protobuf,
    ),
    client("python-grpc", Sdk::Python, Protocol::Grpc),
    client("python-http", Sdk::Python, Protocol::Protobuf),
    Client {
        refused: Refused::GivesUp,
        ..client("node-grpc", Sdk::Node, Protocol::Grpc)
    },
    client("node-http-protobuf", Sdk::Node, Protocol::Protobuf),
    client("node-http-json", Sdk::Node, Protocol::Json),
    client("rust-grpc", Sdk::Rust, Protocol::Grpc),
    client("rust-http-protobuf", Sdk::Rust, Protocol::Protobuf),
    client("rust-http-json", Sdk::Rust, Protocol::Json),
    client("go-grpc", Sdk::Go, Protocol::Grpc),
    client("go-http", Sdk::Go, Protocol::Protobuf),
    client("java-grpc", Sdk::Java, Protocol::Grpc),
    client("java-http", Sdk::Java, Protocol::Protobuf),
];

/// Most come again.
const fn client(name: &'static str, sdk: Sdk, protocol: Protocol) -> Client {
    Client {
        name,
        sdk,
        protocol,
        refused: Refused::ComesAgain,
    }
}

// === impl Sdk ===

impl Sdk {
    pub(crate) const fn language(self) -> &'static str {
        match self {
            Self::PythonOfTutorial | Self::Python => "Python",
            Self::Node => "Node",
            Self::Rust => "Rust",
            Self::Go => "Go",
            Self::Java => "Java",
        }
    }

    /// The version, the file that pins it, and the words that do.
    pub(crate) const fn pinned(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::PythonOfTutorial => (
                "1.33.1",
                "tests/e2e/install",
                "opentelemetry-exporter-otlp==1.33.1",
            ),
            Self::Python => (
                "1.45.2",
                "tests/e2e/install",
                "opentelemetry-exporter-otlp==1.45.2",
            ),
            Self::Node => (
                "0.223.1",
                "tests/e2e/clients/sdks/node/package.json",
                "\"@opentelemetry/exporter-trace-otlp-grpc\": \"0.223.1\"",
            ),
            Self::Rust => (
                "0.33.1",
                "Cargo.lock",
                "name = \"opentelemetry-otlp\"\nversion = \"0.33.1\"",
            ),
            Self::Go => (
                "1.47.0",
                "tests/e2e/clients/sdks/go/go.mod",
                "otlptrace/otlptracegrpc v1.47.0",
            ),
            Self::Java => (
                "1.66.0",
                "tests/e2e/clients/sdks/java/pom.xml",
                "<artifactId>opentelemetry-bom</artifactId>\n        <version>1.66.0</version>",
            ),
        }
    }
}

// === impl Protocol ===

impl Protocol {
    /// As `OTEL_EXPORTER_OTLP_PROTOCOL` spells it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Protobuf => "http/protobuf",
            Self::Json => "http/json",
        }
    }
}

// === impl Refused ===

impl Refused {
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::ComesAgain => "comes again; nothing is missing",
            Self::GivesUp => "gives up at once; exactly what was refused is missing",
        }
    }
}
