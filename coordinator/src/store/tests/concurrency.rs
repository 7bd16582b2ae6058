//! Several coordinators on one PostgreSQL database: whatever they do at the same time comes to what one after the other would have done.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;

use super::*;

/// A transaction of a batch that lost against another is tried this often; the coordinator's own bound is lower, and its workers ask again.
const TRIES: u32 = 20;

/// Two coordinators on one new database; `None` without a server.
async fn two_stores() -> Option<(Fixture, Store)> {
    let first = Fixture::postgres().await?;
    let second = Store::open(&first.home.database, LIMITS).await.unwrap();
    Some((first, second))
}

/// Carries a request out, again where it lost against another transaction. Any other error is one too many.
async fn apply(store: &Store, request: Request, now_us: i64, retried: &AtomicU64) -> Reply {
    for _ in 0..TRIES {
        match store.apply(std::slice::from_ref(&request), now_us, LEASE_US).await {
            Ok(mut applied) => return applied.replies.remove(0).unwrap(),
            Err(error) => {
                assert!(error.is_passing(), "{}", crate::chain(&error));
                retried.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    panic!("{TRIES} tries were not enough")
}

/// A seeded stream of choices.
struct Choices(u64);

impl Choices {
    fn below(&mut self, n: u64) -> u64 {
        // Knuth's MMIX generator; its high bits are good enough to mix things up.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Works until nothing is left: claims a few jobs at a time, completes most, fails or gives back some, and reports twice now and then.
async fn work(store: Store, worker: u64, retried: Arc<AtomicU64>) -> (Vec<AttemptRef>, u64) {
    let session = store.session(&format!("w{worker}")).await;
    let (mut choices, mut held, mut n_accepted, mut now_us, mut n_idle) = (Choices(worker), Vec::new(), 0, START_US, 0);
    loop {
        let n_jobs = 1 + choices.below(5) as usize;
        let reply = apply(&store, Request { n_jobs, ..Request::new(session) }, now_us, &retried).await;
        held.extend(reply.claimed.iter().map(|job| job.attempt.clone()));
        if reply.claimed.is_empty() {
            // What others hold may come back, and what waits be set free; and every row may have been locked for a moment.
            let over = store.rows("SELECT count(*) AS n FROM job_states WHERE finished_us IS NULL").await[0].get::<i64>("n").unwrap() == 0;
            if over {
                return (held, n_accepted);
            }
            n_idle += 1;
            assert!(n_idle < 5_000, "worker {worker} waits for ever");
            now_us += SECOND_US / 2;
            // Back-offs end; no lease does, however long this worker has waited for the others.
            store.promote(now_us).await.map_or_else(|error| assert!(error.is_passing(), "{error}"), drop);
            continue;
        }
        let mut reports = Vec::new();
        for job in reply.claimed {
            let end = match choices.below(12) {
                0 => AttemptEnd::Failed { kind: FailureKind::TimedOut, message: "slow".into() },
                1 => AttemptEnd::GivenBack,
                _ => {
                    let points = [(0.25, choices.below(50) as f64 / 50.0), (0.75, choices.below(50) as f64 / 50.0)];
                    AttemptEnd::Completed(Box::new(outcome(&job.config_json, 0.9, &points)))
                }
            };
            reports.push(AttemptReport { attempt: job.attempt, end });
        }
        let twice = choices.below(4) == 0;
        let request = Request { reports: reports.clone(), ..Request::new(session) };
        for _ in 0..=u32::from(twice) {
            let answers = apply(&store, request.clone(), now_us, &retried).await.answers;
            assert_eq!(answers, vec![Answer::Accepted; reports.len()], "nobody else reports on this worker's leases");
        }
        n_accepted += reports.iter().filter(|report| matches!(report.end, AttemptEnd::Completed(_))).count() as u64;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_job_is_leased_once_at_a_time_and_has_one_result() {
    let Some((first, second)) = two_stores().await else { return };
    // Two sweeps share a third of their jobs, and in each some wait for two others.
    let after = "[[after]]\njob = { pattern = { increasing = 0.5 } }\nwait_for = { pattern = [\"none\", \"constant\"] }\n";
    for (name, seeds) in [("a", "{ from = 0, to = 599 }"), ("b", "{ from = 400, to = 999 }")] {
        let text = sweep_text(name, r#"["none", "constant", { increasing = 0.5 }]"#, seeds);
        first.submit_text(&format!("max_failed_jobs = 1000\n{text}{after}")).await;
    }
    let n_jobs = first.count("jobs").await;
    assert_eq!((n_jobs, first.count("job_dependencies").await), (3_000, 2_000));
    let retried = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for worker in 0..12 {
        let store = if worker % 2 == 0 { first.store.clone() } else { second.clone() };
        workers.spawn(work(store, worker, Arc::clone(&retried)));
    }
    let (mut leased, mut n_accepted) = (Vec::new(), 0);
    while let Some(done) = workers.join_next().await {
        let (held, accepted) = done.unwrap();
        leased.extend(held);
        n_accepted += accepted;
    }
    assert_eq!(leased.iter().collect::<HashSet<_>>().len(), leased.len(), "no attempt was handed out twice");
    assert_eq!(leased.len() as i64, first.count("attempts").await);
    assert_eq!(n_accepted as i64, first.count("results").await);
    let ends = "attempts WHERE outcome = 'running' OR ended_us IS NULL";
    assert_eq!(first.count(ends).await, 0);
    let unequal = "job_states LEFT JOIN results ON results.job_id = job_states.job_id \
                   WHERE (job_states.state = 'succeeded') <> (results.job_id IS NOT NULL)";
    assert_eq!(first.count(unequal).await, 0, "a result for each success, and for nothing else");
    // Attempts are numbered without a gap.
    let gaps = "job_states WHERE attempt <> (SELECT count(*) FROM attempts WHERE attempts.job_id = job_states.job_id)";
    assert_eq!(first.count(gaps).await, 0);
    // A failed dependency fails its dependants; nothing waits any more.
    let wrong = "job_dependencies JOIN job_states AS waiting ON waiting.job_id = job_dependencies.job_id \
                 JOIN job_states AS awaited ON awaited.job_id = job_dependencies.waits_for_id \
                 WHERE awaited.state <> 'succeeded' AND waiting.state <> 'failed'";
    assert_eq!(first.count(wrong).await, 0);
    frontier::check_standing(&first).await;
    for sweep in first.reader().sweeps(9).await.unwrap() {
        assert_eq!(sweep.state, "finished");
    }
}

/// Runs two transactions at the same time, many times over, and looks at what both came to.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_last_dependencies_one_sets_the_dependant_free() {
    let Some((first, second)) = two_stores().await else { return };
    let after = "[[after]]\njob = { pattern = { increasing = 0.5 } }\nwait_for = { pattern = [\"none\", \"constant\"] }\n";
    let text = sweep_text("a", r#"["none", "constant", { increasing = 0.5 }]"#, "{ from = 0, to = 59 }");
    first.submit_text(&format!("{text}{after}")).await;
    let (here, there) = (first.session("here").await, first.session("there").await);
    let retried = AtomicU64::new(0);
    // The jobs of `none` come first, and then those of `constant`, each seed at its turn.
    let ones = first.claim(here, 60, START_US).await;
    let others = first.claim(there, 60, START_US).await;
    for (n_free, (one, other)) in (1..).zip(ones.iter().zip(&others)) {
        let report = |session, job: &ClaimedJob| {
            let result = outcome(&job.config_json, 0.9, &[(1.0, 0.9)]);
            let report = AttemptReport { attempt: job.attempt.clone(), end: AttemptEnd::Completed(Box::new(result)) };
            Request { reports: vec![report], ..Request::new(session) }
        };
        let (a, b) =
            tokio::join!(apply(&first, report(here, one), START_US, &retried), apply(&second, report(there, other), START_US, &retried));
        assert_eq!((a.answers, b.answers), (vec![Answer::Accepted], vec![Answer::Accepted]));
        assert_eq!(first.count("job_states WHERE state = 'queued'").await, n_free);
    }
    assert_eq!(first.count("events WHERE event = 'unblocked'").await, 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sweeps_that_share_jobs_and_are_paused_together_hand_nothing_out() {
    let Some((first, second)) = two_stores().await else { return };
    let a = first.submit_text(&sweep_text("a", r#"["none"]"#, "{ from = 0, to = 39 }")).await.sweep;
    let b = first.submit_text(&sweep_text("b", r#"["none"]"#, "{ from = 0, to = 39 }").replace("[recipe]", "[recipe] ")).await;
    assert!(b.created, "a sweep of another name with the same jobs");
    let session = first.session("w").await;
    for _ in 0..10 {
        let (me, you) = (by("me"), by("you"));
        let (x, y) = tokio::join!(first.pause(a, &me, START_US), second.pause(b.sweep, &you, START_US));
        assert!(x.unwrap().changed && y.unwrap().changed);
        assert_eq!(first.claim(session, 99, START_US).await, []);
        let (x, y) = tokio::join!(first.resume(a, &me, START_US), second.resume(b.sweep, &you, START_US));
        assert!(x.unwrap().changed && y.unwrap().changed);
        assert_eq!(first.count("job_states WHERE sponsor_id IS NULL").await, 0);
    }
}

/// People pause, cancel and retry while workers work.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn control_under_load_fails_nobody() {
    let Some((first, second)) = two_stores().await else { return };
    let text = |name: &str, seeds: &str| sweep_text(name, r#"["none", "constant"]"#, seeds);
    let a = first.submit_text(&text("a", "{ from = 0, to = 149 }")).await.sweep;
    first.submit_text(&text("b", "{ from = 100, to = 249 }")).await;
    let retried = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for worker in 0..6 {
        let store = if worker % 2 == 0 { first.store.clone() } else { second.clone() };
        workers.spawn(work_whatever_comes(store, worker, Arc::clone(&retried)));
    }
    let me = by("me");
    for round in 0..8 {
        second.pause(a, &me, START_US).await.unwrap();
        first.prioritize_sweep(a, round, &me, START_US).await.unwrap();
        second.submit_text(&text(&format!("c{round}"), &format!("{{ from = {}, to = {} }}", round * 20, round * 20 + 30))).await;
        first.resume(a, &me, START_US).await.unwrap();
    }
    first.cancel_sweep(a, &me, START_US).await.unwrap();
    let states = RetryStates { failed: true, quarantined: true, cancelled: true };
    second.retry_sweep(a, states, &me, START_US).await.unwrap();
    while let Some(done) = workers.join_next().await {
        done.unwrap();
    }
    assert_eq!(first.count("job_states WHERE finished_us IS NULL").await, 0, "all is over");
    assert_eq!(first.count("job_states WHERE state = 'succeeded'").await, first.count("results").await);
    frontier::check_standing(&first).await;
}

/// Completes whatever it is given, until nothing is left; a cancelled job's result is answered so.
async fn work_whatever_comes(store: Store, worker: u64, retried: Arc<AtomicU64>) {
    let session = store.session(&format!("w{worker}")).await;
    let mut reports = Vec::new();
    loop {
        let n_reports = reports.len();
        let request = Request { reports: std::mem::take(&mut reports), n_jobs: 4, ..Request::new(session) };
        let reply = apply(&store, request, START_US, &retried).await;
        assert_eq!(reply.answers.len(), n_reports);
        assert!(reply.answers.iter().all(|answer| matches!(answer, Answer::Accepted | Answer::Cancelled | Answer::Stale)), "{reply:?}");
        for job in reply.claimed {
            let result = outcome(&job.config_json, 0.9, &[(0.5, 0.5)]);
            reports.push(AttemptReport { attempt: job.attempt, end: AttemptEnd::Completed(Box::new(result)) });
        }
        let n_left: i64 = store.rows("SELECT count(*) AS n FROM job_states WHERE finished_us IS NULL").await[0].get("n").unwrap();
        if reports.is_empty() && n_left == 0 {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn submissions_that_make_a_circle_together_are_not_both_taken() {
    let Some((first, second)) = two_stores().await else { return };
    for round in 0..10 {
        let (one, other) = (round * 2, round * 2 + 1);
        let text = |name: &str, job: u32, awaited: u32| {
            let after = format!("[[after]]\njob = {{ seed = {job} }}\nwait_for = {{ seed = {awaited} }}\n");
            format!("{}{after}", sweep_text(&format!("{name}{round}"), r#"["none"]"#, &format!("[{one}, {other}]")))
        };
        let (a, b) = (text("a", one, other), text("b", other, one));
        let (parsed_a, parsed_b, me) = (parse(&a), parse(&b), by("me"));
        let (x, y) = tokio::join!(first.submit(&parsed_a, &a, &me, START_US), second.submit(&parsed_b, &b, &me, START_US));
        let refused = [x.err(), y.err()].into_iter().flatten().collect::<Vec<_>>();
        assert!(matches!(refused.as_slice(), [SubmitError::Cycle(_)]), "{refused:?}");
    }
    assert_eq!(first.count("job_dependencies").await, 10);
}

#[tokio::test]
async fn a_result_that_comes_while_its_job_enters_a_sweep_is_on_that_sweeps_frontier() {
    let Some((first, second)) = two_stores().await else { return };
    first.submit_text(&sweep_text("a", r#"["none"]"#, "{ from = 0, to = 19 }")).await;
    let session = first.session("w").await;
    let retried = AtomicU64::new(0);
    for (round, job) in first.claim(session, 20, START_US).await.into_iter().enumerate() {
        let text = sweep_text(&format!("b{round}"), r#"["none"]"#, &format!("[{round}, {}]", 1_000 + round));
        let result = outcome(&job.config_json, 0.9, &[(1.0, 0.9)]);
        let report = AttemptReport { attempt: job.attempt, end: AttemptEnd::Completed(Box::new(result)) };
        let request = Request { reports: vec![report], ..Request::new(session) };
        let (submitted, reply) = tokio::join!(second.submit_text(&text), apply(&first, request, START_US, &retried));
        assert_eq!(reply.answers, [Answer::Accepted]);
        assert_eq!(
            first.reader().frontier(FrontierFilter::of_sweep(submitted.sweep, CostMetric::MacsCascade)).await.unwrap().len(),
            1,
            "round {round}"
        );
    }
}

/// Ends the server's side of every other connection to the database.
async fn cut_connections(store: &Fixture) {
    let Database::Postgres(url) = &store.home.database else { panic!("a server's") };
    let mut connection = PgConnection::connect_with(&url.options()).await.unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::raw_sql(cut).execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_is_cut_in_the_middle_is_passing() {
    let Some(store) = Fixture::postgres().await else { return };
    store.submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1]")).await;
    let session = store.session("w").await;
    let mut tx = store.begin().await.unwrap();
    tx.run(statement("UPDATE sweeps SET note = 'half done'"), []).await.unwrap();
    cut_connections(&store).await;
    let error = DatabaseError::from(tx.run(sql::PROMOTE, engine::args![START_US]).await.unwrap_err());
    assert!(matches!(error, DatabaseError::Unreachable(_)) && error.is_passing(), "{error:?}");
    assert!(error.hint().unwrap().contains("PostgreSQL"));
    drop(tx);
    // The next one has a new connection, and finds nothing of the first.
    assert_eq!(store.claim(session, 1, START_US).await.len(), 1);
    assert_eq!(store.reader().sweep("a").await.unwrap().note, "");
    // Idle connections that were cut are not noticed by whoever asks next.
    for _ in 0..3 {
        cut_connections(&store).await;
        store.pause(1, &by("me"), START_US).await.unwrap();
        store.resume(1, &by("me"), START_US).await.unwrap();
        assert_eq!(store.reader().sweep("a").await.unwrap().state, "running");
    }
}

#[tokio::test]
async fn batches_keep_their_connection_for_as_long_as_it_is_used() {
    let Some(store) = Fixture::postgres().await else { return };
    let pid_of = async |tx: &mut Transaction| -> i64 {
        tx.one(statement("SELECT pg_backend_pid()::bigint AS pid"), []).await.unwrap().get("pid").unwrap()
    };
    let begin = |now_us| store.batches.begin(&store.writer, now_us);
    let mut tx = begin(START_US).await.unwrap();
    let first = pid_of(&mut tx).await;
    let mut beside = begin(START_US).await.unwrap();
    assert_ne!(pid_of(&mut beside).await, first, "one that is in use is nobody else's");
    beside.rollback().await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = begin(START_US + SECOND_US - 1).await.unwrap();
    assert_eq!(pid_of(&mut tx).await, first);
    // What is not committed is gone with its connection, which is closed.
    tx.run(statement("CREATE TABLE half_done (a bigint)"), []).await.unwrap();
    drop(tx);
    let mut tx = begin(START_US + SECOND_US).await.unwrap();
    assert_ne!(pid_of(&mut tx).await, first);
    assert!(tx.all(statement("SELECT a FROM half_done"), []).await.is_err());
    tx.rollback().await.unwrap();
    // Cut off in the meantime: the batch fails in passing, and the next one is carried out.
    cut_connections(&store).await;
    let error = DatabaseError::from(begin(START_US + SECOND_US).await.unwrap_err());
    assert!(error.is_passing(), "{error:?}");
    begin(START_US + SECOND_US).await.unwrap().commit().await.unwrap();
    // Cut off while nothing was asked for: the pool finds out.
    cut_connections(&store).await;
    begin(START_US + 3 * SECOND_US).await.unwrap().commit().await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn control_is_tried_again_where_it_lost() {
    let Some(store) = Fixture::postgres().await else { return };
    let sweep = store.submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1]")).await.sweep;
    // Somebody holds what the request needs, and is gone as soon as the request waits for it.
    let mut holder = store.begin().await.unwrap();
    holder.run(statement("UPDATE sweeps SET note = 'held'"), []).await.unwrap();
    let waits = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let cut = async {
        while store.rows(waits).await[0].get::<i64>("n").unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        cut_connections(&store).await;
    };
    let me = by("me");
    let (paused, ()) = tokio::join!(store.pause(sweep, &me, START_US), cut);
    assert!(paused.unwrap().changed);
    assert_eq!(store.reader().sweep("a").await.unwrap().state, "paused");
}

/// Takes results back while workers bring others, until it has done so often enough.
async fn take_back(store: Store, enough: Arc<std::sync::atomic::AtomicBool>) -> u64 {
    let (mut choices, mut n_removed) = (Choices(99), 0);
    while n_removed < 30 {
        let rows = store.rows("SELECT jobs.key FROM results JOIN jobs ON jobs.id = results.job_id ORDER BY jobs.key").await;
        if rows.is_empty() {
            tokio::task::yield_now().await;
            continue;
        }
        let key: String = rows[choices.below(rows.len() as u64) as usize].get("key").unwrap();
        let key = offramp_domain::job::JobKey::parse(&key).unwrap();
        let taken_back = if choices.below(6) == 0 {
            store.delete_job(&key, &by("me"), START_US).await.map(|deleted| deleted.changed)
        } else {
            store.retry_job(&key, true, &by("me"), START_US).await.map(|taken| taken.changed)
        };
        match taken_back {
            Ok(changed) => n_removed += u64::from(changed),
            // Somebody was faster, or the job is the last one.
            Err(error) => assert!(matches!(error, ControlError::NotOver { .. } | ControlError::Running(_)), "{}", crate::chain(&error)),
        }
    }
    enough.store(true, Ordering::Release);
    n_removed
}

/// Completes jobs until no result is taken back any more and none is missing.
async fn complete_all(store: Store, worker: u64, enough: Arc<std::sync::atomic::AtomicBool>) {
    let (session, retried, mut choices) = (store.session(&format!("w{worker}")).await, AtomicU64::new(0), Choices(worker));
    loop {
        // Asked first: what is taken back after that is still to come.
        let over = enough.load(Ordering::Acquire);
        let reply = apply(&store, Request { n_jobs: 2, ..Request::new(session) }, START_US, &retried).await;
        if reply.claimed.is_empty() {
            let left: i64 = store.rows("SELECT count(*) AS n FROM job_states WHERE finished_us IS NULL").await[0].get("n").unwrap();
            if over && left == 0 {
                return;
            }
            tokio::task::yield_now().await;
            continue;
        }
        let mut reports = Vec::new();
        for job in reply.claimed {
            // Early results are better, so that what is taken back had displaced others.
            let points = [(0.25, choices.below(50) as f64 / 50.0), (0.75, choices.below(50) as f64 / 50.0)];
            let end = AttemptEnd::Completed(Box::new(outcome(&job.config_json, 0.9, &points)));
            reports.push(AttemptReport { attempt: job.attempt, end });
        }
        apply(&store, Request { reports, ..Request::new(session) }, START_US, &retried).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn results_are_taken_back_while_others_are_accepted() {
    let Some((first, second)) = two_stores().await else { return };
    first.submit_text(&sweep_text("a", r#"["none", "constant"]"#, "{ from = 0, to = 29 }")).await;
    first.submit_text(&sweep_text("b", r#"["constant"]"#, "{ from = 10, to = 49 }")).await;
    let enough = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut workers = JoinSet::new();
    for worker in 0..4 {
        let store = if worker % 2 == 0 { first.store.clone() } else { second.clone() };
        workers.spawn(complete_all(store, worker, Arc::clone(&enough)));
    }
    let removed = tokio::spawn(take_back(second.clone(), enough));
    while let Some(done) = workers.join_next().await {
        done.unwrap();
    }
    assert_eq!(removed.await.unwrap(), 30);
    assert_eq!(first.count("results").await, first.count("jobs").await);
    frontier::check_standing(&first).await;
}
