//! The bound of a submission: the very rows that the coordinator wrote, copied into another database in bulk.
//!
//! Rows travel as the coordinator's do, as JSON texts of a thousand each, in one transaction; but the texts are ready before the clock starts,
//! the rows carry their ids, and nothing is looked up or may be there already.

use std::time::Duration;

use anyhow::Context;

use crate::clock;
use crate::database::{Connection, Database};

/// Rows of one text.
const CHUNK: i64 = 1_000;
/// The tables of a sweep's jobs, in the order in which they refer to each other, with the column that says which job.
const TABLES: [(&str, &str); 4] = [("jobs", "id"), ("exits", "job_id"), ("job_states", "job_id"), ("sweep_jobs", "job_id")];

/// Statements with their rows.
#[derive(Debug)]
pub(crate) struct Bulk {
    chunks: Vec<(String, String)>,
}

impl Bulk {
    /// Reads what a submission wrote as sweep `sweep`, all of whose jobs were new.
    pub(crate) async fn read(database: &Database, sweep: i64) -> anyhow::Result<Self> {
        let mut from = database.connect().await?;
        let mut chunks = Vec::new();
        let known = format!("id IN (SELECT placement_id FROM job_states WHERE sponsor_id = {sweep})");
        for (table, rows) in [("sweeps", format!("id = {sweep}")), ("placements", known)] {
            let insertion = insertion(&mut from, table).await?;
            // A placement may be there from the sweep before.
            chunks.push((format!("{insertion} ON CONFLICT DO NOTHING"), texts(&mut from, table, "id", &rows).await?));
        }
        let first = from.number(&format!("SELECT min(job_id) FROM sweep_jobs WHERE sweep_id = {sweep}")).await?;
        let last = from.number(&format!("SELECT max(job_id) FROM sweep_jobs WHERE sweep_id = {sweep}")).await?;
        let mut insertions = Vec::new();
        for (table, _) in TABLES {
            insertions.push(insertion(&mut from, table).await?);
        }
        for start in (first..=last).step_by(CHUNK as usize) {
            let end = (start + CHUNK - 1).min(last);
            for ((table, id), insertion) in TABLES.into_iter().zip(&insertions) {
                let rows = texts(&mut from, table, id, &format!("{id} BETWEEN {start} AND {end}")).await?;
                chunks.push((insertion.clone(), rows));
            }
        }
        from.close().await?;
        Ok(Self { chunks })
    }

    /// Writes it into another database; how long that took.
    pub(crate) async fn write(&self, into: &mut Connection) -> anyhow::Result<Duration> {
        let start = clock::now();
        into.run(match into {
            Connection::Sqlite(_) => "BEGIN IMMEDIATE",
            Connection::Postgres(_) => "BEGIN",
        })
        .await?;
        for (insertion, rows) in &self.chunks {
            into.run_with(insertion, rows).await?;
        }
        into.run("COMMIT").await?;
        Ok(start.elapsed())
    }
}

async fn columns(from: &mut Connection, table: &str) -> anyhow::Result<Vec<String>> {
    let listed = match from {
        Connection::Sqlite(_) => from.text(&format!("SELECT group_concat(name, ',') FROM pragma_table_info('{table}')")).await?,
        Connection::Postgres(_) => {
            let list = format!(
                "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute
                WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped"
            );
            from.text(&list).await?
        }
    };
    Ok(listed.split(',').map(str::to_owned).collect())
}

/// The statement that stores rows of a table from a JSON text.
async fn insertion(from: &mut Connection, table: &str) -> anyhow::Result<String> {
    let columns = columns(from, table).await?;
    Ok(match from {
        Connection::Sqlite(_) => {
            let values: Vec<String> = columns.iter().map(|column| format!("json_extract(value, '$.{column}')")).collect();
            format!("INSERT INTO {table} ({}) SELECT {} FROM json_each($1) WHERE true", columns.join(", "), values.join(", "))
        }
        Connection::Postgres(_) => {
            let columns = columns.join(", ");
            // An id of its own is what a table's rows have in common that are numbered by the server.
            let overriding = if columns.starts_with("id,") { "OVERRIDING SYSTEM VALUE" } else { "" };
            format!("INSERT INTO {table} ({columns}) {overriding} SELECT {columns} FROM jsonb_populate_recordset(NULL::{table}, $1::jsonb)")
        }
    })
}

/// Rows of a table as a JSON text, in the order of `id`.
async fn texts(from: &mut Connection, table: &str, id: &str, rows: &str) -> anyhow::Result<String> {
    let statement = match from {
        Connection::Sqlite(_) => {
            let pairs: Vec<String> = columns(from, table).await?.iter().map(|column| format!("'{column}', {column}")).collect();
            format!("SELECT json_group_array(json_object({})) FROM (SELECT * FROM {table} WHERE {rows} ORDER BY {id})", pairs.join(", "))
        }
        Connection::Postgres(_) => {
            format!("SELECT jsonb_agg(to_jsonb(wanted))::text FROM (SELECT * FROM {table} WHERE {rows} ORDER BY {id}) AS wanted")
        }
    };
    from.text(&statement).await.with_context(|| format!("rows of `{table}` cannot be read back"))
}
