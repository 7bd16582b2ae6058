//! A network's tensors under their names, laid out as PyTorch does.

use burn::module::{Param, RunningState};
use burn::tensor::{Gradients, Tensor, TensorData, TensorReadError};
use offramp_domain::network::Network;

use super::modules::{LayerModule, ShortcutModule, UnitModule};
use super::names::Names;
use super::{BranchModule, MultiExit};

/// A tensor under its name in a `state_dict` of PyTorch, in that layout.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Its name.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its values, row by row.
    pub values: Vec<f32>,
}

impl MultiExit {
    /// All weights, and the running statistics of batch norms, in the order units, head, branches.
    ///
    /// # Errors
    /// When the device fails.
    pub fn tensors(&self, network: &Network) -> Result<Vec<NamedTensor>, TensorReadError> {
        self.collect(network, |tensor| tensor.values().map(Some))
    }

    /// The gradients of all weights that a backward pass has reached, under the weights' names and in their order.
    ///
    /// # Errors
    /// When the device fails.
    pub fn named_gradients(&self, network: &Network, gradients: &Gradients) -> Result<Vec<NamedTensor>, TensorReadError> {
        self.collect(network, |tensor| tensor.gradient(gradients))
    }

    fn collect(
        &self,
        network: &Network,
        read: impl Fn(TensorRef) -> Result<Option<Vec<f32>>, TensorReadError>,
    ) -> Result<Vec<NamedTensor>, TensorReadError> {
        let Names { units, head, branches } = Names::of(network);
        let layers = self.unit_layers().chain(&self.head).chain(self.branch_layers());
        let mut found = Vec::new();
        for (name, layer) in units.into_iter().chain(head).chain(branches).zip(layers.filter(|layer| layer.has_weights())) {
            for (part, tensor) in layer.tensors() {
                let shape = tensor.shape();
                found.extend(read(tensor)?.map(|values| NamedTensor { name: format!("{name}.{part}"), shape, values }));
            }
        }
        Ok(found)
    }

    fn unit_layers(&self) -> impl Iterator<Item = &LayerModule> {
        self.units.iter().flat_map(UnitModule::layers)
    }

    fn branch_layers(&self) -> impl Iterator<Item = &LayerModule> {
        self.branches.iter().flat_map(|branch| &branch.layers)
    }

    /// Every tensor of units and head to be set, with its name.
    pub(super) fn backbone_slots(&mut self, network: &Network) -> Vec<Slot<'_>> {
        let Names { units, head, .. } = Names::of(network);
        let mut slots = slots(units, self.units.iter_mut().flat_map(UnitModule::layers_mut));
        slots.extend(self::slots(head, &mut self.head));
        slots
    }

    /// Every tensor to be set, with its name.
    pub(super) fn slots(&mut self, network: &Network) -> Vec<Slot<'_>> {
        let Names { units, head, branches } = Names::of(network);
        let mut slots = slots(units, self.units.iter_mut().flat_map(UnitModule::layers_mut));
        slots.extend(self::slots(head, &mut self.head));
        slots.extend(self::slots(branches, self.branches.iter_mut().flat_map(BranchModule::layers_mut)));
        slots
    }
}

fn slots<'a>(names: Vec<String>, layers: impl IntoIterator<Item = &'a mut LayerModule>) -> Vec<Slot<'a>> {
    let layers = layers.into_iter().filter(|layer| layer.has_weights());
    let of_layer = |(name, layer): (String, &'a mut LayerModule)| {
        layer.tensors_mut().into_iter().map(move |(part, tensor)| Slot { name: format!("{name}.{part}"), tensor })
    };
    names.into_iter().zip(layers).flat_map(of_layer).collect()
}

/// A tensor that can be set.
pub(super) struct Slot<'a> {
    pub(super) name: String,
    tensor: TensorMut<'a>,
}

impl Slot<'_> {
    pub(super) fn shape(&self) -> Vec<usize> {
        match &self.tensor {
            TensorMut::Kernel(param) => TensorRef::Kernel(param).shape(),
            TensorMut::Matrix(param) => TensorRef::Matrix(param).shape(),
            TensorMut::Vector(param) => TensorRef::Vector(param).shape(),
            TensorMut::Running(state) => TensorRef::Running(state).shape(),
        }
    }

    /// Sets it; `values` are as many as the shape says, row by row. Whether it learns, and which optimiser state is its own, stays as it is.
    pub(super) fn set(self, values: Vec<f32>) {
        let shape = self.shape();
        match self.tensor {
            TensorMut::Kernel(param) => replace(param, TensorData::new(values, shape)),
            TensorMut::Vector(param) => replace(param, TensorData::new(values, shape)),
            // Turned round here and not on the device, where it would stay a view and be multiplied in another order of sums.
            TensorMut::Matrix(param) => replace(param, transposed(&values, shape[0], shape[1])),
            TensorMut::Running(state) => {
                *state = RunningState::new(Tensor::from_data(TensorData::new(values, shape), &state.value().device()));
            }
        }
    }
}

fn replace<const D: usize>(param: &mut Param<Tensor<D>>, data: TensorData) {
    let learns = param.is_require_grad();
    *param = param.clone().map(|old| Tensor::from_data(data, &old.device())).set_require_grad(learns);
}

fn transposed(values: &[f32], n_rows: usize, n_columns: usize) -> TensorData {
    let turned: Vec<f32> = (0..n_columns).flat_map(|column| (0..n_rows).map(move |row| values[row * n_columns + column])).collect();
    TensorData::new(turned, [n_columns, n_rows])
}

/// A tensor of a layer. Linear layers keep theirs transposed.
enum TensorRef<'a> {
    Kernel(&'a Param<Tensor<4>>),
    Matrix(&'a Param<Tensor<2>>),
    Vector(&'a Param<Tensor<1>>),
    Running(&'a RunningState<Tensor<1>>),
}

enum TensorMut<'a> {
    Kernel(&'a mut Param<Tensor<4>>),
    Matrix(&'a mut Param<Tensor<2>>),
    Vector(&'a mut Param<Tensor<1>>),
    Running(&'a mut RunningState<Tensor<1>>),
}

impl TensorRef<'_> {
    fn shape(&self) -> Vec<usize> {
        match self {
            Self::Kernel(param) => param.dims().to_vec(),
            Self::Matrix(param) => param.dims().into_iter().rev().collect(),
            Self::Vector(param) => param.dims().to_vec(),
            Self::Running(state) => state.value().dims().to_vec(),
        }
    }

    fn values(&self) -> Result<Vec<f32>, TensorReadError> {
        match self {
            Self::Kernel(param) => param.val().try_into_vec_as(),
            Self::Matrix(param) => param.val().transpose().try_into_vec_as(),
            Self::Vector(param) => param.val().try_into_vec_as(),
            Self::Running(state) => state.value_sync().try_into_vec_as(),
        }
    }

    fn gradient(&self, gradients: &Gradients) -> Result<Option<Vec<f32>>, TensorReadError> {
        match self {
            Self::Kernel(param) => param.val().grad(gradients).map(Tensor::try_into_vec_as).transpose(),
            Self::Matrix(param) => param.val().grad(gradients).map(|gradient| gradient.transpose().try_into_vec_as()).transpose(),
            Self::Vector(param) => param.val().grad(gradients).map(Tensor::try_into_vec_as).transpose(),
            Self::Running(_) => Ok(None),
        }
    }
}

impl LayerModule {
    fn has_weights(&self) -> bool {
        matches!(self, Self::Conv2d(_) | Self::BatchNorm(_) | Self::Linear(_))
    }

    fn tensors(&self) -> Vec<(&'static str, TensorRef<'_>)> {
        match self {
            Self::Conv2d(conv) => with_bias(("weight", TensorRef::Kernel(&conv.weight)), conv.bias.as_ref().map(TensorRef::Vector)),
            Self::Linear(linear) => with_bias(("weight", TensorRef::Matrix(&linear.weight)), linear.bias.as_ref().map(TensorRef::Vector)),
            Self::BatchNorm(norm) => vec![
                ("weight", TensorRef::Vector(&norm.gamma)),
                ("bias", TensorRef::Vector(&norm.beta)),
                ("running_mean", TensorRef::Running(&norm.running_mean)),
                ("running_var", TensorRef::Running(&norm.running_var)),
            ],
            Self::Relu(_) | Self::Relu6(_) | Self::MaxPool(_) | Self::AveragePool(_) | Self::GlobalAveragePool(_) => Vec::new(),
        }
    }

    fn tensors_mut(&mut self) -> Vec<(&'static str, TensorMut<'_>)> {
        match self {
            Self::Conv2d(conv) => with_bias(("weight", TensorMut::Kernel(&mut conv.weight)), conv.bias.as_mut().map(TensorMut::Vector)),
            Self::Linear(linear) => {
                with_bias(("weight", TensorMut::Matrix(&mut linear.weight)), linear.bias.as_mut().map(TensorMut::Vector))
            }
            Self::BatchNorm(norm) => vec![
                ("weight", TensorMut::Vector(&mut norm.gamma)),
                ("bias", TensorMut::Vector(&mut norm.beta)),
                ("running_mean", TensorMut::Running(&mut norm.running_mean)),
                ("running_var", TensorMut::Running(&mut norm.running_var)),
            ],
            Self::Relu(_) | Self::Relu6(_) | Self::MaxPool(_) | Self::AveragePool(_) | Self::GlobalAveragePool(_) => Vec::new(),
        }
    }
}

fn with_bias<T>(weight: (&'static str, T), bias: Option<T>) -> Vec<(&'static str, T)> {
    std::iter::once(weight).chain(bias.map(|bias| ("bias", bias))).collect()
}

impl UnitModule {
    /// All layers, in the order in which they are built and visited.
    fn layers(&self) -> Vec<&LayerModule> {
        match self {
            Self::Sequence(layers) => layers.iter().collect(),
            Self::Residual(unit) => {
                let shortcut = if let ShortcutModule::Projection(layers) = &unit.shortcut { layers.as_slice() } else { &[] };
                unit.before.iter().chain(&unit.body).chain(shortcut).chain(&unit.after).collect()
            }
            Self::Joined(maps) => maps.iter().flat_map(|map| &map.parts).flat_map(|part| &part.layers).collect(),
        }
    }

    fn layers_mut(&mut self) -> Vec<&mut LayerModule> {
        match self {
            Self::Sequence(layers) => layers.iter_mut().collect(),
            Self::Residual(unit) => {
                let shortcut = if let ShortcutModule::Projection(layers) = &mut unit.shortcut { layers.as_mut_slice() } else { &mut [] };
                unit.before.iter_mut().chain(&mut unit.body).chain(shortcut).chain(&mut unit.after).collect()
            }
            Self::Joined(maps) => maps.iter_mut().flat_map(|map| &mut map.parts).flat_map(|part| &mut part.layers).collect(),
        }
    }
}

impl BranchModule {
    fn layers_mut(&mut self) -> impl Iterator<Item = &mut LayerModule> {
        self.layers.iter_mut()
    }
}
