//! The statements themselves: that each engine takes them, and by which way it answers them.

use std::collections::BTreeSet;

use offramp_proto::v1;
use serde::Serialize;
use sqlx::{Executor, SqlSafeStr};

use super::*;

/// Names of the statements in a folder.
fn files(folder: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/sql").join(folder);
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(".sql").map(str::to_owned)).collect()
}

#[test]
fn every_file_is_listed() {
    let names = |statements: &[Statement]| statements.iter().map(|statement| statement.name.to_owned()).collect::<Vec<_>>();
    let own = |statements: &[(&str, &str)]| statements.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(files(""), names(sql::ALIKE).into_iter().collect());
    let split = names(sql::BY_ENGINE);
    assert_eq!(files("sqlite"), split.iter().cloned().chain(own(sql::sqlite::ALL)).collect());
    assert_eq!(files("postgres"), split.into_iter().chain(own(sql::postgres::ALL)).collect());
}

/// Every statement with its name, as an engine says it.
pub(super) fn all(postgres: bool) -> Vec<(&'static str, &'static str)> {
    let own = if postgres { sql::postgres::ALL } else { sql::sqlite::ALL };
    let said = |statement: &Statement| (statement.name, if postgres { statement.postgres } else { statement.sqlite });
    sql::ALIKE.iter().chain(sql::BY_ENGINE).map(said).chain(own.iter().copied()).collect()
}

on_both_engines! {
    every_statement_can_be_prepared,
    every_statement_says_who_runs_it,
    views_have_the_columns_of_the_messages,
    views_are_as_the_domain_describes_them,
    rows_are_read_as_messages,
}

async fn every_statement_can_be_prepared(store: Fixture) {
    for (name, statement) in all(store.is_postgres()) {
        let refused = match &store.writer {
            Pool::Sqlite(pool) => pool.acquire().await.unwrap().prepare(statement.into_sql_str()).await.err(),
            Pool::Postgres(pool) => pool.acquire().await.unwrap().prepare(statement.into_sql_str()).await.err(),
        };
        assert!(refused.is_none(), "{name}: {refused:?}");
    }
}

async fn every_statement_says_who_runs_it(store: Fixture) {
    for (name, statement) in all(store.is_postgres()) {
        let header = header(statement);
        assert!(header.starts_with("-- Caller: ") && header.contains(". Index: "), "{name}: {header}");
    }
}

/// The line that says who runs a statement, and which index it relies on: the last one before the statement.
pub(super) fn header(statement: &str) -> &str {
    statement.lines().take_while(|line| line.starts_with("--")).last().unwrap()
}

fn fields<T: Default + Serialize>() -> BTreeSet<String> {
    serde_json::to_value(T::default()).unwrap().as_object().unwrap().keys().cloned().collect()
}

fn named(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The public interface: the views have the columns of the messages, no more and no fewer.
async fn views_have_the_columns_of_the_messages(store: Fixture) {
    let columns = if store.is_postgres() {
        "SELECT table_name::text AS relation, column_name::text AS name FROM information_schema.columns WHERE table_schema = 'public'"
    } else {
        "SELECT sqlite_schema.name AS relation, columns.name AS name FROM sqlite_schema, pragma_table_info(sqlite_schema.name) AS columns"
    };
    let mut found = std::collections::BTreeMap::<String, BTreeSet<String>>::new();
    for row in store.rows(columns).await {
        found.entry(row.get("relation").unwrap()).or_default().insert(row.get("name").unwrap());
    }
    found.retain(|relation, _| relation.starts_with("v_"));
    let mut jobs = fields::<v1::JobRow>();
    assert!(jobs.remove("reused"), "it depends on the sweep, so v_sweep_jobs has it");
    let mut epochs = fields::<v1::EpochRow>();
    assert!(epochs.insert("job".to_owned()), "the message stands within its job");
    let expected = [
        ("v_artifacts", fields::<v1::ArtifactRow>()),
        ("v_attempts", fields::<v1::AttemptRow>()),
        ("v_configs", named(&["job", "job_key", "config"])),
        ("v_dependencies", named(&["job", "waits_for"])),
        ("v_epochs", epochs),
        ("v_events", fields::<v1::EventRow>()),
        ("v_exits", fields::<v1::ExitRow>()),
        ("v_frontier", fields::<v1::FrontierRow>()),
        ("v_frontier_history", fields::<v1::FrontierHistoryRow>()),
        ("v_jobs", jobs),
        ("v_operating_points", fields::<v1::OperatingPointRow>()),
        ("v_patterns", fields::<v1::PatternRow>()),
        ("v_sweep_jobs", named(&["sweep", "position", "job", "reused"])),
        ("v_sweeps", fields::<v1::SweepRow>()),
        ("v_workers", fields::<v1::WorkerRow>()),
    ];
    assert_eq!(found, expected.map(|(view, columns)| (view.to_owned(), columns)).into());
}

/// The views as the domain has them, which filters, exports and the command line go by, are those of the schema: names, order and types.
async fn views_are_as_the_domain_describes_them(store: Fixture) {
    use offramp_domain::table::{Kind, VIEWS};

    let columns = if store.is_postgres() {
        "SELECT table_name::text AS relation, column_name::text AS name, data_type::text AS type, collation_name::text AS collation \
         FROM information_schema.columns WHERE table_schema = 'public' AND table_name LIKE 'v\\_%' ORDER BY table_name, ordinal_position"
    } else {
        "SELECT sqlite_schema.name AS relation, columns.name AS name, columns.type AS type, '' AS collation \
         FROM sqlite_schema, pragma_table_info(sqlite_schema.name) AS columns WHERE sqlite_schema.type = 'view' ORDER BY 1, columns.cid"
    };
    let mut found = std::collections::BTreeMap::<String, Vec<(String, String)>>::new();
    for row in store.rows(columns).await {
        let column = (row.get("name").unwrap(), row.get("type").unwrap());
        found.entry(row.get("relation").unwrap()).or_default().push(column);
    }
    let names: BTreeSet<&str> = VIEWS.iter().map(|view| view.name).collect();
    assert_eq!(found.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
    for view in VIEWS {
        let found = &found[view.name];
        assert_eq!(
            found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            view.columns.iter().map(|column| column.name).collect::<Vec<_>>(),
            "{}",
            view.name
        );
        for (column, (_, stored)) in view.columns.iter().zip(found) {
            let expected = match (store.is_postgres(), column.kind) {
                (true, Kind::Integer | Kind::Flag | Kind::Time) => "bigint",
                (true, Kind::Real) => "double precision",
                (true, Kind::Text | Kind::Json) => "text",
                (false, Kind::Integer | Kind::Flag | Kind::Time) => "INT",
                (false, Kind::Real) => "REAL",
                (false, Kind::Text | Kind::Json) => "TEXT",
            };
            // SQLite knows the types of stored columns alone, and not of all of those.
            let is_computed = !store.is_postgres() && matches!(stored.as_str(), "" | "NUM" | "BLOB");
            assert!(stored.starts_with(expected) || is_computed, "{}.{} is {stored}, not {expected}", view.name, column.name);
        }
    }
}

/// Every column of every view can be read into its message, with values in it and without.
async fn rows_are_read_as_messages(store: Fixture) {
    let sweep = store.submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1, 2]")).await.sweep;
    let capabilities = Capabilities {
        device: Some(offramp_domain::placement::DeviceKind::Cuda),
        memory_mib: Some(8_000),
        datasets: Datasets::Named(vec!["digits".into(), "cifar10".into()]),
        labels: vec!["a100".into(), "nvlink".into()],
    };
    let session = store.open_session(&NewSession { capabilities, ..new_session("w", false) }, START_US).await.unwrap().id;
    let silent = store.session("silent").await;
    store.complete_next(session, &[(1.0, 0.9)]).await;
    let failed = store.claim_one(session, START_US).await.unwrap().attempt;
    store.fail(session, &failed, FailureKind::TimedOut, "too slow", START_US).await;
    store.claim_one(session, START_US).await.unwrap();
    store.close_session(silent, START_US + 1).await.unwrap();

    let reader = store.reader();
    let workers = reader.workers(true, 10).await.unwrap();
    let open = v1::WorkerRow {
        session: workers[1].session,
        worker: "w".into(),
        state: "open".into(),
        version: "1.2.3".into(),
        trainer: "simulated".into(),
        device: "cuda".into(),
        memory_mib: Some(8_000),
        datasets: "digits, cifar10".into(),
        labels: "a100, nvlink".into(),
        n_slots: 2,
        n_leased: 1,
        opened_us: START_US,
        seen_us: START_US,
        ended_us: None,
    };
    assert_eq!(workers[1], open);
    let [ended, _] = workers.as_slice() else { panic!("{workers:?}") };
    assert_eq!((ended.state.as_str(), ended.datasets.as_str(), ended.labels.as_str()), ("ended", "*", ""));
    assert_eq!((ended.memory_mib, ended.ended_us), (None, Some(START_US + 1)));
    assert_eq!(reader.workers(false, 10).await.unwrap(), [open]);

    let activity = reader.sweep_activity(sweep).await.unwrap();
    assert_eq!((activity.sweep.n_jobs, activity.running.len(), activity.running[0].1.worker.as_str()), (3, 1, "w"));
    assert_eq!(activity.sweep, reader.sweeps(1).await.unwrap()[0]);
    let (version, schema) = reader.versions().await.unwrap();
    assert!(version.starts_with(if store.is_postgres() { "PostgreSQL " } else { "SQLite 3." }), "{version}");
    assert_eq!(schema, newest_schema());
    let leased = JobsFilter { sweep: Some(sweep), state: Some(offramp_domain::lifecycle::State::Leased), limit: 9, offset: 0 };
    assert_eq!(reader.jobs(leased).await.unwrap().len(), 1);
}
