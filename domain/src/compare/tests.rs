//! Comparisons worked out by hand.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::job::{
    Augment, BranchConfig, BranchRule, Budget, Distill, Evaluation, ExitPlacement, Optimizer, Pattern, Policy, Recipe, Regime, Schedule,
};
use crate::statistics::wilcoxon::Method;

fn recipe(epochs: u32) -> Recipe {
    let optimizer = Optimizer::Sgd { lr: 0.1, momentum: 0.9, nesterov: false, weight_decay: 0.0 };
    Recipe::new(epochs, 64, optimizer, Schedule::Cosine, Augment::None)
}

fn branches(pattern: Pattern, budget: Budget) -> BranchConfig {
    BranchConfig::canonical(ExitPlacement::StageEnds, pattern, budget, BranchRule::Auto)
}

fn config(backbone: &str, branches: Option<BranchConfig>) -> JobConfig {
    JobConfig::new(backbone, "cifar10", branches, recipe(10), Evaluation::new(0.1, vec![Policy::MaxSoftmax]), 0)
}

/// A cell with seeds 0, 1, 2 and so on; a value that is not a number is no result.
fn cell(config: JobConfig, values: &[f64]) -> Cell {
    let key = config.key();
    let run = |(seed, value): (usize, &f64)| Run {
        seed: seed as u64,
        job: format!("{}-{seed}", key.id()),
        value: Some(*value).filter(|value| !value.is_nan()),
    };
    Cell { config, sweep: "first".to_owned(), runs: values.iter().enumerate().map(run).collect() }
}

fn patterned(backbone: &str, pattern: Option<Pattern>, budget: f64, values: &[f64]) -> Cell {
    cell(config(backbone, pattern.map(|pattern| branches(pattern, Budget::Share(budget)))), values)
}

const NONE: Option<Pattern> = None;
const CONSTANT: Option<Pattern> = Some(Pattern::Constant);
const RISING: Option<Pattern> = Some(Pattern::Increasing(0.5));
const NO: f64 = f64::NAN;

fn by_pattern(cells: &[Cell]) -> Comparison {
    compare(cells, Factor::Pattern, &Options::default()).unwrap()
}

fn names(comparison: &Comparison) -> Vec<&str> {
    comparison.levels.iter().map(|level| level.name.as_str()).collect()
}

/// Level, other level, pairs, blocks.
fn extents(comparison: &Comparison) -> Vec<(&str, &str, usize, usize)> {
    comparison.pairs.iter().map(|pair| (pair.level.as_str(), pair.other.as_str(), pair.n_pairs, pair.n_blocks)).collect()
}

fn near(value: f64, expected: f64) -> bool {
    (value - expected).abs() < 1e-12
}

#[test]
fn seeds_are_paired_and_counted() {
    let cells = [patterned("resnet20", CONSTANT, 0.25, &[0.50, 0.52, 0.54]), patterned("resnet20", RISING, 0.25, &[0.53, 0.52, 0.50])];
    let comparison = by_pattern(&cells);
    assert_eq!(names(&comparison), ["constant", "increasing 0.5"]);
    let [pair] = &comparison.pairs[..] else { panic!("{comparison:?}") };
    assert_eq!((pair.level.as_str(), pair.other.as_str()), ("increasing 0.5", "constant"));
    assert_eq!((pair.n_pairs, pair.n_blocks, pair.wins, pair.ties, pair.losses), (3, 1, 1, 1, 1));
    // 0.03, 0 and -0.04.
    assert!(near(pair.mean_difference.unwrap(), -0.01 / 3.0));
    let test = pair.wilcoxon.as_ref().unwrap();
    // Two that differ, of ranks 1 and 2: the signs + - leave sums of 1 and 2, and two of four ways have 1 or less.
    assert_eq!((test.plus, test.minus, test.p, test.method), (1.0, 2.0, 1.0, Method::Exact));
    assert!(near(pair.rank_biserial.unwrap(), -1.0 / 3.0));
    // Squared distances of 0.03, 0, -0.04 from -1/300: (10 / 300)^2 + (1 / 300)^2 + (11 / 300)^2 = 222 / 90000.
    assert!(near(pair.cohens_dz.unwrap(), -1.0 / 300.0 / (222.0_f64 / 90_000.0 / 2.0).sqrt()));
    let interval = pair.interval.unwrap();
    assert!(interval.low >= -0.04 && interval.low < interval.high && interval.high <= 0.03, "{interval:?}");
    assert_eq!(pair.missing(), "");
    let level = &comparison.levels[0];
    assert_eq!((level.n_cells, level.n_results), (1, 3));
    assert!(near(level.mean.unwrap(), 0.52) && near(level.deviation.unwrap(), 0.02), "{level:?}");
    assert_eq!(comparison.ranking, Err(Missing::TooFew { what: "levels", need: 3, have: 2 }));
}

#[test]
fn accuracies_that_differ_by_rounding_alone_tie() {
    // 0.3 - 0.2 and 0.2 - 0.1 are not the same number in binary.
    let cells = [patterned("resnet20", CONSTANT, 0.25, &[0.1, 0.2, 0.3]), patterned("resnet20", RISING, 0.25, &[0.2, 0.3, 0.1 + 0.2])];
    let pair = &by_pattern(&cells).pairs[0];
    assert_eq!((pair.wins, pair.ties, pair.losses), (2, 1, 0));
    assert_eq!(pair.wilcoxon.as_ref().unwrap().plus, 3.0);
}

#[test]
fn one_seed_has_a_difference_and_nothing_more() {
    let cells = [patterned("resnet20", CONSTANT, 0.25, &[0.5]), patterned("resnet20", RISING, 0.25, &[0.6])];
    let comparison = by_pattern(&cells);
    let pair = &comparison.pairs[0];
    assert!(near(pair.mean_difference.unwrap(), 0.1));
    assert_eq!(pair.interval, Err(Missing::TooFew { what: "pairs", need: 2, have: 1 }));
    assert_eq!((&pair.wilcoxon, pair.p_holm, pair.rank_biserial), (&Err(Missing::TooFew { what: "pairs", need: 2, have: 1 }), None, None));
    assert_eq!(pair.missing(), "interval, test, effect: needs 2 or more pairs, there is 1");
    assert_eq!(comparison.levels[0].deviation, None);
    let notes = comparison.notes();
    assert_eq!(notes, ["1 difference rests on one pair, without an interval and a test: add seeds"]);
}

#[test]
fn a_plain_network_is_paired_with_every_block_of_its_rest() {
    let cells = [
        patterned("resnet20", NONE, 0.0, &[0.40, 0.41]),
        patterned("resnet20", CONSTANT, 0.25, &[0.50, 0.52]),
        patterned("resnet20", CONSTANT, 0.50, &[0.60, 0.62]),
        patterned("resnet32", CONSTANT, 0.50, &[0.70, 0.72]),
        patterned("resnet32", RISING, 0.50, &[0.80, 0.82]),
    ];
    let comparison = by_pattern(&cells);
    assert_eq!(extents(&comparison), [("constant", "none", 4, 2), ("increasing 0.5", "none", 0, 0), ("increasing 0.5", "constant", 2, 1)]);
    // 0.10, 0.11, 0.20 and 0.21.
    assert!(near(comparison.pairs[0].mean_difference.unwrap(), 0.155));
    assert_eq!(comparison.pairs[1].mean_difference, None);
    assert_eq!(comparison.pairs[1].missing(), "interval, test, effect: needs 2 or more pairs, there are 0");
}

#[test]
fn a_plain_network_has_no_regime_and_the_final_classifier_alone_has_a_budget() {
    let frozen = |mut cell: Cell| {
        cell.config.regime = Regime::Frozen { backbone_epochs: 5 };
        cell
    };
    let cells = [
        patterned("resnet20", NONE, 0.0, &[0.40]),
        patterned("resnet20", Some(Pattern::FinalOnly), 0.25, &[0.45]),
        frozen(patterned("resnet20", CONSTANT, 0.25, &[0.50])),
        frozen(patterned("resnet20", CONSTANT, 0.50, &[0.60])),
    ];
    assert_eq!(
        extents(&by_pattern(&cells)),
        // The final classifier has a budget of 0.25 and none of 0.50.
        [("final-only", "none", 1, 1), ("constant", "none", 2, 2), ("constant", "final-only", 1, 1)]
    );
}

#[test]
fn own_branches_are_paired_whatever_the_budget() {
    let own = cell(config("msdnet", Some(branches(Pattern::Own, Budget::Own))), &[0.7, 0.7]);
    let cells = [own.clone(), patterned("msdnet", CONSTANT, 0.25, &[0.5, 0.6]), patterned("msdnet", CONSTANT, 0.5, &[0.5, 0.6])];
    assert_eq!(extents(&by_pattern(&cells)), [("constant", "own", 4, 2)]);
    // With nothing else they are a block of their own.
    assert_eq!(extents(&by_pattern(&[patterned("msdnet", NONE, 0.0, &[0.1, 0.2]), own])), [("own", "none", 2, 1)]);
}

#[test]
fn cells_that_differ_in_more_than_the_factor_are_not_paired() {
    let mut longer = patterned("resnet20", RISING, 0.25, &[0.6]);
    longer.config.recipe = recipe(20);
    let cells = [patterned("resnet20", CONSTANT, 0.25, &[0.5]), longer.clone()];
    let comparison = by_pattern(&cells);
    assert_eq!(extents(&comparison), [("increasing 0.5", "constant", 0, 0)]);
    assert_eq!(comparison.left_out.n_unpaired, 2);
    assert_eq!(comparison.notes(), ["2 cells are in no pair: nothing with a result differs in pattern alone"]);
    // Nor by the recipe, as the patterns differ.
    let by_recipe = compare(&cells, Factor::Recipe, &Options::default()).unwrap();
    assert_eq!(
        extents(&by_recipe),
        [(
            "20 epochs, batch 64, sgd 0.1 m 0.9, cosine, no augmentation",
            "10 epochs, batch 64, sgd 0.1 m 0.9, cosine, no augmentation",
            0,
            0
        )]
    );
}

#[test]
fn every_part_of_the_configuration_can_be_the_factor() {
    type Change = fn(&mut JobConfig);
    let base = config("resnet20", Some(branches(Pattern::Constant, Budget::Share(0.25))));
    let changes: [(Factor, Change, &str); 6] = [
        (Factor::Budget, |config| config.branches = Some(branches(Pattern::Constant, Budget::Levels(2))), "2 levels"),
        (Factor::Distill, |config| config.distill = Distill::Last { temperature: 3.0, lambda: 0.5 }, "last 0.5 T 3"),
        (Factor::Regime, |config| config.regime = Regime::Mixed { backbone_epochs: 3 }, "mixed after 3 epochs"),
        (Factor::Epochs, |config| config.recipe.epochs = 20, "20"),
        (Factor::LabelSmoothing, |config| config.recipe.label_smoothing = 0.1, "0.1"),
        (Factor::GradientEquilibrium, |config| config.gradient_equilibrium = true, "yes"),
    ];
    for (factor, change, name) in changes {
        let mut changed = base.clone();
        change(&mut changed);
        let comparison = compare(&[cell(base.clone(), &[0.5, 0.5]), cell(changed, &[0.6, 0.7])], factor, &Options::default()).unwrap();
        assert_eq!(comparison.pairs.len(), 1, "{factor:?}");
        assert_eq!((comparison.pairs[0].level.as_str(), comparison.pairs[0].n_pairs), (name, 2), "{factor:?}");
    }
}

#[test]
fn what_the_factor_means_nothing_to_is_left_out() {
    let cells = [
        patterned("resnet20", NONE, 0.0, &[0.4]),
        patterned("resnet20", CONSTANT, 0.25, &[0.5]),
        patterned("resnet20", CONSTANT, 0.50, &[0.6]),
    ];
    let comparison = compare(&cells, Factor::Budget, &Options::default()).unwrap();
    assert_eq!(names(&comparison), ["25 %", "50 %"]);
    assert_eq!((comparison.left_out.n_not_applicable, comparison.pairs[0].n_pairs), (1, 1));
    assert!(comparison.notes().contains(&"1 cell is left out: budget means nothing there".to_owned()));
}

#[test]
fn jobs_without_a_result_leave_pairs_incomplete() {
    let cells = [patterned("resnet20", CONSTANT, 0.25, &[0.5, NO, 0.5]), patterned("resnet20", RISING, 0.25, &[0.6, 0.7, NO, 0.9])];
    let comparison = by_pattern(&cells);
    assert_eq!((comparison.pairs[0].n_pairs, comparison.pairs[0].n_incomplete), (1, 2));
    assert_eq!(comparison.left_out.n_without_result, 2);
    assert_eq!(comparison.notes()[0], "2 jobs have no result, which leaves 2 pairs incomplete");
    assert_eq!((comparison.levels[1].n_results, comparison.levels[1].n_without_result), (3, 1));
}

#[test]
fn the_same_work_done_twice_counts_once() {
    let once = patterned("resnet20", CONSTANT, 0.25, &[0.5, 0.6]);
    let mut again = patterned("resnet20", CONSTANT, 0.25, &[0.7]);
    again.config.private_to = Some("second".to_owned());
    again.runs[0].job = "another".to_owned();
    let cells = [once.clone(), again, once, patterned("resnet20", RISING, 0.25, &[0.6, 0.6])];
    let comparison = by_pattern(&cells);
    // The first seed has 0.5 and 0.7, and the cell that is given twice is one.
    assert_eq!((comparison.pairs[0].n_pairs, comparison.left_out.n_repeated), (2, 1));
    assert!(near(comparison.pairs[0].mean_difference.unwrap(), 0.0));
    assert_eq!(comparison.levels[0].n_results, 3);
}

/// Three patterns on two backbones and two budgets, with two seeds: `constant` always best, `none` always worst.
fn grid() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (backbone, base) in [("resnet20", 0.3), ("resnet32", 0.6)] {
        cells.push(patterned(backbone, NONE, 0.0, &[base, base + 0.01]));
        for (budget, gain) in [(0.25, 0.05), (0.5, 0.1)] {
            cells.push(patterned(backbone, RISING, budget, &[base + gain, base + gain + 0.02]));
            cells.push(patterned(backbone, CONSTANT, budget, &[base + 2.0 * gain, base + 2.0 * gain + 0.03]));
        }
    }
    cells
}

#[test]
fn all_levels_are_ranked_over_blocks() {
    let comparison = by_pattern(&grid());
    assert_eq!(names(&comparison), ["none", "increasing 0.5", "constant"]);
    let ranking = comparison.ranking.as_ref().unwrap();
    assert_eq!((ranking.friedman.n_blocks, &ranking.friedman.mean_ranks[..]), (4, &[3.0, 2.0, 1.0][..]));
    // n (k - 1) where all agree.
    assert!(near(ranking.friedman.chi_squared, 8.0));
    // Demšar's 2.343 times the root of 3 x 4 / (6 x 4).
    assert!((ranking.critical_difference - 2.343 * 0.5_f64.sqrt()).abs() < 1e-3);
    assert_eq!(comparison.levels[2].mean_rank, Some(1.0));
    // A difference of two ranks is beyond it, one of one is not.
    let p: Vec<f64> = comparison.pairs.iter().map(|pair| pair.p_nemenyi.unwrap()).collect();
    assert!(p[0] > 0.05 && p[1] < 0.05 && p[2] > 0.05, "{p:?}");
}

#[test]
fn p_values_are_adjusted_for_the_number_of_pairs() {
    let comparison = by_pattern(&grid());
    // Eight pairs each, all to one side: 2 / 2^8, times three.
    for pair in &comparison.pairs {
        assert_eq!((pair.n_pairs, pair.wilcoxon.as_ref().unwrap().p), (8, 0.007_812_5));
        assert!(near(pair.p_holm.unwrap(), 0.023_437_5));
    }
    let one = Options { baseline: Some("none".to_owned()), ..Options::default() };
    let comparison = compare(&grid(), Factor::Pattern, &one).unwrap();
    assert_eq!(comparison.notes(), ["pairs are seeds of up to 4 blocks, and tell of these blocks; the unit `block` asks about others"]);
    assert_eq!(extents(&comparison), [("increasing 0.5", "none", 8, 4), ("constant", "none", 8, 4)]);
    assert!(near(comparison.pairs[0].p_holm.unwrap(), 0.015_625));
}

#[test]
fn blocks_can_be_the_pairs() {
    let blocks = Options { unit: Unit::Block, ..Options::default() };
    let comparison = compare(&grid(), Factor::Pattern, &blocks).unwrap();
    let pair = &comparison.pairs[1];
    assert_eq!((pair.n_pairs, pair.n_blocks, pair.wins), (4, 4, 4));
    // 0.1 and 0.2 on each backbone, and a hundredth more: half of 0.03 less half of 0.01.
    assert!(near(pair.mean_difference.unwrap(), 0.16));
    let needed = "with 4 pairs that differ no p-value is below 0.125; 6 can reach 0.05: add blocks";
    assert!(comparison.notes().contains(&needed.to_owned()), "{:?}", comparison.notes());
}

#[test]
fn sweeps_are_compared_with_what_they_differ_in_as_a_whole() {
    let in_second = |mut cell: Cell, epochs: u32| {
        cell.sweep = "second".to_owned();
        cell.config.recipe = recipe(epochs);
        let key = cell.config.key();
        for run in &mut cell.runs {
            run.job = format!("{}-{}", key.id(), run.seed);
        }
        cell
    };
    let first = [patterned("resnet20", CONSTANT, 0.25, &[0.5, 0.6]), patterned("resnet20", RISING, 0.25, &[0.5, 0.6])];
    let longer = first.clone().map(|cell| in_second(cell, 20));
    let comparison = compare(&[first.clone(), longer].concat(), Factor::Sweep, &Options::default()).unwrap();
    assert_eq!(extents(&comparison), [("second", "first", 4, 2)]);
    assert_eq!(comparison.left_out.differs_as_well, ["recipe.epochs"]);
    // Jobs that both have say nothing of the difference.
    let mut same = first.clone().map(|cell| in_second(cell, 10));
    same[1].runs[1].job = "another".to_owned();
    let comparison = compare(&[first, same].concat(), Factor::Sweep, &Options::default()).unwrap();
    assert_eq!((comparison.pairs[0].n_pairs, comparison.left_out.n_same_job), (1, 3));
    assert_eq!(comparison.left_out.differs_as_well, [""; 0]);
}

#[test]
fn areas_are_not_compared_across_backbones() {
    let cells = [patterned("resnet20", CONSTANT, 0.25, &[0.5]), patterned("resnet32", CONSTANT, 0.25, &[0.6])];
    let error = compare(&cells, Factor::Backbone, &Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "areas under accuracy-vs-MACs can be compared within a backbone and a dataset alone, not by backbone");
    let by_accuracy = Options { metric: Metric::FinalAccuracy, ..Options::default() };
    assert_eq!(extents(&compare(&cells, Factor::Backbone, &by_accuracy).unwrap()), [("resnet32", "resnet20", 1, 1)]);
}

#[test]
fn senseless_questions_are_refused() {
    let cells = [patterned("resnet20", CONSTANT, 0.25, &[0.5])];
    let refused = |options: Options| {
        let error = compare(&cells, Factor::Pattern, &options).unwrap_err();
        (error.to_string(), error.hint())
    };
    let with = |bootstrap| Options { bootstrap, ..Options::default() };
    let confidence = with(Bootstrap { confidence: 1.0, ..Bootstrap::default() });
    assert_eq!(refused(confidence).0, "the confidence is 1, and should be from 0.5 to 0.9999");
    let resamples = with(Bootstrap { n_resamples: 3, ..Bootstrap::default() });
    assert_eq!(refused(resamples).0, "3 resamples, and there should be from 100 to 1000000");
    let baseline = |name: &str| Options { baseline: Some(name.to_owned()), ..Options::default() };
    let said = refused(baseline("constent\u{1b}"));
    assert_eq!(said, ("no cell has the pattern `constent\\u{1b}`".to_owned(), "did you mean `constant`?".to_owned()));
}

#[test]
fn work_is_bounded() {
    let many: Vec<Cell> = (0..=MAX_LEVELS as u64).map(|seed| patterned("resnet20", Some(Pattern::Random(seed)), 0.25, &[0.5])).collect();
    assert_eq!(
        compare(&many, Factor::Pattern, &Options::default()).unwrap_err(),
        CompareError::TooManyLevels { factor: "pattern", n: MAX_LEVELS + 1 }
    );
    let values: Vec<f64> = (0..1_001).map(f64::from).collect();
    let cells = [patterned("resnet20", CONSTANT, 0.25, &values), patterned("resnet20", RISING, 0.25, &values)];
    let bootstrap = Bootstrap { n_resamples: 1_000_000, ..Bootstrap::default() };
    assert_eq!(
        compare(&cells, Factor::Pattern, &Options { bootstrap, ..Options::default() }).unwrap_err(),
        CompareError::TooManyDraws { n_values: 1_001, n_resamples: 1_000_000 }
    );
}

#[test]
fn nothing_is_compared_to_nothing() {
    let comparison = by_pattern(&[]);
    assert!(comparison.levels.is_empty() && comparison.pairs.is_empty() && comparison.notes().is_empty());
}

#[test]
fn factors_and_metrics_have_names() {
    for factor in Factor::ALL {
        assert_eq!(Factor::parse(factor.as_str()), Ok(factor));
    }
    assert_eq!(Factor::parse("exit_weights"), Ok(Factor::ExitWeights));
    let error = Factor::parse("patern").unwrap_err();
    assert_eq!((error.to_string().as_str(), error.hint().as_str()), ("cells can't be compared by `patern`", "did you mean `pattern`?"));
    assert!(Factor::parse("colour of the sky").unwrap_err().hint().starts_with("they can be by `pattern`, `backbone`"));
    for metric in Metric::NAMED {
        assert_eq!(Metric::parse(metric.as_str()), Ok(metric));
    }
    let error = Metric::parse("final-acuracy").unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.hint().as_str()),
        ("no metric is called `final-acuracy`", "did you mean `final_accuracy`?")
    );
    assert_eq!(Metric::AccuracyAt(Cost::Macs(40_551_000.0)).to_string(), "accuracy at 40.551 M MACs");
    assert_eq!(Metric::AccuracyAt(Cost::Share(0.25)).to_string(), "accuracy at 25 % of the backbone's MACs");
}

#[test]
fn sweeps_of_other_backbones_have_no_pairs() {
    let mut other = patterned("resnet32", CONSTANT, 0.25, &[0.7]);
    other.sweep = "second".to_owned();
    let comparison = compare(&[patterned("resnet20", CONSTANT, 0.25, &[0.5]), other], Factor::Sweep, &Options::default()).unwrap();
    assert_eq!(extents(&comparison), [("second", "first", 0, 0)]);
    assert_eq!(comparison.left_out.differs_as_well, ["backbone"]);
}

/// A cell of a small grid: backbone, pattern (none, constant, rising), budget, epochs; and the values of its seeds, some without a result.
type Place = (u8, u8, u8, u8, Vec<Option<u8>>);

fn placed(&(backbone, pattern, budget, epochs, ref values): &Place) -> Cell {
    let pattern = [NONE, CONSTANT, RISING][usize::from(pattern)].clone();
    let values: Vec<f64> = values.iter().map(|value| value.map_or(NO, |value| f64::from(value) / 16.0)).collect();
    let mut cell = patterned(["resnet20", "resnet32"][usize::from(backbone)], pattern, 0.25 * f64::from(budget + 1), &values);
    cell.config.recipe = recipe(10 + u32::from(epochs));
    let key = cell.config.key();
    for run in &mut cell.runs {
        run.job = format!("{}-{}", key.id(), run.seed);
    }
    cell
}

/// The differences of two patterns by the definition: over all blocks and seeds, whatever is known of both. A plain network is in the block of
/// every budget that another pattern has with its backbone and epochs.
fn by_definition(places: &[Place], one: u8, other: u8) -> Vec<f64> {
    let mut differences = Vec::new();
    for (backbone, budget, epochs) in (0..2).flat_map(|a| (0..2).flat_map(move |b| (0..2).map(move |c| (a, b, c)))) {
        let is_block = places.iter().any(|place| place.1 != 0 && (place.0, place.2, place.3) == (backbone, budget, epochs));
        let find = |pattern: u8| {
            let mut of_pattern = places.iter().filter(|place| (place.0, place.1, place.3) == (backbone, pattern, epochs));
            of_pattern.find(|place| pattern == 0 || place.2 == budget)
        };
        let (true, Some(one), Some(other)) = (is_block, find(one), find(other)) else { continue };
        let values = one.4.iter().zip(&other.4).filter_map(|(one, other)| Some((one.as_ref()?, other.as_ref()?)));
        differences.extend(values.map(|(one, other)| (f64::from(*one) - f64::from(*other)) / 16.0));
    }
    differences
}

proptest! {
    #[test]
    fn pairs_are_those_of_the_definition(
        places in vec((0..2_u8, 0..3_u8, 0..2_u8, 0..2_u8, vec(prop_oneof![5 => (0..16_u8).prop_map(Some), 1 => Just(None)], 1..4)), 0..24),
        turned in any::<bool>(),
    ) {
        // Of each cell one; a plain network has no budget.
        let mut seen = std::collections::BTreeSet::new();
        let mut places = places;
        for place in &mut places {
            place.2 *= u8::from(place.1 != 0);
        }
        places.retain(|place| seen.insert((place.0, place.1, place.2, place.3)));
        if turned {
            places.reverse();
        }
        let cells: Vec<Cell> = places.iter().map(placed).collect();
        let comparison = compare(&cells, Factor::Pattern, &Options { bootstrap: Bootstrap { n_resamples: 100, ..Bootstrap::default() }, ..Options::default() }).unwrap();
        let number = |name: &str| ["none", "constant", "increasing 0.5"].iter().position(|known| *known == name).unwrap() as u8;
        for pair in &comparison.pairs {
            let expected = by_definition(&places, number(&pair.level), number(&pair.other));
            prop_assert_eq!(pair.n_pairs, expected.len());
            prop_assert_eq!(pair.wins, expected.iter().filter(|difference| **difference > 0.0).count());
            prop_assert_eq!(pair.ties, expected.iter().filter(|difference| **difference == 0.0).count());
            if let Some(difference) = pair.mean_difference {
                prop_assert!(near(difference, mean(&expected)));
            }
        }
    }
}
