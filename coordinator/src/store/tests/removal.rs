//! What people delete.

use super::*;

on_both_engines! {
    a_deleted_job_leaves_nothing_behind_and_is_trained_anew_by_its_file,
    a_deleted_sweep_takes_along_what_no_other_sweep_has,
    what_was_on_a_frontier_for_no_time_leaves_nothing_behind_either,
    what_is_being_worked_on_is_not_deleted,
    the_only_job_of_a_sweep_goes_with_the_sweep,
    what_waited_for_a_deleted_job_waits_no_longer,
    what_waits_for_a_result_that_is_taken_back_waits_again,
}

/// Rows of every table that refer to jobs or sweeps, or come of them.
async fn n_rows(store: &Store) -> Vec<i64> {
    let tables = [
        "sweeps",
        "jobs",
        "exits",
        "sweep_jobs",
        "job_states",
        "attempts",
        "epochs",
        "results",
        "exit_results",
        "operating_points",
        "job_dependencies",
        "frontier",
        "frontier_advances",
    ];
    let mut counts = Vec::new();
    for table in tables {
        counts.push(store.count(table).await);
    }
    counts
}

async fn a_deleted_job_leaves_nothing_behind_and_is_trained_anew_by_its_file(store: Fixture) {
    let session = store.session("w").await;
    let text = sweep_text("a", r#"["constant"]"#, "[0, 1]");
    let a = store.submit_text(&text).await.sweep;
    store.complete_next(session, &[(0.5, 0.4)]).await;
    let before = n_rows(&store).await;
    let job = store.complete_next(session, &[(0.25, 0.5)]).await;
    let deleted = store.delete_job(&job.key, &Requester { who: "me".into(), reason: "a mistake".into() }, START_US + 1).await.unwrap();
    assert_eq!(deleted, Deleted { n_jobs: 1, n_kept_jobs: 0, changed: true });
    let after = n_rows(&store).await;
    // All that is left of the two jobs is as it was with one of them, whose exits were there as well.
    assert_eq!((after[1], after[7], after[9], after[11]), (1, 1, 1, before[11]));
    frontier::check(&store).await;
    let row = store.reader().sweep("a").await.unwrap();
    assert_eq!((row.sweep, row.n_jobs, row.n_succeeded), (a, 1, 1));
    let events = store.rows("SELECT event, sweep, who, message FROM v_events WHERE event = 'job-deleted'").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].get::<String>("message").unwrap(), format!("job {}: a mistake", job.key.id()));
    let repeated = store.delete_job(&job.key, &by("me"), START_US + 2).await.unwrap();
    assert_eq!(repeated, Deleted::default());

    let again = store.submit_text(&text).await;
    assert!(again.created && again.sweep != a);
    assert_eq!(again.before, Preview { n_known_jobs: 1, n_finished_jobs: 1 });
    let anew = store.complete_next(session, &[(0.25, 0.5)]).await;
    assert_eq!((anew.key, anew.attempt), (job.key, 1));
    frontier::check(&store).await;
}

async fn a_deleted_sweep_takes_along_what_no_other_sweep_has(store: Fixture) {
    let session = store.session("w").await;
    store.submit_text(&sweep_text("kept", r#"["constant"]"#, "[1, 2]")).await;
    store.complete_next(session, &[(0.5, 0.4)]).await;
    let before = n_rows(&store).await;
    let gone = store.submit_text(&format!("priority = 7\n{}", sweep_text("gone", r#"["constant"]"#, "[0, 1, 2]"))).await.sweep;
    let best = store.complete_next(session, &[(0.25, 0.5)]).await;
    assert_eq!(store.job(&best).await.seed, 0, "the urgent sweep's first");
    let deleted = store.delete_sweep(gone, &by("me"), START_US + 1).await.unwrap();
    assert_eq!(deleted, Deleted { n_jobs: 1, n_kept_jobs: 2, changed: true });
    assert_eq!(n_rows(&store).await, before, "as if it had never been");
    frontier::check(&store).await;
    assert!(matches!(store.reader().sweep("gone").await.unwrap_err(), LookupError::NoSuchSweep(_)));
    assert_eq!(store.delete_sweep(gone, &by("me"), START_US + 2).await.unwrap(), Deleted::default());
    // What stays is handed out for the sake of the other sweep, with its priority.
    let rest = store.claim_one(session, START_US + 3).await.unwrap();
    let row = store.job(&rest.attempt).await;
    assert_eq!((row.seed, row.priority), (2, 0));
    let events = store.rows("SELECT message FROM v_events WHERE event = 'sweep-deleted'").await;
    assert_eq!(events[0].get::<String>("message").unwrap(), format!("sweep {gone} `gone` with 1 of its jobs"));
}

/// A point that is displaced in the microsecond in which it came has no row, and yet displaced others.
async fn what_was_on_a_frontier_for_no_time_leaves_nothing_behind_either(store: Fixture) {
    let session = store.session("w").await;
    store.submit_text(&sweep_text("a", r#"["constant"]"#, "[0, 1, 2]")).await;
    let complete = async |point: (f64, f64), now_us| {
        let job = store.claim_one(session, now_us).await.unwrap();
        assert_eq!(store.complete(session, &job.attempt, &outcome(&job.config_json, 0.9, &[point]), now_us).await, Answer::Accepted);
        job.attempt
    };
    let first = complete((1.0, 0.4), START_US + 1).await;
    let passing = complete((0.5, 0.5), START_US + 2).await;
    let last = complete((0.25, 0.6), START_US + 2).await;
    store.delete_job(&passing.key, &by("me"), START_US + 3).await.unwrap();
    let filter = FrontierFilter { sweep: None, grouping: Grouping::Dataset, metric: CostMetric::MacsCascade };
    let history = store.reader().frontier_history(filter).await.unwrap();
    let stays: Vec<_> = history.iter().map(|row| (row.job.as_str(), row.left_us, row.displaced_by.as_deref())).collect();
    assert_eq!(stays, [(first.key.id(), Some(START_US + 2), Some(last.key.id())), (last.key.id(), None, None)]);
    frontier::check(&store).await;
}

async fn what_is_being_worked_on_is_not_deleted(store: Fixture) {
    let session = store.session("w").await;
    let sweep = store.submit_text(&sweep_text("a", r#"["constant"]"#, "[0, 1]")).await.sweep;
    let leased = store.claim_one(session, START_US).await.unwrap().attempt;
    let before = n_rows(&store).await;
    let refused = store.delete_job(&leased.key, &by("me"), START_US).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("job `{}` is being worked on", leased.key.id()));
    assert!(refused.hint().unwrap().contains("job cancel"));
    let refused = store.delete_sweep(sweep, &by("me"), START_US).await.unwrap_err();
    let expected = format!("1 of the jobs that would go with sweep {sweep} are being worked on, job `{}` among them", leased.key.id());
    assert_eq!(refused.to_string(), expected);
    let refused = store.retry_job(&leased.key, true, &by("me"), START_US).await.unwrap_err();
    assert!(matches!(refused, ControlError::NotOver { .. }), "{refused}");
    assert_eq!(n_rows(&store).await, before);
    store.cancel_sweep(sweep, &by("me"), START_US).await.unwrap();
    assert_eq!(store.delete_sweep(sweep, &by("me"), START_US).await.unwrap().n_jobs, 2);
    assert_eq!(n_rows(&store).await, [0; 13]);
    // The worker hears that nobody waits for it.
    assert_eq!(store.beat(session, &[&leased], START_US).await.unwrap().stale, std::slice::from_ref(&leased));
    assert_eq!(store.give_back(session, &leased, START_US).await, Answer::Stale);
}

async fn the_only_job_of_a_sweep_goes_with_the_sweep(store: Fixture) {
    let session = store.session("w").await;
    store.submit_text(&sweep_text("both", r#"["constant"]"#, "[0, 1]")).await;
    let one = store.submit_text(&sweep_text("one", r#"["constant"]"#, "[0]")).await.sweep;
    let job = store.complete_next(session, &[(0.5, 0.4)]).await;
    let before = n_rows(&store).await;
    let refused = store.delete_job(&job.key, &by("me"), START_US).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("job `{}` is the only one of sweep {one}", job.key.id()));
    assert_eq!(n_rows(&store).await, before, "nor is it gone from the other one");
    store.delete_sweep(one, &by("me"), START_US).await.unwrap();
    assert_eq!(store.delete_job(&job.key, &by("me"), START_US).await.unwrap().n_jobs, 1);
    frontier::check(&store).await;
}

/// Jobs of pattern `constant`, which wait for those of pattern `none`.
fn waiting_text(name: &str, seeds: &str) -> String {
    let after = "[[after]]\njob = { pattern = \"constant\" }\nwait_for = { pattern = \"none\" }\n";
    format!("{}{after}", sweep_text(name, r#"["none", "constant"]"#, seeds))
}

async fn states(store: &Store) -> Vec<(String, String)> {
    store.jobs().await.into_iter().map(|job| (job.pattern, job.state)).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(pattern, state)| ((*pattern).to_owned(), (*state).to_owned())).collect()
}

async fn what_waited_for_a_deleted_job_waits_no_longer(store: Fixture) {
    store.submit_text(&waiting_text("a", "[0]")).await;
    assert_eq!(states(&store).await, pairs(&[("none", "queued"), ("constant", "blocked")]));
    let awaited = offramp_domain::job::JobKey::parse(&store.jobs().await[0].job_key).unwrap();
    store.delete_job(&awaited, &by("me"), START_US).await.unwrap();
    assert_eq!(states(&store).await, pairs(&[("constant", "queued")]));
}

async fn what_waits_for_a_result_that_is_taken_back_waits_again(store: Fixture) {
    let session = store.session("w").await;
    store.submit_text(&waiting_text("a", "[0]")).await;
    let awaited = store.complete_next(session, &[(1.0, 0.5)]).await;
    assert_eq!(states(&store).await, pairs(&[("none", "succeeded"), ("constant", "queued")]));
    store.retry_job(&awaited.key, true, &by("me"), START_US).await.unwrap();
    assert_eq!(states(&store).await, pairs(&[("none", "queued"), ("constant", "blocked")]));
    store.complete_next(session, &[(1.0, 0.5)]).await;
    assert_eq!(states(&store).await, pairs(&[("none", "succeeded"), ("constant", "queued")]));
    frontier::check(&store).await;
}
