//! The moving average of a model's weights, which is evaluated in their place.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::Tensor;
use burn::tensor::container::TensorContainer;

use crate::network::MultiExit;

/// An exponential moving average over the steps of a phase.
///
/// Batch norms' running statistics are averaged with the weights, at the same pace: they describe the very weights that are averaged, step by
/// step, and those of the newest weights alone would not fit the averaged ones.
///
/// # Source
/// The average and its start, where the decay is `min(decay, (1 + n) / (10 + n))` after n updates so that the random initial weights are soon
/// forgotten: `ExponentialMovingAverage` of `TensorFlow` with `num_updates`. Averaged statistics: the reference code of Tan and Le,
/// "`EfficientNet`".
#[derive(Debug)]
pub struct Average {
    decay: f64,
    n_updates: u64,
    model: MultiExit,
}

impl Average {
    /// Starts at a model's weights. `model` is one for evaluation (`valid()`).
    pub fn start(decay: f64, model: MultiExit) -> Self {
        Self { decay, n_updates: 0, model }
    }

    /// Goes on with an average that was recorded after `n_updates`.
    ///
    /// # Errors
    /// When the record is of another model.
    pub fn resume(decay: f64, n_updates: u64, model: MultiExit, record: ModuleRecord) -> Result<Self, RecordError> {
        Ok(Self { decay, n_updates, model: model.try_load_record(record)? })
    }

    /// Takes in the weights after a step. `model` is one for evaluation (`valid()`).
    #[must_use]
    pub fn update(self, model: &MultiExit) -> Self {
        let n_updates = self.n_updates + 1;
        let decay = self.decay.min((1 + n_updates) as f64 / (10 + n_updates) as f64);
        let mut newest = Tensors::default();
        model.visit(&mut newest);
        Self { n_updates, model: self.model.map(&mut Blend { newest, decay, n_seen: 0 }), ..self }
    }

    /// The averaged model, for evaluation.
    pub const fn model(&self) -> &MultiExit {
        &self.model
    }

    /// Updates so far.
    pub const fn n_updates(&self) -> u64 {
        self.n_updates
    }
}

/// A model's tensors in the order of its modules. Not by their ids: running statistics get new ones when they are read from a record.
#[derive(Default)]
struct Tensors {
    by_place: TensorContainer<usize>,
    n_seen: usize,
}

impl ModuleVisitor for Tensors {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.by_place.register(self.n_seen, param.val());
        self.n_seen += 1;
    }
}

/// Moves each tensor towards the newest one.
struct Blend {
    newest: Tensors,
    decay: f64,
    n_seen: usize,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let newest: Tensor<D> = self.newest.by_place.remove(&self.n_seen).expect("both are the same network");
        self.n_seen += 1;
        param.map(|average| average.clone() + (newest - average).mul_scalar(1.0 - self.decay))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use offramp_domain::network::assemble_parts;

    use super::*;

    /// Every number of a small network set to `value`, running statistics included.
    fn filled(value: f64) -> MultiExit {
        struct Fill(f64);
        impl ModuleMapper for Fill {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|tensor| tensor.full_like(self.0))
            }
        }
        let backbone = offramp_domain::backbone::build("resnet8", offramp_domain::shape::Shape::new(1, 8, 8), 10).unwrap();
        let network = assemble_parts(backbone, 10, None).unwrap();
        MultiExit::new(&network, 1, &Device::flex()).map(&mut Fill(value))
    }

    fn check_all(average: &Average, expected: f32) {
        struct Check(f32, usize);
        impl ModuleVisitor for Check {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let values = param.val().try_into_vec_as::<f32>().unwrap();
                assert!(values.iter().all(|value| (value - self.0).abs() < 1e-6), "{} instead of {}", values[0], self.0);
                self.1 += values.len();
            }
        }
        let mut check = Check(expected, 0);
        average.model().visit(&mut check);
        assert!(check.1 > 70_000, "{} numbers", check.1);
    }

    #[test]
    fn weights_and_statistics_are_averaged_by_hand() {
        // Decays 2/11, then 3/12, then 0.25 for min(0.25, 4/13): 0 -> 9/11 * 11 = 9 -> 9/4 + 3/4 * 5 = 6 -> 6/4 + 3/4 * 2 = 3.
        let average = Average::start(0.25, filled(0.0)).update(&filled(11.0));
        check_all(&average, 9.0);
        let average = average.update(&filled(5.0));
        check_all(&average, 6.0);
        let average = average.update(&filled(2.0));
        check_all(&average, 3.0);
        assert_eq!(average.n_updates(), 3);
    }

    #[test]
    fn a_recorded_average_goes_on_where_it_was() {
        let average = Average::start(0.9, filled(0.0)).update(&filled(11.0));
        let record = average.model().clone().into_record();
        let resumed = Average::resume(0.9, average.n_updates(), filled(7.0), record).unwrap();
        check_all(&resumed, 9.0);
        // 3/12 of 9 and 9/12 of 5.
        check_all(&resumed.update(&filled(5.0)), 6.0);
    }
}
