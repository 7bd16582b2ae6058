//! Comparisons of stored results, against what can be worked out by hand.

use offramp_domain::job::JobConfig;
use offramp_proto::v1;

use super::*;

on_both_engines! {
    cells_are_compared_by_their_stored_results,
    a_cost_is_met_on_the_calibration_split,
    jobs_are_chosen_by_sweep_and_by_filter,
    cells_have_their_seeds_together,
    two_sweeps_are_told_apart,
    what_cannot_be_compared_is_refused,
}

/// The pattern and the seed of a leased job.
fn cell_of(job: &ClaimedJob) -> (String, u64) {
    let config = JobConfig::from_json(&job.config_json).unwrap();
    (config.pattern_label(), config.seed)
}

/// Completes every job that is queued with the accuracy that `accuracy` says of its pattern and seed; without one it fails for good.
async fn work(store: &Fixture, accuracy: impl Fn(&str, u64) -> Option<f64>) {
    let session = store.session("w").await;
    while let Some(job) = store.claim_one(session, START_US).await {
        let (pattern, seed) = cell_of(&job);
        let answer = match accuracy(&pattern, seed) {
            Some(accuracy) => {
                store.complete(session, &job.attempt, &outcome(&job.config_json, accuracy, &[(1.0, accuracy)]), START_US).await
            }
            None => store.fail(session, &job.attempt, FailureKind::Diverged, "NaN", START_US).await,
        };
        assert_eq!(answer, Answer::Accepted);
    }
}

fn by_accuracy(sweeps: &[&str]) -> v1::CompareRequest {
    let sweeps = sweeps.iter().map(|name| (*name).to_owned()).collect();
    v1::CompareRequest { sweeps, metric: "final_accuracy".into(), ..Default::default() }
}

fn near(value: Option<f64>, expected: f64) -> bool {
    value.is_some_and(|value| (value - expected).abs() < 1e-12)
}

async fn cells_are_compared_by_their_stored_results(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["none", "constant", { increasing = 1 }]"#, "[0, 1, 2]")).await;
    work(&store, |pattern, seed| match (pattern, seed) {
        ("none", _) => Some(0.5),
        ("constant", 0) => Some(0.625),
        ("constant", 1) => Some(0.75),
        ("constant", _) => None,
        (_, seed) => Some(0.25 + 0.125 * seed as f64),
    })
    .await;
    let answer = store.reader().compare(&by_accuracy(&["a"])).await.unwrap();
    let levels: Vec<_> =
        answer.levels.iter().map(|level| (level.level.as_str(), level.n_jobs, level.n_without_result, level.mean)).collect();
    assert_eq!(levels, [("none", 3, 0, Some(0.5)), ("constant", 2, 1, Some(0.6875)), ("increasing 1", 3, 0, Some(0.375))]);
    // 0.625, 0.75: squared distances of 0.0625 from their mean, twice.
    assert!(near(answer.levels[1].deviation, (2.0 * 0.0625_f64 * 0.0625).sqrt()));
    let pairs: Vec<_> = answer
        .pairs
        .iter()
        .map(|pair| (pair.level.as_str(), pair.other.as_str(), pair.n_pairs, pair.n_incomplete, pair.mean_difference))
        .collect();
    assert_eq!(
        pairs,
        [
            ("constant", "none", 2, 1, Some(0.1875)),
            ("increasing 1", "none", 3, 0, Some(-0.125)),
            // 0.25 - 0.625 and 0.375 - 0.75.
            ("increasing 1", "constant", 2, 1, Some(-0.375)),
        ]
    );
    // -0.25, -0.125 and 0: two ranks, both negative.
    let pair = &answer.pairs[1];
    assert_eq!((pair.n_wins, pair.n_ties, pair.n_losses, pair.rank_biserial, pair.p_value), (0, 1, 2, Some(-1.0), Some(0.5)));
    assert_eq!(pair.p_method.as_deref(), Some("exact"));
    // Equal differences show no spread.
    assert_eq!((answer.pairs[2].low, answer.pairs[2].missing.as_str()), (None, "interval, effect: all differences are equal"));
    assert_eq!(answer.friedman, None);
    assert_eq!(answer.friedman_missing, "needs 2 or more blocks that every level is in, there is 1");
    assert_eq!((answer.by.as_str(), answer.metric.as_str(), answer.unit.as_str()), ("pattern", "final_accuracy", "seed"));
    assert_eq!(answer.notes[0], "1 job has no result, which leaves 2 pairs incomplete");
}

async fn a_cost_is_met_on_the_calibration_split(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["constant"]"#, "0")).await;
    let session = store.session("w").await;
    let job = store.claim_one(session, START_US).await.unwrap();
    let mut result = outcome(&job.config_json, 0.9, &[(0.0, 0.5), (0.5, 0.75), (0.75, 0.25), (1.0, 0.875)]);
    // The third looks as good as the second where settings are chosen, and costs more there; the fourth looks worse.
    for (point, calibration) in result.operating_points.iter_mut().zip([0.5, 0.75, 0.75, 0.625]) {
        point.calibration_accuracy = calibration;
    }
    store.complete(session, &job.attempt, &result, START_US).await;
    let costs: Vec<f64> = result.operating_points.iter().map(|point| point.calibration_macs_cascade).collect();
    let backbone_macs = store.jobs().await[0].backbone_macs as f64;
    for (cost, expected) in [(costs[0] - 1.0, 0.1), (costs[0], 0.5), (costs[1] - 1.0, 0.5), (costs[1], 0.75), (costs[3] + 1.0, 0.75)] {
        for request in [
            v1::ListCellsRequest { at_cost: Some(cost), ..Default::default() },
            // A hair more, as a product of doubles may fall short.
            v1::ListCellsRequest { at_share: Some((cost + 0.01) / backbone_macs), ..Default::default() },
        ] {
            let cells = store.reader().cells(&request).await.unwrap();
            assert_eq!((cells.metric.as_str(), cells.cells[0].mean), ("accuracy_at", Some(expected)), "{cost}");
        }
    }
    // The area is the mean of just this over all costs up to twice the backbone's.
    let mut sum = 0.0;
    for step in 0..20_u32 {
        let cost = (f64::from(step) + 0.5) / 20.0 * 2.0 * backbone_macs;
        let request = v1::ListCellsRequest { at_cost: Some(cost), ..Default::default() };
        sum += store.reader().cells(&request).await.unwrap().cells[0].mean.unwrap() / 20.0;
    }
    let area = store.reader().cells(&v1::ListCellsRequest::default()).await.unwrap().cells[0].mean.unwrap();
    // Twenty steps; accuracy rises twice, by less than a half.
    assert!((sum - area).abs() < 0.65 / 20.0, "{sum} {area}");
}

async fn jobs_are_chosen_by_sweep_and_by_filter(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["none", "constant"]"#, "[0, 1]")).await;
    store.submit_text(&sweep_text("b", r#"["constant", { increasing = 1 }]"#, "[1, 2]")).await;
    work(&store, |pattern, seed| Some(0.25 * pattern.len() as f64 / 8.0 + 0.0625 * seed as f64)).await;
    let names_and_jobs = |answer: &v1::CompareResponse| -> Vec<(String, u32)> {
        answer.levels.iter().map(|level| (level.level.clone(), level.n_jobs)).collect()
    };
    let told = |levels: &[(&str, u32)]| levels.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<Vec<_>>();
    let reader = store.reader();
    let one = reader.compare(&by_accuracy(&["b"])).await.unwrap();
    assert_eq!(names_and_jobs(&one), told(&[("constant", 2), ("increasing 1", 2)]));
    // Together they share the job of seed 1.
    for sweeps in [&["a", "b"][..], &[], &["a", "b", "last"]] {
        let both = reader.compare(&by_accuracy(sweeps)).await.unwrap();
        assert_eq!(names_and_jobs(&both), told(&[("none", 2), ("constant", 3), ("increasing 1", 2)]), "{sweeps:?}");
    }
    let filtered = v1::CompareRequest { r#where: "pattern != none and seed >= 1".into(), ..by_accuracy(&[]) };
    assert_eq!(names_and_jobs(&reader.compare(&filtered).await.unwrap()), told(&[("constant", 2), ("increasing 1", 2)]));
    let nothing = v1::CompareRequest { r#where: "pattern = own".into(), ..by_accuracy(&[]) };
    assert!(reader.compare(&nothing).await.unwrap().levels.is_empty());
    let sweeps = v1::CompareRequest { by: "sweep".into(), ..by_accuracy(&["a", "b"]) };
    let answer = reader.compare(&sweeps).await.unwrap();
    assert_eq!(names_and_jobs(&answer), told(&[("a", 4), ("b", 4)]));
    // They have no pair but of the job that is in both.
    assert_eq!((answer.pairs[0].n_pairs, answer.notes.iter().any(|note| note == "1 job is left out: they are in both sweeps")), (0, true));
}

async fn cells_have_their_seeds_together(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["none", "constant"]"#, "[0, 1, 2]")).await;
    let request = v1::ListCellsRequest { metric: "best_accuracy".into(), ..Default::default() };
    let cells = store.reader().cells(&request).await.unwrap().cells;
    assert!(cells.iter().all(|cell| (cell.n_seeds, cell.n_without_result, cell.mean) == (0, 3, None)));
    assert_eq!(cells[0].missing, "needs 1 or more values, there are 0");
    work(&store, |pattern, seed| match (pattern, seed) {
        ("constant", seed) => Some([0.25, 0.5, 0.75][seed as usize]),
        (_, 0) => Some(0.5),
        _ => None,
    })
    .await;
    let answer = store.reader().cells(&request).await.unwrap();
    let [plain, constant] = &answer.cells[..] else { panic!("{answer:?}") };
    assert_eq!((plain.pattern.as_str(), plain.n_seeds, plain.n_without_result, plain.mean), ("none", 1, 2, Some(0.5)));
    assert_eq!((plain.deviation, plain.low, plain.missing.as_str()), (None, None, "needs 2 or more values, there is 1"));
    assert_eq!((constant.mean, constant.deviation), (Some(0.5), Some(0.25)));
    assert!(constant.low.unwrap() >= 0.25 && constant.low < constant.mean && constant.high.unwrap() <= 0.75, "{constant:?}");
    // As the view has them.
    let view = store.reader().patterns(1).await.unwrap();
    let labels =
        |cell: &v1::CellRow| (cell.pattern.clone(), cell.exits.clone(), cell.budget.clone(), cell.recipe.clone(), cell.branch_macs);
    let of_view = |row: &v1::PatternRow| (row.pattern.clone(), row.exits.clone(), row.budget.clone(), row.recipe.clone(), row.branch_macs);
    let mut all: Vec<_> = answer.cells.iter().map(labels).collect();
    let mut in_view: Vec<_> = view.iter().map(of_view).collect();
    all.sort();
    in_view.sort();
    assert_eq!(all, in_view);
}

async fn two_sweeps_are_told_apart(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["none", "constant"]"#, "[0, 1]")).await;
    let longer = sweep_text("b", r#"["constant", "none"]"#, "[0, 1]").replace("epochs = 2", "epochs = 3");
    store.submit_text(&longer).await;
    store.submit_text(&sweep_text("c", r#"["none"]"#, "[0, 1, 2]")).await;
    let session = store.session("w").await;
    while let Some(job) = store.claim_one(session, START_US).await {
        let config = JobConfig::from_json(&job.config_json).unwrap();
        let accuracy = 0.125 * f64::from(config.recipe.epochs) + 0.0625 * config.seed as f64;
        store.complete(session, &job.attempt, &outcome(&job.config_json, accuracy, &[(1.0, accuracy)]), START_US).await;
    }
    let diff = async |a: &str, b: &str| {
        let request = v1::DiffSweepsRequest { a: a.into(), b: b.into(), metric: "final_accuracy".into(), ..Default::default() };
        store.reader().diff_sweeps(&request).await.unwrap()
    };
    let recipe = diff("a", "b").await;
    let said: Vec<_> = recipe.differences.iter().map(|row| (row.place.as_str(), row.a.as_deref(), row.b.as_deref())).collect();
    assert_eq!(
        said,
        [
            ("axes.pattern", Some(r#"["none", "constant"]"#), Some(r#"["constant", "none"]"#)),
            ("name", Some("\"a\""), Some("\"b\"")),
            ("recipe.epochs", Some("2"), Some("3")),
        ]
    );
    assert_eq!((recipe.n_both, recipe.n_only_a, recipe.n_only_b, recipe.more), (0, 4, 4, false));
    let comparison = recipe.comparison.unwrap();
    assert_eq!((comparison.pairs[0].n_pairs, comparison.pairs[0].mean_difference), (4, Some(0.125)));
    assert_eq!(comparison.notes[0], "the sweeps differ as a whole in recipe.epochs");
    let seeds = diff("a", "c").await;
    assert_eq!((seeds.n_both, seeds.n_only_a, seeds.n_only_b), (2, 2, 1));
    let cells: Vec<_> =
        seeds.cells.iter().map(|cell| (cell.only_in.as_str(), cell.pattern.as_str(), cell.seeds.clone(), cell.n_succeeded)).collect();
    assert_eq!(cells, [("a", "constant", vec![0, 1], 2), ("b", "none", vec![2], 1)]);
    assert_eq!(seeds.cells[1].jobs.len(), 1);
    let same = store.reader().diff_sweeps(&v1::DiffSweepsRequest { a: "a".into(), b: "1".into(), ..Default::default() }).await.unwrap_err();
    assert_eq!(same.to_string(), "both are the sweep `a`");
}

async fn what_cannot_be_compared_is_refused(store: Fixture) {
    let refused = async |request: v1::CompareRequest| {
        let error = store.reader().compare(&request).await.unwrap_err();
        (error.to_string(), error.hint().unwrap_or_default())
    };
    assert_eq!(refused(v1::CompareRequest { sweeps: vec!["last".into()], ..Default::default() }).await.0, "there is no sweep yet");
    assert!(store.reader().compare(&v1::CompareRequest::default()).await.unwrap().levels.is_empty());
    store.submit_text(&sweep_text("a", r#"["none", "constant"]"#, "0")).await;
    assert_eq!(refused(by_accuracy(&["b"])).await.0, "no sweep is called `b`");
    let baseline = v1::CompareRequest { baseline: "constnt".into(), ..Default::default() };
    assert_eq!(refused(baseline).await, ("no cell has the pattern `constnt`".into(), "did you mean `constant`?".into()));
    let across = v1::CompareRequest { by: "backbone".into(), metric: "area".into(), ..Default::default() };
    assert!(refused(across).await.0.contains("not by backbone"));
    let confidence = v1::CompareRequest { confidence: 2.0, ..Default::default() };
    assert_eq!(refused(confidence).await.0, "the confidence is 2, and should be from 0.5 to 0.9999");
    store.execute("UPDATE jobs SET config = '{}'").await;
    assert!(refused(v1::CompareRequest::default()).await.0.ends_with("has a configuration that this build can't read"));
}
