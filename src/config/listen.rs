//! Listeners: from a port or an address to a socket address, and what they must not be together.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use crate::document::{Findings, Place, Value};

use super::{
    schema::Kind,
    settings::{Optional, Settings},
    sources::Surroundings,
};

/// The variable that says where bare ports bind.
pub const LISTEN_HOST_VARIABLE: &str = "OTLP_RELAY_LISTEN_HOST";

/// The keys of all listeners.
pub(super) const LISTENERS: [&str; 3] = [
    "receivers.grpc.listen",
    "receivers.http.listen",
    "admin.listen",
];

/// Where a bare port binds.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListenHost(IpAddr);

impl ListenHost {
    pub(super) const LOOPBACK: Self = Self(IpAddr::V4(Ipv4Addr::LOCALHOST));

    /// From [`LISTEN_HOST_VARIABLE`], or loopback.
    pub(super) fn read(around: &Surroundings<'_>, findings: &mut Findings) -> Self {
        let Some(host) = around.variable(LISTEN_HOST_VARIABLE) else {
            return Self::LOOPBACK;
        };
        ip(host).map_or_else(
            || {
                let place = Place::whole(&format!("environment variable {LISTEN_HOST_VARIABLE}"));
                let message =
                    format!("found `{host}`; allowed: an IP address, such as 0.0.0.0 or 127.0.0.1");
                findings.mistake(&place, "", message);
                Self::LOOPBACK
            },
            Self,
        )
    }

    /// The address that a value stands for. The error says what is allowed.
    pub(super) fn address(&self, value: &Value, kind: Kind) -> Result<SocketAddr, String> {
        let address = match value {
            Value::Int(port) => u16::try_from(*port).ok().map(|port| self.at(port)),
            Value::String(text) => self.parse(text.trim()),
            _ => None,
        };
        address.ok_or_else(|| {
            let (found, allowed) = (value.in_words(), kind.in_words());
            let hint = if matches!(value, Value::String(text) if names_host(text)) {
                "; the name of another host cannot be listened on"
            } else {
                ""
            };
            format!("found {found}; allowed: {allowed}{hint}")
        })
    }

    fn at(self, port: u16) -> SocketAddr {
        SocketAddr::new(self.0, port)
    }

    fn parse(self, text: &str) -> Option<SocketAddr> {
        if let Ok(port) = text.parse() {
            return Some(self.at(port));
        }
        let (host, port) = text.rsplit_once(':')?;
        Some(SocketAddr::new(ip(host)?, port.parse().ok()?))
    }
}

/// `relay:4317`
fn names_host(text: &str) -> bool {
    let port = text.trim().rsplit_once(':').map(|(_, port)| port);
    port.is_some_and(|port| port.parse::<u16>().is_ok())
}

/// An IP address, in brackets or not, or `localhost`. Other names would need a resolver to bind to.
fn ip(host: &str) -> Option<IpAddr> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

/// What listeners must be together: two different ports at least one of which receives.
pub(super) fn check(settings: &Settings, around: &Surroundings<'_>, findings: &mut Findings) {
    both_off(settings, findings);
    same_port(settings, findings);
    exposed_admin(settings, findings);
    loopback_in_container(settings, around, findings);
}

fn both_off(settings: &Settings, findings: &mut Findings) {
    let [grpc, http, _] = LISTENERS;
    if [grpc, http].map(|path| settings.listen(path)) == [Some(Optional(None)); 2] {
        let message = "both listeners are off, so nothing could be received; give one a port";
        findings.mistake(&settings.place(http), http, message);
    }
}

fn same_port(settings: &Settings, findings: &mut Findings) {
    let listeners = all(settings);
    for (index, (path, address)) in listeners.iter().enumerate() {
        let clashes = |(_, other): &&(&str, SocketAddr)| {
            let same_host = other.ip() == address.ip()
                || other.ip().is_unspecified()
                || address.ip().is_unspecified();
            address.port() != 0 && other.port() == address.port() && same_host
        };
        if let Some((other, _)) = listeners[..index].iter().find(clashes) {
            let message = format!("port {} is `{other}`'s already", address.port());
            findings.mistake(&settings.place_of_cause([*path, *other]), *path, message);
        }
    }
}

fn exposed_admin(settings: &Settings, findings: &mut Findings) {
    let (Some(Optional(Some(address))), Some(Optional(None))) = (
        settings.listen("admin.listen"),
        settings.text_or_null("admin.token_file"),
    ) else {
        return;
    };
    if !address.ip().is_loopback() {
        let message = format!(
            "{address} is not loopback, and there is no admin.token_file: POST is answered with 403"
        );
        findings.warning(&settings.place("admin.listen"), "admin.listen", message);
    }
}

fn loopback_in_container(settings: &Settings, around: &Surroundings<'_>, findings: &mut Findings) {
    let marks = ["/.dockerenv", "/run/.containerenv"];
    let in_container = around.variable("KUBERNETES_SERVICE_HOST").is_some()
        || marks
            .iter()
            .any(|mark| (around.read)(Path::new(mark)).is_ok());
    for (path, address) in all(settings) {
        if in_container && address.ip().is_loopback() {
            let message = format!(
                "{address} cannot be reached from outside this container; \
                 set {LISTEN_HOST_VARIABLE}=0.0.0.0"
            );
            findings.warning(&settings.place(path), path, message);
        }
    }
}

/// The listeners that are on.
pub(super) fn all(settings: &Settings) -> Vec<(&'static str, SocketAddr)> {
    LISTENERS
        .into_iter()
        .filter_map(|path| Some((path, settings.listen(path)?.0?)))
        .collect()
}

/// The listener that a destination at this host and port would reach, if it is one of the relay's own.
pub(super) fn own(
    settings: &Settings,
    around: &Surroundings<'_>,
    host: &str,
    port: u16,
) -> Option<&'static str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let addresses = match ip(host) {
        Some(_) if host.eq_ignore_ascii_case("localhost") => loopback.to_vec(),
        Some(ip) => vec![ip],
        None => Vec::new(),
    };
    let by_address = addresses
        .into_iter()
        .find_map(|ip| own_at(settings, around, SocketAddr::new(ip, port)));
    by_address.or_else(|| {
        let mut listeners = all(settings).into_iter();
        let is_exposed = |(_, at): &(_, SocketAddr)| at.port() == port && !at.ip().is_loopback();
        let (path, _) = listeners.find(is_exposed)?;
        is_own_name(host, around).then_some(path)
    })
}

/// The listener that takes connections to this address, if one does.
pub(super) fn own_at(
    settings: &Settings,
    around: &Surroundings<'_>,
    address: SocketAddr,
) -> Option<&'static str> {
    let mut listeners = all(settings).into_iter();
    let takes = |(_, listener): &(_, SocketAddr)| {
        listener.port() == address.port() && is_reached(listener.ip(), address.ip(), around)
    };
    listeners.find(takes).map(|(path, _)| path)
}

fn is_reached(listener: IpAddr, ip: IpAddr, around: &Surroundings<'_>) -> bool {
    let (listener, ip) = (listener.to_canonical(), ip.to_canonical());
    // Whoever connects to the unspecified address arrives at loopback.
    let ip = match ip {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    // A listener on `[::]` takes IPv4, too.
    let takes_all = listener.is_unspecified() && (listener.is_ipv6() || ip.is_ipv4());
    ip == listener || (takes_all && (around.is_own)(ip))
}

fn is_own_name(host: &str, around: &Surroundings<'_>) -> bool {
    let from_file = around.text("/etc/hostname");
    let names = [around.variable("HOSTNAME"), from_file.as_deref()];
    names
        .into_iter()
        .flatten()
        .any(|name| name.trim().eq_ignore_ascii_case(host))
}
