//! Which workers can run a job: what it requires against what they offer.

use crate::dataset;
use crate::problem::printable;

/// What a job needs of the slot that runs it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Requirements {
    /// Kind of device; `None` where any will do.
    pub device: Option<DeviceKind>,
    /// Memory of the slot, MiB; 0 where it does not matter.
    pub memory_mib: u64,
    /// The dataset that must be there.
    pub dataset: String,
    /// Labels that the worker must have, sorted, each once.
    pub labels: Vec<String>,
}

/// Longest label, characters.
pub const MAX_LABEL_CHARS: usize = 64;

/// Most labels that a job requires.
pub const MAX_LABELS: usize = 16;

/// Whether a text can be a label, of a job or of a worker: short, printable, and without blanks at its ends, which nobody sees.
pub fn is_label(text: &str) -> bool {
    (1..=MAX_LABEL_CHARS).contains(&text.chars().count()) && text.trim() == text && printable(text) == text
}

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceKind {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
    /// Another GPU.
    Vulkan,
}

impl DeviceKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Cuda, Self::Vulkan];

    /// The kind's name, in sweep files, in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Vulkan => "vulkan",
        }
    }

    /// Reads a kind's name; `None` where no kind has it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What every slot of a worker offers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// Kind of device; `None` where it is not known.
    pub device: Option<DeviceKind>,
    /// Memory of one slot, MiB; `None` where it is not known, which meets no requirement.
    pub memory_mib: Option<u64>,
    /// Datasets that it has.
    pub datasets: Datasets,
    /// What its operator says of it.
    pub labels: Vec<String>,
}

/// The datasets of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Datasets {
    /// It needs no data: every dataset will do.
    Any,
    /// These, by name; an image folder as [`dataset::folder_offer`] writes it. Generated ones need not be named.
    Named(Vec<String>),
}

/// One thing that a worker lacks for a job.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Lack {
    /// Another kind of device.
    #[error("device {}, needs {}", found.map_or("unknown", DeviceKind::as_str), needed.as_str())]
    Device {
        /// The worker's.
        found: Option<DeviceKind>,
        /// The job's.
        needed: DeviceKind,
    },
    /// Less memory.
    #[error("{} MiB a slot, needs {needed}", found.map_or("an unknown number of".to_owned(), |mib| mib.to_string()))]
    Memory {
        /// The worker's.
        found: Option<u64>,
        /// The job's.
        needed: u64,
    },
    /// The dataset is not there.
    #[error("no dataset `{0}`")]
    Dataset(String),
    /// A label that it does not have.
    #[error("no label `{0}`")]
    Label(String),
}

impl Requirements {
    /// What a worker lacks for the job; empty where it can run it.
    pub fn lacks(&self, offered: &Capabilities) -> Vec<Lack> {
        let device = self.device.filter(|needed| offered.device != Some(*needed));
        let device = device.map(|needed| Lack::Device { found: offered.device, needed });
        let enough = self.memory_mib == 0 || offered.memory_mib.is_some_and(|mib| mib >= self.memory_mib);
        let memory = (!enough).then_some(Lack::Memory { found: offered.memory_mib, needed: self.memory_mib });
        let present = match &offered.datasets {
            Datasets::Any => true,
            Datasets::Named(names) => dataset::needed_offer(&self.dataset).is_none_or(|needed| names.contains(&needed)),
        };
        let dataset = (!present).then(|| Lack::Dataset(self.dataset.clone()));
        let labels = self.labels.iter().filter(|label| !offered.labels.contains(label)).map(|label| Lack::Label(label.clone()));
        device.into_iter().chain(memory).chain(dataset).chain(labels).collect()
    }

    /// Compactly, without the dataset, which every table shows anyway; `-` where any worker will do.
    pub fn label(&self) -> String {
        let device = self.device.map(|device| device.as_str().to_owned());
        let memory = (self.memory_mib > 0).then(|| format!("{} MiB", self.memory_mib));
        let parts: Vec<String> = device.into_iter().chain(memory).chain(self.labels.iter().cloned()).collect();
        if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirements() -> Requirements {
        Requirements { device: None, memory_mib: 0, dataset: "cifar10".into(), labels: vec![] }
    }

    fn offered() -> Capabilities {
        let datasets = Datasets::Named(vec!["digits".into(), "cifar10".into()]);
        Capabilities { device: Some(DeviceKind::Cuda), memory_mib: Some(8_000), datasets, labels: vec!["a100".into()] }
    }

    fn lacks(requirements: &Requirements, offered: &Capabilities) -> Vec<String> {
        requirements.lacks(offered).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_worker_that_offers_all_lacks_nothing() {
        let wanted = Requirements { device: Some(DeviceKind::Cuda), memory_mib: 8_000, labels: vec!["a100".into()], ..requirements() };
        assert_eq!(lacks(&wanted, &offered()), Vec::<String>::new());
        assert_eq!(wanted.label(), "cuda, 8000 MiB, a100");
        assert_eq!(requirements().label(), "-");
    }

    #[test]
    fn generated_images_are_everywhere_and_a_folder_is_where_it_is_offered() {
        let on = |dataset: &str| Requirements { dataset: dataset.into(), ..requirements() };
        assert_eq!(lacks(&on("synthetic-3x32x32-10-200-50"), &offered()), Vec::<String>::new());
        assert_eq!(lacks(&on("folder-birds-3x64x64-17"), &offered()), ["no dataset `folder-birds-3x64x64-17`"]);
        let with_birds = Capabilities { datasets: Datasets::Named(vec!["folder-birds".into()]), ..offered() };
        assert_eq!(lacks(&on("folder-birds-3x64x64-17"), &with_birds), Vec::<String>::new());
        assert_eq!(lacks(&on("folder-birds-1x32x32-17"), &with_birds), Vec::<String>::new());
    }

    #[test]
    fn everything_that_is_missing_is_told() {
        let labels = vec!["a100".into(), "nvlink".into()];
        let wanted = Requirements { device: Some(DeviceKind::Cpu), memory_mib: 8_001, dataset: "svhn".into(), labels };
        let expected = ["device cuda, needs cpu", "8000 MiB a slot, needs 8001", "no dataset `svhn`", "no label `nvlink`"];
        assert_eq!(lacks(&wanted, &offered()), expected);
    }

    #[test]
    fn what_is_not_known_meets_no_requirement_and_a_simulation_needs_no_data() {
        let unknown = Capabilities { device: None, memory_mib: None, datasets: Datasets::Any, labels: vec![] };
        assert_eq!(lacks(&requirements(), &unknown), Vec::<String>::new());
        let wanted = Requirements { device: Some(DeviceKind::Cpu), memory_mib: 1, ..requirements() };
        assert_eq!(lacks(&wanted, &unknown), ["device unknown, needs cpu", "an unknown number of MiB a slot, needs 1"]);
    }
}
