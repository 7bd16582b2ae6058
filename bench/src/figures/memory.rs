//! What the coordinator keeps in memory: a long queue that it has taken in, and many workers that wait for jobs.
//!
//! The queue is paused, as the workers would not stay idle otherwise. Each has a connection of its own, on which a claim waits and heartbeats go
//! out.

use std::time::Duration;

use futures::future::try_join_all;
use offramp_coordinator::Config;
use offramp_proto::v1;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Scale;
use crate::clock;
use crate::coordinator::Coordinator;
use crate::database::{Engine, Site};
use crate::table::{Figure, Requirement};
use crate::work::{self, Worker};

const WAIT_MS: u32 = 60_000;
const MIB: f64 = 1_048_576.0;
/// Sessions that are opened at the same time.
const AT_ONCE: usize = 50;

pub(super) async fn measure(site: &mut Site, engine: Engine, scale: &Scale) -> anyhow::Result<Vec<Figure>> {
    let database = site.make(engine, "memory").await?;
    let coordinator = Coordinator::start(&database.url()).await?;
    let mut client = work::submitter(&coordinator.url()).await?;
    let sweep = work::submit(&mut client, work::sweep_text("memory", 0, scale.n_submitted)).await?;
    let pause = v1::ControlSweepRequest { sweep: sweep.sweep.to_string(), by: "bench@localhost".to_owned(), reason: "idle".to_owned() };
    client.pause_sweep(pause).await?;

    let mut idle: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let indices: Vec<usize> = (0..scale.n_sessions).collect();
    for some in indices.chunks(AT_ONCE) {
        let url = coordinator.url();
        for worker in try_join_all(some.iter().map(|index| Worker::join(&url, format!("bench-{index}"), 1))).await? {
            let mut waiting = worker.hand();
            idle.spawn(async move {
                loop {
                    anyhow::ensure!(waiting.claim(1, WAIT_MS).await? == 0, "a paused sweep's job was handed out");
                }
            });
            let mut beating = worker;
            idle.spawn(async move {
                let mut ticks = tokio::time::interval(Config::HEARTBEAT);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    beating.beat().await?;
                }
            });
        }
    }
    let (start, used_before) = (clock::now(), coordinator.processor_seconds()?);
    let mut now_mib = Vec::new();
    for _ in 0..scale.idle_seconds {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if let Some(ended) = idle.try_join_next() {
            ended??;
        }
        now_mib.push(coordinator.memory()?.now as f64 / MIB);
    }
    let busy = (coordinator.processor_seconds()? - used_before) / start.elapsed().as_secs_f64();
    let most_mib = coordinator.memory()?.most as f64 / MIB;
    idle.shutdown().await;
    coordinator.stop().await?;
    let n = scale.n_sessions as u64;
    let figure =
        |name, unit, measured, requirement| Figure { name, engine: engine.name(), unit, measured, raw: Vec::new(), n, requirement };
    Ok(vec![
        figure("memory", "MiB", now_mib, Requirement::AtMost(64.0)),
        figure("memory-peak", "MiB", vec![most_mib], Requirement::AtMost(64.0)),
        figure("memory-idle-load", "% core", vec![busy * 100.0], Requirement::None),
    ])
}
