//! How problems are told: all at once, each at its place.

use super::*;

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
