//! The kernels' places in Burn's graph: what is kept from the forward pass, and what becomes of an output's gradient.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::TensorData;
use pulp::Arch;

use super::convolution::{Convolution, Finish};
use super::normalisation::{Maps, Normalisation, statistics};
use super::{Tracked, Values, numbers};

/// A convolution, recorded.
pub(super) fn convolution(x_bchw: Tracked, weight: Tracked, shape: Convolution) -> Tracked {
    let ((x_bchw, x_node), (weight, weight_node)) = (x_bchw.into_parts(), weight.into_parts());
    let (x_bchw, weight) = (x_bchw.to_contiguous(), weight.to_contiguous());
    let [height, width] = shape.output().expect("a convolution that fits");
    let y_bchw = shape.forward(Arch::new(), numbers(&x_bchw), numbers(&weight), Finish::default());
    let y_bchw = values(y_bchw, &[shape.n_images, shape.outputs, height, width]);
    match ConvolutionStep.prepare::<NoCheckpointing>([x_node, weight_node]).compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish((x_bchw, weight, shape), y_bchw),
        OpsKind::UnTracked(step) => step.finish(y_bchw),
    }
}

#[derive(Debug)]
struct ConvolutionStep;

impl Backward<Flex, 2> for ConvolutionStep {
    type State = (Values, Values, Convolution);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let [x_node, weight_node] = ops.parents;
        let (x_bchw, weight, shape) = ops.state;
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        if let Some(node) = weight_node {
            let dweight = shape.weight_gradient(Arch::new(), numbers(&x_bchw), numbers(&gradient));
            gradients.register::<Flex>(node.id, values(dweight, &[shape.outputs, shape.inputs, shape.kernel[0], shape.kernel[1]]));
        }
        if let Some(node) = x_node {
            let dx_bchw = shape.input_gradient(Arch::new(), numbers(&gradient), numbers(&weight));
            gradients.register::<Flex>(node.id, values(dx_bchw, &[shape.n_images, shape.inputs, shape.size[0], shape.size[1]]));
        }
    }
}

/// A batch norm in training, with the ReLU after it or without.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchNorm {
    pub(super) maps: Maps,
    pub(super) epsilon: f64,
    pub(super) relu: bool,
}

/// A batch, normalised, and its statistics.
pub(super) struct Normalised {
    pub(super) y_bchw: Tracked,
    pub(super) mean: Vec<f32>,
    /// Biased.
    pub(super) variance: Vec<f32>,
}

/// A batch norm of batch, gamma and beta, recorded.
pub(super) fn normalisation(inputs: [Tracked; 3], batch_norm: BatchNorm) -> Normalised {
    let [(x_bchw, x_node), (gamma, gamma_node), (beta, beta_node)] = inputs.map(Tracked::into_parts);
    let [x_bchw, gamma, beta] = [x_bchw, gamma, beta].map(|tensor| tensor.to_contiguous());
    let (mean, variance) = statistics(Arch::new(), numbers(&x_bchw), batch_norm.maps);
    let state = NormalisationState { x_bchw, gamma, beta, mean, variance, batch_norm };
    let y_bchw = state.normalisation().apply(Arch::new(), numbers(&state.x_bchw), batch_norm.maps);
    let y_bchw = values(y_bchw, state.x_bchw.layout().shape());
    let (mean, variance) = (state.mean.clone(), state.variance.clone());
    let y_bchw = match NormalisationStep.prepare::<NoCheckpointing>([x_node, gamma_node, beta_node]).compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish(state, y_bchw),
        OpsKind::UnTracked(step) => step.finish(y_bchw),
    };
    Normalised { y_bchw, mean, variance }
}

#[derive(Debug, Clone)]
struct NormalisationState {
    x_bchw: Values,
    gamma: Values,
    beta: Values,
    mean: Vec<f32>,
    variance: Vec<f32>,
    batch_norm: BatchNorm,
}

impl NormalisationState {
    fn normalisation(&self) -> Normalisation<'_> {
        Normalisation {
            gamma: numbers(&self.gamma),
            beta: numbers(&self.beta),
            mean: &self.mean,
            variance: &self.variance,
            epsilon: self.batch_norm.epsilon,
            relu: self.batch_norm.relu,
        }
    }
}

#[derive(Debug)]
struct NormalisationStep;

impl Backward<Flex, 3> for NormalisationStep {
    type State = NormalisationState;

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let state = ops.state;
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let found = state.normalisation().gradients(Arch::new(), numbers(&state.x_bchw), numbers(&gradient), state.batch_norm.maps);
        let channels = [state.batch_norm.maps.channels];
        let [x_node, gamma_node, beta_node] = ops.parents;
        if let Some(node) = x_node {
            gradients.register::<Flex>(node.id, values(found.x_bchw, state.x_bchw.layout().shape()));
        }
        if let Some(node) = gamma_node {
            gradients.register::<Flex>(node.id, values(found.gamma, &channels));
        }
        if let Some(node) = beta_node {
            gradients.register::<Flex>(node.id, values(found.beta, &channels));
        }
    }
}

fn values(numbers: Vec<f32>, shape: &[usize]) -> Values {
    Values::from_data(TensorData::new(numbers, shape.to_vec()))
}
