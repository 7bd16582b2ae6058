//! Jobs that several sweeps have.

use super::*;

on_both_engines! {
    finished_jobs_are_shown_as_reused,
    two_sweeps_wait_for_one_attempt,
    a_sweep_that_says_so_has_jobs_of_its_own,
    a_failed_job_is_shared_as_well,
}

async fn jobs(store: &Store, sweep: i64) -> Vec<offramp_proto::v1::JobRow> {
    store.reader().jobs(JobsFilter { sweep: Some(sweep), state: None, limit: 99, offset: 0 }).await.unwrap()
}

async fn finished_jobs_are_shown_as_reused(store: Fixture) {
    let first = store.submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1, 2]")).await.sweep;
    let session = store.session("w").await;
    store.complete_next(session, &[(1.0, 0.5)]).await;
    store.claim_one(session, START_US).await.unwrap();
    let second = store.submit_text(&sweep_text("b", r#"["none"]"#, "[3, 1, 0]")).await.sweep;
    let reused = |jobs: Vec<offramp_proto::v1::JobRow>| jobs.into_iter().map(|job| (job.seed, job.reused)).collect::<Vec<_>>();
    assert_eq!(reused(jobs(&store, first).await), [(0, Some(false)), (1, Some(false)), (2, Some(false))]);
    assert_eq!(reused(jobs(&store, second).await), [(3, Some(false)), (1, Some(false)), (0, Some(true))]);
    let rows = store.rows("SELECT position, reused FROM v_sweep_jobs WHERE sweep = 2 ORDER BY position").await;
    let rows: Vec<(i64, bool)> = rows.iter().map(|row| (row.get("position").unwrap(), row.get("reused").unwrap())).collect();
    assert_eq!(rows, [(0, false), (1, false), (2, true)]);
    assert_eq!(store.reader().sweep("b").await.unwrap().n_reused, 1);
}

async fn two_sweeps_wait_for_one_attempt(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["none"]"#, "0")).await;
    let session = store.session("w").await;
    let job = store.claim_one(session, START_US).await.unwrap();
    store.submit_text(&sweep_text("b", r#"["none"]"#, "[0, 1]")).await;
    assert_eq!(store.claim(session, 9, START_US).await.len(), 1, "the running one is not handed out again");
    let running = |sweep: &str| {
        let reader = store.reader().clone();
        let sweep = sweep.to_owned();
        async move {
            let id = reader.sweep(&sweep).await.unwrap().sweep;
            reader.sweep_activity(id).await.unwrap().running.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        }
    };
    assert_eq!(running("a").await, [job.attempt.key.as_str()]);
    assert!(running("b").await.contains(&job.attempt.key.as_str().to_owned()));
    let result = outcome(&job.config_json, 0.9, &[(1.0, 0.9)]);
    assert_eq!(store.complete(session, &job.attempt, &result, START_US).await, Answer::Accepted);
    for sweep in store.reader().sweeps(9).await.unwrap() {
        assert_eq!(sweep.n_succeeded, 1, "{}", sweep.name);
        assert_eq!(
            store.reader().frontier(FrontierFilter::of_sweep(sweep.sweep, CostMetric::MacsCascade)).await.unwrap().len(),
            1,
            "{}",
            sweep.name
        );
    }
}

async fn a_sweep_that_says_so_has_jobs_of_its_own(store: Fixture) {
    let text = |name: &str| sweep_text(name, r#"["none"]"#, "[0, 1]");
    store.submit_text(&text("a")).await;
    let session = store.session("w").await;
    store.complete_next(session, &[(1.0, 0.5)]).await;
    let own = |name: &str| format!("reuse = false\n{}", text(name));
    let second = store.submit_text(&own("b")).await;
    assert_eq!(second.before, Preview::default());
    assert_eq!(store.count("jobs").await, 4);
    // The same file is the same sweep all the same; of another name, it is trained once more.
    assert!(!store.submit_text(&own("b")).await.created);
    assert!(store.submit_text(&own("c")).await.created);
    assert_eq!(store.count("jobs").await, 6);
    let claimed = store.claim(session, 9, START_US).await;
    assert_eq!(claimed.len(), 5);
    for job in claimed {
        let result = outcome(&job.config_json, 0.9, &[(1.0, 0.9)]);
        assert_eq!(store.complete(session, &job.attempt, &result, START_US).await, Answer::Accepted);
    }
}

async fn a_failed_job_is_shared_as_well(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["none"]"#, "0")).await;
    let session = store.session("w").await;
    let attempt = store.claim_one(session, START_US).await.unwrap().attempt;
    store.fail(session, &attempt, FailureKind::Diverged, "nan", START_US).await;
    let sweep = store.submit_text(&sweep_text("b", r#"["none"]"#, "[0, 1]")).await.sweep;
    let rows = jobs(&store, sweep).await;
    assert_eq!((rows[0].state.as_str(), rows[0].reused), ("diverged", Some(false)), "it has no result to reuse");
    assert_eq!(store.claim(session, 9, START_US).await.len(), 1);
}
