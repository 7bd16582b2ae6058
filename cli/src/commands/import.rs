//! `offramp import`: results of another database or of an archive.

use std::path::Path;

use offramp_coordinator::Database;
use offramp_coordinator::store::{ImportError, Imported, OpenError, Origin, Reader, Requester, Store, SubmitError};
use offramp_domain::exchange::{FinishedJob, SweepFile};
use offramp_domain::lifecycle::Limits;
use offramp_records::archive::{ArchiveError, ArchiveReader};
use serde::Serialize;

use crate::args::{ImportArguments, ImportSource};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Format, Rows, csv, json, say, table, view};
use crate::text::{count, escape_control};
use crate::{environment, source};

/// Jobs of one transaction: few enough that none takes long, with hundreds of operating points each.
const JOBS_AT_ONCE: usize = 32;
/// Results that are told one by one; what comes after is counted.
const TOLD_MOST: u64 = 20;

/// What was imported.
#[derive(Debug, Default, Serialize)]
#[expect(clippy::struct_field_names, reason = "they are the columns of the output, where a number is called so")]
pub(crate) struct Summary {
    /// Results that are new here.
    n_imported: u64,
    /// Results that were here already.
    n_known: u64,
    /// Jobs that have another result here, which stays.
    n_differing: u64,
    /// Jobs that a worker is training here.
    n_leased: u64,
    /// Results that were refused.
    n_refused: u64,
    /// Sweeps that are new here.
    n_sweeps: u64,
}

impl Summary {
    const fn n_results(&self) -> u64 {
        self.n_imported + self.n_known + self.n_differing + self.n_leased + self.n_refused
    }
}

/// Where results are read.
enum From {
    Archive(Box<ArchiveReader>),
    Database { reader: Reader, sweep: Option<i64>, after: Option<i64> },
}

impl From {
    async fn open(arguments: &ImportArguments) -> Result<Self, Failure> {
        match &arguments.from {
            ImportSource::Archive(folder) => {
                if arguments.sweep.is_some() {
                    return Err(Failure::with_exit(Exit::Usage, anyhow::anyhow!("an archive is imported as a whole"))
                        .hint("`offramp export SWEEP --archive DIR` makes one of a single sweep"));
                }
                Ok(Self::Archive(Box::new(ArchiveReader::open(folder).map_err(|error| archive_failure(error, folder))?)))
            }
            ImportSource::Database(database) => {
                let reader = source::open_database(database).await?;
                let sweep = match &arguments.sweep {
                    Some(selector) => Some(source::sweep_id(&reader, selector).await?),
                    None => None,
                };
                Ok(Self::Database { reader, sweep, after: Some(0) })
            }
        }
    }

    /// Sweeps, oldest first.
    async fn sweeps(&mut self) -> Result<Vec<SweepFile>, Failure> {
        match self {
            Self::Archive(reader) => {
                let mut sweeps = Vec::new();
                while let Some(sweep) = reader.next_sweep().map_err(Failure::new)? {
                    sweeps.push(sweep);
                }
                Ok(sweeps)
            }
            Self::Database { reader, sweep, .. } => reader.sweep_files(*sweep).await.map_err(source::database_failure),
        }
    }

    /// The next finished jobs; none after the last.
    async fn jobs(&mut self) -> Result<Vec<FinishedJob>, Failure> {
        match self {
            Self::Archive(reader) => {
                let mut jobs = Vec::new();
                while jobs.len() < JOBS_AT_ONCE
                    && let Some(job) = reader.next_job().map_err(Failure::new)?
                {
                    jobs.push(job);
                }
                Ok(jobs)
            }
            Self::Database { reader, sweep, after } => {
                let Some(place) = *after else { return Ok(Vec::new()) };
                let page = reader.finished_jobs(*sweep, place).await.map_err(source::database_failure)?;
                *after = page.next;
                Ok(page.jobs)
            }
        }
    }
}

/// Takes the results.
pub(crate) async fn run(arguments: &ImportArguments, format: Format) -> Result<Exit, Failure> {
    let database = source::database(arguments.database.as_ref())?;
    if matches!(&arguments.from, ImportSource::Database(from) if same(from, &database)) {
        return Err(Failure::with_exit(
            Exit::Usage,
            anyhow::anyhow!("`{}` is both the source and the database to write to", database.name()),
        )
        .hint("name another database with --database"));
    }
    let mut from = From::open(arguments).await?;
    // What is read first is what would be refused first.
    let limits =
        Limits { max_failures: offramp_coordinator::Config::MAX_FAILURES, quarantine_after: offramp_coordinator::Config::QUARANTINE_AFTER };
    let store = Store::open(&database, limits).await.map_err(open_failure)?;
    let imported = import(arguments, &mut from, &store).await;
    store.close().await;
    let summary = imported?;
    write(&summary, format)?;
    if summary.n_results() == 0 {
        say(&format!("there is no finished job in `{}`", escape_control(&name(&arguments.from))));
        return Ok(Exit::NothingMatched);
    }
    Ok(if summary.n_refused + summary.n_differing > 0 { Exit::Error } else { Exit::Ok })
}

async fn import(arguments: &ImportArguments, from: &mut From, store: &Store) -> Result<Summary, Failure> {
    let by = Requester { who: environment::user_at_host(), reason: arguments.reason.reason.clone() };
    let origin = Origin { from: name(&arguments.from), by: by.clone() };
    let sweeps = if arguments.without_sweeps { Vec::new() } else { from.sweeps().await? };
    let mut summary = Summary::default();
    loop {
        let jobs = from.jobs().await?;
        if jobs.is_empty() {
            break;
        }
        for jobs in jobs.chunks(JOBS_AT_ONCE) {
            let answers = store.import(jobs, &origin, now_us(store).await?).await.map_err(import_failure)?;
            for (job, answer) in jobs.iter().zip(answers) {
                summary.add(job, answer);
            }
        }
    }
    // Results come first: a sweep finds its jobs finished then, and nobody trains them again.
    for sweep in sweeps {
        submit(store, &sweep, &by, &mut summary).await?;
    }
    Ok(summary)
}

impl Summary {
    /// Counts an answer, and tells of what somebody has to know.
    fn add(&mut self, job: &FinishedJob, answer: Imported) {
        let told = self.n_differing + self.n_refused;
        let tell = |what: String| {
            if told < TOLD_MOST {
                say(&escape_control(&format!("job {}: {what}", job.key)));
            } else if told == TOLD_MOST {
                say("...");
            }
        };
        match answer {
            Imported::Added => self.n_imported += 1,
            Imported::Known => self.n_known += 1,
            Imported::Leased => self.n_leased += 1,
            Imported::Differs { field } => {
                tell(format!("has another result here, which stays; they differ in {field}"));
                self.n_differing += 1;
            }
            Imported::Refused(refusal) => {
                tell(format!("refused: {refusal}"));
                self.n_refused += 1;
            }
        }
    }
}

/// Submits a sweep that came along. One with jobs that have no result yet is paused: whether they are to be trained here as well is for somebody to
/// say.
async fn submit(store: &Store, file: &SweepFile, by: &Requester, summary: &mut Summary) -> Result<(), Failure> {
    let name = escape_control(&file.name);
    let Ok(sweep) = offramp_domain::sweep::parse(&file.text) else {
        say(&format!("sweep `{name}` is left out: this build does not understand its file"));
        return Ok(());
    };
    if sweep.key() != file.key {
        say(&format!("sweep `{name}` is left out: {}", why_left_out(&sweep.key(), &file.key)));
        return Ok(());
    }
    let submitted = store.submit(&sweep, &file.text, by, now_us(store).await?).await.map_err(|error: SubmitError| {
        let hint = error.hint();
        hinted(Failure::new(error), hint)
    })?;
    if !submitted.created {
        return Ok(());
    }
    summary.n_sweeps += 1;
    let n_open = sweep.n_jobs() as u64 - submitted.before.n_finished_jobs;
    if n_open > 0 {
        let reason = Requester { who: by.who.clone(), reason: "imported before it was finished".to_owned() };
        store.pause(submitted.sweep, &reason, now_us(store).await?).await.map_err(|error| {
            let hint = error.hint();
            hinted(Failure::new(error), hint)
        })?;
        let jobs = count(n_open, "job");
        let id = submitted.sweep;
        say(&format!("sweep `{name}` is paused, {jobs} of it without a result; `offramp sweep resume {id}` has them trained here"));
    }
    Ok(())
}

/// Why the file of a sweep is not submitted that has another key than the sweep.
fn why_left_out(of_file: &str, of_sweep: &str) -> &'static str {
    // What is deleted from a sweep is noted behind its key.
    if of_sweep.strip_prefix(of_file).is_some_and(|rest| rest.starts_with('-')) {
        "jobs were deleted from it that its file still has; to have its results in a sweep here, submit the file"
    } else {
        "its file means other jobs to this build"
    }
}

/// The time by the clock that goes for the database.
async fn now_us(store: &Store) -> Result<i64, Failure> {
    let database = store.clock_us().await.map_err(source::database_failure)?;
    Ok(database.unwrap_or_else(environment::now_us))
}

/// Whether two names are of one database, as far as names tell.
fn same(one: &Database, other: &Database) -> bool {
    match (one, other) {
        (Database::Sqlite(one), Database::Sqlite(other)) => {
            let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
            real(one) == real(other)
        }
        _ => one == other,
    }
}

fn name(from: &ImportSource) -> String {
    match from {
        ImportSource::Archive(folder) => folder.display().to_string(),
        ImportSource::Database(database) => database.to_string(),
    }
}

fn write(summary: &Summary, format: Format) -> Result<(), Failure> {
    let rows = Rows::new(&view::IMPORT, std::slice::from_ref(summary));
    output::write(&match format {
        Format::Table => table::render_detail(&rows, None),
        Format::Csv => csv::render(&rows),
        Format::Json | Format::Jsonl => json::detail("import", &[("import", json::Part::Row(&rows))]),
    })
}

fn hinted(failure: Failure, hint: Option<&str>) -> Failure {
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn import_failure(error: ImportError) -> Failure {
    let hint = error.hint();
    hinted(Failure::new(error), hint)
}

fn open_failure(error: OpenError) -> Failure {
    if matches!(error, OpenError::Locked { .. }) {
        return Failure::new(error)
            .hint("end it for as long as the import takes, or import into a database of its own; PostgreSQL has no such limit");
    }
    source::open_failure(error)
}

fn archive_failure(error: ArchiveError, folder: &Path) -> Failure {
    match &error {
        ArchiveError::Missing { .. } if folder.is_file() => {
            let path = escape_control(&folder.display().to_string());
            Failure::with_exit(Exit::Usage, anyhow::anyhow!("`{path}` is a file, and an archive is a folder"))
                .hint(format!("a database is named as sqlite:{path}"))
        }
        ArchiveError::Missing { .. } => Failure::with_exit(Exit::Usage, error)
            .hint("`offramp export --everything --archive DIR` makes an archive; a database is named as sqlite:PATH"),
        _ => Failure::new(error),
    }
}

#[cfg(test)]
mod tests {
    use super::why_left_out;

    #[test]
    fn a_sweep_with_deleted_jobs_is_not_taken_for_one_of_another_build() {
        assert!(why_left_out("0123abcd", "0123abcd-ef62b8046290").contains("deleted"));
        assert!(why_left_out("0123abcd", "0123abcd-ef62b8046290-0a28d7a02e1e").contains("deleted"));
        for other in ["0123abce-ef62b8046290", "0123abcd0", "0123"] {
            assert!(why_left_out("0123abcd", other).contains("other jobs"), "{other}");
        }
    }
}
