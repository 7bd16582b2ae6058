//! Claims and completions: workers that complete their jobs and take new ones with the same call, against the same rows written by a loop.
//!
//! One job a call is held against one transaction a job, as somebody writes it who has the database and nothing else; and, for comparison, against
//! the fastest that such a transaction can be, sent in one piece.

use std::cell::Cell;
use std::time::Duration;

use futures::future::try_join_all;

use super::{Scale, a_configuration};
use crate::coordinator::Coordinator;
use crate::database::{Database, Engine, Site};
use crate::raw::{Raw, plain};
use crate::table::{Figure, Requirement};
use crate::work::{self, Results, Worker};
use crate::{audit, clock};

const BATCH: usize = 16;

pub(super) async fn measure(site: &mut Site, engine: Engine, scale: &Scale) -> anyhow::Result<Vec<Figure>> {
    let n_repetitions = scale.n_repetitions;
    // With what each of the workers completes unmeasured, at the end of a repetition.
    let tail = scale.n_workers as u64 * (1 + BATCH as u64);
    let n_jobs = n_repetitions * (scale.n_single.max(2 * scale.n_single_raw) + scale.n_batched + 2 * tail) + tail;
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
    let mut plain = plain::Loops::open(&bare, scale.n_workers).await?;
    let figure = |name, n, least| Figure {
        name,
        engine: engine.name(),
        unit: "jobs/s",
        measured: Vec::new(),
        raw: Vec::new(),
        n,
        requirement: least,
    };
    let mut single = figure("throughput-1", scale.n_single, Requirement::RatioAtLeast(3.0));
    let mut single_one_trip = figure("throughput-1-one-trip", scale.n_single, Requirement::None);
    let mut batched = figure("throughput-16", scale.n_batched, Requirement::RatioAtLeast(0.7));
    let rate = |n: u64, took: Duration| n as f64 / took.as_secs_f64();
    let (mut n_done, mut n_raw_done) = (0, 0);
    let n_raw = scale.n_single_raw;
    for _ in 0..n_repetitions {
        single.raw.push(rate(n_raw, plain.run(&raw_results, n_raw).await?));
        let measured = rate(scale.n_single, run(&mut workers, &results, scale.n_single, 1).await?);
        single.measured.push(measured);
        single_one_trip.measured.push(measured);
        single_one_trip.raw.push(rate(n_raw, raw.run(&raw_results, n_raw, 1).await?));
        n_raw_done += 2 * n_raw + (plain.len() + raw.n_loops()) as u64;
        n_done += scale.n_single + workers.len() as u64;
    }
    for _ in 0..n_repetitions {
        batched.raw.push(rate(scale.n_batched, raw.run(&raw_results, scale.n_batched, BATCH).await?));
        batched.measured.push(rate(scale.n_batched, run(&mut workers, &results, scale.n_batched, BATCH).await?));
        n_raw_done += scale.n_batched + (raw.n_loops() * BATCH) as u64;
        n_done += scale.n_batched + (workers.len() * BATCH) as u64;
    }
    for worker in workers {
        worker.leave().await?;
    }
    coordinator.stop().await?;
    raw.close().await?;
    plain.close().await?;
    audit::check(&served, n_done).await?;
    audit::check(&bare, n_raw_done).await?;
    Ok(vec![single, single_one_trip, batched])
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
