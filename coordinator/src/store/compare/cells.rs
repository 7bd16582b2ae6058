//! Cells with their runs, from the database.

use std::collections::{HashMap, HashSet};

use offramp_domain::compare::{Cell, Cost, Metric, Run};
use offramp_domain::filter::Filter;
use offramp_domain::job::JobConfig;
use offramp_domain::table::Array;
use offramp_proto::v1;
use tokio_stream::StreamExt;

use super::question::Question;
use super::{ComparisonError, MOST_JOBS};
use crate::store::engine::{Row, Transaction, args};
use crate::store::read::Reader;
use crate::store::select::Query;
use crate::store::{rows, sql};

/// Configurations that are read before others have their turn on this thread: a millisecond.
const CELLS_AT_A_TIME: usize = 200;

/// A sweep that is looked at.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub(super) sweep: v1::SweepRow,
    /// Its name, with its id where another one of the same name is looked at as well.
    pub(super) label: String,
}

impl Chosen {
    pub(super) fn label(sweeps: Vec<v1::SweepRow>) -> Vec<Self> {
        let mut times: HashMap<String, usize> = HashMap::new();
        for sweep in &sweeps {
            *times.entry(sweep.name.clone()).or_default() += 1;
        }
        let label =
            |sweep: &v1::SweepRow| if times[&sweep.name] == 1 { sweep.name.clone() } else { format!("{} ({})", sweep.name, sweep.sweep) };
        sweeps.into_iter().map(|sweep| Self { label: label(&sweep), sweep }).collect()
    }
}

/// A cell as it is stored.
#[derive(Debug, Clone)]
pub(super) struct StoredCell {
    pub(super) cell: Cell,
    pub(super) branch_rule: String,
    pub(super) branch_macs: i64,
    pub(super) backbone_macs: i64,
    /// State of each run, in their order.
    pub(super) states: Vec<String>,
}

impl Reader {
    /// The cells of sweeps, in the order of their jobs, with what the metric says of each job. A cell that is in several sweeps is one, unless
    /// it is `by_sweep` that they are compared.
    pub(super) async fn stored_cells(
        &self,
        sweeps: &[Chosen],
        question: &Question,
        by_sweep: bool,
    ) -> Result<Vec<StoredCell>, ComparisonError> {
        // Which jobs are meant is read first, on connections of its own; what they came to is then of one moment.
        let mut wanted_of = HashMap::new();
        if let Some(filter) = &question.filter {
            for chosen in sweeps {
                wanted_of.insert(chosen.sweep.sweep, wanted(self, chosen.sweep.sweep, filter.clone()).await?);
            }
        }
        let mut tx = self.pool().begin_reading().await?;
        let mut cells: Vec<StoredCell> = Vec::new();
        let mut place: HashMap<(usize, String), usize> = HashMap::new();
        let mut seen: HashSet<(usize, String)> = HashSet::new();
        let mut n_jobs = 0;
        for (number, chosen) in sweeps.iter().enumerate() {
            let id = chosen.sweep.sweep;
            let number = if by_sweep { number } else { 0 };
            let wanted = wanted_of.get(&id);
            let mut of_cell: HashMap<String, Row> = HashMap::new();
            for row in tx.all(sql::CELLS_OF_SWEEP, args![id]).await? {
                of_cell.insert(row.get("cell")?, row);
            }
            let runs = runs(&mut tx, id, question.options.metric).await?;
            n_jobs += runs.len();
            if n_jobs > MOST_JOBS {
                return Err(ComparisonError::TooManyJobs);
            }
            for row in runs {
                let key: String = row.get("job_key")?;
                if wanted.is_some_and(|wanted| !wanted.contains(&key)) || !seen.insert((number, key.clone())) {
                    continue;
                }
                let cell: String = row.get("cell")?;
                let index = if let Some(index) = place.get(&(number, cell.clone())) {
                    *index
                } else {
                    if cells.len().is_multiple_of(CELLS_AT_A_TIME) {
                        tokio::task::yield_now().await;
                    }
                    let described = of_cell.get(&cell).ok_or(sqlx::Error::RowNotFound)?;
                    cells.push(stored(described, &chosen.label)?);
                    place.insert((number, cell), cells.len() - 1);
                    cells.len() - 1
                };
                let run = Run { seed: rows::seed(&row)?, job: key[..12].to_owned(), value: row.get(question.options.metric.as_str())? };
                cells[index].cell.runs.push(run);
                cells[index].states.push(row.get("state")?);
            }
        }
        Ok(cells)
    }
}

fn stored(row: &Row, sweep: &str) -> Result<StoredCell, ComparisonError> {
    let config: String = row.get("config")?;
    let config = JobConfig::from_json(&config);
    let config = match config {
        Ok(config) => config,
        Err(source) => return Err(ComparisonError::Config { job: row.get("cell")?, source }),
    };
    Ok(StoredCell {
        cell: Cell { config, sweep: sweep.to_owned(), runs: Vec::new() },
        branch_rule: row.get("branch_rule")?,
        branch_macs: row.get("branch_macs")?,
        backbone_macs: row.get("backbone_macs")?,
        states: Vec::new(),
    })
}

/// A sweep's jobs with what the metric says, one more than may be at most.
async fn runs(tx: &mut Transaction, id: i64, metric: Metric) -> Result<Vec<Row>, sqlx::Error> {
    let most = MOST_JOBS as i64 + 1;
    match metric {
        Metric::AccuracyAt(cost) => {
            let (macs, share) = match cost {
                Cost::Macs(macs) => (macs, 0.0),
                Cost::Share(share) => (0.0, share),
            };
            tx.all(sql::RUNS_OF_SWEEP_AT, args![id, most, macs, share]).await
        }
        Metric::Area | Metric::FinalAccuracy | Metric::BestAccuracy => tx.all(sql::RUNS_OF_SWEEP, args![id, most]).await,
    }
}

/// The keys of a sweep's jobs that a filter lets through.
async fn wanted(reader: &Reader, id: i64, filter: Filter) -> Result<HashSet<String>, ComparisonError> {
    let view = filter.view();
    let key = view.index_of("job_key").expect("jobs have a key");
    let query = Query { sweep: Some(id), filter: Some(filter), columns: vec![key], ..Query::default() };
    let mut batches = reader.select(view, query);
    let mut wanted = HashSet::new();
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let keys = batch.columns.into_iter().next();
        if let Some(Array::Texts(keys)) = keys {
            wanted.extend(keys.into_iter().flatten());
        }
    }
    Ok(wanted)
}
