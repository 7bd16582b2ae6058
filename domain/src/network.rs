//! A backbone with its branches: the one description that costs and modules come from.

use crate::backbone::{self, Backbone, OwnExit};
use crate::branch::{self, BranchError, Case, Cost, Counted, Site};
use crate::dataset;
use crate::exits::{self, AttachPoint, ExitsError};
use crate::job::{BranchConfig, JobConfig, Pattern};
use crate::layer::{Layer, summarise};
use crate::pattern::{self, Allotment, PatternError};
use crate::shape::Shape;

/// A multi-exit network, fully determined.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// The trunk with the final classifier.
    pub backbone: Backbone,
    /// The side exits, first to last. The backbone's head is the last exit and not among them.
    pub branches: Vec<Branch>,
    /// What takes the place of the backbone's own head in the pattern `final-only`; it reads the last unit's output.
    pub final_branch: Option<Branch>,
    /// Number of classes.
    pub n_classes: usize,
    /// How the branches came about; absent where there are none.
    pub plan: Option<Plan>,
}

/// A classifier hung on a unit's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Index of the unit whose output it reads.
    pub unit: usize,
    /// Shape of that output.
    pub input: Shape,
    /// Convolutions in the branch; 0 is a linear classifier on the pooled features.
    pub depth: usize,
    /// Channels of those convolutions; 0 where there are none.
    pub width: usize,
    /// Its layers, the last of which is the classifier.
    pub layers: Vec<Layer>,
}

/// The cost that branches were solved to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// The rule that shaped them.
    pub rule: SolvedRule,
    /// Total branch MACs asked for. Where the budget is of expected MACs, those to which the pattern's shares then come; where it is of
    /// parameters, 0.
    pub budget_macs: u64,
    /// Total branch MACs of what was built.
    pub branch_macs: u64,
    /// What the budget counts.
    pub counted: Counted,
    /// The budget, as a number of that.
    pub asked: u64,
    /// What the branches come to, in the same.
    pub spent: f64,
}

/// How a budget became branches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SolvedRule {
    /// Whole convolution levels as wide as the trunk, dealt out over the exits.
    Levels,
    /// Fixed depth, width solved for.
    Width,
    /// Depth and width solved for, of each branch its own.
    Joint,
    /// Nothing solved for: the branches that the backbone was published with.
    Own,
}

impl SolvedRule {
    /// As tables and the database have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Levels => "levels",
            Self::Width => "width",
            Self::Joint => "joint",
            Self::Own => "own",
        }
    }
}

/// Costs of one exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCost {
    /// MACs of the backbone up to the exit; for the final exit the whole backbone with its head.
    pub backbone_macs: u64,
    /// MACs of the exit's own branch. For the final exit 0, or what its classifier takes beyond the backbone's own one.
    pub branch_macs: u64,
    /// Parameters of the exit's own branch. For the final exit 0, or what its classifier has beyond the backbone's own one.
    pub branch_params: u64,
    /// `backbone_macs` and every branch up to and with this one.
    pub macs_cascade: u64,
    /// `backbone_macs` and this branch alone.
    pub macs_selected: u64,
}

/// Determines a job's network: backbone, exits, branches.
///
/// # Errors
/// When a name is unknown, the exits cannot be placed, or the budget cannot be met.
pub fn assemble(config: &JobConfig) -> Result<Network, NetworkError> {
    let dataset = dataset::parse(&config.dataset)?;
    let backbone = backbone::build(&config.backbone, dataset.input, dataset.n_classes)?;
    assemble_parts(backbone, dataset.n_classes, config.branches.as_ref())
}

/// Hangs branches on a backbone whose head tells `n_classes` apart.
///
/// # Errors
/// When the exits cannot be placed, or the budget cannot be met.
pub fn assemble_parts(backbone: Backbone, n_classes: usize, branches: Option<&BranchConfig>) -> Result<Network, NetworkError> {
    let Some(config) = branches else {
        return Ok(Network { backbone, branches: Vec::new(), final_branch: None, n_classes, plan: None });
    };
    if config.pattern == Pattern::Own {
        return with_own_branches(backbone, n_classes);
    }
    let sites = Sites::new(&backbone, n_classes, config)?;
    let allotment = sites.allot(&config.pattern)?;
    let (site, shares) = sites.case(&allotment).expect("published branches are not solved for");
    let solution = branch::solve(site, shares, &config.budget, config.rule)?;
    let (mut branches, mut final_branch) = (solution.branches, None);
    if allotment == Allotment::FinalHead {
        final_branch = branches.pop();
    }
    Ok(Network { backbone, branches, final_branch, n_classes, plan: Some(solution.plan) })
}

/// A backbone with the branches that it was published with.
fn with_own_branches(backbone: Backbone, n_classes: usize) -> Result<Network, NetworkError> {
    if backbone.own_exits.is_empty() {
        return Err(PatternError::NoOwnBranches(backbone.name).into());
    }
    let cumulative = backbone.cumulative();
    let branch = |exit: &OwnExit| {
        let mut widths = exit.layers.iter().filter_map(|layer| if let Layer::Conv2d(conv) = layer { Some(conv.outputs) } else { None });
        let (depth, width) = (widths.clone().count(), widths.next_back().unwrap_or(0));
        Branch { unit: exit.unit, input: cumulative[exit.unit].output, depth, width, layers: exit.layers.clone() }
    };
    let branches: Vec<Branch> = backbone.own_exits.iter().map(branch).collect();
    let macs = branches.iter().map(Branch::macs).sum();
    Ok(Network { backbone, branches, final_branch: None, n_classes, plan: Some(Plan::of_macs(SolvedRule::Own, macs, macs)) })
}

/// Where the branches of a backbone hang, whatever the pattern.
struct Sites {
    side: Vec<AttachPoint>,
    /// Fraction of the backbone's MACs done at each side exit.
    done: Vec<f64>,
    last: [AttachPoint; 1],
    n_classes: usize,
    backbone: Cost,
    head: Cost,
}

impl Sites {
    fn new(backbone: &Backbone, n_classes: usize, config: &BranchConfig) -> Result<Self, ExitsError> {
        let side = exits::place(backbone, &config.exits)?;
        let (cumulative, total) = (backbone.cumulative(), backbone.total());
        let done = side.iter().map(|point| cumulative[point.unit].macs as f64 / total.macs as f64).collect();
        let unit = backbone.units.len() - 1;
        let last = cumulative[unit];
        let head = Cost { macs: total.macs - last.macs, params: total.params - last.params };
        let backbone = Cost { macs: total.macs, params: total.params };
        Ok(Self { side, done, last: [AttachPoint { unit, shape: last.output }], n_classes, backbone, head })
    }

    fn allot(&self, pattern: &Pattern) -> Result<Allotment, PatternError> {
        pattern::allot(pattern, &self.done)
    }

    /// Where the branches hang to which a pattern has the budget go, and their shares; `None` where there is nothing to solve for.
    fn case<'a>(&'a self, allotment: &'a Allotment) -> Option<(Site<'a>, &'a [f64])> {
        let &Self { n_classes, backbone, head, .. } = self;
        match allotment {
            Allotment::SideExits(shares) => Some((Site { points: &self.side, n_classes, backbone, replaced: Cost::default() }, shares)),
            Allotment::FinalHead => Some((Site { points: &self.last, n_classes, backbone, replaced: head }, &[1.0])),
            Allotment::OwnBranches => None,
        }
    }
}

impl Network {
    /// Costs of every exit, side exits first to last, then the final exit.
    pub fn exit_costs(&self) -> Vec<ExitCost> {
        let cumulative = self.backbone.cumulative();
        let mut paid = 0;
        let mut costs: Vec<ExitCost> = Vec::with_capacity(self.n_exits());
        for branch in &self.branches {
            let backbone_macs = cumulative[branch.unit].macs;
            let branch_macs = branch.macs();
            paid += branch_macs;
            costs.push(ExitCost {
                backbone_macs,
                branch_macs,
                branch_params: branch.params(),
                macs_cascade: backbone_macs + paid,
                macs_selected: backbone_macs + branch_macs,
            });
        }
        let whole = self.backbone_macs();
        let (branch_macs, branch_params) = self.final_branch.as_ref().map_or((0, 0), |branch| {
            let head = summarise(&self.backbone.head, branch.input);
            (branch.macs().saturating_sub(head.macs), branch.params().saturating_sub(head.params))
        });
        let macs_selected = whole + branch_macs;
        costs.push(ExitCost { backbone_macs: whole, branch_macs, branch_params, macs_cascade: macs_selected + paid, macs_selected });
        costs
    }

    /// The layers of the final classifier: the backbone's own head, or what takes its place.
    pub fn head(&self) -> &[Layer] {
        self.final_branch.as_ref().map_or(&self.backbone.head, |branch| &branch.layers)
    }

    /// What an input costs on average where `leaving` says which part of the inputs leaves at each exit, side exits first to last, then the
    /// final one: with every branch on the way paid, and with the answering one alone.
    pub fn expected_macs(&self, leaving: &[f64]) -> (f64, f64) {
        let costs = self.exit_costs();
        let sum = |of: fn(&ExitCost) -> u64| costs.iter().zip(leaving).map(|(cost, part)| of(cost) as f64 * part).sum();
        (sum(|cost| cost.macs_cascade), sum(|cost| cost.macs_selected))
    }

    /// MACs of the backbone with its own head, without branches.
    pub fn backbone_macs(&self) -> u64 {
        self.backbone.total().macs
    }

    /// Trainable parameters, branches included.
    pub fn params(&self) -> u64 {
        let head = self
            .final_branch
            .as_ref()
            .map_or(0, |branch| branch.params() as i64 - summarise(&self.backbone.head, branch.input).params as i64);
        (self.backbone.total().params + self.branches.iter().map(Branch::params).sum::<u64>()).saturating_add_signed(head)
    }

    /// Number of exits, the final one included.
    pub fn n_exits(&self) -> usize {
        self.branches.len() + 1
    }
}

impl Plan {
    /// A plan of a budget of MACs.
    pub const fn of_macs(rule: SolvedRule, budget_macs: u64, branch_macs: u64) -> Self {
        Self { rule, budget_macs, branch_macs, counted: Counted::Macs, asked: budget_macs, spent: branch_macs as f64 }
    }

    /// How far the branches are from the budget in what it counts, as a share of the budget; above 0 where they come to more.
    pub fn error(&self) -> f64 {
        (self.spent - self.asked as f64) / self.asked as f64
    }
}

/// Why a job has no network.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NetworkError {
    /// See [`backbone::BackboneError`].
    #[error(transparent)]
    Backbone(#[from] backbone::BackboneError),
    /// See [`dataset::DatasetError`].
    #[error(transparent)]
    Dataset(#[from] dataset::DatasetError),
    /// See [`ExitsError`].
    #[error(transparent)]
    Exits(#[from] ExitsError),
    /// See [`PatternError`].
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// See [`BranchError`].
    #[error(transparent)]
    Branch(#[from] BranchError),
}

/// A hint of the nearest budgets that all patterns meet; `None` where the budget is not all that is wrong with the job.
fn nearest_for_all(job: &JobConfig, patterns: &[Pattern]) -> Option<String> {
    let config = job.branches.as_ref()?;
    let dataset = dataset::parse(&job.dataset).ok()?;
    let backbone = backbone::build(&job.backbone, dataset.input, dataset.n_classes).ok()?;
    let sites = Sites::new(&backbone, dataset.n_classes, config).ok()?;
    // A pattern that does not fit the exits is wrong by itself, whatever the budget.
    let allotments: Vec<Allotment> = patterns.iter().filter_map(|pattern| sites.allot(pattern).ok()).collect();
    let cases = allotments.iter().filter_map(|allotment| sites.case(allotment));
    let cases: Vec<Case> = cases.map(|(site, shares)| Case { site, shares }).collect();
    Some(branch::nearest(&cases, &config.budget, config.rule).hint(cases.len()))
}

/// The key of a sweep file that decides a part of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// Axis `backbone`.
    Backbone,
    /// Axis `dataset`.
    Dataset,
    /// Axis `exits`.
    Exits,
    /// Axis `pattern`.
    Pattern,
    /// Axis `budget`.
    Budget,
    /// Table `branch`: the rule and its depth.
    Branch,
}

impl NetworkError {
    /// What to try instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Backbone(error) => error.hint(),
            Self::Dataset(error) => error.hint(),
            Self::Exits(error) => error.hint(),
            Self::Pattern(error) => error.hint(),
            Self::Branch(error) => error.hint(),
        }
    }

    /// What to try instead where `job` failed beside others that differ from it in their pattern alone; `patterns` are those of all of
    /// them, its own among them. Budgets to try serve all of them.
    pub fn hint_for_all(&self, job: &JobConfig, patterns: &[Pattern]) -> String {
        match self {
            Self::Branch(BranchError::ClassifiersAlone { .. } | BranchError::Infeasible { .. }) => {
                nearest_for_all(job, patterns).unwrap_or_else(|| self.hint())
            }
            _ => self.hint(),
        }
    }

    /// The key whose value is at fault.
    pub fn field(&self) -> Field {
        match self {
            Self::Backbone(backbone::BackboneError::Unknown { .. } | backbone::BackboneError::NoSuchSize { .. }) => Field::Backbone,
            Self::Backbone(backbone::BackboneError::InputTooSmall { .. }) | Self::Dataset(_) => Field::Dataset,
            Self::Exits(_) => Field::Exits,
            Self::Pattern(_) => Field::Pattern,
            Self::Branch(BranchError::Depth(_) | BranchError::LevelRule { .. }) => Field::Branch,
            Self::Branch(
                BranchError::BudgetOutOfRange(_)
                | BranchError::LevelBudget { .. }
                | BranchError::OwnBudget
                | BranchError::Leaving(_)
                | BranchError::LeavingLength { .. }
                | BranchError::Unreached { .. }
                | BranchError::ClassifiersAlone { .. }
                | BranchError::Infeasible { .. },
            ) => Field::Budget,
        }
    }
}

#[cfg(test)]
mod tests;
