//! Destinations: from settings to what an exporter is told, and what a destination must not be.

use std::sync::Arc;

use http::Uri;

use crate::{
    document::{Findings, display_duration},
    exporter::{self, Compression, InvalidTls, Protocol, Retry, Tls},
    otlp, queue,
};

use super::{
    endpoint,
    files::Files,
    listen, otel,
    settings::{Setting, Settings},
    sources::Surroundings,
};

/// What is needed to read a destination.
pub(super) struct Reading<'a, 'f> {
    pub(super) settings: &'a mut Settings,
    pub(super) around: &'a Surroundings<'a>,
    pub(super) files: &'a mut Files<'f>,
    pub(super) findings: &'a mut Findings,
}

impl Reading<'_, '_> {
    /// All destinations; `None` when any was wrong.
    pub(super) fn all(&mut self) -> Option<Vec<exporter::Options>> {
        let names = self.settings.destinations.clone();
        let read: Vec<_> = names
            .iter()
            .map(|(name, _)| self.destination(name))
            .collect();
        self.one_required();
        read.into_iter().collect()
    }

    /// Every part is read before any is missed, so that all their mistakes are reported.
    fn destination(&mut self, name: &str) -> Option<exporter::Options> {
        let at = |key: &str| format!("destinations.{name}.{key}");
        let protocol = self.protocol(&at("protocol"));
        let endpoint = self.endpoint(&at("endpoint"), protocol);
        let secure = endpoint.as_ref().and_then(Uri::scheme_str) == Some("https");
        let headers = self.headers(&at("headers"), &at("headers_files"));
        let tls = self.tls(&at, secure, endpoint.is_some());
        let retry = self.retry(&at);
        let batch = self.batch();
        let spans_in_flight_max = self.spans_in_flight(&at("spans_in_flight_max"));
        let compression = self.compression(&at("compression"), endpoint.is_some(), secure);
        let settings = &self.settings;
        Some(exporter::Options {
            name: Arc::from(name),
            endpoint: endpoint?,
            protocol: protocol?,
            compression: compression?,
            headers: headers?,
            tls: tls?,
            timeout: settings.duration(&at("timeout"))?,
            concurrency: settings.integer(&at("concurrency"))?,
            spans_in_flight_max: spans_in_flight_max?,
            retry: retry?,
            batch: batch?,
            queue: queue::Options {
                bytes_max: usize::try_from(settings.size_or_auto("queue.bytes_max")?.0?).ok()?,
                required: settings.boolean(&at("required"))?,
            },
        })
    }

    fn one_required(&mut self) {
        let settings = &self.settings;
        let required = |name: &str| settings.boolean(&format!("destinations.{name}.required"));
        let none = settings
            .destinations
            .iter()
            .all(|(name, _)| required(name) == Some(false));
        if let (true, Some((name, place))) = (none, settings.destinations.first()) {
            let key = format!("destinations.{name}.required");
            let message = "no destination is required, so nothing would hold a client back; \
                at least one is: leave `required: false` out of it";
            self.findings.mistake(place, key, message);
        }
    }

    fn mistake(&mut self, key: &str, message: impl Into<String>) {
        let place = self.settings.place(key);
        self.findings.mistake(&place, key, message);
    }

    /// A mistake about the first key that may as well be the second's.
    fn mistake_between(&mut self, keys: [&str; 2], message: impl Into<String>) {
        let place = self.settings.place_of_cause(keys);
        self.findings.mistake(&place, keys[0], message);
    }

    fn warning(&mut self, key: &str, message: impl Into<String>) {
        let place = self.settings.place(key);
        self.findings.warning(&place, key, message);
    }

    fn protocol(&self, key: &str) -> Option<Protocol> {
        Some(match self.settings.text(key)? {
            "http" => Protocol::Http,
            _ => Protocol::Grpc,
        })
    }

    fn endpoint(&mut self, key: &str, protocol: Option<Protocol>) -> Option<Uri> {
        let written = self.settings.text(key)?.to_owned();
        match endpoint::parse(&written) {
            Ok(uri) => {
                let fits = self.path_fits(key, &uri, protocol?);
                let foreign = self.is_foreign(key, &uri);
                if fits {
                    self.warn_of_port(key, &uri, protocol?);
                }
                (fits && foreign).then_some(uri)
            }
            Err(message) => {
                self.mistake(key, message);
                None
            }
        }
    }

    fn path_fits(&mut self, key: &str, uri: &Uri, protocol: Protocol) -> bool {
        let path = uri.path().trim_end_matches('/');
        let message = match protocol {
            Protocol::Grpc if !path.is_empty() => {
                format!(
                    "found the path `{path}`; a gRPC endpoint has none: leave it out, or set protocol: http"
                )
            }
            Protocol::Http if path.ends_with(otlp::TRACES_PATH) => format!(
                "found the path `{path}`; write the base URL, {} is added",
                otlp::TRACES_PATH
            ),
            _ => return true,
        };
        self.mistake(key, message);
        false
    }

    fn is_foreign(&mut self, key: &str, uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default();
        let Some(listener) = listen::own(self.settings, self.around, host, endpoint::port(uri))
        else {
            return true;
        };
        let message = format!(
            "{uri} is this relay's own `{listener}`; spans would go round for ever: name another host or port"
        );
        self.mistake(key, message);
        false
    }

    fn warn_of_port(&mut self, key: &str, uri: &Uri, protocol: Protocol) {
        let message = match (protocol, uri.port_u16()) {
            (Protocol::Grpc, None) if uri.scheme_str() == Some("http") => {
                "no port, so 80 is used; OTLP/gRPC is usually on 4317"
            }
            (Protocol::Grpc, Some(4318)) => {
                "port 4318 is usually OTLP/HTTP's, and the protocol is grpc; set protocol: http, or port 4317"
            }
            (Protocol::Http, Some(4317)) if otel::set(&self.settings.place(key)) => {
                "port 4317 is usually OTLP/gRPC's, and the protocol is http/protobuf unless it is set; \
                 set OTEL_EXPORTER_OTLP_PROTOCOL=grpc"
            }
            (Protocol::Http, Some(4317)) => {
                "port 4317 is usually OTLP/gRPC's, and the protocol is http; set protocol: grpc, or port 4318"
            }
            _ => return,
        };
        self.warning(key, message);
    }

    /// The default depends on the scheme: a network worth encrypting is worth saving.
    fn compression(&mut self, key: &str, known: bool, secure: bool) -> Option<Compression> {
        if self.settings.get(key).is_none() {
            if !known || self.was_wrong(key) {
                return None;
            }
            let word = if secure { "gzip" } else { "none" };
            self.settings.resolve(key, Setting::Text(word.to_owned()));
        }
        Some(match self.settings.text(key)? {
            "gzip" => Compression::Gzip,
            "zstd" => Compression::Zstd,
            _ => Compression::None,
        })
    }

    fn was_wrong(&self, key: &str) -> bool {
        self.findings.0.iter().any(|finding| finding.key == key)
    }

    fn tls(&mut self, at: &impl Fn(&str) -> String, secure: bool, known: bool) -> Option<Tls> {
        let (cert, key) = (at("tls.cert_file"), at("tls.key_file"));
        let ca = self.files.optional(
            self.settings,
            &at("tls.ca_file"),
            self.findings,
            Files::certificates,
        );
        let chain = self
            .files
            .optional(self.settings, &cert, self.findings, Files::certificates);
        let private = self
            .files
            .optional(self.settings, &key, self.findings, Files::private_key);
        let server_name = self
            .settings
            .text_or_null(&at("tls.server_name"))?
            .0
            .map(str::to_owned);
        let insecure_skip_verify = self.settings.boolean(&at("tls.insecure_skip_verify"))?;
        if insecure_skip_verify {
            self.warning(
                &at("tls.insecure_skip_verify"),
                "any certificate is taken, so anybody in between can read and change spans",
            );
        }
        let (ca, chain, private) = (ca?.0, chain?.0, private?.0);
        let identity = match (chain, private) {
            (Some(chain), Some(private)) => Some((chain, private)),
            (None, None) => None,
            (Some(_), None) => {
                self.mistake(&cert, "cert_file needs key_file beside it");
                return None;
            }
            (None, Some(_)) => {
                self.mistake(&key, "key_file needs cert_file beside it");
                return None;
            }
        };
        let tls = Tls {
            ca,
            identity,
            server_name,
            insecure_skip_verify,
        };
        if known && !secure && tls != Tls::default() {
            self.warning(
                &at("endpoint"),
                "its tls settings are not used: the scheme is http",
            );
        }
        if secure && let Err(InvalidTls { key, message }) = exporter::check_tls(&tls) {
            self.mistake(&at(&format!("tls.{key}")), message);
            return None;
        }
        Some(tls)
    }

    fn retry(&mut self, at: &impl Fn(&str) -> String) -> Option<Retry> {
        let settings = &self.settings;
        let retry = Retry {
            first: settings.duration(&at("retry.first"))?,
            factor: settings.number(&at("retry.factor"))?,
            jitter: settings.number(&at("retry.jitter"))?,
            max: settings.duration(&at("retry.max"))?,
            give_up_after: settings.duration_or_never(&at("retry.give_up_after"))?.0,
        };
        if retry.first > retry.max {
            let (first, max) = (display_duration(retry.first), display_duration(retry.max));
            let message = format!("{first} is longer than retry.max, which is {max}");
            self.mistake_between([&at("retry.first"), &at("retry.max")], message);
            return None;
        }
        Some(retry)
    }

    fn batch(&self) -> Option<queue::BatchOptions> {
        let settings = &self.settings;
        Some(queue::BatchOptions {
            spans: settings.integer("batch.spans")?,
            bytes: settings.bytes("batch.bytes")?,
            bytes_max: settings.bytes("batch.bytes_max")?,
            delay: settings.duration("batch.delay")?,
        })
    }

    fn spans_in_flight(&mut self, key: &str) -> Option<u64> {
        let spans: u64 = self.settings.integer(key)?;
        let batch: u64 = self.settings.integer("batch.spans")?;
        if spans < batch {
            let message = format!(
                "{spans} is less than batch.spans, which is {batch}, so a full message could never leave; \
                 allowed: at least {batch}"
            );
            self.mistake_between([key, "batch.spans"], message);
            return None;
        }
        Some(spans)
    }
}
