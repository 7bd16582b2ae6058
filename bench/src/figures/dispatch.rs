//! How soon a waiting worker holds a job that has become claimable, while nothing else goes on.
//!
//! The job has failed, and somebody asks for it to be tried again. It becomes claimable when that is committed, between the call's start and its
//! return; three times are taken, from any of the three to the moment at which some waiting worker has the job in hand.
//!
//! - From the commit, which a PostgreSQL server can tell afterwards. It takes the time when it begins to write the commit out, some milliseconds
//!   before anybody sees the job queued, so this is too long rather than too short. It is held against the requirement.
//! - From the call's start, with the whole call and its transaction in it. It is held against the requirement on SQLite, which tells nothing.
//! - From the call's return: what whoever asked would see, and 0 where the worker had the job before he had his answer.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use offramp_proto::v1;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Scale;
use crate::clock;
use crate::coordinator::Coordinator;
use crate::database::{Connection, Engine, Site};
use crate::statistics::percentile;
use crate::table::{Figure, Requirement};
use crate::work::{self, Worker};

/// As long as a claim may wait.
const WAIT_MS: u32 = 60_000;
/// Between two jobs: long enough that the worker which had the last one waits again, and everything is idle.
const PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(30);

/// When the newest repeated try was committed, unix microseconds, by the clock of this machine.
const COMMITTED: &str = "SELECT (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint FROM events \
                         WHERE event = 'retried' ORDER BY at_us DESC LIMIT 1";

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
                    let held = (clock::now(), clock::unix_us());
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
    let figure = |name, requirement| Figure {
        name,
        engine: engine.name(),
        unit: "ms",
        measured: vec![],
        raw: vec![],
        n: scale.n_dispatched,
        requirement,
    };
    let mut ledger = if engine == Engine::Postgres { Some(ledger(database.connect().await?).await?) } else { None };
    let wanted = |here: bool| if here { Requirement::AtMost(5.0) } else { Requirement::None };
    let mut figures = vec![
        (figure("dispatch-p50-from-call", Requirement::None), 0.5, Since::Call),
        (figure("dispatch-p99-from-call", wanted(ledger.is_none())), 0.99, Since::Call),
        (figure("dispatch-p50-from-return", Requirement::None), 0.5, Since::Return),
        (figure("dispatch-p99-from-return", Requirement::None), 0.99, Since::Return),
    ];
    if ledger.is_some() {
        figures.push((figure("dispatch-p50-from-commit", Requirement::None), 0.5, Since::Commit));
        figures.push((figure("dispatch-p99-from-commit", wanted(true)), 0.99, Since::Commit));
    }
    let again = v1::RetryJobsRequest {
        failed: true,
        by: "bench@localhost".to_owned(),
        which: Some(v1::retry_jobs_request::Which::Sweep(sweep.sweep.to_string())),
        ..Default::default()
    };
    for _ in 0..scale.n_repetitions {
        let (mut from_call_ms, mut from_return_ms, mut from_commit_ms) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..scale.n_dispatched {
            tokio::time::sleep(PAUSE).await;
            let start = clock::now();
            let n_retried_jobs = client.retry_jobs(again.clone()).await?.into_inner().n_retried_jobs;
            let returned = clock::now();
            ensure!(n_retried_jobs == 1, "{n_retried_jobs} jobs were queued again");
            let (held, held_us) = tokio::select! {
                held = tokio::time::timeout(PATIENCE, held.recv()) => held.context("nobody got the job")?.context("all workers ended")?,
                Some(ended) = waiting.join_next() => {
                    ended??;
                    anyhow::bail!("a worker ended");
                }
            };
            from_call_ms.push(held.duration_since(start).as_secs_f64() * 1e3);
            from_return_ms.push(held.saturating_duration_since(returned).as_secs_f64() * 1e3);
            if let Some(ledger) = &mut ledger {
                from_commit_ms.push((held_us - ledger.number(COMMITTED).await?) as f64 / 1e3);
            }
        }
        for (figure, share, since) in &mut figures {
            let times_ms = match since {
                Since::Call => &from_call_ms,
                Since::Return => &from_return_ms,
                Since::Commit => &from_commit_ms,
            };
            figure.measured.push(percentile(times_ms, *share));
        }
    }
    if let Some(ledger) = ledger {
        ledger.close().await?;
    }
    waiting.shutdown().await;
    coordinator.stop().await?;
    Ok(figures.into_iter().map(|(figure, ..)| figure).collect())
}

/// What a time begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    Call,
    Return,
    Commit,
}

/// A connection to a server that keeps the times of commits.
async fn ledger(mut connection: Connection) -> anyhow::Result<Connection> {
    if connection.text("SELECT current_setting('track_commit_timestamp')").await? != "on" {
        bail!("the PostgreSQL server does not keep the times of commits\nhint: set `track_commit_timestamp = on` and start it again");
    }
    Ok(connection)
}
