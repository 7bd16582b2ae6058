//! What is measured.

mod dispatch;
mod latency;
mod memory;
mod submission;
mod throughput;

use crate::database::{Database, Engine, Site};
use crate::table::{Figure, complain};

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// Repetitions of a figure.
    pub(crate) n_repetitions: u64,
    /// Workers that claim and complete at the same time.
    n_workers: usize,
    /// Jobs of a repetition: one a call to the coordinator, one a transaction of the bound, and in batches.
    n_single: u64,
    n_single_raw: u64,
    n_batched: u64,
    /// Jobs of a submission.
    n_submitted: u64,
    /// Jobs of a short queue and of a long one, and of each sweep that makes up the long one.
    n_short: u64,
    n_long: u64,
    n_sweep: u64,
    /// Claims of a repetition.
    n_claims: u64,
    /// Jobs of a repetition that become claimable one by one.
    n_dispatched: u64,
    /// Sessions that wait.
    n_sessions: usize,
    /// How long they wait, seconds.
    idle_seconds: u64,
}

impl Scale {
    pub(crate) const FULL: Self = Self {
        n_repetitions: 5,
        n_workers: 32,
        n_single: 16_000,
        n_single_raw: 4_800,
        n_batched: 32_000,
        n_submitted: 100_000,
        n_short: 1_000,
        n_long: 1_000_000,
        n_sweep: 100_000,
        n_claims: 500,
        n_dispatched: 200,
        n_sessions: 1_000,
        idle_seconds: 12,
    };

    pub(crate) const QUICK: Self = Self {
        n_repetitions: 1,
        n_workers: 8,
        n_single: 160,
        n_single_raw: 160,
        n_batched: 640,
        n_submitted: 2_000,
        n_short: 100,
        n_long: 2_000,
        n_sweep: 1_000,
        n_claims: 50,
        n_dispatched: 10,
        n_sessions: 20,
        idle_seconds: 2,
    };
}

/// Measures everything on one engine, or what begins with one of the names in `only`.
pub(crate) async fn measure(site: &mut Site, engine: Engine, scale: &Scale, only: &[String]) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|start| name.starts_with(start.as_str()));
    let tell = |what: &str| complain(&format!("{}: {what}", engine.name()));
    if wanted("throughput") {
        tell("throughput");
        figures.extend(throughput::measure(site, engine, scale).await?);
    }
    if wanted("submission") {
        tell("submission");
        figures.push(submission::measure(site, engine, scale).await?);
    }
    if wanted("latency") {
        tell("latency");
        figures.extend(latency::measure(site, engine, scale).await?);
    }
    if wanted("dispatch") {
        tell("dispatch");
        figures.extend(dispatch::measure(site, engine, scale).await?);
    }
    if wanted("memory") {
        tell("memory");
        figures.extend(memory::measure(site, engine, scale).await?);
    }
    Ok(figures)
}

/// The configuration of a job that a database holds; any, where they differ in their seeds alone.
pub(crate) async fn a_configuration(database: &Database) -> anyhow::Result<String> {
    let mut connection = database.connect().await?;
    let config = connection.text("SELECT config FROM jobs ORDER BY id LIMIT 1").await?;
    connection.close().await?;
    Ok(config)
}
