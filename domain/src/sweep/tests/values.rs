//! Values that make no sense, and names that are not known.

use super::*;

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
