//! TLS towards a destination: whom it trusts, what it shows, and that it never falls back.

use std::net::SocketAddr;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority, and certificates it signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn sign(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    fn pem(&self) -> Pem {
        pem(&self.0.pem())
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

fn pem(text: &str) -> Pem {
    Arc::from(text.as_bytes())
}

/// Ends TLS in front of a backend; with `clients`, only for those whom that authority signed.
async fn tls_before(
    backend: &FakeBackend,
    identity: &Identity,
    clients: Option<&Authority>,
) -> (SocketAddr, JoinSet<()>) {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        Some(authority) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(authority.roots().into(), provider)
                .build()
                .unwrap(),
        ),
        None => builder.with_no_client_auth(),
    };
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let behind = backend.address();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            connections.spawn(async move {
                // A handshake that fails is what some of these tests are about.
                if let Ok(mut front) = acceptor.accept(stream).await {
                    let mut back = TcpStream::connect(behind).await.unwrap();
                    drop(copy_bidirectional(&mut front, &mut back).await);
                }
            });
        }
    });
    (address, tasks)
}

fn https(backend: &FakeBackend, address: SocketAddr, protocol: Protocol) -> Options {
    let mut options = quick(backend, protocol);
    let endpoint = format!("https://localhost:{}", address.port());
    options.endpoint = endpoint.parse().unwrap();
    options
}

/// Whether a span arrives with these settings, and what was wrong if not.
async fn delivers(backend: &FakeBackend, options: Options) -> Result<(), String> {
    let rig = Rig::start(options);
    rig.push(&["a"]).await;
    eventually("it is delivered or down", || {
        rig.account().held == 0 || rig.exporter.status().down.is_some()
    })
    .await;
    let down = rig.exporter.status().down;
    rig.exporter.drain(Instant::now()).await;
    drop(rig);
    match down {
        None => Ok(()),
        Some(down) => {
            assert!(backend.received().is_empty(), "nothing passes unverified");
            Err(down.reason)
        }
    }
}

#[tokio::test]
async fn a_destination_is_trusted_by_its_authority_and_name_or_not_at_all() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let backend = FakeBackend::start().await;
        let identity = authority.sign("localhost");
        let (address, _tls) = tls_before(&backend, &identity, None).await;
        let mut options = https(&backend, address, protocol);

        let error = delivers(&backend, options.clone()).await.unwrap_err();
        assert!(error.contains("UnknownIssuer"), "{error}");
        options.tls.ca = Some(stranger.pem());
        let error = delivers(&backend, options.clone()).await.unwrap_err();
        assert!(error.contains("certificate"), "{error}");
        options.tls.ca = Some(authority.pem());
        options.tls.server_name = Some("jaeger.example".to_owned());
        let error = delivers(&backend, options.clone()).await.unwrap_err();
        assert!(error.contains("not valid for name"), "{error}");
        options.tls.server_name = None;
        assert_eq!(delivers(&backend, options).await, Ok(()));
    }
}

#[tokio::test]
async fn a_name_may_be_given_and_verification_turned_off_by_name_only() {
    let authority = Authority::new();
    let backend = FakeBackend::start().await;
    let identity = authority.sign("jaeger.example");
    let (address, _tls) = tls_before(&backend, &identity, None).await;
    let mut options = https(&backend, address, Protocol::Grpc);
    options.tls.ca = Some(authority.pem());
    options.tls.server_name = Some("jaeger.example".to_owned());
    assert_eq!(delivers(&backend, options.clone()).await, Ok(()));
    options.tls = Tls {
        insecure_skip_verify: true,
        ..Tls::default()
    };
    assert_eq!(delivers(&backend, options).await, Ok(()));
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_one_is_asked_for() {
    let authority = Authority::new();
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let backend = FakeBackend::start().await;
        let identity = authority.sign("localhost");
        let (address, _tls) = tls_before(&backend, &identity, Some(&authority)).await;
        let mut options = https(&backend, address, protocol);
        options.tls.ca = Some(authority.pem());
        delivers(&backend, options.clone()).await.unwrap_err();
        let client = authority.sign("relay");
        options.tls.identity = Some((pem(&client.certificate), pem(&client.key)));
        assert_eq!(delivers(&backend, options).await, Ok(()));
    }
}

#[tokio::test]
async fn neither_side_of_a_mix_up_of_tls_and_plain_gets_a_span_across() {
    let authority = Authority::new();
    let backend = FakeBackend::start().await;
    let identity = authority.sign("localhost");
    let (tls_address, _tls) = tls_before(&backend, &identity, None).await;
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let options = https(&backend, backend.address(), protocol);
        delivers(&backend, options).await.unwrap_err();
        let mut options = quick(&backend, protocol);
        options.endpoint = format!("http://{tls_address}").parse().unwrap();
        delivers(&backend, options).await.unwrap_err();
    }
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    let identity = authority.sign("relay");
    let garbage = pem("garbage");
    let (certificate, key) = (pem(&identity.certificate), pem(&identity.key));
    let other_key = pem(&authority.sign("other").key);
    let with = |change: &dyn Fn(&mut Tls)| {
        let mut tls = Tls::default();
        change(&mut tls);
        check_tls(&tls).unwrap_err().to_string()
    };
    let cases = [
        (with(&|tls| tls.ca = Some(Arc::clone(&garbage))), "ca_file"),
        (
            with(&|tls| tls.identity = Some((Arc::clone(&garbage), Arc::clone(&key)))),
            "cert_file",
        ),
        (
            with(&|tls| tls.identity = Some((Arc::clone(&certificate), Arc::clone(&garbage)))),
            "key_file",
        ),
        (
            with(&|tls| tls.identity = Some((Arc::clone(&certificate), Arc::clone(&other_key)))),
            "key_file: does not fit cert_file",
        ),
        (
            with(&|tls| tls.server_name = Some("no host name!".to_owned())),
            "server_name",
        ),
    ];
    for (message, key) in cases {
        assert!(message.starts_with(key), "{message}");
    }
}

/// A listener that answers whatever is said first with these bytes, and closes.
async fn answering(bytes: &'static [u8]) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.read(&mut [0; 1024]).await);
            drop(stream.write_all(bytes).await);
        }
    });
    (address, tasks)
}

/// The mistakes in an endpoint that everybody makes once: the reason says what to change.
#[tokio::test]
async fn a_wrong_endpoint_is_told_with_what_to_change() {
    let backend = FakeBackend::start().await;
    let identity = Authority::new().sign("localhost");
    let (tls, _tls) = tls_before(&backend, &identity, None).await;
    let (http, _http) = answering(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    let (grpc, _grpc) = answering(b"\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0").await;
    let (alert, _alert) = answering(&[0x15, 3, 3, 0, 2, 2, 40]).await;
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let (any_grpc, any_http) = ([Protocol::Grpc].as_slice(), [Protocol::Http].as_slice());
    let both = [Protocol::Grpc, Protocol::Http].as_slice();
    let cases = [
        ("http", gone, both, "is it running, and is that its port?"),
        ("https", backend.address(), both, "write http://localhost"),
        ("https", alert, both, "write http://localhost"),
        ("https", tls, both, "set tls.ca_file"),
        ("http", tls, any_grpc, "write https://localhost"),
        ("http", tls, any_http, "write https://localhost"),
        ("http", http, any_grpc, "set protocol: http"),
        ("http", grpc, any_http, "set protocol: grpc"),
    ];
    for (scheme, address, protocols, advice) in cases {
        for &protocol in protocols {
            let mut options = quick(&backend, protocol);
            let endpoint = format!("{scheme}://localhost:{}", address.port());
            options.endpoint = endpoint.parse().unwrap();
            let error = delivers(&backend, options).await.unwrap_err();
            assert!(error.contains(advice), "{scheme} {protocol:?}: {error}");
        }
    }
}
