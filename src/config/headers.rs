//! Headers of a destination, from the configuration and from files. Their values are never shown.

use http::{HeaderName, HeaderValue};

use crate::document::Place;

use super::{destination::Reading, files::Named};

/// Headers that the protocols own; the relay sets them itself.
const RESERVED_HEADERS: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "grpc-accept-encoding",
    "grpc-encoding",
    "grpc-timeout",
    "host",
    "te",
    "transfer-encoding",
];

impl Reading<'_, '_> {
    /// The headers of both kinds; `None` after a mistake.
    pub(super) fn headers(
        &mut self,
        key: &str,
        files_key: &str,
    ) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let inline = self.settings.pairs(key).map(<[_]>::to_vec);
        let named = self.settings.pairs(files_key).map(<[_]>::to_vec);
        let mut headers = Vec::new();
        let mut whole = true;
        for (name, value, place) in inline.iter().flatten() {
            whole &= self.header(&mut headers, &format!("{key}.{name}"), name, value, place);
        }
        for (name, path, place) in named.iter().flatten() {
            let path_key = format!("{files_key}.{name}");
            let file = Named {
                path,
                key: &path_key,
                place,
            };
            match self.files.secret_text(file, self.findings) {
                Some(value) => whole &= self.header(&mut headers, &path_key, name, &value, place),
                None => whole = false,
            }
        }
        (whole && inline.is_some() && named.is_some()).then_some(headers)
    }

    fn header(
        &mut self,
        headers: &mut Vec<(HeaderName, HeaderValue)>,
        key: &str,
        name: &str,
        value: &str,
        place: &Place,
    ) -> bool {
        match header(headers, name, value) {
            Ok(header) => headers.push(header),
            Err(message) => {
                self.findings.mistake(place, key, message);
                return false;
            }
        }
        true
    }
}

fn header(
    headers: &[(HeaderName, HeaderValue)],
    name: &str,
    value: &str,
) -> Result<(HeaderName, HeaderValue), String> {
    let name: HeaderName = name
        .parse()
        .map_err(|_| "no name of a header; allowed: letters, digits and dashes".to_owned())?;
    if RESERVED_HEADERS.contains(&name.as_str()) {
        return Err("the relay sets this header itself; leave it out".to_owned());
    }
    if headers.iter().any(|(known, _)| *known == name) {
        return Err("this header is set twice; names differ by more than case".to_owned());
    }
    let mut value: HeaderValue = value
        .parse()
        .map_err(|_| "its value holds characters that no header may".to_owned())?;
    value.set_sensitive(true);
    Ok((name, value))
}
