//! `[[after]]`, held against its definition by brute force.

use super::*;

/// Who waits for whom, each job by its pattern, budget and seed.
fn waits(text: &str) -> Vec<String> {
    let sweep = parse(text).unwrap_or_else(|problems| panic!("{}", render(&problems, "sweep.toml", text)));
    let named = |index| {
        let config = sweep.job(index).config;
        format!("{} {}, {}, seed {}", config.backbone, config.pattern_label(), config.budget_label(), config.seed)
    };
    sweep.dependencies().map(|(job, waits_for)| format!("{} <- {}", named(job), named(waits_for))).collect()
}

fn with(after: &str) -> String {
    let patterns = "[\"none\", \"constant\", { increasing = 0.5 }, { list = [0.5, 0.3, 0.2] }]";
    let text =
        edited(patterns, "['none', 'constant', { increasing = 1 }]").replace("budget = 0.5", "budget = [{ levels = 3 }, { levels = 6 }]");
    format!("{}{after}", text.replace(", \"resnet14\"", ""))
}

#[test]
fn jobs_wait_for_those_that_are_equal_in_what_neither_side_names() {
    let text = with("[[after]]\njob = { pattern = 'constant', budget = { levels = 6 } }\nwait_for = { pattern = { increasing = 1.0 } }\n");
    expect![[r#"
        [
            "resnet8 constant, 6 levels, seed 0 <- resnet8 increasing 1, 3 levels, seed 0",
            "resnet8 constant, 6 levels, seed 0 <- resnet8 increasing 1, 6 levels, seed 0",
            "resnet8 constant, 6 levels, seed 1 <- resnet8 increasing 1, 3 levels, seed 1",
            "resnet8 constant, 6 levels, seed 1 <- resnet8 increasing 1, 6 levels, seed 1",
        ]
    "#]]
    .assert_debug_eq(&waits(&text));
}

/// The pattern `none` is one job whatever the budget: jobs of every budget wait for it, and a table that names budgets does not match it.
#[test]
fn a_job_without_branches_has_no_budget_to_differ_in() {
    let text = with("[[after]]\njob = { pattern = 'constant' }\nwait_for = { pattern = 'none' }\n");
    expect![[r#"
        [
            "resnet8 constant, 3 levels, seed 0 <- resnet8 none, -, seed 0",
            "resnet8 constant, 3 levels, seed 1 <- resnet8 none, -, seed 1",
            "resnet8 constant, 6 levels, seed 0 <- resnet8 none, -, seed 0",
            "resnet8 constant, 6 levels, seed 1 <- resnet8 none, -, seed 1",
        ]
    "#]]
    .assert_debug_eq(&waits(&text));
    let text = with(
        "[[after]]\njob = { pattern = 'none' }\nwait_for = { pattern = 'constant', seed = 0 }\n[[exclude]]\nseed = 1\npattern = 'none'\n",
    );
    expect![[r#"
        [
            "resnet8 none, -, seed 0 <- resnet8 constant, 3 levels, seed 0",
            "resnet8 none, -, seed 0 <- resnet8 constant, 6 levels, seed 0",
        ]
    "#]]
    .assert_debug_eq(&waits(&text));
    let text = with("[[after]]\njob = { budget = { levels = 6 } }\nwait_for = { budget = { levels = 3 } }\n[[exclude]]\nseed = 1\n");
    expect![[r#"
        [
            "resnet8 constant, 6 levels, seed 0 <- resnet8 constant, 3 levels, seed 0",
            "resnet8 increasing 1, 6 levels, seed 0 <- resnet8 increasing 1, 3 levels, seed 0",
        ]
    "#]]
    .assert_debug_eq(&waits(&text));
}

#[test]
fn a_pair_that_two_tables_make_is_there_once() {
    let after = "[[after]]\njob = { seed = 1 }\nwait_for = { seed = 0 }\n";
    let once = waits(&with(after));
    assert_eq!(once.len(), 5);
    assert_eq!(waits(&with(&after.repeat(2))), once);
}

#[test]
fn tables_that_cannot_be_read_are_told_with_their_place() {
    let text = with(
        "[[after]]\njob = { pattern = 'list' }\nwait_fr = { seed = 0 }\n[[after]]\njob = {}\nwait_for = { seed = 2, sede = 1 }\n[[after]]\n\
         job = { budget = 0.25 }\nwait_for = 5\n[[after]]\n",
    );
    check(
        &text,
        &expect![[r#"
        error: pattern `list` needs its numbers
          --> sweep.toml:19:19
           |
        19 | job = { pattern = 'list' }
           |                   ^^^^^^
        hint: write `{ list = [0.5, 0.3, 0.2] }`

        error: unknown key `wait_fr` in `[[after]]`
          --> sweep.toml:20:1
           |
        20 | wait_fr = { seed = 0 }
           | ^^^^^^^
        hint: did you mean `wait_for`?

        error: `job` without a condition matches every job
          --> sweep.toml:22:7
           |
        22 | job = {}
           |       ^^
        hint: name the values that it picks, such as `{ pattern = "none" }`

        error: `2` is not among the values of `seed`
          --> sweep.toml:23:21
           |
        23 | wait_for = { seed = 2, sede = 1 }
           |                     ^
        hint: `wait_for` picks jobs of this sweep: name values that are on its axes

        error: unknown key `sede` in `wait_for`
          --> sweep.toml:23:24
           |
        23 | wait_for = { seed = 2, sede = 1 }
           |                        ^^^^
        hint: `wait_for` takes `backbone`, `dataset`, `exits`, `budget`, `pattern`, `regime`, `distill`, `exit_weights`, `gradient_equilibrium`, `pretrained`, `epochs`, `batch_size`, `optimizer`, `schedule`, `augment`, `cutout`, `mixup`, `label_smoothing`, `clip`, `decay_norm`, `ema`, `precision` and `seed`

        error: `0.25` is not among the values of `budget`
          --> sweep.toml:25:18
           |
        25 | job = { budget = 0.25 }
           |                  ^^^^
        hint: `job` picks jobs of this sweep: name values that are on its axes

        error: `wait_for` cannot be `5`
          --> sweep.toml:26:12
           |
        26 | wait_for = 5
           |            ^
        hint: it is a table with `backbone`, `dataset`, `exits`, `budget`, `pattern`, `regime`, `distill`, `exit_weights`, `gradient_equilibrium`, `pretrained`, `epochs`, `batch_size`, `optimizer`, `schedule`, `augment`, `cutout`, `mixup`, `label_smoothing`, `clip`, `decay_norm`, `ema`, `precision` and `seed`

        error: `[[after]]` lacks `job`
          --> sweep.toml:27:1
           |
        27 | [[after]]
           | ^^^^^^^^^
        hint: add `job = { pattern = "constant" }`

        error: `[[after]]` lacks `wait_for`
          --> sweep.toml:27:1
           |
        27 | [[after]]
           | ^^^^^^^^^
        hint: add `wait_for = { pattern = "none" }`
    "#]],
    );
    let tables = "[[after]]\njob = { seed = 1 }\nwait_for = { seed = 0 }\n".repeat(101);
    assert_eq!(problems(&with(&tables))[0].message, "101 `[[after]]` tables are more than the 100 allowed");
}

#[test]
fn tables_without_effect_are_refused() {
    let text = with(
        "[[after]]\njob = { pattern = 'none', budget = { levels = 3 } }\nwait_for = { seed = 0, pattern = 'constant' }\n\
         [[after]]\njob = { pattern = 'constant' }\nwait_for = { pattern = { increasing = 1 }, budget = { levels = 3 }, seed = 1 }\n\
         [[after]]\njob = { pattern = 'none' }\nwait_for = { pattern = { increasing = 1 } }\n\
         [[exclude]]\npattern = { increasing = 1 }\nseed = 1\n[[exclude]]\nseed = 0\npattern = 'none'\n",
    );
    check(
        &text,
        &expect![[r#"
            error: no job of the sweep matches `job`
              --> sweep.toml:19:7
               |
            19 | job = { pattern = 'none', budget = { levels = 3 } }
               |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            hint: its values never meet: they are excluded, or exits and a budget are asked of the pattern `none`, which has neither

            error: no job of the sweep matches `wait_for`
              --> sweep.toml:23:12
               |
            23 | wait_for = { pattern = { increasing = 1 }, budget = { levels = 3 }, seed = 1 }
               |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            hint: its values never meet: they are excluded, or exits and a budget are asked of the pattern `none`, which has neither

            error: no job waits for another by this `[[after]]`
              --> sweep.toml:24:1
               |
            24 | [[after]]
               | ^^^^^^^^^
            hint: jobs wait for those that are equal in what neither `job` nor `wait_for` names: `budget` and `seed`
        "#]],
    );
}

#[test]
fn a_job_that_would_wait_for_itself_is_refused() {
    check(
        &with("[[after]]\njob = { pattern = 'constant' }\nwait_for = { seed = 0 }\n"),
        &expect![[r#"
        error: the job `{ pattern = 'constant', seed = 0 }` and 1 other job would wait for itself
          --> sweep.toml:18:1
           |
        18 | [[after]]
           | ^^^^^^^^^
        hint: a job must not match both `job` and `wait_for`: name one axis in both, with different values
    "#]],
    );
    check(
        &with("[[after]]\njob = { pattern = 'none', seed = 1 }\nwait_for = { pattern = 'none' }\n"),
        &expect![[r#"
        error: the job `{ pattern = 'none', seed = 1 }` would wait for itself
          --> sweep.toml:18:1
           |
        18 | [[after]]
           | ^^^^^^^^^
        hint: a job must not match both `job` and `wait_for`: name one axis in both, with different values
    "#]],
    );
}

#[test]
fn a_circle_is_refused_with_its_jobs() {
    let two = "[[after]]\njob = { seed = 1 }\nwait_for = { seed = 0 }\n\
               [[after]]\njob = { pattern = 'none', seed = 0 }\nwait_for = { pattern = 'constant', seed = 1 }\n\
               [[after]]\njob = { pattern = 'constant' }\nwait_for = { pattern = 'none' }\n";
    check(
        &with(two),
        &expect![[r#"
        error: the job `{ pattern = 'none', seed = 0 }` would wait for itself: it waits for `{ pattern = 'constant', seed = 1 }`, which waits for `{ pattern = 'none', seed = 1 }`, which waits for the first
          --> sweep.toml:24:1
           |
        24 | [[after]]
           | ^^^^^^^^^
        hint: take a table out that is part of this circle, or narrow its `job` or its `wait_for`
    "#]],
    );
    // Without the last table there is no circle.
    assert!(parse(&with(two.rsplit_once("[[after]]").unwrap().0)).is_ok());
}

#[test]
fn a_long_circle_is_cut() {
    let seeds = |n: usize| {
        let links: Vec<String> =
            (0..n).map(|seed| format!("[[after]]\njob = {{ seed = {seed} }}\nwait_for = {{ seed = {} }}\n", (seed + 1) % n)).collect();
        let text = format!("{}{}", plain(&format!("seed = {{ from = 0, to = {} }}", n - 1), "epochs = 5"), links.concat());
        problems(&text).remove(0).message
    };
    assert_eq!(seeds(2), "the job `{ seed = 0 }` would wait for itself: it waits for `{ seed = 1 }`, which waits for the first");
    assert!(seeds(8).ends_with("`{ seed = 7 }`, which waits for the first"), "{}", seeds(8));
    assert!(seeds(9).ends_with("`{ seed = 7 }`, and so on by way of 1 more job back to the first"), "{}", seeds(9));
    assert!(seeds(100).ends_with("`{ seed = 7 }`, and so on by way of 92 more jobs back to the first"), "{}", seeds(100));
}

#[test]
fn the_circle_that_is_told_is_a_shortest() {
    // 0 waits for 1, 1 for 2, 2 for 3 and 3 for 0; besides, 1 waits for 0.
    let links = [(0, 1), (1, 2), (2, 3), (3, 0), (1, 0)];
    let table = |(job, awaited)| format!("[[after]]\njob = {{ seed = {job} }}\nwait_for = {{ seed = {awaited} }}\n");
    let text = format!("{}{}", plain("seed = { from = 0, to = 3 }", "epochs = 5"), links.map(table).concat());
    let found = problems(&text);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].message, "the job `{ seed = 0 }` would wait for itself: it waits for `{ seed = 1 }`, which waits for the first");
    assert_eq!(found[0].span.start, text.rfind("[[after]]").unwrap());
}

/// A chain of a hundred thousand jobs is followed without recursion; a circle that it leads into is found.
#[test]
fn long_chains_are_followed() {
    let n_jobs = 100_000;
    let mut pairs: Vec<(u32, u32)> = (0..n_jobs - 1).map(|job| (job, job + 1)).collect();
    assert_eq!(cycle::shortest(&pairs, n_jobs as usize), None);
    pairs.push((n_jobs - 1, n_jobs - 3));
    assert_eq!(cycle::shortest(&pairs, n_jobs as usize), Some(vec![n_jobs - 3, n_jobs - 2, n_jobs - 1]));
}

#[test]
fn dependencies_are_counted_before_they_are_listed() {
    let text = |table: &str| format!("{}{table}", plain("seed = { from = 0, to = 999_999 }", "epochs = 5"));
    let half = "[[after]]\njob = { seed = { from = 0, to = 499_999 } }\nwait_for = { seed = { from = 500_000, to = 999_999 } }\n";
    check(
        // However many there are of them, they are told once.
        &text(&half.repeat(3)),
        &expect![[r#"
        error: the `[[after]]` tables make more than the 1000000 dependencies allowed
          --> sweep.toml:11:1
           |
        11 | [[after]]
           | ^^^^^^^^^
        hint: let jobs wait for a few others each rather than for all, or split the sweep
    "#]],
    );
}

const PATTERNS: [&str; 4] = ["'none'", "'constant'", "{ increasing = 1 }", "{ decreasing = 1 }"];
const BUDGETS: [&str; 2] = ["{ levels = 3 }", "{ levels = 6 }"];
const AXES: [&str; 4] = ["budget", "pattern", "epochs", "seed"];

/// Positions on the four axes.
type Point = [usize; 4];
/// What a table says of each: positions, or nothing.
type Table = [Option<Vec<usize>>; 4];

fn value(axis: usize, position: usize) -> String {
    match axis {
        0 => BUDGETS[position].to_owned(),
        1 => PATTERNS[position].to_owned(),
        2 => (position + 1).to_string(),
        _ => position.to_string(),
    }
}

fn point(config: &JobConfig) -> Point {
    let pattern = match config.branches.as_ref().map(|branches| &branches.pattern) {
        None => 0,
        Some(Pattern::Constant) => 1,
        Some(Pattern::Increasing(_)) => 2,
        Some(_) => 3,
    };
    let budget = usize::from(config.branches.as_ref().is_some_and(|branches| branches.budget == Budget::Levels(6)));
    [budget, pattern, config.recipe.epochs as usize - 1, config.seed as usize]
}

fn table() -> impl Strategy<Value = Table> {
    let positions = |length: usize| prop::option::weighted(0.4, prop::sample::subsequence((0..length).collect::<Vec<_>>(), 1..=length));
    let table = (positions(2), positions(4), positions(2), positions(3))
        .prop_map(|(budget, pattern, epochs, seed)| [budget, pattern, epochs, seed]);
    table.prop_filter("a table names something", |table| table.iter().any(Option::is_some))
}

fn written(table: &Table, joint: &str) -> String {
    let condition = |(axis, positions): (usize, &Option<Vec<usize>>)| {
        let values: Vec<String> = positions.as_ref()?.iter().map(|&position| value(axis, position)).collect();
        Some(format!("{} = [{}]", AXES[axis], values.join(", ")))
    };
    table.iter().enumerate().filter_map(condition).collect::<Vec<_>>().join(joint)
}

fn has(table: &Table, point: &Point) -> bool {
    table.iter().zip(point).all(|(positions, position)| positions.as_ref().is_none_or(|positions| positions.contains(position)))
}

/// The jobs by the definition: every combination that is not excluded, and of the pattern `none` the first of those that differ in the budget.
fn plainly_expanded(excludes: &[Table]) -> Vec<Point> {
    let mut jobs: Vec<Point> = Vec::new();
    for number in 0..2 * 4 * 2 * 3 {
        let point = [number / 24, number / 6 % 4, number / 3 % 2, number % 3];
        let is_there = point[1] == 0 && jobs.iter().any(|job| job[1..] == point[1..]);
        if !is_there && !excludes.iter().any(|exclude| has(exclude, &point)) {
            jobs.push(point);
        }
    }
    jobs
}

/// Whether a table makes one job wait for another, by the definition.
fn relates((job, wait_for): &(Table, Table), waiting: &Point, awaited: &Point) -> bool {
    let picks = |table: &Table, point: &Point| has(table, point) && !(point[1] == 0 && table[0].is_some());
    let is_plain = waiting[1] == 0 || awaited[1] == 0;
    let is_compared = |axis: usize| job[axis].is_none() && wait_for[axis].is_none() && !(axis == 0 && is_plain);
    picks(job, waiting) && picks(wait_for, awaited) && (0..4).all(|axis| !is_compared(axis) || waiting[axis] == awaited[axis])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn jobs_and_dependencies_are_those_of_the_definition(
        excludes in prop::collection::vec(table(), 0..3),
        afters in prop::collection::vec((table(), table()), 0..3),
    ) {
        let head = format!(
            "name = 'x'\n[axes]\nbackbone = 'resnet8'\ndataset = 'digits'\nbudget = [{}]\npattern = [{}]\nepochs = [1, 2]\n\
             seed = {{ from = 0, to = 2 }}\n[recipe]\nbatch_size = 32\noptimizer = {{ sgd = {{ lr = 0.05 }} }}\n",
            BUDGETS.join(", "),
            PATTERNS.join(", "),
        );
        let exclude = |table: &Table| format!("[[exclude]]\n{}\n", written(table, "\n"));
        let after = |(job, wait_for): &(Table, Table)| {
            format!("[[after]]\njob = {{ {} }}\nwait_for = {{ {} }}\n", written(job, ", "), written(wait_for, ", "))
        };
        let tables: Vec<String> = excludes.iter().map(exclude).chain(afters.iter().map(after)).collect();
        let text = head + &tables.concat();
        let jobs = plainly_expanded(&excludes);
        let pairs_of = |after: &(Table, Table)| {
            let pairs = (0..jobs.len()).flat_map(|job| (0..jobs.len()).map(move |awaited| (job, awaited)));
            pairs.filter(|&(job, awaited)| relates(after, &jobs[job], &jobs[awaited])).collect::<Vec<_>>()
        };
        let by_table: Vec<Vec<(usize, usize)>> = afters.iter().map(pairs_of).collect();
        let mut expected = by_table.concat();
        expected.sort_unstable();
        expected.dedup();
        let is_sound = !jobs.is_empty() && by_table.iter().all(|pairs| !pairs.is_empty()) && is_acyclic(&expected, jobs.len());
        match parse(&text) {
            Ok(sweep) => {
                prop_assert!(is_sound, "{text}");
                let without_budget = |&job: &Point| if job[1] == 0 { [0, job[1], job[2], job[3]] } else { job };
                prop_assert_eq!(sweep.jobs().map(|job| point(&job.config)).collect::<Vec<_>>(), jobs.iter().map(without_budget).collect::<Vec<_>>());
                prop_assert_eq!(sweep.dependencies().collect::<Vec<_>>(), expected);
                check_runs(&sweep)?;
            }
            Err(found) => {
                prop_assert!(!is_sound, "{}", render(&found, "sweep.toml", &text));
            }
        }
    }
}
