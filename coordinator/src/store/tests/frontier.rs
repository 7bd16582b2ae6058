use offramp_domain::frontier::Point;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

on_both_engines! {
    a_shared_job_advances_every_sweep_that_has_it_and_is_done_once,
    datasets_have_frontiers_of_their_own,
}

/// A sweep's frontier as stored: cost, accuracy and job, sorted.
async fn stored(store: &Store, sweep: i64, metric: CostMetric) -> Vec<(u64, u64, String)> {
    let rows = store.reader().frontier(sweep, metric).await.unwrap();
    assert!(rows.is_sorted_by(|a, b| (&a.dataset, a.cost) <= (&b.dataset, b.cost)));
    let mut points: Vec<_> = rows.into_iter().map(|row| (row.cost.to_bits(), row.accuracy.to_bits(), row.job)).collect();
    points.sort();
    points
}

/// The same by definition, from the public views alone.
async fn brute_force(store: &Store, sweep: i64, metric: CostMetric) -> Vec<(u64, u64, String)> {
    let statement = "
        SELECT p.dataset, p.job, p.macs_cascade, p.macs_selected, p.accuracy
        FROM v_operating_points AS p JOIN v_sweep_jobs AS s ON s.job = p.job WHERE s.sweep = $1";
    let rows = store.reader().pool().all(self::statement(statement), engine::args![sweep]).await.unwrap();
    let point = |row: &Row| Point { cost: row.get(metric.as_str()).unwrap(), accuracy: row.get("accuracy").unwrap() };
    let text = |row: &Row, column: &str| -> String { row.get(column).unwrap() };
    let all: Vec<(String, String, Point)> = rows.iter().map(|row| (text(row, "dataset"), text(row, "job"), point(row))).collect();
    let alone = |(dataset, _, point): &&(String, String, Point)| !all.iter().any(|other| other.0 == *dataset && other.2.dominates(*point));
    let mut points: Vec<_> =
        all.iter().filter(alone).map(|(_, job, point)| (point.cost.to_bits(), point.accuracy.to_bits(), job.clone())).collect();
    points.sort();
    points
}

pub(super) async fn check(store: &Store) {
    for sweep in store.reader().sweeps(10).await.unwrap() {
        for metric in CostMetric::ALL {
            assert_eq!(stored(store, sweep.sweep, metric).await, brute_force(store, sweep.sweep, metric).await);
        }
    }
}

async fn a_shared_job_advances_every_sweep_that_has_it_and_is_done_once(store: Fixture) {
    let session = store.session("w").await;
    let a = store.submit_text(&sweep_text("a", r#"["constant"]"#, "[0, 1]")).await.sweep;
    let first = store.complete_next(session, &[(0.25, 0.5), (0.5, 0.4)]).await;
    // Seed 0 is finished, seed 1 queued, seed 2 new.
    let b = store.submit_text(&sweep_text("b", r#"["constant"]"#, "[0, 1, 2]")).await;
    assert_eq!(b.before, Preview { n_known_jobs: 2, n_finished_jobs: 1 });
    let jobs_of = async |sweep| {
        let rows = store.reader().frontier(sweep, CostMetric::MacsCascade).await.unwrap();
        rows.into_iter().map(|row| row.job).collect::<Vec<_>>()
    };
    assert_eq!(jobs_of(b.sweep).await, [first.key.id()], "finished results enter at submission");
    let second = store.complete_next(session, &[(0.5, 0.8)]).await;
    for sweep in [a, b.sweep] {
        assert_eq!(jobs_of(sweep).await, [first.key.id(), second.key.id()]);
    }
    let third = store.complete_next(session, &[(0.25, 0.9)]).await;
    assert_eq!(jobs_of(a).await, [first.key.id(), second.key.id()], "not a job of this sweep");
    assert_eq!(jobs_of(b.sweep).await, [third.key.id()]);
    assert_eq!(store.claim_one(session, START_US).await, None, "three jobs in all, not five");
    check(&store).await;
    for sweep in store.reader().sweeps(10).await.unwrap() {
        assert_eq!((sweep.state.as_str(), sweep.n_succeeded), ("finished", sweep.n_jobs));
    }
}

async fn datasets_have_frontiers_of_their_own(store: Fixture) {
    let session = store.session("w").await;
    let text = sweep_text("a", r#"["none"]"#, "0").replace(r#"dataset = "digits""#, r#"dataset = ["digits", "cifar10"]"#);
    let sweep = store.submit_text(&text).await.sweep;
    store.complete_next(session, &[(1.0, 0.9)]).await;
    store.complete_next(session, &[(1.0, 0.5)]).await;
    let rows = store.reader().frontier(sweep, CostMetric::MacsSelected).await.unwrap();
    let points: Vec<_> = rows.iter().map(|row| (row.dataset.as_str(), row.cost, row.accuracy)).collect();
    let macs = |dataset: &str| parse(&text).jobs().find(|job| job.config.dataset == dataset).unwrap().network.backbone_macs() as f64;
    assert_eq!(points, [("cifar10", macs("cifar10"), 0.5), ("digits", macs("digits"), 0.9)]);
}

/// What may happen to a frontier.
#[derive(Debug, Clone)]
enum Step {
    Submit(usize),
    /// A result with these (eighths of the samples at the final exit, accuracy) points, on a small grid so that equal ones are common.
    Complete(Vec<(u8, u8)>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let points = vec((0..6_u8, 0..6_u8), 0..6);
    vec(prop_oneof![1 => (0..3_usize).prop_map(Step::Submit), 3 => points.prop_map(Step::Complete)], 1..14)
}

/// The stored frontier is the brute-force one after every step.
async fn stays_right(store: Fixture, steps: Vec<Step>) {
    let session = store.session("w").await;
    let seeds = ["[0, 1, 2]", "[2, 3]", "[1, 3, 4, 5]"];
    for step in steps {
        match step {
            Step::Submit(index) => {
                store.submit_text(&sweep_text("s", r#"["constant"]"#, seeds[index])).await;
            }
            Step::Complete(points) => {
                let Some(job) = store.claim_one(session, START_US).await else { continue };
                let points: Vec<(f64, f64)> =
                    points.into_iter().map(|(share, accuracy)| (f64::from(share) / 8.0, f64::from(accuracy) / 8.0)).collect();
                let result = outcome(&job.config_json, 0.5, &points);
                assert_eq!(store.complete(session, &job.attempt, &result, START_US).await, Answer::Accepted);
            }
        }
        check(&store).await;
    }
}

proptest! {
    // Each case makes a database.
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_stored_frontier_is_the_brute_force_one_after_any_sequence_on_sqlite(steps in steps()) {
        on_sqlite(async |store| stays_right(store, steps).await);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn the_stored_frontier_is_the_brute_force_one_after_any_sequence_on_postgres(steps in steps()) {
        on_postgres(async |store| stays_right(store, steps).await);
    }
}
