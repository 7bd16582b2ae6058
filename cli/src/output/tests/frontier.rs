//! Frontiers.

use expect_test::expect;
use offramp_proto::v1;

use super::{RECIPE, check_table};
use crate::output::{Rows, csv, json, table, view};

fn point(cost: f64, accuracy: f64, dataset: &str, pattern: &str, policy: &str, setting: f64) -> v1::FrontierRow {
    v1::FrontierRow {
        sweep: Some(3),
        dataset: dataset.into(),
        cost_metric: "macs_cascade".into(),
        cost,
        accuracy,
        backbone: "resnet8".into(),
        pattern: pattern.into(),
        exits: "stage-ends".into(),
        budget: "6 levels".into(),
        recipe: RECIPE.into(),
        seed: 1,
        policy: policy.into(),
        setting,
        latency_us: None,
        images_per_second: None,
        job: "0123456789ab".into(),
        grouping: "dataset".into(),
        trainer: "simulated".into(),
    }
}

pub(super) fn frontier() -> Vec<v1::FrontierRow> {
    vec![
        point(98_304.0, 0.71, "digits", "none", "fixed", 0.0),
        point(1_234_567.5, 0.972_14, "digits", "decreasing 0.6", "max-softmax", 0.831_25),
    ]
}

/// The longest labels of the demonstration.
fn demonstration_frontier() -> Vec<v1::FrontierRow> {
    let on_resnet14 = |point: v1::FrontierRow, job: &str| v1::FrontierRow { backbone: "resnet14".into(), job: job.into(), ..point };
    vec![
        on_resnet14(point(98_304.0, 0.71, "digits", "none", "fixed", 0.0), "854267c81f88"),
        on_resnet14(point(1_234_567.5, 0.972_14, "digits", "decreasing 1", "max-softmax", 0.831_25), "069bb2a62c94"),
    ]
}

#[test]
fn a_frontier_as_a_table() {
    check_table(
        &view::FRONTIER,
        &frontier(),
        None,
        &expect![[r"
                MACs  accuracy  backbone  pattern         seed  policy       setting  job
             98.30 k   71.00 %  resnet8   none               1  fixed              0  0123456789ab
             1.235 M   97.21 %  resnet8   decreasing 0.6     1  max-softmax   0.8313  0123456789ab
        "]],
    );
}

#[test]
fn a_column_that_varies_appears() {
    let mut rows = frontier();
    rows[1].dataset = "cifar10".into();
    let text = table::render(&Rows::new(&view::FRONTIER, &rows), None);
    assert!(text.lines().next().unwrap().starts_with("dataset "), "{text}");
}

#[test]
fn recipes_are_told_apart_by_what_differs() {
    let mut rows = frontier();
    rows[1].recipe = "30 epochs, batch 32, sgd 0.05, step 0.1 at 15/25, crop".into();
    check_table(
        &view::FRONTIER,
        &rows,
        None,
        &expect![[r"
                MACs  accuracy  backbone  pattern         recipe                        seed  policy       setting  job
             98.30 k   71.00 %  resnet8   none            15 epochs, cosine                1  fixed              0  0123456789ab
             1.235 M   97.21 %  resnet8   decreasing 0.6  30 epochs, step 0.1 at 15/25     1  max-softmax   0.8313  0123456789ab
        "]],
    );
}

#[test]
fn a_frontier_as_json() {
    let text = json::list(&Rows::new(&view::FRONTIER, &frontier()[..1]));
    expect![[r#"
        {"version":1,"kind":"frontier","rows":[{"sweep":3,"grouping":"dataset","dataset":"digits","trainer":"simulated","cost_metric":"macs_cascade","cost":98304.0,"accuracy":0.71,"backbone":"resnet8","pattern":"none","exits":"stage-ends","budget":"6 levels","recipe":"15 epochs, batch 32, sgd 0.05, cosine, crop","seed":1,"policy":"fixed","setting":0.0,"latency_us":null,"images_per_second":null,"job":"0123456789ab"}]}
    "#]]
    .assert_eq(&text);
    expect![[r#"
        {"version":1,"kind":"frontier","rows":[]}
    "#]]
    .assert_eq(&json::list(&Rows::new(&view::FRONTIER, &frontier()[..0])));
}

#[test]
fn a_frontier_as_csv() {
    expect![[r#"
        sweep,grouping,dataset,trainer,cost_metric,cost,accuracy,backbone,pattern,exits,budget,recipe,seed,policy,setting,latency_us,images_per_second,job
        3,dataset,digits,simulated,macs_cascade,98304.0,0.71,resnet8,none,stage-ends,6 levels,"15 epochs, batch 32, sgd 0.05, cosine, crop",1,fixed,0.0,,,0123456789ab
        3,dataset,digits,simulated,macs_cascade,1234567.5,0.97214,resnet8,decreasing 0.6,stage-ends,6 levels,"15 epochs, batch 32, sgd 0.05, cosine, crop",1,max-softmax,0.83125,,,0123456789ab
    "#]]
    .assert_eq(&csv::render(&Rows::new(&view::FRONTIER, &frontier())));
}

#[test]
fn a_frontier_in_a_terminal() {
    check_table(
        &view::FRONTIER,
        &demonstration_frontier(),
        Some(80),
        &expect![[r"
               MACs  accuracy  backbone  pattern       policy       setting  job
            98.30 k   71.00 %  resnet14  none          fixed              0  854267c81f88
            1.235 M   97.21 %  resnet14  decreasing 1  max-softmax   0.8313  069bb2a62c94
        "]],
    );
    check_table(
        &view::FRONTIER,
        &demonstration_frontier(),
        Some(60),
        &expect![[r"
               MACs  accuracy  backbone  pattern       job
            98.30 k   71.00 %  resnet14  none          854267c81f88
            1.235 M   97.21 %  resnet14  decreasing 1  069bb2a62c94
        "]],
    );
}
