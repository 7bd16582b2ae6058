//! Requests that cannot be taken, each answered with the reason.

use super::*;
use crate::store::tests::sweep_text;

served_on_both_engines! {
    a_failure_message_is_stored_as_far_as_anyone_reads,
}

/// The status is of this code, and its message contains this.
fn assert_refused(status: Result<(), Status>, code: Code, message: &str) {
    let status = status.expect_err(message);
    assert!(status.code() == code && status.message().contains(message), "{status:?} instead of {code:?} {message}");
}

macro_rules! call {
    ($served:ident . $client:ident . $method:ident ($request:expr)) => {
        $served.$client().$method($request).await.map(|_| ())
    };
}

#[tokio::test]
async fn a_worker_of_another_kind_of_trainer_is_refused_with_a_hint() {
    let served = served_on_a_file().await;
    served.open_session().await;
    let real = v1::OpenSessionRequest { trainer: "burn-flex".into(), ..open_request("real") };
    let refusal = served.workers().open_session(real).await.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert!(refusal.message().contains("`burn-flex`") && refusal.message().contains("`simulated`"), "{refusal:?}");
    assert!(refusal.message().contains("\nhint: "), "{refusal:?}");
}

#[tokio::test]
async fn claims_and_sessions_out_of_range() {
    let served = served_on_a_file().await;
    let session = served.open_session().await;
    let claim = |session: &str, max_jobs, wait_ms| v1::ClaimRequest { session: session.into(), max_jobs, wait_ms, sweep: 0 };
    assert_refused(call!(served.workers.claim(claim("nonsense", 1, 0))), Code::InvalidArgument, "`session` is `nonsense`");
    assert_refused(call!(served.workers.claim(claim("99-1", 1, 0))), Code::NotFound, "session `99-1` is unknown or has ended");
    assert_refused(call!(served.workers.claim(claim(&session, 0, 0))), Code::InvalidArgument, "`max_jobs` is 0, expected 1 to 64");
    assert_refused(call!(served.workers.claim(claim(&session, 65, 0))), Code::InvalidArgument, "`max_jobs` is 65");
    assert_refused(call!(served.workers.claim(claim(&session, 1, 60_001))), Code::InvalidArgument, "`wait_ms` is 60001");
    let of_sweep = v1::ClaimRequest { sweep: -1, ..claim(&session, 1, 0) };
    assert_refused(call!(served.workers.claim(of_sweep)), Code::InvalidArgument, "`sweep` is -1, expected the id of a sweep, or 0");
    let open = |worker: &str| open_request(worker);
    assert_refused(call!(served.workers.open_session(open(""))), Code::InvalidArgument, "`worker` is missing");
    let steering = "`worker` is `a\\u{1b}[2J`, expected at most 200 printable characters";
    assert_refused(call!(served.workers.open_session(open("a\u{1b}[2J"))), Code::InvalidArgument, steering);
    assert_refused(call!(served.workers.open_session(open("a\u{202e}b"))), Code::InvalidArgument, "`worker` is `a\\u{202e}b`");
    assert_refused(call!(served.workers.open_session(open(&"w".repeat(201)))), Code::InvalidArgument, "`worker` is 201 characters");
    for n_slots in [0, 1_025, u32::MAX] {
        let request = v1::OpenSessionRequest { n_slots, ..open("w") };
        let expected = format!("`n_slots` is {n_slots}, expected 1 to 1024");
        assert_refused(call!(served.workers.open_session(request)), Code::InvalidArgument, &expected);
    }
    let beats = vec![v1::AttemptProgress::default(); 1_025];
    let beats = v1::HeartbeatRequest { session: session.clone(), attempts: beats };
    assert_refused(call!(served.workers.heartbeat(beats)), Code::InvalidArgument, "1025 values");
    let close = v1::CloseSessionRequest { session: "-".into() };
    assert_refused(call!(served.workers.close_session(close)), Code::InvalidArgument, "`session` is `-`");
}

#[tokio::test]
async fn reports_that_cannot_be() {
    let served = served_on_a_file().await;
    served.submit(&sweep_text("a", r#"["constant"]"#, "0")).await;
    let (session, other) = (served.open_session().await, served.open_session().await);
    let lease = served.claim(&session, 0).await.remove(0);
    let report = |end| report(&session, &lease, end);

    let none = v1::ReportRequest { reports: vec![], ..report(given_back()) };
    assert_refused(call!(served.workers.report(none)), Code::InvalidArgument, "`reports` is missing");
    let mut endless = report(given_back());
    endless.reports[0].end = None;
    assert_refused(call!(served.workers.report(endless)), Code::InvalidArgument, "`reports.end` is missing");
    let many = v1::ReportRequest { reports: vec![report(given_back()).reports.remove(0); 65], ..report(given_back()) };
    assert_refused(call!(served.workers.report(many)), Code::InvalidArgument, "`reports` is 65 values, expected 1 to 64");
    let greedy = v1::ReportRequest { claim_jobs: 65, ..report(given_back()) };
    assert_refused(call!(served.workers.report(greedy)), Code::InvalidArgument, "`claim_jobs` is 65");
    let unspecified = report(failed(v1::FailureKind::Unspecified));
    assert_refused(call!(served.workers.report(unspecified)), Code::InvalidArgument, "`kind` is missing");
    let unknown = report(End::Failure(v1::Failure { kind: 99, message: String::new() }));
    assert_refused(call!(served.workers.report(unknown)), Code::InvalidArgument, "`kind` is 99");
    let fitting: v1::Outcome = outcome(&lease.config_json, 0.9, &[(1.0, 0.9)]).into();
    let mut strange = fitting.clone();
    strange.operating_points[0].accuracy = f64::NAN;
    assert_refused(call!(served.workers.report(report(End::Outcome(strange)))), Code::InvalidArgument, "`operating_point.accuracy` is NaN");
    let crowded = outcome(&lease.config_json, 0.9, &vec![(1.0, 0.9); 10_001]);
    let crowded = report(End::Outcome(crowded.into()));
    assert_refused(call!(served.workers.report(crowded)), Code::InvalidArgument, "10001 values, expected at most 10000");
    let many_exits = v1::Outcome { exits: vec![fitting.exits[0]; 1_025], ..fitting.clone() };
    assert_refused(call!(served.workers.report(report(End::Outcome(many_exits)))), Code::InvalidArgument, "`outcome.exits` is 1025 values");

    // Understood, and none that this job can have: answered, not failed, so that the other reports of the message count.
    let refused = async |outcome: v1::Outcome, reason: &str| {
        let answer = served.workers().report(report(End::Outcome(outcome))).await.unwrap().into_inner().results.remove(0);
        assert_eq!(answer.answer(), v1::ReportAnswer::Refused, "{reason}");
        assert!(answer.reason.contains(reason), "{}", answer.reason);
    };
    let mut short = fitting.clone();
    short.exits.pop();
    short.operating_points[0].exit_shares.remove(0);
    refused(short, "a result of 3 exits").await;
    let mut free = fitting.clone();
    free.operating_points[0].macs_cascade = 1.0;
    refused(free, "`operating_point.macs_cascade` is 1 in point 0").await;
    refused(v1::Outcome { trainer: "burn-flex".into(), ..fitting }, "a result of trainer `burn-flex`").await;

    assert_eq!(served.complete(&other, &lease, 0.5).await, v1::ReportAnswer::Stale, "of another session's lease");
    assert_eq!(served.complete(&session, &lease, 0.9).await, v1::ReportAnswer::Accepted, "after all that");
}

async fn a_failure_message_is_stored_as_far_as_anyone_reads(home: TestDatabase) {
    let served = served(home).await;
    served.submit(&sweep_text("a", r#"["none"]"#, "0")).await;
    let session = served.open_session().await;
    let lease = served.claim(&session, 0).await.remove(0);
    let message = format!("nul \0 and {}", "ü".repeat(100_000));
    let failure = End::Failure(v1::Failure { kind: v1::FailureKind::Failed.into(), message });
    assert_eq!(served.report(&session, &lease, failure).await, v1::ReportAnswer::Accepted);
    let stored = served.job(&lease).await.attempts.remove(0).message;
    assert_eq!((stored.chars().count(), stored.contains('\0')), (8_000, false), "{}", &stored[..20]);
    assert!(stored.starts_with("nul \u{fffd} and ü"), "{}", &stored[..20]);
}

#[tokio::test]
async fn selectors_and_names_that_mean_nothing() {
    let served = served_on_a_file().await;
    served.submit(&sweep_text("a", r#"["constant"]"#, "0")).await;
    let sweep = |sweep: &str| v1::GetSweepRequest { sweep: sweep.into() };
    assert_refused(call!(served.sweeps.get_sweep(sweep("b"))), Code::NotFound, "no sweep is called `b`\nhint: ");
    assert_refused(call!(served.sweeps.get_sweep(sweep(""))), Code::InvalidArgument, "`sweep` is missing");
    assert_refused(call!(served.sweeps.watch_sweep(sweep("\u{1b}[2J"))), Code::InvalidArgument, "`sweep` is `\\u{1b}[2J`");
    let job = |job: &str| v1::GetJobRequest { job: job.into() };
    assert_refused(call!(served.sweeps.get_job(job("zz"))), Code::NotFound, "no job's id begins with `zz`");
    assert_refused(call!(served.sweeps.get_job(job(""))), Code::InvalidArgument, "`job` is missing");
    assert_refused(call!(served.sweeps.get_job(job(&"a".repeat(10_000)))), Code::InvalidArgument, "`job` is 10000 characters");
    let jobs = v1::ListJobsRequest { sweep: String::new(), state: "done".into(), limit: 0, offset: 0 };
    let expected = "no job state is called `done`\nhint: the states are `blocked`, `queued`, `leased`";
    assert_refused(call!(served.sweeps.list_jobs(jobs)), Code::InvalidArgument, expected);
    let frontier = |cost_metric| v1::GetFrontierRequest { sweep: "last".into(), cost_metric, ..Default::default() };
    assert_refused(call!(served.results.get_frontier(frontier(0))), Code::InvalidArgument, "`cost_metric` is missing");
    assert_refused(call!(served.results.get_frontier(frontier(7))), Code::InvalidArgument, "`cost_metric` is 7");
    let retry = v1::RetryJobsRequest::default();
    assert_refused(call!(served.sweeps.retry_jobs(retry)), Code::InvalidArgument, "`which` is missing");
    let which = Some(v1::retry_jobs_request::Which::Sweep("a".into()));
    let retry = v1::RetryJobsRequest { which, ..v1::RetryJobsRequest::default() };
    assert_refused(call!(served.sweeps.retry_jobs(retry)), Code::InvalidArgument, "at least one of `failed`");
    let priority = |priority| v1::PrioritizeSweepRequest { sweep: "a".into(), priority, by: String::new(), reason: String::new() };
    for value in [-101, 101, i32::MIN, i32::MAX] {
        let expected = format!("`priority` is {value}, expected -100 to 100");
        assert_refused(call!(served.sweeps.prioritize_sweep(priority(value))), Code::InvalidArgument, &expected);
    }
    let pause = |by: &str, reason: &str| v1::ControlSweepRequest { sweep: "a".into(), by: by.into(), reason: reason.into() };
    assert_refused(call!(served.sweeps.pause_sweep(pause("a\nb", ""))), Code::InvalidArgument, "`by` is `a\\nb`");
    assert_refused(call!(served.sweeps.pause_sweep(pause("me", &"x".repeat(1_001)))), Code::InvalidArgument, "`reason` is 1001 characters");
    let named = |file_name: &str| v1::SubmitSweepRequest { file_name: file_name.into(), ..submission("") };
    assert_refused(call!(served.sweeps.submit_sweep(named(&"n".repeat(1_025)))), Code::InvalidArgument, "`file_name` is 1025 characters");
    let drain = |worker: &str| v1::DrainWorkersRequest { worker: worker.into(), give_back: false, by: String::new() };
    assert_refused(call!(served.fleet.drain_workers(drain(""))), Code::InvalidArgument, "`worker` is missing");
}

#[tokio::test]
async fn a_message_without_end_is_refused() {
    let served = served_on_a_file().await;
    let request = v1::SubmitSweepRequest { dry_run: true, ..submission(&"#".repeat(3 * 1024 * 1024)) };
    let refusal = served.sweeps().submit_sweep(request).await.unwrap_err();
    assert_eq!(refusal.code(), Code::OutOfRange, "{refusal:?}");
    served.submit(&sweep_text("a", r#"["none"]"#, "0")).await;
}
