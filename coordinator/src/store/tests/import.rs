use offramp_domain::exchange::{FinishedJob, SweepFile};
use offramp_domain::outcome::Progress;

use super::*;

on_both_engines! {
    results_come_over_to_the_last_bit_and_once,
    imported_results_count_as_if_they_had_been_trained_here,
    a_job_that_a_worker_has_is_left_to_it,
    what_ended_without_a_result_gets_one,
    what_waited_for_an_imported_result_waits_no_longer,
    another_result_of_a_job_is_told_and_not_taken,
    simulated_results_stay_apart_from_real_ones,
    a_result_that_cannot_be_keeps_none_of_the_others_out,
    a_hostile_name_is_made_harmless,
    only_the_jobs_of_a_sweep_are_told_of_it,
    snapshots_are_whole_and_stand_alone,
}

const SEEDS: &str = "[0, 1, 2]";

fn origin() -> Origin {
    Origin { from: "sqlite:other.db".into(), by: by("ann@node1") }
}

/// A database elsewhere with two finished jobs and one that is not, and what it has to tell.
async fn elsewhere() -> (Fixture, Vec<FinishedJob>) {
    let store = Fixture::sqlite().await;
    store.submit_text(&sweep_text("a", r#"["constant"]"#, SEEDS)).await;
    let session = store.session("far \u{2192} away").await;
    for (accuracy, points) in [(0.7, [(1.0 / 3.0, 0.1 + 0.2), (0.75, 2.0 / 3.0)]), (0.9, [(0.2, 0.25), (0.9, 0.5)])] {
        let job = store.claim_one(session, START_US).await.unwrap();
        let progress =
            Progress { epoch: 1, n_epochs: 2, loss: f64::NAN, exit_accuracy: vec![0.1, 1.0 / 3.0, 0.3, 0.4], images_per_second: 1e4 / 7.0 };
        let beat = Beat { attempt: job.attempt.clone(), progress: Some(progress) };
        store.ask(Request { beats: Some(vec![beat]), ..Request::new(session) }, START_US).await.unwrap();
        let mut result = outcome(&job.config_json, accuracy, &points);
        result.operating_points[0].latency_us = Some(1e4 / 3.0);
        result.exits[1].ece = Some(accuracy / 11.0);
        result.records = Some(Artifact { path: "/var/lib/offramp/a b.parquet".into(), bytes: 1 << 40, sha256: "0f".repeat(32) });
        assert_eq!(store.complete(session, &job.attempt, &result, START_US).await, Answer::Accepted);
    }
    let told = store.reader().finished_jobs(None, 0).await.unwrap();
    assert_eq!((told.jobs.len(), told.next), (2, None));
    (store, told.jobs)
}

async fn import(store: &Store, jobs: &[FinishedJob]) -> Vec<Imported> {
    store.import(jobs, &origin(), START_US + SECOND_US).await.unwrap()
}

/// What a store tells of its jobs, in the order of their keys; but for the time, which is that of the import.
async fn told(store: &Store) -> Vec<FinishedJob> {
    sorted(store.reader().finished_jobs(None, 0).await.unwrap().jobs)
}

fn sorted(mut jobs: Vec<FinishedJob>) -> Vec<FinishedJob> {
    jobs.sort_by_key(|job| job.key.clone());
    for job in &mut jobs {
        job.finished_us = 0;
    }
    jobs
}

async fn results_come_over_to_the_last_bit_and_once(store: Fixture) {
    let (_other, jobs) = elsewhere().await;
    assert_eq!(jobs[0].epochs.len(), 1);
    assert_eq!(import(&store, &jobs).await, [Imported::Added, Imported::Added]);
    assert_eq!(told(&store).await, sorted(jobs.clone()));
    // What follows from a result follows here as well: the rows of the views are the same but for times.
    let events = store.reader().job(jobs[0].key.as_str()).await.unwrap().events;
    let events: Vec<_> = events.iter().map(|event| (event.event.as_str(), event.who.as_str(), event.message.as_str())).collect();
    assert_eq!(events, [("imported", "ann@node1", "from sqlite:other.db, trained by far \u{2192} away")]);
    assert_eq!(store.reader().workers(true, 9).await.unwrap(), [], "who trained elsewhere is no worker here");
    for _ in 0..2 {
        assert_eq!(import(&store, &jobs).await, [Imported::Known, Imported::Known]);
    }
    assert_eq!(store.count("events").await, 2);
    assert_eq!(store.count("sessions").await, 1);
    // A sweep that comes later finds them.
    let submitted = store.submit_text(&sweep_text("b", r#"["constant"]"#, SEEDS)).await;
    assert_eq!(submitted.before, Preview { n_known_jobs: 2, n_finished_jobs: 2 });
    frontier::check(&store).await;
    assert_eq!(store.reader().sweep("b").await.unwrap().n_reused, 2);
}

async fn imported_results_count_as_if_they_had_been_trained_here(store: Fixture) {
    let (other, jobs) = elsewhere().await;
    store.submit_text(&sweep_text("a", r#"["constant"]"#, SEEDS)).await;
    store.submit_text(&sweep_text("b", r#"["constant"]"#, "[1, 7]")).await;
    assert_eq!(import(&store, &jobs).await, [Imported::Added, Imported::Added]);
    frontier::check(&store).await;
    let sweep = store.reader().sweep("a").await.unwrap();
    assert_eq!((sweep.n_succeeded, sweep.n_queued, sweep.n_leased), (2, 1, 0));
    let rows = async |store: &Store| store.reader().frontier(FrontierFilter::of_sweep(1, CostMetric::MacsCascade)).await.unwrap();
    assert!(!rows(&store).await.is_empty());
    assert_eq!(rows(&store).await, rows(&other).await);
    let scores = async |store: &Store| {
        let jobs = store.reader().jobs(JobsFilter {
            sweep: Some(1),
            state: Some(offramp_domain::lifecycle::State::Succeeded),
            limit: 9,
            offset: 0,
        });
        jobs.await.unwrap().into_iter().map(|job| (job.job, job.area, job.best_accuracy, job.trainer)).collect::<Vec<_>>()
    };
    assert_eq!(scores(&store).await, scores(&other).await);
}

async fn a_job_that_a_worker_has_is_left_to_it(store: Fixture) {
    let (_other, jobs) = elsewhere().await;
    store.submit_text(&sweep_text("a", r#"["constant"]"#, SEEDS)).await;
    let session = store.session("w").await;
    let held = store.claim_one(session, START_US).await.unwrap();
    assert_eq!(held.attempt.key, jobs[0].key);
    assert_eq!(import(&store, &jobs).await, [Imported::Leased, Imported::Added]);
    assert_eq!(store.complete(session, &held.attempt, &jobs[0].outcome, START_US).await, Answer::Accepted);
    assert_eq!(import(&store, &jobs).await, [Imported::Known, Imported::Known]);
}

async fn what_ended_without_a_result_gets_one(store: Fixture) {
    let (_other, jobs) = elsewhere().await;
    store.submit_text(&waiting()).await;
    let session = store.session("w").await;
    let first = store.claim_one(session, START_US).await.unwrap();
    store.fail(session, &first.attempt, FailureKind::Diverged, "nan", START_US).await;
    let state = async |store: &Store| store.jobs().await.into_iter().map(|job| job.state).collect::<Vec<_>>();
    assert_eq!(state(&store).await, ["diverged", "queued", "failed"]);
    store.retry_job(&first.attempt.key, false, &by("ann"), START_US).await.unwrap();
    assert_eq!(state(&store).await, ["queued", "queued", "blocked"]);
    store.cancel_job(&first.attempt.key, &by("ann"), START_US).await.unwrap();
    assert_eq!(state(&store).await[0], "cancelled");
    assert_eq!(import(&store, &jobs).await, [Imported::Added, Imported::Added]);
    let states = state(&store).await;
    assert_eq!(states[..2], ["succeeded", "succeeded"]);
    assert_eq!(store.attempt_outcomes(&first.attempt).await, ["diverged", "succeeded"]);
    // The old attempt's worker comes too late.
    assert_eq!(store.complete(session, &first.attempt, &jobs[0].outcome, START_US).await, Answer::Stale);
    frontier::check(&store).await;
}

/// A sweep of which seed 7 waits for the two others, which are finished elsewhere.
fn waiting() -> String {
    let after = "[[after]]\njob = { seed = 7 }\nwait_for = { seed = [0, 1] }\n";
    format!("{}{after}", sweep_text("a", r#"["constant"]"#, "[0, 1, 7]"))
}

async fn what_waited_for_an_imported_result_waits_no_longer(store: Fixture) {
    let (_other, jobs) = elsewhere().await;
    store.submit_text(&waiting()).await;
    let state = async |store: &Store| store.jobs().await.into_iter().map(|job| job.state).collect::<Vec<_>>();
    assert_eq!(state(&store).await, ["queued", "queued", "blocked"]);
    assert_eq!(import(&store, &jobs[..1]).await, [Imported::Added]);
    assert_eq!(state(&store).await, ["succeeded", "queued", "blocked"]);
    assert_eq!(import(&store, &jobs[1..]).await, [Imported::Added]);
    assert_eq!(state(&store).await, ["succeeded", "succeeded", "queued"]);
    let session = store.session("w").await;
    assert!(store.claim_one(session, START_US + SECOND_US).await.is_some());
}

async fn another_result_of_a_job_is_told_and_not_taken(store: Fixture) {
    let (_other, jobs) = elsewhere().await;
    assert_eq!(import(&store, &jobs).await, [Imported::Added, Imported::Added]);
    let mut changed = jobs.clone();
    changed[0].outcome.exits[2].accuracy += 1e-12;
    // Machines differ in these, results don't.
    changed[1].outcome.train_seconds *= 2.0;
    changed[1].outcome.operating_points[0].latency_us = Some(1.0);
    assert_eq!(import(&store, &changed).await, [Imported::Differs { field: "exit 2".into() }, Imported::Known]);
    assert_eq!(told(&store).await, sorted(jobs));
}

async fn simulated_results_stay_apart_from_real_ones(store: Fixture) {
    let (_other, mut jobs) = elsewhere().await;
    jobs[1].outcome.trainer = "burn-flex".into();
    let refused = store.import(&jobs, &origin(), START_US).await.unwrap_err();
    assert!(matches!(&refused, ImportError::Trainer { found, present } if found == "burn-flex" && present == "simulated"), "{refused}");
    assert_eq!((store.count("jobs").await, store.count("results").await, store.count("sessions").await), (0, 0, 0));
    // An open session of a worker counts, too.
    store.session("w").await;
    let refused = store.import(&jobs[1..], &origin(), START_US).await.unwrap_err();
    assert!(matches!(refused, ImportError::Trainer { .. }), "{refused}");
    assert_eq!(import(&store, &jobs[..1]).await, [Imported::Added]);
}

async fn a_result_that_cannot_be_keeps_none_of_the_others_out(store: Fixture) {
    let (_other, jobs) = elsewhere().await;
    let spoilt = |spoil: fn(&mut FinishedJob)| {
        let mut job = jobs[0].clone();
        spoil(&mut job);
        job
    };
    for (job, expected) in [
        (spoilt(|job| job.outcome.operating_points[1].macs_selected *= 1.01), "`operating_point.macs_selected` is"),
        (spoilt(|job| job.outcome.exits.truncate(3)), "`operating_point.exit_shares` is 4 values"),
        (spoilt(|job| job.outcome.exits[0].accuracy = 1.5), "`exit.accuracy` is 1.5"),
        (spoilt(|job| job.outcome.exits[0].loss = f64::INFINITY), "`exit.loss` is inf"),
        (spoilt(|job| job.outcome.operating_points.clear()), "`outcome.operating_points` is missing"),
        (spoilt(|job| job.outcome.operating_points[0].policy = "'; drop table jobs".into()), "`operating_point.policy` is"),
        (spoilt(|job| job.epochs[0].exit_accuracy[0] = -1.0), "`progress.exit_accuracy` is -1"),
        (spoilt(|job| job.outcome.trainer = "a\u{1b}[2J".into()), "`trainer` is"),
        (spoilt(|job| job.config_json = job.config_json.replace("\"seed\":0", "\"seed\":9")), "its configuration has the key"),
        (spoilt(|job| job.config_json = "{".into()), "its configuration cannot be understood"),
    ] {
        let answers = import(&store, &[job, jobs[1].clone()]).await;
        let Imported::Refused(refusal) = &answers[0] else { panic!("{answers:?}") };
        assert!(refusal.to_string().starts_with(expected), "{refusal}");
        assert!(!refusal.to_string().contains('\u{1b}'));
        assert!(matches!(answers[1], Imported::Added | Imported::Known), "{answers:?}");
    }
    assert_eq!(told(&store).await, sorted(jobs[1..].to_vec()), "nothing is left of what was refused");
    assert_eq!(store.count("jobs").await, 1);
}

async fn a_hostile_name_is_made_harmless(store: Fixture) {
    let (_other, mut jobs) = elsewhere().await;
    jobs[0].worker = format!("a\u{1b}[2J{}", "x".repeat(300));
    assert_eq!(import(&store, &jobs).await, [Imported::Added, Imported::Added]);
    let worker = told(&store).await.into_iter().find(|job| job.key == jobs[0].key).unwrap().worker;
    assert!(worker.starts_with("a\\u{1b}[2Jx") && worker.chars().count() == 200, "{worker}");
    let job = store.reader().job(jobs[0].key.as_str()).await.unwrap();
    assert!(job.events.iter().all(|event| !event.message.contains('\u{1b}')), "{:?}", job.events);
}

async fn only_the_jobs_of_a_sweep_are_told_of_it(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["constant"]"#, SEEDS)).await;
    let session = store.session("w").await;
    let keys: Vec<_> = [
        store.complete_next(session, &[(0.5, 0.5)]).await.key,
        store.complete_next(session, &[(0.5, 0.6)]).await.key,
        store.complete_next(session, &[(0.5, 0.7)]).await.key,
    ]
    .into();
    let text = sweep_text("b", r#"["constant"]"#, "[2, 0, 9]");
    let second = store.submit_text(&text).await.sweep;
    let jobs = store.reader().finished_jobs(Some(second), 0).await.unwrap();
    assert_eq!(jobs.next, None);
    let told: Vec<_> = jobs.jobs.iter().map(|job| (job.key.clone(), job.outcome.exits.len(), job.outcome.operating_points.len())).collect();
    assert_eq!(told, [(keys[0].clone(), 4, 1), (keys[2].clone(), 4, 1)]);
    let files = store.reader().sweep_files(Some(second)).await.unwrap();
    assert_eq!(files, [SweepFile { key: parse(&text).key(), name: "b".into(), text, created_us: START_US }]);
    assert_eq!(store.reader().sweep_files(None).await.unwrap().len(), 2);
    // Page by page it is the same.
    let mut tx = store.reader().pool().begin_reading().await.unwrap();
    let (mut after, mut paged) = (0, Vec::new());
    loop {
        let page = exchange::finished_jobs(&mut tx, 0, after, 1).await.unwrap();
        paged.extend(page.jobs);
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(paged, store.reader().finished_jobs(None, 0).await.unwrap().jobs);
}

async fn snapshots_are_whole_and_stand_alone(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["constant"]"#, SEEDS)).await;
    let session = store.session("w").await;
    store.complete_next(session, &[(0.5, 0.5)]).await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("it's a copy.db");
    // A reader that may not write, while the store has the file open and a transaction under way.
    let reader = Reader::open(&store.home.database).await.unwrap();
    let writing = store.begin().await.unwrap();
    if store.is_postgres() {
        let refused = reader.snapshot(&path).await.unwrap_err();
        assert!(matches!(refused, SnapshotError::Postgres) && refused.hint().unwrap().contains("pg_dump"), "{refused}");
        return;
    }
    reader.snapshot(&path).await.unwrap();
    writing.rollback().await.unwrap();
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["it's a copy.db"], "no log beside it");
    assert!(matches!(reader.snapshot(&path).await.unwrap_err(), SnapshotError::Exists(_)));
    // Without its write-ahead log the original would lack what is here.
    let copy = Reader::open(&Database::Sqlite(path.clone())).await.unwrap();
    assert_eq!(copy.finished_jobs(None, 0).await.unwrap(), store.reader().finished_jobs(None, 0).await.unwrap());
    assert_eq!(
        copy.frontier(FrontierFilter::of_sweep(1, CostMetric::MacsCascade)).await.unwrap(),
        store.reader().frontier(FrontierFilter::of_sweep(1, CostMetric::MacsCascade)).await.unwrap()
    );
    copy.close().await;
    // It is a database to go on with, too.
    let copy = Fixture { store: Store::open(&Database::Sqlite(path), LIMITS).await.unwrap(), home: TestDatabase::sqlite() };
    assert_eq!(copy.submit_text(&sweep_text("b", r#"["constant"]"#, SEEDS)).await.before.n_finished_jobs, 1);
}
