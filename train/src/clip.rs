//! Cutting gradients down.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use offramp_domain::job::Clip;

/// Added to a norm before it divides, so that no gradient at all stays none.
const LEAST_NORM: f64 = 1e-6;

/// Cuts a model's gradients down.
///
/// Burn's own clipping by norm looks at one parameter at a time, which turns the gradient's direction; the field means the norm of all of them
/// together (Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks"; PyTorch's `clip_grad_norm_`, with the same
/// 1e-6 in the denominator).
pub fn clip(clip: Clip, gradients: GradientsParams, model: &impl Module) -> GradientsParams {
    match clip {
        Clip::Norm(most) => {
            let mut squares = Squares { gradients: &gradients, sum: None };
            model.visit(&mut squares);
            let Some(sum) = squares.sum else { return gradients };
            // Never read back: the device need not be waited for.
            let factor = (sum.sqrt() + LEAST_NORM).recip().mul_scalar(most).clamp_max(1.0);
            change(gradients, model, Change::Scale(Box::new(factor)))
        }
        Clip::Value(most) => change(gradients, model, Change::Clamp(most)),
    }
}

/// Sums the squares of all gradients, in the order of the modules.
struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let square = gradient.square().sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

/// What is done to each gradient.
enum Change {
    Scale(Box<Tensor<1>>),
    Clamp(f64),
}

fn change(gradients: GradientsParams, model: &impl Module, change: Change) -> GradientsParams {
    let mut changer = Changer { gradients, change };
    model.visit(&mut changer);
    changer.gradients
}

struct Changer {
    gradients: GradientsParams,
    change: Change,
}

impl ModuleVisitor for Changer {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return };
        let changed = match &self.change {
            Change::Scale(factor) => gradient.mul(factor.as_ref().clone().reshape([1; D])),
            Change::Clamp(most) => gradient.clamp(-most, *most),
        };
        self.gradients.register(param.id, changed);
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[derive(Module, Debug)]
    struct TwoParameters {
        matrix: Param<Tensor<2>>,
        vector: Param<Tensor<1>>,
    }

    /// What is left of the gradients (3, 0) of a matrix and (0, -4) of a vector, whose norm together is 5.
    fn clipped(how: Clip) -> (Vec<f32>, Vec<f32>) {
        let device = Device::flex().autodiff();
        let model =
            TwoParameters { matrix: Param::from_data([[1.0_f32, 1.0]], &device), vector: Param::from_data([1.0_f32, 1.0], &device) };
        let slopes_of_matrix = Tensor::<2>::from_data([[3.0_f32, 0.0]], &device);
        let slopes_of_vector = Tensor::<1>::from_data([0.0_f32, -4.0], &device);
        let loss = (model.matrix.val() * slopes_of_matrix).sum() + (model.vector.val() * slopes_of_vector).sum();
        let gradients = clip(how, GradientsParams::from_grads(loss.backward(), &model), &model);
        let values = |tensor: Tensor<1>| tensor.try_into_vec_as::<f32>().unwrap();
        let matrix = gradients.get::<2>(model.matrix.id).unwrap().reshape([2]);
        (values(matrix), values(gradients.get::<1>(model.vector.id).unwrap()))
    }

    fn check(how: Clip, matrix: [f32; 2], vector: [f32; 2]) {
        let (a, b) = clipped(how);
        let near = a.iter().zip(matrix).chain(b.iter().zip(vector)).all(|(got, expected)| (got - expected).abs() < 2e-6);
        assert!(near, "{how:?}: {a:?} {b:?}, expected {matrix:?} {vector:?}");
    }

    #[test]
    fn the_norm_is_that_of_all_gradients_together() {
        // Taken one by one, norms 3 and 4 would each become 2.5.
        check(Clip::Norm(2.5), [1.5, 0.0], [0.0, -2.0]);
        check(Clip::Norm(6.0), [3.0, 0.0], [0.0, -4.0]);
    }

    #[test]
    fn values_are_cut_one_by_one() {
        check(Clip::Value(3.5), [3.0, 0.0], [0.0, -3.5]);
        check(Clip::Value(1.0), [1.0, 0.0], [0.0, -1.0]);
    }
}
