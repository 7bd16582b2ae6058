//! Where reading commands read: a database or a coordinator. Both answer with the same rows.

use std::pin::Pin;

use offramp_coordinator::Database;
use offramp_coordinator::store::{
    ComparisonError, CostMetric, DatabaseError, FrontierFilter, Grouping, JobsFilter, LookupError, OpenError, Query, Reader,
};
use offramp_domain::lifecycle::State;
use offramp_domain::table::{Batch, View};
use offramp_proto::{rows, v1};
use tokio_stream::{Stream, StreamExt};

use crate::args::{DEFAULT_COORDINATOR, SourceArguments, parse_coordinator, parse_database, without_password};
use crate::client::{Client, PATIENCE};
use crate::environment;
use crate::exit::Exit;
use crate::failure::Failure;

/// The default database's file, in the user's data folder.
pub(crate) const DATABASE_FILE: &str = "offramp.db";

/// Rows as they come.
pub(crate) type Batches = Pin<Box<dyn Stream<Item = Result<Batch, Failure>> + Send>>;

/// Something that answers reading commands.
#[derive(Debug)]
pub(crate) enum Source {
    /// A database.
    Database(Reader),
    /// A coordinator.
    Coordinator(Box<Client>),
}

impl Source {
    /// Opens what the arguments name, else what the environment names (a coordinator before a database), else the default database.
    ///
    /// # Errors
    /// When it cannot be opened or reached.
    pub(crate) async fn open(arguments: &SourceArguments) -> Result<Self, Failure> {
        match Choice::make(arguments)? {
            Choice::Coordinator(url) => Ok(Self::Coordinator(Box::new(Client::new(&url, PATIENCE)?))),
            Choice::Database(database) => Ok(Self::Database(open_database(&database).await?)),
        }
    }

    /// Rows of a view as they come, of one sweep where `sweep` says which. There is a first batch in any case.
    ///
    /// # Errors
    /// When there is no such sweep, or the source cannot answer; the stream's last item may be a failure as well.
    pub(crate) async fn select(&self, view: &'static View, sweep: Option<&str>, query: Query) -> Result<Batches, Failure> {
        match self {
            Self::Coordinator(client) => {
                let name = |column: usize| view.column(column).map(|column| column.name);
                let sort = query
                    .sort
                    .iter()
                    .filter_map(|sort| Some(format!("{}{}", if sort.is_descending { "-" } else { "" }, name(sort.column)?)));
                let columns: Vec<_> = query.columns.iter().filter_map(|column| view.column(*column)).collect();
                let request = v1::SelectRequest {
                    view: view.name.to_owned(),
                    sweep: sweep.unwrap_or_default().to_owned(),
                    r#where: query.filter.as_ref().map(ToString::to_string).unwrap_or_default(),
                    sort: sort.collect(),
                    columns: columns.iter().map(|column| column.name.to_owned()).collect(),
                    limit: query.limit.unwrap_or(0),
                    offset: query.offset,
                };
                let rows = client.select(request).await?;
                let client = client.clone();
                let batch = move |message: Result<v1::RowBatch, tonic::Status>| {
                    let message = message.map_err(|status| client.refused(&status))?;
                    rows::batch(columns.iter().copied(), message)
                        .map_err(|error| Failure::new(anyhow::Error::new(error).context("the coordinator's answer cannot be read")))
                };
                Ok(Box::pin(rows.map(batch)))
            }
            Self::Database(reader) => {
                let sweep = match sweep {
                    Some(selector) => Some(reader.sweep(selector).await.map_err(lookup_failure)?.sweep),
                    None => None,
                };
                let batches = reader.select(view, Query { sweep, ..query });
                Ok(Box::pin(batches.map(|batch| batch.map_err(|error| lookup_failure(error.into())))))
            }
        }
    }

    /// One sweep and what is running of it.
    pub(crate) async fn sweep(&self, sweep: &str) -> Result<v1::SweepStatus, Failure> {
        match self {
            Self::Coordinator(client) => client.sweep(sweep).await,
            Self::Database(reader) => {
                let id = reader.sweep(sweep).await.map_err(lookup_failure)?.sweep;
                let activity = reader.sweep_activity(id).await.map_err(lookup_failure)?;
                let running = activity.running.into_iter().map(|(_, job)| job).collect();
                Ok(v1::SweepStatus { sweep: Some(activity.sweep), running })
            }
        }
    }

    /// A sweep's file as it was submitted.
    pub(crate) async fn sweep_file(&self, sweep: &str) -> Result<v1::SweepFile, Failure> {
        match self {
            Self::Coordinator(client) => client.sweep_file(sweep).await,
            Self::Database(reader) => {
                let id = reader.sweep(sweep).await.map_err(lookup_failure)?.sweep;
                reader.sweep_file(id).await.map_err(lookup_failure)
            }
        }
    }

    /// Jobs, in the sweep's order.
    pub(crate) async fn jobs(&self, request: v1::ListJobsRequest) -> Result<Vec<v1::JobRow>, Failure> {
        match self {
            Self::Coordinator(client) => client.jobs(request).await,
            Self::Database(reader) => {
                let sweep = match request.sweep.as_str() {
                    "" => None,
                    selector => Some(reader.sweep(selector).await.map_err(lookup_failure)?.sweep),
                };
                let filter = JobsFilter { sweep, state: State::parse(&request.state), limit: request.limit, offset: request.offset };
                reader.jobs(filter).await.map_err(|error| lookup_failure(error.into()))
            }
        }
    }

    /// All that is known of one job.
    pub(crate) async fn job(&self, job: &str) -> Result<v1::JobDetail, Failure> {
        match self {
            Self::Coordinator(client) => client.job(job).await,
            Self::Database(reader) => reader.job(job).await.map_err(lookup_failure),
        }
    }

    /// Why a job is not running.
    pub(crate) async fn explain(&self, job: &str) -> Result<v1::JobExplanation, Failure> {
        match self {
            Self::Coordinator(client) => client.explain(job).await,
            Self::Database(reader) => reader.explain(job, environment::now_us()).await.map_err(lookup_failure),
        }
    }

    /// Workers, newest first; those that have ended, too, where `ended` says so.
    pub(crate) async fn workers(&self, ended: bool, limit: u32) -> Result<Vec<v1::WorkerRow>, Failure> {
        match self {
            Self::Coordinator(client) => client.workers(ended, limit).await,
            Self::Database(reader) => reader.workers(ended, limit).await.map_err(|error| lookup_failure(error.into())),
        }
    }

    /// Frontiers of a sweep, or of all sweeps together.
    pub(crate) async fn frontier(&self, asked: &Frontiers<'_>) -> Result<v1::GetFrontierResponse, Failure> {
        match self {
            Self::Coordinator(client) => client.frontier(asked.sweep.unwrap_or_default(), asked.grouping(), asked.metric()).await,
            Self::Database(reader) => {
                let (sweep, filter) = asked.filter(reader).await?;
                let points = reader.frontier(filter).await.map_err(|error| lookup_failure(error.into()))?;
                Ok(v1::GetFrontierResponse { sweep, points, more: false })
            }
        }
    }

    /// Every point that is or was on such frontiers.
    pub(crate) async fn frontier_history(&self, asked: &Frontiers<'_>) -> Result<v1::GetFrontierHistoryResponse, Failure> {
        match self {
            Self::Coordinator(client) => client.frontier_history(asked.sweep.unwrap_or_default(), asked.grouping(), asked.metric()).await,
            Self::Database(reader) => {
                let (sweep, filter) = asked.filter(reader).await?;
                let points = reader.frontier_history(filter).await.map_err(|error| lookup_failure(error.into()))?;
                Ok(v1::GetFrontierHistoryResponse { sweep, points, more: false })
            }
        }
    }

    /// The exits of a sweep's finished jobs.
    pub(crate) async fn results(&self, sweep: &str) -> Result<v1::ListResultsResponse, Failure> {
        match self {
            Self::Coordinator(client) => client.results(sweep).await,
            Self::Database(reader) => {
                let sweep = reader.sweep(sweep).await.map_err(lookup_failure)?;
                let exits = reader.exits(sweep.sweep).await.map_err(|error| lookup_failure(error.into()))?;
                Ok(v1::ListResultsResponse { sweep: Some(sweep), exits, more: false })
            }
        }
    }

    /// The cells of a sweep over their seeds.
    pub(crate) async fn patterns(&self, sweep: &str) -> Result<v1::ListPatternsResponse, Failure> {
        match self {
            Self::Coordinator(client) => client.patterns(sweep).await,
            Self::Database(reader) => {
                let sweep = reader.sweep(sweep).await.map_err(lookup_failure)?;
                let patterns = reader.patterns(sweep.sweep).await.map_err(|error| lookup_failure(error.into()))?;
                Ok(v1::ListPatternsResponse { sweep: Some(sweep), patterns, more: false })
            }
        }
    }

    /// What differs in one factor alone.
    pub(crate) async fn compare(&self, request: v1::CompareRequest) -> Result<v1::CompareResponse, Failure> {
        match self {
            Self::Coordinator(client) => client.compare(request).await,
            Self::Database(reader) => reader.compare(&request).await.map_err(comparison_failure),
        }
    }

    /// Cells over their seeds.
    pub(crate) async fn cells(&self, request: v1::ListCellsRequest) -> Result<v1::ListCellsResponse, Failure> {
        match self {
            Self::Coordinator(client) => client.cells(request).await,
            Self::Database(reader) => reader.cells(&request).await.map_err(comparison_failure),
        }
    }

    /// What differs between two sweeps.
    pub(crate) async fn diff_sweeps(&self, request: v1::DiffSweepsRequest) -> Result<v1::DiffSweepsResponse, Failure> {
        match self {
            Self::Coordinator(client) => client.diff_sweeps(request).await,
            Self::Database(reader) => reader.diff_sweeps(&request).await.map_err(comparison_failure),
        }
    }
}

/// The database: the one asked for, or the default.
///
/// # Errors
/// Where nothing says where the user's data is.
pub(crate) fn database(asked_for: Option<&Database>) -> Result<Database, Failure> {
    let default = || environment::user_data_dir().map(|folder| Database::Sqlite(folder.join(DATABASE_FILE)));
    asked_for.cloned().or_else(default).ok_or_else(|| {
        Failure::new(anyhow::anyhow!("nothing says where this user's data is: neither XDG_DATA_HOME nor HOME is set"))
            .hint("name a database with --database sqlite:PATH")
    })
}

/// Opens a database to read it.
///
/// # Errors
/// When there is none, or it cannot be read.
pub(crate) async fn open_database(database: &Database) -> Result<Reader, Failure> {
    Reader::open(database).await.map_err(open_failure)
}

/// The coordinator to watch a sweep at: a database alone tells of no changes.
///
/// # Errors
/// Where the environment's value is no URL.
pub(crate) fn watched_coordinator(arguments: &SourceArguments) -> Result<String, Failure> {
    let named =
        arguments.coordinator.clone().map_or_else(|| environment_value("OFFRAMP_COORDINATOR", parse_coordinator), |url| Ok(Some(url)));
    Ok(named?.unwrap_or_else(|| DEFAULT_COORDINATOR.to_owned()))
}

/// Why a database cannot be opened, with the library's hint.
pub(crate) fn open_failure(error: OpenError) -> Failure {
    let hint = error.hint();
    with_hint(Failure::new(error), hint)
}

/// The id of the sweep that is meant.
///
/// # Errors
/// When there is none, and those of the database.
pub(crate) async fn sweep_id(reader: &Reader, selector: &str) -> Result<i64, Failure> {
    Ok(reader.sweep(selector).await.map_err(lookup_failure)?.sweep)
}

/// Why a database could not be read, with the library's hint.
pub(crate) fn database_failure(error: DatabaseError) -> Failure {
    lookup_failure(error.into())
}

fn lookup_failure(error: LookupError) -> Failure {
    let hint = error.hint();
    let exit = match &error {
        LookupError::NoSweeps | LookupError::NoSuchSweep(_) | LookupError::NoSuchJob(_) => Exit::NothingMatched,
        LookupError::AmbiguousJob { .. } => Exit::Usage,
        LookupError::Database(_) => Exit::Error,
    };
    with_hint(Failure::with_exit(exit, error), hint)
}

fn comparison_failure(error: ComparisonError) -> Failure {
    let exit = match error {
        ComparisonError::Lookup(error) => return lookup_failure(error),
        ComparisonError::Config { .. } | ComparisonError::File(_) => Exit::Error,
        _ => Exit::Usage,
    };
    let hint = error.hint();
    with_hint(Failure::with_exit(exit, error), hint.as_deref())
}

fn with_hint(failure: Failure, hint: Option<&str>) -> Failure {
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Which frontiers are asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frontiers<'a> {
    /// `last`, an id or a name; `None` for all sweeps together.
    pub(crate) sweep: Option<&'a str>,
    /// Which points stand together.
    pub(crate) grouping: Grouping,
    /// By which cost.
    pub(crate) metric: CostMetric,
}

impl Frontiers<'_> {
    async fn filter(&self, reader: &Reader) -> Result<(Option<v1::SweepRow>, FrontierFilter), Failure> {
        let sweep = match self.sweep {
            Some(sweep) => Some(reader.sweep(sweep).await.map_err(lookup_failure)?),
            None => None,
        };
        let filter = FrontierFilter { sweep: sweep.as_ref().map(|sweep| sweep.sweep), grouping: self.grouping, metric: self.metric };
        Ok((sweep, filter))
    }

    fn metric(&self) -> v1::CostMetric {
        match self.metric {
            CostMetric::MacsCascade => v1::CostMetric::MacsCascade,
            CostMetric::MacsSelected => v1::CostMetric::MacsSelected,
            CostMetric::Params => v1::CostMetric::Params,
            CostMetric::LatencyUs => v1::CostMetric::LatencyUs,
        }
    }

    fn grouping(&self) -> v1::Grouping {
        match self.grouping {
            Grouping::Dataset => v1::Grouping::Dataset,
            Grouping::Backbone => v1::Grouping::Backbone,
            Grouping::Pattern => v1::Grouping::Pattern,
        }
    }
}

#[derive(Debug, PartialEq)]
enum Choice {
    Database(Database),
    Coordinator(String),
}

impl Choice {
    fn make(arguments: &SourceArguments) -> Result<Self, Failure> {
        if let Some(database) = &arguments.database {
            return Ok(Self::Database(database.clone()));
        }
        if let Some(url) = &arguments.coordinator {
            return Ok(Self::Coordinator(url.clone()));
        }
        if let Some(url) = environment_value("OFFRAMP_COORDINATOR", parse_coordinator)? {
            return Ok(Self::Coordinator(url));
        }
        let named = environment_value("OFFRAMP_DATABASE", parse_database)?;
        database(named.as_ref()).map(Self::Database)
    }
}

/// Reads a variable as its flag would be read.
fn environment_value<T>(name: &str, parse: fn(&str) -> Result<T, String>) -> Result<Option<T>, Failure> {
    let Some(value) = environment::variable(name) else { return Ok(None) };
    let text = value.to_string_lossy();
    let shown = without_password(&text);
    let wrong =
        |reason| Failure::with_exit(Exit::Usage, anyhow::anyhow!("invalid value `{shown}` in the environment for {name}: {reason}"));
    parse(&text).map(Some).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_choose_the_source() {
        let file = || Database::Sqlite("a.db".into());
        let database = SourceArguments { database: Some(file()), coordinator: None };
        assert_eq!(Choice::make(&database).unwrap(), Choice::Database(file()));
        let coordinator = SourceArguments { database: None, coordinator: Some("http://127.0.0.1:1".into()) };
        assert_eq!(Choice::make(&coordinator).unwrap(), Choice::Coordinator("http://127.0.0.1:1".into()));
        assert_eq!(watched_coordinator(&coordinator).unwrap(), "http://127.0.0.1:1");
    }

    #[test]
    fn what_is_not_there_has_an_exit_code_of_its_own() {
        assert_eq!(lookup_failure(LookupError::NoSuchSweep("x".into())).exit(), Exit::NothingMatched);
        assert_eq!(lookup_failure(LookupError::NoSuchJob("x".into())).exit(), Exit::NothingMatched);
        let ambiguous = LookupError::AmbiguousJob { prefix: "0".into(), ids: vec!["01".into(), "02".into()] };
        assert_eq!(lookup_failure(ambiguous).exit(), Exit::Usage);
        assert_eq!(open_failure(OpenError::Missing("a.db".into())).exit(), Exit::Error);
    }
}
