//! Claims and completions: workers that complete their jobs and take new ones with the same call, against the same rows written by a loop.

use std::cell::Cell;
use std::time::Duration;

use futures::future::try_join_all;

use super::{Scale, a_configuration};
use crate::coordinator::Coordinator;
use crate::database::{Database, Engine, Site};
use crate::raw::Raw;
use crate::table::{Figure, Requirement};
use crate::work::{self, Results, Worker};
use crate::{audit, clock};

const BATCH: usize = 16;

pub(super) async fn measure(site: &mut Site, engine: Engine, scale: &Scale) -> anyhow::Result<Vec<Figure>> {
    let n_repetitions = scale.n_repetitions;
    // With what each of the workers completes unmeasured, at the end of a repetition.
    let tail = scale.n_workers as u64 * (1 + BATCH as u64);
    let n_jobs = n_repetitions * (scale.n_single.max(scale.n_single_raw) + scale.n_batched + tail) + tail;
    let (served, bare) = (site.make(engine, "served").await?, site.make(engine, "bare").await?);
    let coordinator = Coordinator::start(&served.url()).await?;
    work::submit(&mut work::submitter(&coordinator.url()).await?, work::sweep_text("throughput", 0, n_jobs)).await?;
    fill(&bare, n_jobs).await?;
    for database in [&served, &bare] {
        database.settle().await?;
    }
    let mut workers = Vec::new();
    for index in 0..scale.n_workers {
        workers.push(Worker::join(&coordinator.url(), format!("bench-{index}"), BATCH as u32).await?);
    }
    let config = a_configuration(&served).await?;
    let (results, raw_results) = (Results::of(&config)?, Results::of(&config)?);
    let mut raw = Raw::open(&bare, scale.n_workers).await?;
    let (mut n_done, mut n_raw_done) = (0, 0);
    let mut figures = Vec::new();
    for (name, batch, n, n_raw, least) in
        [("throughput-1", 1, scale.n_single, scale.n_single_raw, 3.0), ("throughput-16", BATCH, scale.n_batched, scale.n_batched, 0.7)]
    {
        let mut figure = Figure {
            name,
            engine,
            unit: "jobs/s",
            measured: Vec::new(),
            raw: Vec::new(),
            n,
            requirement: Requirement::RatioAtLeast(least),
        };
        for _ in 0..n_repetitions {
            let took = raw.run(&raw_results, n_raw, batch).await?;
            figure.raw.push(n_raw as f64 / took.as_secs_f64());
            n_raw_done += n_raw + (raw.n_loops() * batch) as u64;
            let took = run(&mut workers, &results, n, batch).await?;
            figure.measured.push(n as f64 / took.as_secs_f64());
            n_done += n + (workers.len() * batch) as u64;
        }
        figures.push(figure);
    }
    for worker in workers {
        worker.leave().await?;
    }
    coordinator.stop().await?;
    raw.close().await?;
    audit::check(&served, n_done).await?;
    audit::check(&bare, n_raw_done).await?;
    Ok(figures)
}

/// Has a coordinator write a sweep into a database, and leaves it to others.
async fn fill(database: &Database, n_jobs: u64) -> anyhow::Result<()> {
    let coordinator = Coordinator::start(&database.url()).await?;
    work::submit(&mut work::submitter(&coordinator.url()).await?, work::sweep_text("throughput", 0, n_jobs)).await?;
    coordinator.stop().await
}

/// Lets the workers complete `n_jobs` jobs, `batch` a call; how long that took. Then, unmeasured, they complete what they have.
async fn run(workers: &mut [Worker], results: &Results, n_jobs: u64, batch: usize) -> anyhow::Result<Duration> {
    for worker in &mut *workers {
        worker.claim(batch as u32, 0).await?;
    }
    let n_left = Cell::new(n_jobs);
    let start = clock::now();
    let working = workers.iter_mut().map(async |worker| -> anyhow::Result<()> {
        while n_left.get() > 0 {
            n_left.set(n_left.get().saturating_sub(batch as u64));
            worker.report(results, batch as u32).await?;
        }
        Ok(())
    });
    try_join_all(working).await?;
    let took = start.elapsed();
    for worker in workers {
        worker.report(results, 0).await?;
    }
    Ok(took)
}
