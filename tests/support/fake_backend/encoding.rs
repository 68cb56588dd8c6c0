//! Compression of requests and answers, chosen by the request's headers.

use std::io::{Read, Write};

use http::HeaderMap;

/// The encoding of a request, for its answer too; `None` for none.
pub(super) fn encoding(headers: &HeaderMap, is_grpc: bool) -> Option<String> {
    let name = if is_grpc {
        "grpc-encoding"
    } else {
        "content-encoding"
    };
    Some(headers.get(name)?.to_str().unwrap().to_owned())
}

pub(super) fn compress(message: &[u8], encoding: Option<&str>) -> Vec<u8> {
    match encoding {
        None => message.to_vec(),
        Some("gzip") => {
            let level = flate2::Compression::fast();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(message).unwrap();
            encoder.finish().unwrap()
        }
        Some("zstd") => zstd::encode_all(message, 1).unwrap(),
        Some(encoding) => panic!("unknown encoding {encoding}"),
    }
}

pub(super) fn decompress(message: &[u8], encoding: Option<&str>) -> Vec<u8> {
    let mut plain = Vec::new();
    match encoding {
        None => plain.extend_from_slice(message),
        Some("gzip") => {
            let mut decoder = flate2::read::GzDecoder::new(message);
            decoder.read_to_end(&mut plain).unwrap();
        }
        Some("zstd") => plain = zstd::decode_all(message).unwrap(),
        Some(encoding) => panic!("unknown encoding {encoding}"),
    }
    plain
}
