//! What a worker offers: device, memory of a slot, datasets, labels.

use offramp_data::presence;
use offramp_domain::placement::{Capabilities, Datasets, DeviceKind};
use offramp_proto::v1;

use crate::args::{OfferArguments, TrainerKind, TrainingArguments};
use crate::commands::training;
use crate::failure::Failure;
use crate::memory;

/// What the slots of a worker with these arguments offer.
///
/// # Errors
/// Where nothing says where datasets are.
pub(super) fn find(training: &TrainingArguments, offer: &OfferArguments, n_slots: usize) -> Result<Capabilities, Failure> {
    let device = device(&training.device);
    let memory_mib = offer.memory_mib.or_else(|| match device {
        Some(DeviceKind::Cpu) => memory::usable_mib().map(|mib| mib / n_slots.max(1) as u64),
        // Nothing here asks a GPU how much it has.
        Some(DeviceKind::Cuda | DeviceKind::Vulkan) | None => None,
    });
    let datasets = match training.trainer {
        TrainerKind::Simulated => Datasets::Any,
        TrainerKind::Burn => Datasets::Named(presence::offers(&training::data_dir(training.data_dir.as_ref())?)),
    };
    let mut labels = offer.labels.clone();
    labels.sort();
    labels.dedup();
    Ok(Capabilities { device, memory_mib, datasets, labels })
}

/// The same on the wire.
pub(super) fn to_wire(capabilities: &Capabilities) -> v1::Capabilities {
    let (datasets, any_dataset) = match &capabilities.datasets {
        Datasets::Any => (Vec::new(), true),
        Datasets::Named(names) => (names.clone(), false),
    };
    v1::Capabilities {
        device: capabilities.device.map_or("", DeviceKind::as_str).to_owned(),
        memory_mib: capabilities.memory_mib.unwrap_or(0),
        datasets,
        any_dataset,
        labels: capabilities.labels.clone(),
    }
}

/// The kind of a device such as `cuda:1`.
fn device(name: &str) -> Option<DeviceKind> {
    DeviceKind::parse(name.split(':').next().unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn arguments(trainer: TrainerKind, device: &str, data_dir: &Path) -> TrainingArguments {
        TrainingArguments {
            trainer,
            simulate: None,
            data_dir: Some(data_dir.to_owned()),
            checkpoint_dir: None,
            artifacts_dir: None,
            checkpoint_every: std::time::Duration::ZERO,
            device: device.to_owned(),
        }
    }

    #[test]
    fn devices_have_kinds() {
        assert_eq!(device("cpu"), Some(DeviceKind::Cpu));
        assert_eq!(device("cuda"), Some(DeviceKind::Cuda));
        assert_eq!(device("cuda:3"), Some(DeviceKind::Cuda));
        assert_eq!(device("vulkan:0"), Some(DeviceKind::Vulkan));
        assert_eq!(device("gpu"), None);
    }

    #[test]
    fn a_simulation_needs_no_data_and_labels_are_told_once() {
        let offer = OfferArguments { labels: vec!["b".into(), "a".into(), "b".into()], memory_mib: Some(512) };
        let found = find(&arguments(TrainerKind::Simulated, "cuda:0", Path::new("/nowhere")), &offer, 2).unwrap();
        let expected = Capabilities {
            device: Some(DeviceKind::Cuda),
            memory_mib: Some(512),
            datasets: Datasets::Any,
            labels: vec!["a".into(), "b".into()],
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn slots_on_the_processor_share_the_machines_memory_and_a_gpus_is_not_known() {
        let memory = |device, n_slots| {
            let arguments = arguments(TrainerKind::Burn, device, Path::new("/nowhere"));
            find(&arguments, &OfferArguments::default(), n_slots).unwrap().memory_mib
        };
        let whole = memory::usable_mib();
        assert!(whole.is_some());
        assert_eq!(memory("cpu", 1), whole);
        assert_eq!(memory("cpu", 4), whole.map(|mib| mib / 4));
        assert_eq!(memory("cuda:0", 1), None);
    }
}
