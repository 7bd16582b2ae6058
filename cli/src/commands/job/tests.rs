//! One job's story, and why it is not running, in each format.

use expect_test::expect;

use super::*;

fn job(state: &str) -> v1::JobRow {
    v1::JobRow {
        job: "0123456789ab".into(),
        state: state.into(),
        backbone: "resnet8".into(),
        dataset: "digits".into(),
        pattern: "none".into(),
        requirements: "cuda, 8000 MiB".into(),
        priority: 10,
        ..v1::JobRow::default()
    }
}

fn event(seconds: i64, event: &str, attempt: u32, state: &str, who: &str, message: &str) -> v1::EventRow {
    v1::EventRow {
        at_us: (1_700_000_000 + seconds) * 1_000_000,
        job: Some("0123456789ab".into()),
        sweep: None,
        attempt,
        event: event.into(),
        state: state.into(),
        who: who.into(),
        message: message.into(),
    }
}

fn detail() -> v1::JobDetail {
    v1::JobDetail {
        job: Some(job("failed")),
        config_json: "{}".into(),
        dependencies: vec![v1::DependencyRow { job: "ba9876543210".into(), state: "succeeded".into() }],
        events: vec![
            event(0, "submitted", 0, "queued", "ada@lab", ""),
            event(1, "claimed", 1, "leased", "gpu-07", ""),
            event(61, "crashed", 1, "failed", "gpu-07", "trainer ended with signal 9\u{7}"),
        ],
        attempts: vec![v1::AttemptRow { job: "0123456789ab".into(), attempt: 1, worker: "gpu-07".into(), ..v1::AttemptRow::default() }],
        ..v1::JobDetail::default()
    }
}

#[test]
fn a_job_tells_its_whole_story() {
    expect![[r"
        job            0123456789ab
        state          failed
        backbone       resnet8
        dataset        digits
        pattern        none
        seed           0
        backbone MACs  0
        budget MACs    0
        branch MACs    0
        budget error   0.00 %
        params         0
        attempt        0
        failures       0
        created        1970-01-01T00:00:00Z
        priority       10
        requirements   cuda, 8000 MiB
        config  {}

        Waits for
        job           state
        ba9876543210  succeeded

        History
        when                  event      attempt  who      then    why
        2023-11-14T22:13:20Z  submitted        -  ada@lab  queued
        2023-11-14T22:13:21Z  claimed          1  gpu-07   leased
        2023-11-14T22:14:21Z  crashed          1  gpu-07   failed  trainer ended with signal 9\u{7}
    "]]
    .assert_eq(&render(&detail(), Format::Table, None));
}

#[test]
fn without_a_history_there_are_still_the_attempts() {
    let text = render(&v1::JobDetail { events: vec![], ..detail() }, Format::Table, None);
    assert!(text.contains("\nAttempts\n") && !text.contains("\nHistory\n"), "{text}");
}

#[test]
fn json_has_events_and_dependencies() {
    let value: serde_json::Value = serde_json::from_str(&render(&detail(), Format::Json, None)).unwrap();
    assert_eq!(value["events"][2]["who"], "gpu-07");
    assert_eq!(value["events"][0]["attempt"], 0);
    assert_eq!(value["dependencies"][0], serde_json::json!({"job": "ba9876543210", "state": "succeeded"}));
    assert_eq!(value["attempts"][0]["attempt"], 1);
}

fn explanation() -> v1::JobExplanation {
    let fit = |worker: &str, n_leased, lacks: &[&str]| v1::WorkerFit {
        worker: worker.into(),
        n_slots: 2,
        n_leased,
        lacks: lacks.iter().map(|lack| (*lack).to_owned()).collect(),
    };
    v1::JobExplanation {
        job: Some(job("queued")),
        reasons: vec!["no open worker offers what it needs (cuda, 8000 MiB)".into()],
        workers: vec![
            fit("gpu-01", 1, &["4000 MiB a slot, needs 8000"]),
            fit("node-1", 0, &["device cpu, needs cuda", "4000 MiB a slot, needs 8000"]),
        ],
        n_ahead: 3,
        more_ahead: false,
    }
}

#[test]
fn what_keeps_a_job_waiting_is_said_with_the_workers_that_come_near() {
    expect![[r"
        job 0123456789ab (resnet8 digits none seed 0) is queued
          - no open worker offers what it needs (cuda, 8000 MiB)

        Workers, the nearest first
        worker  slots  busy  lacks
        gpu-01      2     1  4000 MiB a slot, needs 8000
        node-1      2     0  device cpu, needs cuda; 4000 MiB a slot, needs 8000
    "]]
    .assert_eq(&render_explanation(&explanation(), Format::Table, Some(100)));
    expect![[r#"
        worker,n_slots,n_leased,lacks
        gpu-01,2,1,"4000 MiB a slot, needs 8000"
        node-1,2,0,"device cpu, needs cuda; 4000 MiB a slot, needs 8000"
    "#]]
    .assert_eq(&render_explanation(&explanation(), Format::Csv, None));
    let value: serde_json::Value = serde_json::from_str(&render_explanation(&explanation(), Format::Json, None)).unwrap();
    assert_eq!(value["kind"], "explanation");
    assert_eq!(value["reasons"].as_array().unwrap().len(), 1);
    assert_eq!(value["workers"][1]["lacks"], "device cpu, needs cuda; 4000 MiB a slot, needs 8000");
    assert_eq!((value["n_ahead"].as_u64(), value["more_ahead"].as_bool()), (Some(3), Some(false)));
}

#[test]
fn a_running_job_waits_for_nothing() {
    let running = v1::JobExplanation { job: Some(job("leased")), ..v1::JobExplanation::default() };
    expect!["job 0123456789ab (resnet8 digits none seed 0) is leased\n"].assert_eq(&render_explanation(&running, Format::Table, None));
    let next = v1::JobExplanation { reasons: vec![], workers: vec![], ..explanation() };
    expect![[r"
        job 0123456789ab (resnet8 digits none seed 0) is queued
          - nothing keeps it: a worker takes it any moment
        `offramp worker` starts a worker
    "]]
    .assert_eq(&render_explanation(&next, Format::Table, None));
}
