//! Submissions: a sweep file over the wire, expanded, checked and stored, against its rows in bulk.

use super::Scale;
use crate::bulk::Bulk;
use crate::clock;
use crate::coordinator::Coordinator;
use crate::database::{Engine, Site};
use crate::table::{Figure, Requirement};
use crate::work;

pub(super) async fn measure(site: &mut Site, engine: Engine, scale: &Scale) -> anyhow::Result<Figure> {
    let (served, bare) = (site.make(engine, "submitted").await?, site.make(engine, "copied").await?);
    // Brings the schema into the other one.
    Coordinator::start(&bare.url()).await?.stop().await?;
    let coordinator = Coordinator::start(&served.url()).await?;
    let mut client = work::submitter(&coordinator.url()).await?;
    let mut into = bare.connect().await?;
    let mut figure = Figure {
        name: "submission",
        engine: engine.name(),
        unit: "jobs/s",
        measured: Vec::new(),
        raw: Vec::new(),
        n: scale.n_submitted,
        requirement: Requirement::RatioAtLeast(0.7),
    };
    // Each finds a queue as long as its bound does.
    for repetition in 0..scale.n_repetitions {
        let text = work::sweep_text("submission", repetition * scale.n_submitted, scale.n_submitted);
        let start = clock::now();
        let sweep = work::submit(&mut client, text).await?;
        figure.measured.push(scale.n_submitted as f64 / start.elapsed().as_secs_f64());
        let took = Bulk::read(&served, sweep.sweep).await?.write(&mut into).await?;
        figure.raw.push(scale.n_submitted as f64 / took.as_secs_f64());
    }
    let expected = i64::try_from(scale.n_repetitions * scale.n_submitted)?;
    for table in ["jobs", "exits", "job_states", "sweep_jobs"] {
        let found = into.number(&format!("SELECT count(*) FROM {table}")).await?;
        anyhow::ensure!(found == expected, "{found} rows in `{table}` where there should be {expected}");
    }
    into.close().await?;
    coordinator.stop().await?;
    Ok(figure)
}
