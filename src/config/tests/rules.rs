//! What several keys must be together.

use super::*;

fn destination(rest: &str) -> World {
    World::of(&format!(
        "destinations:\n  jaeger:\n    endpoint: http://jaeger:4317\n    {rest}\n"
    ))
}

fn endpoint(url: &str, protocol: &str) -> World {
    World::of(&format!(
        "destinations:\n  a: {{ endpoint: '{url}', protocol: {protocol} }}\n"
    ))
}

const V2: &str = "0::/app/relay\n";

#[test]
fn the_automatic_budget_follows_the_cgroup() {
    let mib = |count: usize| count << 20;
    let v2 = |limit: &str| {
        World::default()
            .file("/proc/self/cgroup", V2)
            .file("/sys/fs/cgroup/app/relay/memory.max", "max\n")
            .file("/sys/fs/cgroup/app/memory.max", limit)
    };
    let v1 = |limit: &str| {
        World::default()
            .file(
                "/proc/self/cgroup",
                "12:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/ignored\n",
            )
            .file("/sys/fs/cgroup/memory/memory.limit_in_bytes", limit)
    };
    let bytes = |mebibytes: usize| format!("{}\n", mib(mebibytes));
    let cases = [
        (World::default(), mib(256)),
        (v2("max\n"), mib(256)),
        (v2(&bytes(4096)), mib(256)),
        (v2(&bytes(512)), mib(256)),
        (v2(&bytes(400)), mib(200)),
        (v2(&bytes(128)), mib(64)),
        (v1(&bytes(300)), mib(150)),
        (v1("9223372036854771712\n"), mib(256)),
    ];
    for (world, expected) in cases {
        assert_eq!(world.config().0.budget_bytes, expected);
    }
    assert_lines(
        &v2(&bytes(127)).mistakes(),
        &[
            "built-in default: mistake: budget.bytes: 63MiB (auto, of the cgroup's 127MiB) is less than 4 times receivers.request_bytes_max, which is 16MiB; allowed: at least 64MiB, or a smaller",
        ],
    );
    // a limit of some odd number is shown as people say it
    assert_lines(
        &v2("78293674").mistakes(),
        &["10MiB (auto, of the cgroup's 74MiB) is less than"],
    );
    // and a container too small for anything is told so, not a fault
    assert_lines(
        &v2(&bytes(32)).mistakes(),
        &["0 (auto, of the cgroup's 32MiB)"],
    );
}

/// A changed limit made every later reload a changed budget, which needs a restart.
#[test]
fn the_automatic_budget_stays_for_the_life_of_the_process() {
    let limited = |text: &str, mebibytes: usize| {
        World::of(text)
            .file("/proc/self/cgroup", V2)
            .file("/sys/fs/cgroup/memory.max", &(mebibytes << 20).to_string())
    };
    let auto = "queue: { wait_max: 1s }\n";
    let old = limited(auto, 400).config().0;
    for mebibytes in [300, 4096] {
        let new = limited(auto, mebibytes).after(&old).config().0;
        assert_eq!(new.budget_bytes, 200 << 20);
        assert_eq!(restart_needed(&old, &new), Findings::default());
    }
    // From a number to `auto` or back is a change where it comes to something else.
    let written = limited("budget: { bytes: 128MiB }\n", 400)
        .after(&old)
        .config()
        .0;
    assert!(restart_needed(&old, &written).any_mistake());
    let again = limited(auto, 400).after(&written).config().0;
    assert!(restart_needed(&written, &again).any_mistake());
}

#[test]
fn the_budget_holds_four_requests() {
    let world = |bytes: &str| {
        World::of(&format!(
            "budget: {{ bytes: {bytes} }}\nreceivers: {{ request_bytes_max: 1MiB }}\n"
        ))
    };
    assert!(world("4MiB").load().is_ok());
    assert_lines(
        &world("4194303B").mistakes(),
        &[
            "otlp-relay.yaml:1: mistake: budget.bytes: 4194303B is less than 4 times receivers.request_bytes_max, which is 1MiB; allowed: at least 4MiB",
        ],
    );
}

#[test]
fn a_budget_over_the_cgroups_limit_draws_a_warning() {
    let world = World::of("budget: { bytes: 2GiB }\n")
        .file("/proc/self/cgroup", V2)
        .file("/sys/fs/cgroup/memory.max", "1073741824");
    assert_lines(
        &world.config().1,
        &["2GiB is more than the cgroup's limit of 1GiB"],
    );
}

#[test]
fn the_queues_share_the_budget() {
    let world = |queue: &str| {
        World::of(&format!(
            "budget: {{ bytes: 8MiB }}\nreceivers: {{ request_bytes_max: 1MiB }}\nqueue: {{ bytes_max: {queue} }}\n\
             destinations: {{ a: {{ endpoint: 'http://a:1' }}, b: {{ endpoint: 'http://b:1' }} }}\n"
        ))
    };
    let bytes = |queue: &str| {
        let (config, _) = world(queue).config();
        config
            .destinations
            .iter()
            .map(|one| one.queue.bytes_max)
            .collect::<Vec<_>>()
    };
    assert_eq!(bytes("auto"), [2 << 20; 2]);
    assert_eq!(bytes("3MiB"), [3 << 20; 2]);
    assert_lines(
        &world("3145729B").mistakes(),
        &[
            "otlp-relay.yaml:3: mistake: queue.bytes_max: 3145729B for each of 2 queues is more than the budget of 8MiB less twice receivers.request_bytes_max, which is 1MiB; allowed: at most 3MiB, or auto",
        ],
    );
}

#[test]
fn a_batch_fits_its_own_limits() {
    assert!(
        World::of("batch: { bytes: 2MiB, bytes_max: 2MiB }")
            .load()
            .is_ok()
    );
    assert_lines(
        &World::of("batch: { bytes: 2097153B, bytes_max: 2MiB }").mistakes(),
        &["batch.bytes: 2097153B is more than batch.bytes_max, which is 2MiB"],
    );
    assert!(destination("spans_in_flight_max: 512").load().is_ok());
    assert_lines(
        &destination("spans_in_flight_max: 511").mistakes(),
        &[
            "otlp-relay.yaml:4: mistake: destinations.jaeger.spans_in_flight_max: 511 is less than batch.spans, which is 512",
        ],
    );
    assert!(destination("retry: { first: 3s }").load().is_ok());
    assert_lines(
        &destination("retry: { first: 3001ms }").mistakes(),
        &["destinations.jaeger.retry.first: 3001ms is longer than retry.max, which is 3s"],
    );
}

/// They were told of the built-in default, which nobody can change.
#[test]
fn what_is_wrong_between_two_keys_is_said_where_it_was_set() {
    let cases = [
        (
            "receivers: { request_bytes_max: 64MiB }\nbudget: { bytes: 200MiB }\n",
            "otlp-relay.yaml:2: mistake: budget.bytes",
        ),
        (
            "receivers: { request_bytes_max: 64MiB }\nbatch: { bytes: 4MiB }\n",
            "otlp-relay.yaml:2: mistake: batch.bytes",
        ),
        (
            "batch: { bytes_max: 1KiB }\n",
            "otlp-relay.yaml:1: mistake: batch.bytes",
        ),
        (
            "\nreceivers: { http: { listen: 8888 } }\n",
            "otlp-relay.yaml:2: mistake: admin.listen: port 8888",
        ),
        (
            "destinations: { a: { endpoint: 'http://a:1' } }\nbatch: { spans: 513 }\n",
            "otlp-relay.yaml:2: mistake: destinations.a.spans_in_flight_max",
        ),
        (
            "destinations:\n  a:\n    endpoint: http://a:1\n    retry: { max: 400ms }\n",
            "otlp-relay.yaml:4: mistake: destinations.a.retry.first: 500ms is longer than retry.max, which is 400ms",
        ),
    ];
    for (text, line) in cases {
        assert_lines(&World::of(text).mistakes(), &[line]);
    }
    let small = World::of("receivers: { request_bytes_max: 16MiB }\n")
        .file("/proc/self/cgroup", V2)
        .file("/sys/fs/cgroup/memory.max", "104857600");
    assert_lines(
        &small.mistakes(),
        &["otlp-relay.yaml:1: mistake: budget.bytes: 36MiB (auto"],
    );
}

#[test]
fn at_least_one_destination_is_required() {
    assert_lines(
        &destination("required: false").mistakes(),
        &["otlp-relay.yaml:2: mistake: destinations.jaeger.required: no destination is required"],
    );
    assert_lines(
        &World::of("store: { bytes_max: 0 }").mistakes(),
        &["store.bytes_max: 0 turns the embedded trace store off, and it is the only destination"],
    );
    let both = "destinations: { a: { endpoint: 'http://a:1' } }\nstore: { bytes_max: 0 }";
    assert!(World::of(both).load().is_ok());
}

#[test]
fn destinations_have_usable_names_and_a_bound() {
    let named = |name: &str| {
        World::of(&format!(
            "destinations: {{ '{name}': {{ endpoint: 'http://a:1' }} }}"
        ))
    };
    assert!(named("a-b_c.D9").load().is_ok());
    assert!(named(&"x".repeat(63)).load().is_ok());
    assert!(named(&"x".repeat(64)).load().is_ok());
    for name in ["", "a b", "ä", &"x".repeat(65)] {
        assert_lines(
            &named(name).mistakes(),
            &["a destination's name has 1 to 64 letters"],
        );
    }
    assert_lines(
        &named("store").mistakes(),
        &["belongs to the embedded trace store"],
    );
    let many = |count: usize| {
        let entries: Vec<_> = (0..count)
            .map(|n| format!("d{n}: {{ endpoint: 'http://a:{}' }}", n + 1))
            .collect();
        World::of(&format!("destinations: {{ {} }}", entries.join(", ")))
    };
    assert!(many(16).load().is_ok());
    assert!(
        many(17)
            .mistakes()
            .iter()
            .any(|line| line.contains("more than 16 destinations"))
    );
}

#[test]
fn endpoints_are_urls_of_somebody_else() {
    for (url, protocol) in [
        ("http://jaeger:4317", "grpc"),
        ("http://jaeger:4317/", "grpc"),
        ("https://[2001:db8::1]:4317", "grpc"),
        ("https://example.com/otlp", "http"),
        ("http://127.0.0.1:4319", "grpc"),
        ("http://127.0.0.2:4317", "grpc"),
    ] {
        assert!(endpoint(url, protocol).load().is_ok(), "{url}");
    }
    let cases = [
        (
            "jaeger:4317",
            "grpc",
            "`jaeger:4317` has no scheme: write http://jaeger:4317, or https://jaeger:4317 for TLS",
        ),
        (
            "tcp://jaeger:4317",
            "grpc",
            "found the scheme `tcp`; allowed: http, https",
        ),
        ("http://", "grpc", "http://"),
        ("http://jaeger:", "grpc", "lacks a host or a usable port"),
        ("http://jaeger:0", "grpc", "lacks a host or a usable port"),
        ("http://jaeger:70000", "grpc", "http://jaeger:70000"),
        (
            "http://jaeger:4317?a=b",
            "grpc",
            "the URL has a query or fragment",
        ),
        ("http://ja eger:4317", "grpc", "is no URL"),
        (
            "http://jaeger:4318/v1/traces",
            "grpc",
            "a gRPC endpoint has none",
        ),
        (
            "http://jaeger:4318/v1/traces",
            "http",
            "write the base URL, /v1/traces is added",
        ),
        (
            "http://jaeger:4318/x/v1/traces/",
            "http",
            "write the base URL",
        ),
        (
            "http://localhost:4317",
            "grpc",
            "is this relay's own `receivers.grpc.listen`",
        ),
        (
            "http://127.0.0.1:4318",
            "http",
            "is this relay's own `receivers.http.listen`",
        ),
        (
            "http://0.0.0.0:8888",
            "grpc",
            "is this relay's own `admin.listen`",
        ),
    ];
    for (url, protocol, part) in cases {
        assert_lines(&endpoint(url, protocol).mistakes(), &[part]);
    }
}

#[test]
fn a_port_that_is_usually_anothers_draws_a_warning() {
    let warned = [
        ("http://jaeger", "grpc", "no port, so 80 is used"),
        (
            "http://jaeger:4318",
            "grpc",
            "set protocol: http, or port 4317",
        ),
        (
            "http://jaeger:4317",
            "http",
            "set protocol: grpc, or port 4318",
        ),
    ];
    for (url, protocol, part) in warned {
        assert_lines(&endpoint(url, protocol).config().1, &[part]);
    }
}

#[test]
fn the_relay_knows_itself_by_every_address() {
    let own = |host: &str, listen: &str| {
        let text = format!(
            "receivers: {{ grpc: {{ listen: '{listen}:4317' }} }}\ndestinations: {{ a: {{ endpoint: 'http://{host}:4317' }} }}\n"
        );
        let world = World::of(&text).address("10.0.0.7").address("2001:db8::7");
        world.load().is_err()
    };
    let cases = [
        ("10.0.0.7", "0.0.0.0", true),
        ("10.0.0.8", "0.0.0.0", false),
        ("10.0.0.7", "127.0.0.1", false),
        ("10.0.0.7", "[::]", true),
        ("127.0.0.2", "0.0.0.0", true),
        ("[2001:db8::7]", "[::]", true),
        ("[2001:db8::7]", "0.0.0.0", false),
        ("[::ffff:127.0.0.1]", "127.0.0.1", true),
        ("[::ffff:10.0.0.7]", "0.0.0.0", true),
        ("localhost.", "127.0.0.1", true),
        ("LOCALHOST", "[::1]", true),
        ("localhost", "[::]", true),
        ("127.0.0.1", "[::1]", false),
        ("0.0.0.0", "127.0.0.1", true),
        ("0.0.0.0", "10.0.0.7", false),
        ("[::]", "[::1]", true),
    ];
    for (host, listen, expected) in cases {
        assert_eq!(
            own(host, listen),
            expected,
            "{host} with a listener on {listen}"
        );
    }
}

#[test]
fn the_relay_knows_itself_by_the_machines_name() {
    let own =
        || endpoint("http://relay-1:4317", "grpc").variable("OTLP_RELAY_LISTEN_HOST", "0.0.0.0");
    assert!(own().load().is_ok());
    assert_eq!(own().variable("HOSTNAME", "relay-1").mistakes().len(), 2);
    assert_eq!(own().file("/etc/hostname", "Relay-1\n").mistakes().len(), 2);
    // but not while it listens on loopback alone
    assert!(
        endpoint("http://relay-1:4317", "grpc")
            .variable("HOSTNAME", "relay-1")
            .load()
            .is_ok()
    );
}

#[test]
fn listeners_are_ports_or_addresses() {
    let cases = [
        ("4317", "127.0.0.1:4317"),
        ("0", "127.0.0.1:0"),
        ("65534", "127.0.0.1:65534"),
        ("65535", "127.0.0.1:65535"),
        ("'4317'", "127.0.0.1:4317"),
        ("0.0.0.0:4317", "0.0.0.0:4317"),
        ("localhost:4317", "127.0.0.1:4317"),
        ("'[::]:4317'", "[::]:4317"),
    ];
    for (written, address) in cases {
        let (config, _) =
            World::of(&format!("receivers: {{ grpc: {{ listen: {written} }} }}")).config();
        assert_eq!(
            config.receivers.grpc_listen,
            address.parse().ok(),
            "{written}"
        );
    }
    for (written, is_host) in [
        ("relay:4317", true),
        ("relay", false),
        ("0.0.0.0:65536", false),
        ("65536", false),
        ("-1", false),
    ] {
        let text = format!("receivers: {{ grpc: {{ listen: '{written}' }} }}");
        let mistakes = World::of(&text).mistakes();
        let told = mistakes[0].ends_with("; the name of another host cannot be listened on");
        assert_eq!(told, is_host, "{mistakes:?}");
    }
    let (config, _) = World::of("receivers: { grpc: { listen: off } }").config();
    assert_eq!(config.receivers.grpc_listen, None);
    let (config, warnings) = World::default()
        .variable("OTLP_RELAY_LISTEN_HOST", "0.0.0.0")
        .config();
    assert_eq!(config.receivers.http_listen, "0.0.0.0:4318".parse().ok());
    assert_lines(
        &warnings,
        &["0.0.0.0:8888 is not loopback, and there is no admin.token_file"],
    );
    assert_lines(
        &World::default()
            .variable("OTLP_RELAY_LISTEN_HOST", "everywhere")
            .mistakes(),
        &[
            "environment variable OTLP_RELAY_LISTEN_HOST: mistake: found `everywhere`; allowed: an IP address",
        ],
    );
}

#[test]
fn listeners_do_not_clash_and_are_not_all_off() {
    assert_lines(
        &World::of("receivers:\n  grpc: { listen: off }\n  http: { listen: off }\n").mistakes(),
        &["otlp-relay.yaml:3: mistake: receivers.http.listen: both listeners are off"],
    );
    assert_lines(
        &World::of("receivers:\n  grpc: { listen: 8888 }\n").mistakes(),
        &["admin.listen: port 8888 is `receivers.grpc.listen`'s already"],
    );
    assert_lines(
        &World::of("receivers: { grpc: { listen: 0.0.0.0:4318 } }").mistakes(),
        &["receivers.http.listen: port 4318 is `receivers.grpc.listen`'s already"],
    );
    assert!(
        World::of("receivers: { grpc: { listen: 127.0.0.2:4318 } }")
            .load()
            .is_ok()
    );
    let zeros = "receivers: { grpc: { listen: 0 }, http: { listen: 0 } }\nadmin: { listen: 0 }";
    assert!(World::of(zeros).load().is_ok());
}

#[test]
fn loopback_in_a_container_draws_a_warning() {
    let (_, warnings) = World::default().file("/.dockerenv", "").config();
    assert_lines(
        &warnings,
        &[
            "receivers.grpc.listen: 127.0.0.1:4317 cannot be reached from outside this container; set OTLP_RELAY_LISTEN_HOST=0.0.0.0",
            "receivers.http.listen: 127.0.0.1:4318 cannot be reached",
            "admin.listen: 127.0.0.1:8888 cannot be reached",
        ],
    );
    let exposed = World::default()
        .file("/.dockerenv", "")
        .variable("OTLP_RELAY_LISTEN_HOST", "0.0.0.0");
    assert_lines(&exposed.config().1, &["there is no admin.token_file"]);
}

#[test]
fn files_are_found_beside_the_configuration_and_watched() {
    let text = "
admin: { token_file: token }
destinations:
  a: { endpoint: 'https://a', headers_files: { authorization: bearer }, tls: { ca_file: /ca.pem } }
";
    let pem = rcgen::generate_simple_self_signed(["a".to_owned()])
        .unwrap()
        .cert
        .pem();
    let world = World::default()
        .file("/etc/relay/c.yaml", text)
        .file("/etc/relay/token", "secret\r\n")
        .file("/etc/relay/bearer", "Bearer x\n")
        .file("/ca.pem", &pem);
    let config = world.load_named(Some("/etc/relay/c.yaml")).unwrap();
    assert_eq!(config.admin.token.as_deref(), Some("secret"));
    assert_eq!(config.destinations[0].headers[0].1, "Bearer x");
    assert!(config.destinations[0].headers[0].1.is_sensitive());
    assert_eq!(
        config.destinations[0].tls.ca.as_deref(),
        Some(pem.as_bytes())
    );
    let watched = [
        ("/ca.pem", &*pem),
        ("/etc/relay/bearer", "Bearer x\n"),
        ("/etc/relay/c.yaml", text),
        ("/etc/relay/token", "secret\r\n"),
    ];
    let loaded = watched.map(|(path, text)| (path.into(), Some(fingerprint(text.as_bytes()))));
    assert_eq!(config.watched, loaded.into());
}

#[test]
fn what_could_mend_a_mistake_is_watched() {
    let watched = |world: &World, expected: &[(&str, bool)]| {
        let invalid = world.load().unwrap_err();
        let found: Vec<_> = invalid
            .watched
            .iter()
            .map(|(path, read)| (path.to_str().unwrap(), read.is_some()))
            .collect();
        assert_eq!(found, expected, "{invalid}");
    };
    let named = "sampling: { policy_file: p }\nadmin: { token_file: t }\n";
    let world = World::of(named).file("p", "default: { sample_fraction: 7 }\n");
    watched(
        &world,
        &[("otlp-relay.yaml", true), ("p", true), ("t", false)],
    );
    watched(&World::of("queue: ["), &[("otlp-relay.yaml", true)]);
}

#[test]
fn files_that_cannot_serve_are_mistakes() {
    let cases = [
        (
            "admin: { token_file: gone }",
            "admin.token_file: the file gone does not exist",
        ),
        (
            "admin: { token_file: empty }",
            "admin.token_file: the file empty is empty",
        ),
        (
            "admin: { token_file: lines }",
            "admin.token_file: the file lines is not one line of text",
        ),
        (
            "sampling: { policy_file: gone }",
            "sampling.policy_file: the file gone does not exist",
        ),
        (
            "sampling: { policy_file: empty }",
            "empty: mistake: the file is empty",
        ),
        (
            "enrichment_hash_key_file: gone",
            "enrichment_hash_key_file: the file gone does not exist",
        ),
        (
            "destinations: { a: { endpoint: 'https://a', tls: { ca_file: lines } } }",
            "tls.ca_file: the file lines holds no PEM of a certificate",
        ),
        (
            "destinations: { a: { endpoint: 'https://a', tls: { key_file: lines } } }",
            "tls.key_file: the file lines holds no PEM of a private key",
        ),
        (
            "destinations: { a: { endpoint: 'https://a', headers_files: { x: gone } } }",
            "headers_files.x: the file gone does not exist",
        ),
    ];
    for (text, part) in cases {
        let world = World::of(text).file("empty", "\n").file("lines", "a\nb\n");
        assert_lines(&world.mistakes(), &[part]);
    }
}

#[test]
fn a_certificate_and_its_key_belong_together() {
    let signed = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
    let world = |tls: &str| {
        World::of(&format!(
            "destinations: {{ a: {{ endpoint: 'https://a', tls: {tls} }} }}"
        ))
        .file("cert", &signed.cert.pem())
        .file("key", &signed.signing_key.serialize_pem())
        .file("other", &other.signing_key.serialize_pem())
    };
    let (config, _) = world("{ cert_file: cert, key_file: key }").config();
    assert!(config.destinations[0].tls.identity.is_some());
    assert_lines(
        &world("{ cert_file: cert, key_file: other }").mistakes(),
        &["a.tls.key_file: does not fit cert_file"],
    );
    assert_lines(
        &world("{ server_name: 'no name!' }").mistakes(),
        &["a.tls.server_name: \"no name!\" is no host name"],
    );
    assert_lines(
        &world("{ cert_file: cert }").mistakes(),
        &["tls.cert_file: cert_file needs key_file"],
    );
    assert_lines(
        &world("{ key_file: key }").mistakes(),
        &["tls.key_file: key_file needs cert_file"],
    );
    assert_lines(
        &world("{ insecure_skip_verify: true }").config().1,
        &["any certificate is taken"],
    );
}

#[test]
fn what_comes_later_is_refused_by_name() {
    assert_lines(
        &World::of("receivers: { acknowledge: delivered }").mistakes(),
        &["receivers.acknowledge: `delivered` does not exist yet; allowed: queued"],
    );
}

#[test]
fn an_origin_is_what_browsers_send() {
    let world = |origins: &str| {
        World::of(&format!(
            "receivers: {{ http: {{ cors_allowed_origins: [{origins}] }} }}"
        ))
    };
    for good in [
        "'*'",
        "https://shop.example",
        "'http://localhost:3000', 'chrome-extension://abc'",
        "'http://[::1]:3000'",
        "'null'",
    ] {
        assert_lines(&world(good).config().1, &[]);
    }
    for wrong in [
        "shop.example",
        "https://shop.example/",
        "https://Shop.example",
        "'https://*.example'",
        "'://x'",
        "''",
    ] {
        assert_lines(
            &world(wrong).mistakes(),
            &["receivers.http.cors_allowed_origins: `"],
        );
    }
}

/// Whoever adds a key decides here: it reloads, or it says that it does not.
#[test]
fn every_other_key_changes_with_a_reload() {
    let of_jaeger = "destinations: { jaeger: { endpoint: 'http://jaeger:4317' } }";
    let (old, _) = World::of(of_jaeger).config();
    let fixed = keys().iter().filter(|key| {
        let (mut new, _) = World::of(of_jaeger).config();
        let path = key.path.replace('*', "jaeger");
        new.settings.resolve(&path, Setting::Text("changed".into()));
        restart_needed(&old, &new).any_mistake()
    });
    assert_eq!(
        fixed.map(|key| key.path).collect::<Vec<_>>(),
        [
            "receivers.grpc.listen",
            "receivers.http.listen",
            "budget.bytes",
            "admin.listen",
            "metrics.collector_names",
        ]
    );
}

#[test]
fn a_changed_listener_or_budget_needs_a_restart() {
    let old = World::default().config().0;
    let same = World::of("queue: { wait_max: 1s }\n").config().0;
    assert_eq!(restart_needed(&old, &same), Findings::default());
    let text =
        "admin: { listen: 9999 }\nreceivers:\n  grpc: { listen: off }\nbudget: { bytes: 128MiB }\n";
    let mut findings = restart_needed(&old, &World::of(text).config().0);
    findings.sort();
    assert_lines(
        &lines(&findings),
        &[
            "otlp-relay.yaml:1: mistake: admin.listen: changed, which needs a restart",
            "otlp-relay.yaml:3: mistake: receivers.grpc.listen: changed, which needs a restart",
            "otlp-relay.yaml:4: mistake: budget.bytes: changed, which needs a restart",
        ],
    );
}
