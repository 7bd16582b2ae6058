//! How soon a waiting worker holds a job that has become claimable, while nothing else goes on.
//!
//! The job has failed, and somebody asks for it to be tried again. It becomes claimable when that is committed, which nobody outside can see
//! happen: it lies between the call's start and its return. So two times are taken, from either to the moment at which some waiting worker has
//! the job in hand. From the start, the time includes the whole call with its transaction; that is the figure which is held against the
//! requirement, because it can only be too long. From the return, it is the time that whoever asked would see, and 0 where the worker had the
//! job before he had his answer.

use std::time::Duration;

use anyhow::{Context, ensure};
use offramp_proto::v1;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Scale;
use crate::clock;
use crate::coordinator::Coordinator;
use crate::database::{Engine, Site};
use crate::statistics::percentile;
use crate::table::{Figure, Requirement};
use crate::work::{self, Worker};

/// As long as a claim may wait.
const WAIT_MS: u32 = 60_000;
/// Between two jobs: long enough that the worker which had the last one waits again, and everything is idle.
const PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn measure(site: &mut Site, engine: Engine, scale: &Scale) -> anyhow::Result<Vec<Figure>> {
    let database = site.make(engine, "dispatch").await?;
    let coordinator = Coordinator::start(&database.url()).await?;
    let mut client = work::submitter(&coordinator.url()).await?;
    let (holds, mut held) = mpsc::unbounded_channel();
    let mut waiting = JoinSet::new();
    for index in 0..scale.n_workers {
        let mut worker = Worker::join(&coordinator.url(), format!("bench-{index}"), 1).await?;
        let holds = holds.clone();
        waiting.spawn(async move {
            loop {
                if worker.claim(1, WAIT_MS).await? > 0 {
                    let held = clock::now();
                    worker.fail().await?;
                    holds.send(held).context("the benchmark is over")?;
                }
            }
            #[expect(unreachable_code, reason = "says which errors end a worker")]
            Ok::<(), anyhow::Error>(())
        });
    }
    let sweep = work::submit(&mut client, work::sweep_text("dispatch", 0, 1)).await?;
    tokio::time::timeout(PATIENCE, held.recv()).await.context("nobody got the job")?;
    let figure = |name, requirement| Figure { name, engine, unit: "ms", measured: vec![], raw: vec![], n: scale.n_dispatched, requirement };
    let mut figures = [
        (figure("dispatch-p50", Requirement::None), 0.5, true),
        (figure("dispatch-p99", Requirement::AtMost(5.0)), 0.99, true),
        (figure("dispatch-p50-from-return", Requirement::None), 0.5, false),
        (figure("dispatch-p99-from-return", Requirement::None), 0.99, false),
    ];
    let again = v1::RetryJobsRequest {
        failed: true,
        by: "bench@localhost".to_owned(),
        which: Some(v1::retry_jobs_request::Which::Sweep(sweep.sweep.to_string())),
        ..Default::default()
    };
    for _ in 0..scale.n_repetitions {
        let (mut from_start_ms, mut from_return_ms) = (Vec::new(), Vec::new());
        for _ in 0..scale.n_dispatched {
            tokio::time::sleep(PAUSE).await;
            let start = clock::now();
            let n_retried_jobs = client.retry_jobs(again.clone()).await?.into_inner().n_retried_jobs;
            let returned = clock::now();
            ensure!(n_retried_jobs == 1, "{n_retried_jobs} jobs were queued again");
            let held = tokio::select! {
                held = tokio::time::timeout(PATIENCE, held.recv()) => held.context("nobody got the job")?.context("all workers ended")?,
                Some(ended) = waiting.join_next() => {
                    ended??;
                    anyhow::bail!("a worker ended");
                }
            };
            from_start_ms.push(held.duration_since(start).as_secs_f64() * 1e3);
            from_return_ms.push(held.saturating_duration_since(returned).as_secs_f64() * 1e3);
        }
        for (figure, share, from_start) in &mut figures {
            figure.measured.push(percentile(if *from_start { &from_start_ms } else { &from_return_ms }, *share));
        }
    }
    waiting.shutdown().await;
    coordinator.stop().await?;
    Ok(figures.into_iter().map(|(figure, ..)| figure).collect())
}
