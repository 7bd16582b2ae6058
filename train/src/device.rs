//! Choosing a device, opening it safely, and what this machine has.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};

/// Where to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceChoice {
    /// This machine's processors: Burn's `flex` backend. Always there.
    Cpu,
    /// An NVIDIA GPU by its index; builds with feature `cuda` have it.
    Cuda(usize),
    /// A GPU through Vulkan by its index; builds with feature `vulkan` have it.
    Vulkan(usize),
}

impl FromStr for DeviceChoice {
    type Err = ParseDeviceError;

    /// Reads `cpu`, `cuda`, `cuda:N`, `vulkan` or `vulkan:N`; without a number the first.
    fn from_str(text: &str) -> Result<Self, ParseDeviceError> {
        let invalid = || ParseDeviceError(text.to_owned());
        let (kind, index) = match text.split_once(':') {
            Some((kind, index)) => (kind, Some(index.parse().map_err(|_| invalid())?)),
            None => (text, None),
        };
        match (kind, index) {
            ("cpu", None) => Ok(Self::Cpu),
            ("cuda", index) => Ok(Self::Cuda(index.unwrap_or(0))),
            ("vulkan", index) => Ok(Self::Vulkan(index.unwrap_or(0))),
            _ => Err(invalid()),
        }
    }
}

impl std::fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Vulkan(index) => write!(f, "vulkan:{index}"),
        }
    }
}

/// A text that names no device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a device: `cpu`, `cuda:N` or `vulkan:N` is")]
pub struct ParseDeviceError(String);

/// Why a device cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The build has no backend for it.
    #[error("this build cannot use `{choice}`: it was built without feature `{feature}`")]
    NotBuilt {
        /// The device asked for.
        choice: DeviceChoice,
        /// The feature that brings it.
        feature: &'static str,
    },
    /// The machine has no such device.
    #[error("this machine has no `{choice}`: {n_found} found")]
    NotFound {
        /// The device asked for.
        choice: DeviceChoice,
        /// Devices of that kind.
        n_found: usize,
    },
    /// It is there, and does not work.
    #[error("`{choice}` does not work: {reason}")]
    Broken {
        /// The device asked for.
        choice: DeviceChoice,
        /// What it answered to a small computation.
        reason: String,
    },
}

impl DeviceChoice {
    /// Environment variables that a process training on this device is to be started with.
    ///
    /// Burn puts some tensors on its default device, which is the first GPU backend of the build whatever device the network is on;
    /// `BURN_DEVICE` overrides that.
    ///
    /// On the CPU each step allocates its activations and frees them. The C library would hand that memory back to the system every time, and
    /// a third of a step would go into getting it again, page by page; the two `MALLOC_` variables, which only glibc reads, have it keep up to
    /// 8 GiB. Memory at its peak is the same.
    pub const fn process_environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Cpu => &[("BURN_DEVICE", "flex"), ("MALLOC_TRIM_THRESHOLD_", "8589934592"), ("MALLOC_MMAP_THRESHOLD_", "33554432")],
            Self::Cuda(_) => &[("BURN_DEVICE", "cuda")],
            Self::Vulkan(_) => &[("BURN_DEVICE", "vulkan")],
        }
    }

    /// The name of the Burn backend behind it.
    pub const fn backend(self) -> &'static str {
        match self {
            Self::Cpu => "flex",
            Self::Cuda(_) => "cuda",
            Self::Vulkan(_) => "vulkan",
        }
    }

    /// Opens the device, having computed a little on it.
    ///
    /// # Errors
    /// When the build or the machine lacks it, or it gives no or wrong numbers. Never panics: a driver that is missing is found by asking, and what
    /// panics in a backend all the same is caught.
    pub fn open(self) -> Result<Device, DeviceError> {
        let (found, index) = match self {
            Self::Cpu => return Ok(Device::flex()),
            Self::Cuda(index) => (enumerate_cuda(), index),
            Self::Vulkan(index) => (enumerate_vulkan(), index),
        };
        let found = found.ok_or(DeviceError::NotBuilt { choice: self, feature: self.backend() })?;
        let n_found = found.len();
        let device = found.into_iter().nth(index).ok_or(DeviceError::NotFound { choice: self, n_found })?;
        self_check(&device).map_err(|reason| DeviceError::Broken { choice: self, reason })?;
        Ok(device)
    }
}

/// One device, or one kind of device that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceReport {
    /// What a command line calls it.
    pub name: String,
    /// Whether it can be trained on: it gave the right numbers.
    pub available: bool,
    /// What it is, or why it cannot be used.
    pub detail: String,
}

/// What can be trained on here: every device of every kind that the build has, each checked with a small computation.
pub fn devices() -> Vec<DeviceReport> {
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut reports = vec![report(DeviceChoice::Cpu, &Device::flex(), &format!("{n_threads} threads"))];
    reports.extend(report_kind("cuda", enumerate_cuda(), DeviceChoice::Cuda));
    reports.extend(report_kind("vulkan", enumerate_vulkan(), DeviceChoice::Vulkan));
    reports
}

fn report(choice: DeviceChoice, device: &Device, what: &str) -> DeviceReport {
    let (available, detail) = match self_check(device) {
        Ok(()) => (true, format!("{what}; burn-{}; self-check passed", choice.backend())),
        Err(reason) => (false, format!("{what}; self-check failed: {reason}")),
    };
    DeviceReport { name: choice.to_string(), available, detail }
}

fn report_kind(kind: &str, found: Option<Vec<Device>>, choice: fn(usize) -> DeviceChoice) -> Vec<DeviceReport> {
    let missing = |detail: String| vec![DeviceReport { name: kind.to_owned(), available: false, detail }];
    match found {
        None => missing(format!("built without feature `{kind}`")),
        Some(found) if found.is_empty() => missing("none found".to_owned()),
        Some(found) => found.iter().enumerate().map(|(index, device)| report(choice(index), device, "found")).collect(),
    }
}

/// This machine's CUDA devices; `None` where the build has no backend for them.
#[cfg(feature = "cuda")]
fn enumerate_cuda() -> Option<Vec<Device>> {
    Some(enumerate(burn::tensor::DeviceType::Cuda))
}

/// This machine's CUDA devices; `None` where the build has no backend for them.
#[cfg(not(feature = "cuda"))]
const fn enumerate_cuda() -> Option<Vec<Device>> {
    None
}

/// This machine's Vulkan devices; `None` where the build has no backend for them.
#[cfg(feature = "vulkan")]
fn enumerate_vulkan() -> Option<Vec<Device>> {
    Some(enumerate(burn::tensor::DeviceType::Vulkan))
}

/// This machine's Vulkan devices; `None` where the build has no backend for them.
#[cfg(not(feature = "vulkan"))]
const fn enumerate_vulkan() -> Option<Vec<Device>> {
    None
}

/// Asks which devices there are. A loader that panics for want of a driver has found none.
#[cfg(any(feature = "cuda", feature = "vulkan"))]
fn enumerate(kind: burn::tensor::DeviceType) -> Vec<Device> {
    catch_unwind(|| Device::enumerate(kind).into_vec()).unwrap_or_default()
}

/// Computes a convolution and a matrix product and compares them with values computed by hand; says what was wrong.
fn self_check(device: &Device) -> Result<(), String> {
    let computed = catch_unwind(AssertUnwindSafe(|| {
        let image_bchw = Tensor::<4>::from_data([[[[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]], device);
        let kernel = Tensor::<4>::from_data([[[[1.0_f32, 2.0], [3.0, 4.0]]]], device);
        let convolved = conv2d(image_bchw, kernel, None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1));
        let left = Tensor::<2>::from_data([[1.0_f32, 2.0], [3.0, 4.0]], device);
        let right = Tensor::<2>::from_data([[5.0_f32, 6.0], [7.0, 8.0]], device);
        let both = Tensor::cat(vec![convolved.reshape([4]), left.matmul(right).reshape([4])], 0);
        both.try_into_vec_as::<f32>().map_err(|error| error.to_string())
    }));
    let values = computed.map_err(|_| "its driver panicked".to_owned())??;
    // 1 + 4 + 12 + 20 = 37, and so on; 1 * 5 + 2 * 7 = 19, and so on.
    let expected = [37.0, 47.0, 67.0, 77.0, 19.0, 22.0, 43.0, 50.0];
    if values == expected { Ok(()) } else { Err(format!("computed {values:?}, expected {expected:?}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_and_written() {
        let check = |text: &str, choice| assert_eq!(text.parse(), Ok(choice));
        check("cpu", DeviceChoice::Cpu);
        check("cuda", DeviceChoice::Cuda(0));
        check("cuda:3", DeviceChoice::Cuda(3));
        check("vulkan:1", DeviceChoice::Vulkan(1));
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "CPU", "cuda:1:2"] {
            assert_eq!(text.parse::<DeviceChoice>(), Err(ParseDeviceError(text.to_owned())));
        }
        for choice in [DeviceChoice::Cpu, DeviceChoice::Cuda(2), DeviceChoice::Vulkan(0)] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
    }

    #[test]
    fn the_cpu_passes_its_self_check() {
        let reports = devices();
        assert_eq!((reports[0].name.as_str(), reports[0].available), ("cpu", true), "{}", reports[0].detail);
        assert!(DeviceChoice::Cpu.open().is_ok());
    }

    #[test]
    #[cfg(not(any(feature = "cuda", feature = "vulkan")))]
    fn a_device_that_the_build_lacks_is_an_error_with_the_feature() {
        let message = |choice: DeviceChoice| choice.open().unwrap_err().to_string();
        assert_eq!(message(DeviceChoice::Cuda(1)), "this build cannot use `cuda:1`: it was built without feature `cuda`");
        assert_eq!(message(DeviceChoice::Vulkan(0)), "this build cannot use `vulkan:0`: it was built without feature `vulkan`");
        let reports = devices();
        assert_eq!(reports.iter().map(|report| report.available).collect::<Vec<_>>(), [true, false, false]);
    }
}
