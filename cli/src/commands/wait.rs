//! `offramp sweep wait`.

use offramp_proto::v1;

use crate::args::WaitArguments;
use crate::client::{Client, LONG_PATIENCE};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::{Stand, WhenBroken, follow, state_text};
use crate::output::{self, Format, Rows, view};
use crate::progress::{Progress, n_without_result};
use crate::signals::Signals;
use crate::text::{count, escape_control, shell_word};

/// Waits until a sweep is over.
pub(crate) async fn run(arguments: &WaitArguments, format: Format) -> Result<Exit, Failure> {
    let signals = Signals::listen()?;
    let client = Client::new(&arguments.coordinator, LONG_PATIENCE)?;
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
        status = follow(&client, &sweep, WhenBroken::End, &mut progress) => status,
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
    let option = format!(" --coordinator {}", shell_word(&arguments.coordinator));
    let go_on = |id| format!("`offramp sweep resume {id}{option}` goes on with it");
    Ok(ended(status.sweep.as_ref(), &option, go_on))
}

/// Says how a sweep ended, where that needs saying. `option` is what reading commands need to find it; `go_on` says how to go on with the
/// sweep of this id after the circuit breaker.
pub(crate) fn ended(sweep: Option<&v1::SweepRow>, option: &str, go_on: impl Fn(i64) -> String) -> Exit {
    let Some(sweep) = sweep else { return Exit::Ok };
    if Stand::of(sweep) == Stand::Broken {
        output::say(&broken(sweep, option, &go_on(sweep.sweep)));
        return Exit::FailedJobs;
    }
    if n_without_result(sweep) == 0 {
        return Exit::Ok;
    }
    output::say(&without_result(sweep, option));
    Exit::FailedJobs
}

/// Says that too many jobs failed.
fn broken(sweep: &v1::SweepRow, option: &str, go_on: &str) -> String {
    let (name, state) = (escape_control(&sweep.name), state_text(sweep));
    let lists = lists(sweep, option);
    let look = if lists.is_empty() { String::new() } else { format!("{lists}; ") };
    format!("sweep `{name}` is {state}\nhint: {look}{go_on}")
}

/// The commands that list a sweep's jobs without a result, a state each.
fn lists(sweep: &v1::SweepRow, option: &str) -> String {
    let states = [
        ("failed", sweep.n_failed),
        ("diverged", sweep.n_diverged),
        ("quarantined", sweep.n_quarantined),
        ("cancelled", sweep.n_cancelled),
    ];
    let id = sweep.sweep;
    let lists: Vec<String> = states
        .into_iter()
        .filter(|(_, n_jobs)| *n_jobs > 0)
        .map(|(state, _)| format!("`offramp job list {id} --state {state}{option}`"))
        .collect();
    let verb = if lists.len() == 1 { "lists" } else { "list" };
    match lists.split_last() {
        None => String::new(),
        Some((only, [])) => format!("{only} {verb} them"),
        Some((last, others)) => format!("{} and {last} {verb} them", others.join(", ")),
    }
}

fn without_result(sweep: &v1::SweepRow, option: &str) -> String {
    let n = count(n_without_result(sweep).cast_unsigned(), "job");
    let (name, lists) = (escape_control(&sweep.name), lists(sweep, option));
    format!("{n} of sweep `{name}` ended without a result\nhint: {lists}, `offramp job show ID{option}` shows why")
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

        let all = v1::SweepRow { sweep: 3, n_failed: 1, n_quarantined: 2, n_cancelled: 3, ..v1::SweepRow::default() };
        let list = |state| format!("`offramp job list 3 --state {state}`");
        assert_eq!(lists(&all, ""), format!("{}, {} and {} list them", list("failed"), list("quarantined"), list("cancelled")));
    }

    #[test]
    fn a_sweep_that_the_breaker_paused_ends_the_wait_with_failed_jobs() {
        let note = "paused by coordinator: circuit breaker: 4 jobs failed, at most 3 may".to_owned();
        let sweep = v1::SweepRow { sweep: 3, name: "digits".into(), state: "paused".into(), n_failed: 4, note, ..v1::SweepRow::default() };
        assert_eq!(
            broken(&sweep, "", "`offramp sweep resume 3` goes on with it"),
            "sweep `digits` is paused by coordinator: circuit breaker: 4 jobs failed, at most 3 may\n\
             hint: `offramp job list 3 --state failed` lists them; `offramp sweep resume 3` goes on with it"
        );
        let exit = |sweep: &v1::SweepRow| ended(Some(sweep), "", |_| String::new());
        assert_eq!(exit(&sweep), Exit::FailedJobs);
        let finished = |n_failed, n_quarantined, n_cancelled| {
            let state = "finished".to_owned();
            exit(&v1::SweepRow { state, n_succeeded: 1, n_failed, n_quarantined, n_cancelled, ..v1::SweepRow::default() })
        };
        assert_eq!(finished(0, 0, 0), Exit::Ok);
        for counts in [(1, 0, 0), (0, 1, 0), (0, 0, 1)] {
            assert_eq!(finished(counts.0, counts.1, counts.2), Exit::FailedJobs, "{counts:?}");
        }
    }
}
