//! How fast the queue is, beside what its database could do at best (`cargo xtask bench queue`), and the results' store, full against empty and beside
//! what it spares (`cargo xtask bench results`).
//!
//! A coordinator runs in a process of its own (this program again), with the settings that it has in service; its clients are in this one and
//! talk to it over loopback. Beside each figure stands a bound from the same run: the same rows written by a loop that has the database to
//! itself and does nothing else. So the figures that matter are ratios, which a slower machine leaves as they are.
//!
//! - `coordinator`: the other process. `database`: databases that go away with the run.
//! - `work`: jobs without work in them, and the workers that pretend to do it.
//! - `raw`, `bulk`: the bounds.
//! - `audit`: whether both sides have written what they should.
//! - `figures`: what is measured of the queue; `results`: of the results' store; `statistics`, `table`: what is made of it.

mod audit;
mod bulk;
mod clock;
mod coordinator;
mod database;
mod figures;
mod raw;
mod results;
mod statistics;
mod table;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::database::{Engine, Site};
use crate::results::Programs;
use crate::table::Figure;

/// Measures Offramp beside what the machine could do at best.
#[derive(Debug, Parser)]
#[command(name = "offramp-bench")]
struct Arguments {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Debug, Subcommand)]
enum Subject {
    /// The queue: claims, reports, submissions, memory.
    Queue(Settings),
    /// The results' store: results accepted, frontiers read and computed, exports.
    Results {
        #[command(flatten)]
        settings: Settings,
        /// The `offramp` program that exports.
        #[arg(long, value_name = "PATH", default_value = "target/release/offramp")]
        offramp: PathBuf,
        /// A Python interpreter that has the packages of tests/requirements.txt.
        #[arg(long, value_name = "PATH", default_value = "target/python/bin/python")]
        python: PathBuf,
    },
    /// Serves a database until the standard input ends. For this program's own use.
    #[command(hide = true)]
    Coordinator {
        /// What to serve.
        #[arg(long)]
        database: String,
    },
}

#[derive(Debug, clap::Args)]
struct Settings {
    /// Which databases to measure on; without this, SQLite, and PostgreSQL where `--postgres` names a server.
    #[arg(long, value_enum)]
    engine: Option<Engines>,
    /// A PostgreSQL server on which databases may be made and dropped: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// Where SQLite files are made. On a disk: where nothing has to be written out, there is nothing to measure.
    #[arg(long, value_name = "PATH", default_value = "target/bench")]
    directory: PathBuf,
    /// Few jobs: whether everything works, not how fast it is. Misses no requirement.
    #[arg(long)]
    quick: bool,
    /// Repetitions of each figure, in place of five.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    repetitions: Option<u64>,
    /// Print JSON in place of the table.
    #[arg(long)]
    json: bool,
    /// Only figures whose names begin so; several may be given.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Engines {
    Sqlite,
    Postgres,
    Both,
}

impl Settings {
    fn engines(&self) -> anyhow::Result<Vec<Engine>> {
        let engines = match (self.engine, &self.postgres) {
            (Some(Engines::Sqlite), _) | (None, None) => vec![Engine::Sqlite],
            (Some(Engines::Postgres), Some(_)) => vec![Engine::Postgres],
            (Some(Engines::Both) | None, Some(_)) => vec![Engine::Sqlite, Engine::Postgres],
            (Some(Engines::Postgres | Engines::Both), None) => {
                anyhow::bail!("no PostgreSQL server to measure on\nhint: name one with --postgres postgres://USER@HOST:PORT/DATABASE")
            }
        };
        Ok(engines)
    }
}

fn main() -> ExitCode {
    let ended = match Arguments::parse().subject {
        Subject::Coordinator { database } => coordinator::serve(&database).map(|()| true),
        Subject::Queue(settings) => measure(&settings, None),
        Subject::Results { settings, offramp, python } => measure(&settings, Some(&Programs { offramp, python })),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            table::complain(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Whether every requirement is met: of the queue or, with programs that take part, of the results' store.
///
/// One thread serves all clients: they are to take as little as possible of the time that they share with the coordinator.
#[tokio::main(flavor = "current_thread")]
async fn measure(settings: &Settings, results: Option<&Programs>) -> anyhow::Result<bool> {
    let engines = settings.engines()?;
    let mut site = Site::new(&settings.directory, settings.postgres.as_deref())?;
    let measured = tokio::select! {
        measured = measure_on(&mut site, &engines, settings, results) => measured,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    // Whatever happened, nothing stays behind.
    let cleared = site.clear().await;
    let figures = measured?;
    cleared?;
    if settings.json {
        table::print_json(&figures, settings.quick)?;
    } else {
        table::print(&figures, settings.quick);
    }
    Ok(settings.quick || figures.iter().all(Figure::is_met))
}

async fn measure_on(site: &mut Site, engines: &[Engine], settings: &Settings, results: Option<&Programs>) -> anyhow::Result<Vec<Figure>> {
    if !settings.quick {
        for engine in engines {
            site.refuse_haste(*engine).await?;
        }
    }
    if let Some(programs) = results {
        let mut scale = if settings.quick { results::Scale::QUICK } else { results::Scale::FULL };
        scale.n_repetitions = settings.repetitions.unwrap_or(scale.n_repetitions);
        return results::measure(site, engines, &scale, programs, &settings.only).await;
    }
    let mut scale = if settings.quick { figures::Scale::QUICK } else { figures::Scale::FULL };
    scale.n_repetitions = settings.repetitions.unwrap_or(scale.n_repetitions);
    let mut figures = Vec::new();
    for engine in engines {
        figures.extend(figures::measure(site, *engine, &scale, &settings.only).await?);
    }
    Ok(figures)
}
