//! `cargo xtask chaos`: a schedule of faults against the real binary.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::bail;
use offramp_tests::chaos::{Settings, Store, Tools, run as run_schedule};

use crate::command::{cargo, root, say};
use crate::{postgres, python};

/// A run of chaos.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Decides what breaks when. The same seed breaks the same things at the same times.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Jobs, rounded up to a multiple of 4.
    #[arg(long, default_value_t = 400, value_name = "N", value_parser = clap::value_parser!(u64).range(4..=100_000))]
    jobs: u64,
    /// `sqlite` or `sqlite:PATH` (a file that does not exist yet), with one coordinator; `postgres`, a server of the run's own, with two.
    #[arg(long, default_value = "sqlite", value_name = "sqlite[:PATH]|postgres")]
    database: DatabaseChoice,
    /// Workers, of two slots each.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=64))]
    workers: u64,
    /// How long the jobs are made to take in all, in spite of the faults. Things break until they are done.
    #[arg(long, default_value_t = 1.0, value_name = "M")]
    minutes: f64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum DatabaseChoice {
    Sqlite(Option<PathBuf>),
    Postgres,
}

impl FromStr for DatabaseChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("sqlite:")) {
            ("sqlite", _) => Ok(Self::Sqlite(None)),
            ("postgres", _) => Ok(Self::Postgres),
            (_, Some(path)) if !path.is_empty() => Ok(Self::Sqlite(Some(path.into()))),
            _ => Err("expected `sqlite`, `sqlite:PATH` or `postgres`".to_owned()),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if !(arguments.minutes > 0.0 && arguments.minutes <= 24.0 * 60.0) {
        bail!("--minutes is {}, expected a number above 0, up to a day", arguments.minutes);
    }
    let store = match &arguments.database {
        DatabaseChoice::Sqlite(Some(file)) if file.exists() => {
            bail!(
                "`{}` is there already\nhint: name a file that does not exist yet, or leave it to the run: --database sqlite",
                file.display()
            )
        }
        DatabaseChoice::Sqlite(file) => Store::Sqlite(file.clone()),
        DatabaseChoice::Postgres => Store::Postgres(postgres::required()?),
    };
    let python = python::environment()?;
    // Without Burn: the trainers are simulated. In a folder of its own, lest the binary with Burn be built anew each time.
    cargo(&["build", "--release", "--package", "offramp", "--no-default-features", "--target-dir", "target/chaos"])?;
    let settings = Settings {
        seed: arguments.seed,
        n_jobs: arguments.jobs,
        store,
        n_workers: arguments.workers as usize,
        time: Duration::from_secs_f64(arguments.minutes * 60.0),
    };
    run_with(&root().join("target/chaos/release/offramp"), &python, &settings)
}

/// Runs a schedule with a binary that is built.
pub(crate) fn run_with(binary: &Path, python: &Path, settings: &Settings) -> anyhow::Result<()> {
    say(&format!(
        "$ cargo xtask chaos --seed {} --jobs {} --database {} --workers {} --minutes {}",
        settings.seed,
        settings.n_jobs,
        settings.engine(),
        settings.n_workers,
        settings.time.as_secs_f64() / 60.0
    ));
    let tools = Tools { binary: binary.to_owned(), python: python.to_owned() };
    let report = run_schedule(settings, &tools, &say);
    say(&report.to_string());
    if report.is_good() { Ok(()) } else { bail!("chaos: {} faults", report.faults.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_told_apart() {
        assert_eq!("sqlite".parse(), Ok(DatabaseChoice::Sqlite(None)));
        assert_eq!("sqlite:a.db".parse(), Ok(DatabaseChoice::Sqlite(Some("a.db".into()))));
        assert_eq!("postgres".parse(), Ok(DatabaseChoice::Postgres));
        for wrong in ["sqlite:", "postgres://host/db", "mysql", ""] {
            assert!(wrong.parse::<DatabaseChoice>().is_err(), "{wrong}");
        }
    }
}
