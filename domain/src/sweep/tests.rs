#![expect(clippy::needless_raw_string_hashes, reason = "this is how expect-test writes its literals")]

use std::collections::HashSet;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::job::{Augment, Budget, ExitPlacement, Pattern, Schedule};
use crate::problem::render;

mod after;
mod networks;
mod problems;
mod scheduling;
mod seeds;
mod training;
mod values;

/// A sweep of 2 x 1 x 4 x 2 combinations, to be spoilt.
const VALID: &str = r#"name = "branches"

[axes]
backbone = ["resnet8", "resnet14"]
dataset = "digits"
pattern = ["none", "constant", { increasing = 0.5 }, { list = [0.5, 0.3, 0.2] }]
budget = 0.5
seed = [0, 1]

[recipe]
epochs = 5
batch_size = 32
optimizer = { sgd = { lr = 0.05 } }

[evaluation]
policies = ["max-softmax"]
calibration = 0.1
"#;

/// What can be said on top of the valid sweep, before its tables and after them.
const SCHEDULED: [&str; 2] = [
    "priority = -5\nmax_failed_jobs = 3\nreuse = false\n",
    r#"
[requirements]
device = "cuda"
memory_mib = 8000
labels = ["a100", "nvlink"]

[[exclude]]
seed = 1
pattern = { increasing = 0.5 }

[[after]]
job = { pattern = ["constant", { list = [0.5, 0.3, 0.2] }] }
wait_for = { pattern = "none" }

[[after]]
job = { seed = { from = 1, to = 1 } }
wait_for = { seed = 0 }
"#,
];

/// The valid sweep with all that can be said on top of it.
fn scheduled() -> String {
    let [before, after] = SCHEDULED;
    format!("{before}{VALID}{after}")
}

/// The valid sweep with one piece of its text replaced.
fn edited(from: &str, to: &str) -> String {
    assert_eq!(VALID.matches(from).count(), 1, "`{from}` must be in the valid sweep once");
    VALID.replace(from, to)
}

fn problems(text: &str) -> Vec<Problem> {
    parse(text).map(|sweep| sweep.n_jobs()).expect_err("the sweep has problems")
}

fn check(text: &str, expected: &Expect) {
    expected.assert_eq(&render(&problems(text), "sweep.toml", text));
}

/// Asserts that an edit makes one problem, and what is marked and said.
fn check_edit(from: &str, to: &str, marked: &str, message: &str) {
    let text = edited(from, to);
    let found = problems(&text);
    // What a value may be is said in the hint.
    let said = |problem: &Problem| match &problem.hint {
        Some(hint) if hint.starts_with("it takes ") => format!("{}: {hint}", problem.message),
        _ => problem.message.clone(),
    };
    let found: Vec<_> = found.iter().map(|problem| (&text[problem.span.clone()], said(problem))).collect();
    assert_eq!(found, [(marked, message.to_owned())], "after `{to}`");
}

/// Backbone, pattern, exits, budget, epochs and seed of each job.
fn listed(text: &str) -> Vec<String> {
    let sweep = parse(text).unwrap_or_else(|problems| panic!("{}", render(&problems, "sweep.toml", text)));
    let line = |SweepJob { config, .. }: SweepJob| {
        let labels = [config.pattern_label(), config.exits_label(), config.budget_label()].join(", ");
        format!("{} {}: {labels}, {} epochs, seed {}", config.backbone, config.dataset, config.recipe.epochs, config.seed)
    };
    sweep.jobs().map(line).collect()
}

/// A sweep on the backbone alone, with these lines in `[axes]` and `[recipe]`.
fn plain(axes: &str, recipe: &str) -> String {
    format!(
        "name = 'plain'\n[axes]\nbackbone = 'resnet8'\ndataset = 'digits'\npattern = 'none'\n{axes}\n[recipe]\n{recipe}\n\
         batch_size = 32\noptimizer = {{ sgd = {{ lr = 0.05 }} }}\n"
    )
}

#[test]
fn the_demonstration_is_sixteen_jobs_at_equal_branch_cost() {
    let sweep = parse(include_str!("../../../sweeps/digits.toml")).unwrap();
    assert_eq!((sweep.name.as_str(), sweep.n_jobs()), ("digits", 16));
    for SweepJob { config, network } in sweep.jobs() {
        let depths: Vec<usize> = network.branches.iter().map(|branch| branch.depth).collect();
        let expected: &[usize] = match config.branches.as_ref().map(|branches| &branches.pattern) {
            None => &[],
            Some(Pattern::Constant) => &[1, 1, 1],
            Some(Pattern::Increasing(_)) => &[0, 1, 2],
            Some(Pattern::Decreasing(_)) => &[2, 1, 0],
            Some(pattern) => panic!("{pattern:?} is not part of the demonstration"),
        };
        assert_eq!(depths, expected, "{}", config.pattern_label());
        // A level is 9 x 16 x 16 MACs at 8 x 8 positions, the same at every exit; the classifiers are 16, 32 and 64 features to 10 classes.
        assert!(network.plan.is_none_or(|plan| (plan.branch_macs, plan.budget_macs) == (3 * 147_456 + 1_120, 3 * 147_456 + 1_120)));
        assert_eq!(network.plan.map_or(0.0, |plan| plan.error()), 0.0);
    }
}

#[test]
fn every_sweep_that_ships_is_a_sweep() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../sweeps");
    let mut n_jobs = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let sweep = parse(&text).unwrap_or_else(|problems| panic!("{}", render(&problems, &path.display().to_string(), &text)));
        assert_eq!(Some(sweep.name.as_str()), path.file_stem().and_then(|stem| stem.to_str()), "a file is called as its sweep");
        n_jobs.push((sweep.name.clone(), sweep.n_jobs()));
    }
    n_jobs.sort();
    // Counted by hand: seeds x (networks without branches + combinations with them).
    let expected = [
        ("branch-patterns-cifar", 3 * (8 + 8 * 2 * 2 * 3)),
        ("branch-patterns-quick", 3 * (1 + 3)),
        ("cifar-subset", 4),
        ("digits", 16),
        ("distillation", 3 * (1 + 3 * 4)),
        ("regimes", 3 * (1 + 2 * (3 * 3 * 2 - 3))),
    ];
    assert_eq!(n_jobs, expected.map(|(name, n)| (name.to_owned(), n)));
}

#[test]
fn jobs_are_in_the_order_of_the_axes_and_the_pattern_none_is_one_job_whatever_exits_and_budget() {
    let text =
        edited("pattern = [\"none\", \"constant\", { increasing = 0.5 }, { list = [0.5, 0.3, 0.2] }]", "pattern = ['constant', 'none']")
            .replace(
                "budget = 0.5",
                "budget = [{ levels = 3 }, { levels = 6 }]\nexits = [{ at = 'stage-ends' }, { at = [0.5] }]\nepochs = [5, 6]",
            )
            .replace("epochs = 5\n", "")
            .replace("seed = [0, 1]", "seed = [1, 0]")
            .replace(", \"resnet14\"", "");
    expect![[r#"
        [
            "resnet8 digits: constant, stage-ends, 3 levels, 5 epochs, seed 1",
            "resnet8 digits: constant, stage-ends, 3 levels, 5 epochs, seed 0",
            "resnet8 digits: constant, stage-ends, 3 levels, 6 epochs, seed 1",
            "resnet8 digits: constant, stage-ends, 3 levels, 6 epochs, seed 0",
            "resnet8 digits: none, -, -, 5 epochs, seed 1",
            "resnet8 digits: none, -, -, 5 epochs, seed 0",
            "resnet8 digits: none, -, -, 6 epochs, seed 1",
            "resnet8 digits: none, -, -, 6 epochs, seed 0",
            "resnet8 digits: constant, stage-ends, 6 levels, 5 epochs, seed 1",
            "resnet8 digits: constant, stage-ends, 6 levels, 5 epochs, seed 0",
            "resnet8 digits: constant, stage-ends, 6 levels, 6 epochs, seed 1",
            "resnet8 digits: constant, stage-ends, 6 levels, 6 epochs, seed 0",
            "resnet8 digits: constant, 0.5, 3 levels, 5 epochs, seed 1",
            "resnet8 digits: constant, 0.5, 3 levels, 5 epochs, seed 0",
            "resnet8 digits: constant, 0.5, 3 levels, 6 epochs, seed 1",
            "resnet8 digits: constant, 0.5, 3 levels, 6 epochs, seed 0",
            "resnet8 digits: constant, 0.5, 6 levels, 5 epochs, seed 1",
            "resnet8 digits: constant, 0.5, 6 levels, 5 epochs, seed 0",
            "resnet8 digits: constant, 0.5, 6 levels, 6 epochs, seed 1",
            "resnet8 digits: constant, 0.5, 6 levels, 6 epochs, seed 0",
        ]
    "#]]
    .assert_debug_eq(&listed(&text));
}

#[test]
fn what_is_not_written_has_its_default() {
    let sweep = parse(&plain("", "epochs = 5")).unwrap();
    assert_eq!(sweep.n_jobs(), 1);
    let SweepJob { config, .. } = sweep.job(0);
    // The key is of the JSON that spells the defaults out, computed with Python's hashlib.
    assert_eq!(config.key().as_str(), "8131ceef6b5a861c49ae873e6d563155");
    assert_eq!((config.seed, &config.recipe.schedule, config.recipe.augment), (0, &Schedule::Cosine, Augment::None));

    let text =
        edited("budget = 0.5", "budget = { macs = 100000 }").replace("[evaluation]\npolicies = [\"max-softmax\"]\ncalibration = 0.1\n", "");
    let sweep = parse(&text).unwrap();
    let branches = sweep.jobs().find_map(|job| job.config.branches).unwrap();
    assert_eq!((&branches.exits, branches.rule, branches.budget), (&ExitPlacement::StageEnds, BranchRule::Auto, Budget::Macs(100_000)));
}

#[test]
fn a_sweeps_key_is_of_its_name_and_job_keys() {
    // Python: sha256(b"plain\n8131ceef6b5a861c49ae873e6d563155\n9f38ef631077cb21b9d8b5a95aa02f44\n").hexdigest()[:32]
    assert_eq!(parse(&plain("seed = [0, 1]", "epochs = 5")).unwrap().key(), "634e86a7cb479cd535757cb0f455d575");
}

#[test]
fn the_same_work_in_different_words_has_the_same_key() {
    let key = |text: &str| parse(text).unwrap().key();
    let other_words = edited("lr = 0.05", "lr = 5e-2, momentum = 0.90, nesterov = true, weight_decay = 0.000_5")
        .replace("dataset = \"digits\"", "'dataset' = ['digits']")
        .replace("budget = 0.5", "budget = 0.50\nexits = { at = 'stage-ends' }")
        .replace("epochs = 5", "epochs = 0x5\nschedule = 'cosine'\naugment = 'none'")
        .replace("[evaluation]\npolicies = [\"max-softmax\"]\ncalibration = 0.1\n", "[branch]\nrule = 'auto'");
    assert_eq!(key(&other_words), key(VALID));

    assert_eq!(key(&edited("lr = 0.05", "lr = 1")), key(&edited("lr = 0.05", "lr = 1.0")));
    assert_eq!(key(&edited("lr = 0.05", "lr = 1, momentum = -0.0")), key(&edited("lr = 0.05", "lr = 1, momentum = 0")));
    let as_axis = edited("epochs = 5\n", "").replace("seed =", "epochs = [5]\nseed =");
    assert_eq!(key(&as_axis), key(VALID));

    assert_ne!(key(&edited("branches", "other")), key(VALID));
    assert_ne!(key(&edited("[0, 1]", "[1, 0]")), key(VALID));
    assert_ne!(key(&edited("calibration = 0.1", "calibration = 0.2")), key(VALID));
}

#[test]
fn every_recipe_field_can_be_an_axis() {
    let axes = "epochs = [1, 2]\nbatch_size = [16, 32]\noptimizer = [{ sgd = { lr = 1 } }, { sgd = { lr = 2 } }]\n\
                schedule = ['constant', { step = { milestones = [1], gamma = 0.1 } }]\naugment = ['none', 'flip']";
    let text = format!("name = 'x'\n[axes]\nbackbone = 'resnet8'\ndataset = 'digits'\npattern = 'none'\n{axes}\n");
    let sweep = parse(&text).unwrap();
    let recipes: Vec<_> = sweep.jobs().map(|job| job.config.recipe).collect();
    assert_eq!(recipes.len(), 32);
    assert!(recipes.iter().enumerate().all(|(index, recipe)| !recipes[..index].contains(recipe)));
    // The last axis varies fastest.
    assert_eq!((recipes[0].augment, recipes[1].augment, recipes[16].epochs), (Augment::None, Augment::Flip, 2));
}

#[test]
fn jobs_that_differ_in_training_alone_share_a_network() {
    let sweep = parse(VALID).unwrap();
    assert_eq!(sweep.n_jobs(), 16);
    assert!(Arc::ptr_eq(&sweep.job(0).network, &sweep.job(1).network));
    assert!(!Arc::ptr_eq(&sweep.job(1).network, &sweep.job(2).network));
}

#[test]
fn every_form_of_pattern_exits_and_budget_is_read() {
    let text = edited(
        "pattern = [\"none\", \"constant\", { increasing = 0.5 }, { list = [0.5, 0.3, 0.2] }]",
        "pattern = [{ geometric = -1.5 }, { remaining-work = 1 }, { hump = -1.0 }, { single = 2 }, { random = 7 }, 'final-only']",
    )
    .replace("[recipe]", "[[exclude]]\npattern = 'final-only'\nbudget = { param-share = 0.5 }\n[recipe]")
    .replace(
        "budget = 0.5",
        "budget = [{ expected = 1, exits = [0.4, 0.3, 0.2, 0.1] }, { param-share = 0.5 }]\nexits = { at = { units = [1, 2, 3] } }",
    )
    .replace("seed = [0, 1]", "seed = 0")
    .replace("\"resnet8\", ", "");
    let labels: Vec<_> =
        parse(&text).unwrap_or_else(|problems| panic!("{}", render(&problems, "sweep.toml", &text))).jobs().map(|job| job.config).collect();
    let patterns: Vec<_> = labels[..6].iter().map(JobConfig::pattern_label).collect();
    assert_eq!(patterns, ["geometric -1.5", "remaining-work 1", "hump -1", "single 2", "random 7", "final-only"]);
    assert!(labels[..5].iter().all(|job| job.exits_label() == "units 1/2/3") && labels[5].exits_label() == "-");
    assert_eq!([labels[0].budget_label(), labels[6].budget_label()], ["100 % expected at 0.4/0.3/0.2/0.1", "50 % of params"]);
    let rule =
        |rule: &str| parse(&format!("{VALID}[branch]\nrule = '{rule}'\n")).unwrap().jobs().find_map(|job| job.network.plan).unwrap().rule;
    assert_eq!(rule("joint"), crate::network::SolvedRule::Joint);
}

#[test]
fn numbers_of_patterns_exits_and_budgets_are_checked_where_they_stand() {
    let constant = "\"constant\"";
    let other_than_0 = |what: &str, found: &str| {
        format!("`{what}` cannot be `{found}`: it takes a number from -10 to 10 other than 0, which is the pattern `constant`")
    };
    for (what, found) in [("geometric", "0"), ("geometric", "-10.5"), ("remaining-work", "11"), ("hump", "0.0")] {
        check_edit(constant, &format!("{{ {what} = {found} }}"), found, &other_than_0(what, found));
    }
    check_edit(constant, "{ single = 0 }", "0", "`single` cannot be `0`: it takes a whole number from 1 to 1000");
    check_edit(constant, "{ random = 1.5 }", "1.5", "`random` cannot be `1.5`: it takes a whole number from 0 to 9223372036854775807");
    check_edit(constant, "\"hump\"", "\"hump\"", "pattern `hump` needs its numbers");
    check_edit(
        "budget = 0.5",
        "budget = { expected = 0.5, exits = [0.5, 0.6] }",
        "[0.5, 0.6]",
        "`exits` cannot be `[0.5, 0.6]`: it takes parts that sum to 1",
    );
    check_edit("budget = 0.5", "budget = { expected = 0.5 }", "{ expected = 0.5 }", "`budget` lacks `exits`");
    check_edit(
        "budget = 0.5",
        "budget = { param-share = 0 }",
        "0",
        "`param-share` cannot be `0`: it takes a number above 0 and at most 10",
    );
    check_edit(
        "budget = 0.5",
        "budget = 0.5\nexits = { at = { units = [2, 1, 3] } }",
        "[2, 1, 3]",
        "`units` cannot be `[2, 1, 3]`: it takes rising numbers of units, counted from 0, the stem, such as `[3, 5, 7]`",
    );
}

/// What a pattern leaves no choice of makes no further jobs, and equal jobs in different sweeps have one key.
#[test]
fn the_patterns_final_only_and_own_are_one_job_whatever_they_leave_no_choice_of() {
    let sweep = |backbone: &str, pattern: &str, axes: &str| {
        let text = format!(
            "name = 'x'\n[axes]\nbackbone = '{backbone}'\ndataset = 'cifar10'\npattern = {pattern}\n{axes}\n\
             [recipe]\nepochs = 5\nbatch_size = 32\noptimizer = {{ sgd = {{ lr = 0.05 }} }}\n"
        );
        parse(&text).unwrap_or_else(|problems| panic!("{}", render(&problems, "sweep.toml", &text)))
    };
    let exits = "exits = [{ at = [0.5] }, { at = 'stage-ends' }]\nbudget = [0.5, 0.25]";
    let several = sweep("resnet20", "'final-only'", exits);
    assert_eq!(several.n_jobs(), 2, "a job a budget");
    let alone = sweep("resnet20", "'final-only'", "budget = 0.25");
    assert_eq!(alone.keys()[0], several.keys()[1]);
    let network = alone.job(0).network;
    assert!(network.branches.is_empty() && network.plan.unwrap().error().abs() <= 0.005);
    let own = sweep("msdnet-5-1-1-linear", "['own', 'none']", exits);
    assert_eq!(own.jobs().filter(|job| job.config.pattern_label() == "own").count(), 1);
    let alone = sweep("msdnet-5-1-1-linear", "'own'", "");
    assert_eq!(alone.keys()[0], own.keys()[0]);
    // The published network: the multi-exit parameters of MSDNet's own table, C100 aside.
    assert_eq!(alone.job(0).network.n_exits(), 5);
}

#[test]
fn excluded_combinations_make_no_jobs() {
    let text = format!(
        "{VALID}[[exclude]]\nbackbone = 'resnet8'\npattern = [{{ increasing = 0.50 }}, 'none']\n\
         [[exclude]]\nseed = 1\npattern = ['constant', {{ list = [0.5, 0.3, 0.2] }}]\n\
         [[exclude]]\nexits = {{ at = 'stage-ends' }}\nbackbone = 'resnet14'\nseed = 0\n"
    );
    expect![[r#"
        [
            "resnet8 digits: constant, stage-ends, 50 %, 5 epochs, seed 0",
            "resnet8 digits: list 0.5/0.3/0.2, stage-ends, 50 %, 5 epochs, seed 0",
            "resnet14 digits: none, -, -, 5 epochs, seed 1",
            "resnet14 digits: increasing 0.5, stage-ends, 50 %, 5 epochs, seed 1",
        ]
    "#]]
    .assert_debug_eq(&listed(&text));
}

#[test]
fn a_combination_without_a_network_can_be_excluded() {
    let text = edited("budget = 0.5", "budget = [0.5, 1e-6]");
    assert_eq!(problems(&text).len(), 1);
    let text = format!("{text}[[exclude]]\nbudget = 0.000001\n");
    assert_eq!(parse(&text).unwrap().n_jobs(), 16);
}

#[test]
fn excludes_must_leave_something_out_and_something_in() {
    check(
        &format!("{VALID}[[exclude]]\nbackbone = ['resnet8', 'resnet20']\n[[exclude]]\n"),
        &expect![[r#"
            error: `'resnet20'` is not among the values of `backbone`
              --> sweep.toml:19:24
               |
            19 | backbone = ['resnet8', 'resnet20']
               |                        ^^^^^^^^^^
            hint: an `[[exclude]]` that matches no combination does nothing: leave it out

            error: `[[exclude]]` without a condition matches every combination
              --> sweep.toml:20:1
               |
            20 | [[exclude]]
               | ^^^^^^^^^^^
            hint: name the values to leave out, such as `backbone = "resnet20"`, or delete the table
        "#]],
    );
    check(
        &format!("{VALID}[[exclude]]\nseed = 0\n[[exclude]]\nseed = 1\n"),
        &expect![[r#"
            error: the sweep has no job: every combination is excluded
              --> sweep.toml:20:1
               |
            20 | [[exclude]]
               | ^^^^^^^^^^^
            hint: exclude less
        "#]],
    );
}

#[test]
fn combinations_are_counted_before_they_are_expanded() {
    let seeds = |n: u32| (0..n).map(|seed| seed.to_string()).collect::<Vec<_>>().join(",");
    let text = plain(&format!("seed = [{}]\nepochs = [{}]", seeds(1001), seeds(1001).replacen("0,", "", 1)), "");
    assert_eq!(
        problems(&text).iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>(),
        ["the axes make 1001000 combinations (1000 x 1001), more than the 1000000 allowed"]
    );
    // 2 x 4 x 2 x 4 x 10,000 x 40,000^3 is more than 64 bits hold.
    let numbers: Vec<String> = (1..=40_000).map(|n| n.to_string()).collect();
    let (sizes, epochs) = (numbers.join(","), numbers[..10_000].join(","));
    let budgets = numbers.iter().map(|n| format!("0.{n}1")).collect::<Vec<_>>().join(",");
    let training = format!("epochs = [{epochs}]\nschedule = ['cosine', 'constant']\naugment = ['none', 'crop', 'flip', 'crop-flip']");
    let text = edited("seed = [0, 1]", &format!("seed = [{sizes}]\nbatch_size = [{sizes}]\n{training}"))
        .replace("budget = 0.5", &format!("budget = [{budgets}]"))
        .replace("epochs = 5\nbatch_size = 32\n", "");
    assert_eq!(
        problems(&text)[0].message,
        "the axes make 40960000000000000000 combinations (2 x 40000 x 4 x 10000 x 40000 x 2 x 4 x 40000), more than the 1000000 allowed"
    );
}

#[test]
fn a_value_repeated_thousands_of_times_counts_once() {
    // A value that is there again and again is one value: the count is of what would be expanded.
    let again = |value: &str| format!("[{}]", vec![value; 5_000].join(","));
    let text = edited(
        "seed = [0, 1]",
        &format!("seed = {}\naugment = {}\nexits = {}", again("0"), again("'none'"), again("{ at = 'stage-ends' }")),
    );
    assert_eq!(problems(&text).last().unwrap().message, format!("{} more problems are not listed", 3 * 4_999 - 100));
}

#[test]
fn networks_are_counted_before_they_are_solved() {
    let budgets = (1..=1_300).map(|n| format!("0.{n:05}")).collect::<Vec<_>>().join(",");
    let message = &problems(&edited("budget = 0.5", &format!("budget = [{budgets}]")))[0].message;
    assert_eq!(message, "the axes make 10400 networks, more than the 10000 allowed");
}

#[test]
fn a_text_too_long_is_not_read() {
    let text = format!("{VALID}#{}", "x".repeat(MAX_BYTES));
    let message = problems(&text).remove(0).message;
    assert_eq!(message, format!("the file has {} bytes, more than the 1048576 allowed", text.len()));
    assert!(parse(&format!("{VALID}#{}", "x".repeat(MAX_BYTES - VALID.len() - 1))).is_ok());
}

#[test]
fn the_first_hundred_problems_are_listed() {
    let found = problems(&edited("[0, 1]", &format!("[{}]", "-1,".repeat(250))));
    assert_eq!(found.len(), 101);
    assert_eq!(found[100].message, "150 more problems are not listed");
}

/// A hostile text of the greatest size is answered in the time of reading it a few times, not of squaring its length.
#[test]
fn long_hostile_texts_are_answered() {
    for piece in [
        "[",
        "a=[",
        "\"",
        "a.",
        "[[exclude]]\n",
        "[[after]]\n",
        "a = 1\n",
        "a = b\n",
        "x",
        "{",
        "[a]\n",
        "1,",
        "'\n",
        "\u{1b}",
        "[[a.b]]\n",
    ] {
        let text = piece.repeat(100_000 / piece.len());
        assert!(!render(&problems(&text), "sweep.toml", &text).is_empty());
    }
}

/// A valid sweep with some of its pieces removed, doubled, swapped for others' or overwritten.
fn spoilt(text: String) -> impl Strategy<Value = String> {
    let length = text.len();
    let own = text.clone();
    let edit = (
        0..length,
        0..40_usize,
        prop_oneof![
            Just(String::new()),
            "[\\[\\]{}=,.\"'#0-9a-z \n-]{1,6}",
            any::<String>(),
            (0..length).prop_map(move |at| { own[at..].chars().take(25).collect::<String>() })
        ],
    );
    prop::collection::vec(edit, 1..6).prop_map(move |edits| {
        edits.into_iter().fold(text.clone(), |text, (start, length, with)| {
            let start = text.floor_char_boundary(start);
            let end = text.floor_char_boundary(start + length).max(start);
            format!("{}{with}{}", &text[..start], &text[end..])
        })
    })
}

/// Runs are all jobs in their order, and what they share is what each job has.
fn check_runs(sweep: &Sweep) -> Result<(), TestCaseError> {
    let mut end = 0;
    for run in sweep.runs() {
        prop_assert!(run.jobs.start == end && !run.jobs.is_empty());
        end = run.jobs.end;
        for index in run.jobs {
            let (SweepJob { config, network }, seed) = (sweep.job(index), sweep.seed(index));
            prop_assert_eq!(&JobConfig { seed, ..run.first.config.clone() }, &config);
            prop_assert_eq!(run.json.canonical_json(seed), config.canonical_json());
            prop_assert_eq!(run.json.key(seed), config.key());
            prop_assert!(Arc::ptr_eq(&network, &run.first.network));
        }
    }
    prop_assert_eq!(end, sweep.n_jobs());
    Ok(())
}

/// Whether jobs can be taken away, one after another, that wait for none that is left.
fn is_acyclic(pairs: &[(usize, usize)], n_jobs: usize) -> bool {
    let mut left: HashSet<usize> = (0..n_jobs).collect();
    loop {
        let free: Vec<usize> =
            left.iter().copied().filter(|job| !pairs.iter().any(|(waiting, awaited)| waiting == job && left.contains(awaited))).collect();
        if free.is_empty() {
            return left.is_empty();
        }
        left.retain(|job| !free.contains(job));
    }
}

fn check_any(text: &str) -> Result<(), TestCaseError> {
    match parse(text) {
        Ok(sweep) => {
            prop_assert!(sweep.n_jobs() > 0);
            let keys: HashSet<_> = sweep.keys().iter().collect();
            prop_assert_eq!((keys.len(), sweep.keys().len(), sweep.jobs().len()), (sweep.n_jobs(), sweep.n_jobs(), sweep.n_jobs()));
            for (job, key) in sweep.jobs().zip(sweep.keys()) {
                prop_assert_eq!(&job.config.key(), key);
                prop_assert_eq!(&JobConfig::from_json(&job.config.canonical_json()).unwrap(), &job.config);
            }
            check_runs(&sweep)?;
            prop_assert!(is_acyclic(&sweep.dependencies().collect::<Vec<_>>(), sweep.n_jobs()));
        }
        Err(problems) => {
            prop_assert!(!problems.is_empty());
            prop_assert!(problems.iter().all(|problem| problem.hint.is_some()), "{:?}", problems);
            prop_assert!(problems.is_sorted_by_key(|problem| problem.span.start));
            prop_assert!(problems.iter().all(|problem| problem.span.start <= problem.span.end && problem.span.end <= text.len()));
            prop_assert!(!render(&problems, "sweep.toml", text).chars().any(|c| c.is_control() && c != '\n'));
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_a_sweep_or_has_problems(text in any::<String>()) {
        check_any(&text)?;
    }

    #[test]
    fn a_spoilt_sweep_is_a_sweep_or_has_problems(text in prop_oneof![spoilt(VALID.to_owned()), spoilt(scheduled())]) {
        check_any(&text)?;
    }
}
