//! How near branches come to their budgets over a grid of cells: the report in `docs/SOLVER.md`, which this test holds to what is solved.
//! `UPDATE_EXPECT=1 cargo test -p offramp-domain --test solver_grid` writes it anew.

use std::fmt::Write;

use expect_test::expect_file;
use offramp_domain::backbone::{self, Backbone};
use offramp_domain::branch::{BranchError, TOLERANCE};
use offramp_domain::exits;
use offramp_domain::job::{BranchConfig, BranchRule, Budget, ExitPlacement, Pattern};
use offramp_domain::network::{NetworkError, assemble_parts};
use offramp_domain::shape::Shape;

/// Backbones of every family, with the images that they are for.
const BACKBONES: [(&str, usize, usize); 26] = [
    ("resnet8", 32, 10),
    ("resnet20", 32, 10),
    ("resnet56", 32, 10),
    ("resnet110-b", 32, 100),
    ("resnet18", 64, 200),
    ("wrn-16-4", 32, 10),
    ("wrn-28-10", 32, 100),
    ("wrn-40-4", 32, 10),
    ("wrn-32-4-sdn", 32, 10),
    ("vgg11-bn", 32, 10),
    ("vgg16-bn", 32, 100),
    ("vgg19-bn", 32, 10),
    ("mobilenetv1", 32, 10),
    ("mobilenetv2", 32, 100),
    ("mobilenetv2", 64, 200),
    ("densenet-bc-40-12", 32, 10),
    ("densenet-bc-100-12", 32, 100),
    ("msdnet-5-1-1-linear", 32, 100),
    ("msdnet-7-4-2", 32, 100),
    ("msdnet-10-4-2", 32, 100),
    ("resnet18-imagenet", 224, 1000),
    ("resnet34-imagenet", 224, 1000),
    ("resnet50-imagenet", 224, 1000),
    ("mobilenetv1-imagenet", 224, 1000),
    ("mobilenetv2-imagenet", 224, 1000),
    ("vgg16-bn-imagenet", 224, 1000),
];

/// One, three and six side exits, the last as in shallow-deep networks.
fn placements() -> [ExitPlacement; 3] {
    [vec![0.5], vec![0.25, 0.5, 0.75], vec![0.15, 0.30, 0.45, 0.60, 0.75, 0.90]].map(ExitPlacement::Fractions)
}

const GAMMAS: [f64; 5] = [-0.8, -0.4, 0.0, 0.4, 0.8];

const SHARES: [f64; 5] = [0.05, 0.1, 0.25, 0.5, 1.0];

fn rules() -> [(&'static str, BranchRule); 4] {
    [("auto", BranchRule::Auto), ("levels", BranchRule::Levels), ("width", BranchRule::Width { depth: 2 }), ("joint", BranchRule::Joint)]
}

fn linear(gamma: f64) -> Pattern {
    match gamma {
        0.0 => Pattern::Constant,
        falling if falling > 0.0 => Pattern::Decreasing(falling),
        rising => Pattern::Increasing(-rising),
    }
}

/// What became of the cells of one backbone under one rule.
#[derive(Default)]
struct Tally {
    n_cells: u32,
    n_refused: u32,
    worst: f64,
}

impl Tally {
    fn count(&mut self, backbone: &Backbone, n_classes: usize, config: &BranchConfig) {
        self.n_cells += 1;
        match assemble_parts(backbone.clone(), n_classes, Some(config)) {
            Ok(network) => {
                let plan = network.plan.expect("it has branches");
                let built: u64 = network.branches.iter().map(offramp_domain::network::Branch::macs).sum();
                assert_eq!(built, plan.branch_macs, "what is solved is not what is built: {} {config:?}", backbone.name);
                assert!(plan.error().abs() <= TOLERANCE, "{} {config:?}: {plan:?}", backbone.name);
                self.worst = self.worst.max(plan.error().abs());
            }
            Err(NetworkError::Branch(
                BranchError::Infeasible { .. } | BranchError::ClassifiersAlone { .. } | BranchError::LevelRule { .. },
            )) => self.n_refused += 1,
            Err(other) => panic!("{} {config:?}: {other}", backbone.name),
        }
    }

    fn row(&self) -> String {
        let worst = if self.n_refused == self.n_cells { "-".to_owned() } else { format!("{:.3} %", 100.0 * self.worst) };
        format!("{} | {} | {worst}", self.n_cells, self.n_refused)
    }
}

#[test]
fn every_cell_is_met_to_half_a_percent_or_refused() {
    let mut report = "\
# How near branches come to their budgets

Written by `UPDATE_EXPECT=1 cargo test -p offramp-domain --test solver_grid`; the same test, without the variable, holds this page to what the solver does.

Each backbone is solved with exits at a half, at three quarters and at six fractions of its MACs (those of shallow-deep networks), for five linear patterns (slopes -0.8, -0.4, 0, 0.4, 0.8) and five budgets (0.05, 0.1, 0.25, 0.5 and 1 of the backbone's MACs): 75 cells a rule.
Placements at which two exits would follow one unit are left out, as the last column says.
A cell counts as met where all branches together come within 0.5 % of the budget, and is refused otherwise, with the nearest budgets that can be met.

- `levels` deals out whole convolutions as wide as the trunk, so it meets few of these budgets, and none where a level costs different amounts at different exits.
- `width` has two convolutions in each branch.
- `joint` has one to four, of each branch its own number.
- `auto` is `levels` where that meets the budget, and `width` otherwise.

| backbone | side | rule | cells | refused | worst error | placements left out |
|---|---|---|---|---|---|---|
"
    .to_owned();
    let mut all: Vec<(&str, Tally)> = rules().into_iter().map(|(name, _)| (name, Tally::default())).collect();
    for (name, side, n_classes) in BACKBONES {
        let backbone = backbone::build(name, Shape::new(3, side, side), n_classes).unwrap();
        let placements = placements();
        let placed: Vec<&ExitPlacement> = placements.iter().filter(|placement| exits::place(&backbone, placement).is_ok()).collect();
        for ((rule_name, rule), (_, total)) in rules().into_iter().zip(&mut all) {
            let mut tally = Tally::default();
            for placement in &placed {
                for (gamma, share) in GAMMAS.into_iter().flat_map(|gamma| SHARES.into_iter().map(move |share| (gamma, share))) {
                    let exits = (*placement).clone();
                    tally.count(&backbone, n_classes, &BranchConfig { exits, pattern: linear(gamma), budget: Budget::Share(share), rule });
                }
            }
            writeln!(report, "| `{name}` | {side} | `{rule_name}` | {} | {} |", tally.row(), placements.len() - placed.len()).unwrap();
            total.n_cells += tally.n_cells;
            total.n_refused += tally.n_refused;
            total.worst = total.worst.max(tally.worst);
        }
    }
    for (name, total) in &all {
        writeln!(report, "| all | | `{name}` | {} | |", total.row()).unwrap();
    }
    expect_file!["../../docs/SOLVER.md"].assert_eq(&report);
}
