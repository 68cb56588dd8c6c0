//! TLS towards a destination: which certificates are trusted, and which one we show.
//!
//! Verification is off only where the setting says so by name.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

use crate::exporter::Tls;

/// TLS settings that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidTls {
    /// The key below `tls` that is to be changed.
    pub key: &'static str,
    /// What is wrong, in words for the user.
    pub message: String,
}

impl InvalidTls {
    fn new(key: &'static str, message: String) -> Self {
        Self { key, message }
    }
}

impl fmt::Display for InvalidTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

impl std::error::Error for InvalidTls {}

/// The TLS configuration of a destination.
pub(super) fn config(tls: &Tls) -> Result<ClientConfig, InvalidTls> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions");
    let builder = if tls.insecure_skip_verify {
        let anything = Arc::new(AcceptAnything(provider));
        builder
            .dangerous()
            .with_custom_certificate_verifier(anything)
    } else {
        builder.with_root_certificates(roots(tls)?)
    };
    let Some((chain, key)) = &tls.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(chain, "cert_file")?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
        let message = format!("holds no private key in PEM: {error}");
        InvalidTls::new("key_file", message)
    })?;
    builder.with_client_auth_cert(chain, key).map_err(|error| {
        let message = format!("does not fit cert_file: {error}");
        InvalidTls::new("key_file", message)
    })
}

/// The name that the destination's certificate must carry, where a setting says so.
pub(super) fn server_name(tls: &Tls) -> Result<Option<ServerName<'static>>, InvalidTls> {
    let Some(name) = &tls.server_name else {
        return Ok(None);
    };
    let parsed = ServerName::try_from(name.clone());
    parsed.map(Some).map_err(|_| {
        let message = format!("{name:?} is no host name");
        InvalidTls::new("server_name", message)
    })
}

fn roots(tls: &Tls) -> Result<RootCertStore, InvalidTls> {
    let mut roots = RootCertStore::empty();
    let Some(pem) = &tls.ca else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    };
    for certificate in certificates(pem, "ca_file")? {
        roots.add(certificate).map_err(|error| {
            let message = format!("holds an unusable certificate: {error}");
            InvalidTls::new("ca_file", message)
        })?;
    }
    Ok(roots)
}

fn certificates(pem: &[u8], key: &'static str) -> Result<Vec<CertificateDer<'static>>, InvalidTls> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| InvalidTls::new(key, format!("is no PEM: {error}")))?;
    if certificates.is_empty() {
        let message = "holds no certificate: expected PEM, -----BEGIN CERTIFICATE-----";
        return Err(InvalidTls::new(key, message.to_owned()));
    }
    Ok(certificates)
}

/// `insecure_skip_verify`: whoever answers is taken for the destination. Signatures are still checked, so that the
/// connection is at least with whoever holds the certificate's key.
#[derive(Debug)]
struct AcceptAnything(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAnything {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
