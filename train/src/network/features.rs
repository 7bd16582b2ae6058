//! What the trunk has made of a batch so far.

use burn::tensor::{Int, Tensor, TensorData};

/// The feature maps between two units: one, or in a multi-scale trunk one a scale, finest first.
#[derive(Debug, Clone)]
pub struct Features {
    maps: Vec<Tensor<4>>,
}

impl Features {
    /// The features before the first unit: the input itself.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]`.
    pub fn of_input(x_bchw: Tensor<4>) -> Self {
        Self::of_map(x_bchw)
    }

    pub(super) fn of_map(map: Tensor<4>) -> Self {
        Self { maps: vec![map] }
    }

    /// What a unit puts out, finest first; never empty.
    pub(super) fn of_maps(maps: Vec<Tensor<4>>) -> Self {
        Self { maps }
    }

    pub(super) fn into_coarsest(mut self) -> Tensor<4> {
        self.maps.pop().expect("features have a map")
    }

    /// The map that an exit reads: the only one, or the coarsest.
    pub fn at_exit(&self) -> &Tensor<4> {
        self.maps.last().expect("features have a map")
    }

    /// All maps, finest first.
    pub fn into_maps(self) -> Vec<Tensor<4>> {
        self.maps
    }

    /// Number of samples.
    pub fn n_rows(&self) -> usize {
        self.at_exit().dims()[0]
    }

    /// The samples at the given rows, in their order.
    #[must_use]
    pub fn select(self, rows: &[u32]) -> Self {
        let rows: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let n_rows = rows.len();
        let rows_b = Tensor::<1, Int>::from_data(TensorData::new(rows, [n_rows]), &self.at_exit().device());
        Self { maps: self.maps.into_iter().map(|map| map.select(0, rows_b.clone())).collect() }
    }

    /// Takes the maps out and leaves nothing, for the caller to put others in: what runs next may then reuse their memory.
    pub(super) fn take(&mut self) -> Self {
        Self { maps: std::mem::take(&mut self.maps) }
    }

    /// Scales the gradient that comes back through the map that exits read.
    pub(super) fn scale_exit_gradient(mut self, factor: f64) -> Self {
        let map = self.maps.pop().expect("features have a map");
        self.maps.push(scale_gradient(map, factor));
        self
    }
}

/// The identity, but for its gradient, which is multiplied by `factor`.
///
/// What is added to the values is an exact zero, so that they keep every bit.
pub(super) fn scale_gradient<const D: usize>(x: Tensor<D>, factor: f64) -> Tensor<D> {
    let value = x.clone().detach();
    value.clone() + (x - value).mul_scalar(factor)
}
