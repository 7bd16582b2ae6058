//! Claims, leases, heartbeats and reports.

use super::*;
use crate::store::tests::sweep_text;

served_on_both_engines! {
    a_claim_that_waits_in_vain_returns_empty,
    a_lost_lease_goes_to_who_waits_for_it,
    a_lease_is_kept_whatever_its_progress_says,
    a_back_off_that_ends_is_noticed,
    given_back_jobs_go_to_who_waits_for_them,
    a_claim_can_ask_for_one_sweeps_jobs,
    a_report_can_ask_for_the_next_job,
    a_worker_is_given_what_it_can_run,
}

async fn a_claim_that_waits_in_vain_returns_empty(home: TestDatabase) {
    let served = served(home).await;
    let session = served.open_session().await;
    assert_eq!(served.claim(&session, 1).await, []);
    served.end().await;
}

async fn a_lost_lease_goes_to_who_waits_for_it(home: TestDatabase) {
    let served = served_with_short_leases(home).await;
    served.submit(&sweep_text("a", r#"["none"]"#, "0")).await;
    let (silent, waiting) = (served.open_session().await, served.open_session().await);
    let first = served.claim(&silent, 0).await.remove(0);
    let time_passes = async { served.pass(SHORT_LEASE) };
    let (second, ()) = tokio::join!(served.claim(&waiting, LONG_WAIT_MS), time_passes);
    assert_eq!((second[0].job_key.as_str(), second[0].attempt), (first.job_key.as_str(), 2));
    assert_eq!(served.complete(&silent, &first, 0.1).await, v1::ReportAnswer::Stale);
    let told = served.heartbeat(&silent, &[&first]).await;
    assert_eq!((told.stale, told.cancelled), (vec![attempt(&first)], vec![]));
    assert_eq!(served.complete(&waiting, &second[0], 0.9).await, v1::ReportAnswer::Accepted);
    served.end().await;
}

async fn a_lease_is_kept_whatever_its_progress_says(home: TestDatabase) {
    let served = served_with_short_leases(home).await;
    served.submit(&sweep_text("a", r#"["none"]"#, "0")).await;
    let session = served.open_session().await;
    let lease = served.claim(&session, 0).await.remove(0);
    served.pass(SHORT_LEASE / 2);
    let progress = v1::Progress { epoch: 1, n_epochs: 2, loss: f64::NAN, exit_accuracy: vec![7.0], images_per_second: f64::INFINITY };
    let beat = v1::AttemptProgress { attempt: Some(attempt(&lease)), slot: 0, progress: Some(progress) };
    let beat = v1::HeartbeatRequest { session: session.clone(), attempts: vec![beat] };
    assert_eq!(served.workers().heartbeat(beat).await.unwrap().into_inner().stale, []);
    served.pass(SHORT_LEASE / 4 * 3);
    assert_eq!(served.running.store.expire(served.now_us.load(Ordering::SeqCst)).await.unwrap().lost, []);
    assert_eq!(served.complete(&session, &lease, 0.9).await, v1::ReportAnswer::Accepted);
    assert_eq!(served.job(&lease).await.epochs, []);
    served.end().await;
}

async fn a_back_off_that_ends_is_noticed(home: TestDatabase) {
    let served = served(home).await;
    served.submit(&sweep_text("a", r#"["none"]"#, "0")).await;
    let session = served.open_session().await;
    let first = served.claim(&session, 0).await.remove(0);
    for _ in 0..2 {
        assert_eq!(served.report(&session, &first, failed(v1::FailureKind::OutOfMemory)).await, v1::ReportAnswer::Accepted);
    }
    assert_eq!(served.claim(&session, 0).await, [], "it backs off");
    let time_passes = async { served.pass(Duration::from_mins(1)) };
    let (second, ()) = tokio::join!(served.claim(&session, LONG_WAIT_MS), time_passes);
    assert_eq!(second[0].attempt, 2);
    served.end().await;
}

async fn given_back_jobs_go_to_who_waits_for_them(home: TestDatabase) {
    let served = served(home).await;
    served.submit(&sweep_text("a", r#"["none"]"#, "[0, 1]")).await;
    let (leaving, waiting) = (served.open_session().await, served.open_session().await);
    let held = served.claim(&leaving, 0).await;
    let giving_back = served.report(&leaving, &held[0], given_back());
    let (taken, answer) = tokio::join!(served.claim(&waiting, LONG_WAIT_MS), giving_back);
    assert_eq!(answer, v1::ReportAnswer::Accepted);
    assert_eq!((taken[0].job_key.as_str(), taken[0].attempt), (held[0].job_key.as_str(), 2));
    assert_eq!(served.report(&leaving, &held[0], given_back()).await, v1::ReportAnswer::Accepted, "again changes nothing");
    let close = v1::CloseSessionRequest { session: leaving };
    let mut closers = served.workers();
    let (taken, closed) = tokio::join!(served.claim(&waiting, LONG_WAIT_MS), closers.close_session(close.clone()));
    closed.unwrap();
    assert_eq!(taken[0].job_key, held[1].job_key);
    served.workers().close_session(close).await.expect("closing again changes nothing");
    served.end().await;
}

async fn a_claim_can_ask_for_one_sweeps_jobs(home: TestDatabase) {
    let served = served(home).await;
    let first = served.submit(&sweep_text("first", r#"["none"]"#, "[0, 1]")).await.sweep.unwrap();
    let second = served.submit(&sweep_text("second", r#"["none"]"#, "[1, 2]")).await.sweep.unwrap();
    let session = served.open_session().await;
    let claim = async |sweep| {
        let request = v1::ClaimRequest { session: session.clone(), max_jobs: 64, wait_ms: 0, sweep };
        let leases = served.workers().claim(request).await.unwrap().into_inner().leases;
        let seed = |lease: &v1::Lease| offramp_domain::job::JobConfig::from_json(&lease.config_json).unwrap().seed;
        let mut seeds: Vec<u64> = leases.iter().map(seed).collect();
        seeds.sort_unstable();
        seeds
    };
    assert_eq!(claim(second.sweep).await, [1, 2], "a job of both sweeps is a job of each");
    assert_eq!(claim(second.sweep).await, Vec::<u64>::new());
    assert_eq!(claim(first.sweep + second.sweep).await, Vec::<u64>::new(), "there is no such sweep");
    assert_eq!(claim(0).await, [0]);
    served.end().await;
}

async fn a_report_can_ask_for_the_next_job(home: TestDatabase) {
    let served = served(home).await;
    served.submit(&sweep_text("a", r#"["none"]"#, "[0, 1, 2]")).await;
    let session = served.open_session().await;
    let claim = v1::ClaimRequest { session: session.clone(), max_jobs: 1, wait_ms: 0, sweep: 0 };
    let first = served.workers().claim(claim).await.unwrap().into_inner().leases.remove(0);
    let request = v1::ReportRequest { claim_jobs: 1, ..report(&session, &first, completed(&first, 0.9)) };
    let answer = served.workers().report(request.clone()).await.unwrap().into_inner();
    assert_eq!(answer.results[0].answer(), v1::ReportAnswer::Accepted);
    assert_eq!(answer.leases.len(), 1);
    let second = &answer.leases[0];
    assert_ne!(second.job_key, first.job_key);
    // Of another sweep there is nothing: the report counts all the same.
    let elsewhere = v1::ReportRequest { claim_jobs: 1, claim_sweep: 99, ..report(&session, second, completed(second, 0.9)) };
    let answer = served.workers().report(elsewhere).await.unwrap().into_inner();
    assert_eq!((answer.results[0].answer(), answer.leases), (v1::ReportAnswer::Accepted, vec![]));
    let answer = served.workers().report(request).await.unwrap().into_inner();
    assert_eq!((answer.results[0].answer(), answer.leases.len()), (v1::ReportAnswer::Accepted, 1), "the same again, and the last job");
    assert_eq!((served.sweep("a").await.n_succeeded, served.sweep("a").await.n_leased), (2, 1));
    served.end().await;
}

async fn a_worker_is_given_what_it_can_run(home: TestDatabase) {
    let served = served(home).await;
    let needy = format!("{}\n[requirements]\nlabels = [\"a100\"]\n", sweep_text("needy", r#"["none"]"#, "0"));
    served.submit(&needy).await;
    let plain = served.open_session().await;
    assert_eq!(served.claim(&plain, 0).await, []);
    let capabilities = v1::Capabilities {
        device: "cuda".into(),
        memory_mib: 80_000,
        datasets: vec!["digits".into()],
        any_dataset: false,
        labels: vec!["a100".into()],
    };
    let able = v1::OpenSessionRequest { capabilities: Some(capabilities), ..open_request("able") };
    let able = served.workers().open_session(able).await.unwrap().into_inner().session;
    assert_eq!(served.claim(&able, 0).await.len(), 1);
    served.end().await;
}
