//! Sweeps from the submission to the frontier.

use super::*;
use crate::store::tests::{costs, sweep_text};

served_on_both_engines! {
    a_sweep_goes_all_the_way,
    every_problem_of_a_sweep_file_comes_back_with_its_place,
    a_failed_job_is_tried_again_on_request_alone,
}

async fn a_sweep_goes_all_the_way(home: TestDatabase) {
    let served = served(home).await;
    let text = sweep_text("all the way", r#"["none", "constant"]"#, "0");
    let dry = v1::SubmitSweepRequest { dry_run: true, ..submission(&text) };
    let dry = served.sweeps().submit_sweep(dry).await.unwrap().into_inner();
    assert_eq!((dry.sweep, dry.created, dry.n_jobs), (None, false, 2));
    let submitted = served.submit(&text).await;
    assert_eq!((submitted.created, submitted.n_jobs, submitted.n_known_jobs), (true, 2, 0));
    let again = served.submit(&text).await;
    assert_eq!((again.created, again.n_known_jobs, again.sweep), (false, 2, submitted.sweep));

    let mut watched = served.watch("last").await;
    next_where(&mut watched, |status| status.sweep.as_ref().unwrap().n_queued == 2).await;
    let opened = served.workers().open_session(open_request("w")).await.unwrap().into_inner();
    assert_eq!((opened.lease_ms, opened.heartbeat_ms), (15_000, 3_000));
    let session = opened.session;
    let leases = served.claim(&session, 0).await;
    let progress = v1::Progress { epoch: 1, n_epochs: 2, loss: 1.5, exit_accuracy: vec![0.75], images_per_second: 10.0 };
    let beat = v1::AttemptProgress { attempt: Some(attempt(&leases[0])), slot: 3, progress: Some(progress.clone()) };
    let request = v1::HeartbeatRequest { session: session.clone(), attempts: vec![beat] };
    assert_eq!(served.workers().heartbeat(request).await.unwrap().into_inner(), v1::HeartbeatResponse::default());
    let working = next_where(&mut watched, |status| status.running.iter().any(|job| job.progress.is_some())).await;
    assert_eq!(working.running.len(), 2);
    let told = &working.running[0];
    assert_eq!((told.worker.as_str(), told.slot, told.attempt, told.pattern.as_str()), ("w", 3, 1, "none"));
    assert_eq!(told.progress.as_ref(), Some(&progress));

    assert_eq!(served.complete(&session, &leases[0], 0.9).await, v1::ReportAnswer::Accepted);
    assert_eq!(served.complete(&session, &leases[0], 0.9).await, v1::ReportAnswer::Accepted);
    assert_eq!(served.complete(&session, &leases[1], 0.95).await, v1::ReportAnswer::Accepted);
    let finished = next_where(&mut watched, |status| status.sweep.as_ref().unwrap().state == "finished").await;
    assert_eq!((finished.sweep.unwrap().n_succeeded, finished.running), (2, vec![]));
    assert_eq!(watched.message().await.unwrap(), None, "the stream ends with the sweep");

    let frontier =
        v1::GetFrontierRequest { sweep: "all the way".into(), cost_metric: v1::CostMetric::MacsSelected.into(), ..Default::default() };
    let frontier = served.results().get_frontier(frontier).await.unwrap().into_inner();
    let points: Vec<_> = frontier.points.iter().map(|point| (point.cost, point.accuracy, point.pattern.as_str())).collect();
    // Of every sample at the final exit, no branch paid.
    let backbone_macs = costs(&leases[0].config_json)[0].macs_selected as f64;
    assert_eq!(points, [(backbone_macs, 0.95, "constant")]);
    let results =
        served.results().list_results(v1::ListResultsRequest { sweep: "1".into(), ..Default::default() }).await.unwrap().into_inner();
    assert_eq!(results.exits.len(), 5);
    let patterns =
        served.results().list_patterns(v1::ListPatternsRequest { sweep: "last".into(), ..Default::default() }).await.unwrap().into_inner();
    assert_eq!(patterns.patterns.len(), 2);
    let jobs = v1::ListJobsRequest { sweep: "last".into(), state: "succeeded".into(), limit: 0, offset: 0 };
    let jobs = served.sweeps().list_jobs(jobs).await.unwrap().into_inner().jobs;
    assert_eq!(jobs.len(), 2);
    let detail = served.job(&leases[0]).await;
    assert_eq!((detail.epochs.len(), detail.attempts.len(), detail.config_json), (1, 1, leases[0].config_json.clone()));
    let listed = served.sweeps().list_sweeps(v1::ListSweepsRequest { limit: 0 }).await.unwrap().into_inner();
    assert_eq!(listed.sweeps, [results.sweep.unwrap()]);
    served.end().await;
}

async fn every_problem_of_a_sweep_file_comes_back_with_its_place(home: TestDatabase) {
    let served = served(home).await;
    let text = sweep_text("a", r#"["none", "rising"]"#, "0").replace("resnet8", "resnet9");
    let submit = |text: String| v1::SubmitSweepRequest { file_name: "my.toml".into(), ..submission(&text) };
    let refusal = served.sweeps().submit_sweep(submit(text)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument);
    for part in ["my.toml:4:", "resnet9", "my.toml:8:", "rising"] {
        assert!(refusal.message().contains(part), "{part} in {}", refusal.message());
    }
    // More problems than a status message holds, in letters that take the most room on the wire.
    let backbones: Vec<String> = (0..90).map(|index| format!("\"netz-ünbekannt-{index}\"")).collect();
    let text = sweep_text("a", r#"["none"]"#, "0").replace("\"resnet8\"", &format!("[\n{}\n]", backbones.join(",\n")));
    let refusal = served.sweeps().submit_sweep(submit(text)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument, "{refusal:?}");
    assert!(refusal.message().contains("netz-ünbekannt-0") && refusal.message().ends_with("more problems are not shown"), "{refusal:?}");
    let listed = served.sweeps().list_sweeps(v1::ListSweepsRequest { limit: 0 }).await.unwrap().into_inner();
    assert_eq!(listed.sweeps, [], "nothing was written");
    served.end().await;
}

async fn a_failed_job_is_tried_again_on_request_alone(home: TestDatabase) {
    let served = served(home).await;
    let text = sweep_text("a", r#"["none"]"#, "[0, 1]");
    served.submit(&text).await;
    let session = served.open_session().await;
    let leases = served.claim(&session, 0).await;
    served.report(&session, &leases[1], failed(v1::FailureKind::Diverged)).await;
    served.report(&session, &leases[0], failed(v1::FailureKind::Failed)).await;
    for _ in 1..3 {
        served.pass(Duration::from_mins(1));
        // The janitor lets back-offs end.
        let lease = served.claim(&session, LONG_WAIT_MS).await.remove(0);
        served.report(&session, &lease, failed(v1::FailureKind::Failed)).await;
    }
    let submit = async |retry_failed| {
        let request = v1::SubmitSweepRequest { retry_failed, ..submission(&text) };
        let answer = served.sweeps().submit_sweep(request).await.unwrap().into_inner();
        let sweep = answer.sweep.unwrap();
        (answer.n_retried_jobs, sweep.n_queued, sweep.n_failed, sweep.n_diverged)
    };
    assert_eq!(submit(false).await, (0, 0, 1, 1));
    assert_eq!(submit(true).await, (1, 1, 0, 1));
    assert_eq!(submit(true).await, (0, 1, 0, 1), "asking again changes nothing");
    let lease = served.claim(&session, 0).await.remove(0);
    assert_eq!((lease.job_key.as_str(), lease.attempt), (leases[0].job_key.as_str(), 4), "the fence goes on");
    assert_eq!(served.complete(&session, &leases[0], 0.1).await, v1::ReportAnswer::Stale);
    assert_eq!(served.complete(&session, &lease, 0.9).await, v1::ReportAnswer::Accepted);
    served.end().await;
}
