//! By which way the engines answer: the indexes that statements rely on.

use std::collections::BTreeSet;

use super::engine::{Value, args};
use super::statements::{all, header};
use super::*;

/// Jobs of one sweep, all claimable but for every tenth, which waits for its back-off; of three priorities.
pub(super) async fn with_many_jobs(store: &Store, n_jobs: u32) -> SessionId {
    store.submit_text(&sweep_text("a", r#"["none"]"#, "0")).await;
    let numbers = format!("WITH RECURSIVE numbers (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM numbers WHERE i < {n_jobs})");
    let columns = "config, cell, backbone, dataset, pattern, exits, budget, recipe, seed, branch_rule, backbone_macs, budget_macs, \
                   branch_macs, params, n_classes, created_us";
    let key = "CAST(10000000 + numbers.i AS TEXT) || '000000000000000000000000'";
    store.execute(&format!("{numbers} INSERT INTO jobs (key, {columns}) SELECT {key}, {columns} FROM numbers CROSS JOIN jobs")).await;
    store
        .execute(
            "INSERT INTO job_states (job_id, state, attempt, n_failures, forgiven_attempt, not_before_us, sponsor_id, placement_id, priority, \
             own_priority, turn, error) SELECT id, 'queued', 1, 0, 0, CASE WHEN id % 10 = 0 THEN id ELSE 0 END, 1, 1, id % 3, 0, id, '' \
             FROM jobs WHERE id > 1",
        )
        .await;
    store
        .execute(
            "INSERT INTO events (at_us, job_id, attempt, event, state, who, message) SELECT 0, id, 0, 'prioritized', 'queued', 'me', '' \
             FROM jobs WHERE id % 5 = 0",
        )
        .await;
    store.execute("INSERT INTO sweep_jobs (sweep_id, position, job_id) SELECT 1, id, id FROM jobs WHERE id > 1").await;
    store.execute("INSERT INTO job_dependencies (job_id, waits_for_id) SELECT id, id - 1 FROM jobs WHERE id % 5 = 0").await;
    let session = store.session("w").await;
    store
        .execute(
            "INSERT INTO attempts (job_id, attempt, session_id, outcome, state, message, leased_us, ended_us) \
             SELECT id, 1, 1, 'crashed', 'queued', '', 0, 1 FROM jobs WHERE id > 1",
        )
        .await;
    store.execute("ANALYZE").await;
    session
}

/// A step of SQLite's plan.
#[derive(Debug)]
pub(super) struct Step {
    parent: i64,
    pub(super) detail: String,
}

/// SQLite's plan of a statement.
pub(super) async fn sqlite_plan(store: &Store, text: &str, values: impl IntoIterator<Item = Value>) -> Vec<Step> {
    let mut tx = store.begin().await.unwrap();
    let rows = tx.all(statement(&format!("EXPLAIN QUERY PLAN {text}")), values).await.unwrap();
    rows.iter().map(|row| Step { parent: row.get("parent").unwrap(), detail: row.get("detail").unwrap() }).collect()
}

#[tokio::test]
async fn sqlite_uses_the_indexes_that_statements_name() {
    let store = Fixture::sqlite().await;
    let indexes = store.rows("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL").await;
    let indexes: Vec<String> = indexes.iter().map(|row| row.get("name").unwrap()).collect();
    let (mut used, mut unused) = (BTreeSet::new(), Vec::new());
    for (name, statement) in all(false) {
        let header = header(statement);
        let promised: Vec<&String> =
            indexes.iter().filter(|index| header.split([' ', ',', '.']).any(|word| word == index.as_str())).collect();
        if promised.is_empty() {
            continue;
        }
        // Some files are several statements.
        let mut plan = Vec::new();
        for part in statement.split_inclusive(";\n") {
            plan.extend(sqlite_plan(&store, part, []).await);
        }
        for index in promised {
            if plan.iter().any(|step| step.detail.contains(index.as_str())) {
                used.insert(index.clone());
            } else {
                unused.push(format!("{name} does not use {index}: {plan:#?}"));
            }
        }
    }
    assert!(unused.is_empty(), "{}", unused.join("\n"));
    assert_eq!(used, indexes.into_iter().collect(), "an index that no statement relies on");
}

#[tokio::test]
async fn a_claim_among_many_jobs_reads_no_more_than_it_takes_on_sqlite() {
    let store = Fixture::sqlite().await;
    let session = with_many_jobs(&store, 100_000).await;
    let values = |sweep: Option<i64>| args!["[1]", json(&[session.id, session.id]), START_US, i64::MAX, 2_i64, sweep, START_US];
    let claim = sql::CLAIM.sqlite.split_inclusive(";\n").next().unwrap();
    for sweep in [None, Some(1)] {
        let plan = sqlite_plan(&store, claim, values(sweep)).await;
        let queue = plan.iter().find(|step| step.detail.starts_with("SEARCH queue")).unwrap_or_else(|| panic!("{plan:#?}"));
        assert!(queue.detail.contains("INDEX job_states_claim (placement_id=?"), "{plan:#?}");
        let beside: Vec<&Step> = plan.iter().filter(|step| step.parent == queue.parent).collect();
        assert!(beside.iter().all(|step| !step.detail.contains("TEMP B-TREE")), "nothing is sorted to find the first: {plan:#?}");
        // What was found is looked up by its number, not the other way round.
        for table in ["next", "job_states"] {
            let by_number = |step: &Step| step.detail.starts_with(&format!("SEARCH {table} USING INTEGER PRIMARY KEY"));
            assert!(plan.iter().any(by_number), "{table}: {plan:#?}");
        }
    }
    assert_eq!(store.claim(session, 2, START_US).await.len(), 2);
}

/// PostgreSQL's plan of a statement, carried out and taken back.
async fn postgres_plan(store: &Store, text: &str, values: impl IntoIterator<Item = Value>) -> Vec<String> {
    let mut tx = store.begin().await.unwrap();
    let explain = format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) {text}");
    let rows = tx.all(statement(&explain), values).await.unwrap();
    rows.iter().map(|row| row.get("QUERY PLAN").unwrap()).collect()
}

#[tokio::test]
async fn what_runs_all_day_reads_no_more_than_it_takes_on_postgres() {
    let Some(store) = Fixture::postgres().await else { return };
    let session = with_many_jobs(&store, 50_000).await;
    let held = store.claim(session, 40, START_US).await;
    let key = held[0].attempt.key.as_str();
    store.execute("ANALYZE").await;
    let attempts = format!(r#"[{{"place": 0, "key": "{key}", "attempt": 2, "session": {}}}]"#, session.id);
    let ended =
        r#"[{"job_id": 1, "attempt": 2, "state": "queued", "n_failures": 0, "not_before_us": 0, "outcome": "preempted", "message": ""}]"#;
    let places = json(&[session.id; 16]);
    let claim = |sweep: Option<i64>| args!["[1]", &places, START_US, i64::MAX, 16_i64, sweep, START_US].to_vec();
    let hot: [(Statement, Vec<Value>, &[&str]); 10] = [
        (sql::CLAIM, claim(None), &["job_states_claim"]),
        (sql::CLAIM, claim(Some(1)), &["job_states_claim"]),
        (sql::RENEW, args![&attempts, START_US].to_vec(), &[]),
        (sql::LOOK, args![format!("[{}]", session.id), &attempts].to_vec(), &[]),
        (sql::SETTLE, args![ended, START_US].to_vec(), &["sweep_jobs_job", "job_dependencies_waits_for"]),
        (sql::HELD_TOO_LONG, args![START_US - 1].to_vec(), &["job_states_lease"]),
        (sql::PROMOTE, args![9_i64].to_vec(), &["job_states_waiting"]),
        (sql::TURN_BASE, args![1_i64, 1_i64].to_vec(), &["job_states_claim"]),
        (sql::EVENTS_OF_JOB, args![&key[..12]].to_vec(), &["jobs_job"]),
        (sql::COUNT_AHEAD, args![1_i64, 2_i64, 100_i64, 50_i64, 1_000_i64].to_vec(), &["job_states_claim"]),
    ];
    for (statement, values, indexes) in hot {
        let plan = postgres_plan(&store, statement.postgres, values).await;
        let shown = format!("{}:\n{}", statement.name, plan.join("\n"));
        for index in indexes {
            assert!(plan.iter().any(|line| line.contains(&format!(" {index}"))), "no {index} in {shown}");
        }
        for table in ["job_states", "jobs", "attempts", "events", "sweep_jobs", "job_dependencies"] {
            assert!(!plan.iter().any(|line| line.contains(&format!("Seq Scan on {table}"))), "a whole table is read: {shown}");
        }
        // A scan that returns more than the statement takes would have been sorted or thrown away.
        let scanned =
            plan.iter().filter(|line| line.contains("job_states")).filter_map(|line| line.split_once("actual rows=")?.1.split(' ').next());
        for n_rows in scanned {
            assert!(n_rows.parse::<f64>().unwrap() <= 40.0, "{shown}");
        }
    }
}
