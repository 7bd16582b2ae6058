#![expect(clippy::needless_raw_string_hashes, reason = "this is how expect-test writes its literals")]

use std::collections::HashSet;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::job::{Augment, Budget, ExitPlacement, Pattern, Schedule};
use crate::problem::render;

mod after;
mod scheduling;
mod seeds;
mod training;

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
fn five_mistakes_are_five_problems() {
    let text = r#"name = "five"

[axes]
backbone = ["resnet8", "resnet21"]
datset   = "digits"
pattern  = ["none", "increasing"]
budget   = { levels = 6 }

[recipe]
epochs = 0
batch_size = 32
optimizer = { sgd = { lr = 0.05, momentum = 1.5 } }
"#;
    check(
        text,
        &expect![[r#"
            error: no backbone is called `resnet21`: residual networks of three stages have 6n + 2 layers, from 8 to 110
             --> sweep.toml:4:24
              |
            4 | backbone = ["resnet8", "resnet21"]
              |                        ^^^^^^^^^^
            hint: did you mean `resnet20`?

            error: unknown key `datset` in `[axes]`
             --> sweep.toml:5:1
              |
            5 | datset   = "digits"
              | ^^^^^^
            hint: did you mean `dataset`?

            error: pattern `increasing` needs its numbers
             --> sweep.toml:6:21
              |
            6 | pattern  = ["none", "increasing"]
              |                     ^^^^^^^^^^^^
            hint: write `{ increasing = 0.6 }`

            error: `epochs` cannot be `0`
              --> sweep.toml:10:10
               |
            10 | epochs = 0
               |          ^
            hint: it takes a whole number from 1 to 10000

            error: `momentum` cannot be `1.5`
              --> sweep.toml:12:45
               |
            12 | optimizer = { sgd = { lr = 0.05, momentum = 1.5 } }
               |                                             ^^^
            hint: it takes a number from 0 to below 1
        "#]],
    );
}

#[test]
fn syntax_errors_inside_values_do_not_hide_other_problems() {
    let text = edited("dataset = \"digits\"", "dataset = digits").replace("seed = [0, 1]", "seed = -1\nseed = 0").replace("= 5", "=");
    check(
        &text,
        &expect![[r#"
            error: `digits` is no TOML value
             --> sweep.toml:5:11
              |
            5 | dataset = digits
              |           ^^^^^^
            hint: text needs quotes: "digits"

            error: `seed` cannot be `-1`
             --> sweep.toml:8:8
              |
            8 | seed = -1
              |        ^^
            hint: it takes a whole number from 0 to 9223372036854775807

            error: `seed` is there twice
             --> sweep.toml:9:1
              |
            9 | seed = 0
              | ^^^^
            hint: keep one of them

            error: there is no value
              --> sweep.toml:12:9
               |
            12 | epochs =
               |         ^
            hint: write one, or take the key out
        "#]],
    );
    check(
        &edited("\"branches\"", "\"branches").replace("0.05", "0.0.5"),
        &expect![[r#"
            error: invalid basic string, expected `"`
             --> sweep.toml:1:17
              |
            1 | name = "branches
              |                 ^
            hint: text stands on one line between two quotes of one kind, "text" or 'text'

            error: invalid float
              --> sweep.toml:13:31
               |
            13 | optimizer = { sgd = { lr = 0.0.5 } }
               |                               ^^
            hint: a number is written like `3`, `0.05` or `5e-4`, and text needs quotes
        "#]],
    );
}

#[test]
fn a_structural_syntax_error_is_told_alone() {
    check(
        &edited("\"resnet14\"]", "\"resnet15\""),
        &expect![[r#"
            error: unexpected `=` in array, expected value, `]`
             --> sweep.toml:5:9
              |
            5 | dataset = "digits"
              |         ^
            hint: the rest of the file is checked when this is right; an opening bracket without its closing one can be the cause
        "#]],
    );
    check(
        &edited("[axes]", "[axes").replace("epochs = 5", "epochs = 0"),
        &expect![[r#"
            error: unclosed table, expected `]`
             --> sweep.toml:3:6
              |
            3 | [axes
              |      ^
            hint: the rest of the file is checked when this is right; an opening bracket without its closing one can be the cause
        "#]],
    );
}

#[test]
fn a_misspelt_table_is_not_reported_as_missing_too() {
    check(
        &edited("[axes]", "[axis]").replace("[recipe]", "[receipt]"),
        &expect![[r#"
            error: unknown key `axis` in the sweep file
             --> sweep.toml:3:2
              |
            3 | [axis]
              |  ^^^^
            hint: did you mean `axes`?

            error: unknown key `receipt` in the sweep file
              --> sweep.toml:10:2
               |
            10 | [receipt]
               |  ^^^^^^^
            hint: did you mean `recipe`?
        "#]],
    );
}

#[test]
fn what_is_missing_is_reported_where_it_belongs() {
    check(
        "",
        &expect![[r#"
            error: the sweep file lacks `name`
             --> sweep.toml:1:1
              |
            1 |
              | ^
            hint: add `name = "my-sweep"`

            error: the sweep file lacks `axes`
             --> sweep.toml:1:1
              |
            1 |
              | ^
            hint: add `[axes]`

            error: the sweep file lacks `recipe`
             --> sweep.toml:1:1
              |
            1 |
              | ^
            hint: add `[recipe]`
        "#]],
    );
    check(
        "name = 'x'\n[axes]\nseed = 1\n[recipe]\noptimizer = { sgd = {} }\nschedule = { step = {} }",
        &expect![[r#"
            error: `[axes]` lacks `backbone`
             --> sweep.toml:2:1
              |
            2 | [axes]
              | ^^^^^^
            hint: add `backbone = "resnet20"`

            error: `[axes]` lacks `dataset`
             --> sweep.toml:2:1
              |
            2 | [axes]
              | ^^^^^^
            hint: add `dataset = "digits"`

            error: `[axes]` lacks `pattern`
             --> sweep.toml:2:1
              |
            2 | [axes]
              | ^^^^^^
            hint: add `pattern = ["none", "constant"]`

            error: `[recipe]` lacks `epochs`
             --> sweep.toml:4:1
              |
            4 | [recipe]
              | ^^^^^^^^
            hint: add `epochs = 100`

            error: `[recipe]` lacks `batch_size`
             --> sweep.toml:4:1
              |
            4 | [recipe]
              | ^^^^^^^^
            hint: add `batch_size = 128`

            error: `sgd` lacks `lr`
             --> sweep.toml:5:21
              |
            5 | optimizer = { sgd = {} }
              |                     ^^
            hint: add `lr = 0.1`

            error: `step` lacks `milestones`
             --> sweep.toml:6:21
              |
            6 | schedule = { step = {} }
              |                     ^^
            hint: add `milestones = [100, 150]`

            error: `step` lacks `gamma`
             --> sweep.toml:6:21
              |
            6 | schedule = { step = {} }
              |                     ^^
            hint: add `gamma = 0.1`
        "#]],
    );
    check(
        &edited("budget = 0.5\n", ""),
        &expect![[r#"
            error: `[axes]` lacks `budget`
             --> sweep.toml:3:1
              |
            3 | [axes]
              | ^^^^^^
            hint: add `budget = 0.25`
        "#]],
    );
}

#[test]
fn a_network_that_cannot_be_built_is_reported_once_at_the_value_at_fault() {
    let text = edited("budget = 0.5", "budget = [0.5, 1e-6]\nexits = [{ at = 'stage-ends' }, { at = [0.5, 0.51, 0.9] }]");
    check(
        &text,
        &expect![[r#"
            error: a budget of 0.000001 of the backbone's MACs (1 MACs) does not pay for the branches' classifiers, which take 1120 MACs, for `resnet8` on `digits` (constant, stage-ends, 0.0001 %) and 5 other networks
             --> sweep.toml:7:16
              |
            7 | budget = [0.5, 1e-6]
              |                ^^^^
            hint: the nearest budget that all 3 patterns meet, each with branches of its own, is 0.0373 of the backbone's MACs

            error: exits at 0.5 and 0.51 of the backbone's MACs would both follow unit 1, which ends at 0.407, for `resnet8` on `digits` (constant, 0.5/0.51/0.9, 50 %) and 11 other networks
             --> sweep.toml:8:33
              |
            8 | exits = [{ at = 'stage-ends' }, { at = [0.5, 0.51, 0.9] }]
              |                                 ^^^^^^^^^^^^^^^^^^^^^^^^^
            hint: leave one out, or move one: the neighbouring units end at 0.012 and 0.703
        "#]],
    );
    check(
        &edited("list = [0.5, 0.3, 0.2]", "list = [0.5, 0.5]"),
        &expect![[r#"
            error: a list of 2 shares does not fit 3 side exits, for `resnet8` on `digits` (list 0.5/0.5, stage-ends, 50 %) and 1 other network
             --> sweep.toml:6:54
              |
            6 | pattern = ["none", "constant", { increasing = 0.5 }, { list = [0.5, 0.5] }]
              |                                                      ^^^^^^^^^^^^^^^^^^^^^
            hint: give 3 shares; the final exit has none, its classifier is part of the backbone
        "#]],
    );
}

/// Budgets by an independent program that follows the written rules: it finds none from the classifiers' 0.0015 up to 0.02 that all three
/// patterns meet with branches that differ, and 0.03428 as the first above, where `constant` costs 0.034409.
#[test]
fn hinted_budgets_serve_every_pattern_that_is_compared() {
    let patterns = "[\"none\", \"constant\", { increasing = 0.5 }, { list = [0.5, 0.3, 0.2] }]";
    let with = |budget: &str| {
        edited(patterns, "['none', 'constant', { decreasing = 1 }, { increasing = 1 }]")
            .replace(", \"resnet14\"", "")
            .replace("budget = 0.5", &format!("budget = {budget}"))
    };
    let hints: Vec<_> = problems(&with("0.02")).into_iter().map(|problem| problem.hint.unwrap()).collect();
    assert_eq!(hints, ["the nearest budget that all 3 patterns meet, each with branches of its own, is 0.03441 of the backbone's MACs"]);
    assert_eq!(parse(&with("0.03441")).unwrap().n_jobs(), 8);
}

/// Patterns that are excluded at a budget need not meet it, and where patterns cannot differ no budget serves them.
#[test]
fn hints_are_of_the_combinations_that_are_left() {
    let hint = |text: &str| problems(text).remove(0).hint.unwrap();
    let text = edited("budget = 0.5", "budget = 1e-6").replace(", \"resnet14\"", "");
    let exclude = |patterns: &str| format!("{text}[[exclude]]\npattern = {patterns}\n");
    assert_eq!(
        hint(&exclude("[{ increasing = 0.5 }, { list = [0.5, 0.3, 0.2] }]")),
        "the nearest budget that can be met is 0.001499 of the backbone's MACs (0 levels)"
    );
    let one_exit = exclude("{ list = [0.5, 0.3, 0.2] }").replace("budget = 1e-6", "budget = 1e-6\nexits = { at = [0.5] }");
    assert_eq!(
        hint(&one_exit),
        "no budget was found that both patterns meet, each with branches of its own: leave a pattern out, or exclude it at this budget"
    );
}

#[test]
fn patterns_that_come_to_the_same_branches_are_refused() {
    let patterns = "[\"none\", \"constant\", { increasing = 0.5 }, { list = [0.5, 0.3, 0.2] }]";
    let with = |budget: &str| {
        // Slopes of 0.3 want 0.7, 1 and 1.3 of three levels, and 1.4, 2 and 2.6 of six: 1, 1, 1 and 1, 2, 3.
        edited(patterns, "[\"constant\", { increasing = 0.3 }, { decreasing = 0.3 }]")
            .replace("budget = 0.5", &format!("budget = {budget}"))
    };
    check(
        &with("[{ levels = 3 }, { levels = 6 }]"),
        &expect![[r#"
            error: `"constant"` and `{ increasing = 0.3 }` build the same branches, for `resnet8` on `digits` (stage-ends, 3 levels) and 1 other combination
             --> sweep.toml:6:24
              |
            6 | pattern = ["constant", { increasing = 0.3 }, { decreasing = 0.3 }]
              |                        ^^^^^^^^^^^^^^^^^^^^
            hint: take a steeper slope or a larger budget, or leave one of the two out, there with `[[exclude]]` or everywhere

            error: `"constant"` and `{ decreasing = 0.3 }` build the same branches, for `resnet8` on `digits` (stage-ends, 3 levels) and 1 other combination
             --> sweep.toml:6:46
              |
            6 | pattern = ["constant", { increasing = 0.3 }, { decreasing = 0.3 }]
              |                                              ^^^^^^^^^^^^^^^^^^^^
            hint: take a steeper slope or a larger budget, or leave one of the two out, there with `[[exclude]]` or everywhere
        "#]],
    );
    assert_eq!(parse(&with("{ levels = 6 }")).unwrap().n_jobs(), 2 * 3 * 2);
    // Without the constant one the two others are still alike.
    let excluded = |pattern: &str| {
        format!("{}[[exclude]]\npattern = {pattern}\nbudget = {{ levels = 3 }}\n", with("[{ levels = 3 }, { levels = 6 }]"))
    };
    let left = problems(&excluded("'constant'"));
    assert_eq!(left.len(), 1);
    assert!(left[0].message.starts_with("`{ increasing = 0.3 }` and `{ decreasing = 0.3 }` build the same branches, for `resnet8`"));
    assert_eq!(parse(&excluded("[{ increasing = 0.3 }, { decreasing = 0.3 }]")).unwrap().n_jobs(), 2 * (1 + 3) * 2);
}

#[test]
fn one_exit_leaves_patterns_nothing_to_share_out() {
    let text = edited("budget = 0.5", "budget = { levels = 3 }\nexits = { at = [0.5] }").replace(", { list = [0.5, 0.3, 0.2] }", "");
    let found = problems(&text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(&text[found[0].span.clone()], "{ increasing = 0.5 }");
    let message = "`\"constant\"` and `{ increasing = 0.5 }` build the same branches, for `resnet8` on `digits` (0.5, 3 levels) and 1 other combination";
    assert_eq!(found[0].message, message);
    assert!(found[0].hint.as_ref().unwrap().starts_with("one exit gets the whole budget"));
}

#[test]
fn values_out_of_range_are_refused() {
    for lr in ["0", "-0.1", "inf", "nan", "1e999", "\"0.1\"", "true"] {
        check_edit("0.05", lr, lr, &format!("`lr` cannot be `{lr}`: it takes a number above 0"));
    }
    for momentum in ["1", "-0.1", "nan"] {
        let message = format!("`momentum` cannot be `{momentum}`: it takes a number from 0 to below 1");
        check_edit("lr = 0.05", &format!("lr = 0.05, momentum = {momentum}"), momentum, &message);
    }
    for slope in ["0", "1.01", "-0.5", "nan"] {
        check_edit(
            "increasing = 0.5",
            &format!("increasing = {slope}"),
            slope,
            &format!("`slope` cannot be `{slope}`: it takes a number above 0 and at most 1"),
        );
    }
    for epochs in ["0", "10001", "5.0", "-5", "99999999999999999999"] {
        check_edit(
            "epochs = 5",
            &format!("epochs = {epochs}"),
            epochs,
            &format!("`epochs` cannot be `{epochs}`: it takes a whole number from 1 to 10000"),
        );
    }
    for size in ["0", "65537"] {
        check_edit(
            "batch_size = 32",
            &format!("batch_size = {size}"),
            size,
            &format!("`batch_size` cannot be `{size}`: it takes a whole number from 1 to 65536"),
        );
    }
    for share in ["0", "0.51", "-0.1"] {
        check_edit(
            "calibration = 0.1",
            &format!("calibration = {share}"),
            share,
            &format!("`calibration` cannot be `{share}`: it takes a share above 0 and at most 0.5"),
        );
    }
    for seed in ["-1", "9223372036854775808"] {
        check_edit("[0, 1]", seed, seed, &format!("`seed` cannot be `{seed}`: it takes a whole number from 0 to 9223372036854775807"));
    }
    for budget in ["0", "-0.5", "10.5", "nan", "\"25 %\""] {
        let message = format!(
            "`budget` cannot be `{budget}`: it takes a share of the backbone's MACs such as `0.25`, `{{ levels = 6 }}`, `{{ macs = 1000000 }}`, `{{ expected = 0.25, exits = [0.4, 0.3, 0.2, 0.1] }}` or `{{ param-share = 0.25 }}`, above 0 and at most 10"
        );
        check_edit("budget = 0.5", &format!("budget = {budget}"), budget, &message);
    }
    check_edit("budget = 0.5", "budget = { levels = 0 }", "0", "`levels` cannot be `0`: it takes a whole number from 1 to 1000");
}

#[test]
fn the_ends_of_ranges_are_taken() {
    for (from, to) in [
        ("increasing = 0.5", "increasing = 1"),
        ("epochs = 5", "epochs = 10_000"),
        ("batch_size = 32", "batch_size = 65536"),
        ("calibration = 0.1", "calibration = 0.5"),
        ("[0, 1]", "9223372036854775807"),
        ("lr = 0.05", "lr = 0.05, momentum = 0, weight_decay = 0, nesterov = false"),
        ("epochs = 5", "epochs = 5\nschedule = { step = { milestones = [2, 3], gamma = 1 } }"),
    ] {
        let text = edited(from, to);
        assert!(parse(&text).is_ok(), "{}", render(&problems(&text), "sweep.toml", &text));
    }
}

#[test]
fn lists_must_be_whole_and_in_order() {
    check_edit("list = [0.5, 0.3, 0.2]", "list = [0.5, 0.3, 0.1]", "[0.5, 0.3, 0.1]", "shares sum to 0.9, not to 1");
    let message = "`list` cannot be `-0.5`: it takes shares from 0 to 1, one an exit, that sum to 1";
    check_edit("list = [0.5, 0.3, 0.2]", "list = [1.0, 0.5, -0.5]", "-0.5", message);
    let wanted = "rising epochs, counted from 0, such as `[100, 150]`";
    for milestones in ["[3, 2]", "[2, 2]", "[]", "2"] {
        let schedule = format!("epochs = 5\nschedule = {{ step = {{ milestones = {milestones}, gamma = 0.1 }} }}");
        check_edit("epochs = 5", &schedule, milestones, &format!("`milestones` cannot be `{milestones}`: it takes {wanted}"));
    }
    let message = |at| format!("`at` cannot be `{at}`: it takes rising fractions of the backbone's MACs, above 0 and below 1");
    for at in ["[0.5, 0.25]", "[0.5, 0.5]", "[]"] {
        check_edit("budget = 0.5", &format!("budget = 0.5\nexits = {{ at = {at} }}"), at, &message(at));
    }
    check_edit("budget = 0.5", "budget = 0.5\nexits = { at = [0.5, 1.0] }", "1.0", &message("1.0"));
    check_edit("[0, 1]", "[]", "[]", "`seed` cannot be `[]`: it takes a value or an array of at least one");
    check_edit("[\"max-softmax\"]", "[]", "[]", "`policies` cannot be `[]`: it takes an array of at least one policy");
}

#[test]
fn a_third_may_be_written_with_six_digits() {
    let thirds =
        |third: &str| edited("list = [0.5, 0.3, 0.2]", &format!("list = [{third}, {third}, {third}]")).replace("\"constant\", ", "");
    assert!(parse(&thirds("0.333333")).is_ok());
    assert_eq!(problems(&thirds("0.33333"))[0].hint.as_deref(), Some("divide every share by 0.99999"));
}

#[test]
fn values_that_are_there_twice_are_refused() {
    check_edit("[0, 1]", "[0, 1, 0x0]", "0x0", "`0x0` is on the axis `seed` twice");
    check_edit("budget = 0.5", "budget = [1, 1.0]", "1.0", "`1.0` is on the axis `budget` twice");
    check_edit("[\"max-softmax\"]", "['max-softmax', 'max-softmax']", "'max-softmax'", "`'max-softmax'` is listed twice");
    check_edit("seed =", "epochs = [1, 2]\nseed =", "5", "`epochs` is both an axis and a part of the recipe");
}

#[test]
fn misspelt_names_get_a_suggestion() {
    let hint = |from: &str, to: &str| {
        let found = problems(&edited(from, to));
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].hint.clone().unwrap_or_default()
    };
    assert_eq!(hint("\"resnet14\"", "\"resnet-14\""), "did you mean `resnet14`?");
    assert_eq!(hint("\"resnet14\"", "\"vgg16\""), "did you mean `vgg16-bn`?");
    assert_eq!(hint("\"resnet14\"", "\"WRN-22-4\""), "did you mean `wrn-22-4`?");
    assert_eq!(hint("\"resnet14\"", "\"wrn-27-10\""), "did you mean `wrn-28-10`?");
    assert!(hint("\"resnet14\"", "\"inception\"").starts_with("known backbones: `resnetD` and `resnetD-b` (D = 8, 14, ..., 110), "));
    assert_eq!(hint("\"resnet14\"", "\"resnet\\14\""), r#"a backslash is written `\\` in "text", and as it is in 'text'"#);
    assert_eq!(hint("\"digits\"", "\"Digits\""), "did you mean `digits`?");
    assert_eq!(hint("\"digits\"", "\"imagenet\""), "did you mean `tiny-imagenet`?");
    assert_eq!(hint("\"digits\"", "{ synthetic = { shape = [3, 8, 8], clases = 2, train = 9, test = 9 } }"), "did you mean `classes`?");
    assert_eq!(hint("\"constant\"", "\"constnat\""), "did you mean `\"constant\"`?");
    assert_eq!(hint("\"constant\"", "\"incresing\""), "did you mean `{ increasing = 0.6 }`?");
    assert_eq!(hint("\"constant\"", "\"list\""), "write `{ list = [0.5, 0.3, 0.2] }`");
    assert_eq!(hint("{ increasing", "{ incraesing"), "did you mean `increasing`?");
    assert_eq!(hint("policies =", "policy ="), "did you mean `policies`?");
    assert_eq!(
        hint("\"max-softmax\"", "\"softmax\""),
        "it takes `max-softmax`, `entropy`, `margin`, `patience`, `ensemble` or `budgeted`; did you mean `max-softmax`?"
    );
    assert_eq!(hint("seed =", "seeds ="), "did you mean `seed`?");
    assert_eq!(hint("optimizer =", "optimiser ="), "did you mean `optimizer`?");
    assert_eq!(hint("{ sgd", "{ SGD"), "did you mean `sgd`?");
    assert_eq!(
        hint("epochs = 5", "epochs = 5\nschedule = 'cosin'"),
        "it takes `constant`, `cosine` or `one-cycle`; did you mean `cosine`?"
    );
    assert_eq!(
        hint("epochs = 5", "epochs = 5\naugment = 'flip-crop'"),
        "it takes `none`, `crop`, `flip`, `crop-flip` or `crop-flip-reflect`"
    );
    assert_eq!(hint("[recipe]", "[branch]\nrule = 'levels'\ndepth = 3\n[recipe]"), "write `rule = \"width\"`, or leave `depth` out");
    assert_eq!(hint("epochs = 5", "epochs = [5, 6]"), "it takes one value; to try several, move `epochs` to [axes]");
}

#[test]
fn datasets_with_numbers_are_written_as_tables_or_names() {
    let dataset = |written: &str| parse(&edited("\"digits\"", written)).unwrap().jobs().next().unwrap().config.dataset;
    let table = "{ synthetic = { shape = [3, 32, 24], classes = 10, train = 2000, test = 500 } }";
    assert_eq!(dataset(table), "synthetic-3x32x24-10-2000-500");
    assert_eq!(dataset("\"synthetic-3x32x24-10-2000-500\""), "synthetic-3x32x24-10-2000-500");
    assert_eq!(dataset("{ folder = { name = \"birds\", shape = [1, 64, 64], classes = 17 } }"), "folder-birds-1x64x64-17");
    let twice = format!("[{table}, \"synthetic-3x32x24-10-2000-500\"]");
    assert_eq!(problems(&edited("\"digits\"", &twice)).len(), 1, "one dataset has two spellings, and a job one");
    assert_eq!(dataset("\"synthetic-3x32x32-10-11-1\""), "synthetic-3x32x32-10-11-1");
    let wrong = "\"synthetic-3x32x32-10-10-10\"";
    check_edit("\"digits\"", wrong, wrong, "10 training images leave none to calibrate on, with 10 classes");
    let wrong = "{ folder = { name = \"../birds\", shape = [1, 64, 64], classes = 17 } }";
    check_edit("\"digits\"", wrong, wrong, "an image folder cannot be called `../birds`");
    let wrong = "{ folder = { name = \"birds\", shape = [64, 64], classes = 17 } }";
    check_edit("\"digits\"", wrong, "[64, 64]", "`shape` cannot be `[64, 64]`: it takes channels, height and width, such as `[3, 32, 32]`");
}

#[test]
fn names_can_be_typed_and_printed() {
    for name in ["", " x", "x\\n", "\\u001b[2J", "\\u202Ex", &"x".repeat(65)] {
        let message = problems(&edited("\"branches\"", &format!("\"{name}\""))).remove(0).message;
        assert!(message.starts_with("`name` cannot be `"), "{message}");
        assert!(!message.chars().any(char::is_control));
    }
    for name in ["last", "12"] {
        check_edit(
            "\"branches\"",
            &format!("'{name}'"),
            &format!("'{name}'"),
            &format!(
                "`name` cannot be `'{name}'`: it takes neither `last` nor a number; commands take `last` for the newest sweep, and a number for a sweep's id"
            ),
        );
    }
    for name in ["x", "Größe 2 (größer)", "2x", &"ü".repeat(64)] {
        assert_eq!(parse(&edited("branches", name)).unwrap().name, name);
    }
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
