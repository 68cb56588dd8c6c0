//! Where a configuration comes from: the environment and files, passed in, so that loading depends on nothing else.
//!
//! This is the only place of the relay that reads the process' environment.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    fs::File,
    io::{self, Read},
    net::{IpAddr, UdpSocket},
    path::{Path, PathBuf},
};

use crate::document::{self, Findings, Node, Place, Section, Value};

use super::{Watched, fingerprint, foreign};

/// Where a file is looked for when none is named: the first that exists is taken.
pub const USUAL_FILES: [&str; 2] = ["otlp-relay.yaml", "/etc/otlp-relay/config.yaml"];

/// The key of the edits.
pub(super) const EDITS: &str = "enrichment";

/// Bytes of any file that a configuration names at most; bundles of authorities are a quarter of this.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Everything that loading may look at.
pub struct Surroundings<'a> {
    /// The environment's variables; bytes that are no UTF-8 are U+FFFD.
    pub environment: BTreeMap<String, String>,
    /// Reads a whole file.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// Whether an address is one of this machine's.
    pub is_own: &'a dyn Fn(IpAddr) -> bool,
    /// What `budget.bytes: auto` came to when the process started, if it did: the budget stays, whatever becomes of the
    /// cgroup's limit.
    pub budget_auto: Option<usize>,
}

impl Surroundings<'static> {
    /// Those of the process.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os().map(|(name, value)| {
            let lossy = |text: OsString| text.to_string_lossy().into_owned();
            (lossy(name), lossy(value))
        });
        Self {
            environment: variables.collect(),
            read: &read_bounded,
            is_own: &is_own,
            budget_auto: None,
        }
    }
}

impl<'a> Surroundings<'a> {
    /// These variables and files, on a machine without a network.
    pub fn new(
        environment: BTreeMap<String, String>,
        read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Self {
        Self {
            environment,
            read,
            is_own: &|ip| ip.is_loopback(),
            budget_auto: None,
        }
    }

    /// A variable that is set to something; empty counts as unset, as OpenTelemetry has it.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let value = self.environment.get(name)?;
        (!value.is_empty()).then_some(value)
    }

    /// A small file's text, if there is such a file.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        String::from_utf8((self.read)(Path::new(path)).ok()?).ok()
    }
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.environment.keys().collect();
        f.debug_struct("Surroundings")
            .field("environment", &names)
            .finish_non_exhaustive()
    }
}

/// Whether a variable's value came as UTF-8.
pub(super) fn is_utf8(value: &str) -> bool {
    !value.contains(char::REPLACEMENT_CHARACTER)
}

/// Nothing can be bound to somebody else's address. The port is the kernel's choice, so that none is in the way.
fn is_own(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// The [`fingerprint`] of a file as it is now; none for one that cannot be read.
pub fn fingerprint_of(path: &Path) -> Option<u64> {
    Some(fingerprint(&read_bounded(path).ok()?))
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    // In one piece: the watch reads the files every second.
    let likely = file.metadata()?.len().min(FILE_BYTES_MAX);
    let mut bytes = Vec::with_capacity(usize::try_from(likely).unwrap_or_default());
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!(
            "larger than {FILE_BYTES_MAX} bytes"
        )));
    }
    Ok(bytes)
}

/// The configuration file: which it is, and what it says before anything is merged.
#[derive(Debug)]
pub(super) struct Written {
    /// The file; `None` when there is none.
    pub(super) path: Option<PathBuf>,
    /// Its root; empty without a file.
    pub(super) root: Node,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            path: None,
            root: Node {
                value: Value::Null,
                place: Place::built_in(),
            },
        }
    }
}

/// Finds and reads the configuration file, `named` or one of the usual ones. `None`: it cannot be used.
pub(super) fn read_configuration(
    named: Option<&Path>,
    around: &Surroundings<'_>,
    watched: &mut Watched,
    findings: &mut Findings,
) -> Option<Written> {
    let Some((path, bytes)) = find(named, around, watched, findings)? else {
        return Some(Written::default());
    };
    let mut root = read_document(&path, bytes, findings)?;
    if !foreign::is_ours(&root, findings) {
        return None;
    }
    // figment merges mappings; anything else at the top would be lost on it.
    Section::open(&root, "", findings)?;
    // Edits stay as written, because `print-config` shows them; they are expanded when they are compiled.
    if let Value::Map(entries) = &mut root.value {
        for entry in entries.iter_mut().filter(|entry| entry.key != EDITS) {
            expand(&mut entry.node, &entry.key, around, findings);
        }
    }
    Some(Written {
        path: Some(path),
        root,
    })
}

/// A file and its content; `None` when there is none.
type Found = Option<(PathBuf, Vec<u8>)>;

pub(super) fn find(
    named: Option<&Path>,
    around: &Surroundings<'_>,
    watched: &mut Watched,
    findings: &mut Findings,
) -> Option<Found> {
    let usual = USUAL_FILES.map(Path::new);
    let candidates = named.as_slice();
    let candidates = if named.is_some() { candidates } else { &usual };
    for path in candidates {
        match (around.read)(path) {
            Ok(bytes) => {
                watched.insert(path.to_path_buf(), Some(fingerprint(&bytes)));
                return Some(Some((path.to_path_buf(), bytes)));
            }
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                watched.insert(path.to_path_buf(), None);
                let place = Place::whole(&path.display().to_string());
                let message = match error.kind() {
                    io::ErrorKind::NotFound => "the file does not exist".to_owned(),
                    _ => format!("cannot be read: {error}"),
                };
                findings.mistake(&place, "", message);
                return None;
            }
        }
    }
    Some(None)
}

/// Reads the YAML in a file that has been read. An empty file is a mistake: it is more likely one that is being written
/// just now than one that means the defaults.
pub(super) fn read_document(path: &Path, bytes: Vec<u8>, findings: &mut Findings) -> Option<Node> {
    let source = path.display().to_string();
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.split(|byte| *byte == b'\n').count();
            let place = Place::new(&source.into(), line);
            findings.mistake(&place, "", "not UTF-8; save the file as UTF-8");
            return None;
        }
    };
    if text.trim().is_empty() {
        let message = "the file is empty; a comment alone takes all defaults";
        findings.mistake(&Place::whole(&source), "", message);
        return None;
    }
    document::parse(&source, &text, findings)
}

/// Replaces `${env:NAME}` in all values of the node at this dotted path.
pub(super) fn expand(
    node: &mut Node,
    path: &str,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) {
    let lookup = |name: &str| {
        let value = around.environment.get(name)?;
        is_utf8(value).then(|| value.clone())
    };
    document::expand(node, path, &lookup, findings);
}
