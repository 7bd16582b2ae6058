//! Many requests in one transaction.

use offramp_domain::outcome::Progress;

use super::*;

on_both_engines! {
    beats_reports_and_claims_of_many_sessions_share_a_transaction,
    a_report_that_comes_twice_in_a_batch_counts_once,
    contradicting_reports_of_a_batch_are_taken_in_their_order,
    a_refused_result_leaves_the_lease_and_the_rest_of_the_batch_alone,
    a_session_that_is_over_spoils_nobody_elses_request,
    a_worker_without_a_session_learns_what_became_of_its_report,
    a_batch_that_fails_leaves_nothing_behind,
    texts_that_a_database_cannot_keep_are_mended,
    awkward_doubles_arrive_to_the_last_bit,
    results_of_a_batch_advance_every_frontier,
    an_empty_batch_is_one,
}

async fn with_jobs(store: &Store, seeds: &str) {
    store.submit_text(&sweep_text("a", r#"["constant"]"#, seeds)).await;
}

fn completed(job: &ClaimedJob, points: &[(f64, f64)]) -> AttemptReport {
    let result = outcome(&job.config_json, 0.9, points);
    AttemptReport { attempt: job.attempt.clone(), end: AttemptEnd::Completed(Box::new(result)) }
}

fn failed(job: &ClaimedJob, kind: FailureKind, message: &str) -> AttemptReport {
    AttemptReport { attempt: job.attempt.clone(), end: AttemptEnd::Failed { kind, message: message.into() } }
}

async fn beats_reports_and_claims_of_many_sessions_share_a_transaction(store: Fixture) {
    with_jobs(&store, "{ from = 0, to = 19 }").await;
    let mut sessions = Vec::new();
    let mut held = Vec::new();
    for worker in 0..5 {
        let session = store.session(&format!("w{worker}")).await;
        held.push(store.claim(session, 3, START_US).await);
        sessions.push(session);
    }
    // Each tells of its first job, completes its second, gives its third back and wants two more; the last one speaks of a neighbour's as well.
    let progress = |epoch| Progress { epoch, n_epochs: 9, loss: 0.5, exit_accuracy: vec![0.25; 4], images_per_second: 10.0 };
    let mut requests = Vec::new();
    for (session, jobs) in sessions.iter().zip(&held) {
        let mut beats = vec![Beat { attempt: jobs[0].attempt.clone(), progress: Some(progress(1)) }];
        if *session == sessions[4] {
            beats.push(Beat { attempt: held[0][0].attempt.clone(), progress: Some(progress(7)) });
        }
        let given_back = AttemptReport { attempt: jobs[2].attempt.clone(), end: AttemptEnd::GivenBack };
        let reports = vec![completed(&jobs[1], &[(0.5, 0.5)]), given_back];
        requests.push(Request { beats: Some(beats), reports, n_jobs: 2, ..Request::new(*session) });
    }
    let now_us = START_US + LEASE_US - 1;
    let applied = store.apply(&requests, now_us, LEASE_US).await.unwrap();
    assert!(applied.queued && applied.changed);
    assert_eq!(applied.ended.len(), 10);
    for (index, reply) in applied.replies.into_iter().enumerate() {
        let reply = reply.unwrap();
        let stale = if index == 4 { vec![held[0][0].attempt.clone()] } else { vec![] };
        assert_eq!((reply.stale, reply.cancelled, reply.draining), (stale, vec![], 0));
        assert_eq!(reply.answers, [Answer::Accepted, Answer::Accepted]);
        assert_eq!(reply.claimed.len(), 2, "five were given back, and five are left");
    }
    for jobs in &held {
        let detail = store.reader().job(jobs[0].attempt.key.id()).await.unwrap();
        assert_eq!(detail.epochs.iter().map(|epoch| epoch.epoch).collect::<Vec<_>>(), [1], "of its own worker alone");
    }
    // Every lease was renewed or is new.
    assert_eq!(store.lost(START_US + LEASE_US).await, []);
    assert_eq!(store.lost(now_us + LEASE_US).await.len(), 15);
    assert_eq!(store.reader().sweep("a").await.unwrap().n_succeeded, 5);
}

async fn a_report_that_comes_twice_in_a_batch_counts_once(store: Fixture) {
    with_jobs(&store, "[0, 1]").await;
    let session = store.session("w").await;
    let jobs = store.claim(session, 2, START_US).await;
    let report = |job: usize| if job == 0 { completed(&jobs[0], &[(0.5, 0.5)]) } else { failed(&jobs[1], FailureKind::Failed, "x") };
    let once = Request { reports: vec![report(0), report(1), report(0)], ..Request::new(session) };
    let replies = store.apply(&[once.clone(), once], START_US, LEASE_US).await.unwrap().replies;
    for reply in replies {
        assert_eq!(reply.unwrap().answers, vec![Answer::Accepted; 3]);
    }
    assert_eq!((store.count("results").await, store.job(&jobs[1].attempt).await.n_failures), (1, 1));
}

async fn contradicting_reports_of_a_batch_are_taken_in_their_order(store: Fixture) {
    with_jobs(&store, "0").await;
    let session = store.session("w").await;
    let job = store.claim_one(session, START_US).await.unwrap();
    let reports = vec![failed(&job, FailureKind::OutOfMemory, "first"), completed(&job, &[(0.5, 0.5)])];
    let reply = store.ask(Request { reports, ..Request::new(session) }, START_US).await.unwrap();
    assert_eq!(reply.answers, [Answer::Accepted, Answer::Stale]);
    assert_eq!((store.job(&job.attempt).await.state.as_str(), store.count("results").await), ("queued", 0));
}

async fn a_refused_result_leaves_the_lease_and_the_rest_of_the_batch_alone(store: Fixture) {
    with_jobs(&store, "[0, 1]").await;
    let session = store.session("w").await;
    let jobs = store.claim(session, 2, START_US).await;
    let mut wrong = outcome(&jobs[0].config_json, 0.9, &[(0.5, 0.5)]);
    wrong.exits.pop();
    let wrong = AttemptReport { attempt: jobs[0].attempt.clone(), end: AttemptEnd::Completed(Box::new(wrong)) };
    // The worker may think better of it in the same batch.
    let reports = vec![wrong, completed(&jobs[1], &[(0.5, 0.5)]), completed(&jobs[0], &[(0.5, 0.6)])];
    let answers = store.ask(Request { reports, ..Request::new(session) }, START_US).await.unwrap().answers;
    assert!(matches!(answers[0], Answer::Refused(_)));
    assert_eq!(answers[1..], [Answer::Accepted, Answer::Accepted]);
    assert_eq!(store.count("results").await, 2);
}

async fn a_session_that_is_over_spoils_nobody_elses_request(store: Fixture) {
    with_jobs(&store, "[0, 1]").await;
    let (gone, here) = (store.session("gone").await, store.session("here").await);
    store.close_session(gone, START_US).await.unwrap();
    let claim = |session| Request { n_jobs: 1, ..Request::new(session) };
    let replies = store.apply(&[claim(gone), claim(here)], START_US, LEASE_US).await.unwrap().replies;
    assert!(matches!(&replies[0], Err(SessionError::Gone(session)) if *session == gone));
    assert_eq!(replies[1].as_ref().unwrap().claimed.len(), 1);
    assert_eq!(store.reader().sweep("a").await.unwrap().n_leased, 1);
}

async fn a_worker_without_a_session_learns_what_became_of_its_report(store: Fixture) {
    with_jobs(&store, "[0, 1]").await;
    let session = store.session("w").await;
    let jobs = store.claim(session, 2, START_US).await;
    let report = || Request { reports: vec![completed(&jobs[0], &[(0.5, 0.5)])], ..Request::new(session) };
    assert_eq!(store.ask(report(), START_US).await.unwrap().answers, [Answer::Accepted]);
    store.close_session(session, START_US).await.unwrap();
    assert_eq!(store.ask(report(), START_US).await.unwrap().answers, [Answer::Accepted], "it was taken, the answer was lost");
    let late = Request { reports: vec![completed(&jobs[1], &[(0.5, 0.5)])], ..Request::new(session) };
    assert_eq!(store.ask(late, START_US).await.unwrap().answers, [Answer::Stale], "given back when the session ended");
}

async fn a_batch_that_fails_leaves_nothing_behind(store: Fixture) {
    with_jobs(&store, "[0, 1, 2]").await;
    let session = store.session("w").await;
    let jobs = store.claim(session, 2, START_US).await;
    let bad = completed(&jobs[1], &[(0.5, f64::NAN)]);
    let request = Request { reports: vec![completed(&jobs[0], &[(0.5, 0.5)]), bad], n_jobs: 1, ..Request::new(session) };
    let error = store.apply(&[request], START_US, LEASE_US).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Statement(_)), "{error:?}");
    let row = store.reader().sweep("a").await.unwrap();
    assert_eq!((row.n_leased, row.n_queued, store.count("results").await), (2, 1, 0));
}

async fn texts_that_a_database_cannot_keep_are_mended(store: Fixture) {
    with_jobs(&store, "[0, 1]").await;
    let session = store.session("w\0").await;
    let jobs = store.claim(session, 2, START_US).await;
    let message = "cut \0 off, \"quoted\" \\u0000 \u{1} ü 𝕊";
    store.fail(session, &jobs[0].attempt, FailureKind::Failed, message, START_US).await;
    let mended = message.replace('\0', "\u{fffd}");
    assert_eq!(store.job(&jobs[0].attempt).await.error, mended);
    let why = Requester { who: "me\0".into(), reason: "why\0".into() };
    store.cancel_job(&jobs[1].attempt.key, &why, START_US).await.unwrap();
    assert_eq!(store.job(&jobs[1].attempt).await.error, "cancelled by me\u{fffd}: why\u{fffd}");
    let attempts = store.reader().job(jobs[0].attempt.key.id()).await.unwrap().attempts;
    assert_eq!((attempts[0].worker.as_str(), attempts[0].message.as_str()), ("w\u{fffd}", mended.as_str()));
    assert!(matches!(store.reader().sweep("a\0").await, Err(LookupError::NoSuchSweep(_))));
}

async fn awkward_doubles_arrive_to_the_last_bit(store: Fixture) {
    with_jobs(&store, "0").await;
    let session = store.session("w").await;
    let job = store.claim_one(session, START_US).await.unwrap();
    let mut awkward = [
        0.1 + 0.2,
        1.0 / 3.0,
        f64::MIN_POSITIVE,
        // The smallest of all, and one whose shortest decimal has 17 digits.
        f64::from_bits(1),
        5e-324_f64.next_up(),
        0.300_000_000_000_000_04,
        f64::MAX,
        1.0_f64.next_down(),
        9_007_199_254_740_993.0,
    ];
    // Points are shown by setting.
    awkward.sort_by(f64::total_cmp);
    let mut result = outcome(&job.config_json, 0.9, &awkward.map(|_| (1.0 / 3.0, 0.5)));
    for (point, value) in result.operating_points.iter_mut().zip(awkward) {
        (point.setting, point.accuracy, point.calibration_accuracy, point.calibration_macs_cascade) = (value, value, value, value);
    }
    for (exit, value) in result.exits.iter_mut().zip([awkward[0], awkward[3], awkward[5], awkward[8]]) {
        (exit.accuracy, exit.loss, exit.calibration_accuracy, exit.calibration_loss) = (value, value, value, value);
    }
    result.train_seconds = awkward[5];
    let progress = Progress { epoch: 1, n_epochs: 2, loss: awkward[3], exit_accuracy: awkward.to_vec(), images_per_second: awkward[1] };
    let beat = Beat { attempt: job.attempt.clone(), progress: Some(progress) };
    store.ask(Request { beats: Some(vec![beat]), ..Request::new(session) }, START_US).await.unwrap();
    assert_eq!(store.complete(session, &job.attempt, &result, START_US).await, Answer::Accepted);

    let detail = store.reader().job(job.attempt.key.id()).await.unwrap();
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(detail.operating_points.len(), awkward.len());
    for (stored, sent) in detail.operating_points.iter().zip(&result.operating_points) {
        let stored_bits = bits(&[stored.setting, stored.accuracy, stored.calibration_accuracy, stored.calibration_macs_cascade]);
        assert_eq!(stored_bits, bits(&[sent.setting, sent.accuracy, sent.calibration_accuracy, sent.calibration_macs_cascade]));
        assert_eq!(bits(&[stored.macs_cascade, stored.macs_selected]), bits(&[sent.macs_cascade, sent.macs_selected]));
        assert_eq!(bits(&stored.exit_shares), bits(&sent.exit_shares));
    }
    for (stored, sent) in detail.exits.iter().zip(&result.exits) {
        assert_eq!(
            bits(&[stored.accuracy, stored.loss, stored.calibration_accuracy]),
            bits(&[sent.accuracy, sent.loss, sent.calibration_accuracy])
        );
    }
    let losses: Vec<f64> = store
        .rows("SELECT calibration_loss FROM exit_results ORDER BY exit")
        .await
        .iter()
        .map(|row| row.get("calibration_loss").unwrap())
        .collect();
    assert_eq!(bits(&losses), bits(&result.exits.iter().map(|exit| exit.calibration_loss).collect::<Vec<_>>()));
    assert_eq!(bits(&[detail.job.unwrap().train_seconds.unwrap()]), bits(&[awkward[5]]));
    let epoch = &detail.epochs[0];
    assert_eq!(bits(&[epoch.loss, epoch.images_per_second]), bits(&[awkward[3], awkward[1]]));
    assert_eq!(bits(&epoch.exit_accuracy), bits(&awkward));
}

async fn results_of_a_batch_advance_every_frontier(store: Fixture) {
    with_jobs(&store, "{ from = 0, to = 9 }").await;
    let other = store.submit_text(&sweep_text("b", r#"["constant"]"#, "{ from = 5, to = 14 }")).await.sweep;
    let session = store.session("w").await;
    let jobs = store.claim(session, 99, START_US).await;
    assert_eq!(jobs.len(), 15);
    // More rows than go into one statement.
    let reports = jobs.iter().enumerate().map(|(index, job)| {
        let rough = |point: i32| f64::from(point + (point * 7 + index as i32 * 3) % 5) / 50.0;
        let points: Vec<(f64, f64)> = (0..40).map(|point| (f64::from(point) / 40.0, rough(point))).collect();
        completed(job, &points)
    });
    let request = Request { reports: reports.collect(), ..Request::new(session) };
    assert_eq!(store.ask(request, START_US).await.unwrap().answers, vec![Answer::Accepted; 15]);
    assert_eq!(store.count("operating_points").await, 600);
    frontier::check(&store).await;
    assert!(store.reader().frontier(FrontierFilter::of_sweep(other, CostMetric::MacsCascade)).await.unwrap().len() > 3);
}

async fn an_empty_batch_is_one(store: Fixture) {
    let applied = store.apply(&[], START_US, LEASE_US).await.unwrap();
    assert!(applied.replies.is_empty() && !applied.changed && !applied.queued);
    let session = store.session("w").await;
    assert_eq!(store.ask(Request::new(session), START_US).await.unwrap(), Reply::default());
}
