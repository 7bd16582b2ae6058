use std::collections::BTreeSet;

use offramp_proto::v1;
use serde::Serialize;
use sqlx::{AssertSqlSafe, Executor, Row, SqlSafeStr};

use super::*;

#[test]
fn every_file_is_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql");
    let files: BTreeSet<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let listed: BTreeSet<String> = sql::ALL.iter().map(|(name, _)| format!("{name}.sql")).collect();
    assert_eq!(files, listed);
}

#[tokio::test]
async fn every_statement_can_be_prepared() {
    let store = fixture().await;
    let mut connection = store.store.writer.acquire().await.unwrap();
    for (name, statement) in sql::ALL {
        let prepared = connection.prepare(statement.into_sql_str()).await;
        assert!(prepared.is_ok(), "{name}: {:?}", prepared.err());
    }
}

#[tokio::test]
async fn every_statement_says_who_runs_it_and_uses_the_indexes_that_it_names() {
    let store = fixture().await;
    let indexes: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
        .fetch_all(store.reader().pool())
        .await
        .unwrap();
    let (mut used, mut unused) = (BTreeSet::new(), Vec::new());
    for (name, statement) in sql::ALL {
        let header = statement.lines().nth(1).unwrap();
        assert!(header.starts_with("-- Caller: ") && header.contains(". Index: "), "{name}: {header}");
        let promised: Vec<&String> =
            indexes.iter().filter(|index| header.split([' ', ',', '.']).any(|word| word == index.as_str())).collect();
        if promised.is_empty() {
            continue;
        }
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let rows = sqlx::raw_sql(explain).fetch_all(&store.store.writer).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        for index in promised {
            if plan.iter().any(|line| line.contains(index.as_str())) {
                used.insert(index.clone());
            } else {
                unused.push(format!("{name} does not use {index}: {plan:?}"));
            }
        }
    }
    assert!(unused.is_empty(), "{unused:#?}");
    assert_eq!(used, indexes.into_iter().collect(), "an index that no statement relies on");
}

fn fields<T: Default + Serialize>() -> serde_json::Value {
    serde_json::to_value(T::default()).unwrap()
}

/// The public interface: the views have the columns of the messages, no more and no fewer.
#[tokio::test]
async fn views_have_the_columns_of_the_messages() {
    let store = fixture().await;
    let check = async |view: &str, message: serde_json::Value| {
        let columns: Vec<String> =
            sqlx::query_scalar("SELECT name FROM pragma_table_info($1)").bind(view).fetch_all(store.reader().pool()).await.unwrap();
        let columns: BTreeSet<String> = columns.into_iter().collect();
        let fields: BTreeSet<String> = message.as_object().unwrap().keys().cloned().collect();
        assert_eq!(columns, fields, "{view}");
    };
    check("v_sweeps", fields::<v1::SweepRow>()).await;
    check("v_jobs", fields::<v1::JobRow>()).await;
    check("v_attempts", fields::<v1::AttemptRow>()).await;
    check("v_exits", fields::<v1::ExitRow>()).await;
    check("v_operating_points", fields::<v1::OperatingPointRow>()).await;
    check("v_frontier", fields::<v1::FrontierRow>()).await;
    check("v_patterns", fields::<v1::PatternRow>()).await;
}
