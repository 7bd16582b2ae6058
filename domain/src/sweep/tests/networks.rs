//! Networks that cannot be built or compared.

use super::*;

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
