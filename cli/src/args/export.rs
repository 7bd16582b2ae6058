//! Arguments of `offramp export` and `offramp import`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use offramp_coordinator::Database;

use crate::args::{DatabaseParser, Reason, SelectArguments, SourceArguments, parse_database};

/// Arguments of `offramp export`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["views", "all_views", "archive", "snapshot"])))]
#[command(after_help = "\
Examples:
  offramp export digits --view exits --to exits.parquet
  offramp export --everything --view operating-points --where 'backbone = resnet56' --to points.csv
  offramp export last --view frontier --columns cost,accuracy,job --format jsonl --to - | jq .
  offramp export --everything --all-views --format parquet --to results/
  offramp export --everything --archive archive/
  offramp export --snapshot copy.db

Rows are streamed, however many there are. Files appear when they are complete: what is written
meanwhile is beside them, under the same name with `.tmp`. docs/RESULTS.md says what the views have.
An archive has all that `offramp import` needs. Exit code 4: no row matched.")]
pub(crate) struct ExportArguments {
    /// The sweep whose rows are wanted: `last`, an id, or a name [default: last]
    #[arg(value_name = "SWEEP", conflicts_with_all = ["everything", "snapshot"])]
    pub(crate) sweep: Option<String>,
    /// The rows of all sweeps, and those of none
    #[arg(long)]
    pub(crate) everything: bool,
    /// A view, such as `exits`, `operating-points`, `jobs` or `frontier`; repeat for several, each in a file of its own
    #[arg(long = "view", value_name = "VIEW")]
    pub(crate) views: Vec<String>,
    /// Every view, each in a file of its own
    #[arg(long)]
    pub(crate) all_views: bool,
    /// Finished jobs with all that is known of them, and the sweeps: Parquet files in this folder that `offramp import` reads
    #[arg(long, value_name = "DIR", conflicts_with_all = ["to", "format", "filter", "sort", "columns", "limit", "offset"])]
    pub(crate) archive: Option<PathBuf>,
    /// A consistent copy of a SQLite database, whether or not a coordinator is writing to it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["everything", "to", "format", "filter", "sort", "columns", "limit", "offset"])]
    pub(crate) snapshot: Option<PathBuf>,
    /// How rows are written [default: as the name given to --to ends; csv where it has no ending]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<ExportFormat>,
    /// The file to write, or with several views the folder; `-` is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) to: PathBuf,
    /// Which rows.
    #[command(flatten)]
    pub(crate) select: SelectArguments,
    /// Replace what is there under that name
    #[arg(long)]
    pub(crate) force: bool,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}

/// How exported rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Parquet, with types: moments are timestamps, flags booleans
    Parquet,
    /// A header and one line a row; text that a spreadsheet would run gets an apostrophe
    Csv,
    /// One JSON object a line
    Jsonl,
}

impl ExportFormat {
    /// How a file's name ends.
    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }
}

/// Arguments of `offramp import`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp import archive/
  offramp import sqlite:/mnt/node7/offramp.db --database sqlite:all.db
  offramp import sqlite:a.db --database postgres://offramp@db0/offramp --without-sweeps

Results are checked as those of workers are, and join frontiers as they do. What is here already is
left as it is, so that a second import changes nothing; another result of a job that has one here
is told and not taken. No coordinator may be using the SQLite file that is written to.
Exit codes: 1 where a result was refused or differs; 4 where there was nothing to import.")]
pub(crate) struct ImportArguments {
    /// Where results come from: the folder of an archive, or a database, sqlite:PATH or postgres://...
    #[arg(value_name = "SOURCE", value_parser = parse_import_source)]
    pub(crate) from: ImportSource,
    /// Only the results of this sweep of a database: `last`, an id, or a name
    #[arg(long, value_name = "SWEEP")]
    pub(crate) sweep: Option<String>,
    /// Leave the sweeps out: the jobs then belong to none, until one is submitted that has them
    #[arg(long)]
    pub(crate) without_sweeps: bool,
    /// The database that takes them, sqlite:PATH or postgres://... [default: offramp.db in the user's data folder]
    #[arg(long, value_name = "URL", value_parser = DatabaseParser, env = "OFFRAMP_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<Database>,
    /// Why.
    #[command(flatten)]
    pub(crate) reason: Reason,
}

/// Where results come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ImportSource {
    /// The folder of an archive.
    Archive(PathBuf),
    /// A database.
    Database(Database),
}

/// Reads a source: what has a scheme is a database, everything else a folder.
fn parse_import_source(text: &str) -> Result<ImportSource, String> {
    if ["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| text.starts_with(scheme)) {
        return parse_database(text).map(ImportSource::Database);
    }
    match text.split_once("://") {
        Some((scheme, _)) => Err(format!("nothing is imported from `{scheme}`; name an archive's folder, sqlite:PATH or postgres://...")),
        None => Ok(ImportSource::Archive(text.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_folders_unless_they_say_otherwise() {
        assert_eq!(parse_import_source("archive/"), Ok(ImportSource::Archive("archive/".into())));
        assert_eq!(parse_import_source("sqlite:a.db"), Ok(ImportSource::Database(Database::Sqlite("a.db".into()))));
        assert!(matches!(parse_import_source("postgres://u@h/d"), Ok(ImportSource::Database(Database::Postgres(_)))));
        let refused = parse_import_source("http://127.0.0.1:7717").unwrap_err();
        assert_eq!(refused, "nothing is imported from `http`; name an archive's folder, sqlite:PATH or postgres://...");
    }
}
