//! Bytes: the budget and the queues, `auto` worked out, and what the sizes must be together.

use std::path::Path;

use crate::document::{Findings, display_size, display_size_rounded};

use super::{
    settings::{Optional, Setting, Settings},
    sources::Surroundings,
};

const MIB: u64 = 1 << 20;
/// What `auto` gives at most (product contract).
const AUTO_BYTES_MAX: u64 = 256 * MIB;
/// What `auto` leaves of the cgroup's limit for everything that is no telemetry: code, connections, the store.
const AUTO_BYTES_LEFT: u64 = 64 * MIB;
/// The budget holds a waiting body, one that grows, and two that are queued, each of the largest size.
const BUDGET_REQUESTS_MIN: u64 = 4;
/// The queues leave room in the budget for a waiting body and one that grows.
const QUEUES_REQUESTS_LEFT: u64 = 2;
/// Limits of cgroup v1 above this mean that there is none.
const CGROUP_UNLIMITED: u64 = 1 << 60;

/// Works out `auto` and checks the sizes against each other.
pub(super) fn check(settings: &mut Settings, around: &Surroundings<'_>, findings: &mut Findings) {
    budget(settings, around, findings);
    queues(settings, findings);
    batches(settings, findings);
}

fn budget(settings: &mut Settings, around: &Surroundings<'_>, findings: &mut Findings) {
    let path = "budget.bytes";
    let limit = cgroup_limit(around);
    let (bytes, shown) = match settings.size_or_auto(path) {
        None => return,
        Some(Optional(Some(bytes))) => (bytes, display_size(bytes)),
        Some(Optional(None)) => {
            settings.budget_is_auto = true;
            let before = around.budget_auto.map(|bytes| bytes as u64);
            let bytes = before.unwrap_or(auto(limit));
            let origin = from_limit(limit);
            (bytes, format!("{} ({origin})", display_size_rounded(bytes)))
        }
    };
    settings.resolve(path, Setting::Size(bytes));
    let request_path = "receivers.request_bytes_max";
    let Some(request) = settings.size(request_path) else {
        return;
    };
    let least = BUDGET_REQUESTS_MIN * request;
    if bytes < least {
        let message = format!(
            "{shown} is less than {BUDGET_REQUESTS_MIN} times receivers.request_bytes_max, \
             which is {}; allowed: at least {}, or a smaller receivers.request_bytes_max",
            display_size(request),
            display_size(least),
        );
        let place = settings.place_of_cause([path, request_path]);
        findings.mistake(&place, path, message);
    } else if let Some(limit) = limit.filter(|limit| bytes > *limit) {
        let message = format!(
            "{shown} is more than the cgroup's limit of {}",
            display_size_rounded(limit)
        );
        findings.warning(&settings.place(path), path, message);
    }
}

fn auto(limit: Option<u64>) -> u64 {
    limit.map_or(AUTO_BYTES_MAX, |limit| {
        AUTO_BYTES_MAX
            .min(limit / 2)
            .min(limit.saturating_sub(AUTO_BYTES_LEFT))
    })
}

fn from_limit(limit: Option<u64>) -> String {
    limit.map_or_else(
        || "auto".to_owned(),
        |limit| format!("auto, of the cgroup's {}", display_size_rounded(limit)),
    )
}

fn queues(settings: &mut Settings, findings: &mut Findings) {
    let path = "queue.bytes_max";
    let count = settings.destinations.len().max(1) as u64;
    let (Some(budget), Some(request), Some(Optional(queue))) = (
        settings.size("budget.bytes"),
        settings.size("receivers.request_bytes_max"),
        settings.size_or_auto(path),
    ) else {
        return;
    };
    let room = budget.saturating_sub(QUEUES_REQUESTS_LEFT * request);
    let each = queue.unwrap_or(budget / 2 / count);
    if queue.is_some() && each.saturating_mul(count) > room {
        let message = format!(
            "{} for each of {count} queues is more than the budget of {} less twice \
             receivers.request_bytes_max, which is {}; allowed: at most {}, or auto",
            display_size(each),
            display_size_rounded(budget),
            display_size(request),
            display_size_rounded(room / count),
        );
        findings.mistake(&settings.place(path), path, message);
    }
    settings.resolve(path, Setting::Size(each));
}

fn batches(settings: &Settings, findings: &mut Findings) {
    let paths = ["batch.bytes", "batch.bytes_max"];
    let [Some(bytes), Some(most)] = paths.map(|path| settings.size(path)) else {
        return;
    };
    if bytes > most {
        let message = format!(
            "{} is more than batch.bytes_max, which is {}",
            display_size(bytes),
            display_size(most)
        );
        findings.mistake(&settings.place_of_cause(paths), paths[0], message);
    }
}

/// The smallest memory limit on the way from this process' cgroup to the root, if there is one. In a container the
/// path that version 1 tells is the host's, so files that are not there are passed over.
pub(super) fn cgroup_limit(around: &Surroundings<'_>) -> Option<u64> {
    let groups = around.text("/proc/self/cgroup")?;
    groups
        .lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            let (root, file) = match controllers {
                "" => ("/sys/fs/cgroup", "memory.max"),
                _ if controllers.split(',').any(|name| name == "memory") => {
                    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
                }
                _ => return None,
            };
            smallest(around, root, path, file)
        })
        .min()
}

fn smallest(around: &Surroundings<'_>, root: &str, path: &str, file: &str) -> Option<u64> {
    Path::new(path.trim_start_matches('/'))
        .ancestors()
        .filter_map(|group| {
            let file = Path::new(root).join(group).join(file);
            let limit: u64 = around.text(file.to_str()?)?.trim().parse().ok()?;
            (limit < CGROUP_UNLIMITED).then_some(limit)
        })
        .min()
}
