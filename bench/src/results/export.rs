//! Export of all operating points as Parquet, by the program that users run: in constant memory, and beside what reading the rows alone takes.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::process::Command;

use super::Scale;
use super::python::Python;
use crate::clock;
use crate::coordinator::memory_of;
use crate::database::{Database, Engine};
use crate::table::{Figure, Requirement};

const MIB: f64 = 1_048_576.0;
/// How often the program's greatest memory is read while it runs: it is the greatest so far each time, so only growth in the last moment can be missed.
const LOOK: Duration = Duration::from_millis(2);

pub(super) async fn measure(
    engine: Engine,
    scale: &Scale,
    program: &Path,
    python: &mut Python,
    [few, many]: [&Database; 2],
) -> anyhow::Result<Vec<Figure>> {
    let figure = |name, unit, requirement| Figure {
        name,
        engine: engine.name(),
        unit,
        measured: Vec::new(),
        raw: Vec::new(),
        n: scale.n_points,
        requirement,
    };
    let mut memory = figure("export-memory", "MiB", Requirement::AtMost(200.0));
    let mut rate = figure("export", "rows/s", Requirement::None);
    let mut connection = many.ask().await?;
    for _ in 0..scale.n_repetitions {
        memory.raw.push(export(program, few, scale.n_few, python).await?.most_mib);
        let exported = export(program, many, scale.n_points, python).await?;
        memory.measured.push(exported.most_mib);
        rate.measured.push(scale.n_points as f64 / exported.seconds);

        let start = clock::now();
        let n_rows = connection.count("SELECT * FROM v_operating_points").await?;
        rate.raw.push(n_rows as f64 / start.elapsed().as_secs_f64());
        ensure!(n_rows == scale.n_points, "{n_rows} rows were read where there should be {}", scale.n_points);
    }
    connection.close().await?;
    Ok(vec![memory, rate])
}

struct Exported {
    most_mib: f64,
    seconds: f64,
}

async fn export(program: &Path, database: &Database, n_rows: u64, python: &mut Python) -> anyhow::Result<Exported> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("points.parquet");
    let start = clock::now();
    let mut child = Command::new(program)
        .args(["export", "--everything", "--view", "operating-points", "--database", &database.url(), "--to"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("`{}` could not be started", program.display()))?;
    let pid = child.id().context("it has just been started")?;
    let mut most_mib = 0.0;
    let status = loop {
        // At its very end it has no memory any more.
        if let Ok(memory) = memory_of(pid) {
            most_mib = memory.most as f64 / MIB;
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        tokio::time::sleep(LOOK).await;
    };
    let seconds = start.elapsed().as_secs_f64();
    ensure!(status.success(), "the export ended with {status}");
    ensure!(most_mib > 0.0, "the export's memory could not be read");
    let found = python.ask("rows", &file).await?.value;
    ensure!(found == n_rows as f64, "{found} rows were exported where there should be {n_rows}");
    Ok(Exported { most_mib, seconds })
}
