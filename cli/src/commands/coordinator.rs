//! `offramp coordinator`, and what `offramp up` shares with it.

use std::net::SocketAddr;
use std::time::Duration;

use offramp_coordinator::{Config, Database, Failpoints, Running, StartError};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::args::CoordinatorArguments;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Format, Rows, csv, json, view};
use crate::signals::{Signal, Signals};
use crate::source;
use crate::text::escape_control;

/// Serves until a signal comes.
pub(crate) async fn run(arguments: &CoordinatorArguments, format: Format) -> Result<Exit, Failure> {
    let database = source::database(arguments.database.as_ref())?;
    let config = Config {
        lease: Duration::from_secs(arguments.lease_seconds.into()),
        heartbeat: Duration::from_secs(arguments.heartbeat_seconds.into()),
        grace: Duration::from_secs(arguments.grace_seconds.into()),
        max_failures: arguments.max_failures,
        quarantine_after: arguments.quarantine_after,
        failpoints: arguments.failpoints.clone().unwrap_or_default(),
        insecure: arguments.insecure,
        hosts: arguments.hosts.clone(),
        ..config(arguments.listen, database.clone())
    };
    let signals = Signals::listen()?;
    let running = start(config, signals.first.clone()).await?;
    announce(running.address, &database, format)?;
    ended(running).await?;
    Ok(match signals.received() {
        Some(Signal::Interrupt) => Exit::Interrupted,
        Some(Signal::Terminate) | None => Exit::Ok,
    })
}

/// A configuration with the defaults.
pub(crate) fn config(listen: SocketAddr, database: Database) -> Config {
    Config {
        listen,
        database,
        lease: Config::LEASE,
        heartbeat: Config::HEARTBEAT,
        max_failures: Config::MAX_FAILURES,
        grace: Config::GRACE,
        quarantine_after: Config::QUARANTINE_AFTER,
        failpoints: Failpoints::default(),
        insecure: false,
        hosts: Vec::new(),
    }
}

/// Starts a coordinator.
pub(crate) async fn start(config: Config, shutdown: CancellationToken) -> Result<Running, Failure> {
    offramp_coordinator::start(config, shutdown).await.map_err(failure)
}

/// Waits until a coordinator has ended, which its shutdown token brings about.
pub(crate) async fn ended(running: Running) -> Result<(), Failure> {
    match running.join.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::new(error)),
        Err(error) => Err(Failure::new(anyhow::Error::new(error).context("the coordinator broke down"))),
    }
}

/// Says where the coordinator is, on stdout: with port 0 that is news.
fn announce(address: SocketAddr, database: &Database, format: Format) -> Result<(), Failure> {
    let row = Place { address: format!("http://{address}"), database: database.name() };
    let rows = Rows::new(&view::COORDINATOR, std::slice::from_ref(&row));
    output::write(&match format {
        Format::Table => format!("listening on {}\ndatabase {}\n", row.address, escape_control(&row.database)),
        Format::Csv => csv::render(&rows),
        Format::Json | Format::Jsonl => json::detail("coordinator", &[("coordinator", json::Part::Row(&rows))]),
    })
}

#[derive(Serialize)]
struct Place {
    address: String,
    database: String,
}

fn failure(error: StartError) -> Failure {
    let exit = match &error {
        // Nothing was started: the arguments are at fault.
        StartError::Config(_) => Exit::Usage,
        StartError::AddressInUse(_) | StartError::Bind { .. } | StartError::Open(_) | StartError::Database(_) => Exit::Error,
    };
    let hint = error.hint();
    let failure = Failure::with_exit(exit, error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_others_reach_is_a_usage_error() {
        let problems = config(([0, 0, 0, 0], 7717).into(), Database::Sqlite("a.db".into())).validate();
        let failure = failure(StartError::Config(problems));
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(failure.render().contains("--insecure"), "{}", failure.render());
        assert_eq!(super::failure(StartError::AddressInUse(([127, 0, 0, 1], 7717).into())).exit(), Exit::Error);
    }
}
