//! What `[training]` and `[recipe]` say, named recipes, and what is otherwise for some backbones.

use super::*;
use crate::job::{Clip, Distill, EnsembleWeights, ExitWeights, Optimizer, Precision, Regime};

/// A sweep of `none` and `constant` on these backbones, with more lines in `[axes]` and more tables.
fn sweep(backbones: &str, axes: &str, tables: &str) -> String {
    format!(
        "name = 'training'\n[axes]\nbackbone = {backbones}\ndataset = 'cifar10'\npattern = ['none', 'constant']\nbudget = {{ levels = 3 }}\n\
         {axes}\n{tables}\n"
    )
}

const RECIPE: &str = "[recipe]\nepochs = 10\nbatch_size = 128\noptimizer = { sgd = { lr = 0.1 } }\n";

fn jobs(text: &str) -> Vec<JobConfig> {
    let sweep = parse(text).unwrap_or_else(|problems| panic!("{}", render(&problems, "sweep.toml", text)));
    sweep.jobs().map(|job| job.config).collect()
}

/// The messages and hints about a text with one `[recipe]` or `[training]` line more.
fn said(table: &str) -> Vec<String> {
    let text = sweep("'resnet8'", "", table);
    let said = |problem: Problem| format!("{} | {}", problem.message, problem.hint.unwrap_or_default());
    problems(&text).into_iter().map(said).collect()
}

#[test]
fn branches_alone_have_a_regime_and_what_goes_with_it() {
    let training = "[training]\nregime = { mixed = 20 }\ndistill = 'ensemble'\nexit_weights = { list = [0.5, 0.5, 0.5, 1.0] }\n\
                    gradient_equilibrium = true\n";
    let jobs = jobs(&sweep("'resnet8'", "", &format!("{training}{RECIPE}")));
    let [none, constant] = jobs.as_slice() else { panic!("{} jobs", jobs.len()) };
    assert_eq!((none.regime, none.distill, &none.exit_weights), (Regime::Joint, Distill::None, &ExitWeights::Equal));
    assert!(!none.gradient_equilibrium);
    assert_eq!(constant.regime, Regime::Mixed { backbone_epochs: 20 });
    assert_eq!(constant.distill, Distill::Ensemble { temperature: 3.0, lambda: 0.5, weights: EnsembleWeights::Learned });
    assert_eq!(constant.exit_weights, ExitWeights::List(vec![0.5, 0.5, 0.5, 1.0]));
    assert!(constant.gradient_equilibrium);
}

#[test]
fn the_pattern_none_is_one_job_whatever_is_said_of_branches() {
    let axes = "regime = ['joint', { mixed = 5 }]\ndistill = ['none', { last = { temperature = 4, lambda = 1 } }]\nseed = [0, 1]\n";
    let jobs = jobs(&sweep("'resnet8'", axes, RECIPE));
    let plain = jobs.iter().filter(|job| job.branches.is_none()).count();
    assert_eq!((jobs.len(), plain), (2 + 8, 2));
}

#[test]
fn what_is_left_at_its_default_changes_no_key() {
    let said =
        "[training]\nregime = 'joint'\ndistill = 'none'\nexit_weights = 'equal'\ngradient_equilibrium = false\npretrained = 'none'\n";
    let recipe =
        "cutout = 'none'\nmixup = 'none'\nlabel_smoothing = 0\nclip = 'none'\ndecay_norm = true\nema = 'none'\nprecision = 'f32'\n";
    let key = |tables: String| parse(&sweep("'resnet8'", "", &tables)).map(|sweep| sweep.key()).map_err(|_| ());
    assert_eq!(key(format!("{said}{RECIPE}{recipe}")), key(RECIPE.to_owned()));
}

#[test]
fn every_field_of_a_recipe_is_read() {
    let recipe = "epochs = 7\nbatch_size = 64\noptimizer = { adamw = { lr = 0.001, beta2 = 0.99, weight_decay = 0.05 } }\n\
                  schedule = { warmup = { epochs = 2, then = { step = { milestones = [4], gamma = 0.5 } } } }\n\
                  augment = 'crop-flip-reflect'\ncutout = 8\nmixup = 0.2\nlabel_smoothing = 0.1\nclip = { norm = 1 }\n\
                  decay_norm = false\nema = 0.999\nprecision = 'bf16'\n";
    let recipe = jobs(&sweep("'resnet8'", "", &format!("[recipe]\n{recipe}"))).remove(0).recipe;
    let optimizer = Optimizer::AdamW { lr: 0.001, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.05 };
    let schedule = Schedule::Warmup { epochs: 2, then: Box::new(Schedule::Step { milestones: vec![4], gamma: 0.5 }) };
    let mut expected = crate::job::Recipe::new(7, 64, optimizer, schedule, Augment::CropFlipReflect);
    expected.cutout = Some(8);
    expected.mixup = Some(0.2);
    expected.label_smoothing = 0.1;
    expected.clip = Some(Clip::Norm(1.0));
    expected.decay_norm = false;
    expected.ema = Some(0.999);
    expected.precision = Precision::Bf16;
    assert_eq!(recipe, expected);
}

#[test]
fn a_named_recipe_is_where_a_recipe_begins() {
    let named = crate::recipes::find("resnet-cifar-200").unwrap().recipe();
    assert_eq!(
        jobs(&sweep("'resnet8'", "", "").replace("name = 'training'", "name = 'training'\nrecipe = 'resnet-cifar-200'"))[0].recipe,
        named
    );
    let shorter = &jobs(&sweep("'resnet8'", "", "[recipe]\nbase = 'resnet-cifar-200'\nepochs = 3\n"))[0].recipe;
    assert_eq!((shorter.epochs, &shorter.schedule), (3, &named.schedule));
    let axis = jobs(&sweep("'resnet8'", "augment = ['none', 'flip']\n", "[recipe]\nbase = 'resnet-cifar-200'\n"));
    assert_eq!(axis.iter().map(|job| job.recipe.augment).collect::<Vec<_>>()[..2], [Augment::None, Augment::Flip]);
}

#[test]
fn each_backbone_picks_the_recipe_that_suits_it() {
    let jobs = jobs(&sweep("['resnet20', 'resnet110']", "", "[recipe]\nbase = 'suited'\n"));
    let schedules: Vec<_> = jobs.iter().map(|job| job.recipe.schedule.clone()).collect();
    assert!(matches!(schedules[0], Schedule::Step { .. }) && matches!(schedules[2], Schedule::Warmup { .. }), "{schedules:?}");
    let text = sweep("'resnet20'", "", "[recipe]\nbase = 'suited'\n").replace("'cifar10'", "['cifar10', 'digits']");
    assert!(parse(&text).is_ok());
}

#[test]
fn some_backbones_may_be_trained_otherwise() {
    let tables =
        format!("{RECIPE}[[recipe.for]]\nbackbone = 'resnet14'\nepochs = 20\nema = 0.9\n[[recipe.for]]\ndataset = 'cifar10'\nema = 0.5\n");
    let recipes: Vec<_> =
        jobs(&sweep("['resnet8', 'resnet14']", "", &tables)).iter().map(|job| (job.recipe.epochs, job.recipe.ema)).collect();
    // The later table has the last word.
    assert_eq!(recipes, [(10, Some(0.5)), (10, Some(0.5)), (20, Some(0.5)), (20, Some(0.5))]);
}

#[test]
fn what_makes_no_recipe_is_told() {
    let recipe = |line: &str| said(&format!("{RECIPE}{line}\n"));
    let training = |line: &str| said(&format!("[training]\n{line}\n{RECIPE}"));
    assert_eq!(said("[recipe]\nbase = 'resnet-cifar'\n")[0], "no recipe is called `resnet-cifar` | did you mean `resnet-cifar-200`?");
    let regime = "it takes `\"joint\"`, `{ frozen = 100 }` or `{ mixed = 100 }`, the number being the backbone's own epochs before";
    assert_eq!(training("regime = 'frozen'"), [format!("`regime` cannot be `'frozen'` | {regime}")]);
    assert_eq!(training("regime = { frozen = 0 }"), ["`frozen` cannot be `0` | it takes a whole number from 1 to 10000"]);
    assert_eq!(training("distill = 'lst'"), ["`distill` cannot be `'lst'` | it takes `none`, `last` or `ensemble`; did you mean `last`?"]);
    assert_eq!(training("distill = { last = { weights = 'learned' } }")[0].split(" | ").next(), Some("unknown key `weights` in `last`"));
    let weights = "numbers from 0 up, one an exit, side exits first, at least one above 0";
    assert_eq!(training("exit_weights = { list = [0, 0, 0, 0] }"), [format!("`list` cannot be `[0, 0, 0, 0]` | it takes {weights}")]);
    assert_eq!(
        training("exit_weights = { list = [1, 1] }"),
        [
            "`exit_weights` lists 2 weights, but `resnet8` on `cifar10` (constant, stage-ends) has 4 exits | give one an exit, the final one last"
        ]
    );
    assert_eq!(
        training("regime = { frozen = 5 }\ngradient_equilibrium = true"),
        ["no gradient reaches a frozen backbone, so `frozen after 5 epochs` has nothing to bring into equilibrium | leave the pair out: \
          `[[exclude]]` with this `regime` and `gradient_equilibrium = true`"]
    );
    assert_eq!(
        training("pretrained = { file = 'a.safetensors', sha256 = 'ABC' }"),
        ["`sha256` cannot be `'ABC'` | it takes 64 lower-case hexadecimal digits, as `sha256sum` prints them"]
    );
    assert_eq!(
        recipe("mixup = 0"),
        ["`mixup` cannot be `0` | it takes `\"none\"` or a number above 0 and at most 10, the a of Beta(a, a)"]
    );
    assert_eq!(
        recipe("schedule = { warmup = { epochs = 2, then = 'one-cycle' } }"),
        ["`then` cannot be `'one-cycle'` | it takes `\"constant\"`, `\"cosine\"` or a `step`"]
    );
    assert_eq!(
        recipe("schedule = { warmup = { epochs = 10, then = 'cosine' } }"),
        ["a warm-up of 10 epochs leaves nothing of 10 | train longer, or warm up for less"]
    );
    assert_eq!(
        recipe("[[recipe.for]]\nbackbone = 'resnet20'\nepochs = 2"),
        ["`'resnet20'` is not among the values of `backbone` | leave it out, or put it on the axis"]
    );
}

#[test]
fn a_warm_up_leaves_something_of_every_phase() {
    let recipe = "[recipe]\nepochs = 10\nbatch_size = 128\noptimizer = { sgd = { lr = 0.1 } }\nschedule = { warmup = { epochs = 3, then = 'cosine' } }";
    for (regime, is_refused) in [("'joint'", false), ("{ frozen = 4 }", false), ("{ frozen = 3 }", true), ("{ mixed = 2 }", true)] {
        let parsed = parse(&sweep("'resnet8'", "", &format!("[training]\nregime = {regime}\n{recipe}\n")));
        assert_eq!(parsed.is_err(), is_refused, "{regime}");
    }
    assert_eq!(
        said(&format!("[training]\nregime = {{ mixed = 2 }}\n{recipe}\n")),
        ["a warm-up of 3 epochs leaves nothing of the backbone's own 2, which go through the schedule, too | \
          train longer, or warm up for less"]
    );
}

#[test]
fn what_a_named_recipe_brings_in_is_told_at_its_name() {
    let told_at = |tables: &str| {
        let text = sweep("'resnet110'", "", tables);
        let problems = problems(&text);
        let [problem] = problems.as_slice() else { panic!("{}", render(&problems, "sweep.toml", &text)) };
        (problem.message.clone(), text[problem.span.clone()].to_owned())
    };
    let message = "a warm-up of 1 epoch leaves nothing of 1".to_owned();
    assert_eq!(told_at("[recipe]\nbase = 'suited'\nepochs = 1\n"), (message.clone(), "'suited'".to_owned()));
    let (said, place) = told_at(
        "[recipe]\nbase = 'cosine-30'\nepochs = 1\n[[recipe.for]]\nbackbone = 'resnet110'\n\
         schedule = { warmup = { epochs = 1, then = 'cosine' } }\n",
    );
    assert_eq!(said, message);
    assert!(place.starts_with("[[recipe.for]]"), "{place}");
}
