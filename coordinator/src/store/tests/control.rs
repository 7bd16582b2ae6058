//! What people do to sweeps and jobs.

use offramp_domain::job::JobKey;
use offramp_domain::lifecycle::State;

use super::*;

on_both_engines! {
    a_paused_sweep_hands_nothing_out_and_its_running_jobs_go_on,
    a_cancelled_sweep_ends_what_no_other_sweep_wants,
    a_cancelled_job_is_heard_of_and_its_late_report_recorded_once,
    what_was_complete_before_the_cancellation_stays_so,
    cancelling_what_is_over_says_so,
    a_cancelled_sweep_is_taken_up_again,
    failed_jobs_get_as_many_tries_again,
    only_the_states_that_are_asked_for_are_retried,
    a_retried_job_of_a_cancelled_sweep_is_handed_out,
    a_retried_job_of_a_paused_sweep_waits_with_it,
    jobs_that_are_not_over_or_have_their_result_are_not_retried,
    a_job_that_crashes_trainers_on_two_workers_is_quarantined,
    a_job_that_crashes_one_worker_again_and_again_is_not_quarantined,
    a_retry_forgets_crashes,
    the_breaker_pauses_a_sweep_and_resuming_forgives,
    divergence_trips_no_breaker,
    cancelled_jobs_are_wanted_again_by_a_new_sweep,
    a_drained_worker_gets_nothing_more,
}

async fn with_jobs(store: &Store, name: &str, seeds: &str) -> (i64, SessionId) {
    let sweep = store.submit_text(&sweep_text(name, r#"["none"]"#, seeds)).await.sweep;
    (sweep, store.session("w").await)
}

fn because(reason: &str) -> Requester {
    Requester { who: "me@here".into(), reason: reason.into() }
}

async fn states(store: &Store) -> Vec<String> {
    store.jobs().await.into_iter().map(|job| job.state).collect()
}

async fn key(store: &Store, index: usize) -> JobKey {
    JobKey::parse(&store.jobs().await[index].job_key).unwrap()
}

/// Fails a job until it is over.
async fn fail_for_good(store: &Store, session: SessionId) -> AttemptRef {
    let mut now_us = START_US;
    let first = store.claim_one(session, now_us).await.unwrap().attempt;
    for attempt in first.attempt.. {
        let attempt = AttemptRef { attempt, ..first.clone() };
        assert_eq!(store.fail(session, &attempt, FailureKind::Failed, "broken", now_us).await, Answer::Accepted);
        if store.job(&attempt).await.state == "failed" {
            return attempt;
        }
        now_us += 10 * SECOND_US;
        store.expire(now_us).await.unwrap();
        assert_eq!(store.claim_one(session, now_us).await.unwrap().attempt.attempt, attempt.attempt + 1);
    }
    unreachable!("every attempt counts")
}

async fn a_paused_sweep_hands_nothing_out_and_its_running_jobs_go_on(store: Fixture) {
    let (sweep, session) = with_jobs(&store, "a", "[0, 1, 2]").await;
    let running = store.claim_one(session, START_US).await.unwrap();
    let paused = store.pause(sweep, &because("lunch"), START_US).await.unwrap();
    assert!(paused.changed);
    assert_eq!(paused.ended, []);
    let row = store.reader().sweep("a").await.unwrap();
    assert_eq!((row.state.as_str(), row.note.as_str()), ("paused", "paused by me@here: lunch"));
    assert_eq!(store.claim(session, 9, START_US).await, []);
    assert_eq!(store.pause(sweep, &because("again"), START_US).await.unwrap(), Controlled::default());
    let result = outcome(&running.config_json, 0.9, &[(1.0, 0.9)]);
    assert_eq!(store.complete(session, &running.attempt, &result, START_US).await, Answer::Accepted);

    assert!(store.resume(sweep, &because(""), START_US).await.unwrap().changed);
    assert_eq!(store.resume(sweep, &because(""), START_US).await.unwrap(), Controlled::default());
    let row = store.reader().sweep("a").await.unwrap();
    assert_eq!((row.state.as_str(), row.note.as_str()), ("running", ""));
    assert_eq!(store.claim(session, 9, START_US).await.len(), 2);
}

async fn a_cancelled_sweep_ends_what_no_other_sweep_wants(store: Fixture) {
    let text = |name: &str, seeds| {
        let after = "[[after]]\njob = { seed = 5 }\nwait_for = { seed = 4 }\n";
        format!("{}{after}", sweep_text(name, r#"["none"]"#, seeds))
    };
    let sweep = store.submit_text(&text("a", "[0, 1, 2, 3, 4, 5]")).await.sweep;
    let other = store.submit_text(&sweep_text("b", r#"["none"]"#, "[2, 3]")).await.sweep;
    let session = store.session("w").await;
    let done = store.complete_next(session, &[(1.0, 0.5)]).await;
    let leased = store.claim_one(session, START_US).await.unwrap().attempt;
    let shared = store.claim_one(session, START_US).await.unwrap().attempt;
    assert_eq!(states(&store).await, ["succeeded", "leased", "leased", "queued", "queued", "blocked"]);

    let cancelled = store.cancel_sweep(sweep, &because("wrong data"), START_US + 1).await.unwrap();
    assert_eq!(cancelled, Controlled { n_jobs: 3, changed: true, ended: vec![leased.clone()] });
    assert_eq!(states(&store).await, ["succeeded", "cancelled", "leased", "queued", "cancelled", "cancelled"]);
    assert_eq!(store.job(&leased).await.error, "cancelled by me@here: wrong data");
    assert_eq!(store.attempt_outcomes(&leased).await, ["cancelled"]);
    assert_eq!(store.job(&done).await.state, "succeeded");
    let row = store.reader().sweep_activity(sweep).await.unwrap().sweep;
    assert_eq!((row.state.as_str(), row.n_cancelled, row.note.as_str()), ("cancelled", 3, "cancelled by me@here: wrong data"));
    assert_eq!(store.cancel_sweep(sweep, &because("again"), START_US).await.unwrap(), Controlled::default());

    let reply = store.beat(session, &[&leased, &shared], START_US).await.unwrap();
    assert_eq!((reply.stale, reply.cancelled), (vec![leased.clone()], vec![leased]));
    // The other sweep's jobs are handed out for its sake.
    assert_eq!(store.claim(session, 9, START_US).await.len(), 1);
    let refused = [store.pause(sweep, &because(""), START_US).await, store.resume(sweep, &because(""), START_US).await];
    for refused in refused {
        let error = refused.unwrap_err();
        assert_eq!(error.to_string(), format!("sweep {sweep} was cancelled"));
        assert!(error.hint().unwrap().contains("--cancelled"));
    }
    assert_eq!(store.cancel_sweep(other, &because(""), START_US).await.unwrap().ended.len(), 2, "now nobody wants them");
}

async fn a_cancelled_job_is_heard_of_and_its_late_report_recorded_once(store: Fixture) {
    let (_, session) = with_jobs(&store, "a", "[0]").await;
    let job = store.claim_one(session, START_US).await.unwrap();
    let cancelled = store.cancel_job(&job.attempt.key, &because("typo"), START_US + 1).await.unwrap();
    assert_eq!(cancelled, Controlled { n_jobs: 1, changed: true, ended: vec![job.attempt.clone()] });
    assert_eq!(store.cancel_job(&job.attempt.key, &because("typo"), START_US + 2).await.unwrap(), Controlled::default());

    let result = outcome(&job.config_json, 0.9, &[(1.0, 0.9)]);
    for _ in 0..2 {
        assert_eq!(store.complete(session, &job.attempt, &result, START_US + 3).await, Answer::Cancelled);
    }
    assert_eq!(store.fail(session, &job.attempt, FailureKind::Failed, "x", START_US + 4).await, Answer::Cancelled);
    assert_eq!(store.give_back(session, &job.attempt, START_US + 5).await, Answer::Cancelled);
    let detail = store.reader().job(job.attempt.key.id()).await.unwrap();
    assert_eq!(detail.job.unwrap().state, "cancelled");
    assert_eq!(store.count("results").await, 0);
    let told: Vec<(&str, &str, &str, i64)> =
        detail.events.iter().map(|event| (event.event.as_str(), event.who.as_str(), event.message.as_str(), event.at_us)).collect();
    let late = "a report came after the cancellation (succeeded); nothing was changed";
    let expected = [
        ("submitted", "somebody", "", START_US),
        ("claimed", "w", "", START_US),
        ("cancelled", "me@here", "typo", START_US + 1),
        ("reported-late", "w", late, START_US + 3),
    ];
    assert_eq!(told, expected);
}

async fn what_was_complete_before_the_cancellation_stays_so(store: Fixture) {
    let (sweep, session) = with_jobs(&store, "a", "[0]").await;
    let attempt = store.complete_next(session, &[(1.0, 0.5)]).await;
    let cancelled = store.cancel_sweep(sweep, &because(""), START_US).await.unwrap();
    assert_eq!((cancelled.n_jobs, cancelled.changed), (0, false));
    assert_eq!(store.reader().sweep_activity(sweep).await.unwrap().sweep.state, "finished");
    assert_eq!(store.job(&attempt).await.state, "succeeded");
    assert_eq!(store.reader().frontier(FrontierFilter::of_sweep(sweep, CostMetric::MacsCascade)).await.unwrap().len(), 1);
}

async fn cancelling_what_is_over_says_so(store: Fixture) {
    let (_, session) = with_jobs(&store, "a", "[0]").await;
    let attempt = store.complete_next(session, &[(1.0, 0.5)]).await;
    let error = store.cancel_job(&attempt.key, &because(""), START_US).await.unwrap_err();
    assert!(matches!(&error, ControlError::Over { state: State::Succeeded, .. }), "{error}");
    assert_eq!(error.to_string(), format!("job `{}` is succeeded already", attempt.key.id()));
}

async fn a_cancelled_sweep_is_taken_up_again(store: Fixture) {
    let (sweep, session) = with_jobs(&store, "a", "[0, 1, 2]").await;
    let leased = store.claim_one(session, START_US).await.unwrap().attempt;
    store.cancel_sweep(sweep, &because(""), START_US).await.unwrap();
    let none = RetryStates { failed: true, quarantined: true, cancelled: false };
    assert_eq!(store.retry_sweep(sweep, none, &because(""), START_US).await.unwrap(), Controlled::default());
    let retried = store.retry_sweep(sweep, RetryStates { cancelled: true, ..none }, &because("after all"), START_US).await.unwrap();
    assert_eq!((retried.n_jobs, retried.changed), (3, true));
    assert_eq!(store.reader().sweep("a").await.unwrap().state, "running");
    let claimed = store.claim(session, 9, START_US).await;
    assert_eq!(claimed.len(), 3);
    // The attempt of before is over for good: the new one has another number.
    let again = claimed.iter().find(|job| job.attempt.key == leased.key).unwrap();
    assert_eq!(again.attempt.attempt, 2);
    let result = outcome(&again.config_json, 0.9, &[(1.0, 0.9)]);
    assert_eq!(store.complete(session, &leased, &result, START_US).await, Answer::Cancelled);
    assert_eq!(store.complete(session, &again.attempt, &result, START_US).await, Answer::Accepted);
}

async fn failed_jobs_get_as_many_tries_again(store: Fixture) {
    let (sweep, session) = with_jobs(&store, "a", "[0, 1]").await;
    let failed = fail_for_good(&store, session).await;
    assert_eq!(failed.attempt, 3);
    let states = RetryStates { failed: true, ..RetryStates::default() };
    let retried = store.retry_sweep(sweep, states, &because(""), START_US).await.unwrap();
    assert_eq!((retried.n_jobs, retried.changed), (1, true));
    let row = store.job(&failed).await;
    assert_eq!((row.state.as_str(), row.attempt, row.n_failures, row.finished_us), ("queued", 3, 0, None));
    assert_eq!(fail_for_good(&store, session).await.attempt, 6);
    assert_eq!(store.retry_sweep(sweep, RetryStates::default(), &because(""), START_US).await.unwrap(), Controlled::default());
}

async fn only_the_states_that_are_asked_for_are_retried(store: Fixture) {
    let (sweep, session) = with_jobs(&store, "a", "[0, 1, 2, 3]").await;
    fail_for_good(&store, session).await;
    let diverged = store.claim_one(session, START_US).await.unwrap().attempt;
    store.fail(session, &diverged, FailureKind::Diverged, "nan", START_US).await;
    crash_on(&store, &["x", "y"]).await;
    store.cancel_job(&key(&store, 3).await, &because(""), START_US).await.unwrap();
    assert_eq!(states(&store).await, ["failed", "diverged", "quarantined", "cancelled"]);
    let retry = async |retried: RetryStates| {
        store.retry_sweep(sweep, retried, &because(""), START_US).await.unwrap();
        states(&store).await
    };
    let only = RetryStates::default();
    assert_eq!(retry(RetryStates { quarantined: true, ..only }).await, ["failed", "diverged", "queued", "cancelled"]);
    assert_eq!(retry(RetryStates { cancelled: true, ..only }).await, ["failed", "diverged", "queued", "queued"]);
    assert_eq!(retry(RetryStates { failed: true, ..only }).await, ["queued", "diverged", "queued", "queued"]);
    // One by one, every job that has no result.
    let retried = store.retry_job(&diverged.key, &because("other hardware"), START_US).await.unwrap();
    assert_eq!((retried.n_jobs, states(&store).await[1].as_str()), (1, "queued"));
}

async fn a_retried_job_of_a_cancelled_sweep_is_handed_out(store: Fixture) {
    let (sweep, session) = with_jobs(&store, "a", "[0, 1]").await;
    let failed = fail_for_good(&store, session).await;
    store.cancel_sweep(sweep, &because(""), START_US).await.unwrap();
    store.retry_job(&failed.key, &because(""), START_US).await.unwrap();
    assert_eq!(store.claim(session, 9, START_US).await.len(), 1, "and no other job of the sweep");
    assert_eq!(store.reader().sweep("a").await.unwrap().state, "running");
}

async fn a_retried_job_of_a_paused_sweep_waits_with_it(store: Fixture) {
    let (sweep, session) = with_jobs(&store, "a", "[0, 1]").await;
    let failed = fail_for_good(&store, session).await;
    store.pause(sweep, &because("later"), START_US).await.unwrap();
    store.retry_job(&failed.key, &because(""), START_US).await.unwrap();
    assert_eq!(store.claim(session, 9, START_US).await, []);
    store.resume(sweep, &because(""), START_US).await.unwrap();
    assert_eq!(store.claim(session, 9, START_US).await.len(), 2);
}

async fn jobs_that_are_not_over_or_have_their_result_are_not_retried(store: Fixture) {
    let (_, session) = with_jobs(&store, "a", "[0, 1]").await;
    let done = store.complete_next(session, &[(1.0, 0.5)]).await;
    let error = store.retry_job(&done.key, &because(""), START_US).await.unwrap_err();
    assert_eq!(error.to_string(), format!("job `{}` has its result, which is accepted once", done.key.id()));
    assert!(error.hint().unwrap().contains("reuse = false"));
    assert_eq!(store.retry_job(&key(&store, 1).await, &because(""), START_US).await.unwrap(), Controlled::default(), "it waits already");
    let leased = store.claim_one(session, START_US).await.unwrap().attempt;
    let error = store.retry_job(&leased.key, &because(""), START_US).await.unwrap_err();
    assert_eq!(error.to_string(), format!("job `{}` is leased: there is nothing to retry", leased.key.id()));
    assert_eq!(states(&store).await, ["succeeded", "leased"]);
}

/// Crashes the trainers of workers with the next job, one after the other.
async fn crash_on(store: &Store, workers: &[&str]) -> AttemptRef {
    let mut now_us = START_US;
    let mut last = None;
    for worker in workers {
        let session = store.session(worker).await;
        let attempt = store.claim_one(session, now_us).await.unwrap().attempt;
        assert_eq!(store.fail(session, &attempt, FailureKind::Crashed, "signal 11", now_us).await, Answer::Accepted);
        now_us += 10 * SECOND_US;
        store.expire(now_us).await.unwrap();
        last = Some(attempt);
    }
    last.unwrap()
}

async fn a_job_that_crashes_trainers_on_two_workers_is_quarantined(store: Fixture) {
    with_jobs(&store, "a", "[0]").await;
    let attempt = crash_on(&store, &["x", "y"]).await;
    let row = store.job(&attempt).await;
    assert_eq!((row.state.as_str(), row.n_failures, row.error.as_str()), ("quarantined", 2, "signal 11"));
    assert_eq!(store.attempt_outcomes(&attempt).await, ["crashed", "crashed"]);
}

async fn a_job_that_crashes_one_worker_again_and_again_is_not_quarantined(store: Fixture) {
    with_jobs(&store, "a", "[0]").await;
    let attempt = crash_on(&store, &["x", "x", "x"]).await;
    let row = store.job(&attempt).await;
    assert_eq!((row.state.as_str(), row.n_failures), ("failed", 3), "it may be the worker's fault");
}

async fn a_retry_forgets_crashes(store: Fixture) {
    with_jobs(&store, "a", "[0]").await;
    let attempt = crash_on(&store, &["x", "y"]).await;
    store.retry_job(&attempt.key, &because(""), START_US).await.unwrap();
    crash_on(&store, &["z"]).await;
    assert_eq!(store.job(&attempt).await.state, "queued", "one crash since");
    crash_on(&store, &["x"]).await;
    assert_eq!(store.job(&attempt).await.state, "quarantined");
}

async fn the_breaker_pauses_a_sweep_and_resuming_forgives(store: Fixture) {
    let text = format!("max_failed_jobs = 1\n{}", sweep_text("a", r#"["none"]"#, "{ from = 0, to = 9 }"));
    let sweep = store.submit_text(&text).await.sweep;
    let session = store.session("w").await;
    fail_for_good(&store, session).await;
    assert_eq!(store.reader().sweep("a").await.unwrap().state, "running", "one may fail");
    crash_on(&store, &["x", "y"]).await;
    let row = store.reader().sweep("a").await.unwrap();
    assert_eq!(row.state, "paused");
    assert_eq!(row.note, "paused by coordinator: circuit breaker: 2 jobs failed, at most 1 may");
    assert_eq!(store.claim(session, 9, START_US).await, []);

    store.resume(sweep, &because("seen"), START_US).await.unwrap();
    fail_for_good(&store, session).await;
    assert_eq!(store.reader().sweep("a").await.unwrap().state, "running", "it counts anew");
    fail_for_good(&store, session).await;
    assert_eq!(store.reader().sweep("a").await.unwrap().state, "paused");
    let states = RetryStates { failed: true, quarantined: true, ..RetryStates::default() };
    assert_eq!(store.retry_sweep(sweep, states, &because(""), START_US).await.unwrap().n_jobs, 4);
    let row = store.reader().sweep("a").await.unwrap();
    assert_eq!((row.state.as_str(), row.n_failed, row.n_queued), ("running", 0, 10));
}

async fn divergence_trips_no_breaker(store: Fixture) {
    let text = format!("max_failed_jobs = 0\n{}", sweep_text("a", r#"["none"]"#, "[0, 1, 2]"));
    store.submit_text(&text).await;
    let session = store.session("w").await;
    let diverged = store.claim_one(session, START_US).await.unwrap().attempt;
    store.fail(session, &diverged, FailureKind::Diverged, "nan", START_US).await;
    assert_eq!(store.reader().sweep("a").await.unwrap().state, "running");
    fail_for_good(&store, session).await;
    let row = store.reader().sweep("a").await.unwrap();
    assert_eq!((row.state.as_str(), row.n_failed, row.n_diverged, row.n_queued), ("paused", 1, 1, 1));
}

async fn cancelled_jobs_are_wanted_again_by_a_new_sweep(store: Fixture) {
    let (sweep, session) = with_jobs(&store, "a", "[0, 1, 2]").await;
    store.cancel_sweep(sweep, &because(""), START_US).await.unwrap();
    let new = store.submit_text(&sweep_text("b", r#"["none"]"#, "[1, 2, 3]")).await;
    assert_eq!((new.created, new.before.n_known_jobs), (true, 2));
    assert_eq!(states(&store).await, ["cancelled", "queued", "queued", "queued"]);
    assert_eq!(store.claim(session, 9, START_US).await.len(), 3);
    assert_eq!(store.reader().sweep("a").await.unwrap().state, "cancelled");
}

async fn a_drained_worker_gets_nothing_more(store: Fixture) {
    let (_, session) = with_jobs(&store, "a", "[0, 1, 2]").await;
    let other = store.session("other").await;
    let running = store.claim_one(session, START_US).await.unwrap();
    assert_eq!(store.drain("w", false).await.unwrap(), 1);
    assert_eq!(store.drain("w", false).await.unwrap(), 0, "said once");
    assert_eq!(store.drain("nobody", false).await.unwrap(), 0);
    let claim = Request { n_jobs: 2, ..Request::new(session) };
    let reply = store.ask(claim, START_US).await.unwrap();
    assert_eq!((reply.claimed, reply.draining), (vec![], 1));
    let reply = store.beat(session, &[&running.attempt], START_US).await.unwrap();
    assert_eq!((reply.stale, reply.draining), (vec![], 1), "its running job goes on");
    assert_eq!(store.drain("w", true).await.unwrap(), 1, "at once, this time");
    assert_eq!(store.drain("w", false).await.unwrap(), 0, "a stronger order stays");
    assert_eq!(store.beat(session, &[&running.attempt], START_US).await.unwrap().draining, 2);
    let result = outcome(&running.config_json, 0.9, &[(1.0, 0.9)]);
    assert_eq!(store.complete(session, &running.attempt, &result, START_US).await, Answer::Accepted);
    assert_eq!(store.claim(other, 9, START_US).await.len(), 2);
    let rows = store.reader().workers(false, 9).await.unwrap();
    assert_eq!(
        rows.iter().map(|row| (row.worker.as_str(), row.state.as_str())).collect::<Vec<_>>(),
        [("other", "open"), ("w", "draining")]
    );
}
