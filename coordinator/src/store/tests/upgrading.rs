//! A database of the first schema, with something in every table, as this build takes it over.

use sqlx::postgres::PgPool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use super::open::{POSTGRES_MIGRATIONS, SQLITE_MIGRATIONS, migrator};
use super::*;

const SEEDS: &str = "[0, 1, 2, 3, 4, 5]";

/// Makes a database of the first schema and runs statements on it.
async fn first_schema(home: &TestDatabase, statements: Vec<String>) {
    let statements = AssertSqlSafe(statements.join(";\n"));
    match &home.database {
        Database::Sqlite(path) => {
            let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(path).create_if_missing(true)).await.unwrap();
            sqlx::raw_sql(sql::sqlite::SET_APPLICATION_ID).execute(&pool).await.unwrap();
            migrator(&SQLITE_MIGRATIONS[..1]).run(&pool).await.unwrap();
            sqlx::raw_sql(statements).execute(&pool).await.unwrap();
            pool.close().await;
        }
        Database::Postgres(url) => {
            let pool = PgPool::connect_with(url.options()).await.unwrap();
            migrator(&POSTGRES_MIGRATIONS[..1]).run(&pool).await.unwrap();
            sqlx::raw_sql(statements).execute(&pool).await.unwrap();
            pool.close().await;
        }
    }
}

/// Six jobs of two sweeps, one in each state and a second queued one, as the first schema's coordinator left them.
fn rows() -> Vec<String> {
    let text = sweep_text("old", r#"["none"]"#, SEEDS);
    let sweep = parse(&text);
    let key = sweep.key();
    let mut rows = vec![
        format!("INSERT INTO sweeps (key, name, text, created_us, n_jobs) VALUES ('{key}', 'old', '{text}', {START_US}, 6)"),
        format!("INSERT INTO sweeps (key, name, text, created_us, n_jobs) VALUES ('other', 'other', '', {START_US}, 1)"),
    ];
    for (id, job) in (1..).zip(sweep.jobs()) {
        let (key, config, backbone_macs) = (job.config.key(), job.config.canonical_json(), job.network.backbone_macs());
        rows.push(format!(
            "INSERT INTO jobs (key, config, cell, backbone, dataset, pattern, exits, budget, recipe, seed, branch_rule, backbone_macs, \
             budget_macs, branch_macs, params, n_classes, created_us) VALUES ('{}', '{config}', 'cell', 'resnet8', 'digits', 'none', '-', \
             '-', 'recipe', {}, 'none', {backbone_macs}, 0, 0, 75002, 10, {START_US})",
            key.as_str(),
            id - 1,
        ));
        rows.push(format!("INSERT INTO exits VALUES ({id}, 0, 1, 4, 0, 0, {backbone_macs}, 0, 0, {backbone_macs}, {backbone_macs})"));
        rows.push(format!("INSERT INTO sweep_jobs (sweep_id, position, job_id) VALUES (1, {}, {id})", id - 1));
    }
    rows.push("INSERT INTO sweep_jobs (sweep_id, position, job_id) VALUES (2, 0, 1)".into());
    for (worker, ended) in [("gone", "7"), ("here", "NULL")] {
        rows.push(format!(
            "INSERT INTO sessions (worker, version, trainer, n_slots, embedded, opened_us, seen_us, ended_us) \
             VALUES ('{worker}', '0.1.0', 'simulated', 2, 0, 5, 6, {ended})"
        ));
    }
    let state = |job: i64, state: &str, attempt: i64, n_failures: i64, not_before: i64, held: &str, finished: &str, error: &str| {
        format!(
            "INSERT INTO job_states (job_id, state, attempt, n_failures, not_before_us, session_id, lease_until_us, finished_us, error) \
             VALUES ({job}, '{state}', {attempt}, {n_failures}, {not_before}, {held}, {finished}, '{error}')"
        )
    };
    rows.push(state(1, "queued", 0, 0, 0, "NULL, NULL", "NULL", ""));
    rows.push(state(2, "queued", 3, 1, START_US + SECOND_US, "NULL, NULL", "NULL", "once"));
    rows.push(state(3, "leased", 2, 0, 0, &format!("2, {}", START_US + LEASE_US), "NULL", ""));
    rows.push(state(4, "succeeded", 1, 0, 0, "NULL, NULL", "9", ""));
    rows.push(state(5, "failed", 1, 3, 3, "NULL, NULL", "9", "broken"));
    rows.push(state(6, "diverged", 1, 0, 0, "NULL, NULL", "9", "nan"));
    let attempt = |job: i64, attempt: i64, session: i64, outcome: &str, message: &str, ended: &str| {
        format!("INSERT INTO attempts VALUES ({job}, {attempt}, {session}, '{outcome}', '{message}', 8, {ended})")
    };
    rows.push(attempt(2, 1, 1, "lost", "the lease ran out", "9"));
    rows.push(attempt(2, 2, 1, "released", "given back", "9"));
    rows.push(attempt(2, 3, 2, "out-of-memory", "once", "9"));
    rows.push(attempt(3, 1, 1, "released", "given back", "9"));
    rows.push(attempt(3, 2, 2, "running", "", "NULL"));
    rows.push(attempt(4, 1, 2, "succeeded", "", "9"));
    rows.push(attempt(5, 1, 2, "failed", "broken", "9"));
    rows.push(attempt(6, 1, 2, "diverged", "nan", "9"));
    rows.push("INSERT INTO epochs VALUES (3, 1, 1, 2.5, '[0.25]', 10.0), (3, 2, 1, NULL, '[0.5]', 11.0)".into());
    rows.push("INSERT INTO results VALUES (4, 1, 'simulated', 10, 11, 12, 2.5, 0.9, 0.9, 0.5)".into());
    rows.push("INSERT INTO exit_results VALUES (4, 0, 0.9, 0.5, 0.8, 0.6)".into());
    rows.push("INSERT INTO operating_points VALUES (4, 0, 'max-softmax', 0.5, 747136.0, 747136.0, 0.9, 0.8, 747136.0, '[1.0]')".into());
    rows.push("INSERT INTO frontier VALUES (1, 'digits', 'macs_cascade', 4, 0), (1, 'digits', 'macs_selected', 4, 0)".into());
    rows
}

async fn everything_is_taken_over(home: TestDatabase) {
    first_schema(&home, rows()).await;
    let refused = Reader::open(&home.database).await.unwrap_err();
    assert!(matches!(refused, OpenError::Older { found: 1, known, .. } if known == newest_schema()), "{refused}");

    let store = Fixture::new(home).await;
    if !store.is_postgres() {
        assert_eq!(store.rows("PRAGMA foreign_key_check").await.len(), 0);
        assert_eq!(store.rows("PRAGMA integrity_check").await[0].get::<String>("integrity_check").unwrap(), "ok");
    }
    for (table, n_rows) in [
        ("sweeps", 2),
        ("jobs", 6),
        ("exits", 6),
        ("sweep_jobs", 7),
        ("sessions", 2),
        ("job_states", 6),
        ("attempts", 8),
        ("epochs", 2),
        ("results", 1),
        ("exit_results", 1),
        ("operating_points", 1),
        // Two metrics of the earlier table; and three, with three groupings, of its sweep and of all.
        ("frontier", 18),
        ("frontier_groups", 18),
        ("frontier_advances", 18),
        ("placements", 1),
    ] {
        assert_eq!(store.count(table).await, n_rows, "{table}");
    }
    let jobs = store.jobs().await;
    let row = |job: &offramp_proto::v1::JobRow| (job.state.clone(), job.attempt, job.n_failures, job.not_before_us, job.error.clone());
    let expected = [
        ("queued", 0, 0, None, ""),
        ("queued", 3, 1, Some(START_US + SECOND_US), "once"),
        ("leased", 2, 0, None, ""),
        ("succeeded", 1, 0, None, ""),
        ("failed", 1, 3, None, "broken"),
        ("diverged", 1, 0, None, "nan"),
    ];
    let expected =
        expected.map(|(state, attempt, n_failures, until_us, error)| (state.into(), attempt, n_failures, until_us, error.into()));
    assert_eq!(jobs.iter().map(row).collect::<Vec<_>>(), expected);

    let mut ends = Vec::new();
    for job in &jobs {
        let detail = store.reader().job(&job.job_key).await.unwrap();
        ends.push(detail.attempts.into_iter().map(|attempt| (attempt.outcome, attempt.state)).collect::<Vec<_>>());
    }
    let ended = |outcome: &str, state: &str| (outcome.to_owned(), state.to_owned());
    let expected = [
        vec![],
        vec![ended("lost", "queued"), ended("preempted", "queued"), ended("out-of-memory", "queued")],
        vec![ended("preempted", "queued"), ended("running", "")],
        vec![ended("succeeded", "succeeded")],
        vec![ended("failed", "failed")],
        vec![ended("diverged", "diverged")],
    ];
    assert_eq!(ends, expected);
    let sweep = store.reader().sweep("old").await.unwrap();
    assert_eq!((sweep.state.as_str(), sweep.n_queued, sweep.n_leased, sweep.priority, sweep.n_reused), ("running", 2, 1, 0, 0));
    let history: Vec<String> = store.reader().job(&jobs[1].job_key).await.unwrap().events.into_iter().map(|event| event.event).collect();
    // What the first schema did not say in order: all three attempts began and ended at one time.
    assert_eq!(history.len(), 7, "{history:?}");

    goes_on(&store, &jobs).await;
}

/// The work goes on where it stood.
async fn goes_on(store: &Fixture, jobs: &[offramp_proto::v1::JobRow]) {
    // The worker that held a lease reports under it.
    let session = SessionId::parse("2-5").unwrap();
    let leased = AttemptRef { key: offramp_domain::job::JobKey::parse(&jobs[2].job_key).unwrap(), attempt: 2 };
    assert_eq!(store.beat(session, &[&leased], START_US).await.unwrap().stale, []);
    let config = store.reader().job(&jobs[2].job_key).await.unwrap().config_json;
    assert_eq!(store.complete(session, &leased, &outcome(&config, 0.9, &[(1.0, 0.95)]), START_US).await, Answer::Accepted);
    let frontier = store.reader().frontier(FrontierFilter::of_sweep(1, CostMetric::MacsCascade)).await.unwrap();
    assert_eq!(frontier.iter().map(|point| point.accuracy).collect::<Vec<_>>(), [0.95], "it displaces the one from before");

    let claimed = store.claim(session, 9, START_US).await;
    assert_eq!(claimed.iter().map(|job| job.attempt.key.as_str()).collect::<Vec<_>>(), [jobs[0].job_key.as_str()]);
    assert!(store.expire(START_US + SECOND_US).await.unwrap().promoted);
    let claimed = store.claim_one(session, START_US + SECOND_US).await.unwrap();
    assert_eq!((claimed.attempt.key.as_str(), claimed.attempt.attempt), (jobs[1].job_key.as_str(), 4));

    let retried = store.retry_job(&offramp_domain::job::JobKey::parse(&jobs[4].job_key).unwrap(), &by("me"), START_US).await.unwrap();
    assert_eq!(retried.n_jobs, 1);
    assert_eq!(store.claim_one(session, START_US).await.unwrap().attempt.attempt, 2);
    // New rows get ids of their own, and the same content is the same sweep.
    assert!(!store.submit_text(&sweep_text("old", r#"["none"]"#, SEEDS)).await.created);
    let new = store.submit_text(&sweep_text("new", r#"["none"]"#, "[0, 9]")).await;
    assert_eq!((new.sweep, new.created, new.before.n_known_jobs), (3, true, 1));
    assert!(store.claim_one(session, START_US).await.is_some());
}

#[tokio::test]
async fn everything_is_taken_over_on_sqlite() {
    everything_is_taken_over(TestDatabase::sqlite()).await;
}

#[tokio::test]
async fn everything_is_taken_over_on_postgres() {
    if let Some(home) = TestDatabase::postgres().await {
        everything_is_taken_over(home).await;
    }
}
