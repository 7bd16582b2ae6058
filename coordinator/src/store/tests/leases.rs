use std::collections::HashSet;

use offramp_domain::outcome::{FailureKind, Progress};

use super::*;

async fn with_jobs(seeds: &str) -> (Fixture, SessionId) {
    let store = fixture().await;
    store.submit_text(&sweep_text("a", r#"["none"]"#, seeds)).await;
    let session = store.session("w").await;
    (store, session)
}

#[tokio::test]
async fn jobs_are_claimed_oldest_first_each_once() {
    let (store, session) = with_jobs("[5, 3, 4]").await;
    assert!(store.claimable(None, START_US).await.unwrap());
    let seed = |job: &ClaimedJob| offramp_domain::job::JobConfig::from_json(&job.config_json).unwrap().seed;
    let first = store.claim(session, 2, None, START_US, LEASE_US).await.unwrap();
    assert_eq!(first.iter().map(seed).collect::<Vec<_>>(), [5, 3]);
    assert!(first.iter().all(|job| job.attempt.attempt == 1));
    let rest = store.claim(session, 64, None, START_US, LEASE_US).await.unwrap();
    assert_eq!(rest.iter().map(seed).collect::<Vec<_>>(), [4]);
    assert!(!store.claimable(None, START_US).await.unwrap());
    assert_eq!(store.claim(session, 64, None, START_US, LEASE_US).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_claims_never_hand_a_job_out_twice() {
    let seeds: Vec<String> = (0..60).map(|seed| seed.to_string()).collect();
    let (store, _) = with_jobs(&format!("[{}]", seeds.join(","))).await;
    let mut claims = tokio::task::JoinSet::new();
    for worker in 0..8 {
        let store = store.store.clone();
        claims.spawn(async move {
            let session = store.open_session(&new_session(&format!("w{worker}"), false), START_US).await.unwrap();
            let mut mine = Vec::new();
            loop {
                let jobs = store.claim(session, 2, None, START_US, LEASE_US).await.unwrap();
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

#[tokio::test]
async fn a_lease_that_ran_out_is_lost_and_its_holder_fenced() {
    let (store, slow) = with_jobs("[0]").await;
    let fast = store.session("fast").await;
    let job = store.claim_one(slow, START_US).await.unwrap();
    let first = job.attempt;
    assert_eq!(store.expire(START_US + LEASE_US - 1).await.unwrap(), []);
    assert_eq!(store.expire(START_US + LEASE_US).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(store.expire(START_US + LEASE_US).await.unwrap(), [], "a lease is lost once");

    let later = START_US + 2 * LEASE_US;
    let second = store.claim_one(fast, later).await.unwrap().attempt;
    assert_eq!((&second.key, second.attempt), (&first.key, 2));
    let result = |accuracy| outcome(&job.config_json, accuracy, &[(1.0, accuracy)]);
    // Whatever the slow worker says now changes nothing.
    assert_eq!(store.complete(slow, &first, &result(0.1), later).await.unwrap(), Report::Stale);
    assert_eq!(store.fail(slow, &first, FailureKind::Diverged, "nan", later).await.unwrap(), Report::Stale);
    store.release(slow, &[first.clone(), second.clone()], later).await.unwrap();
    let beats = [&first, &second].map(|attempt| Beat { attempt: attempt.clone(), progress: None });
    assert_eq!(store.heartbeat(slow, &beats, later, LEASE_US).await.unwrap(), [first.clone(), second.clone()]);
    // Nor does it speak for the other worker's attempt.
    assert_eq!(store.complete(slow, &second, &result(0.2), later).await.unwrap(), Report::Stale);

    assert_eq!(store.complete(fast, &second, &result(0.9), later).await.unwrap(), Report::Accepted);
    assert_eq!(store.complete(slow, &first, &result(0.1), later).await.unwrap(), Report::Stale);
    let job = store.job(&second).await;
    assert_eq!((job.state.as_str(), job.attempt, job.n_failures, job.final_accuracy), ("succeeded", 2, 0, Some(0.9)));
    assert_eq!(store.attempt_outcomes(&first).await, ["lost", "succeeded"]);
}

#[tokio::test]
async fn heartbeats_keep_a_lease() {
    let (store, session) = with_jobs("[0]").await;
    let attempt = store.claim_one(session, START_US).await.unwrap().attempt;
    let beat = [Beat { attempt: attempt.clone(), progress: None }];
    let mut now_us = START_US;
    for _ in 0..5 {
        now_us += LEASE_US - 1;
        assert_eq!(store.heartbeat(session, &beat, now_us, LEASE_US).await.unwrap(), []);
        assert_eq!(store.expire(now_us).await.unwrap(), []);
    }
    assert_eq!(store.expire(now_us + LEASE_US).await.unwrap(), [attempt]);
}

#[tokio::test]
async fn finished_epochs_are_kept_once_and_by_attempt() {
    let (store, session) = with_jobs("[0]").await;
    let progress = |epoch, loss| Progress { epoch, n_epochs: 9, loss, exit_accuracy: vec![0.25, 0.1 + 0.2], images_per_second: 1234.5 };
    let beat = |attempt: &AttemptRef, progress| [Beat { attempt: attempt.clone(), progress: Some(progress) }];
    let first = store.claim_one(session, START_US).await.unwrap().attempt;
    for (epoch, loss) in [(0, f64::NAN), (1, 2.5), (1, 2.5), (3, f64::NAN), (4, f64::INFINITY)] {
        store.heartbeat(session, &beat(&first, progress(epoch, loss)), START_US, LEASE_US).await.unwrap();
    }
    let epochs = store.reader().job(first.key.id()).await.unwrap().epochs;
    assert_eq!(epochs.iter().map(|epoch| epoch.epoch).collect::<Vec<_>>(), [1, 3, 4], "epoch 0 is none");
    assert_eq!(
        (epochs[0].loss, epochs[0].exit_accuracy.as_slice(), epochs[0].images_per_second),
        (2.5, [0.25, 0.1 + 0.2].as_slice(), 1234.5)
    );
    assert!(epochs[1].loss.is_nan() && epochs[2].loss.is_nan());

    store.release(session, &[first], START_US).await.unwrap();
    let second = store.claim_one(session, START_US).await.unwrap().attempt;
    store.heartbeat(session, &beat(&second, progress(1, 2.0)), START_US, LEASE_US).await.unwrap();
    let epochs = store.reader().job(second.key.id()).await.unwrap().epochs;
    assert_eq!(epochs.iter().map(|epoch| (epoch.attempt, epoch.epoch)).collect::<Vec<_>>(), [(2, 1)], "the newest attempt's alone");
}

#[tokio::test]
async fn failures_back_off_and_end() {
    let (store, session) = with_jobs("[0]").await;
    let mut now_us = START_US;
    // The delay after the n-th failure is between half of and a whole 1 s, 2 s, ...
    for (attempt_number, kind, delay_us) in [(1, FailureKind::Failed, SECOND_US), (2, FailureKind::OutOfMemory, 2 * SECOND_US)] {
        let attempt = store.claim_one(session, now_us).await.unwrap().attempt;
        assert_eq!(attempt.attempt, attempt_number);
        assert_eq!(store.fail(session, &attempt, kind, "out of luck", now_us).await.unwrap(), Report::Accepted);
        // The worker did not hear the answer and says it again.
        assert_eq!(store.fail(session, &attempt, kind, "out of luck", now_us).await.unwrap(), Report::Accepted);
        let job = store.job(&attempt).await;
        assert_eq!((job.state.as_str(), job.n_failures, job.error.as_str()), ("queued", attempt_number, "out of luck"));
        assert!(!store.claimable(None, now_us + delay_us / 2 - 1).await.unwrap());
        assert_eq!(store.claim_one(session, now_us + delay_us / 2 - 1).await, None);
        now_us += delay_us;
        assert!(store.claimable(None, now_us).await.unwrap());
    }
    let last = store.claim_one(session, now_us).await.unwrap().attempt;
    assert_eq!(store.fail(session, &last, FailureKind::Failed, "for good", now_us).await.unwrap(), Report::Accepted);
    let job = store.job(&last).await;
    assert_eq!((job.state.as_str(), job.n_failures, job.error.as_str(), job.finished_us), ("failed", 3, "for good", Some(now_us)));
    assert!(!store.claimable(None, now_us + 10_000 * SECOND_US).await.unwrap());
    assert_eq!(store.attempt_outcomes(&last).await, ["failed", "out-of-memory", "failed"]);
    assert_eq!(store.reader().sweep("last").await.unwrap().state, "finished");
}

#[tokio::test]
async fn divergence_is_final_at_once() {
    let (store, session) = with_jobs("[0, 1]").await;
    let attempt = store.claim_one(session, START_US).await.unwrap().attempt;
    assert_eq!(store.fail(session, &attempt, FailureKind::Diverged, "loss is NaN", START_US).await.unwrap(), Report::Accepted);
    let job = store.job(&attempt).await;
    assert_eq!((job.state.as_str(), job.n_failures), ("diverged", 0));
    let sweep = store.reader().sweep("last").await.unwrap();
    assert_eq!((sweep.state.as_str(), sweep.n_queued, sweep.n_diverged), ("running", 1, 1));
}

#[tokio::test]
async fn losing_and_releasing_cost_no_failure() {
    let (store, session) = with_jobs("[0]").await;
    let failed = store.claim_one(session, START_US).await.unwrap().attempt;
    store.fail(session, &failed, FailureKind::Failed, "once", START_US).await.unwrap();
    let mut now_us = START_US + SECOND_US;
    for _ in 0..5 {
        let attempt = store.claim_one(session, now_us).await.unwrap().attempt;
        store.release(session, std::slice::from_ref(&attempt), now_us).await.unwrap();
        store.release(session, std::slice::from_ref(&attempt), now_us).await.unwrap();
        store.claim_one(session, now_us).await.expect("a released job is claimable at once");
        now_us += LEASE_US;
        assert_eq!(store.expire(now_us).await.unwrap().len(), 1);
    }
    let job = store.job(&failed).await;
    assert_eq!((job.state.as_str(), job.attempt, job.n_failures, job.error.as_str()), ("queued", 11, 1, "once"));
    let ends = store.attempt_outcomes(&failed).await;
    assert_eq!(ends[..3], ["failed", "released", "lost"]);
}

#[tokio::test]
async fn a_long_failure_message_is_cut() {
    let (store, session) = with_jobs("[0]").await;
    let attempt = store.claim_one(session, START_US).await.unwrap().attempt;
    store.fail(session, &attempt, FailureKind::Failed, &"ü".repeat(100_000), START_US).await.unwrap();
    assert_eq!(store.job(&attempt).await.error, "ü".repeat(8_000));
}

#[tokio::test]
async fn unknown_jobs_are_stale() {
    let (store, session) = with_jobs("[0]").await;
    let key = offramp_domain::job::JobKey::parse("0123456789abcdef0123456789abcdef").unwrap();
    let attempt = AttemptRef { key, attempt: 1 };
    let result = outcome(&store.claim_one(session, START_US).await.unwrap().config_json, 0.5, &[(1.0, 0.5)]);
    assert_eq!(store.complete(session, &attempt, &result, START_US).await.unwrap(), Report::Stale);
    assert_eq!(store.fail(session, &attempt, FailureKind::Failed, "", START_US).await.unwrap(), Report::Stale);
    let beat = [Beat { attempt: attempt.clone(), progress: None }];
    assert_eq!(store.heartbeat(session, &beat, START_US, LEASE_US).await.unwrap(), [attempt]);
}

#[tokio::test]
async fn times_from_a_clock_that_was_set_back_are_mended() {
    let (store, session) = with_jobs("[0, 1, 2]").await;
    let year_us = 365 * 24 * 3_600 * SECOND_US;
    let leased = store.claim_one(session, START_US + year_us).await.unwrap().attempt;
    let failed = store.claim_one(session, START_US + year_us).await.unwrap().attempt;
    store.fail(session, &failed, FailureKind::Failed, "", START_US + year_us).await.unwrap();
    let sound = store.claim_one(session, START_US).await.unwrap().attempt;
    store.mend_times(START_US + SECOND_US, LEASE_US).await.unwrap();
    // The sound lease keeps its time, the other gets what a new one would have.
    assert_eq!(store.expire(START_US + LEASE_US).await.unwrap(), [sound]);
    assert_eq!(store.expire(START_US + SECOND_US + LEASE_US).await.unwrap(), [leased]);
    // The longest back-off is five minutes.
    let after_us = START_US + 301 * SECOND_US;
    let claimed = store.claim(session, 64, None, after_us - 1, LEASE_US).await.unwrap();
    assert!(claimed.iter().all(|job| job.attempt.key != failed.key));
    assert_eq!(store.claim_one(session, after_us).await.unwrap().attempt.key, failed.key);
}
