//! What people do to sweeps, jobs and workers, and how workers hear of it.

use super::*;
use crate::store::tests::sweep_text;

served_on_both_engines! {
    a_paused_sweep_hands_out_nothing_until_it_is_resumed,
    a_cancelled_job_is_told_with_the_next_heartbeat,
    a_cancelled_sweep_ends_its_watchers,
    a_drained_worker_claims_nothing_more,
    a_job_is_retried_and_put_first,
}

fn control(sweep: &str) -> v1::ControlSweepRequest {
    v1::ControlSweepRequest { sweep: sweep.into(), by: "me@here".into(), reason: "lunch".into() }
}

fn control_job(job: &str) -> v1::ControlJobRequest {
    v1::ControlJobRequest { job: job.into(), by: "me@here".into(), reason: "wrong".into() }
}

async fn a_paused_sweep_hands_out_nothing_until_it_is_resumed(home: TestDatabase) {
    let served = served(home).await;
    served.submit(&sweep_text("a", r#"["none"]"#, "0")).await;
    let session = served.open_session().await;
    let mut watched = served.watch("a").await;
    let paused = served.sweeps().pause_sweep(control("a")).await.unwrap().into_inner();
    assert_eq!((paused.n_changed_jobs, paused.sweep.unwrap().state.as_str()), (1, "paused"));
    let told = next_where(&mut watched, |status| status.sweep.as_ref().unwrap().state == "paused").await;
    let note = told.sweep.unwrap().note;
    assert!(note.contains("me@here") && note.contains("lunch"), "{note}");
    let again = served.sweeps().pause_sweep(control("a")).await.unwrap().into_inner();
    assert_eq!(again.n_changed_jobs, 0, "pausing again changes nothing");
    assert_eq!(served.claim(&session, 0).await, []);
    let mut sweeps = served.sweeps();
    let (leases, resumed) = tokio::join!(served.claim(&session, LONG_WAIT_MS), sweeps.resume_sweep(control("a")));
    assert_eq!(resumed.unwrap().into_inner().sweep.unwrap().state, "running");
    assert_eq!(leases.len(), 1);
    next_where(&mut watched, |status| status.running.len() == 1).await;
    for event in ["paused", "resumed"] {
        let recorded = format!("v_events WHERE event = '{event}' AND who = 'me@here' AND message = 'lunch'");
        assert_eq!(served.running.store.count(&recorded).await, 1, "{event}");
    }
    served.end().await;
}

async fn a_cancelled_job_is_told_with_the_next_heartbeat(home: TestDatabase) {
    let served = served(home).await;
    served.submit(&sweep_text("a", r#"["none"]"#, "[0, 1]")).await;
    let session = served.open_session().await;
    let leases = served.claim(&session, 0).await;
    let job = &leases[0].job_key[..12];
    let cancelled = served.sweeps().cancel_job(control_job(job)).await.unwrap().into_inner();
    assert_eq!((cancelled.changed, cancelled.job.unwrap().state.as_str()), (true, "cancelled"));
    assert!(!served.sweeps().cancel_job(control_job(job)).await.unwrap().into_inner().changed, "again changes nothing");
    let told = served.heartbeat(&session, &[&leases[0], &leases[1]]).await;
    assert_eq!((told.stale, told.cancelled), (vec![attempt(&leases[0])], vec![attempt(&leases[0])]));
    assert_eq!(served.complete(&session, &leases[0], 0.9).await, v1::ReportAnswer::Cancelled);
    assert_eq!(served.complete(&session, &leases[1], 0.9).await, v1::ReportAnswer::Accepted);
    let over = served.sweeps().cancel_job(control_job(&leases[1].job_key)).await.unwrap_err();
    assert_eq!(over.code(), Code::FailedPrecondition);
    assert!(over.message().contains("is succeeded already\nhint: "), "{over:?}");
    let detail = served.job(&leases[0]).await;
    assert_eq!((detail.attempts.len(), detail.attempts[0].outcome.as_str()), (1, "cancelled"));
    assert!(detail.events.iter().any(|event| event.message.contains("after the cancellation")), "{:?}", detail.events);
    served.end().await;
}

async fn a_cancelled_sweep_ends_its_watchers(home: TestDatabase) {
    let served = served(home).await;
    served.submit(&sweep_text("a", r#"["none"]"#, "[0, 1]")).await;
    let session = served.open_session().await;
    let claim = v1::ClaimRequest { session: session.clone(), max_jobs: 1, wait_ms: 0, sweep: 0 };
    let lease = served.workers().claim(claim).await.unwrap().into_inner().leases.remove(0);
    let mut watched = served.watch("a").await;
    let cancelled = served.sweeps().cancel_sweep(control("a")).await.unwrap().into_inner();
    assert_eq!((cancelled.n_changed_jobs, cancelled.sweep.unwrap().n_cancelled), (2, 2));
    let last = next_where(&mut watched, |status| status.sweep.as_ref().unwrap().state == "cancelled").await;
    assert_eq!(last.running, []);
    assert_eq!(timeout(DEADLINE, watched.message()).await.unwrap().unwrap(), None);
    assert_eq!(served.report(&session, &lease, failed(v1::FailureKind::Crashed)).await, v1::ReportAnswer::Cancelled);
    let refusal = served.sweeps().resume_sweep(control("a")).await.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert!(refusal.message().contains("was cancelled\nhint: "), "{refusal:?}");
    let retry = v1::RetryJobsRequest {
        which: Some(v1::retry_jobs_request::Which::Sweep("a".into())),
        cancelled: true,
        ..v1::RetryJobsRequest::default()
    };
    let mut sweeps = served.sweeps();
    let (leases, retried) = tokio::join!(served.claim(&session, LONG_WAIT_MS), sweeps.retry_jobs(retry));
    assert_eq!((retried.unwrap().into_inner().n_retried_jobs, leases.len()), (2, 2));
    served.end().await;
}

async fn a_drained_worker_claims_nothing_more(home: TestDatabase) {
    let served = served(home).await;
    let (leaving, staying) = (served.open_session_of("leaving").await, served.open_session_of("staying").await);
    let drain = |give_back| v1::DrainWorkersRequest { worker: "leaving".into(), give_back, by: "me@here".into() };
    let mut fleet = served.fleet();
    // A claim that waits ends empty-handed, at once.
    let (leases, drained) = tokio::join!(served.claim(&leaving, LONG_WAIT_MS), fleet.drain_workers(drain(false)));
    assert_eq!(leases, []);
    let drained = drained.unwrap().into_inner().workers;
    assert_eq!(drained.iter().map(|row| (row.worker.as_str(), row.state.as_str())).collect::<Vec<_>>(), [("leaving", "draining")]);
    served.submit(&sweep_text("a", r#"["none"]"#, "0")).await;
    assert_eq!(served.claim(&leaving, LONG_WAIT_MS).await, [], "nor does a new one wait");
    let told = served.heartbeat(&leaving, &[]).await;
    assert_eq!((told.drain, told.give_back), (true, false));
    served.fleet().drain_workers(drain(true)).await.unwrap();
    let told = served.heartbeat(&leaving, &[]).await;
    assert_eq!((told.drain, told.give_back), (true, true));
    let told = served.heartbeat(&staying, &[]).await;
    assert_eq!((told.drain, told.give_back), (false, false));
    assert_eq!(served.claim(&staying, 0).await.len(), 1);
    let unknown = v1::DrainWorkersRequest { worker: "nobody".into(), ..drain(false) };
    let unknown = served.fleet().drain_workers(unknown).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    assert!(unknown.message().contains("`nobody`\nhint: "), "{unknown:?}");
    served.workers().close_session(v1::CloseSessionRequest { session: leaving }).await.unwrap();
    let list = async |ended| {
        let request = v1::ListWorkersRequest { ended, limit: 0 };
        let workers = served.fleet().list_workers(request).await.unwrap().into_inner().workers;
        workers.into_iter().map(|row| (row.worker, row.state, row.n_leased)).collect::<Vec<_>>()
    };
    let row = |worker: &str, state: &str, n_leased| (worker.to_owned(), state.to_owned(), n_leased);
    assert_eq!(list(false).await, [row("staying", "open", 1)]);
    assert_eq!(list(true).await, [row("staying", "open", 1), row("leaving", "ended", 0)]);
    served.end().await;
}

async fn a_job_is_retried_and_put_first(home: TestDatabase) {
    let served = served(home).await;
    served.submit(&sweep_text("a", r#"["none"]"#, "[0, 1, 2]")).await;
    let session = served.open_session().await;
    let claim_one = async || {
        let claim = v1::ClaimRequest { session: session.clone(), max_jobs: 1, wait_ms: 0, sweep: 0 };
        served.workers().claim(claim).await.unwrap().into_inner().leases.remove(0)
    };
    let diverged = claim_one().await;
    served.report(&session, &diverged, failed(v1::FailureKind::Diverged)).await;
    let job = diverged.job_key[..12].to_owned();
    let which = Some(v1::retry_jobs_request::Which::Job(job.clone()));
    let retry = v1::RetryJobsRequest { which, by: "me@here".into(), ..v1::RetryJobsRequest::default() };
    assert_eq!(served.sweeps().retry_jobs(retry.clone()).await.unwrap().into_inner().n_retried_jobs, 1);
    assert_eq!(served.sweeps().retry_jobs(retry).await.unwrap().into_inner().n_retried_jobs, 0, "again changes nothing");
    let first = v1::PrioritizeJobRequest { job: job.clone(), priority: 50, by: String::new(), reason: String::new() };
    let prioritized = served.sweeps().prioritize_job(first).await.unwrap().into_inner();
    assert_eq!((prioritized.changed, prioritized.job.unwrap().priority), (true, 50));
    let explained = served.sweeps().explain_job(v1::ExplainJobRequest { job }).await.unwrap().into_inner();
    assert_eq!((explained.n_ahead, explained.workers.len()), (0, 1), "{explained:?}");
    assert_eq!(claim_one().await.job_key, diverged.job_key);
    let sweep = v1::PrioritizeSweepRequest { sweep: "a".into(), priority: -7, by: String::new(), reason: String::new() };
    let prioritized = served.sweeps().prioritize_sweep(sweep).await.unwrap().into_inner();
    assert_eq!(prioritized.sweep.unwrap().priority, -7);
    served.end().await;
}
