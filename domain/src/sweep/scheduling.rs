//! What a sweep file says about when and where its jobs run. None of it changes a job's key.

use std::ops::RangeInclusive;

use super::axes::items;
use super::reader::{Fields, Reader, Value};
use crate::placement::{DeviceKind, MAX_LABEL_CHARS, MAX_LABELS, is_label};

/// Priorities of sweeps and jobs: the greater, the earlier.
pub const PRIORITIES: RangeInclusive<i32> = -100..=100;

/// As many jobs as a sweep can have.
const MAX_FAILED_JOBS: i64 = 1_000_000;

/// More than any machine has; a number beyond it is of bytes or of KiB.
const MAX_MEMORY_MIB: i64 = 16 * 1024 * 1024;

/// How a sweep's jobs are queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scheduling {
    /// Jobs of greater priority come first, whatever the sweep; one of [`PRIORITIES`].
    pub priority: i32,
    /// The sweep is paused when more of its jobs than these have failed; `None` where it never is.
    pub max_failed_jobs: Option<u32>,
}

/// What all jobs of a sweep need of a slot, besides their dataset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Needs {
    pub(super) device: Option<DeviceKind>,
    /// 0 where it does not matter.
    pub(super) memory_mib: u64,
    /// Sorted, each once.
    pub(super) labels: Vec<String>,
}

/// Reads what stands at the top of the file.
pub(super) fn read(reader: &mut Reader, root: &Fields) -> Scheduling {
    let priorities = i64::from(*PRIORITIES.start())..=i64::from(*PRIORITIES.end());
    let priority = root.optional("priority").and_then(|value| reader.integer(value, "priority", priorities));
    let max_failed_jobs = root.optional("max_failed_jobs");
    Scheduling {
        priority: priority.unwrap_or_default(),
        max_failed_jobs: max_failed_jobs.and_then(|value| reader.integer(value, "max_failed_jobs", 0..=MAX_FAILED_JOBS)),
    }
}

/// Reads `[requirements]`.
pub(super) fn needs(reader: &mut Reader, value: &Value) -> Needs {
    let fields = Fields::open(reader, value, "`[requirements]`", &["device", "memory_mib", "labels"]);
    let field = |key| fields.as_ref().and_then(|fields| fields.optional(key));
    let devices = DeviceKind::ALL.map(|device| (device.as_str(), device));
    let device = field("device").and_then(|value| reader.choice(value, "device", &devices));
    let memory_mib = field("memory_mib").and_then(|value| reader.integer(value, "memory_mib", 1..=MAX_MEMORY_MIB));
    let labels = field("labels").map(|value| labels(reader, value)).unwrap_or_default();
    Needs { device, memory_mib: memory_mib.unwrap_or_default(), labels }
}

fn labels(reader: &mut Reader, value: &Value) -> Vec<String> {
    let items = items(reader, "labels", value);
    if items.len() > MAX_LABELS {
        let hint = "require what only the workers in question have".to_owned();
        reader.report(value.span(), format_args!("{} labels are more than the {MAX_LABELS} allowed", items.len()), Some(hint));
        return Vec::new();
    }
    let mut labels: Vec<String> = Vec::new();
    for item in items {
        match item.get_ref().as_str() {
            Some(label) if labels.iter().any(|known| known == label) => {
                reader.report(item.span(), format_args!("{} is listed twice", reader.quote(item.span())), Some("leave one out".to_owned()));
            }
            Some(label) if is_label(label) => labels.push(label.to_owned()),
            _ => {
                let wanted = format_args!("names of 1 to {MAX_LABEL_CHARS} printable characters, such as `\"a100\"`");
                reader.refuse::<()>(item, "labels", wanted, None);
            }
        }
    }
    labels.sort_unstable();
    labels
}
