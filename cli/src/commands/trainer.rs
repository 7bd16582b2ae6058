//! The hidden `offramp trainer`: one trainer process of a worker.

use offramp_worker::simulated::Simulated;
use offramp_worker::trainer::{Trainer, serve};

use crate::args::{TrainerArguments, TrainerKind, TrainingArguments};
use crate::commands::training;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::signals;

/// How long checkpoints are kept of jobs that don't come back: longer than people are away.
#[cfg(feature = "burn")]
const KEEP_CHECKPOINTS: std::time::Duration = std::time::Duration::from_hours(30 * 24);

/// Trains what the worker sends, until it closes standard input.
pub(crate) fn run(arguments: &TrainerArguments) -> Result<Exit, Failure> {
    let mut trainer = trainer(&arguments.training)?;
    if arguments.probe {
        return Ok(Exit::Ok);
    }
    // Handlers need a reactor to be registered with, and stay without it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(|error| Failure::new(anyhow::Error::new(error).context("cannot listen for signals")))?;
    {
        let _reactor = runtime.enter();
        signals::outlive()?;
    }
    let artifacts = training::artifacts_dir(&arguments.training)?;
    serve(trainer.as_mut(), artifacts.as_deref()).map_err(Failure::new)?;
    Ok(Exit::Ok)
}

fn trainer(arguments: &TrainingArguments) -> Result<Box<dyn Trainer>, Failure> {
    match arguments.trainer {
        TrainerKind::Simulated => Ok(Box::new(Simulated::new(training::simulation(arguments)?))),
        TrainerKind::Burn => burn(arguments),
    }
}

#[cfg(not(feature = "burn"))]
fn burn(_arguments: &TrainingArguments) -> Result<Box<dyn Trainer>, Failure> {
    Err(training::without_burn())
}

/// Burn, with its device opened.
#[cfg(feature = "burn")]
fn burn(arguments: &TrainingArguments) -> Result<Box<dyn Trainer>, Failure> {
    let device = training::device(arguments)?;
    device.open().map_err(Failure::new)?;
    let dir = training::checkpoint_dir(arguments.checkpoint_dir.as_ref())?;
    let checkpoints = offramp_train::Checkpoints { dir, every: arguments.checkpoint_every };
    checkpoints.remove_older_than(crate::environment::time_before(KEEP_CHECKPOINTS));
    let data_dir = training::data_dir(arguments.data_dir.as_ref())?;
    let environment = offramp_train::Environment { data_dir, device, checkpoints: Some(checkpoints) };
    Ok(Box::new(adapter::Burn::new(environment)))
}

/// Burn's training as the worker's protocol calls it; the two crates do not know each other.
#[cfg(feature = "burn")]
mod adapter {
    use offramp_data::Cache;
    use offramp_domain::evaluation::Records;
    use offramp_domain::job::JobConfig;
    use offramp_domain::outcome::{Outcome, Progress};
    use offramp_train::{Environment, TrainError};
    use offramp_worker::trainer::{Attempt, Observer, TrainFailure, Trainer};

    /// Trains with Burn; datasets stay in memory from one job to the next.
    pub(super) struct Burn {
        environment: Environment,
        datasets: Cache,
    }

    impl Burn {
        pub(super) fn new(environment: Environment) -> Self {
            Self { environment, datasets: Cache::default() }
        }
    }

    impl Trainer for Burn {
        fn name(&self) -> String {
            offramp_train::trainer_name(self.environment.device)
        }

        fn run(&mut self, config: &JobConfig, _attempt: &Attempt, observer: &mut dyn Observer) -> Result<Outcome, TrainFailure> {
            let result = offramp_train::run(config, &self.environment, &mut self.datasets, &mut Forwarded(observer));
            result.map_err(|error| match error {
                TrainError::Stopped => TrainFailure::Stopped,
                error => TrainFailure::Failed { kind: error.kind(), message: format!("{:#}", anyhow::Error::new(error)) },
            })
        }
    }

    struct Forwarded<'a>(&'a mut dyn Observer);

    impl offramp_train::Observer for Forwarded<'_> {
        fn progress(&mut self, progress: Progress) {
            self.0.progress(progress);
        }

        fn records(&mut self, records: &Records) {
            self.0.records(records);
        }

        fn stopped(&self) -> bool {
            self.0.stopped()
        }
    }
}
