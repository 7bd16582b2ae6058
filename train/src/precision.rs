//! Training in 16-bit numbers.
//!
//! What is stored stays in 32 bits: weights, their gradients, the optimiser's state, the loss. In bf16 are the forward and backward passes of
//! convolutions and linear layers and the maps between them; batch norms take them back to 32 bits and forth. Evaluation is in 32 bits.
//!
//! # Source
//! Micikevicius et al., "Mixed Precision Training", section 3.1: a master copy in 32 bits. Numbers in bf16 have the range of 32-bit ones, so
//! the loss need not be scaled (Kalamkar et al., "A Study of BFLOAT16 for Deep Learning Training").

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, FloatDType, Tensor};
use offramp_domain::job::Precision;

use crate::device::DeviceChoice;
use crate::network::MultiExit;
use crate::run::TrainError;

/// Refuses a precision that a device lacks. The CPU backend has bf16, and is slower in it than in 32 bits.
///
/// # Errors
/// When the device cannot compute in it.
pub fn check(precision: Precision, choice: DeviceChoice, device: &Device) -> Result<(), TrainError> {
    match precision {
        Precision::F32 => Ok(()),
        Precision::Bf16 if device.supports_dtype(DType::BF16) => Ok(()),
        Precision::Bf16 => Err(TrainError::Precision(choice)),
    }
}

/// A model that computes in bf16 with another's weights. What it learns flows back to the other: gradients through the conversion, and running
/// statistics because both share them.
pub fn in_bf16(model: &MultiExit) -> MultiExit {
    model.clone().map(&mut Convert { containers: Vec::new() })
}

/// Converts all parameters but those of batch norms.
struct Convert {
    containers: Vec<bool>,
}

impl ModuleMapper for Convert {
    fn enter_module(&mut self, _name: &str, container_type: &str) {
        self.containers.push(container_type == "Struct:BatchNorm");
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.containers.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.containers.contains(&true) { param } else { param.map(|tensor| tensor.cast(FloatDType::BF16)) }
    }
}
