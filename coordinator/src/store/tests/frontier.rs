use offramp_domain::frontier::{Point, hypervolume};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

on_both_engines! {
    a_shared_job_advances_every_sweep_that_has_it_and_is_done_once,
    datasets_have_frontiers_of_their_own,
    what_had_been_dominated_returns_when_a_result_is_taken_back,
}

/// A stored point with what it is grouped by, and when its result was accepted.
struct Known {
    job: String,
    policy: String,
    setting: f64,
    dataset: String,
    backbone: String,
    pattern: String,
    trainer: String,
    accuracy: f64,
    costs: [Option<f64>; 4],
    at_us: i64,
}

/// A row of the history: scope, grouping, group, metric, cost, accuracy, job, policy, setting, entered, left.
type Stay = (i64, &'static str, Vec<String>, &'static str, u64, u64, String, String, u64, i64, Option<i64>);

/// Every point of a sweep, or of all, from the public views alone.
async fn points(store: &Store, sweep: Option<&offramp_proto::v1::SweepRow>) -> Vec<Known> {
    let statement = "
        SELECT p.job, p.policy, p.setting, p.accuracy, p.macs_cascade, p.macs_selected, p.latency_us, j.params, j.dataset, j.backbone, j.pattern,
            j.trainer, j.finished_us
        FROM v_operating_points AS p JOIN v_jobs AS j ON j.job = p.job
        WHERE $1 = 0 OR EXISTS (SELECT 1 FROM v_sweep_jobs AS s WHERE s.job = p.job AND s.sweep = $1)";
    let rows = store.reader().pool().all(self::statement(statement), engine::args![sweep.map_or(0, |sweep| sweep.sweep)]).await.unwrap();
    let text = |row: &Row, column: &str| -> String { row.get(column).unwrap() };
    let known = |row: &Row| Known {
        job: text(row, "job"),
        policy: text(row, "policy"),
        setting: row.get("setting").unwrap(),
        dataset: text(row, "dataset"),
        backbone: text(row, "backbone"),
        pattern: text(row, "pattern"),
        trainer: text(row, "trainer"),
        accuracy: row.get("accuracy").unwrap(),
        costs: [
            Some(row.get("macs_cascade").unwrap()),
            Some(row.get("macs_selected").unwrap()),
            Some(row.get::<i64>("params").unwrap() as f64),
            row.get("latency_us").unwrap(),
        ],
        at_us: row.get::<i64>("finished_us").unwrap().max(sweep.map_or(0, |sweep| sweep.created_us)),
    };
    rows.iter().map(known).collect()
}

/// The history by definition: a point comes with its result unless a point that is as old or older dominates it, and leaves with the first that does.
fn by_definition(scope: i64, points: &[Known]) -> Vec<Stay> {
    let mut stays = Vec::new();
    for (grouping, metric) in Grouping::ALL.into_iter().flat_map(|grouping| CostMetric::ALL.map(|metric| (grouping, metric))) {
        let group = |known: &Known| {
            let mut group = vec![known.dataset.clone()];
            group.extend((grouping == Grouping::Backbone).then(|| known.backbone.clone()));
            group.extend((grouping == Grouping::Pattern).then(|| known.pattern.clone()));
            group.extend((metric == CostMetric::LatencyUs).then(|| known.trainer.clone()));
            group
        };
        let place = |known: &Known| known.costs[metric as usize].map(|cost| Point { cost, accuracy: known.accuracy });
        let placed: Vec<(&Known, Vec<String>, Point)> =
            points.iter().filter_map(|known| Some((known, group(known), place(known)?))).collect();
        for (known, group, point) in &placed {
            let first = placed.iter().filter(|(_, other, by)| other == group && by.dominates(*point)).map(|(by, ..)| by.at_us).min();
            if first.is_none_or(|first| first > known.at_us) {
                let Known { job, policy, setting, at_us, .. } = known;
                let (cost, accuracy) = (point.cost.to_bits(), point.accuracy.to_bits());
                let names = (job.clone(), policy.clone(), setting.to_bits());
                let (grouping, metric) = (grouping.as_str(), metric.as_str());
                stays.push((scope, grouping, group.clone(), metric, cost, accuracy, names.0, names.1, names.2, *at_us, first));
            }
        }
    }
    stays.sort();
    stays
}

/// All stored frontiers with their history are what the stored points come to, and so is the area that goes with each row.
pub(super) async fn check(store: &Store) {
    check_all(store, Times::Rise).await;
}

/// The same, but for the history, where several coordinators with clocks of their own were at work.
pub(super) async fn check_standing(store: &Store) {
    check_all(store, Times::Leap).await;
}

/// When results were accepted.
#[derive(Clone, Copy, PartialEq)]
enum Times {
    /// Each later than the one before.
    Differ,
    /// None before the one before.
    Rise,
    /// As it comes.
    Leap,
}

async fn check_all(store: &Store, times: Times) {
    let sweeps = store.reader().sweeps(10).await.unwrap();
    for sweep in sweeps.iter().map(Some).chain([None]) {
        let scope = sweep.map(|sweep| sweep.sweep);
        let (mut stored, mut standing) = (Vec::new(), Vec::new());
        for (grouping, metric) in Grouping::ALL.into_iter().flat_map(|grouping| CostMetric::ALL.map(|metric| (grouping, metric))) {
            let filter = FrontierFilter { sweep: scope, grouping, metric };
            let history = store.reader().frontier_history(filter).await.unwrap();
            if times != Times::Leap {
                check_areas(&history, times == Times::Differ);
            }
            for row in &history {
                assert_eq!((row.sweep, row.grouping.as_str(), row.cost_metric.as_str()), (scope, grouping.as_str(), metric.as_str()));
                assert_eq!(row.left_us.is_some(), row.displaced_by.is_some());
                let group = [Some(&row.dataset), row.backbone.as_ref(), row.pattern.as_ref(), row.trainer.as_ref()];
                let group = group.into_iter().flatten().cloned().collect();
                let (cost, accuracy) = (row.cost.to_bits(), row.accuracy.to_bits());
                let names = (row.job.clone(), row.policy.clone(), row.setting.to_bits());
                let (grouping, metric) = (grouping.as_str(), metric.as_str());
                let scope = scope.unwrap_or(0);
                stored.push((scope, grouping, group, metric, cost, accuracy, names.0, names.1, names.2, row.entered_us, row.left_us));
            }
            let rows = store.reader().frontier(filter).await.unwrap();
            let named = |row: offramp_proto::v1::FrontierRow| {
                let group = match grouping {
                    Grouping::Dataset => String::new(),
                    Grouping::Backbone => row.backbone.clone(),
                    Grouping::Pattern => row.pattern.clone(),
                };
                let trainer = if metric == CostMetric::LatencyUs { row.trainer } else { String::new() };
                let group = format!("{group}, {trainer}");
                (row.dataset, group, row.cost, row.accuracy, row.job, row.policy, row.setting)
            };
            let rows: Vec<_> = rows.into_iter().map(named).collect();
            assert!(rows.is_sorted_by(|a, b| (&a.0, &a.1, a.2) <= (&b.0, &b.1, b.2)), "{rows:?}");
            let place = |row: &offramp_proto::v1::FrontierHistoryRow| {
                let group = row.backbone.clone().or(row.pattern.clone()).unwrap_or_default();
                let group = format!("{group}, {}", row.trainer.clone().unwrap_or_default());
                (row.dataset.clone(), group, row.cost, row.accuracy, row.job.clone(), row.policy.clone(), row.setting)
            };
            let here = |row: &&offramp_proto::v1::FrontierHistoryRow| row.left_us.is_none();
            standing.push((sorted(rows), sorted(history.iter().filter(here).map(place).collect())));
        }
        let mut defined = by_definition(scope.unwrap_or(0), &points(store, sweep).await);
        if times == Times::Leap {
            let stands = |stay: Stay| {
                stay.10.is_none().then(|| {
                    let mut stay = stay;
                    stay.9 = 0;
                    stay
                })
            };
            stored = stored.into_iter().filter_map(stands).collect();
            defined = defined.into_iter().filter_map(stands).collect();
        }
        stored.sort();
        defined.sort();
        assert_eq!(stored, defined);
        for (rows, standing) in standing {
            assert_eq!(rows, standing, "the frontier is what has not left it");
        }
    }
}

fn sorted<T: PartialOrd>(mut rows: Vec<T>) -> Vec<T> {
    rows.sort_by(|a, b| a.partial_cmp(b).expect("finite numbers"));
    rows
}

/// What each row says of the area is that of the points that stood after it entered.
fn check_areas(history: &[offramp_proto::v1::FrontierHistoryRow], times_differ: bool) {
    for row in history {
        let same = |other: &&offramp_proto::v1::FrontierHistoryRow| {
            (&other.dataset, &other.backbone, &other.pattern, &other.trainer) == (&row.dataset, &row.backbone, &row.pattern, &row.trainer)
        };
        let stood = |other: &&offramp_proto::v1::FrontierHistoryRow| {
            other.entered_us <= row.entered_us && other.left_us.is_none_or(|left_us| left_us > row.entered_us)
        };
        let points: Vec<Point> =
            history.iter().filter(same).filter(stood).map(|other| Point { cost: other.cost, accuracy: other.accuracy }).collect();
        let until = history.iter().filter(same).filter(|other| other.entered_us <= row.entered_us).map(|other| other.cost);
        let dearest = until.fold(0.0, f64::max);
        // The least power of two from there; where points came and went within a microsecond, from theirs.
        let is_least = row.reference_cost / 2.0 < dearest || !times_differ;
        assert!(row.reference_cost >= dearest && is_least && row.reference_cost.log2().fract() == 0.0, "{row:?}");
        let area = hypervolume(&points, Point { cost: row.reference_cost, accuracy: row.reference_accuracy });
        assert!((row.hypervolume - area).abs() <= 1e-12 * area, "{area}: {row:?}");
        if let Some(by) = &row.displaced_by {
            let here = Point { cost: row.cost, accuracy: row.accuracy };
            let dominates = |other: &offramp_proto::v1::FrontierHistoryRow| {
                other.job == *by && Point { cost: other.cost, accuracy: other.accuracy }.dominates(here)
            };
            assert!(history.iter().filter(same).any(dominates), "{row:?}");
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
        let rows = store.reader().frontier(FrontierFilter::of_sweep(sweep, CostMetric::MacsCascade)).await.unwrap();
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
    let rows = store.reader().frontier(FrontierFilter::of_sweep(sweep, CostMetric::MacsSelected)).await.unwrap();
    let points: Vec<_> = rows.iter().map(|row| (row.dataset.as_str(), row.cost, row.accuracy)).collect();
    let macs = |dataset: &str| parse(&text).jobs().find(|job| job.config.dataset == dataset).unwrap().network.backbone_macs() as f64;
    assert_eq!(points, [("cifar10", macs("cifar10"), 0.5), ("digits", macs("digits"), 0.9)]);
}

async fn what_had_been_dominated_returns_when_a_result_is_taken_back(store: Fixture) {
    let session = store.session("w").await;
    let a = store.submit_text(&sweep_text("a", r#"["constant"]"#, "[0, 1]")).await.sweep;
    let filter = FrontierFilter::of_sweep(a, CostMetric::MacsCascade);
    let jobs_of = async || store.reader().frontier(filter).await.unwrap().into_iter().map(|row| row.job).collect::<Vec<_>>();
    let at = |seconds: i64| START_US + seconds * SECOND_US;
    let complete = async |points: &[(f64, f64)], now_us| {
        let job = store.claim_one(session, now_us).await.unwrap();
        assert_eq!(store.complete(session, &job.attempt, &outcome(&job.config_json, 0.9, points), now_us).await, Answer::Accepted);
        job
    };
    let modest = complete(&[(0.5, 0.4), (1.0, 0.5)], at(1)).await.attempt;
    let modest_history = store.reader().frontier_history(filter).await.unwrap();
    let ClaimedJob { attempt: better, config_json } = complete(&[(0.5, 0.6)], at(2)).await;
    assert_eq!(jobs_of().await, [better.key.id()]);
    let taken_back = store.retry_job(&better.key, true, &by("me"), at(3)).await.unwrap();
    assert_eq!((taken_back.n_jobs, taken_back.changed), (1, true));
    assert_eq!(jobs_of().await, [modest.key.id(), modest.key.id()]);
    assert_eq!(store.reader().frontier_history(filter).await.unwrap(), modest_history, "as if it had never been");
    let row = store.job(&better).await;
    assert_eq!((row.state.as_str(), row.final_accuracy, row.attempt), ("queued", None, 1));
    assert_eq!(store.count("results").await, 1);
    check(&store).await;
    // A new attempt brings another result, and the old one's report is late.
    let stale = store.complete(session, &better, &outcome(&config_json, 0.9, &[]), at(4)).await;
    assert_eq!(stale, Answer::Accepted, "heard of before");
    let again = complete(&[(0.25, 0.45)], at(5)).await.attempt;
    assert_eq!((again.key.clone(), again.attempt), (better.key.clone(), 2));
    assert_eq!(jobs_of().await, [again.key.id(), modest.key.id()]);
    check(&store).await;
}

/// What may happen to frontiers.
#[derive(Debug, Clone)]
enum Step {
    Submit(usize),
    /// A result of the next job, by one of two trainers: eighths of the samples at the final exit, eighths right, and a latency or none; on a small
    /// grid so that equal points, equal costs and equal accuracies are common.
    Complete(usize, Vec<(u8, u8, Option<u8>)>),
    /// Of the finished jobs, take back the result of one, or delete it.
    TakeBack(usize),
    DeleteJob(usize),
    DeleteSweep(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let points = vec((0..6_u8, 0..6_u8, proptest::option::weighted(0.4, 0..4_u8)), 0..6);
    vec(
        prop_oneof![
            2 => (0..SWEEPS.len()).prop_map(Step::Submit),
            12 => (0..2_usize, points).prop_map(|(trainer, points)| Step::Complete(trainer, points)),
            2 => (0..8_usize).prop_map(Step::TakeBack),
            1 => (0..8_usize).prop_map(Step::DeleteJob),
            1 => (0..3_usize).prop_map(Step::DeleteSweep),
        ],
        1..24,
    )
}

/// Sweeps that share jobs, over two datasets, two backbones and two patterns.
const SWEEPS: [(&str, &str, &str, &str); 4] = [
    (r#"["resnet8"]"#, r#"["digits"]"#, r#"["constant"]"#, "[0, 1, 2]"),
    (r#"["resnet8", "resnet14"]"#, r#"["digits"]"#, r#"["constant"]"#, "[1]"),
    (r#"["resnet8"]"#, r#"["digits", "cifar10"]"#, r#"["none", "constant"]"#, "[2]"),
    (r#"["resnet8"]"#, r#"["digits"]"#, r#"["constant", "none"]"#, "[0, 3]"),
];

fn varied_text(index: usize) -> String {
    let (backbones, datasets, patterns, seeds) = SWEEPS[index];
    sweep_text(&format!("s{index}"), patterns, seeds)
        .replace(r#"backbone = "resnet8""#, &format!("backbone = {backbones}"))
        .replace(r#"dataset = "digits""#, &format!("dataset = {datasets}"))
}

/// The stored frontiers and their history are the ones by definition after every step, each a second after the one before.
async fn stays_right(store: Fixture, steps: Vec<Step>) {
    let trainers = ["burn-flex", "burn-cuda"];
    let mut sessions = Vec::new();
    for trainer in trainers {
        let session = NewSession { trainer: trainer.into(), ..new_session(trainer, false) };
        sessions.push(store.open_session(&session, START_US).await.unwrap().id);
    }
    let finished = async || {
        let rows = store.rows("SELECT key FROM jobs JOIN results ON results.job_id = jobs.id ORDER BY key").await;
        rows.iter().map(|row| row.get::<String>("key").unwrap()).collect::<Vec<_>>()
    };
    let mut now_us = START_US;
    for step in steps {
        now_us += SECOND_US;
        match step {
            Step::Submit(index) => {
                let text = varied_text(index);
                store.submit(&parse(&text), &text, &by("me"), now_us).await.unwrap();
            }
            Step::Complete(by, points) => {
                let Some(job) = store.claim_one(sessions[by], now_us).await else { continue };
                let shares: Vec<(f64, f64)> =
                    points.iter().map(|(share, accuracy, _)| (f64::from(*share) / 8.0, f64::from(*accuracy) / 8.0)).collect();
                let mut result = outcome(&job.config_json, 0.5, &shares);
                result.trainer = trainers[by].into();
                for (point, (.., latency)) in result.operating_points.iter_mut().zip(&points) {
                    point.latency_us = latency.map(|latency| 50.0 + f64::from(latency) / 4.0);
                }
                assert_eq!(store.complete(sessions[by], &job.attempt, &result, now_us).await, Answer::Accepted);
            }
            Step::TakeBack(index) | Step::DeleteJob(index) => {
                let keys = finished().await;
                let Some(key) = keys.get(index % keys.len().max(1)) else { continue };
                let key = offramp_domain::job::JobKey::parse(key).unwrap();
                if matches!(step, Step::TakeBack(_)) {
                    store.retry_job(&key, true, &by("me"), now_us).await.unwrap();
                } else {
                    match store.delete_job(&key, &by("me"), now_us).await {
                        Ok(deleted) => assert_eq!(deleted, Deleted { n_jobs: 1, n_kept_jobs: 0, changed: true }),
                        Err(error) => assert!(matches!(error, ControlError::OnlyJob { .. }), "{error}"),
                    }
                }
            }
            Step::DeleteSweep(index) => {
                let sweeps = store.reader().sweeps(10).await.unwrap();
                let Some(sweep) = sweeps.get(index % sweeps.len().max(1)) else { continue };
                let deleted = store.delete_sweep(sweep.sweep, &by("me"), now_us).await.unwrap();
                assert_eq!((deleted.n_jobs + deleted.n_kept_jobs) as i64, sweep.n_jobs);
            }
        }
        check_all(&store, Times::Differ).await;
    }
}

proptest! {
    // Each case makes a database.
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn stored_frontiers_are_the_brute_force_ones_after_any_sequence_on_sqlite(steps in steps()) {
        on_sqlite(async |store| stays_right(store, steps).await);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn stored_frontiers_are_the_brute_force_ones_after_any_sequence_on_postgres(steps in steps()) {
        on_postgres(async |store| stays_right(store, steps).await);
    }
}
