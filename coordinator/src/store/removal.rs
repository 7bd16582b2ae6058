//! What people delete: jobs and sweeps, with results and all.
//!
//! What is being worked on stays: its worker would bring a result that belongs to nothing. What other sweeps have stays as well.

use offramp_domain::job::JobKey;
use offramp_domain::lifecycle::State;

use super::control::{ControlError, Requester, Standing, said, sweep_event};
use super::engine::args;
use super::{Alone, Store, Transaction, dependencies, frontier, json, sql};

/// What was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deleted {
    /// Jobs that are gone.
    pub n_jobs: u64,
    /// Jobs that stay because other sweeps have them.
    pub n_kept_jobs: u64,
    /// Whether anything was there to delete.
    pub changed: bool,
}

impl Store {
    /// Begins a transaction that takes results back. It waits for transactions that accept some, and they for it, before either has any job.
    async fn begin_removing(&self) -> Result<Alone, sqlx::Error> {
        let mut tx = self.begin_alone().await?;
        tx.run_on_postgres(sql::postgres::LOCK_FRONTIERS, []).await?;
        Ok(tx)
    }

    /// Deletes a job with its result and its history, in every sweep that has it. What its points had kept off frontiers returns to them, and what
    /// waited for it waits no longer. The file of a sweep that had it is another sweep when it is submitted again, and so trains the job anew.
    ///
    /// # Errors
    /// When the job is being worked on or is all that a sweep has, and those of the database.
    pub async fn delete_job(&self, key: &JobKey, by: &Requester, now_us: i64) -> Result<Deleted, ControlError> {
        self.persist(|| async {
            let mut tx = self.begin_removing().await?;
            let Some(row) = tx.optional(sql::STANDING_OF_JOB, args![key.as_str()]).await? else {
                return tx.give_up(Ok(Deleted::default())).await;
            };
            let job = Standing::read(&row)?;
            if job.state == State::Leased {
                return tx.give_up(Err(ControlError::Running(key.clone()))).await;
            }
            let mut events = Vec::new();
            for row in tx.all(sql::SWEEPS_OF_JOB, args![job.job_id]).await? {
                let sweep: i64 = row.get("sweep")?;
                if tx.all(sql::REMAINING_JOBS_OF_SWEEP, args![sweep]).await?.len() == 1 {
                    return tx.give_up(Err(ControlError::OnlyJob { key: key.clone(), sweep })).await;
                }
                tx.run(sql::SHRINK_SWEEP, args![sweep, key.id()]).await?;
                let message = said(&format!("job {}", key.id()), by);
                events.push(sweep_event(sweep, "job-deleted", &row.get::<String>("state")?, &by.who, &message, now_us));
            }
            delete_jobs(&mut tx, &[job.job_id], now_us).await?;
            tx.insert(sql::INSERT_EVENT, events).await?;
            self.commit_alone(tx, "control").await?;
            Ok(Deleted { n_jobs: 1, n_kept_jobs: 0, changed: true })
        })
        .await
    }

    /// Deletes a sweep with its frontiers, and those of its jobs that no other sweep has.
    ///
    /// # Errors
    /// When one of these is being worked on, and those of the database.
    pub async fn delete_sweep(&self, sweep: i64, by: &Requester, now_us: i64) -> Result<Deleted, ControlError> {
        self.persist(|| async {
            let mut tx = self.begin_removing().await?;
            // Jobs of other sweeps, whose sponsor this may be.
            tx.run_on_postgres(sql::postgres::LOCK_UNFINISHED_JOBS, args![sweep]).await?;
            let Some(named) = tx.optional(sql::SWEEP_BY_ID, args![sweep]).await? else {
                return tx.give_up(Ok(Deleted::default())).await;
            };
            let name: String = named.get("name")?;
            let rows = tx.all(sql::JOBS_OF_NO_OTHER_SWEEP, args![sweep]).await?;
            let jobs: Vec<Standing> = rows.iter().map(Standing::read).collect::<Result<_, _>>()?;
            let running: Vec<&Standing> = jobs.iter().filter(|job| job.state == State::Leased).collect();
            if let Some(first) = running.first() {
                let refused = ControlError::RunningJobs { sweep, n_jobs: running.len(), key: first.attempt.key.clone() };
                return tx.give_up(Err(refused)).await;
            }
            let all = tx.all(sql::REMAINING_JOBS_OF_SWEEP, args![sweep]).await?;
            let all: Vec<i64> = all.iter().map(|row| row.get("job_id")).collect::<Result<_, sqlx::Error>>()?;
            let gone: Vec<i64> = jobs.iter().map(|job| job.job_id).collect();
            let kept: Vec<i64> = all.into_iter().filter(|job| gone.binary_search(job).is_err()).collect();
            tx.run(sql::DELETE_FRONTIERS_OF_SWEEP, args![sweep]).await?;
            delete_jobs(&mut tx, &gone, now_us).await?;
            tx.run(sql::DELETE_SWEEP, args![sweep]).await?;
            // What another sweep has is handed out for its sake from now on.
            tx.run(sql::SPONSOR_JOBS, args![json(&kept)]).await?;
            let message = said(&format!("sweep {sweep} `{name}` with {} of its jobs", gone.len()), by);
            let event = args![now_us, None::<i64>, None::<i64>, 0_i64, "sweep-deleted", "", &by.who, message].to_vec();
            tx.insert(sql::INSERT_EVENT, vec![event]).await?;
            self.commit_alone(tx, "control").await?;
            Ok(Deleted { n_jobs: gone.len() as u64, n_kept_jobs: kept.len() as u64, changed: true })
        })
        .await
    }
}

async fn delete_jobs(tx: &mut Transaction, jobs: &[i64], now_us: i64) -> Result<(), sqlx::Error> {
    let waiting = dependencies::dependants(tx, jobs).await?;
    frontier::remove(tx, jobs).await?;
    tx.run(sql::DELETE_JOBS, args![json(jobs)]).await?;
    let staying: Vec<i64> = waiting.into_iter().filter(|job| !jobs.contains(job)).collect();
    dependencies::unblock(tx, &staying, now_us).await?;
    Ok(())
}
