//! Claims on a long queue against claims on a short one: nothing about handing out a job may depend on how many wait.

use anyhow::ensure;
use offramp_proto::v1::sweep_service_client::SweepServiceClient;

use super::{Scale, a_configuration};
use crate::clock;
use crate::coordinator::Coordinator;
use crate::database::{Engine, Site};
use crate::statistics::percentile;
use crate::table::{Figure, Requirement};
use crate::work::{self, Results, Wire, Worker};

/// Claims on one queue before the other one's turn: what disturbs the machine for longer disturbs both.
const BLOCK: u64 = 50;

struct Queue {
    coordinator: Coordinator,
    client: SweepServiceClient<Wire>,
    worker: Worker,
    results: Results,
    n_submitted: u64,
    latencies_ms: Vec<f64>,
}

impl Queue {
    /// A queue of `n_jobs` jobs, submitted as sweeps of `n_sweep` at most.
    async fn fill(site: &mut Site, engine: Engine, name: &str, n_jobs: u64, n_sweep: u64) -> anyhow::Result<Self> {
        let database = site.make(engine, name).await?;
        let coordinator = Coordinator::start(&database.url()).await?;
        let mut client = work::submitter(&coordinator.url()).await?;
        let mut n_submitted = 0;
        while n_submitted < n_jobs {
            let n_more = n_sweep.min(n_jobs - n_submitted);
            submit(&mut client, &mut n_submitted, n_more).await?;
        }
        database.settle().await?;
        let results = Results::of(&a_configuration(&database).await?)?;
        let worker = Worker::join(&coordinator.url(), "bench".to_owned(), BLOCK as u32).await?;
        Ok(Self { coordinator, client, worker, results, n_submitted, latencies_ms: Vec::new() })
    }

    /// Times single claims, then puts as many jobs into the queue as it took out.
    async fn claim(&mut self, n_claims: u64) -> anyhow::Result<()> {
        for _ in 0..n_claims {
            let start = clock::now();
            let n_jobs = self.worker.claim(1, 0).await?;
            self.latencies_ms.push(start.elapsed().as_secs_f64() * 1e3);
            ensure!(n_jobs == 1, "a claim got {n_jobs} jobs");
        }
        self.worker.report(&self.results, 0).await?;
        submit(&mut self.client, &mut self.n_submitted, n_claims).await
    }
}

/// Submits the next `n_jobs` jobs: those of the seeds from `n_submitted` on.
async fn submit(client: &mut SweepServiceClient<Wire>, n_submitted: &mut u64, n_jobs: u64) -> anyhow::Result<()> {
    work::submit(client, work::sweep_text("latency", *n_submitted, n_jobs)).await?;
    *n_submitted += n_jobs;
    Ok(())
}

pub(super) async fn measure(site: &mut Site, engine: Engine, scale: &Scale) -> anyhow::Result<Vec<Figure>> {
    let mut short = Queue::fill(site, engine, "short", scale.n_short, scale.n_sweep).await?;
    let mut long = Queue::fill(site, engine, "long", scale.n_long, scale.n_sweep).await?;
    let figure = |name, requirement| Figure {
        name,
        engine: engine.name(),
        unit: "ms",
        measured: vec![],
        raw: vec![],
        n: scale.n_claims,
        requirement,
    };
    let mut figures =
        [("latency-p50", 0.5), ("latency-p99", 0.99)].map(|(name, share)| (figure(name, Requirement::RatioAtMost(1.5)), share));
    for _ in 0..scale.n_repetitions {
        for _ in 0..scale.n_claims / BLOCK {
            short.claim(BLOCK).await?;
            long.claim(BLOCK).await?;
        }
        for (figure, share) in &mut figures {
            figure.measured.push(percentile(&long.latencies_ms, *share));
            figure.raw.push(percentile(&short.latencies_ms, *share));
        }
        short.latencies_ms.clear();
        long.latencies_ms.clear();
    }
    short.coordinator.stop().await?;
    long.coordinator.stop().await?;
    Ok(figures.into_iter().map(|(figure, _)| figure).collect())
}
