//! Weights in and out through SafeTensors, under PyTorch's names.
//!
//! A file holds every tensor under the name that [`MultiExit::tensors`] gives it. Numbers may be f32, f64, f16 or bf16, and are f32 here;
//! `num_batches_tracked` is ignored. Running variances are taken over as they are, although PyTorch's were gathered with n / (n - 1).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, TensorData, TensorReadError};
use offramp_domain::network::Network;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use super::names::Names;
use super::tensors::Slot;
use super::{MultiExit, NamedTensor};

/// Names that an error lists before it only counts.
const MOST_LISTED: usize = 5;

/// A file of weights, read once: what is loaded is what was checked.
#[derive(Debug, Clone)]
pub struct Weights {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// Where a loaded backbone's last linear layer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassifierOrigin {
    /// The file.
    File,
    /// The seed: the file has none, or a branch stands in its place.
    Fresh,
}

impl Weights {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read; what is in it is looked at when it is loaded.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let bytes = std::fs::read(path).map_err(|source| WeightsError::Read { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), bytes })
    }

    /// Refuses a file other than the one that is meant.
    ///
    /// # Errors
    /// When its SHA-256 is not the given one, 64 hexadecimal digits of either case.
    pub fn check(&self, sha256: &str) -> Result<(), WeightsError> {
        let got = crate::checkpoint::sha256(&self.bytes);
        if got.eq_ignore_ascii_case(sha256) {
            return Ok(());
        }
        Err(WeightsError::Checksum { path: self.path.clone(), expected: sha256.to_owned(), got })
    }
}

impl MultiExit {
    /// Sets backbone and final classifier from a file; branches keep their weights, and any in the file are passed over. A file without the last
    /// linear layer, for one trained on other classes, leaves that one as it is; so does any file where a branch stands in the final classifier's place.
    ///
    /// # Errors
    /// When the file is not in the format, lacks a tensor, has one of another shape or type, or has one that the backbone has not. Nothing is set then.
    pub fn load_backbone(&mut self, network: &Network, weights: &Weights) -> Result<ClassifierOrigin, WeightsError> {
        let mut file = weights.parse()?;
        file.retain(|name, _| !name.starts_with("branches."));
        let mut slots = self.backbone_slots(network);
        if network.final_branch.is_some() {
            // Another classifier stands where the file's would go.
            let plain = Network { final_branch: None, branches: Vec::new(), ..network.clone() };
            let own: Vec<String> = Names::of(&plain).head;
            file.retain(|name, _| !own.iter().any(|layer| name.strip_prefix(layer.as_str()).is_some_and(|part| part.starts_with('.'))));
            slots.retain(|slot| !slot.name.starts_with("branches."));
            weights.fill(slots, file)?;
            return Ok(ClassifierOrigin::Fresh);
        }
        // The last linear layer's weight and bias are the last two.
        let classifier = slots.len() - 2;
        let is_fresh = slots[classifier..].iter().all(|slot| !file.contains_key(slot.name.as_str()));
        if is_fresh {
            slots.truncate(classifier);
        }
        weights.fill(slots, file)?;
        Ok(if is_fresh { ClassifierOrigin::Fresh } else { ClassifierOrigin::File })
    }

    /// Sets all weights, branches included, from a file.
    ///
    /// # Errors
    /// As [`load_backbone`](Self::load_backbone) does.
    pub fn load(&mut self, network: &Network, weights: &Weights) -> Result<(), WeightsError> {
        weights.fill(self.slots(network), weights.parse()?)
    }

    /// Writes all weights to a file, which is there in full or not at all.
    ///
    /// # Errors
    /// When the device fails, or the file cannot be written.
    pub fn save(&self, network: &Network, path: &Path) -> Result<(), WeightsError> {
        write(path, &self.tensors(network)?)
    }
}

/// Writes tensors to a file, which is there in full or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, tensors: &[NamedTensor]) -> Result<(), WeightsError> {
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|tensor| tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
    let views: Result<Vec<_>, SafeTensorError> = tensors
        .iter()
        .zip(&bytes)
        .map(|(tensor, bytes)| Ok((tensor.name.as_str(), TensorView::new(Dtype::F32, tensor.shape.clone(), bytes)?)))
        .collect();
    let format = |source| WeightsError::Format { path: path.to_owned(), source };
    let file = safetensors::serialize(views.map_err(format)?, None).map_err(format)?;
    let fail = |source| WeightsError::Write { path: path.to_owned(), source };
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let mut out = std::fs::File::create(&partial).map_err(fail)?;
    std::io::Write::write_all(&mut out, &file).and_then(|()| out.sync_all()).map_err(fail)?;
    std::fs::rename(&partial, path).map_err(fail)
}

impl Weights {
    /// All tensors, in no use of PyTorch's counters.
    fn parse(&self) -> Result<BTreeMap<String, TensorView<'_>>, WeightsError> {
        let file = SafeTensors::deserialize(&self.bytes).map_err(|source| WeightsError::Format { path: self.path.clone(), source })?;
        Ok(file.tensors().into_iter().filter(|(name, _)| !name.ends_with(".num_batches_tracked")).collect())
    }

    /// Sets every slot from the file, or none.
    fn fill(&self, slots: Vec<Slot>, mut file: BTreeMap<String, TensorView>) -> Result<(), WeightsError> {
        let path = || self.path.clone();
        let missing: Vec<String> = slots.iter().map(|slot| &slot.name).filter(|name| !file.contains_key(*name)).cloned().collect();
        if !missing.is_empty() {
            return Err(WeightsError::Missing { path: path(), tensors: missing });
        }
        let mut found = Vec::with_capacity(slots.len());
        for slot in slots {
            let view = file.remove(&slot.name).expect("none is missing");
            if view.shape() != slot.shape() {
                let (tensor, expected, got) = (slot.name.clone(), slot.shape(), view.shape().to_vec());
                return Err(WeightsError::Shape { path: path(), tensor, expected, got });
            }
            let Some(values) = numbers(&view) else {
                return Err(WeightsError::Type { path: path(), tensor: slot.name.clone(), got: view.dtype() });
            };
            if !values.iter().all(|value| value.is_finite()) {
                return Err(WeightsError::NotFinite { path: path(), tensor: slot.name.clone() });
            }
            found.push((slot, values));
        }
        if !file.is_empty() {
            return Err(WeightsError::Unexpected { path: path(), tensors: file.into_keys().collect() });
        }
        for (slot, values) in found {
            slot.set(values);
        }
        Ok(())
    }
}

fn numbers(view: &TensorView) -> Option<Vec<f32>> {
    let dtype = match view.dtype() {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        _ => return None,
    };
    let data = TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype);
    Some(data.convert::<f32>().try_into_vec().expect("they were made f32"))
}

/// Why weights cannot be loaded or written.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be written.
    #[error("`{}` cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is another file than the one that is meant.
    #[error("`{}` has the SHA-256 {got}, not {expected}", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// The sum asked for.
        expected: String,
        /// Its sum.
        got: String,
    },
    /// It is no file of this format, or a damaged one.
    #[error("`{}` is not a whole SafeTensors file", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SafeTensorError,
    },
    /// Tensors are missing.
    #[error("`{}` lacks {}", path.display(), list(tensors))]
    Missing {
        /// The file.
        path: PathBuf,
        /// Their names.
        tensors: Vec<String>,
    },
    /// Tensors are there that the network has not.
    #[error("`{}` has {}, which the network has not", path.display(), list(tensors))]
    Unexpected {
        /// The file.
        path: PathBuf,
        /// Their names.
        tensors: Vec<String>,
    },
    /// A tensor has another shape.
    #[error("`{tensor}` in `{}` has the shape {got:?}, not {expected:?}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Its name.
        tensor: String,
        /// The network's shape.
        expected: Vec<usize>,
        /// Its shape.
        got: Vec<usize>,
    },
    /// A tensor holds no real numbers.
    #[error("`{tensor}` in `{}` holds {got} numbers, none of F64, F32, F16 and BF16", path.display())]
    Type {
        /// The file.
        path: PathBuf,
        /// Its name.
        tensor: String,
        /// What it holds.
        got: Dtype,
    },
    /// A tensor holds a number that is not finite.
    #[error("`{tensor}` in `{}` holds a number that is not finite", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Its name.
        tensor: String,
    },
    /// The device failed.
    #[error("the device failed")]
    Execution(#[from] TensorReadError),
}

impl WeightsError {
    /// What to try instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Read { .. } => "the path is taken on the worker's machine, relative to its folder of data".to_owned(),
            Self::Write { .. } => "is there space, and may the folder be written to?".to_owned(),
            Self::Checksum { .. } => "fetch the file again, or correct `sha256`".to_owned(),
            Self::Format { .. } => "write it with `safetensors.torch.save_file(model.state_dict(), path)`".to_owned(),
            Self::Missing { .. } | Self::Unexpected { .. } => {
                "is it of this backbone? docs/WEIGHTS.md lists the names; remove a common prefix such as `module.`".to_owned()
            }
            Self::Shape { .. } => {
                "is it of this backbone? where only the number of classes differs, remove the last linear layer from the file".to_owned()
            }
            Self::Type { .. } => "convert it with `tensor.float()`".to_owned(),
            Self::NotFinite { .. } => "the network that was saved had diverged".to_owned(),
            Self::Execution(_) => "see the worker's log".to_owned(),
        }
    }
}

fn list(tensors: &[String]) -> String {
    let listed = tensors.iter().take(MOST_LISTED).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match tensors.len().saturating_sub(MOST_LISTED) {
        0 => listed,
        more => format!("{listed} and {more} more tensors"),
    }
}

#[cfg(test)]
mod tests;
