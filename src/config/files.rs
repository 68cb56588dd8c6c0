//! Files that settings name: found relative to the configuration file, read, trimmed, checked, and remembered so that
//! they can be watched. What is in them is never repeated in a message.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::document::{Findings, Place};

use super::{
    Watched, fingerprint,
    settings::{Optional, Settings},
    sources::Surroundings,
};

/// The files of one loading.
pub(super) struct Files<'a> {
    around: &'a Surroundings<'a>,
    folder: PathBuf,
    watched: &'a mut Watched,
}

/// Where a file is named.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    /// The path as written.
    pub(super) path: &'a str,
    /// The key that names it.
    pub(super) key: &'a str,
    /// Where.
    pub(super) place: &'a Place,
}

impl<'a> Files<'a> {
    /// Paths are relative to the folder of `configuration`, or to the working directory without one.
    pub(super) fn new(
        around: &'a Surroundings<'a>,
        configuration: Option<&Path>,
        watched: &'a mut Watched,
    ) -> Self {
        let folder = configuration
            .and_then(Path::parent)
            .unwrap_or(Path::new(""));
        Self {
            around,
            folder: folder.to_owned(),
            watched,
        }
    }

    /// Where a path as written leads.
    pub(super) fn locate(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// A file's bytes, or a mistake. It is watched from now on, also when it cannot be read: it may appear.
    pub(super) fn read(&mut self, named: Named<'_>, findings: &mut Findings) -> Option<Vec<u8>> {
        let path = self.locate(named.path);
        let read = (self.around.read)(&path);
        let fingerprint = read.as_deref().ok().map(fingerprint);
        self.watched.insert(path.clone(), fingerprint);
        match read {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                let path = path.display();
                let message = match error.kind() {
                    io::ErrorKind::NotFound => format!("the file {path} does not exist"),
                    _ => format!("the file {path} cannot be read: {error}"),
                };
                findings.mistake(named.place, named.key, message);
                None
            }
        }
    }

    /// The file that a key names, if it names one: `None` after a mistake.
    pub(super) fn optional<T>(
        &mut self,
        settings: &Settings,
        key: &str,
        findings: &mut Findings,
        read: impl FnOnce(&mut Self, Named<'_>, &mut Findings) -> Option<T>,
    ) -> Option<Optional<T>> {
        let place = settings.place(key);
        match settings.text_or_null(key)?.0 {
            None => Some(Optional(None)),
            Some(path) => {
                let place = &place;
                read(self, Named { path, key, place }, findings).map(|value| Optional(Some(value)))
            }
        }
    }

    /// A secret without the line end that editors and `echo` leave behind it; an empty one is a mistake.
    pub(super) fn secret(&mut self, named: Named<'_>, findings: &mut Findings) -> Option<Vec<u8>> {
        let mut bytes = self.read(named, findings)?;
        while bytes
            .last()
            .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
        {
            bytes.pop();
        }
        if bytes.is_empty() {
            let message = format!("the file {} is empty", self.locate(named.path).display());
            findings.mistake(named.place, named.key, message);
            return None;
        }
        Some(bytes)
    }

    /// A secret that is text.
    pub(super) fn secret_text(
        &mut self,
        named: Named<'_>,
        findings: &mut Findings,
    ) -> Option<String> {
        let text = String::from_utf8(self.secret(named, findings)?).ok();
        let printable = text.filter(|text| !text.contains(char::is_control));
        if printable.is_none() {
            let path = self.locate(named.path);
            let message = format!("the file {} is not one line of text", path.display());
            findings.mistake(named.place, named.key, message);
        }
        printable
    }

    /// PEM with at least one certificate.
    pub(super) fn certificates(
        &mut self,
        named: Named<'_>,
        findings: &mut Findings,
    ) -> Option<Arc<[u8]>> {
        let bytes = self.read(named, findings)?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        let usable = certificates.is_ok_and(|certificates| !certificates.is_empty());
        self.pem(bytes, usable, "a certificate", named, findings)
    }

    /// PEM with a private key.
    pub(super) fn private_key(
        &mut self,
        named: Named<'_>,
        findings: &mut Findings,
    ) -> Option<Arc<[u8]>> {
        let bytes = self.read(named, findings)?;
        let usable = PrivateKeyDer::from_pem_slice(&bytes).is_ok();
        self.pem(bytes, usable, "a private key", named, findings)
    }

    fn pem(
        &self,
        bytes: Vec<u8>,
        usable: bool,
        wanted: &str,
        named: Named<'_>,
        findings: &mut Findings,
    ) -> Option<Arc<[u8]>> {
        if !usable {
            let path = self.locate(named.path);
            let message = format!("the file {} holds no PEM of {wanted}", path.display());
            findings.mistake(named.place, named.key, message);
            return None;
        }
        Some(bytes.into())
    }
}
