//! Policies from records, and what is said where there are none.

use clap::Parser;
use expect_test::{Expect, expect};
use offramp_domain::evaluation::SplitRecords;
use offramp_domain::job::JobConfig;

use super::*;
use crate::args::{Arguments, Command};

const CONFIG: &str = r#"{"version":1,"backbone":"resnet8","dataset":"digits","branches":{"exits":"stage-ends","pattern":"constant","budget":{"levels":3},"rule":"auto"},"recipe":{"epochs":1,"batch_size":8,"optimizer":{"sgd":{"lr":0.1,"momentum":0.9,"nesterov":true,"weight_decay":0.0}},"schedule":"cosine","augment":"none"},"evaluation":{"calibration":0.1,"policies":["max-softmax"]},"seed":3}"#;

fn header() -> Header {
    let config = JobConfig::from_json(CONFIG).unwrap();
    Header { job: config.key(), attempt: 1, trainer: "by hand".into(), config }
}

/// Four samples of two classes at four exits. The first is sure from the first exit on, each next one an exit later.
fn records() -> Records {
    let mut split = SplitRecords::new(4);
    for sample in 0..4_u8 {
        let exits: Vec<[f32; 2]> = (0..4_u8).map(|exit| if exit >= sample { [4.0, 0.0] } else { [0.0, 0.5] }).collect();
        split.push(sample.into(), 0, exits.iter().map(<[f32; 2]>::as_slice));
    }
    Records { calibration: split.clone(), test: split }
}

fn arguments(words: &[&str]) -> PolicyArguments {
    match Arguments::try_parse_from([&["offramp", "policy"], words].concat()).unwrap().command {
        Command::Policy(arguments) => arguments,
        other => panic!("{other:?}"),
    }
}

fn points_of(words: &[&str]) -> Vec<(String, f64, f64, Vec<f64>)> {
    let points = points(&arguments(words), &header(), &records()).unwrap();
    points.into_iter().map(|point| (point.policy, point.setting, point.accuracy, point.exit_shares)).collect()
}

#[test]
fn one_setting_one_policy_or_all() {
    let quarter = vec![0.25; 4];
    assert_eq!(points_of(&["x", "--policy", "margin", "--setting", "0.5"]), [("margin".into(), 0.5, 1.0, quarter.clone())]);
    assert_eq!(points_of(&["x", "--policy", "fixed", "--setting", "1"]), [("fixed".into(), 1.0, 0.5, vec![0.0, 1.0, 0.0, 0.0])]);
    assert_eq!(points_of(&["x", "--policy", "fixed"]).len(), 4);
    let all = points_of(&["x"]);
    for policy in Policy::ALL {
        assert!(all.iter().any(|(name, ..)| name == policy.as_str()), "{policy:?}");
    }
    // Quotas that everybody meets at an equal share of the exits.
    let budgeted = points_of(&["x", "--policy", "budgeted", "--setting", "1"]);
    assert_eq!(budgeted, [("budgeted".into(), 1.0, 1.0, quarter)]);
}

#[test]
fn budgets_choose_the_setting() {
    let costs: Vec<u64> = network::assemble(&header().config).unwrap().exit_costs().iter().map(|cost| cost.macs_cascade).collect();
    let mean = (costs.iter().sum::<u64>() / 4).to_string();
    let [(policy, _, accuracy, shares)] = &points_of(&["x", "--budget-macs", &mean])[..] else { panic!("one point") };
    assert_eq!((policy.as_str(), *accuracy, shares.as_slice()), ("budgeted", 1.0, &[0.25; 4][..]));
    let deepest = points_of(&["x", "--policy", "fixed", "--budget-macs", &(costs[2] - 1).to_string()]);
    assert_eq!(deepest, [("fixed".into(), 1.0, 0.5, vec![0.0, 1.0, 0.0, 0.0])]);
    let refused = points(&arguments(&["x", "--policy", "fixed", "--budget-macs", "7"]), &header(), &records()).unwrap_err();
    assert_eq!(refused.exit(), Exit::Usage);
    let (cheapest, most) = (costs[0], costs[3]);
    let expected = format!(
        "error: no setting costs 7 MACs a sample or less: the cheapest costs {cheapest}\n\
         hint: the final exit costs {most} MACs; name a budget between the two\n"
    );
    assert_eq!(refused.render(), expected);
}

#[test]
fn settings_that_do_not_exist_are_usage_errors() {
    let refused = points(&arguments(&["x", "--policy", "patience", "--setting", "0.5"]), &header(), &records()).unwrap_err();
    assert_eq!(refused.exit(), Exit::Usage);
    assert_eq!(refused.render(), "error: policy `patience` has no setting 0.5: it takes a whole number from 0 on\n");
    let parse = |words: &[&str]| Arguments::try_parse_from([&["offramp", "policy"], words].concat()).unwrap_err();
    assert!(parse(&["x", "--policy", "entrop"]).to_string().contains("'entropy'"), "a suggestion");
    for words in [&["x", "--setting", "1"][..], &["x", "--policy", "margin", "--setting", "1", "--budget-macs", "9"], &[]] {
        assert!(parse(words).use_stderr());
    }
}

#[test]
fn records_of_another_network_are_refused() {
    let config = JobConfig { branches: None, ..header().config };
    let other = Header { job: config.key(), config, ..header() };
    let refused = points(&arguments(&["x"]), &other, &records()).unwrap_err().render();
    assert!(refused.contains("the records are of 4 exits") && refused.contains("a network with 1"), "{refused}");
}

fn detail(trainer: Option<&str>, path: Option<&str>) -> v1::JobDetail {
    let job = v1::JobRow { job: "0123456789ab".into(), state: "queued".into(), trainer: trainer.map(Into::into), ..v1::JobRow::default() };
    let artifact =
        |path: &str| v1::ArtifactRow { kind: RECORDS.into(), worker: "gpu-07".into(), path: path.into(), ..v1::ArtifactRow::default() };
    v1::JobDetail { job: Some(job), artifacts: path.map(artifact).into_iter().collect(), ..v1::JobDetail::default() }
}

#[test]
fn jobs_without_records_here_say_why() {
    let check = |detail: &v1::JobDetail, expected: Expect| expected.assert_eq(&named_by(detail).unwrap_err().render());
    check(
        &detail(None, None),
        expect![[r"
            error: job 0123456789ab has no per-sample records
            hint: it is queued and has no result yet
        "]],
    );
    check(
        &detail(Some("simulated"), None),
        expect![[r"
            error: job 0123456789ab has no per-sample records
            hint: its worker kept none: simulated ones are kept with --artifacts-dir alone, and its log says so where they could not be
        "]],
    );
    check(
        &detail(Some("burn-cuda"), Some("/no/such/file.parquet")),
        expect![[r"
            error: the records of job 0123456789ab are not on this machine: worker `gpu-07` wrote `/no/such/file.parquet`
            hint: copy the file here and name it with --records, or run this command there
        "]],
    );
}
