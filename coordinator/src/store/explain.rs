//! Why a job is not running.

use offramp_domain::placement::Requirements;
use offramp_proto::v1;

use super::engine::args;
use super::read::LookupError;
use super::{Reader, placements, rows, sql};

/// Sessions looked at. A fleet that is larger has more of the same.
const SESSIONS_MOST: i64 = 1_000;
/// Workers told of.
const WORKERS_SHOWN: usize = 20;
/// A worker that was not heard of for longer is taken to be gone, whatever its session says.
const HEARD_RECENTLY_US: i64 = 60_000_000;
/// Jobs ahead that are counted.
const AHEAD_MOST: i64 = 100_000;

impl Reader {
    /// Says why the one job whose id or key begins with `prefix` is not running, and which workers come nearest to what it needs.
    ///
    /// # Errors
    /// When no job's or several jobs' do, and those of the database.
    pub async fn explain(&self, prefix: &str, now_us: i64) -> Result<v1::JobExplanation, LookupError> {
        let key = self.job_key(prefix).await?;
        let mut tx = self.pool().begin_reading().await?;
        let job = rows::job(&tx.one(sql::JOB_BY_KEY, args![key.as_str()]).await?)?;
        let place = tx.one(sql::CLAIM_PLACE, args![key.as_str()]).await?;
        let needed = placements::requirements(&place)?;
        let mut reasons = Vec::new();
        let mut explanation = v1::JobExplanation::default();
        match job.state.as_str() {
            "leased" => {}
            "blocked" => {
                for row in tx.all(sql::DEPENDENCIES_OF_JOB, args![key.as_str()]).await? {
                    let awaited = rows::dependency(&row)?;
                    if awaited.state != "succeeded" {
                        reasons.push(format!("it waits for the result of job `{}`, which is {}", awaited.job, awaited.state));
                    }
                }
            }
            "queued" => {
                if place.get::<Option<i64>>("sponsor_id")?.is_none() {
                    for row in tx.all(sql::SWEEPS_OF_JOB, args![place.get::<i64>("job_id")?]).await? {
                        let (sweep, name, note): (i64, String, String) = (row.get("sweep")?, row.get("name")?, row.get("note")?);
                        reasons.push(format!("sweep {sweep} (`{name}`), which wants it, is {note}"));
                    }
                }
                let wait_us = job.not_before_us.map_or(0, |until_us| until_us - now_us);
                if wait_us > 0 {
                    let n_failures = job.n_failures;
                    let seconds = wait_us as f64 / 1e6;
                    reasons.push(format!("it failed ({n_failures} of its tries) and is tried again in {seconds:.1} s"));
                }
                let values = args![
                    place.get::<i64>("placement_id")?,
                    place.get::<i64>("priority")?,
                    place.get::<i64>("turn")?,
                    place.get::<i64>("job_id")?,
                    AHEAD_MOST + 1,
                ];
                let n_ahead: i64 = tx.one(sql::COUNT_AHEAD, values).await?.get("n_ahead")?;
                explanation.more_ahead = n_ahead > AHEAD_MOST;
                explanation.n_ahead = n_ahead.min(AHEAD_MOST).cast_unsigned();
            }
            ended => {
                let why = if job.error.is_empty() { String::new() } else { format!(": {}", job.error) };
                reasons.push(format!("it is over: {ended}{why}"));
            }
        }
        let mut fits = Vec::new();
        for row in tx.all(sql::OPEN_SESSIONS, args![SESSIONS_MOST, now_us - HEARD_RECENTLY_US]).await? {
            let mut lacks: Vec<String> = needed.lacks(&placements::capabilities(&row)?).iter().map(ToString::to_string).collect();
            if row.get::<i64>("draining")? > 0 {
                lacks.push("it is draining".to_owned());
            }
            let (worker, n_slots, n_leased) = (row.get("worker")?, row.get("n_slots")?, row.get("n_leased")?);
            fits.push(v1::WorkerFit { worker, n_slots, n_leased, lacks });
        }
        fits.sort_by_key(|fit| (fit.lacks.len(), fit.n_leased >= fit.n_slots, fit.worker.clone()));
        if job.state == "queued" {
            reasons.extend(about_workers(&fits, &needed, explanation.n_ahead));
        }
        fits.truncate(WORKERS_SHOWN);
        Ok(v1::JobExplanation { job: Some(job), reasons, workers: fits, ..explanation })
    }
}

/// What keeps a claimable job from a worker.
fn about_workers(fits: &[v1::WorkerFit], needed: &Requirements, n_ahead: u64) -> Option<String> {
    let Some(nearest) = fits.first() else {
        return Some("no worker is connected".to_owned());
    };
    if !nearest.lacks.is_empty() {
        let needs = match needed.label().as_str() {
            "-" => format!("dataset `{}`", needed.dataset),
            others => format!("dataset `{}`, {others}", needed.dataset),
        };
        return Some(format!("no worker can run it (it needs {needs}); the nearest is `{}`: {}", nearest.worker, nearest.lacks.join("; ")));
    }
    let able: Vec<&v1::WorkerFit> = fits.iter().filter(|fit| fit.lacks.is_empty()).collect();
    if able.iter().all(|fit| fit.n_leased >= fit.n_slots) {
        return Some(format!("all {} workers that can run it are busy; {n_ahead} jobs are ahead of it", able.len()));
    }
    (n_ahead > 0).then(|| format!("{n_ahead} jobs are ahead of it"))
}
