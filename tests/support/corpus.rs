//! The recorded requests of real clients in `tests/corpus`.

use std::{fs, io::Read, path::Path};

use serde::Deserialize;

/// One recorded request.
#[derive(Clone, Debug, Deserialize)]
pub struct Recorded {
    /// Its file in `tests/corpus`, without `.gz`.
    pub file: String,
    /// The recorded request in protobuf that says the same, for JSON that only tolerant readers understand.
    pub twin: Option<String>,
    /// The spans in it.
    pub spans: u64,
    /// The bytes of its body.
    pub bytes: usize,
    /// The body.
    #[serde(skip)]
    pub body: Vec<u8>,
}

/// Those in protobuf, decompressed.
pub fn recorded() -> Vec<Recorded> {
    read(".pb")
}

/// Those in JSON.
pub fn recorded_json() -> Vec<Recorded> {
    read(".json")
}

impl Recorded {
    /// The body of its twin.
    pub fn twin_body(&self) -> Option<Vec<u8>> {
        let twin = self.twin.as_ref()?;
        let twin = recorded().into_iter().find(|other| other.file == *twin);
        Some(twin.expect("the twin is in the corpus").body)
    }
}

fn read(ending: &str) -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let manifest = fs::read_to_string(folder.join("manifest.json")).unwrap();
    let mut requests: Vec<Recorded> = serde_json::from_str(&manifest).unwrap();
    requests.retain(|request| request.file.ends_with(ending));
    for request in &mut requests {
        let file = fs::File::open(folder.join(format!("{}.gz", request.file))).unwrap();
        flate2::read::GzDecoder::new(file)
            .read_to_end(&mut request.body)
            .unwrap();
        assert_eq!(request.body.len(), request.bytes, "{}", request.file);
    }
    requests
}
