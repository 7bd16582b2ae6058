//! Jobs, their epochs, and one job in full.

use expect_test::expect;
use offramp_proto::v1;
use serde_json::Value;

use super::{RECIPE, check_table};
use crate::output::{Rows, csv, json, table, view};

fn job() -> v1::JobRow {
    v1::JobRow {
        job: "0123456789ab".into(),
        job_key: "0123456789abcdef0123456789abcdef".into(),
        state: "succeeded".into(),
        backbone: "resnet8".into(),
        dataset: "digits".into(),
        pattern: "none".into(),
        exits: "-".into(),
        budget: "-".into(),
        recipe: RECIPE.into(),
        regime: "joint".into(),
        distill: "none".into(),
        exit_weights: "equal".into(),
        seed: 18_446_744_073_709_551_615,
        branch_rule: "none".into(),
        backbone_macs: 2_000_000,
        params: 78_042,
        attempt: 1,
        final_accuracy: Some(0.9),
        best_accuracy: Some(0.95),
        area: Some(0.5),
        train_seconds: Some(61.0),
        trainer: Some("simulated".into()),
        created_us: 1_700_000_000_000_000,
        finished_us: Some(1_700_000_061_500_000),
        ..v1::JobRow::default()
    }
}

fn demonstration_jobs(error: &str) -> [v1::JobRow; 2] {
    let job = v1::JobRow { backbone: "resnet14".into(), pattern: "decreasing 1".into(), seed: 0, ..job() };
    let failed = v1::JobRow { job: "854267c81f88".into(), state: "failed".into(), final_accuracy: None, area: None, ..job.clone() };
    [job, v1::JobRow { error: error.into(), ..failed }]
}

#[test]
fn jobs_without_results_have_gaps_and_hostile_text_is_harmless() {
    let failed = v1::JobRow {
        state: "failed".into(),
        final_accuracy: None,
        best_accuracy: None,
        area: None,
        train_seconds: None,
        trainer: None,
        finished_us: None,
        error: "=cmd|'/C calc'!A0 \u{1b}[2J \"quoted\"\nnext".into(),
        ..job()
    };
    check_table(
        &view::JOBS,
        &[job(), failed.clone()],
        None,
        &expect![[r#"
            job           state      backbone  pattern                  seed  branch MACs  budget error  attempt  final exit     best    area    time  trainer    error
            0123456789ab  succeeded  resnet8   none     18446744073709551615            0        0.00 %        1     90.00 %  95.00 %  0.5000  1m 01s  simulated
            0123456789ab  failed     resnet8   none     18446744073709551615            0        0.00 %        1           -        -       -       -             =cmd|'/C calc'!A0 \u{1b}[2J "quoted"\nnext
        "#]],
    );
    let text = csv::render(&Rows::new(&view::JOBS, std::slice::from_ref(&failed)));
    assert!(text.ends_with(",1,0,,,,,,1700000000000000,,,0,,,\"'=cmd|'/C calc'!A0 \u{1b}[2J \"\"quoted\"\"\nnext\"\n"), "{text}");
    let value: Value = serde_json::from_str(&json::list(&Rows::new(&view::JOBS, &[failed]))).unwrap();
    assert_eq!(value["rows"][0]["area"], Value::Null);
    assert_eq!(value["rows"][0]["seed"], 18_446_744_073_709_551_615_u64);
}

#[test]
fn what_is_not_a_number_is_null() {
    let rows = [v1::EpochRow { attempt: 1, epoch: 2, loss: f64::NAN, exit_accuracy: vec![0.5, 0.75], images_per_second: f64::INFINITY }];
    let rows = Rows::new(&view::EPOCHS, &rows);
    expect![[r#"
        {"version":1,"kind":"epochs","rows":[{"attempt":1,"epoch":2,"loss":null,"exit_accuracy":[0.5,0.75],"images_per_second":null}]}
    "#]]
    .assert_eq(&json::list(&rows));
    expect![[r#"
        attempt,epoch,loss,exit_accuracy,images_per_second
        1,2,,"[0.5,0.75]",
    "#]]
    .assert_eq(&csv::render(&rows));
    expect![[r"
        epoch  loss  exit accuracy (calibration)  images/s
            2     -  50.0 / 75.0 %                       -
    "]]
    .assert_eq(&table::render(&rows, None));
}

#[test]
fn details_show_what_has_a_value() {
    expect![[r"
        job             0123456789ab
        job key         0123456789abcdef0123456789abcdef
        state           succeeded
        backbone        resnet8
        dataset         digits
        pattern         none
        recipe          15 epochs, batch 32, sgd 0.05, cosine, crop
        regime          joint
        distill         none
        exit weights    equal
        seed            18446744073709551615
        branch rule     none
        backbone MACs   2.000 M
        budget MACs     0
        branch MACs     0
        budget error    0.00 %
        params          78.04 k
        attempt         1
        failures        0
        final accuracy  90.00 %
        best accuracy   95.00 %
        area            0.5000
        train seconds   1m 01s
        trainer         simulated
        created         2023-11-14T22:13:20Z
        finished        2023-11-14T22:14:21Z
    "]]
    .assert_eq(&table::render_detail(&Rows::new(&view::JOBS, &[job()]), None));
}

#[test]
fn columns_that_can_be_spared_give_way() {
    let rows = [v1::JobRow { seed: 1, ..job() }];
    // 81 columns, with two spaces between each two.
    check_table(
        &view::JOBS,
        &rows,
        Some(81),
        &expect![[r"
            job           state      backbone  pattern  seed  branch MACs  final exit    area
            0123456789ab  succeeded  resnet8   none        1            0     90.00 %  0.5000
        "]],
    );
    check_table(
        &view::JOBS,
        &rows,
        Some(80),
        &expect![[r"
            job           state      backbone  pattern  seed  final exit    area
            0123456789ab  succeeded  resnet8   none        1     90.00 %  0.5000
        "]],
    );
}

#[test]
fn jobs_in_a_terminal() {
    check_table(
        &view::JOBS,
        &demonstration_jobs(""),
        Some(80),
        &expect![[r"
            job           state      backbone  pattern       seed  final exit    area
            0123456789ab  succeeded  resnet14  decreasing 1     0     90.00 %  0.5000
            854267c81f88  failed     resnet14  decreasing 1     0           -       -
        "]],
    );
    check_table(
        &view::JOBS,
        &demonstration_jobs(""),
        Some(60),
        &expect![[r"
            job           state      backbone  pattern       final exit
            0123456789ab  succeeded  resnet14  decreasing 1     90.00 %
            854267c81f88  failed     resnet14  decreasing 1           -
        "]],
    );
}

#[test]
fn prose_is_wrapped_and_names_are_not() {
    check_table(
        &view::JOBS,
        &demonstration_jobs("cannot read the dataset"),
        Some(80),
        &expect![[r"
            job           state      backbone  pattern       final exit  error
            0123456789ab  succeeded  resnet14  decreasing 1     90.00 %
            854267c81f88  failed     resnet14  decreasing 1           -  cannot read the
                                                                         dataset
        "]],
    );
    for width in 12..100 {
        let text = table::render(&Rows::new(&view::JOBS, &demonstration_jobs("cannot read the dataset")), Some(width));
        assert!(text.contains("0123456789ab") && text.contains("854267c81f88"), "{width}:\n{text}");
        assert!(!text.contains("decreas") || text.matches("decreasing 1").count() == 2, "{width}:\n{text}");
    }
}

#[test]
fn jobs_show_priorities_requirements_and_reuse_where_there_are_any() {
    let plain = v1::JobRow { seed: 1, requirements: "-".into(), reused: Some(false), ..job() };
    let text = table::render(&Rows::new(&view::JOBS, std::slice::from_ref(&plain)), None);
    assert!(!text.contains("reused") && !text.contains("priority") && !text.contains("requirements"), "{text}");
    let reused = v1::JobRow { reused: Some(true), ..plain.clone() };
    let waiting = v1::JobRow {
        job: "854267c81f88".into(),
        state: "queued".into(),
        priority: 10,
        requirements: "cuda, 8000 MiB".into(),
        not_before_us: Some(1_700_000_100_000_000),
        final_accuracy: None,
        best_accuracy: None,
        area: None,
        train_seconds: None,
        trainer: None,
        finished_us: None,
        n_failures: 1,
        error: "trainer ended with signal 9".into(),
        ..plain
    };
    check_table(
        &view::JOBS,
        &[reused.clone(), waiting.clone()],
        None,
        &expect![[r"
        job           state      backbone  pattern  seed  branch MACs  budget error  attempt  final exit     best    area    time  trainer    reused  priority  requirements    not before            error
        0123456789ab  succeeded  resnet8   none        1            0        0.00 %        1     90.00 %  95.00 %  0.5000  1m 01s  simulated  yes            0  -               -
        854267c81f88  queued     resnet8   none        1            0        0.00 %        1           -        -       -       -             no            10  cuda, 8000 MiB  2023-11-14T22:15:00Z  trainer ended with signal 9
    "]],
    );
    check_table(
        &view::JOBS,
        &[reused.clone(), waiting.clone()],
        Some(100),
        &expect![[r"
        job           state      backbone  pattern  seed  final exit    area  error
        0123456789ab  succeeded  resnet8   none        1     90.00 %  0.5000
        854267c81f88  queued     resnet8   none        1           -       -  trainer ended with signal 9
    "]],
    );
    expect![[r#"
        {"version":1,"kind":"jobs","rows":[{"job":"854267c81f88","job_key":"0123456789abcdef0123456789abcdef","state":"queued","backbone":"resnet8","dataset":"digits","pattern":"none","exits":"-","budget":"-","recipe":"15 epochs, batch 32, sgd 0.05, cosine, crop","regime":"joint","distill":"none","exit_weights":"equal","seed":1,"branch_rule":"none","backbone_macs":2000000,"budget_macs":0,"branch_macs":0,"budget_error":0.0,"params":78042,"attempt":1,"n_failures":1,"final_accuracy":null,"best_accuracy":null,"area":null,"train_seconds":null,"trainer":null,"created_us":1700000000000000,"finished_us":null,"reused":false,"priority":10,"requirements":"cuda, 8000 MiB","not_before_us":1700000100000000,"error":"trainer ended with signal 9"}]}
    "#]].assert_eq(&json::list(&Rows::new(&view::JOBS, &[waiting])));
}
