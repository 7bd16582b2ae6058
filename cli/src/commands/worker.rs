//! `offramp worker`, and what `offramp up` shares with it.

use offramp_worker::run::{Shutdown, WorkerError};
use tokio::task::JoinError;

use crate::args::WorkerArguments;
use crate::commands::{capabilities, training};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::signals::{Signal, Signals};
use crate::text::count;
use crate::{client, environment};

pub(crate) use offramp_worker::run::Config;

/// Leases jobs and trains them until a signal comes.
pub(crate) async fn run(arguments: &WorkerArguments) -> Result<Exit, Failure> {
    let training = training::prepare(&arguments.training, arguments.slots)?;
    let capabilities = capabilities::find(&arguments.training, &arguments.offer, training.n_slots)?;
    let signals = Signals::listen()?;
    let name = arguments.name.clone().unwrap_or_else(default_name);
    let slots = count(training.n_slots as u64, "slot");
    output::say(&format!("worker {name}: {slots}, trainer {}", arguments.training.trainer.as_str()));
    let config = Config {
        coordinator: arguments.coordinator.clone(),
        name,
        n_slots: training.n_slots as u32,
        trainer: training.command,
        sweep: None,
        embedded: false,
        capabilities,
        give_up_after: arguments.give_up_after,
        hang_after: arguments.hang_after,
    };
    let shutdown = Shutdown { drain: signals.first.clone(), ..Shutdown::default() };
    work(config, shutdown).await?;
    Ok(match signals.received() {
        Some(Signal::Interrupt) => Exit::Interrupted,
        Some(Signal::Terminate) | None => Exit::Ok,
    })
}

/// Works until told to end.
pub(crate) async fn work(config: Config, shutdown: Shutdown) -> Result<(), Failure> {
    match offramp_worker::run::run(config, shutdown).await {
        Ok(summary) => {
            tracing::info!(?summary, "the worker ended");
            Ok(())
        }
        Err(error) => Err(failure(error)),
    }
}

/// What a task that worked came to.
pub(crate) fn joined(ended: Result<Result<(), Failure>, JoinError>) -> Result<(), Failure> {
    ended.unwrap_or_else(|error| Err(Failure::new(anyhow::Error::new(error).context("the worker broke down"))))
}

/// The name of a worker that was given none: the machine's, and this process's number.
pub(crate) fn default_name() -> String {
    let machine = environment::machine();
    format!("{}-{}", if machine.is_empty() { "worker" } else { &machine }, std::process::id())
}

fn failure(error: WorkerError) -> Failure {
    match &error {
        WorkerError::Unreachable { .. } => Failure::with_exit(Exit::Unreachable, error)
            .hint("start one with `offramp coordinator`, check --coordinator, or wait longer with --give-up-after"),
        WorkerError::Address { .. } => Failure::with_exit(Exit::Usage, error).hint("write for example http://127.0.0.1:7717"),
        WorkerError::Refused { rpc, status } => {
            let exit = Exit::of_status(status.code());
            // A worker's arguments cannot be at fault for a refusal.
            let exit = if exit == Exit::NotAuthorised { exit } else { Exit::Error };
            let (message, hint) = client::parts(status);
            let failure = Failure::with_exit(exit, anyhow::anyhow!("the coordinator refused {rpc}: {message}"));
            match hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        }
        WorkerError::Slots(_) | WorkerError::Trainer(_) => Failure::new(error),
    }
}
