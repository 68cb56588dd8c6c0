//! The image and the compose file against the program, its configuration and each other. No container engine is asked.

use std::path::Path;

use otlp_relay::{
    config::{self, Config},
    document,
};

use super::{at, entries, examples::help, find, keys, load_shipped, string, strings, text, yaml};

const RELAY: &str = "otlp-relay";
const COMPOSE: &str = "docker/compose.yaml";
/// What the compose file mounts into the relay's container.
const MOUNTED: &str = "docker/otlp-relay";
/// The file in there that the relay finds.
const CONFIGURATION: &str = "config.yaml";

/// The configuration as the container loads it.
fn in_container() -> Config {
    let dockerfile = Dockerfile::read();
    let (name, value) = dockerfile.one("ENV").split_once('=').unwrap();
    load_shipped(&format!("{MOUNTED}/{CONFIGURATION}"), &[(name, value)])
}

/// All ports that a configuration listens on.
fn ports(config: &Config) -> Vec<u16> {
    let receivers = [config.receivers.grpc_listen, config.receivers.http_listen];
    let listeners = receivers.into_iter().flatten().chain([config.admin.listen]);
    listeners.map(|address| address.port()).collect()
}

/// The instructions of the last stage.
struct Dockerfile(Vec<(String, String)>);

impl Dockerfile {
    fn read() -> Self {
        let whole = text("docker/Dockerfile").replace("\\\n", " ");
        let instructions = whole.lines().filter(|line| !line.starts_with('#'));
        let split = |line: &str| {
            let (word, rest) = line.split_once(' ')?;
            Some((word.to_owned(), rest.trim().to_owned()))
        };
        Self(instructions.filter_map(split).collect())
    }

    fn all<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a str> {
        let matching = self.0.iter().filter(move |(found, _)| found == word);
        matching.map(|(_, rest)| rest.as_str())
    }

    fn one<'a>(&'a self, word: &'a str) -> &'a str {
        let mut all = self.all(word);
        let first = all.next().unwrap_or_else(|| panic!("no {word}"));
        assert!(all.next().is_none(), "{word} twice");
        first
    }
}

#[test]
fn the_image_fits_the_program() {
    let dockerfile = Dockerfile::read();
    let (variable, host) = dockerfile.one("ENV").split_once('=').unwrap();
    assert_eq!((variable, host), (config::LISTEN_HOST_VARIABLE, "0.0.0.0"));

    let defaults = super::load("relay.yaml", &[], &|_| Ok(b"# all defaults\n".into()));
    let exposed: Vec<u16> = dockerfile
        .one("EXPOSE")
        .split_whitespace()
        .map(|port| port.parse().unwrap())
        .collect();
    assert_eq!(exposed, ports(&defaults));

    let program = format!("/{}", env!("CARGO_PKG_NAME"));
    assert_eq!(dockerfile.one("ENTRYPOINT"), format!("[\"{program}\"]"));
    let (_, check) = dockerfile.one("HEALTHCHECK").split_once(" CMD ").unwrap();
    let check = list(check);
    assert_eq!(check[0], program);
    help(&check[1..].iter().map(String::as_str).collect::<Vec<_>>());
    for command in list(dockerfile.all("CMD").last().unwrap()) {
        help(&[&command]);
    }
    assert_ne!(dockerfile.one("USER").split(':').next(), Some("0"));
    assert!(
        dockerfile
            .one("RUN")
            .contains("docker/collect target/release/otlp-relay")
    );
    drop(text("docker/collect"));
}

/// `["a", "b"]`
fn list(json: &str) -> Vec<String> {
    let words = json.trim_matches(['[', ']']).split(',');
    words
        .map(|word| word.trim().trim_matches('"').to_owned())
        .collect()
}

/// The image is built by a compiler that is new enough, and Rust's version is said right where users read it.
#[test]
fn the_compiler_is_new_enough() {
    let minimum = env!("CARGO_PKG_RUST_VERSION");
    let dockerfile = Dockerfile::read();
    let image = dockerfile
        .all("FROM")
        .find_map(|from| from.strip_prefix("rust:"));
    let found = image.unwrap().split('-').next().unwrap();
    assert!(version(found) >= version(minimum), "{found} < {minimum}");
    assert!(text(super::README).contains(&format!("Rust ({minimum} or newer)")));
}

fn version(text: &str) -> Vec<u32> {
    text.split('.').map(|part| part.parse().unwrap()).collect()
}

#[test]
fn every_file_that_is_mounted_exists() {
    let compose = yaml(COMPOSE);
    let volumes = keys(at(&compose, &["volumes"]));
    for service in entries(at(&compose, &["services"])) {
        let Some(mounts) = find(&service.node, &["volumes"]) else {
            continue;
        };
        for mount in strings(mounts) {
            let source = mount.split(':').next().unwrap();
            let exists = match source.strip_prefix("./") {
                Some(path) => Path::new("docker").join(path).exists(),
                None => volumes.contains(&source),
            };
            assert!(exists, "{}: {mount}", service.key);
        }
    }
    let build = at(&compose, &["services", RELAY, "build"]);
    let context = Path::new("docker").join(string(at(build, &["context"])));
    assert!(context.join(string(at(build, &["dockerfile"]))).exists());
}

#[test]
fn the_relay_in_the_compose_file_finds_its_configuration() {
    let compose = yaml(COMPOSE);
    let relay = at(&compose, &["services", RELAY]);
    // Nothing names it, so that `healthcheck` finds the same one as `run`.
    assert!(find(relay, &["command"]).is_none());
    let mount = strings(at(relay, &["volumes"]))[0];
    let target = mount.split(':').nth(1).unwrap();
    let file = format!("{target}/{CONFIGURATION}");
    assert!(config::USUAL_FILES.contains(&file.as_str()), "{file}");
}

#[test]
fn the_ports_that_the_relay_publishes_are_its_own() {
    let compose = yaml(COMPOSE);
    let config = in_container();
    assert!(config.admin.listen.ip().is_unspecified());
    let mut published: Vec<u16> = strings(at(&compose, &["services", RELAY, "ports"]))
        .into_iter()
        .map(|mapping| mapping.rsplit(':').next().unwrap().parse().unwrap())
        .collect();
    published.sort_unstable();
    assert_eq!(published, ports(&config));
}

/// Who speaks to whom, by the names of services.
#[test]
fn the_endpoints_name_services_and_ports_that_exist() {
    let compose = yaml(COMPOSE);
    let services = at(&compose, &["services"]);
    let config = in_container();
    let grpc = config.receivers.grpc_listen.unwrap().port();
    let admin = config.admin.listen.port();

    let milvus = yaml("docker/milvus/milvus.yaml");
    let endpoint = string(at(&milvus, &["trace", "otlp", "endpoint"]));
    assert_eq!(endpoint, format!("{RELAY}:{grpc}"));

    let endpoint = &config.destinations[0].endpoint;
    assert_eq!(endpoint.host(), Some("jaeger"));
    assert!(find(services, &["jaeger"]).is_some());

    let prometheus = text("docker/prometheus/prometheus.yml");
    assert!(prometheus.contains(&format!("\"{RELAY}:{admin}\"")));
}

/// Milvus, then the relay, then Jaeger: `depends_on` backwards, and enough time for the relay to drain.
#[test]
fn the_stop_has_its_order_and_time() {
    let compose = yaml(COMPOSE);
    let depends_on = |service| keys(at(&compose, &["services", service, "depends_on"]));
    assert_eq!(depends_on("milvus"), [RELAY]);
    assert_eq!(depends_on(RELAY), ["jaeger"]);
    let grace = string(at(&compose, &["services", RELAY, "stop_grace_period"]));
    let grace = document::parse_duration(grace).unwrap();
    assert!(grace > in_container().shutdown_deadline);
}

/// A variable that the compose file sets for the relay, or its configuration reads, is known to the other side.
#[test]
fn variables_are_read_by_somebody() {
    let compose = yaml(COMPOSE);
    let configuration = text(&format!("{MOUNTED}/{CONFIGURATION}"));
    let relay = at(&compose, &["services", RELAY]);
    for name in find(relay, &["environment"]).map(keys).unwrap_or_default() {
        let read = name == config::LISTEN_HOST_VARIABLE
            || name.starts_with("OTLP_RELAY__")
            || configuration.contains(&format!("${{env:{name}"));
        assert!(read, "nobody reads {name}");
    }
    // Without the variable the configuration has to have a default, which loading shows.
    let config = in_container();
    assert!(config.to_yaml().contains("deployment.environment.name"));
}

/// A new service needs its lines in the tests above.
#[test]
fn the_services_are_these() {
    let compose = yaml(COMPOSE);
    let services = keys(at(&compose, &["services"]));
    assert_eq!(services, ["milvus", RELAY, "jaeger", "prometheus"]);
}
