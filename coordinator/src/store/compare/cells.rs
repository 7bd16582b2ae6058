//! Cells with their runs, from the database.

use std::collections::{HashMap, HashSet};

use offramp_domain::compare::{Cell, Cost, Metric, Run};
use offramp_domain::filter::Filter;
use offramp_domain::job::JobConfig;
use offramp_domain::table::{Kind, Value};
use offramp_proto::v1;

use super::question::Question;
use super::{ComparisonError, MOST_JOBS};
use crate::store::engine::{Row, Transaction, args};
use crate::store::read::Reader;
use crate::store::{rows, sql};

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
        // One moment for all of them.
        let mut tx = self.pool().begin_reading().await?;
        let mut cells: Vec<StoredCell> = Vec::new();
        let mut place: HashMap<(usize, String), usize> = HashMap::new();
        let mut seen: HashSet<(usize, String)> = HashSet::new();
        let mut n_jobs = 0;
        for (number, chosen) in sweeps.iter().enumerate() {
            let id = chosen.sweep.sweep;
            let number = if by_sweep { number } else { 0 };
            let wanted = match &question.filter {
                Some(filter) => Some(wanted(&mut tx, id, filter).await?),
                None => None,
            };
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
                if wanted.as_ref().is_some_and(|wanted| !wanted.contains(&key)) || !seen.insert((number, key.clone())) {
                    continue;
                }
                let cell: String = row.get("cell")?;
                let index = if let Some(index) = place.get(&(number, cell.clone())) {
                    *index
                } else {
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
async fn wanted(tx: &mut Transaction, id: i64, filter: &Filter) -> Result<HashSet<String>, ComparisonError> {
    let columns: Vec<_> = filter.columns().into_iter().filter_map(|index| filter.view().column(index)).collect();
    let mut wanted = HashSet::new();
    for row in tx.all(sql::LIST_SWEEP_JOBS, args![id, "", MOST_JOBS as i64 + 1, 0_i64]).await? {
        let mut values: HashMap<&str, Value> = HashMap::new();
        for column in &columns {
            values.insert(column.name, value(&row, column.name, column.kind)?);
        }
        if filter.matches(&|name| values.get(name).cloned().unwrap_or(Value::Null)) {
            wanted.insert(row.get("job_key")?);
        }
    }
    Ok(wanted)
}

fn value(row: &Row, name: &str, kind: Kind) -> Result<Value, sqlx::Error> {
    Ok(match kind {
        Kind::Integer | Kind::Time => row.get::<Option<i64>>(name)?.map_or(Value::Null, Value::Integer),
        Kind::Real => row.get::<Option<f64>>(name)?.map_or(Value::Null, Value::Real),
        Kind::Text | Kind::Json => row.get::<Option<String>>(name)?.map_or(Value::Null, Value::Text),
        Kind::Flag => row.get::<Option<i64>>(name)?.map_or(Value::Null, |flag| Value::Flag(flag != 0)),
    })
}
