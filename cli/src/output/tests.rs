//! Rows made by hand, in each format.

use expect_test::{Expect, expect};
use offramp_proto::v1;
use serde_json::Value;

use super::*;

const RECIPE: &str = "15 epochs, batch 32, sgd 0.05, cosine, crop";

fn point(cost: f64, accuracy: f64, dataset: &str, pattern: &str, policy: &str, setting: f64) -> v1::FrontierRow {
    v1::FrontierRow {
        sweep: 3,
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
    }
}

fn frontier() -> Vec<v1::FrontierRow> {
    vec![
        point(98_304.0, 0.71, "digits", "none", "fixed", 0.0),
        point(1_234_567.5, 0.972_14, "digits", "decreasing 0.6", "max-softmax", 0.831_25),
    ]
}

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

fn check_table<R: Serialize>(view: &'static view::View, rows: &[R], width: Option<u16>, expected: &Expect) {
    expected.assert_eq(&table::render(&Rows::new(view, rows), width));
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
        {"version":1,"kind":"frontier","rows":[{"sweep":3,"dataset":"digits","cost_metric":"macs_cascade","cost":98304.0,"accuracy":0.71,"backbone":"resnet8","pattern":"none","exits":"stage-ends","budget":"6 levels","recipe":"15 epochs, batch 32, sgd 0.05, cosine, crop","seed":1,"policy":"fixed","setting":0.0,"latency_us":null,"images_per_second":null,"job":"0123456789ab"}]}
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
        sweep,dataset,cost_metric,cost,accuracy,backbone,pattern,exits,budget,recipe,seed,policy,setting,latency_us,images_per_second,job
        3,digits,macs_cascade,98304.0,0.71,resnet8,none,stage-ends,6 levels,"15 epochs, batch 32, sgd 0.05, cosine, crop",1,fixed,0.0,,,0123456789ab
        3,digits,macs_cascade,1234567.5,0.97214,resnet8,decreasing 0.6,stage-ends,6 levels,"15 epochs, batch 32, sgd 0.05, cosine, crop",1,max-softmax,0.83125,,,0123456789ab
    "#]]
    .assert_eq(&csv::render(&Rows::new(&view::FRONTIER, &frontier())));
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
fn a_detail_as_json_has_its_parts_by_name() {
    let sweep = [v1::SweepRow { sweep: 3, name: "digits".into(), state: "running".into(), n_jobs: 16, ..v1::SweepRow::default() }];
    let (sweep, running) = (Rows::new(&view::SWEEPS, &sweep), Rows::new(&view::ATTEMPTS, &[] as &[v1::AttemptRow]));
    expect![[r#"
        {"version":1,"kind":"sweep","sweep":{"sweep":3,"name":"digits","state":"running","created_us":0,"n_jobs":16,"n_queued":0,"n_leased":0,"n_succeeded":0,"n_failed":0,"n_diverged":0,"n_blocked":0,"n_quarantined":0,"n_cancelled":0,"n_reused":0,"priority":0,"note":""},"running":[],"note":"x"}
    "#]]
    .assert_eq(&json::detail("sweep", &[("sweep", json::Part::Row(&sweep)), ("running", json::Part::List(&running)), ("note", json::Part::Value("x".into()))]));
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

/// The longest labels of the demonstration.
fn demonstration_frontier() -> Vec<v1::FrontierRow> {
    let on_resnet14 = |point: v1::FrontierRow, job: &str| v1::FrontierRow { backbone: "resnet14".into(), job: job.into(), ..point };
    vec![
        on_resnet14(point(98_304.0, 0.71, "digits", "none", "fixed", 0.0), "854267c81f88"),
        on_resnet14(point(1_234_567.5, 0.972_14, "digits", "decreasing 1", "max-softmax", 0.831_25), "069bb2a62c94"),
    ]
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

#[test]
fn patterns_in_a_terminal() {
    let pattern = |pattern: &str, deviation| v1::PatternRow {
        backbone: "resnet14".into(),
        pattern: pattern.into(),
        n_seeds: 2,
        area_mean: 0.8125,
        area_deviation: deviation,
        final_accuracy_mean: 0.975,
        final_accuracy_deviation: deviation,
        branch_macs: 1_179_648,
        ..v1::PatternRow::default()
    };
    let rows = [pattern("none", None), pattern("decreasing 1", Some(0.0125))];
    check_table(
        &view::PATTERNS,
        &rows,
        Some(80),
        &expect![[r"
            backbone  pattern       seeds    area      +-  final exit      +-  budget error
            resnet14  none              2  0.8125       -     97.50 %       -        0.00 %
            resnet14  decreasing 1      2  0.8125  0.0125     97.50 %  1.25 %        0.00 %
        "]],
    );
    check_table(
        &view::PATTERNS,
        &rows,
        Some(60),
        &expect![[r"
            backbone  pattern       seeds    area      +-  final exit
            resnet14  none              2  0.8125       -     97.50 %
            resnet14  decreasing 1      2  0.8125  0.0125     97.50 %
        "]],
    );
}

#[test]
fn a_narrow_list_of_sweeps_still_tells_of_failures() {
    let sweep =
        v1::SweepRow { sweep: 3, name: "digits".into(), state: "finished".into(), n_jobs: 16, n_failed: 2, ..v1::SweepRow::default() };
    check_table(
        &view::SWEEPS,
        &[sweep],
        Some(60),
        &expect![[r"
            sweep  name    state     jobs  queued  succeeded  failed
                3  digits  finished    16       0          0       2
        "]],
    );
}

fn demonstration_jobs(error: &str) -> [v1::JobRow; 2] {
    let job = v1::JobRow { backbone: "resnet14".into(), pattern: "decreasing 1".into(), seed: 0, ..job() };
    let failed = v1::JobRow { job: "854267c81f88".into(), state: "failed".into(), final_accuracy: None, area: None, ..job.clone() };
    [job, v1::JobRow { error: error.into(), ..failed }]
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
fn tables_are_no_wider_than_the_terminal() {
    let rows = Rows::new(&view::FRONTIER, &frontier());
    for width in [20_u16, 40, 60, 80, 200] {
        let text = table::render(&rows, Some(width));
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= usize::from(width), "{widest} > {width}:\n{text}");
        assert!(text.is_ascii());
    }
}

fn sweep() -> v1::SweepRow {
    v1::SweepRow {
        sweep: 3,
        name: "digits".into(),
        state: "running".into(),
        created_us: 1_700_000_000_000_000,
        n_jobs: 16,
        n_queued: 10,
        n_leased: 2,
        n_succeeded: 4,
        ..v1::SweepRow::default()
    }
}

#[test]
fn sweeps_show_what_there_is_to_tell() {
    check_table(
        &view::SWEEPS,
        &[sweep()],
        None,
        &expect![[r"
        sweep  name    state    created               jobs  queued  running  succeeded  failed  diverged
            3  digits  running  2023-11-14T22:13:20Z    16      10        2          4       0         0
    "]],
    );
    let paused = v1::SweepRow {
        sweep: 4,
        state: "paused".into(),
        n_quarantined: 1,
        n_blocked: 3,
        n_cancelled: 1,
        n_reused: 2,
        priority: -5,
        note: "paused by ada@lab: the GPUs are needed elsewhere until Monday".into(),
        ..sweep()
    };
    check_table(
        &view::SWEEPS,
        &[paused.clone(), sweep()],
        None,
        &expect![[r"
        sweep  name    state    created               jobs  queued  running  succeeded  failed  diverged  blocked  quarantined  cancelled  reused  priority  note
            4  digits  paused   2023-11-14T22:13:20Z    16      10        2          4       0         0        3            1          1       2        -5  paused by ada@lab: the GPUs are needed elsewhere until Monday
            3  digits  running  2023-11-14T22:13:20Z    16      10        2          4       0         0        0            0          0       0         0
    "]],
    );
    // In a terminal, what went wrong and why a sweep stands still stay longest.
    check_table(
        &view::SWEEPS,
        &[paused.clone(), sweep()],
        Some(100),
        &expect![[r"
        sweep  name    state    jobs  queued  succeeded  failed  quarantined  cancelled  note
            4  digits  paused     16      10          4       0            1          1  paused by ada@lab:
                                                                                         the GPUs are needed
                                                                                         elsewhere until
                                                                                         Monday
            3  digits  running    16      10          4       0            0          0
    "]],
    );
    check_table(
        &view::SWEEPS,
        &[paused.clone(), sweep()],
        Some(80),
        &expect![[r"
        sweep  name    state    jobs  succeeded  failed  quarantined  note
            4  digits  paused     16          4       0            1  paused by ada@lab:
                                                                      the GPUs are
                                                                      needed elsewhere
                                                                      until Monday
            3  digits  running    16          4       0            0
    "]],
    );
    expect![[r"
        sweep        4
        name         digits
        state        paused
        created      2023-11-14T22:13:20Z
        jobs         16
        queued       10
        leased       2
        succeeded    4
        failed       0
        diverged     0
        blocked      3
        quarantined  1
        cancelled    1
        reused       2
        priority     -5
        note         paused by ada@lab: the GPUs are needed elsewhere until Monday
    "]]
    .assert_eq(&table::render_detail(&Rows::new(&view::SWEEPS, std::slice::from_ref(&paused)), Some(80)));
    expect![[r"
        sweep      3
        name       digits
        state      running
        created    2023-11-14T22:13:20Z
        jobs       16
        queued     10
        leased     2
        succeeded  4
        failed     0
        diverged   0
    "]]
    .assert_eq(&table::render_detail(&Rows::new(&view::SWEEPS, &[sweep()]), Some(80)));
    expect![[r"
        sweep,name,state,created_us,n_jobs,n_queued,n_leased,n_succeeded,n_failed,n_diverged,n_blocked,n_quarantined,n_cancelled,n_reused,priority,note
        4,digits,paused,1700000000000000,16,10,2,4,0,0,3,1,1,2,-5,paused by ada@lab: the GPUs are needed elsewhere until Monday
    "]].assert_eq(&csv::render(&Rows::new(&view::SWEEPS, &[paused])));
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

fn workers() -> [v1::WorkerRow; 2] {
    let gpu = v1::WorkerRow {
        session: 7,
        worker: "gpu-07".into(),
        state: "open".into(),
        version: "0.1.0".into(),
        trainer: "burn-cuda".into(),
        device: "cuda".into(),
        memory_mib: Some(40_000),
        datasets: "digits, cifar10, cifar100".into(),
        labels: "a100, rack-7".into(),
        n_slots: 2,
        n_leased: 1,
        opened_us: 1_700_000_000_000_000,
        seen_us: 1_700_000_061_000_000,
        ended_us: None,
    };
    let simulated = v1::WorkerRow {
        session: 6,
        worker: "laptop-4711".into(),
        state: "ended".into(),
        device: "vulkan".into(),
        memory_mib: None,
        datasets: "*".into(),
        labels: String::new(),
        n_leased: 0,
        ended_us: Some(1_700_000_062_000_000),
        ..gpu.clone()
    };
    [gpu, simulated]
}

#[test]
fn workers_as_tables_and_as_csv() {
    check_table(
        &view::WORKERS,
        &workers(),
        None,
        &expect![[r"
        worker       state  slots  busy  device  MiB a slot  datasets                   labels        last seen             opened                ended
        gpu-07       open       2     1  cuda         40000  digits, cifar10, cifar100  a100, rack-7  2023-11-14T22:14:21Z  2023-11-14T22:13:20Z  -
        laptop-4711  ended      2     0  vulkan           -  *                                        2023-11-14T22:14:21Z  2023-11-14T22:13:20Z  2023-11-14T22:14:22Z
    "]],
    );
    check_table(
        &view::WORKERS,
        &workers()[..1],
        Some(100),
        &expect![[r"
        worker  state  slots  busy  device  MiB a slot  datasets                   last seen
        gpu-07  open       2     1  cuda         40000  digits, cifar10, cifar100  2023-11-14T22:14:21Z
    "]],
    );
    check_table(
        &view::WORKERS,
        &workers(),
        Some(60),
        &expect![[r"
        worker       state  slots  busy  device  MiB a slot
        gpu-07       open       2     1  cuda         40000
        laptop-4711  ended      2     0  vulkan           -
    "]],
    );
    expect![[r#"
        session,worker,state,n_slots,n_leased,device,memory_mib,datasets,labels,trainer,version,seen_us,opened_us,ended_us
        7,gpu-07,open,2,1,cuda,40000,"digits, cifar10, cifar100","a100, rack-7",burn-cuda,0.1.0,1700000061000000,1700000000000000,
        6,laptop-4711,ended,2,0,vulkan,,*,,burn-cuda,0.1.0,1700000061000000,1700000000000000,1700000062000000
    "#]]
    .assert_eq(&csv::render(&Rows::new(&view::WORKERS, &workers())));
}

#[test]
fn every_table_fits_every_terminal() {
    let paused = v1::SweepRow { n_quarantined: 1, n_cancelled: 1, note: "paused by ada@lab: the GPUs are needed".into(), ..sweep() };
    let events = [v1::EventRow {
        at_us: 1_700_000_000_000_000,
        event: "out-of-memory".into(),
        attempt: 3,
        who: "a-machine-with-a-long-name-4711".into(),
        state: "quarantined".into(),
        message: "the trainer ended with signal 9: out of memory".into(),
        ..v1::EventRow::default()
    }];
    let tables = [Rows::new(&view::SWEEPS, &[paused]), Rows::new(&view::WORKERS, &workers()), Rows::new(&view::EVENTS, &events)];
    for rows in tables {
        for width in [40_u16, 60, 80, 200] {
            let text = table::render(&rows, Some(width));
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= usize::from(width), "{widest} > {width}:\n{text}");
        }
    }
}

#[test]
fn a_narrow_table_of_sweeps_does_without_the_note_first() {
    let paused = v1::SweepRow { state: "paused".into(), note: "paused by ada@lab: the GPUs are needed".into(), ..sweep() };
    let header =
        |width| table::render(&Rows::new(&view::SWEEPS, std::slice::from_ref(&paused)), Some(width)).lines().next().unwrap().to_owned();
    expect!["sweep  name    state   jobs  queued  succeeded  failed  note"].assert_eq(&header(80));
    expect!["sweep  name    state   jobs  succeeded"].assert_eq(&header(40));
}

#[test]
fn a_terminal_that_does_not_know_its_width_has_80_columns() {
    assert_eq!([0, 1, 80, 200].map(known_width), [80, 1, 80, 200]);
}
