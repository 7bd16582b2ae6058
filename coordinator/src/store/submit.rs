//! From a checked sweep to rows.

use offramp_domain::job::JobKey;
use offramp_domain::network::SolvedRule;
use offramp_domain::sweep::{Sweep, SweepJob};
use serde::Serialize;
use sqlx::{Row, SqliteExecutor};

use super::error::DatabaseError;
use super::{Reader, Store, frontier, sql};

/// How much of a sweep the database has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preview {
    /// Jobs that exist, finished or not.
    pub n_known_jobs: u64,
    /// Jobs whose result exists and is used as it is.
    pub n_finished_jobs: u64,
}

/// What a submission came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// The sweep's id.
    pub sweep: i64,
    /// Whether this call created it; the same content has one sweep.
    pub created: bool,
    /// What was there before.
    pub before: Preview,
}

impl Reader {
    /// Tells how much of `sweep` there is already, and writes nothing.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn preview(&self, sweep: &Sweep) -> Result<Preview, DatabaseError> {
        let keys = json(&keys(sweep));
        Ok(count_known(self.pool(), &keys).await?)
    }
}

impl Store {
    /// Stores a sweep, the jobs of it that do not exist yet, and the frontier of the results that do; all or nothing.
    ///
    /// `text` is the sweep file. The same content again changes nothing and answers with the sweep that exists.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn submit(&self, sweep: &Sweep, text: &str, now_us: i64) -> Result<Submitted, DatabaseError> {
        let sweep_key = sweep.key();
        let keys = keys(sweep);
        let json_keys = json(&keys);
        let mut tx = self.begin().await?;
        let before = count_known(&mut *tx, &json_keys).await?;
        let existing: Option<i64> = sqlx::query_scalar(sql::SWEEP_BY_KEY).bind(&sweep_key).fetch_optional(&mut *tx).await?;
        if let Some(sweep) = existing {
            return Ok(Submitted { sweep, created: false, before });
        }
        let sweep_id: i64 = sqlx::query_scalar(sql::INSERT_SWEEP)
            .bind(&sweep_key)
            .bind(&sweep.name)
            .bind(text)
            .bind(now_us)
            .bind(sweep.jobs.len() as i64)
            .fetch_one(&mut *tx)
            .await?;
        let jobs: Vec<JobInput> = sweep.jobs.iter().zip(&keys).map(|(job, key)| JobInput::new(job, key)).collect();
        let exits: Vec<ExitInput> = sweep.jobs.iter().zip(&keys).flat_map(|(job, key)| exit_inputs(job, key)).collect();
        sqlx::query(sql::INSERT_JOBS).bind(json(&jobs)).bind(now_us).execute(&mut *tx).await?;
        sqlx::query(sql::INSERT_EXITS).bind(json(&exits)).execute(&mut *tx).await?;
        sqlx::query(sql::INSERT_JOB_STATES).bind(&json_keys).bind(now_us).execute(&mut *tx).await?;
        sqlx::query(sql::INSERT_SWEEP_JOBS).bind(sweep_id).bind(&json_keys).execute(&mut *tx).await?;
        if before.n_finished_jobs > 0 {
            frontier::found(&mut tx, sweep_id).await?;
        }
        tx.commit().await?;
        Ok(Submitted { sweep: sweep_id, created: true, before })
    }
}

async fn count_known(database: impl SqliteExecutor<'_>, json_keys: &str) -> Result<Preview, sqlx::Error> {
    let row = sqlx::query(sql::COUNT_KNOWN_JOBS).bind(json_keys).fetch_one(database).await?;
    Ok(Preview {
        n_known_jobs: row.try_get::<i64, _>("n_known")?.cast_unsigned(),
        n_finished_jobs: row.try_get::<i64, _>("n_finished")?.cast_unsigned(),
    })
}

fn keys(sweep: &Sweep) -> Vec<String> {
    sweep.jobs.iter().map(|job| job.config.key().as_str().to_owned()).collect()
}

/// A bulk parameter: one JSON text instead of thousands of statements. Integers and texts alone travel this way, doubles are bound one by
/// one where they must arrive to the last bit.
fn json<T: Serialize>(rows: &[T]) -> String {
    serde_json::to_string(rows).expect("rows have string keys alone")
}

/// A job as `insert_jobs.sql` reads it.
#[derive(Serialize)]
struct JobInput<'a> {
    key: &'a str,
    config: String,
    cell: String,
    backbone: &'a str,
    dataset: &'a str,
    pattern: String,
    exits: String,
    budget: String,
    recipe: String,
    seed: i64,
    branch_rule: &'static str,
    backbone_macs: u64,
    budget_macs: u64,
    branch_macs: u64,
    params: u64,
    n_classes: usize,
}

impl<'a> JobInput<'a> {
    fn new(job: &'a SweepJob, key: &'a str) -> Self {
        let (config, network) = (&job.config, &job.network);
        let mut cell = config.clone();
        cell.seed = 0;
        Self {
            key,
            config: config.canonical_json(),
            cell: JobKey::as_str(&cell.key()).to_owned(),
            backbone: &config.backbone,
            dataset: &config.dataset,
            pattern: config.pattern_label(),
            exits: config.exits_label(),
            budget: config.budget_label(),
            recipe: config.recipe_label(),
            seed: config.seed.cast_signed(),
            branch_rule: match network.plan.map(|plan| plan.rule) {
                None => "none",
                Some(SolvedRule::Levels) => "levels",
                Some(SolvedRule::Width) => "width",
            },
            backbone_macs: network.backbone_macs(),
            budget_macs: network.plan.map_or(0, |plan| plan.budget_macs),
            branch_macs: network.plan.map_or(0, |plan| plan.branch_macs),
            params: network.params(),
            n_classes: network.n_classes,
        }
    }
}

/// A planned exit as `insert_exits.sql` reads it.
#[derive(Serialize)]
struct ExitInput<'a> {
    job: &'a str,
    exit: usize,
    is_final: u8,
    unit: usize,
    branch_depth: usize,
    branch_width: usize,
    backbone_macs: u64,
    branch_macs: u64,
    branch_params: u64,
    macs_cascade: u64,
    macs_selected: u64,
}

fn exit_inputs<'a>(job: &SweepJob, key: &'a str) -> Vec<ExitInput<'a>> {
    let network = &job.network;
    let last_unit = network.backbone.units.len().saturating_sub(1);
    let costs = network.exit_costs().into_iter().enumerate();
    costs
        .map(|(exit, cost)| {
            let branch = network.branches.get(exit);
            ExitInput {
                job: key,
                exit,
                is_final: u8::from(branch.is_none()),
                unit: branch.map_or(last_unit, |branch| branch.unit),
                branch_depth: branch.map_or(0, |branch| branch.depth),
                branch_width: branch.map_or(0, |branch| branch.width),
                backbone_macs: cost.backbone_macs,
                branch_macs: cost.branch_macs,
                branch_params: cost.branch_params,
                macs_cascade: cost.macs_cascade,
                macs_selected: cost.macs_selected,
            }
        })
        .collect()
}
