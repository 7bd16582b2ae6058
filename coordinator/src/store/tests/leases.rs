use std::collections::HashSet;

use offramp_domain::outcome::{FailureKind, Progress};

use super::*;

on_both_engines! {
    jobs_are_claimed_oldest_first_each_once,
    concurrent_claims_never_hand_a_job_out_twice,
    a_lease_that_ran_out_is_lost_and_its_holder_fenced,
    heartbeats_keep_a_lease,
    finished_epochs_are_kept_once_and_by_attempt,
    failures_back_off_and_end,
    divergence_is_final_at_once,
    losing_and_giving_back_cost_no_failure,
    a_long_failure_message_is_cut,
    unknown_jobs_are_stale,
    times_from_a_clock_that_was_set_back_are_mended,
}

/// Queues a job a seed.
async fn with_jobs(store: &Store, seeds: &str) -> SessionId {
    store.submit_text(&sweep_text("a", r#"["none"]"#, seeds)).await;
    store.session("w").await
}

async fn jobs_are_claimed_oldest_first_each_once(store: Fixture) {
    let session = with_jobs(&store, "[5, 3, 4]").await;
    let seed = |job: &ClaimedJob| offramp_domain::job::JobConfig::from_json(&job.config_json).unwrap().seed;
    let first = store.claim(session, 2, START_US).await;
    assert_eq!(first.iter().map(seed).collect::<Vec<_>>(), [5, 3]);
    assert!(first.iter().all(|job| job.attempt.attempt == 1));
    let rest = store.claim(session, 64, START_US).await;
    assert_eq!(rest.iter().map(seed).collect::<Vec<_>>(), [4]);
    assert_eq!(store.claim(session, 64, START_US).await, []);
}

async fn concurrent_claims_never_hand_a_job_out_twice(store: Fixture) {
    with_jobs(&store, "{ from = 0, to = 59 }").await;
    let mut claims = tokio::task::JoinSet::new();
    for worker in 0..8 {
        let store = store.store.clone();
        claims.spawn(async move {
            let session = store.session(&format!("w{worker}")).await;
            let mut mine = Vec::new();
            loop {
                let jobs = store.claim(session, 2, START_US).await;
                if jobs.is_empty() {
                    return mine;
                }
                mine.extend(jobs.into_iter().map(|job| job.attempt));
            }
        });
    }
    let claimed: Vec<AttemptRef> = claims.join_all().await.into_iter().flatten().collect();
    assert_eq!(claimed.len(), 60);
    assert_eq!(claimed.iter().collect::<HashSet<_>>().len(), 60);
    assert!(claimed.iter().all(|attempt| attempt.attempt == 1));
}

async fn a_lease_that_ran_out_is_lost_and_its_holder_fenced(store: Fixture) {
    let slow = with_jobs(&store, "[0]").await;
    let fast = store.session("fast").await;
    let job = store.claim_one(slow, START_US).await.unwrap();
    let first = job.attempt;
    assert_eq!(store.lost(START_US + LEASE_US - 1).await, []);
    assert_eq!(store.lost(START_US + LEASE_US).await, std::slice::from_ref(&first));
    assert_eq!(store.lost(START_US + LEASE_US).await, [], "a lease is lost once");

    let later = START_US + 2 * LEASE_US;
    let second = store.claim_one(fast, later).await.unwrap().attempt;
    assert_eq!((&second.key, second.attempt), (&first.key, 2));
    let result = |accuracy| outcome(&job.config_json, accuracy, &[(1.0, accuracy)]);
    // Whatever the slow worker says now changes nothing.
    assert_eq!(store.complete(slow, &first, &result(0.1), later).await, Answer::Stale);
    assert_eq!(store.fail(slow, &first, FailureKind::Diverged, "nan", later).await, Answer::Stale);
    for attempt in [&first, &second] {
        assert_eq!(store.give_back(slow, attempt, later).await, Answer::Stale);
    }
    assert_eq!(store.beat(slow, &[&first, &second], later).await.unwrap().stale, [first.clone(), second.clone()]);
    // Nor does it speak for the other worker's attempt.
    assert_eq!(store.complete(slow, &second, &result(0.2), later).await, Answer::Stale);

    assert_eq!(store.complete(fast, &second, &result(0.9), later).await, Answer::Accepted);
    assert_eq!(store.complete(slow, &first, &result(0.1), later).await, Answer::Stale);
    let job = store.job(&second).await;
    assert_eq!((job.state.as_str(), job.attempt, job.n_failures, job.final_accuracy), ("succeeded", 2, 0, Some(0.9)));
    assert_eq!(store.attempt_outcomes(&first).await, ["lost", "succeeded"]);
}

async fn heartbeats_keep_a_lease(store: Fixture) {
    let session = with_jobs(&store, "[0]").await;
    let attempt = store.claim_one(session, START_US).await.unwrap().attempt;
    let mut now_us = START_US;
    for _ in 0..5 {
        now_us += LEASE_US - 1;
        assert_eq!(store.beat(session, &[&attempt], now_us).await.unwrap().stale, []);
        assert_eq!(store.lost(now_us).await, []);
    }
    assert_eq!(store.lost(now_us + LEASE_US).await, [attempt]);
}

async fn finished_epochs_are_kept_once_and_by_attempt(store: Fixture) {
    let session = with_jobs(&store, "[0]").await;
    let progress = |epoch, loss| Progress { epoch, n_epochs: 9, loss, exit_accuracy: vec![0.25, 0.1 + 0.2], images_per_second: 1234.5 };
    let beat = async |attempt: &AttemptRef, progress| {
        let beats = Some(vec![Beat { attempt: attempt.clone(), progress: Some(progress) }]);
        assert_eq!(store.ask(Request { beats, ..Request::new(session) }, START_US).await.unwrap(), Reply::default());
    };
    let first = store.claim_one(session, START_US).await.unwrap().attempt;
    for (epoch, loss) in [(0, f64::NAN), (1, 2.5), (1, 2.5), (3, f64::NAN), (4, f64::INFINITY)] {
        beat(&first, progress(epoch, loss)).await;
    }
    let epochs = store.reader().job(first.key.id()).await.unwrap().epochs;
    assert_eq!(epochs.iter().map(|epoch| epoch.epoch).collect::<Vec<_>>(), [1, 3, 4], "epoch 0 is none");
    assert_eq!(
        (epochs[0].loss, epochs[0].exit_accuracy.as_slice(), epochs[0].images_per_second),
        (2.5, [0.25, 0.1 + 0.2].as_slice(), 1234.5)
    );
    assert!(epochs[1].loss.is_nan() && epochs[2].loss.is_nan());

    store.give_back(session, &first, START_US).await;
    let second = store.claim_one(session, START_US).await.unwrap().attempt;
    beat(&second, progress(1, 2.0)).await;
    let epochs = store.reader().job(second.key.id()).await.unwrap().epochs;
    assert_eq!(epochs.iter().map(|epoch| (epoch.attempt, epoch.epoch)).collect::<Vec<_>>(), [(2, 1)], "the newest attempt's alone");
}

async fn failures_back_off_and_end(store: Fixture) {
    let session = with_jobs(&store, "[0]").await;
    let mut now_us = START_US;
    // The delay after the n-th failure is between half of and a whole 1 s, 2 s, ...
    for (attempt_number, kind, delay_us) in [(1, FailureKind::Failed, SECOND_US), (2, FailureKind::OutOfMemory, 2 * SECOND_US)] {
        let attempt = store.claim_one(session, now_us).await.unwrap().attempt;
        assert_eq!(attempt.attempt, attempt_number);
        assert_eq!(store.fail(session, &attempt, kind, "out of luck", now_us).await, Answer::Accepted);
        // The worker did not hear the answer and says it again.
        assert_eq!(store.fail(session, &attempt, kind, "out of luck", now_us).await, Answer::Accepted);
        let job = store.job(&attempt).await;
        assert_eq!((job.state.as_str(), job.n_failures, job.error.as_str()), ("queued", attempt_number, "out of luck"));
        assert!(!store.expire(now_us + delay_us / 2 - 1).await.unwrap().promoted);
        assert_eq!(store.claim_one(session, now_us + delay_us / 2 - 1).await, None);
        now_us += delay_us;
        assert!(store.expire(now_us).await.unwrap().promoted);
    }
    let last = store.claim_one(session, now_us).await.unwrap().attempt;
    assert_eq!(store.fail(session, &last, FailureKind::Failed, "for good", now_us).await, Answer::Accepted);
    let job = store.job(&last).await;
    assert_eq!((job.state.as_str(), job.n_failures, job.error.as_str(), job.finished_us), ("failed", 3, "for good", Some(now_us)));
    // Longer than the longest back-off.
    assert!(!store.expire(now_us + 400 * SECOND_US).await.unwrap().promoted);
    assert_eq!(store.claim_one(session, now_us + 400 * SECOND_US).await, None);
    assert_eq!(store.attempt_outcomes(&last).await, ["failed", "out-of-memory", "failed"]);
    assert_eq!(store.reader().sweep("last").await.unwrap().state, "finished");
}

async fn divergence_is_final_at_once(store: Fixture) {
    let session = with_jobs(&store, "[0, 1]").await;
    let attempt = store.claim_one(session, START_US).await.unwrap().attempt;
    assert_eq!(store.fail(session, &attempt, FailureKind::Diverged, "loss is NaN", START_US).await, Answer::Accepted);
    let job = store.job(&attempt).await;
    assert_eq!((job.state.as_str(), job.n_failures), ("diverged", 0));
    let sweep = store.reader().sweep("last").await.unwrap();
    assert_eq!((sweep.state.as_str(), sweep.n_queued, sweep.n_diverged), ("running", 1, 1));
}

async fn losing_and_giving_back_cost_no_failure(store: Fixture) {
    let session = with_jobs(&store, "[0]").await;
    let failed = store.claim_one(session, START_US).await.unwrap().attempt;
    store.fail(session, &failed, FailureKind::Failed, "once", START_US).await;
    let mut now_us = START_US + SECOND_US;
    assert!(store.expire(now_us).await.unwrap().promoted);
    for _ in 0..5 {
        let attempt = store.claim_one(session, now_us).await.unwrap().attempt;
        for _ in 0..2 {
            assert_eq!(store.give_back(session, &attempt, now_us).await, Answer::Accepted);
        }
        store.claim_one(session, now_us).await.expect("a job given back is claimable at once");
        now_us += LEASE_US;
        assert_eq!(store.lost(now_us).await.len(), 1);
    }
    let job = store.job(&failed).await;
    assert_eq!((job.state.as_str(), job.attempt, job.n_failures, job.error.as_str()), ("queued", 11, 1, "once"));
    let ends = store.attempt_outcomes(&failed).await;
    assert_eq!(ends[..3], ["failed", "preempted", "lost"]);
}

async fn a_long_failure_message_is_cut(store: Fixture) {
    let session = with_jobs(&store, "[0]").await;
    let attempt = store.claim_one(session, START_US).await.unwrap().attempt;
    store.fail(session, &attempt, FailureKind::Failed, &"ü".repeat(100_000), START_US).await;
    assert_eq!(store.job(&attempt).await.error, "ü".repeat(8_000));
}

async fn unknown_jobs_are_stale(store: Fixture) {
    let session = with_jobs(&store, "[0]").await;
    let key = offramp_domain::job::JobKey::parse("0123456789abcdef0123456789abcdef").unwrap();
    let attempt = AttemptRef { key, attempt: 1 };
    let result = outcome(&store.claim_one(session, START_US).await.unwrap().config_json, 0.5, &[(1.0, 0.5)]);
    assert_eq!(store.complete(session, &attempt, &result, START_US).await, Answer::Stale);
    assert_eq!(store.fail(session, &attempt, FailureKind::Failed, "", START_US).await, Answer::Stale);
    assert_eq!(store.beat(session, &[&attempt], START_US).await.unwrap().stale, [attempt]);
}

async fn times_from_a_clock_that_was_set_back_are_mended(store: Fixture) {
    let session = with_jobs(&store, "[0, 1, 2]").await;
    let year_us = 365 * 24 * 3_600 * SECOND_US;
    let leased = store.claim_one(session, START_US + year_us).await.unwrap().attempt;
    let failed = store.claim_one(session, START_US + year_us).await.unwrap().attempt;
    store.fail(session, &failed, FailureKind::Failed, "", START_US + year_us).await;
    let sound = store.claim_one(session, START_US).await.unwrap().attempt;
    store.mend_times(START_US + SECOND_US, LEASE_US).await.unwrap();
    // The sound lease keeps its time, the other gets what a new one would have.
    assert_eq!(store.lost(START_US + LEASE_US).await, [sound]);
    assert_eq!(store.lost(START_US + SECOND_US + LEASE_US).await, [leased]);
    // The longest back-off is five minutes.
    let after_us = START_US + 301 * SECOND_US;
    let claimed = store.claim(session, 64, after_us - 1).await;
    assert!(claimed.iter().all(|job| job.attempt.key != failed.key));
    assert!(store.expire(after_us).await.unwrap().promoted);
    assert_eq!(store.claim_one(session, after_us).await.unwrap().attempt.key, failed.key);
}
