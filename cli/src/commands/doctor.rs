//! `offramp doctor`.

use std::path::Path;

use offramp_coordinator::Database;
use offramp_coordinator::store::{DatabaseError, Reader};
use offramp_data::presence::{self, Presence};
use offramp_domain::dataset::{self, Dataset};
use serde::Serialize;

use crate::args::DoctorArguments;
use crate::commands::training;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Format, Rows, view};
use crate::{environment, source};

/// Checks what this machine can do.
pub(crate) async fn run(arguments: &DoctorArguments, format: Format) -> Result<Exit, Failure> {
    let mut checks = vec![program(), cores()];
    checks.extend(devices());
    match source::database(arguments.database.as_ref()) {
        Ok(found) => checks.push(database(&found).await),
        Err(failure) => checks.push(Finding::of_failure("database", &failure)),
    }
    match training::data_dir(arguments.data_dir.as_ref()) {
        Ok(folder) => checks.extend(dataset::named().map(|facts| dataset(&facts, &folder))),
        Err(failure) => checks.push(Finding::of_failure("datasets", &failure)),
    }
    output::write_rows(format, &Rows::new(&view::DOCTOR, &checks))?;
    if checks.iter().any(|check| check.status == Status::Fail) {
        output::say("something that `offramp up` needs does not work");
        return Ok(Exit::Error);
    }
    Ok(Exit::Ok)
}

/// One thing looked at.
#[derive(Debug, Serialize)]
struct Finding {
    check: String,
    status: Status,
    detail: String,
    hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    /// Works.
    Ok,
    /// Does not work, and is not needed for the demonstration.
    Warn,
    /// Does not work, and is needed.
    Fail,
}

impl Finding {
    fn new(check: impl Into<String>, status: Status, detail: impl Into<String>) -> Self {
        Self { check: check.into(), status, detail: detail.into(), hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn of_failure(check: &str, failure: &Failure) -> Self {
        let (message, hint) = failure.parts();
        Self { check: check.to_owned(), status: Status::Fail, detail: message, hint }
    }
}

fn program() -> Finding {
    let features: Vec<&str> = [("burn", cfg!(feature = "burn")), ("cuda", cfg!(feature = "cuda")), ("vulkan", cfg!(feature = "vulkan"))]
        .into_iter()
        .filter_map(|(name, built)| built.then_some(name))
        .collect();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    let (version, system, processor) = (env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
    Finding::new("program", Status::Ok, format!("offramp {version}, features: {features}, {system} {processor}"))
}

fn cores() -> Finding {
    Finding::new("cores", Status::Ok, format!("{} usable", environment::n_cores()))
}

#[cfg(feature = "burn")]
fn devices() -> Vec<Finding> {
    let check = |report: offramp_train::DeviceReport| {
        let status = match (report.available, report.name.as_str()) {
            (true, _) => Status::Ok,
            (false, "cpu") => Status::Fail,
            (false, _) => Status::Warn,
        };
        let check = Finding::new(format!("device {}", report.name), status, report.detail);
        if status == Status::Warn { check.hint("only needed for --device with this name") } else { check }
    };
    offramp_train::devices().into_iter().map(check).collect()
}

#[cfg(not(feature = "burn"))]
fn devices() -> Vec<Finding> {
    let check = Finding::new("devices", Status::Warn, "this build cannot train: it was built without feature `burn`");
    vec![check.hint("build it with `cargo build --release`; --trainer simulated works all the same")]
}

/// The database, or the place that the first sweep would make it in.
async fn database(database: &Database) -> Finding {
    match database {
        Database::Sqlite(path) if !path.exists() => place(path),
        Database::Sqlite(_) | Database::Postgres(..) => match source::open_database(database).await {
            Ok(reader) => match database_text(database, &reader).await {
                Ok(text) => Finding::new("database", Status::Ok, text),
                Err(error) => Finding::of_failure("database", &Failure::new(error)),
            },
            Err(failure) => Finding::of_failure("database", &failure),
        },
    }
}

/// Where a file is going to be made.
fn place(path: &Path) -> Finding {
    let existing = path.ancestors().skip(1).find(|folder| folder.as_os_str().is_empty() || folder.exists());
    let folder = existing.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.is_dir() && std::fs::metadata(folder).is_ok_and(|facts| !facts.permissions().readonly()) {
        return Finding::new("database", Status::Ok, format!("none yet; the first sweep makes it at {}", path.display()));
    }
    let detail = format!("cannot be made at {}: {} is not a folder that can be written to", path.display(), folder.display());
    Finding::new("database", Status::Fail, detail).hint("name another file with --database sqlite:PATH")
}

async fn database_text(database: &Database, reader: &Reader) -> Result<String, DatabaseError> {
    let (engine, schema) = reader.versions().await?;
    let newest = reader.sweeps(1).await?;
    let newest = newest.first().map_or_else(|| "no sweep yet".to_owned(), |sweep| format!("newest sweep `{}` {}", sweep.name, sweep.state));
    Ok(format!("{}, schema {schema}, {engine}, {newest}", database.name()))
}

/// Whether a dataset is there, as quickly as a worker looks; reading all of it is for `data verify`.
fn dataset(facts: &Dataset, folder: &Path) -> Finding {
    let name = format!("dataset {}", facts.name);
    let place = presence::folder_of(facts, folder);
    match presence::look(facts, folder) {
        Presence::BuiltIn => Finding::new(name, Status::Ok, "part of this program"),
        Presence::Present => Finding::new(name, Status::Ok, format!("in {}", place.display())),
        Presence::Damaged { reason } => {
            let check = Finding::new(name, Status::Warn, format!("damaged in {}: {reason}", place.display()));
            check.hint(format!("`offramp data fetch --replace {}` puts it right; only needed for sweeps that use it", facts.name))
        }
        Presence::Absent => {
            let check = Finding::new(name, Status::Warn, format!("not in {}", folder.display()));
            check.hint(format!("`offramp data fetch {}` downloads it; only needed for sweeps that use it", facts.name))
        }
    }
}
