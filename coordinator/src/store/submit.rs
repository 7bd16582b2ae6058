//! From a checked sweep to rows.

use std::collections::HashMap;

use offramp_domain::job::{JobConfig, JobKey};
use offramp_domain::placement::Requirements;
use offramp_domain::sweep::{Run, Sweep, SweepJob};
use serde::Serialize;

use super::control::{self, Requester, turn_base};
use super::engine::args;
use super::error::{DatabaseError, Passing};
use super::{Reader, Store, Transaction, dependencies, frontier, json, placements, sql};

/// Jobs of one statement: enough to spare round trips, and few enough that their text is small beside the coordinator's memory.
const CHUNK: usize = 1_000;

/// How much of a sweep the database has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

/// Why a sweep was not stored.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Together with what other sweeps said, jobs would wait for themselves.
    #[error("with the dependencies of earlier sweeps, jobs would wait for themselves: `{}`", .0.join("` waits for `"))]
    Cycle(Vec<String>),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl SubmitError {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Cycle(_) => Some("leave one of the `[[after]]` tables out, or keep this sweep's jobs apart with `reuse = false`"),
            Self::Database(error) => error.hint(),
        }
    }
}

impl Passing for SubmitError {
    fn is_passing(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_passing())
    }
}

impl From<sqlx::Error> for SubmitError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Reader {
    /// Tells how much of `sweep` there is already, and writes nothing.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn preview(&self, sweep: &Sweep) -> Result<Preview, DatabaseError> {
        Ok(count_all_known(&mut self.pool().begin_reading().await?, sweep).await?)
    }
}

impl Store {
    /// Stores a sweep, the jobs of it that do not exist yet, and the frontier of the results that do; all or nothing.
    ///
    /// `text` is the sweep file. The same content again changes nothing and answers with the sweep that exists.
    ///
    /// # Errors
    /// When its dependencies and those of earlier sweeps go round in a circle, and those of the database.
    pub async fn submit(&self, sweep: &Sweep, text: &str, by: &Requester, now_us: i64) -> Result<Submitted, SubmitError> {
        self.persist(|| async {
            let sweep_key = sweep.key();
            let mut tx = self.begin_alone().await?;
            let before = count_all_known(&mut tx, sweep).await?;
            if let Some(existing) = tx.optional(sql::SWEEP_BY_KEY, args![&sweep_key]).await? {
                let sweep = existing.get("id")?;
                return tx.give_up(Ok(Submitted { sweep, created: false, before })).await;
            }
            let scheduling = sweep.scheduling;
            let values = args![
                &sweep_key,
                &sweep.name,
                text,
                now_us,
                sweep.n_jobs() as i64,
                scheduling.priority,
                scheduling.max_failed_jobs,
                &by.who,
            ];
            let sweep_id: i64 = tx.one(sql::INSERT_SWEEP, values).await?.get("id")?;
            let mut queues: HashMap<Requirements, Queue> = HashMap::new();
            for run in sweep.runs() {
                let requirements = sweep.requirements(&run.first.config);
                let queue = match queues.get(&requirements) {
                    Some(queue) => *queue,
                    None => Queue::of(&mut tx, &requirements, scheduling.priority).await?,
                };
                insert_run(&mut tx, sweep, &run, &Target { sweep_id, priority: scheduling.priority, queue, now_us }).await?;
                queues.insert(requirements, Queue { turn: queue.turn + run.jobs.len() as i64, ..queue });
            }
            // From here on no result of a job that was known comes unseen.
            tx.run_on_postgres(sql::postgres::LOCK_KNOWN_JOBS, args![sweep_id]).await?;
            self.failpoints.pass("submit.in-the-middle").await?;
            if before.n_known_jobs > 0 {
                control::want_again(&mut tx, sweep_id, by, now_us).await?;
                // Jobs that another sweep has, too, may be more urgent to this one.
                control::sponsor(&mut tx, sweep_id).await?;
            }
            insert_dependencies(&mut tx, sweep, sweep_id, before.n_known_jobs > 0, now_us).await?;
            if before.n_known_jobs > 0 {
                frontier::found(&mut tx, sweep_id).await?;
            }
            self.commit_alone(tx, "submit").await?;
            self.claims.forget_placements();
            Ok(Submitted { sweep: sweep_id, created: true, before })
        })
        .await
    }
}

/// Jobs that need the same, as they join the queue.
#[derive(Clone, Copy)]
struct Queue {
    placement: i64,
    /// Turn of the next one.
    turn: i64,
}

impl Queue {
    async fn of(tx: &mut Transaction, requirements: &Requirements, priority: i32) -> Result<Self, sqlx::Error> {
        let placement = placements::id(tx, requirements).await?;
        Ok(Self { placement, turn: turn_base(tx, priority.into(), placement).await? })
    }
}

/// Where a run's jobs go.
struct Target {
    sweep_id: i64,
    priority: i32,
    queue: Queue,
    now_us: i64,
}

/// Stores the jobs of a run, which differ in nothing but their seeds.
async fn insert_run(tx: &mut Transaction, sweep: &Sweep, run: &Run, target: &Target) -> Result<(), sqlx::Error> {
    let cell = Common::new(&run.first, run.json.key(0).as_str());
    let exits = exit_inputs(&run.first);
    let indices: Vec<usize> = run.jobs.clone().collect();
    for chunk in indices.chunks(CHUNK) {
        let keys = || chunk.iter().map(|index| (*index, sweep.keys()[*index].as_str()));
        let jobs: Vec<JobInput<'_>> = keys()
            .map(|(position, key)| {
                let seed = sweep.seed(position);
                JobInput { position, key, config: run.json.canonical_json(seed), seed: seed.cast_signed(), cell: &cell }
            })
            .collect();
        tx.run(sql::INSERT_JOBS, args![json(&jobs), target.now_us]).await?;
        let exits: Vec<ExitInput<'_>> = keys().flat_map(|(_, job)| exits.iter().map(move |exit| ExitInput { job, exit })).collect();
        tx.run(sql::INSERT_EXITS, args![json(&exits)]).await?;
        let Queue { placement, turn } = target.queue;
        let place = |(position, key)| Place { position, key, placement, turn: turn + (position - run.jobs.start) as i64 };
        let places = json(&keys().map(place).collect::<Vec<Place<'_>>>());
        tx.run(sql::INSERT_JOB_STATES, args![&places, target.sweep_id, target.priority]).await?;
        tx.run(sql::INSERT_SWEEP_JOBS, args![target.sweep_id, places]).await?;
    }
    Ok(())
}

/// Stores a job of no sweep, and its exits; not where it stands.
pub(super) async fn insert_job(tx: &mut Transaction, job: &SweepJob, now_us: i64) -> Result<(), sqlx::Error> {
    let key = job.config.key();
    let cell = Common::new(job, JobConfig { seed: 0, ..job.config.clone() }.key().as_str());
    let config = job.config.canonical_json();
    let input = JobInput { position: 0, key: key.as_str(), config, seed: job.config.seed.cast_signed(), cell: &cell };
    tx.run(sql::INSERT_JOBS, args![json(&[input]), now_us]).await?;
    let exits = exit_inputs(job);
    let exits: Vec<ExitInput<'_>> = exits.iter().map(|exit| ExitInput { job: key.as_str(), exit }).collect();
    tx.run(sql::INSERT_EXITS, args![json(&exits)]).await.map(drop)
}

/// Stores which of the sweep's jobs wait for which, and lets them wait.
async fn insert_dependencies(tx: &mut Transaction, sweep: &Sweep, sweep_id: i64, some_known: bool, now_us: i64) -> Result<(), SubmitError> {
    if sweep.dependencies().len() == 0 {
        return Ok(());
    }
    let keys = sweep.keys();
    let pairs: Vec<Dependency<'_>> =
        sweep.dependencies().map(|(job, awaited)| Dependency { job: keys[job].as_str(), waits_for: keys[awaited].as_str() }).collect();
    for chunk in pairs.chunks(CHUNK) {
        tx.run(sql::INSERT_DEPENDENCIES, args![json(chunk)]).await?;
    }
    let rows = tx.all(sql::DEPENDENT_JOBS_OF_SWEEP, args![sweep_id]).await?;
    let waiting: Vec<i64> = rows.iter().map(|row| row.get("job_id")).collect::<Result<_, sqlx::Error>>()?;
    // A sweep of new jobs alone was checked when its file was read.
    if some_known && let Some(cycle) = dependencies::cycle(tx, &waiting).await? {
        let mut names = Vec::with_capacity(cycle.len() + 1);
        for job_id in cycle.iter().chain(cycle.first()) {
            names.push(tx.one(sql::KEY_OF_JOB, args![*job_id]).await?.get::<String>("key")?.chars().take(12).collect());
        }
        return Err(SubmitError::Cycle(names));
    }
    Ok(dependencies::block(tx, &waiting, now_us).await?)
}

async fn count_all_known(tx: &mut Transaction, sweep: &Sweep) -> Result<Preview, sqlx::Error> {
    let mut before = Preview::default();
    for keys in sweep.keys().chunks(CHUNK) {
        count_known(tx, keys, &mut before).await?;
    }
    Ok(before)
}

async fn count_known(tx: &mut Transaction, keys: &[JobKey], before: &mut Preview) -> Result<(), sqlx::Error> {
    let keys: Vec<&str> = keys.iter().map(JobKey::as_str).collect();
    let row = tx.one(sql::COUNT_KNOWN_JOBS, args![json(&keys)]).await?;
    before.n_known_jobs += row.get::<u64>("n_known")?;
    before.n_finished_jobs += row.get::<u64>("n_finished")?;
    Ok(())
}

/// A job with its place in the sweep, as `insert_job_states.sql` and `insert_sweep_jobs.sql` read it.
#[derive(Serialize)]
struct Place<'a> {
    position: usize,
    key: &'a str,
    placement: i64,
    turn: i64,
}

/// As `insert_dependencies.sql` reads it.
#[derive(Serialize)]
struct Dependency<'a> {
    job: &'a str,
    waits_for: &'a str,
}

/// A job as `insert_jobs.sql` reads it.
#[derive(Serialize)]
struct JobInput<'a> {
    position: usize,
    key: &'a str,
    config: String,
    seed: i64,
    #[serde(flatten)]
    cell: &'a Common,
}

/// What jobs that differ in their seeds have in common.
#[derive(Serialize)]
struct Common {
    cell: String,
    backbone: String,
    dataset: String,
    pattern: String,
    exits: String,
    budget: String,
    recipe: String,
    regime: String,
    distill: String,
    exit_weights: String,
    branch_rule: &'static str,
    backbone_macs: u64,
    budget_macs: u64,
    branch_macs: u64,
    budget_error: f64,
    params: u64,
    n_classes: usize,
}

impl Common {
    fn new(job: &SweepJob, cell: &str) -> Self {
        let (config, network) = (&job.config, &job.network);
        Self {
            cell: cell.to_owned(),
            backbone: config.backbone.clone(),
            dataset: config.dataset.clone(),
            pattern: config.pattern_label(),
            exits: config.exits_label(),
            budget: config.budget_label(),
            recipe: config.recipe_label(),
            regime: config.regime_label(),
            distill: config.distill_label(),
            exit_weights: config.exit_weights_label(),
            branch_rule: network.plan.map_or("none", |plan| plan.rule.as_str()),
            backbone_macs: network.backbone_macs(),
            budget_macs: network.plan.map_or(0, |plan| plan.budget_macs),
            budget_error: network.plan.map_or(0.0, |plan| plan.error()),
            branch_macs: network.plan.map_or(0, |plan| plan.branch_macs),
            params: network.params(),
            n_classes: network.n_classes,
        }
    }
}

/// A job's planned exit as `insert_exits.sql` reads it.
#[derive(Serialize)]
struct ExitInput<'a> {
    job: &'a str,
    #[serde(flatten)]
    exit: &'a PlannedExit,
}

/// An exit of a network.
#[derive(Serialize)]
struct PlannedExit {
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

fn exit_inputs(job: &SweepJob) -> Vec<PlannedExit> {
    let network = &job.network;
    let last_unit = network.backbone.units.len().saturating_sub(1);
    let costs = network.exit_costs().into_iter().enumerate();
    costs
        .map(|(exit, cost)| {
            let side = network.branches.get(exit);
            let branch = side.or(network.final_branch.as_ref());
            PlannedExit {
                exit,
                is_final: u8::from(side.is_none()),
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
