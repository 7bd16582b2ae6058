//! Jobs that wait for other jobs' results.

use offramp_domain::job::JobKey;

use super::*;

on_both_engines! {
    a_job_waits_for_the_one_it_depends_on,
    a_job_waits_for_all_that_it_depends_on,
    two_results_of_one_batch_set_a_job_free_that_waits_for_both,
    a_failure_fails_all_that_waits_and_says_why,
    a_retry_brings_back_what_failed_only_for_waiting,
    a_retried_dependant_waits_again,
    a_job_with_a_failure_of_its_own_comes_back_with_what_it_waits_for,
    results_that_are_there_block_nothing,
    what_waits_for_an_ended_job_fails_at_submission,
    circles_over_two_sweeps_are_refused_whole,
    a_waiting_job_counts_in_its_place,
}

/// A sweep in which jobs wait: pairs of (who waits, for whom), by seed.
fn waiting_text(name: &str, seeds: &str, pairs: &[(u32, u32)]) -> String {
    let after = |(job, awaited): &(u32, u32)| format!("[[after]]\njob = {{ seed = {job} }}\nwait_for = {{ seed = {awaited} }}\n");
    format!("{}{}", sweep_text(name, r#"["none"]"#, seeds), pairs.iter().map(after).collect::<String>())
}

/// The states of all jobs by seed.
async fn states(store: &Store) -> Vec<(u64, String)> {
    let mut states: Vec<_> = store.jobs().await.into_iter().map(|job| (job.seed, job.state)).collect();
    states.sort();
    states
}

fn are(states: &[(u64, &str)]) -> Vec<(u64, String)> {
    states.iter().map(|(seed, state)| (*seed, (*state).to_owned())).collect()
}

async fn job_of(store: &Store, seed: u64) -> offramp_proto::v1::JobRow {
    store.jobs().await.into_iter().find(|job| job.seed == seed).unwrap()
}

async fn key_of(store: &Store, seed: u64) -> JobKey {
    JobKey::parse(&job_of(store, seed).await.job_key).unwrap()
}

fn seed(job: &ClaimedJob) -> u64 {
    offramp_domain::job::JobConfig::from_json(&job.config_json).unwrap().seed
}

async fn diverge_next(store: &Store, session: SessionId) -> AttemptRef {
    let attempt = store.claim_one(session, START_US).await.unwrap().attempt;
    assert_eq!(store.fail(session, &attempt, FailureKind::Diverged, "nan", START_US).await, Answer::Accepted);
    attempt
}

async fn a_job_waits_for_the_one_it_depends_on(store: Fixture) {
    store.submit_text(&waiting_text("a", "[0, 1]", &[(0, 1)])).await;
    assert_eq!(states(&store).await, are(&[(0, "blocked"), (1, "queued")]));
    let sweep = store.reader().sweep("a").await.unwrap();
    assert_eq!((sweep.state.as_str(), sweep.n_blocked, sweep.n_queued), ("running", 1, 1));
    let session = store.session("w").await;
    let claimed = store.claim(session, 9, START_US).await;
    assert_eq!(claimed.iter().map(seed).collect::<Vec<_>>(), [1]);
    let result = outcome(&claimed[0].config_json, 0.9, &[(1.0, 0.9)]);
    let report = AttemptReport { attempt: claimed[0].attempt.clone(), end: AttemptEnd::Completed(Box::new(result)) };
    // What the report sets free is claimed by the same request.
    let request = Request { reports: vec![report], n_jobs: 2, ..Request::new(session) };
    let applied = store.apply(&[request], START_US + 1, LEASE_US).await.unwrap();
    assert!(applied.queued);
    assert_eq!(applied.replies[0].as_ref().unwrap().claimed.iter().map(seed).collect::<Vec<_>>(), [0]);
    let detail = store.reader().job(key_of(&store, 0).await.id()).await.unwrap();
    let events: Vec<(&str, &str)> = detail.events.iter().map(|event| (event.event.as_str(), event.state.as_str())).collect();
    assert_eq!(events, [("submitted", "queued"), ("blocked", "blocked"), ("unblocked", "queued"), ("claimed", "leased")]);
    assert_eq!(detail.dependencies.len(), 1);
    assert_eq!((detail.dependencies[0].job.as_str(), detail.dependencies[0].state.as_str()), (claimed[0].attempt.key.id(), "succeeded"));
    assert_eq!(store.count("v_dependencies").await, 1);
}

async fn a_job_waits_for_all_that_it_depends_on(store: Fixture) {
    store.submit_text(&waiting_text("a", "[0, 1, 2]", &[(2, 0), (2, 1)])).await;
    let session = store.session("w").await;
    store.complete_next(session, &[(1.0, 0.5)]).await;
    assert_eq!(job_of(&store, 2).await.state, "blocked");
    store.complete_next(session, &[(1.0, 0.5)]).await;
    assert_eq!(job_of(&store, 2).await.state, "queued");
}

async fn two_results_of_one_batch_set_a_job_free_that_waits_for_both(store: Fixture) {
    store.submit_text(&waiting_text("a", "[0, 1, 2, 3]", &[(2, 0), (2, 1), (3, 2)])).await;
    let session = store.session("w").await;
    let reports = store.claim(session, 9, START_US).await.into_iter().map(|job| {
        let result = outcome(&job.config_json, 0.9, &[(1.0, 0.9)]);
        AttemptReport { attempt: job.attempt, end: AttemptEnd::Completed(Box::new(result)) }
    });
    let request = Request { reports: reports.collect(), ..Request::new(session) };
    assert_eq!(store.ask(request, START_US).await.unwrap().answers, [Answer::Accepted, Answer::Accepted]);
    assert_eq!(states(&store).await, are(&[(0, "succeeded"), (1, "succeeded"), (2, "queued"), (3, "blocked")]));
}

async fn a_failure_fails_all_that_waits_and_says_why(store: Fixture) {
    store.submit_text(&waiting_text("a", "[0, 1, 2, 3, 4]", &[(1, 0), (2, 1), (2, 3)])).await;
    let session = store.session("w").await;
    let diverged = diverge_next(&store, session).await;
    assert_eq!(states(&store).await, are(&[(0, "diverged"), (1, "failed"), (2, "failed"), (3, "queued"), (4, "queued")]));
    let (first, second) = (job_of(&store, 1).await, job_of(&store, 2).await);
    assert_eq!(first.error, format!("job {}, whose result it waits for, is diverged", diverged.key.id()));
    assert_eq!(second.error, format!("job {}, whose result it waits for, is failed", first.job));
    assert_eq!((first.attempt, first.n_failures, first.finished_us), (0, 0, Some(START_US)));
    let events = store.reader().job(&second.job_key).await.unwrap().events;
    let last = events.last().unwrap();
    assert_eq!((last.event.as_str(), last.state.as_str(), last.who.as_str()), ("dependency-failed", "failed", "coordinator"));
}

async fn a_retry_brings_back_what_failed_only_for_waiting(store: Fixture) {
    let sweep = store.submit_text(&waiting_text("a", "[0, 1, 2, 3]", &[(1, 0), (2, 1)])).await.sweep;
    let session = store.session("w").await;
    let diverged = diverge_next(&store, session).await;
    let cancelled = key_of(&store, 3).await;
    store.cancel_job(&cancelled, &by("me"), START_US).await.unwrap();
    let retried = store.retry_job(&diverged.key, false, &by("me"), START_US).await.unwrap();
    assert_eq!(retried.n_jobs, 3);
    assert_eq!(states(&store).await, are(&[(0, "queued"), (1, "blocked"), (2, "blocked"), (3, "cancelled")]));
    for n_left in [2, 1, 0] {
        store.complete_next(session, &[(1.0, 0.5)]).await;
        let row = store.reader().sweep_activity(sweep).await.unwrap().sweep;
        assert_eq!(row.n_blocked + row.n_queued, n_left);
    }
}

async fn a_retried_dependant_waits_again(store: Fixture) {
    store.submit_text(&waiting_text("a", "[0, 1]", &[(1, 0)])).await;
    let session = store.session("w").await;
    diverge_next(&store, session).await;
    // By itself it comes to the same end, and is not handed out.
    store.retry_job(&key_of(&store, 1).await, false, &by("me"), START_US).await.unwrap();
    assert_eq!(states(&store).await, are(&[(0, "diverged"), (1, "failed")]));
    store.retry_job(&key_of(&store, 0).await, false, &by("me"), START_US).await.unwrap();
    assert_eq!(states(&store).await, are(&[(0, "queued"), (1, "blocked")]));
}

async fn a_job_with_a_failure_of_its_own_comes_back_with_what_it_waits_for(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["none"]"#, "1")).await;
    let session = store.session("w").await;
    let attempt = store.claim_one(session, START_US).await.unwrap().attempt;
    store.fail(session, &attempt, FailureKind::Failed, "once", START_US).await;
    // Another sweep lets it wait, after it has failed once.
    store.submit_text(&waiting_text("b", "[0, 1]", &[(1, 0)])).await;
    assert_eq!(states(&store).await, are(&[(0, "queued"), (1, "blocked")]));
    let diverged = diverge_next(&store, session).await;
    assert_eq!(states(&store).await, are(&[(0, "diverged"), (1, "failed")]));
    store.retry_job(&diverged.key, false, &by("me"), START_US).await.unwrap();
    assert_eq!(states(&store).await, are(&[(0, "queued"), (1, "blocked")]));
}

async fn results_that_are_there_block_nothing(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["none"]"#, "0")).await;
    let session = store.session("w").await;
    store.complete_next(session, &[(1.0, 0.5)]).await;
    store.submit_text(&waiting_text("b", "[0, 1]", &[(1, 0)])).await;
    assert_eq!(states(&store).await, are(&[(0, "succeeded"), (1, "queued")]));
}

async fn what_waits_for_an_ended_job_fails_at_submission(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["none"]"#, "0")).await;
    let session = store.session("w").await;
    diverge_next(&store, session).await;
    let text = format!("max_failed_jobs = 1\n{}", waiting_text("b", "[0, 1, 2, 3]", &[(1, 0), (2, 1)]));
    let sweep = store.submit_text(&text).await.sweep;
    assert_eq!(states(&store).await, are(&[(0, "diverged"), (1, "failed"), (2, "failed"), (3, "queued")]));
    let row = store.reader().sweep_activity(sweep).await.unwrap().sweep;
    assert_eq!((row.state.as_str(), row.n_failed, row.n_queued), ("running", 2, 1), "a breaker counts what failed by itself");
}

async fn circles_over_two_sweeps_are_refused_whole(store: Fixture) {
    store.submit_text(&waiting_text("a", "[0, 1, 2]", &[(0, 1), (1, 2)])).await;
    let text = waiting_text("b", "[0, 2, 3]", &[(2, 3), (3, 0)]);
    let error = store.submit(&parse(&text), &text, &by("me"), START_US).await.unwrap_err();
    let SubmitError::Cycle(names) = &error else { panic!("{error}") };
    // 0 waits for 1, for 2, for 3, for 0: five names, wherever it begins.
    assert_eq!((names.len(), names.first()), (5, names.last()));
    let mut named: Vec<&str> = names[1..].iter().map(String::as_str).collect();
    let ids: Vec<String> = parse(&waiting_text("c", "[0, 1, 2, 3]", &[])).jobs().map(|job| job.config.key().id().to_owned()).collect();
    let mut expected: Vec<&str> = ids.iter().map(String::as_str).collect();
    named.sort_unstable();
    expected.sort_unstable();
    assert_eq!(named, expected);
    assert!(error.to_string().contains("` waits for `") && error.hint().unwrap().contains("reuse = false"));
    assert_eq!((store.count("sweeps").await, store.count("jobs").await, store.count("job_dependencies").await), (1, 3, 2));
    assert_eq!(states(&store).await, are(&[(0, "blocked"), (1, "blocked"), (2, "queued")]));
    // With jobs of its own, the second sweep waits for nobody's.
    let apart = format!("reuse = false\n{text}");
    assert!(store.submit_text(&apart).await.created);
    assert_eq!(store.count("jobs").await, 6);
}

async fn a_waiting_job_counts_in_its_place(store: Fixture) {
    store.submit_text(&waiting_text("a", "[0, 1, 2, 3]", &[(1, 0)])).await;
    let session = store.session("w").await;
    store.complete_next(session, &[(1.0, 0.5)]).await;
    let order: Vec<u64> = store.claim(session, 9, START_US).await.iter().map(seed).collect();
    assert_eq!(order, [1, 2, 3], "once it is free, it comes before what stands behind it");
}
