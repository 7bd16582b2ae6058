//! `offramp export`: rows of any view, archives and snapshots.

use std::path::{Path, PathBuf};

use offramp_coordinator::store::Query;
use offramp_domain::table::{Column, OfSweep, VIEWS, View, view};
use offramp_records::archive::{ArchiveWriter, WriteArchiveError};
use tokio_stream::StreamExt;

use crate::args::{ExportArguments, ExportFormat, SelectArguments};
use crate::commands::listing;
use crate::environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::say;
use crate::output::sink::{Draft, Sink};
use crate::source::Source;
use crate::text::{count, escape_control};

/// The newest sweep, unless another one is named.
const NEWEST: &str = "last";

/// Writes what was asked for.
pub(crate) async fn run(arguments: &ExportArguments) -> Result<Exit, Failure> {
    if let Some(path) = &arguments.snapshot {
        return snapshot(arguments, path).await;
    }
    let sweep = if arguments.everything { None } else { Some(arguments.sweep.as_deref().unwrap_or(NEWEST)) };
    match &arguments.archive {
        Some(folder) => archive(arguments, sweep, folder).await,
        None => views(arguments, sweep).await,
    }
}

/// Writes the rows of views, each to its own place.
async fn views(arguments: &ExportArguments, sweep: Option<&str>) -> Result<Exit, Failure> {
    let places = places(arguments, sweep)?;
    // Every view is looked at before anything is written.
    let selections = places.iter().map(|place| Wanted::new(place.view, &arguments.select)).collect::<Result<Vec<_>, _>>()?;
    let source = Source::open(&arguments.source).await?;
    if let Some(folder) = places.iter().find_map(|place| place.path.as_deref().and_then(Path::parent)).filter(|_| is_folder(arguments)) {
        let made = std::fs::create_dir_all(folder);
        made.map_err(|error| Failure::new(anyhow::Error::new(error).context(format!("cannot make the folder `{}`", folder.display()))))?;
    }
    let mut n_rows = 0;
    for (place, wanted) in places.iter().zip(selections) {
        n_rows += write(&source, place, wanted, sweep, arguments).await?;
    }
    if n_rows > 0 {
        return Ok(Exit::Ok);
    }
    say(&nothing(&places, sweep, arguments.select.filter.as_deref()));
    Ok(Exit::NothingMatched)
}

/// A view and where its rows go.
struct Place {
    view: &'static View,
    /// The file; nothing for standard output.
    path: Option<PathBuf>,
    format: ExportFormat,
}

/// Whether `--to` names a folder.
fn is_folder(arguments: &ExportArguments) -> bool {
    arguments.all_views || arguments.views.len() > 1
}

fn places(arguments: &ExportArguments, sweep: Option<&str>) -> Result<Vec<Place>, Failure> {
    let usage = |error: anyhow::Error| Failure::with_exit(Exit::Usage, error);
    let views: Vec<&'static View> = if arguments.all_views {
        let (with, without): (Vec<&'static View>, Vec<&'static View>) =
            VIEWS.iter().partition(|view| sweep.is_none() || view.of_sweep != OfSweep::None);
        if !without.is_empty() {
            let names: Vec<&str> = without.iter().map(|view| view.short_name()).collect();
            say(&format!("left out, because their rows belong to no sweep: {}; --everything has them", names.join(", ")));
        }
        with
    } else {
        let named = |name: &String| view(&name.replace('-', "_"));
        let views = arguments.views.iter().map(named).collect::<Result<Vec<_>, _>>();
        views.map_err(|error| {
            let hint = error.hint();
            usage(error.into()).hint(hint)
        })?
    };
    if let Some(view) = views.iter().find(|view| sweep.is_some() && view.of_sweep == OfSweep::None) {
        return Err(usage(anyhow::anyhow!("the rows of {} belong to no sweep", view.name)).hint("say --everything in the place of a sweep"));
    }
    let to = &arguments.to;
    if to.as_os_str() == "-" {
        let [view] = views.as_slice() else {
            return Err(usage(anyhow::anyhow!("several views do not go to one place")).hint("name a folder with --to DIR"));
        };
        return Ok(vec![Place { view, path: None, format: arguments.format.unwrap_or(ExportFormat::Csv) }]);
    }
    if is_folder(arguments) {
        let format = arguments.format.unwrap_or(ExportFormat::Csv);
        let place =
            |view: &'static View| Place { view, path: Some(to.join(format!("{}.{}", view.short_name(), format.extension()))), format };
        return Ok(views.into_iter().map(place).collect());
    }
    if to.is_dir() {
        return Err(usage(anyhow::anyhow!("`{}` is a folder", to.display())).hint("one view goes to a file: name one"));
    }
    let by_name = || match to.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).as_deref() {
        Some("parquet") => Ok(ExportFormat::Parquet),
        Some("jsonl" | "ndjson") => Ok(ExportFormat::Jsonl),
        None | Some("csv" | "txt") => Ok(ExportFormat::Csv),
        Some(other) => Err(usage(anyhow::anyhow!("`.{}` is no format that rows are written in", escape_control(other)))
            .hint("name the file .parquet, .csv or .jsonl, or say --format")),
    };
    let format = arguments.format.map_or_else(by_name, Ok)?;
    Ok(views.into_iter().map(|view| Place { view, path: Some(to.clone()), format }).collect())
}

/// What of a view is wanted.
struct Wanted {
    query: Query,
    columns: Vec<Column>,
}

impl Wanted {
    fn new(view: &'static View, select: &SelectArguments) -> Result<Self, Failure> {
        let query = Query { limit: select.limit, offset: select.offset, ..listing::parse(view, select)? };
        let columns = query.columns.iter().filter_map(|index| view.column(*index).copied()).collect();
        Ok(Self { query, columns })
    }
}

/// Writes the rows of one view; how many there were.
async fn write(source: &Source, place: &Place, wanted: Wanted, sweep: Option<&str>, arguments: &ExportArguments) -> Result<u64, Failure> {
    // A sweep that is not there is told before a file is begun.
    let mut batches = source.select(place.view, sweep, wanted.query).await?;
    let mut sink = match &place.path {
        None => Sink::to_stdout(wanted.columns, place.format)?,
        Some(path) => {
            let mut metadata = Vec::new();
            if let Some(selector) = sweep
                && let Some(sweep) = source.sweep(selector).await?.sweep
            {
                metadata.push(("offramp.sweep", sweep.name));
            }
            if let Some(filter) = &arguments.select.filter {
                metadata.push(("offramp.where", filter.clone()));
            }
            let draft = Draft::new(path, arguments.force)?;
            Sink::to_file(draft, place.view.name, wanted.columns, place.format, &metadata)?
        }
    };
    while let Some(batch) = batches.next().await {
        sink.write(batch?)?;
    }
    let n_rows = sink.finish()?;
    if let Some(path) = &place.path {
        say(&format!("{} of {} in `{}`", count(n_rows, "row"), place.view.name, escape_control(&path.display().to_string())));
    }
    Ok(n_rows)
}

fn nothing(places: &[Place], sweep: Option<&str>, filter: Option<&str>) -> String {
    let views: Vec<&str> = places.iter().map(|place| place.view.name).collect();
    let of = sweep.map_or_else(|| "in this database".to_owned(), |sweep| format!("of sweep `{}`", escape_control(sweep)));
    match filter {
        Some(filter) => format!("no row of {} {of} matches `{}`", views.join(", "), escape_control(filter)),
        None => format!("{} has no rows {of}", views.join(", ")),
    }
}

/// Writes finished jobs and sweeps to a folder.
async fn archive(arguments: &ExportArguments, sweep: Option<&str>, folder: &Path) -> Result<Exit, Failure> {
    let Source::Database(reader) = Source::open(&arguments.source).await? else {
        return Err(Failure::with_exit(Exit::Usage, anyhow::anyhow!("an archive is made from a database, not from a coordinator"))
            .hint("name the database with --database; a running coordinator is not disturbed"));
    };
    let sweep = match sweep {
        Some(selector) => Some(crate::source::sweep_id(&reader, selector).await?),
        None => None,
    };
    let failed = |error: WriteArchiveError| match &error {
        WriteArchiveError::Exists(_) => Failure::with_exit(Exit::Usage, error).hint("name another folder, or say --force to replace it"),
        _ => Failure::new(error),
    };
    let id = format!("{}-{}", environment::now_us(), std::process::id());
    let mut writer = ArchiveWriter::create(folder, &id, arguments.force).map_err(failed)?;
    let (mut n_sweeps, mut n_jobs) = (0, 0);
    for sweep in reader.sweep_files(sweep).await.map_err(crate::source::database_failure)? {
        writer.add_sweep(&sweep).map_err(failed)?;
        n_sweeps += 1;
    }
    let mut after = Some(0);
    while let Some(place) = after {
        let page = reader.finished_jobs(sweep, place).await.map_err(crate::source::database_failure)?;
        for job in &page.jobs {
            writer.add_job(job).map_err(failed)?;
        }
        n_jobs += page.jobs.len() as u64;
        after = page.next;
    }
    writer.finish().map_err(failed)?;
    let place = escape_control(&folder.display().to_string());
    say(&format!("{} and {} in `{place}`; `offramp import` reads them", count(n_sweeps, "sweep"), count(n_jobs, "finished job")));
    Ok(if n_jobs == 0 { Exit::NothingMatched } else { Exit::Ok })
}

/// Copies a SQLite database as it is at one moment.
async fn snapshot(arguments: &ExportArguments, path: &Path) -> Result<Exit, Failure> {
    let Source::Database(reader) = Source::open(&arguments.source).await? else {
        return Err(Failure::with_exit(Exit::Usage, anyhow::anyhow!("a snapshot is made of a database, not of a coordinator"))
            .hint("name the database with --database; a running coordinator is not disturbed"));
    };
    let draft = Draft::new(path, arguments.force)?;
    // What an earlier try that was killed left behind.
    let _ = std::fs::remove_file(draft.draft());
    reader.snapshot(draft.draft()).await.map_err(|error| {
        let hint = error.hint();
        let failure = Failure::new(error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    draft.keep()?;
    say(&format!("the database as it is now is in `{}`", escape_control(&path.display().to_string())));
    Ok(Exit::Ok)
}
