use super::*;
use crate::job::{Augment, BranchRule, Budget, Evaluation, ExitPlacement, Optimizer, Pattern, Policy, Recipe, Schedule};
use proptest::prelude::*;

fn config(backbone: &str, dataset: &str, branches: Option<BranchConfig>) -> JobConfig {
    JobConfig::new(
        backbone,
        dataset,
        branches,
        Recipe::new(1, 1, Optimizer::Sgd { lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.0 }, Schedule::Constant, Augment::None),
        Evaluation::new(0.1, vec![Policy::MaxSoftmax]),
        0,
    )
}

fn branches(pattern: Pattern, budget: Budget) -> BranchConfig {
    BranchConfig { exits: ExitPlacement::StageEnds, pattern, budget, rule: BranchRule::Auto }
}

/// Counted by hand: units 1 to 3 of `resnet8` on digits end at 304,128, 525,312 and 746,496 MACs; a level is 147,456 MACs at every stage end and
/// holds 9 C^2 + 2 C parameters with its batch norm, a classifier C * 10 MACs and 10 more parameters.
#[test]
fn costs_of_decreasing_branches_on_digits_match_a_hand_count() {
    let network = assemble(&config("resnet8", "digits", Some(branches(Pattern::Decreasing(0.5), Budget::Levels(6))))).unwrap();
    let branch_macs = [3 * 147_456 + 160, 2 * 147_456 + 320, 147_456 + 640];
    let branch_params = [3 * 2_336 + 170, 2 * 9_280 + 330, 36_992 + 650];
    let trunk = [304_128, 525_312, 746_496];
    let mut expected: Vec<ExitCost> = (0..3)
        .map(|exit| ExitCost {
            backbone_macs: trunk[exit],
            branch_macs: branch_macs[exit],
            branch_params: branch_params[exit],
            macs_cascade: trunk[exit] + branch_macs[..=exit].iter().sum::<u64>(),
            macs_selected: trunk[exit] + branch_macs[exit],
        })
        .collect();
    expected.push(ExitCost {
        backbone_macs: 747_136,
        branch_macs: 0,
        branch_params: 0,
        macs_cascade: 747_136 + 6 * 147_456 + 1_120,
        macs_selected: 747_136,
    });
    assert_eq!(network.exit_costs(), expected);
    assert_eq!(network.backbone_macs(), 747_136);
    assert_eq!(network.params(), 75_002 + branch_params.iter().sum::<u64>());
    assert_eq!(network.n_exits(), 4);
    let plan = network.plan.unwrap();
    assert_eq!((plan.rule, plan.budget_macs, plan.branch_macs), (SolvedRule::Levels, 885_856, 885_856));
}

#[test]
fn a_network_without_branches_has_the_final_exit_alone() {
    let network = assemble(&config("resnet20", "cifar100", None)).unwrap();
    assert_eq!((network.n_exits(), network.n_classes, network.plan), (1, 100, None));
    assert_eq!(network.params(), 275_572);
    let whole =
        ExitCost { backbone_macs: 40_556_800, branch_macs: 0, branch_params: 0, macs_cascade: 40_556_800, macs_selected: 40_556_800 };
    assert_eq!(network.exit_costs(), [whole]);
}

#[test]
fn a_share_is_rounded_to_whole_macs() {
    // 0.123 of 40,551,040 is 4,987,777.92.
    let network = assemble(&config("resnet20", "cifar10", Some(branches(Pattern::Constant, Budget::Share(0.123))))).unwrap();
    let plan = network.plan.unwrap();
    assert_eq!(plan.budget_macs, 4_987_778);
    assert!(plan.error().abs() <= 0.005);
}

/// The same MACs as side branches, spent before the final classifier: 25 % of 125,485,696 on top of the backbone.
#[test]
fn final_only_spends_the_whole_budget_at_the_final_exit() {
    let network = assemble(&config("resnet56", "cifar10", Some(branches(Pattern::FinalOnly, Budget::Share(0.25))))).unwrap();
    let plan = network.plan.unwrap();
    assert_eq!((network.n_exits(), network.branches.len(), plan.budget_macs), (1, 0, 31_371_424));
    assert!(plan.error().abs() <= 0.005);
    let branch = network.final_branch.as_ref().unwrap();
    // What the classifier on the last stage's 64 channels took is given back.
    assert_eq!(plan.branch_macs, branch.macs() - 640);
    let cost = network.exit_costs()[0];
    assert_eq!((cost.backbone_macs, cost.macs_cascade), (125_485_696, 125_485_696 + plan.branch_macs));
    assert_eq!(network.params(), 853_018 - 650 + branch.params());
    assert_eq!(network.head(), branch.layers);
}

/// Cumulative MACs and parameters of `MSDNet`'s batch network on CIFAR-100, in the convention of its authors' counter 6.860 .. 58.481 M; strict MACs
/// are a little fewer. Parameters are the same in both: 2,078,924.
#[test]
fn published_branches_are_those_of_the_published_network() {
    let own = BranchConfig::canonical(ExitPlacement::StageEnds, Pattern::Own, Budget::Share(0.25), BranchRule::Joint);
    let network = assemble(&config("msdnet-5-1-1-linear", "cifar100", Some(own))).unwrap();
    assert_eq!((network.n_exits(), network.params()), (5, 2_078_924));
    let plan = network.plan.unwrap();
    assert_eq!((plan.rule, plan.error()), (SolvedRule::Own, 0.0));
    let last = network.exit_costs().pop().unwrap();
    assert!((57.5e6..58.481e6).contains(&(last.macs_cascade as f64)), "{last:?}");
    let own = BranchConfig::canonical(ExitPlacement::StageEnds, Pattern::Own, Budget::Share(0.25), BranchRule::Auto);
    let error = assemble(&config("resnet8", "digits", Some(own))).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.field()), ("`resnet8` was published without branches", Field::Pattern));
}

#[test]
fn error_is_above_zero_where_branches_cost_more() {
    let plan = |branch_macs| Plan::of_macs(SolvedRule::Width, 1000, branch_macs);
    assert_eq!((plan(1004).error(), plan(1000).error(), plan(996).error()), (0.004, 0.0, -0.004));
}

#[test]
fn errors_name_the_key_at_fault_and_a_way_out() {
    let check = |config: &JobConfig, field: Field, message: &str, hint: &str| {
        let error = assemble(config).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.hint().as_str(), error.field()), (message, hint, field));
    };
    let with = |branches: BranchConfig| config("resnet20", "cifar10", Some(branches));
    let fine = branches(Pattern::Constant, Budget::Share(0.25));
    check(&config("renset20", "digits", None), Field::Backbone, "no backbone is called `renset20`", "did you mean `resnet20`?");
    check(
        &config("resnet21", "digits", None),
        Field::Backbone,
        "no backbone is called `resnet21`: residual networks of three stages have 6n + 2 layers, from 8 to 110",
        "did you mean `resnet20`?",
    );
    check(
        &config("vgg", "digits", None),
        Field::Backbone,
        "no backbone is called `vgg`",
        "known backbones: `resnetD` and `resnetD-b` (D = 8, 14, ..., 110), `resnet18` and `resnet34`, `resnetD-imagenet` (D = 18, 34, 50), \
         `wrn-D-K` (D = 10, 16, ..., 64), `wrn-32-4-sdn`, \
         `vggD-bn` (D = 11, 13, 16, 19; also with `-nobias`, `-fc512`, `-fc4096`, `-imagenet`), \
         `mobilenetv1` and `mobilenetv1-imagenet`, `mobilenetv2`, `mobilenetv2-projection` and `mobilenetv2-imagenet`, \
         `densenet-bc-D-K` (D = 10, 16, ..., 250), `msdnet-N-B-S` (N blocks, B layers in the first, S in each other; also with `-linear`), \
         `msdnet-N-B-S-imagenet`",
    );
    check(
        &config("vgg16-bn", "mnist", None),
        Field::Dataset,
        "`vgg16-bn` cannot take an input of 1x28x28: its sides must be at least 32",
        "choose a dataset with images of at least 32x32",
    );
    check(&config("resnet8", "mnsit", None), Field::Dataset, "no dataset is called `mnsit`", "did you mean `mnist`?");
    check(
        &with(BranchConfig { exits: ExitPlacement::Fractions(vec![1.0]), ..fine.clone() }),
        Field::Exits,
        "an exit at 1 of the backbone's MACs does not lie strictly between 0 and 1",
        "the final exit, at 1, is always there and not listed",
    );
    check(
        &with(BranchConfig { pattern: Pattern::Decreasing(2.0), ..fine.clone() }),
        Field::Pattern,
        "a slope of 2 is not above 0 and at most 1",
        "at a slope of 1 the smallest share is already 0",
    );
    check(
        &with(BranchConfig { budget: Budget::Share(25.0), ..fine.clone() }),
        Field::Budget,
        "a budget of 25 of the backbone's MACs is not above 0 and at most 10 times the backbone's MACs",
        "a quarter of the backbone's MACs is `0.25`",
    );
    check(
        &with(BranchConfig { rule: BranchRule::Width { depth: 0 }, ..fine }),
        Field::Branch,
        "a branch depth of 0 is not between 1 and 16",
        "`auto` solves for width at depth 2",
    );
}

#[test]
fn an_input_too_small_is_the_datasets_fault() {
    let error = NetworkError::from(backbone::build("resnet8", Shape::new(1, 2, 2), 10).unwrap_err());
    assert_eq!((error.field(), error.hint().as_str()), (Field::Dataset, "choose a dataset with images of at least 4x4"));
}

fn any_network() -> impl Strategy<Value = Network> {
    let names = prop::sample::select(backbone::names().collect::<Vec<_>>());
    let datasets = prop::sample::select(dataset::names().collect::<Vec<_>>());
    let patterns = prop_oneof![
        Just(Pattern::Constant),
        (0.001..=1.0).prop_map(Pattern::Increasing),
        (0.001..=1.0).prop_map(Pattern::Decreasing),
        Just(Pattern::List(vec![0.0, 0.25, 0.75])),
    ];
    let budgets = prop_oneof![(0_u32..20).prop_map(Budget::Levels), (0.05..2.0).prop_map(Budget::Share)];
    (names, datasets, patterns, budgets).prop_filter_map("the budget is met", |(name, dataset, pattern, budget)| {
        assemble(&config(name, dataset, Some(branches(pattern, budget)))).ok()
    })
}

proptest! {
    #[test]
    fn cascade_pays_for_every_branch_on_the_way_and_selected_for_one(network in any_network()) {
        let costs = network.exit_costs();
        let plan = network.plan.unwrap();
        prop_assert_eq!(costs.len(), network.n_exits());
        prop_assert_eq!(costs.iter().map(|cost| cost.branch_macs).sum::<u64>(), plan.branch_macs);
        let mut earlier = 0;
        for cost in &costs {
            prop_assert_eq!(cost.macs_selected, cost.backbone_macs + cost.branch_macs);
            prop_assert_eq!(cost.macs_cascade, cost.macs_selected + earlier);
            earlier += cost.branch_macs;
        }
        prop_assert!(costs.is_sorted_by(|earlier, later| earlier.backbone_macs < later.backbone_macs));
        let last = costs.last().unwrap();
        prop_assert_eq!(last.macs_selected, network.backbone_macs());
        prop_assert_eq!(last.macs_cascade, network.backbone_macs() + plan.branch_macs);
        let branch_params = costs.iter().map(|cost| cost.branch_params).sum::<u64>();
        prop_assert_eq!(network.params(), network.backbone.total().params + branch_params);
    }

    #[test]
    fn branches_read_what_their_units_put_out(network in any_network()) {
        let running = network.backbone.cumulative();
        for branch in &network.branches {
            prop_assert_eq!(branch.input, running[branch.unit].output);
        }
        prop_assert!(network.branches.is_sorted_by(|earlier, later| earlier.unit < later.unit));
    }
}
