//! What is measured of the results' store: `cargo xtask bench results`.

mod acceptance;
mod curves;
mod export;
mod frontier;
mod points;
mod python;
mod stored;

use std::path::PathBuf;

use self::curves::N_POINTS;
use self::python::Python;
use self::stored::Stored;
use crate::database::{Engine, Site};
use crate::table::{Figure, complain};

/// How much of everything.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "each is a number of something")]
pub(crate) struct Scale {
    /// Repetitions of a figure.
    pub(crate) n_repetitions: u64,
    /// Operating points of a full database, and of one that is hardly begun.
    n_points: u64,
    n_few: u64,
    /// Results of each kind that a repetition has accepted.
    n_accepted: u64,
    /// Frontiers that a repetition reads.
    n_reads: u64,
    /// Points of a set in memory.
    n_set: u64,
}

impl Scale {
    pub(crate) const FULL: Self =
        Self { n_repetitions: 5, n_points: 1_000_000, n_few: 1_000, n_accepted: 20, n_reads: 100, n_set: 1_000_000 };

    pub(crate) const QUICK: Self = Self { n_repetitions: 1, n_points: 4_000, n_few: 1_000, n_accepted: 3, n_reads: 10, n_set: 20_000 };
}

/// Programs that take part.
#[derive(Debug)]
pub(crate) struct Programs {
    /// `offramp` itself.
    pub(crate) offramp: PathBuf,
    /// A Python interpreter with the packages of `tests/requirements.txt`.
    pub(crate) python: PathBuf,
}

/// The name of no engine, for figures without a database.
const NO_ENGINE: &str = "-";

const fn n_results(n_points: u64) -> u64 {
    n_points / N_POINTS as u64
}

/// Measures everything, or what begins with one of the names in `only`: what is in memory alone once, and the rest on each engine.
pub(crate) async fn measure(
    site: &mut Site,
    engines: &[Engine],
    scale: &Scale,
    programs: &Programs,
    only: &[String],
) -> anyhow::Result<Vec<Figure>> {
    let wanted = |name: &str| only.is_empty() || only.iter().any(|start| name.starts_with(start.as_str()));
    let mut python = Python::start(&programs.python).await?;
    let mut figures = Vec::new();
    if ["filter", "hypervolume"].into_iter().any(|name| wanted(name) || only.iter().any(|start| start.starts_with(name))) {
        complain("frontiers in memory");
        figures.extend(points::measure(scale, &mut python, wanted).await?);
    }
    let wanted = |name: &str| wanted(name) || only.iter().any(|start| start.starts_with(name));
    for &engine in engines {
        let tell = |what: &str| complain(&format!("{}: {what}", engine.name()));
        if !["accept", "frontier", "export"].into_iter().any(wanted) {
            continue;
        }
        tell(&format!("{} operating points are stored", scale.n_points));
        let n_more = scale.n_repetitions * acceptance::n_accepted(scale);
        let mut many = Stored::fill(site, engine, "many", n_results(scale.n_points), n_more).await?;
        if wanted("frontier") {
            tell("frontier");
            figures.extend(frontier::measure(engine, scale, &many.database).await?);
        }
        if wanted("export") {
            tell("export");
            let few = Stored::fill(site, engine, "few", n_results(scale.n_few), 0).await?;
            let databases = [&few.database, &many.database];
            figures.extend(export::measure(engine, scale, &programs.offramp, &mut python, databases).await?);
            few.stop().await?;
        }
        // What it adds is not among the million that the others count on.
        if wanted("accept") {
            tell("accept");
            figures.extend(acceptance::measure(site, engine, scale, &mut many).await?);
        }
        many.stop().await?;
    }
    Ok(figures)
}
