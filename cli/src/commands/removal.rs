//! `offramp job delete` and `offramp sweep delete`: what cannot be taken back is asked for twice.

use std::io::{IsTerminal, Write};

use offramp_proto::v1;

use crate::args::{DeleteJobArguments, DeleteSweepArguments};
use crate::client::{Client, PATIENCE};
use crate::environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Format, Rows, csv, json, table, view};
use crate::text::{count, escape_control};

/// Deletes a job.
pub(crate) async fn job(arguments: &DeleteJobArguments, format: Format) -> Result<Exit, Failure> {
    let job = &arguments.job;
    if !confirmed(arguments.yes, &format!("job {} with its result", escape_control(job)))? {
        return Ok(Exit::Ok);
    }
    let (by, reason) = (environment::user_at_host(), arguments.reason.reason.clone());
    let request = v1::ControlJobRequest { job: job.clone(), by, reason };
    let answer = Client::new(&arguments.address.coordinator, PATIENCE)?.delete_job(request).await?;
    output::write(&render(answer, format))?;
    output::say(&format!("job {} is deleted", escape_control(job)));
    Ok(Exit::Ok)
}

/// Deletes a sweep.
pub(crate) async fn sweep(arguments: &DeleteSweepArguments, format: Format) -> Result<Exit, Failure> {
    let sweep = &arguments.sweep;
    if !confirmed(arguments.yes, &format!("sweep `{}` with the results that no other sweep has", escape_control(sweep)))? {
        return Ok(Exit::Ok);
    }
    let (by, reason) = (environment::user_at_host(), arguments.reason.reason.clone());
    let request = v1::ControlSweepRequest { sweep: sweep.clone(), by, reason };
    let answer = Client::new(&arguments.address.coordinator, PATIENCE)?.delete_sweep(request).await?;
    output::write(&render(answer, format))?;
    output::say(&sweep_text(sweep, answer));
    Ok(Exit::Ok)
}

fn sweep_text(sweep: &str, answer: v1::DeleteJobsResponse) -> String {
    let kept = match answer.n_kept_jobs {
        0 => String::new(),
        n => format!(", {n} kept for other sweeps"),
    };
    format!("sweep `{}` is deleted: {} deleted{kept}", escape_control(sweep), count(answer.n_deleted_jobs, "job"))
}

/// Whether it is to be done: said so on the command line, or answered with yes at a terminal.
fn confirmed(yes: bool, what: &str) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    let (input, mut asked) = (std::io::stdin(), std::io::stderr());
    if !input.is_terminal() || !asked.is_terminal() {
        let error = anyhow::anyhow!("{what} would be deleted for good");
        return Err(Failure::with_exit(Exit::Usage, error).hint("say `--yes` to delete it without being asked"));
    }
    let failed = |error: std::io::Error| Failure::with_exit(Exit::Error, error);
    write!(asked, "Delete {what} for good? [y/N] ").and_then(|()| asked.flush()).map_err(failed)?;
    let mut answer = String::new();
    input.read_line(&mut answer).map_err(failed)?;
    let agreed = is_yes(&answer);
    if !agreed {
        output::say("nothing was deleted");
    }
    Ok(agreed)
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

fn render(answer: v1::DeleteJobsResponse, format: Format) -> String {
    let rows = Rows::new(&view::DELETED, &[answer]);
    match format {
        Format::Table => table::render_detail(&rows, None),
        Format::Csv => csv::render(&rows),
        Format::Json | Format::Jsonl => json::detail(
            "deleted",
            &[
                ("n_deleted_jobs", json::Part::Value(answer.n_deleted_jobs.into())),
                ("n_kept_jobs", json::Part::Value(answer.n_kept_jobs.into())),
            ],
        ),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn what_was_deleted_is_said_in_every_format() {
        let answer = v1::DeleteJobsResponse { n_deleted_jobs: 3, n_kept_jobs: 1 };
        expect!["deleted jobs  3\nkept jobs     1\n"].assert_eq(&render(answer, Format::Table));
        expect!["n_deleted_jobs,n_kept_jobs\n3,1\n"].assert_eq(&render(answer, Format::Csv));
        expect!["{\"version\":1,\"kind\":\"deleted\",\"n_deleted_jobs\":3,\"n_kept_jobs\":1}\n"].assert_eq(&render(answer, Format::Json));
        expect!["sweep `digits` is deleted: 3 jobs deleted, 1 kept for other sweeps"].assert_eq(&sweep_text("digits", answer));
        let alone = v1::DeleteJobsResponse { n_deleted_jobs: 1, n_kept_jobs: 0 };
        expect!["sweep `7` is deleted: 1 job deleted"].assert_eq(&sweep_text("7", alone));
    }

    #[test]
    fn nothing_but_yes_means_yes() {
        for (answer, agreed) in [("y\n", true), ("Yes\n", true), ("\n", false), ("", false), ("n\n", false), ("yep\n", false)] {
            assert_eq!(is_yes(answer), agreed, "{answer:?}");
        }
    }
}
