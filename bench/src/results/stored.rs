//! Databases full of results, which came there as all results do: reported by workers and accepted.

use anyhow::ensure;
use futures::future::try_join_all;

use super::curves::{self, Curves, Kind, N_POINTS};
use crate::clock;
use crate::coordinator::Coordinator;
use crate::database::{Database, Engine, Site};
use crate::figures::a_configuration;
use crate::work::{self, Worker};

/// Results of one report while a database is filled, and hands that report at the same time.
const BATCH: u64 = 16;
const N_HANDS: u64 = 4;

/// A database with results, and the coordinator that accepts more.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) database: Database,
    coordinator: Coordinator,
    worker: Worker,
    curves: Curves,
    n_results: u64,
}

impl Stored {
    /// Fills a new database with `n_results` results; jobs for `n_more` wait.
    pub(super) async fn fill(site: &mut Site, engine: Engine, name: &str, n_results: u64, n_more: u64) -> anyhow::Result<Self> {
        let database = site.make(engine, name).await?;
        let coordinator = Coordinator::start(&database.url()).await?;
        let mut submitter = work::submitter(&coordinator.url()).await?;
        work::submit(&mut submitter, curves::sweep_text(n_results + n_more)).await?;
        let config = a_configuration(&database).await?;
        let worker = Worker::join(&coordinator.url(), "bench".to_owned(), (BATCH * N_HANDS) as u32).await?;
        let hands = (0..N_HANDS).map(|index| {
            let (hand, curves) = (worker.hand(), Curves::of(&config, index));
            // All of them together: so many results.
            let n_own = (n_results + index) / N_HANDS;
            async move { report(hand, curves?, n_own).await }
        });
        try_join_all(hands).await?;
        database.settle_results().await?;
        let stored = Self { database, coordinator, worker, curves: Curves::of(&config, N_HANDS)?, n_results };
        stored.check().await?;
        Ok(stored)
    }

    /// Has `n_results` results accepted, one a call; how long each call took, milliseconds.
    pub(super) async fn accept(&mut self, kind: Kind, n_results: u64) -> anyhow::Result<Vec<f64>> {
        let standing = "SELECT count(*) FROM frontier WHERE left_us IS NULL";
        let mut connection = self.database.connect().await?;
        let n_before = connection.number(standing).await?;
        let mut took_ms = Vec::new();
        for _ in 0..n_results {
            let n_claimed = self.worker.claim(1, 0).await?;
            ensure!(n_claimed == 1, "a claim got {n_claimed} jobs");
            let mut outcome = Some(self.curves.outcome(kind));
            let start = clock::now();
            self.worker.report_with(|| outcome.take().expect("one job is held"), 0).await?;
            took_ms.push(start.elapsed().as_secs_f64() * 1e3);
        }
        self.n_results += n_results;
        self.check().await?;
        let n_after = connection.number(standing).await?;
        connection.close().await?;
        let expected = match kind {
            Kind::Usual => return Ok(took_ms),
            Kind::Behind => n_before,
            // By dataset, backbone and pattern, of the sweep and of all: the curve under both MACs, and its best point under parameters.
            Kind::Ahead => 6 * (2 * N_POINTS as i64 + 1),
        };
        ensure!(n_after == expected, "{n_after} points on the frontiers where there should be {expected}");
        Ok(took_ms)
    }

    async fn check(&self) -> anyhow::Result<()> {
        let mut connection = self.database.connect().await?;
        let (found, expected) =
            (connection.number("SELECT count(*) FROM operating_points").await?, self.n_results as i64 * N_POINTS as i64);
        ensure!(found == expected, "{found} operating points where there should be {expected}");
        connection.close().await
    }

    /// Ends the coordinator.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.worker.leave().await?;
        self.coordinator.stop().await
    }
}

/// Completes `n_results` jobs.
async fn report(mut hand: Worker, mut curves: Curves, n_results: u64) -> anyhow::Result<()> {
    let mut n_left = n_results;
    while n_left > 0 {
        let n_jobs = hand.claim(n_left.min(BATCH) as u32, 0).await? as u64;
        ensure!(n_jobs > 0, "a claim got no job");
        hand.report_with(|| curves.outcome(Kind::Usual), 0).await?;
        n_left -= n_jobs;
    }
    Ok(())
}
