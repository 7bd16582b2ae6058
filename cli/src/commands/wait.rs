//! `offramp sweep wait`.

use std::time::Duration;

use offramp_proto::v1;

use crate::args::WaitArguments;
use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::follow;
use crate::output::{self, Format, Rows, view};
use crate::progress::{Progress, n_without_result};
use crate::signals::Signals;
use crate::text::{count, escape_control, shell_word};

/// How often a coordinator that went away is looked for again, and how many times: a restart takes seconds.
const RETRIES: u32 = 15;
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// Waits until a sweep is finished.
pub(crate) async fn run(arguments: &WaitArguments, format: Format) -> Result<Exit, Failure> {
    let signals = Signals::listen()?;
    let mut client = Client::connect(&arguments.coordinator).await?;
    // `last` may be another sweep by the time it is asked for again.
    let sweep = match client.sweep(&arguments.sweep).await?.sweep {
        Some(row) => row.sweep.to_string(),
        None => arguments.sweep.clone(),
    };
    let mut progress = Progress::new(output::is_interactive());
    let time_is_up = async {
        match arguments.timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let status = tokio::select! {
        status = follow_through_restarts(&mut client, &sweep, &mut progress) => status,
        () = time_is_up => {
            progress.clear();
            output::say(&format!("time is up: sweep {sweep} is not finished"));
            return Ok(Exit::TimedOut);
        }
        () = signals.first.cancelled() => {
            progress.clear();
            return Ok(Exit::Interrupted);
        }
    };
    progress.clear();
    let status = status?;
    output::write_rows(format, &Rows::new(&view::SWEEPS, status.sweep.as_slice()))?;
    Ok(finished(status.sweep.as_ref(), &format!(" --coordinator {}", shell_word(&arguments.coordinator))))
}

/// Says how a finished sweep ended, where that needs saying. `option` is what reading commands need to find it.
pub(crate) fn finished(sweep: Option<&v1::SweepRow>, option: &str) -> Exit {
    let Some(sweep) = sweep.filter(|sweep| n_without_result(sweep) > 0) else { return Exit::Ok };
    output::say(&without_result(sweep, option));
    Exit::FailedJobs
}

fn without_result(sweep: &v1::SweepRow, option: &str) -> String {
    let n = count(n_without_result(sweep).cast_unsigned(), "job");
    let (id, name) = (sweep.sweep, escape_control(&sweep.name));
    let states = [("failed", sweep.n_failed), ("diverged", sweep.n_diverged)];
    let lists: Vec<String> = states
        .into_iter()
        .filter(|(_, n_jobs)| *n_jobs > 0)
        .map(|(state, _)| format!("`offramp job list {id} --state {state}{option}`"))
        .collect();
    let verb = if lists.len() == 1 { "lists" } else { "list" };
    format!(
        "{n} of sweep `{name}` ended without a result\n\
         hint: {} {verb} them, `offramp job show ID{option}` shows why",
        lists.join(" and ")
    )
}

async fn follow_through_restarts(client: &mut Client, sweep: &str, progress: &mut Progress) -> Result<v1::SweepStatus, Failure> {
    let mut n_retries = 0;
    loop {
        match follow(client, sweep, progress).await {
            Err(failure) if failure.exit() == Exit::Unreachable && n_retries < RETRIES => {
                if n_retries == 0 {
                    output::say("the coordinator does not answer; trying again");
                }
                n_retries += 1;
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_job_without_a_result_has_its_command() {
        let said = |n_failed, n_diverged| {
            let sweep = v1::SweepRow { sweep: 3, name: "digits".into(), n_failed, n_diverged, ..v1::SweepRow::default() };
            without_result(&sweep, " --database sqlite:x.db")
        };
        let show = "`offramp job show ID --database sqlite:x.db` shows why";
        let list = |state| format!("`offramp job list 3 --state {state} --database sqlite:x.db`");
        let (failed, diverged) = (list("failed"), list("diverged"));
        assert_eq!(said(1, 0), format!("1 job of sweep `digits` ended without a result\nhint: {failed} lists them, {show}"));
        assert_eq!(said(0, 2), format!("2 jobs of sweep `digits` ended without a result\nhint: {diverged} lists them, {show}"));
        assert_eq!(said(1, 2), format!("3 jobs of sweep `digits` ended without a result\nhint: {failed} and {diverged} list them, {show}"));
    }
}
