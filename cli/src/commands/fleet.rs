//! `offramp workers list` and `offramp workers drain`.

use offramp_proto::v1;

use crate::args::{DrainArguments, ListWorkersArguments};
use crate::client::{Client, PATIENCE};
use crate::commands::listing::{Listing, TABLE_ROWS};
use crate::environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Format, Rows, view};
use crate::text::count;

/// Lists workers.
pub(crate) async fn list(arguments: &ListWorkersArguments, format: Format) -> Result<Exit, Failure> {
    let nothing = if arguments.all { "there has been no worker yet" } else { "no worker is open; --all lists those that have ended, too" };
    let listing = Listing {
        view: &view::WORKERS,
        stored: "v_workers",
        sweep: None,
        only: if arguments.all { String::new() } else { "ended_us is null".to_owned() },
        order: &["-session"],
        table_rows: TABLE_ROWS,
        nothing: nothing.to_owned(),
    };
    listing.write(&arguments.source, &arguments.select, format).await
}

/// Sends a worker home.
pub(crate) async fn drain(arguments: &DrainArguments, format: Format) -> Result<Exit, Failure> {
    let request =
        v1::DrainWorkersRequest { worker: arguments.worker.clone(), give_back: arguments.give_back, by: environment::user_at_host() };
    let workers = Client::new(&arguments.address.coordinator, PATIENCE)?.drain(request).await?;
    output::write_rows(format, &Rows::new(&view::WORKERS, &workers))?;
    output::say(&drained(&workers, arguments.give_back));
    Ok(Exit::Ok)
}

fn drained(workers: &[v1::WorkerRow], give_back: bool) -> String {
    let n_leased: i64 = workers.iter().map(|worker| worker.n_leased).sum();
    let n_jobs = count(n_leased.cast_unsigned(), "running job");
    match (n_leased, give_back) {
        (0, _) => "it ends with its next heartbeat: nothing runs there".to_owned(),
        (_, true) => format!("it gives back {n_jobs} with its next heartbeat, and ends"),
        (_, false) => format!("it ends when {n_jobs} there {} over", if n_leased == 1 { "is" } else { "are" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_running_jobs_is_said() {
        let workers = |n_leased| [v1::WorkerRow { n_leased, ..v1::WorkerRow::default() }, v1::WorkerRow::default()];
        assert_eq!(drained(&workers(0), true), "it ends with its next heartbeat: nothing runs there");
        assert_eq!(drained(&workers(1), false), "it ends when 1 running job there is over");
        assert_eq!(drained(&workers(2), false), "it ends when 2 running jobs there are over");
        assert_eq!(drained(&workers(2), true), "it gives back 2 running jobs with its next heartbeat, and ends");
    }
}
