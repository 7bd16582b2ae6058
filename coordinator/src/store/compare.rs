//! Comparisons: cells are read at one moment, and what they come to is worked out on threads for that.

mod answer;
mod cells;
mod diff;
mod question;

use offramp_domain::compare::{CompareError, UnknownFactor, UnknownMetric, compare};
use offramp_domain::filter::FilterError;
use offramp_domain::job::ConfigError;
use offramp_domain::statistics::summary;
use offramp_domain::sweep::UnreadableFile;
use offramp_proto::v1;
use tokio::sync::Semaphore;

use self::cells::{Chosen, StoredCell};
use self::question::Question;
use super::error::DatabaseError;
use super::read::{LookupError, Reader};

/// Most jobs that are compared at once.
const MOST_JOBS: usize = 200_000;

/// How many comparisons are worked out at once; others wait. Of the process: it is its processors that they take.
static AT_WORK: Semaphore = Semaphore::const_new(2);

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum ComparisonError {
    /// No such sweep, or the database.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// No such factor.
    #[error(transparent)]
    Factor(#[from] UnknownFactor),
    /// No such metric.
    #[error(transparent)]
    Metric(#[from] UnknownMetric),
    /// No filter.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The question makes no sense, or is too large.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// A cost that is none, both costs, or a cost of a metric that has none.
    #[error("{0}")]
    Cost(&'static str),
    /// No such unit.
    #[error("a pair is a `seed` or a `block`, not `{}`", .0.escape_debug())]
    Unit(String),
    /// A sweep and itself.
    #[error("both are the sweep `{}`", .0.escape_debug())]
    SameSweep(String),
    /// More jobs than are compared at once.
    #[error("more than {MOST_JOBS} jobs, and no more are compared at once")]
    TooManyJobs,
    /// A stored configuration that this build does not understand.
    #[error("job {job} has a configuration that this build can't read")]
    Config {
        /// The job's cell.
        job: String,
        /// Why.
        #[source]
        source: ConfigError,
    },
    /// A stored sweep file that is none.
    #[error(transparent)]
    File(#[from] UnreadableFile),
}

impl ComparisonError {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Lookup(error) => error.hint().map(str::to_owned),
            Self::Factor(error) => Some(error.hint()),
            Self::Metric(error) => Some(error.hint()),
            Self::Filter(error) => error.hint().map(str::to_owned),
            Self::Compare(error) => Some(error.hint()),
            Self::Cost(_) => Some("a cost is MACs, as in `20M`, or a share of the backbone's, as in `50%`".to_owned()),
            Self::TooManyJobs => Some("name a sweep, or choose with a filter".to_owned()),
            Self::SameSweep(_) => Some("`offramp sweep list` shows the others".to_owned()),
            Self::Unit(_) | Self::Config { .. } | Self::File(_) => None,
        }
    }
}

impl From<DatabaseError> for ComparisonError {
    fn from(error: DatabaseError) -> Self {
        Self::Lookup(error.into())
    }
}

impl From<sqlx::Error> for ComparisonError {
    fn from(error: sqlx::Error) -> Self {
        Self::Lookup(error.into())
    }
}

impl Reader {
    /// Compares what differs in one factor alone.
    ///
    /// # Errors
    /// When the question cannot be understood or is too large, a sweep is not there, and those of the database.
    pub async fn compare(&self, request: &v1::CompareRequest) -> Result<v1::CompareResponse, ComparisonError> {
        let (question, factor) = Question::of_comparison(request)?;
        question.options.check(factor)?;
        let sweeps = self.chosen_sweeps(&request.sweeps).await?;
        let cells = self.stored_cells(&sweeps, &question, factor == offramp_domain::compare::Factor::Sweep).await?;
        let cells: Vec<_> = cells.into_iter().map(|stored| stored.cell).collect();
        at_work(move || {
            let comparison = compare(&cells, factor, &question.options)?;
            Ok(answer::comparison(&comparison, question.options.bootstrap.n_resamples))
        })
        .await
    }

    /// Summarises cells over their seeds.
    ///
    /// # Errors
    /// As [`Self::compare`].
    pub async fn cells(&self, request: &v1::ListCellsRequest) -> Result<v1::ListCellsResponse, ComparisonError> {
        let question = Question::of_cells(request)?;
        question.options.check(offramp_domain::compare::Factor::Pattern)?;
        let sweeps = self.chosen_sweeps(&request.sweeps).await?;
        let cells = self.stored_cells(&sweeps, &question, false).await?;
        let bootstrap = question.options.bootstrap;
        let n_values: usize = cells.iter().map(|stored| stored.cell.runs.len()).sum();
        question.options.check_draws(n_values)?;
        let cells = at_work(move || {
            let row = |stored: &StoredCell| {
                let values: Vec<f64> = stored.cell.runs.iter().filter_map(|run| run.value).collect();
                answer::cell(stored, summary(&values, &bootstrap))
            };
            Ok(cells.iter().map(row).collect())
        })
        .await?;
        let metric = question.options.metric;
        Ok(v1::ListCellsResponse {
            cells,
            metric: metric.as_str().to_owned(),
            metric_label: metric.to_string(),
            confidence: bootstrap.confidence,
            resamples: u32::try_from(bootstrap.n_resamples).unwrap_or(u32::MAX),
        })
    }

    /// The sweeps of these selectors, each once; every sweep where there are none.
    async fn chosen_sweeps(&self, selectors: &[String]) -> Result<Vec<Chosen>, ComparisonError> {
        let mut sweeps: Vec<v1::SweepRow> = Vec::new();
        if selectors.is_empty() {
            sweeps = self.sweeps(u32::MAX).await?;
            sweeps.reverse();
        }
        for selector in selectors {
            let sweep = self.sweep(selector).await?;
            if !sweeps.iter().any(|known| known.sweep == sweep.sweep) {
                sweeps.push(sweep);
            }
        }
        Ok(Chosen::label(sweeps))
    }
}

/// Works something out on a thread for that, when it is its turn.
async fn at_work<T: Send + 'static>(work: impl FnOnce() -> Result<T, ComparisonError> + Send + 'static) -> Result<T, ComparisonError> {
    let _turn = AT_WORK.acquire().await.expect("nobody closes it");
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
