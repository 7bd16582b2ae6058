//! What steers the queue: `offramp sweep pause|resume|cancel|priority|retry` and `offramp job cancel|priority|retry`.
//!
//! All of it goes through a coordinator, which writes who asked and why into the history.

use offramp_proto::v1;
use offramp_proto::v1::retry_jobs_request::Which;

use crate::args::{
    ControlJobArguments, ControlSweepArguments, PrioritizeJobArguments, PrioritizeSweepArguments, RetryJobArguments, RetrySweepArguments,
};
use crate::client::{Client, PATIENCE};
use crate::environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Format, Rows, csv, json, table, view};
use crate::text::{count, escape_control, shell_word};

/// What is to happen to a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Hand out no more of its jobs.
    Pause,
    /// Go on with it.
    Resume,
    /// Cancel what is left of it.
    Cancel,
}

/// Pauses, resumes or cancels a sweep.
pub(crate) async fn sweep(arguments: &ControlSweepArguments, verb: Verb, format: Format) -> Result<Exit, Failure> {
    let coordinator = &arguments.address.coordinator;
    let client = Client::new(coordinator, PATIENCE)?;
    let (sweep, by, reason) = (arguments.sweep.clone(), environment::user_at_host(), arguments.reason.reason.clone());
    let request = v1::ControlSweepRequest { sweep, by, reason };
    let answer = match verb {
        Verb::Pause => client.pause_sweep(request).await,
        Verb::Resume => client.resume_sweep(request).await,
        Verb::Cancel => client.cancel_sweep(request).await,
    }?;
    write_sweep(&answer, format)?;
    if let Some(sweep) = &answer.sweep {
        output::say(&sweep_text(sweep, verb, answer.n_changed_jobs, &option(coordinator)));
    }
    Ok(Exit::Ok)
}

/// Sets a sweep's priority.
pub(crate) async fn prioritize_sweep(arguments: &PrioritizeSweepArguments, format: Format) -> Result<Exit, Failure> {
    let request = v1::PrioritizeSweepRequest {
        sweep: arguments.sweep.clone(),
        priority: arguments.priority,
        by: environment::user_at_host(),
        reason: arguments.reason.reason.clone(),
    };
    let answer = Client::new(&arguments.address.coordinator, PATIENCE)?.prioritize_sweep(request).await?;
    write_sweep(&answer, format)?;
    if let Some(sweep) = &answer.sweep {
        output::say(&format!("sweep `{}` has priority {}", escape_control(&sweep.name), sweep.priority));
    }
    Ok(Exit::Ok)
}

/// Tries jobs of a sweep again, or one job.
pub(crate) async fn retry(arguments: &RetrySweepArguments, format: Format) -> Result<Exit, Failure> {
    retry_any(arguments, false, format).await
}

async fn retry_any(arguments: &RetrySweepArguments, again: bool, format: Format) -> Result<Exit, Failure> {
    let (failed, quarantined, cancelled) = arguments.states();
    let which = match (&arguments.job, &arguments.sweep) {
        (Some(job), _) => Which::Job(job.clone()),
        (None, Some(sweep)) => Which::Sweep(sweep.clone()),
        (None, None) => return Err(Failure::with_exit(Exit::Usage, anyhow::anyhow!("neither a sweep nor a job is named"))),
    };
    let nothing = match &which {
        Which::Job(job) => format!("job {} waits for its turn already", escape_control(job)),
        Which::Sweep(sweep) => {
            let states = [("failed", failed), ("quarantined", quarantined), ("cancelled", cancelled)];
            let states: Vec<&str> = states.into_iter().filter_map(|(state, meant)| meant.then_some(state)).collect();
            format!("no job of sweep `{}` is {}: nothing to try again", escape_control(sweep), states.join(" or "))
        }
    };
    let by = environment::user_at_host();
    let reason = arguments.reason.reason.clone();
    let request = v1::RetryJobsRequest { which: Some(which), failed, quarantined, cancelled, by, reason, again };
    let answer = Client::new(&arguments.address.coordinator, PATIENCE)?.retry_jobs(request).await?;
    output::write(&render_retry(answer, format))?;
    match answer.n_retried_jobs {
        0 => output::say(&nothing),
        1 => output::say("1 job is tried again"),
        n => output::say(&format!("{n} jobs are tried again")),
    }
    Ok(Exit::Ok)
}

/// Tries a job again.
pub(crate) async fn retry_job(arguments: &RetryJobArguments, format: Format) -> Result<Exit, Failure> {
    let sweep = RetrySweepArguments {
        sweep: None,
        failed: false,
        quarantined: false,
        cancelled: false,
        job: Some(arguments.job.clone()),
        reason: arguments.reason.clone(),
        address: arguments.address.clone(),
    };
    retry_any(&sweep, arguments.again, format).await
}

/// Cancels a job.
pub(crate) async fn cancel_job(arguments: &ControlJobArguments, format: Format) -> Result<Exit, Failure> {
    let (job, by, reason) = (arguments.job.clone(), environment::user_at_host(), arguments.reason.reason.clone());
    let coordinator = &arguments.address.coordinator;
    let answer = Client::new(coordinator, PATIENCE)?.cancel_job(v1::ControlJobRequest { job, by, reason }).await?;
    write_job(&answer, format)?;
    if let Some(job) = &answer.job {
        let id = escape_control(&job.job);
        output::say(&if answer.changed {
            format!("job {id} is cancelled; `offramp job retry {id}{}` takes it up again", option(coordinator))
        } else {
            format!("job {id} was cancelled before")
        });
    }
    Ok(Exit::Ok)
}

/// Sets a job's own priority.
pub(crate) async fn prioritize_job(arguments: &PrioritizeJobArguments, format: Format) -> Result<Exit, Failure> {
    let request = v1::PrioritizeJobRequest {
        job: arguments.job.clone(),
        priority: arguments.priority,
        by: environment::user_at_host(),
        reason: arguments.reason.reason.clone(),
    };
    let answer = Client::new(&arguments.address.coordinator, PATIENCE)?.prioritize_job(request).await?;
    write_job(&answer, format)?;
    if let Some(job) = &answer.job {
        output::say(&format!("job {} has priority {}, its sweep's included", escape_control(&job.job), job.priority));
    }
    Ok(Exit::Ok)
}

fn write_sweep(answer: &v1::ControlSweepResponse, format: Format) -> Result<(), Failure> {
    let sweep = Rows::new(&view::SWEEPS, answer.sweep.as_slice());
    output::write(&match format {
        Format::Table => table::render(&sweep, output::table_width()),
        Format::Csv => csv::render(&sweep),
        Format::Json | Format::Jsonl => {
            let n_changed_jobs = json::Part::Value(answer.n_changed_jobs.into());
            json::detail("control", &[("n_changed_jobs", n_changed_jobs), ("sweep", json::Part::Row(&sweep))])
        }
    })
}

fn write_job(answer: &v1::ControlJobResponse, format: Format) -> Result<(), Failure> {
    let job = Rows::new(&view::JOBS, answer.job.as_slice());
    output::write(&match format {
        Format::Table => table::render(&job, output::table_width()),
        Format::Csv => csv::render(&job),
        Format::Json | Format::Jsonl => {
            json::detail("control", &[("changed", json::Part::Value(answer.changed.into())), ("job", json::Part::Row(&job))])
        }
    })
}

fn render_retry(answer: v1::RetryJobsResponse, format: Format) -> String {
    let rows = Rows::new(&view::RETRY, &[answer]);
    match format {
        Format::Table => table::render_detail(&rows, None),
        Format::Csv => csv::render(&rows),
        Format::Json | Format::Jsonl => json::detail("retry", &[("n_retried_jobs", json::Part::Value(answer.n_retried_jobs.into()))]),
    }
}

/// What other commands need to be told to ask the same coordinator.
fn option(coordinator: &str) -> String {
    format!(" --coordinator {}", shell_word(coordinator))
}

fn sweep_text(sweep: &v1::SweepRow, verb: Verb, n_changed_jobs: u64, option: &str) -> String {
    let (name, id) = (escape_control(&sweep.name), sweep.sweep);
    if sweep.state == "finished" {
        return format!("sweep `{name}` is finished: every job of it is over");
    }
    let running = match sweep.n_leased {
        0 => String::new(),
        1 => ", 1 running job goes on".to_owned(),
        n => format!(", {n} running jobs go on"),
    };
    match verb {
        Verb::Pause => format!("sweep `{name}` is paused{running}; `offramp sweep resume {id}{option}` goes on with it"),
        Verb::Resume => format!("sweep `{name}` is {}", escape_control(&sweep.state)),
        Verb::Cancel => {
            let kept = sweep.n_queued + sweep.n_leased + sweep.n_blocked;
            let kept = if kept > 0 { format!(", {kept} kept for other sweeps") } else { String::new() };
            let n_jobs = count(n_changed_jobs, "job");
            format!(
                "sweep `{name}` is cancelled: {n_jobs} cancelled{kept}; `offramp sweep retry {id} --cancelled{option}` takes it up again"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn row(state: &str) -> v1::SweepRow {
        v1::SweepRow { sweep: 3, name: "digits".into(), state: state.into(), n_jobs: 16, ..v1::SweepRow::default() }
    }

    #[test]
    fn what_was_done_is_said_with_the_way_back() {
        let option = option("http://127.0.0.1:7717");
        let said = |sweep: v1::SweepRow, verb, n_changed| sweep_text(&sweep, verb, n_changed, &option);
        expect![
            "sweep `digits` is paused, 2 running jobs go on; `offramp sweep resume 3 --coordinator http://127.0.0.1:7717` goes on with it"
        ]
        .assert_eq(&said(v1::SweepRow { n_leased: 2, ..row("paused") }, Verb::Pause, 0));
        expect!["sweep `digits` is running"].assert_eq(&said(row("running"), Verb::Resume, 0));
        expect!["sweep `digits` is cancelled: 1 job cancelled, 2 kept for other sweeps; `offramp sweep retry 3 --cancelled --coordinator http://127.0.0.1:7717` takes it up again"]
            .assert_eq(&said(v1::SweepRow { n_queued: 2, ..row("cancelled") }, Verb::Cancel, 1));
        for verb in [Verb::Pause, Verb::Resume, Verb::Cancel] {
            expect!["sweep `digits` is finished: every job of it is over"].assert_eq(&said(row("finished"), verb, 0));
        }
    }

    #[test]
    fn retries_are_counted_in_every_format() {
        let answer = v1::RetryJobsResponse { n_retried_jobs: 4 };
        expect!["retried jobs  4\n"].assert_eq(&render_retry(answer, Format::Table));
        expect!["n_retried_jobs\n4\n"].assert_eq(&render_retry(answer, Format::Csv));
        expect!["{\"version\":1,\"kind\":\"retry\",\"n_retried_jobs\":4}\n"].assert_eq(&render_retry(answer, Format::Json));
    }
}
