use super::*;

fn recipe() -> Recipe {
    let optimizer = Optimizer::Sgd { lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 5e-4 };
    Recipe::new(200, 128, optimizer, Schedule::Cosine, Augment::CropFlip)
}

fn with_branches(exits: ExitPlacement, pattern: Pattern, budget: Budget, rule: BranchRule) -> JobConfig {
    JobConfig::new(
        "resnet20",
        "cifar10",
        Some(BranchConfig { exits, pattern, budget, rule }),
        recipe(),
        Evaluation::new(0.1, vec![Policy::MaxSoftmax]),
        3,
    )
}

fn decreasing() -> JobConfig {
    let exits = ExitPlacement::Fractions(vec![0.15, 0.3]);
    with_branches(exits, Pattern::Decreasing(0.6), Budget::Share(0.25), BranchRule::Auto)
}

fn plain() -> JobConfig {
    JobConfig::new(
        "resnet8",
        "digits",
        None,
        Recipe::new(
            20,
            32,
            Optimizer::Sgd { lr: 1.0, momentum: 0.0, nesterov: false, weight_decay: 1e-6 },
            Schedule::Step { milestones: vec![10, 15], gamma: 0.1 },
            Augment::None,
        ),
        Evaluation::new(0.5, vec![Policy::MaxSoftmax]),
        u64::try_from(i64::MAX).unwrap(),
    )
}

// The texts below are written by hand and the keys computed from them with Python: hashlib.sha256(text.encode()).hexdigest()[:32].
// A changed text or key means that finished work is not recognised any more.
const DECREASING_JSON: &str = concat!(
    r#"{"version":1,"backbone":"resnet20","dataset":"cifar10","#,
    r#""branches":{"exits":{"fractions":[0.15,0.3]},"pattern":{"decreasing":0.6},"budget":{"share":0.25},"rule":"auto"},"#,
    r#""recipe":{"epochs":200,"batch_size":128,"#,
    r#""optimizer":{"sgd":{"lr":0.1,"momentum":0.9,"nesterov":true,"weight_decay":0.0005}},"schedule":"cosine","augment":"crop-flip"},"#,
    r#""evaluation":{"calibration":0.1,"policies":["max-softmax"]},"seed":3}"#,
);

const PLAIN_JSON: &str = concat!(
    r#"{"version":1,"backbone":"resnet8","dataset":"digits","branches":null,"#,
    r#""recipe":{"epochs":20,"batch_size":32,"#,
    r#""optimizer":{"sgd":{"lr":1.0,"momentum":0.0,"nesterov":false,"weight_decay":1e-6}},"#,
    r#""schedule":{"step":{"milestones":[10,15],"gamma":0.1}},"augment":"none"},"#,
    r#""evaluation":{"calibration":0.5,"policies":["max-softmax"]},"seed":9223372036854775807}"#,
);

#[test]
fn canonical_json_is_as_written_down() {
    assert_eq!(decreasing().canonical_json(), DECREASING_JSON);
    assert_eq!(plain().canonical_json(), PLAIN_JSON);
}

#[test]
fn keys_are_those_of_an_independent_sha_256() {
    assert_eq!(decreasing().key().as_str(), "0bf021d7a232be4b04555901650a843e");
    assert_eq!(plain().key().as_str(), "069bb2a62c946177afc3db18c162c751");
}

#[test]
fn every_form_of_branches_has_its_json() {
    let json = |exits, pattern, budget, rule| {
        let text = with_branches(exits, pattern, budget, rule).canonical_json();
        let start = text.find(r#""branches":"#).unwrap() + r#""branches":"#.len();
        text[start..text.find(r#","recipe""#).unwrap()].to_owned()
    };
    assert_eq!(
        json(ExitPlacement::StageEnds, Pattern::Constant, Budget::Levels(6), BranchRule::Levels),
        r#"{"exits":"stage-ends","pattern":"constant","budget":{"levels":6},"rule":"levels"}"#
    );
    assert_eq!(
        json(ExitPlacement::StageEnds, Pattern::Increasing(1.0), Budget::Macs(14_156_896), BranchRule::Width { depth: 3 }),
        r#"{"exits":"stage-ends","pattern":{"increasing":1.0},"budget":{"macs":14156896},"rule":{"width":{"depth":3}}}"#
    );
    assert_eq!(
        json(ExitPlacement::StageEnds, Pattern::List(vec![0.5, 0.3, 0.2]), Budget::Share(1e-5), BranchRule::Auto),
        r#"{"exits":"stage-ends","pattern":{"list":[0.5,0.3,0.2]},"budget":{"share":0.00001},"rule":"auto"}"#
    );
}

/// Written by hand: what jobs of each form are known by, in every version to come.
#[test]
fn every_further_form_of_branches_has_its_json_and_label() {
    let check = |exits: ExitPlacement, pattern: Pattern, budget: Budget, rule: BranchRule, json: &str, labels: [&str; 3]| {
        let config = with_branches(exits, pattern, budget, rule);
        let text = config.canonical_json();
        assert!(text.contains(&format!(r#""branches":{json},"#)), "{text}");
        assert_eq!([config.pattern_label(), config.exits_label(), config.budget_label()], labels);
        assert_eq!(JobConfig::from_json(&text).unwrap(), config);
    };
    let units = || ExitPlacement::Units(vec![3, 5]);
    check(
        units(),
        Pattern::Geometric(-1.5),
        Budget::ParamShare(0.25),
        BranchRule::Joint,
        r#"{"exits":{"units":[3,5]},"pattern":{"geometric":-1.5},"budget":{"param-share":0.25},"rule":"joint"}"#,
        ["geometric -1.5", "units 3/5", "25 % of params"],
    );
    check(
        ExitPlacement::Own,
        Pattern::RemainingWork(1.0),
        Budget::Expected { share: 0.25, exits: vec![0.4, 0.6] },
        BranchRule::Auto,
        r#"{"exits":"own","pattern":{"remaining-work":1.0},"budget":{"expected":{"share":0.25,"exits":[0.4,0.6]}},"rule":"auto"}"#,
        ["remaining-work 1", "own", "25 % expected at 0.4/0.6"],
    );
    let share = || Budget::Share(0.25);
    for (pattern, json, label) in [
        (Pattern::Hump(-1.0), r#"{"hump":-1.0}"#, "hump -1"),
        (Pattern::Single(2), r#"{"single":2}"#, "single 2"),
        (Pattern::Random(7), r#"{"random":7}"#, "random 7"),
    ] {
        let json = format!(r#"{{"exits":"stage-ends","pattern":{json},"budget":{{"share":0.25}},"rule":"auto"}}"#);
        check(ExitPlacement::StageEnds, pattern, share(), BranchRule::Auto, &json, [label, "stage-ends", "25 %"]);
    }
    check(
        ExitPlacement::StageEnds,
        Pattern::FinalOnly,
        share(),
        BranchRule::Auto,
        r#"{"exits":"stage-ends","pattern":"final-only","budget":{"share":0.25},"rule":"auto"}"#,
        ["final-only", "-", "25 %"],
    );
    check(
        ExitPlacement::Own,
        Pattern::Own,
        Budget::Own,
        BranchRule::Auto,
        r#"{"exits":"own","pattern":"own","budget":"own","rule":"auto"}"#,
        ["own", "own", "own"],
    );
}

#[test]
fn a_configuration_reads_back_as_it_was_written() {
    for config in [decreasing(), plain()] {
        assert_eq!(JobConfig::from_json(&config.canonical_json()).unwrap(), config);
    }
}

#[test]
fn another_version_is_refused_by_its_number_even_with_unknown_fields() {
    let error = JobConfig::from_json(r#"{"version":2,"network":"new"}"#).unwrap_err();
    assert_eq!(error.to_string(), "job configuration of version 2, this build reads version 1");
}

#[test]
fn unknown_missing_and_foreign_fields_are_refused() {
    let unknown = PLAIN_JSON.replace(r#""seed""#, r#""sede":0,"seed""#);
    let missing = PLAIN_JSON.replace(r#""dataset":"digits","#, "");
    for text in [unknown.as_str(), missing.as_str(), "", "[]", "null"] {
        assert!(matches!(JobConfig::from_json(text), Err(ConfigError::Json(_))), "{text}");
    }
}

#[test]
fn a_key_is_read_back_and_nothing_else_is() {
    let key = plain().key();
    assert_eq!(JobKey::parse(key.as_str()), Some(key.clone()));
    assert_eq!((key.id(), key.to_string().as_str()), ("069bb2a62c94", "069bb2a62c94"));
    for text in
        ["", "069bb2a62c94", "069BB2A62C946177AFC3DB18C162C751", "069bb2a62c946177afc3db18c162c75g", "069bb2a62c946177afc3db18c162c7511"]
    {
        assert_eq!(JobKey::parse(text), None, "{text}");
    }
}

#[test]
fn labels_name_pattern_exits_and_budget() {
    let labels = |exits, pattern, budget| {
        let config = with_branches(exits, pattern, budget, BranchRule::Auto);
        [config.pattern_label(), config.exits_label(), config.budget_label()]
    };
    let fractions = || ExitPlacement::Fractions(vec![0.15, 0.3, 0.455]);
    assert_eq!(labels(ExitPlacement::StageEnds, Pattern::Constant, Budget::Share(0.25)), ["constant", "stage-ends", "25 %"]);
    assert_eq!(labels(fractions(), Pattern::Increasing(0.6), Budget::Levels(6)), ["increasing 0.6", "0.15/0.3/0.455", "6 levels"]);
    assert_eq!(labels(fractions(), Pattern::Decreasing(1.0), Budget::Levels(1)), ["decreasing 1", "0.15/0.3/0.455", "1 level"]);
    let list = Pattern::List(vec![0.5, 0.3, 0.2]);
    assert_eq!(labels(ExitPlacement::StageEnds, list, Budget::Macs(14_156_896)), ["list 0.5/0.3/0.2", "stage-ends", "14156896 MACs"]);
    assert_eq!([plain().pattern_label(), plain().exits_label(), plain().budget_label()], ["none", "-", "-"]);
}

#[test]
fn percentages_are_exact_decimals() {
    for (share, label) in [(0.07, "7 %"), (0.285, "28.5 %"), (1.1, "110 %"), (10.0, "1000 %"), (1e-7, "0.00001 %"), (0.333, "33.3 %")] {
        let config = with_branches(ExitPlacement::StageEnds, Pattern::Constant, Budget::Share(share), BranchRule::Auto);
        assert_eq!(config.budget_label(), label);
    }
}

fn recipe_label(change: impl FnOnce(&mut Recipe)) -> String {
    let mut config = decreasing();
    change(&mut config.recipe);
    config.recipe_label()
}

#[test]
fn a_recipe_is_labelled_with_all_that_it_says() {
    assert_eq!(decreasing().recipe_label(), "200 epochs, batch 128, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, crop-flip");
    assert_eq!(plain().recipe_label(), "20 epochs, batch 32, sgd 1 wd 0.000001, step 0.1 at 10/15, no augmentation");
    let label = recipe_label(|recipe| {
        recipe.epochs = 1;
        recipe.optimizer = Optimizer::Sgd { lr: 0.1 + 0.2, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        (recipe.schedule, recipe.augment) = (Schedule::Constant, Augment::Flip);
    });
    assert_eq!(label, "1 epoch, batch 128, sgd 0.30000000000000004, constant, flip");
}

#[test]
fn recipes_that_differ_have_labels_that_differ() {
    let sgd = |lr, momentum, nesterov, weight_decay| Optimizer::Sgd { lr, momentum, nesterov, weight_decay };
    let adamw = |beta1, beta2, epsilon| Optimizer::AdamW { lr: 0.1, beta1, beta2, epsilon, weight_decay: 0.0 };
    let step = |milestones: &[u32], gamma| Schedule::Step { milestones: milestones.to_vec(), gamma };
    let mut labels = vec![recipe_label(|_| ()), recipe_label(|recipe| recipe.epochs = 20), recipe_label(|recipe| recipe.batch_size = 12)];
    for optimizer in [
        sgd(0.2, 0.9, true, 5e-4),
        sgd(0.1, 0.0, true, 5e-4),
        sgd(0.1, 0.9, false, 5e-4),
        sgd(0.1, 0.9, true, 0.0),
        sgd(0.1, 0.0, false, 0.9),
        adamw(0.9, 0.999, 1e-8),
        adamw(0.9, 0.99, 1e-8),
        adamw(0.8, 0.999, 1e-8),
        adamw(0.9, 0.999, 1e-6),
    ] {
        labels.push(recipe_label(|recipe| recipe.optimizer = optimizer));
    }
    let cycle = |warmup, start_divisor, end_divisor| Schedule::OneCycle { warmup, start_divisor, end_divisor };
    let warm = |epochs, then| Schedule::Warmup { epochs, then: Box::new(then) };
    for schedule in [
        Schedule::Constant,
        step(&[1, 2], 0.1),
        step(&[12], 0.1),
        step(&[1, 2], 0.5),
        cycle(0.3, 25.0, 1e4),
        cycle(0.2, 25.0, 1e4),
        cycle(0.3, 2.0, 1e4),
        cycle(0.3, 25.0, 1e5),
        warm(1, Schedule::Cosine),
        warm(2, Schedule::Cosine),
        warm(1, Schedule::Constant),
    ] {
        labels.push(recipe_label(|recipe| recipe.schedule = schedule));
    }
    for augment in [Augment::None, Augment::Crop, Augment::Flip, Augment::CropFlipReflect] {
        labels.push(recipe_label(|recipe| recipe.augment = augment));
    }
    let extras: [fn(&mut Recipe); 10] = [
        |recipe| recipe.cutout = Some(8),
        |recipe| recipe.cutout = Some(16),
        |recipe| recipe.mixup = Some(0.2),
        |recipe| recipe.label_smoothing = 0.2,
        |recipe| recipe.clip = Some(Clip::Norm(0.2)),
        |recipe| recipe.clip = Some(Clip::Value(0.2)),
        |recipe| recipe.decay_norm = false,
        |recipe| recipe.ema = Some(0.2),
        |recipe| recipe.precision = Precision::Bf16,
        |recipe| (recipe.cutout, recipe.mixup) = (Some(8), Some(0.2)),
    ];
    labels.extend(extras.map(recipe_label));
    let training: [fn(&mut JobConfig); 2] = [
        |config| config.gradient_equilibrium = true,
        |config| config.pretrained = Some(Pretrained { file: "a".to_owned(), sha256: "0".repeat(64) }),
    ];
    labels.extend(training.map(|change| {
        let mut config = decreasing();
        change(&mut config);
        config.recipe_label()
    }));
    let n_labels = labels.len();
    assert!(labels.iter().all(|label| label.split(", ").count() >= 5), "{labels:?}");
    labels.sort();
    labels.dedup();
    assert_eq!(labels.len(), n_labels);
}

/// By hand, from what the contents mean.
#[test]
fn regime_distillation_and_exit_weights_have_labels() {
    let labels = |change: fn(&mut JobConfig)| {
        let mut config = decreasing();
        change(&mut config);
        [config.regime_label(), config.distill_label(), config.exit_weights_label()].join(" | ")
    };
    assert_eq!(labels(|_| ()), "joint | none | equal");
    let frozen = |config: &mut JobConfig| {
        config.regime = Regime::Frozen { backbone_epochs: 1 };
        config.distill = Distill::Last { temperature: 3.0, lambda: 0.5 };
        config.exit_weights = ExitWeights::Ramp { max: 0.25 };
    };
    assert_eq!(labels(frozen), "frozen after 1 epoch | last 0.5 T 3 | ramp 0.25");
    let mixed = |config: &mut JobConfig| {
        config.regime = Regime::Mixed { backbone_epochs: 100 };
        config.distill = Distill::Ensemble { temperature: 1.5, lambda: 1.0, weights: EnsembleWeights::Calibration };
        config.exit_weights = ExitWeights::List(vec![0.3, 0.3, 1.0]);
    };
    assert_eq!(labels(mixed), "mixed after 100 epochs | calibration ensemble 1 T 1.5 | 0.3/0.3/1");
}

/// Written by hand: the fields of the contract, in the order of the key.
#[test]
fn a_configuration_says_only_what_is_not_at_its_default() {
    let mut config = plain();
    config.regime = Regime::Mixed { backbone_epochs: 5 };
    config.distill = Distill::Ensemble { temperature: 3.0, lambda: 0.5, weights: EnsembleWeights::Learned };
    config.gradient_equilibrium = true;
    config.recipe.clip = Some(Clip::Norm(1.0));
    config.recipe.decay_norm = false;
    config.recipe.precision = Precision::Bf16;
    let json = config.canonical_json();
    let start = r#"{"version":1,"backbone":"resnet8","dataset":"digits","branches":null,"regime":{"mixed":{"backbone_epochs":5}},"distill":{"ensemble":{"temperature":3.0,"lambda":0.5,"weights":"learned"}},"gradient_equilibrium":true,"recipe":{"#;
    assert!(json.starts_with(start), "{json}");
    assert!(json.contains(r#""augment":"none","clip":{"norm":1.0},"decay_norm":false,"precision":"bf16"},"evaluation""#), "{json}");
    assert_eq!(JobConfig::from_json(&json).unwrap(), config);
}

#[test]
fn a_regime_of_two_phases_has_the_epochs_of_both() {
    let n_epochs = |regime, branches| JobConfig { branches, regime, ..decreasing() }.n_epochs();
    let branches = decreasing().branches;
    assert_eq!(n_epochs(Regime::Joint, branches.clone()), 200);
    assert_eq!(n_epochs(Regime::Frozen { backbone_epochs: 50 }, branches.clone()), 250);
    assert_eq!(n_epochs(Regime::Mixed { backbone_epochs: 50 }, branches.clone()), 250);
    assert_eq!(n_epochs(Regime::Frozen { backbone_epochs: u32::MAX }, branches), u32::MAX);
    assert_eq!(n_epochs(Regime::Frozen { backbone_epochs: 50 }, None), 50);
}
