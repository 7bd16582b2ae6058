use offramp_domain::network;

use super::report::Refusal;
use super::*;

on_both_engines! {
    a_result_is_kept_to_the_last_bit,
    a_repeated_result_changes_nothing,
    a_job_says_what_its_result_is_of,
    a_result_of_another_network_is_refused,
    a_result_that_cannot_be_stored_leaves_nothing_behind,
    cells_are_summed_up_over_seeds,
    equal_seeds_deviate_by_nothing,
    jobs_that_differ_in_more_than_the_seed_are_different_cells,
}

async fn a_result_is_kept_to_the_last_bit(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["constant"]"#, "0")).await;
    let session = store.session("w").await;
    let job = store.claim_one(session, START_US).await.unwrap();
    let mut result = outcome(&job.config_json, 0.9, &[(1.0 / 3.0, 0.1 + 0.2), (1.0 / 7.0, 2.0 / 3.0)]);
    let exit = |accuracy, loss| ExitResult {
        accuracy,
        loss,
        calibration_accuracy: accuracy / 3.0,
        calibration_loss: loss / 3.0,
        top5_accuracy: Some(accuracy / 7.0 + 0.5),
        ece: Some(accuracy / 11.0),
        calibration_top5_accuracy: Some(accuracy / 13.0),
        calibration_ece: Some(accuracy / 17.0),
    };
    result.exits = vec![exit(0.1, 2.0), exit(0.7, 1.0), exit(1.0 / 3.0, 0.3), exit(0.6, 0.7)];
    // As a worker of an earlier version reports.
    let last = result.exits.last_mut().unwrap();
    (last.top5_accuracy, last.ece, last.calibration_top5_accuracy, last.calibration_ece) = (None, None, None, None);
    (result.operating_points[0].latency_us, result.operating_points[0].images_per_second) = (Some(1e4 / 3.0), Some(1e5 / 7.0));
    result.records = Some(Artifact { path: "/var/lib/offramp/a b.parquet".into(), bytes: 1 << 40, sha256: "0f".repeat(32) });
    // Costs may differ from what the shares cost by some rounding: the reported ones are kept.
    for point in &mut result.operating_points {
        point.macs_cascade *= 1.0 + 1e-8 / 3.0;
    }
    assert_eq!(store.complete(session, &job.attempt, &result, START_US + 7).await, Answer::Accepted);

    let detail = store.reader().job(job.attempt.key.id()).await.unwrap();
    assert_eq!(detail.config_json, job.config_json);
    let row = detail.job.unwrap();
    assert_eq!((row.state.as_str(), row.finished_us, row.train_seconds), ("succeeded", Some(START_US + 7), Some(2.5)));
    assert_eq!((row.final_accuracy, row.best_accuracy), (Some(0.6), Some(0.7)));
    let stored = detail.exits.iter().map(|exit| ExitResult {
        accuracy: exit.accuracy,
        loss: exit.loss,
        calibration_accuracy: exit.calibration_accuracy,
        calibration_loss: exit.calibration_loss,
        top5_accuracy: exit.top5_accuracy,
        ece: exit.ece,
        calibration_top5_accuracy: exit.calibration_top5_accuracy,
        calibration_ece: exit.calibration_ece,
    });
    assert_eq!(stored.collect::<Vec<_>>(), result.exits);
    assert!(detail.exits.iter().all(|exit| (exit.n_test, exit.n_calibration) == (result.n_test, result.n_calibration)));
    let records = result.records.clone().unwrap();
    let artifact = offramp_proto::v1::ArtifactRow {
        job: job.attempt.key.id().to_owned(),
        attempt: 1,
        kind: "records".into(),
        worker: "w".into(),
        path: records.path,
        bytes: records.bytes.cast_signed(),
        sha256: records.sha256,
    };
    assert_eq!(detail.artifacts, [artifact]);
    assert_eq!(detail.exits.iter().map(|exit| exit.is_final).collect::<Vec<_>>(), [false, false, false, true]);
    let stored: Vec<_> = detail.operating_points.iter().map(|p| (p.setting, p.macs_cascade, p.accuracy, p.exit_shares.clone())).collect();
    let reported: Vec<_> = result.operating_points.iter().map(|p| (p.setting, p.macs_cascade, p.accuracy, p.exit_shares.clone())).collect();
    assert_eq!(stored, reported);
    let speed = |latency: Option<f64>, rate: Option<f64>| (latency.map(f64::to_bits), rate.map(f64::to_bits));
    let stored: Vec<_> = detail.operating_points.iter().map(|p| speed(p.latency_us, p.images_per_second)).collect();
    let reported: Vec<_> = result.operating_points.iter().map(|p| speed(p.latency_us, p.images_per_second)).collect();
    assert_eq!(stored, reported);

    // The plan beside each exit is the network's.
    let config = offramp_domain::job::JobConfig::from_json(&job.config_json).unwrap();
    let costs = network::assemble(&config).unwrap().exit_costs();
    let planned: Vec<u64> = costs.iter().map(|cost| cost.macs_cascade).collect();
    assert_eq!(detail.exits.iter().map(|exit| exit.macs_cascade.cast_unsigned()).collect::<Vec<_>>(), planned);
    assert_eq!(store.reader().exits(1).await.unwrap(), detail.exits);
}

/// Why a result is not taken.
async fn refused(store: &Store, session: SessionId, attempt: &AttemptRef, result: &Outcome) -> Refusal {
    match store.complete(session, attempt, result, START_US).await {
        Answer::Refused(refusal) => refusal,
        answer => panic!("{answer:?}"),
    }
}

async fn a_repeated_result_changes_nothing(store: Fixture) {
    let sweep = store.submit_text(&sweep_text("a", r#"["none"]"#, "0")).await.sweep;
    let session = store.session("w").await;
    let attempt = store.complete_next(session, &[(1.0, 0.5), (1.0, 0.4)]).await;
    let before = store.reader().job(attempt.key.id()).await.unwrap();
    let contradicting = outcome(&before.config_json, 0.1, &[(1.0, 1.0)]);
    let frontier = store.reader().frontier(FrontierFilter::of_sweep(sweep, CostMetric::MacsCascade)).await.unwrap();
    // Even if it says something else, and even from the worker's next session.
    let other = store.session("w").await;
    for session in [session, other] {
        let report = store.complete(session, &attempt, &contradicting, START_US + 9).await;
        assert_eq!(report, Answer::Accepted);
    }
    assert_eq!(store.reader().job(attempt.key.id()).await.unwrap(), before);
    assert_eq!(store.reader().frontier(FrontierFilter::of_sweep(sweep, CostMetric::MacsCascade)).await.unwrap(), frontier);
}

async fn a_result_of_another_network_is_refused(store: Fixture) {
    type Spoil = fn(&mut OperatingPoint);

    store.submit_text(&sweep_text("a", r#"["constant"]"#, "0")).await;
    let session = store.session("w").await;
    let ClaimedJob { attempt, config_json } = store.claim_one(session, START_US).await.unwrap();
    let fitting = outcome(&config_json, 0.9, &[(0.5, 0.9), (1.0, 0.95)]);
    for n_exits in [3, 5] {
        let mut result = fitting.clone();
        result.exits.resize(n_exits, result.exits[0]);
        let refusal = refused(&store, session, &attempt, &result).await;
        assert_eq!(refusal.to_string(), format!("a result of {n_exits} exits for job `{}`, whose network has 4", attempt.key));
    }
    // One part in a million is forgiven, two are not.
    let spoilt: [(&str, Spoil); 4] = [
        ("macs_cascade", |point| point.macs_cascade *= 1.0 + 2e-6),
        ("macs_selected", |point| point.macs_selected *= 1.0 - 2e-6),
        ("macs_cascade", |point| point.macs_cascade = 0.0),
        ("macs_cascade", |point| point.exit_shares.swap(0, 3)),
    ];
    for (field, spoil) in spoilt {
        let mut result = fitting.clone();
        spoil(&mut result.operating_points[1]);
        let refusal = refused(&store, session, &attempt, &result).await;
        assert!(matches!(&refusal, Refusal::Cost { point: 1, field: named, .. } if *named == field), "{refusal}");
    }
    // Exits that answer together are all paid for.
    let mut together = fitting.clone();
    together.operating_points[1].policy = "ensemble".into();
    let refusal = refused(&store, session, &attempt, &together).await;
    assert!(matches!(&refusal, Refusal::Cost { point: 1, field: "macs_selected", .. }), "{refusal}");
    assert_eq!(store.job(&attempt).await.state, "leased");
    assert_eq!(store.count("operating_points").await, 0);
    together.operating_points[1].macs_selected = together.operating_points[1].macs_cascade;
    assert_eq!(store.complete(session, &attempt, &together, START_US).await, Answer::Accepted);
}

async fn a_job_says_what_its_result_is_of(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["none"]"#, "0")).await;
    let session = store.session("w").await;
    let ClaimedJob { attempt, config_json } = store.claim_one(session, START_US).await.unwrap();
    assert_eq!(store.job(&attempt).await.trainer, None);
    let simulated = outcome(&config_json, 0.9, &[(1.0, 0.9)]);
    let real = Outcome { trainer: "burn-flex".into(), ..simulated.clone() };
    let refusal = refused(&store, session, &attempt, &real).await;
    assert_eq!(refusal.to_string(), "a result of trainer `burn-flex` from a worker of trainer `simulated`");
    assert_eq!(store.job(&attempt).await.state, "leased");
    store.complete(session, &attempt, &simulated, START_US).await;
    assert_eq!(store.job(&attempt).await.trainer.as_deref(), Some("simulated"));
}

async fn a_result_that_cannot_be_stored_leaves_nothing_behind(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["none"]"#, "0")).await;
    let session = store.session("w").await;
    let ClaimedJob { attempt, config_json } = store.claim_one(session, START_US).await.unwrap();
    // No double is stored that is not finite; the last point is refused after everything before it was written.
    for accuracy in [f64::NAN, f64::INFINITY] {
        let result = outcome(&config_json, 0.9, &[(1.0, 0.9), (1.0, accuracy)]);
        let report = AttemptReport { attempt: attempt.clone(), end: AttemptEnd::Completed(Box::new(result)) };
        let failed = store.apply(&[Request { reports: vec![report], ..Request::new(session) }], START_US, LEASE_US).await;
        assert!(matches!(failed, Err(DatabaseError::Statement(_))), "{failed:?}");
    }
    assert_eq!(store.job(&attempt).await.state, "leased");
    for table in ["results", "exit_results", "operating_points", "frontier"] {
        assert_eq!(store.count(table).await, 0, "{table}");
    }
    assert_eq!(store.attempt_outcomes(&attempt).await, ["running"]);
}

async fn cells_are_summed_up_over_seeds(store: Fixture) {
    let sweep = store.submit_text(&sweep_text("a", r#"["none", "constant"]"#, "[0, 1, 2, 3]")).await.sweep;
    let session = store.session("w").await;
    // Final accuracies of `none`: mean 0.93, deviation sqrt((0.03² + 0.01² + 0.02²) / 2); one of its four seeds stays away. Of `constant`: one.
    for accuracy in [Some(0.90), Some(0.94), None, Some(0.95), Some(0.8)] {
        let job = store.claim_one(session, START_US).await.unwrap();
        let Some(accuracy) = accuracy else { continue };
        // One point at the cost of the backbone, without branches: up to there chance, then as far again its accuracy.
        store.complete(session, &job.attempt, &outcome(&job.config_json, accuracy, &[(1.0, accuracy / 2.0)]), START_US).await;
    }
    let patterns = store.reader().patterns(sweep).await.unwrap();
    let [none, constant] = patterns.as_slice() else { panic!("{patterns:?}") };
    let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
    assert_eq!((none.pattern.as_str(), none.n_seeds), ("none", 3));
    assert!(close(none.final_accuracy_mean, 0.93), "{none:?}");
    assert!(close(none.final_accuracy_deviation.unwrap(), 0.026_457_513_110_645_91), "{none:?}");
    assert!(close(none.area_mean, f64::midpoint(0.1, 0.465)) && close(none.area_deviation.unwrap(), 0.006_614_378_277_661_48), "{none:?}");
    assert_eq!((constant.pattern.as_str(), constant.n_seeds), ("constant", 1));
    assert_eq!((constant.area_deviation, constant.final_accuracy_deviation), (None, None), "one seed has no deviation");
    assert!(close(constant.final_accuracy_mean, 0.8));
    assert_eq!(constant.budget_error.to_bits(), 0.0_f64.to_bits());
}

async fn equal_seeds_deviate_by_nothing(store: Fixture) {
    let sweep = store.submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1]")).await.sweep;
    let session = store.session("w").await;
    for _ in 0..2 {
        store.complete_next(session, &[(1.0, 0.5)]).await;
    }
    let patterns = store.reader().patterns(sweep).await.unwrap();
    assert_eq!((patterns[0].final_accuracy_deviation, patterns[0].n_seeds), (Some(0.0), 2));
}

async fn jobs_that_differ_in_more_than_the_seed_are_different_cells(store: Fixture) {
    let text = sweep_text("a", r#"["none"]"#, "[0, 1]").replace("epochs = 2\n", "").replace("seed =", "epochs = [2, 3]\nseed =");
    let sweep = store.submit_text(&text).await.sweep;
    let session = store.session("w").await;
    for _ in 0..4 {
        store.complete_next(session, &[(1.0, 0.5)]).await;
    }
    let patterns = store.reader().patterns(sweep).await.unwrap();
    let label = |epochs: u32| format!("{epochs} epochs, batch 64, sgd 0.1 m 0.9 nesterov wd 0.0005, cosine, no augmentation");
    let cells: Vec<_> = patterns.iter().map(|pattern| (pattern.recipe.clone(), pattern.n_seeds)).collect();
    assert_eq!(cells, [(label(2), 2), (label(3), 2)]);
    let jobs = store.reader().jobs(JobsFilter { sweep: Some(sweep), state: None, limit: 9, offset: 0 }).await.unwrap();
    assert_eq!(jobs.into_iter().map(|job| job.recipe).collect::<Vec<_>>(), [label(2), label(2), label(3), label(3)]);
    let frontier = store.reader().frontier(FrontierFilter::of_sweep(sweep, CostMetric::MacsCascade)).await.unwrap();
    assert!(frontier.iter().any(|point| point.recipe == label(2)) && frontier.iter().any(|point| point.recipe == label(3)), "{frontier:?}");
}
