//! In which order the parts of a network are trained.

use offramp_domain::job::{JobConfig, Regime};

/// What of a network learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The backbone with its head; there are no branches yet.
    Backbone,
    /// The branches, on a backbone that does not change.
    Branches,
    /// Everything.
    All,
}

/// A stretch of a run with an optimiser and a schedule of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// What learns.
    pub part: Part,
    /// Epochs before it.
    pub first_epoch: u32,
    /// Its own epochs.
    pub n_epochs: u32,
}

/// The phases of a job's run, one or two; `has_branches` says whether its network has side exits. A first phase may have no epochs: the backbone is then taken as it starts.
pub fn phases(config: &JobConfig, has_branches: bool) -> Vec<Phase> {
    let n_epochs = config.recipe.epochs;
    let two = |backbone_epochs, part| {
        let backbone = Phase { part: Part::Backbone, first_epoch: 0, n_epochs: backbone_epochs };
        vec![backbone, Phase { part, first_epoch: backbone_epochs, n_epochs }]
    };
    match config.regime {
        // What would be trained on the backbone is not there.
        Regime::Frozen { backbone_epochs } if !has_branches => {
            vec![Phase { part: Part::Backbone, first_epoch: 0, n_epochs: backbone_epochs }]
        }
        Regime::Joint => vec![Phase { part: Part::All, first_epoch: 0, n_epochs }],
        Regime::Frozen { backbone_epochs } => two(backbone_epochs, Part::Branches),
        Regime::Mixed { backbone_epochs } => two(backbone_epochs, Part::All),
    }
}

/// Which phase an epoch (0-based) belongs to.
pub fn phase_of(phases: &[Phase], epoch: u32) -> usize {
    phases.iter().rposition(|phase| phase.first_epoch <= epoch).expect("the first phase begins with epoch 0")
}
