//! From exit to exit.

use burn::tensor::Tensor;

use super::{Features, MultiExit};

/// A batch on its way through a network, which runs no further than to the exit that is asked for.
///
/// Samples that an exit has decided are left behind with [`Walk::keep`], and the units that follow see a smaller batch.
///
/// So a batch with real early exit is: ask for the logits of the [next exit](Walk::next_exit), decide, `keep` the undecided rows, and stop when
/// there are none.
#[derive(Debug)]
pub struct Walk<'a> {
    model: &'a MultiExit,
    features: Features,
    unit: usize,
    exit: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(model: &'a MultiExit, features: Features) -> Self {
        Self { model, features, unit: 0, exit: 0 }
    }

    /// Goes on to the next exit and gives its logits for the samples that are still there; `None` after the final exit.
    ///
    /// # Shapes
    /// `[rows kept, classes]`.
    pub fn next_exit(&mut self) -> Option<Tensor<2>> {
        if self.exit == self.model.n_exits() {
            return None;
        }
        let end = self.model.units_before(self.exit);
        self.features = self.model.advance(self.features.take(), self.unit, end);
        self.unit = end;
        let logits_bk = self.model.classify(self.exit, self.features.at_exit().clone());
        self.exit += 1;
        Some(logits_bk)
    }

    /// Leaves all samples behind but those at the given rows of the last logits. The order of `rows` is the order from here on.
    ///
    /// # Panics
    /// When `rows` is empty or one is out of range.
    pub fn keep(&mut self, rows: &[u32]) {
        assert!(!rows.is_empty(), "a walk without samples has ended");
        self.features = self.features.take().select(rows);
    }

    /// The features after the last exit's unit, of the samples that are still there.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Number of samples that are still there.
    pub fn n_rows(&self) -> usize {
        self.features.n_rows()
    }

    /// Exits passed so far.
    pub fn n_passed(&self) -> usize {
        self.exit
    }
}
