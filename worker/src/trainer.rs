//! The trainer's side of the trainer protocol: what runs inside a trainer process.
//!
//! A trainer process reads [`v1::ToTrainer`] on its standard input and writes [`v1::FromTrainer`] on its standard output, each message
//! preceded by its length as a varint. Only the protocol writes there: [`serve`] keeps the stream for itself and points standard output at
//! standard error, so that whatever a library prints ends up in the log. The end of standard input means that the worker is gone; the
//! process then ends at once, even in the middle of a run.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use offramp_domain::evaluation::Records;
use offramp_domain::job::{JobConfig, JobKey};
use offramp_domain::outcome::{Artifact, FailureKind, Outcome, Progress};
use offramp_proto::v1::{self, from_trainer, to_trainer};
use offramp_records::Header;

use crate::clock;
pub use crate::frame::FrameError;
use crate::frame::{self, Frames};

/// Runs jobs, one after another, and may keep what is expensive (datasets, compiled kernels) from one to the next.
pub trait Trainer {
    /// What trains, as it is stored with results, e.g. `burn-flex` or `simulated`.
    fn name(&self) -> String;

    /// Trains and evaluates one job.
    ///
    /// # Errors
    /// When the job failed, or the observer said to stop.
    fn run(&mut self, config: &JobConfig, attempt: &Attempt, observer: &mut dyn Observer) -> Result<Outcome, TrainFailure>;
}

/// Which try at which job a run is. A result depends on neither beyond what the configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The job's key.
    pub job: JobKey,
    /// The attempt's number, from 1.
    pub number: u32,
}

/// What a trainer tells of a run, and is told.
pub trait Observer {
    /// Reports a finished epoch.
    fn progress(&mut self, progress: Progress);

    /// Hands over what the trained network's exits say of every sample, once, before the run ends.
    fn records(&mut self, records: &Records);

    /// Whether to give the run up. To be asked often (every step): the question also shows that the run is alive.
    fn stopped(&self) -> bool;
}

/// How a run ended without a result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrainFailure {
    /// It was given up because the observer said so.
    #[error("stopped")]
    Stopped,
    /// It failed.
    #[error("{message}")]
    Failed {
        /// How.
        kind: FailureKind,
        /// Why, in words for the person who owns the sweep.
        message: String,
    },
}

/// Why a trainer process cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Standard output could not be taken over for the protocol.
    #[error("cannot take over standard output")]
    Redirect(#[source] io::Error),
    /// The worker cannot be written to.
    #[error("cannot write to the worker")]
    Write(#[source] io::Error),
    /// The worker sent something else than the protocol.
    #[error("cannot read from the worker")]
    Read(#[source] FrameError),
}

/// How often a run that is asked whether it has stopped tells the worker that it is alive; well below any sensible watchdog.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// Serves runs on standard input and output until the worker closes standard input. Does not return from the middle of a run: when the
/// worker is gone then, the process ends here.
///
/// Per-sample records are kept as files in the folder `artifacts`; without one they are not kept. Where they cannot be, the result is worth
/// no less: the log says why, and the result has no file.
///
/// # Errors
/// When the worker breaks the protocol or cannot be written to.
pub fn serve(trainer: &mut dyn Trainer, artifacts: Option<&Path>) -> Result<(), ServeError> {
    let output = io::stdout().as_fd().try_clone_to_owned().map_err(ServeError::Redirect)?;
    rustix::stdio::dup2_stdout(io::stderr()).map_err(|error| ServeError::Redirect(error.into()))?;
    serve_over(trainer, artifacts, io::stdin(), std::fs::File::from(output), end_process)
}

/// Ends this process without running exit handlers: a device library's could wait for the very run that is being abandoned.
fn end_process() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // Where a process may not even kill itself.
    std::process::abort();
}

/// Serves runs over any two streams; [`serve`] does so over standard input and output.
///
/// `abandon` is called, from another thread, when `input` ends or breaks in the middle of a run: nobody waits for its result any more.
///
/// # Errors
/// As [`serve`].
pub fn serve_over(
    trainer: &mut dyn Trainer,
    artifacts: Option<&Path>,
    input: impl Read + Send + 'static,
    mut output: impl Write,
    abandon: impl FnOnce() + Send + 'static,
) -> Result<(), ServeError> {
    send(&mut output, from_trainer::Message::Ready(v1::Ready { trainer: trainer.name() }))?;
    let (sender, orders) = mpsc::channel();
    let n_unfinished = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&n_unfinished);
    std::thread::spawn(move || {
        let end = read_orders(input, &sender, &counter);
        if counter.load(Ordering::SeqCst) > 0 {
            abandon();
        }
        // Nobody listens any more where the trainer has given up itself.
        let _ = sender.send(Order::End(end));
    });
    for order in orders {
        match order {
            Order::Run { run, stop } => {
                let answer = answer(trainer, artifacts, &run, stop, &mut output)?;
                // Before the answer, at which the worker may well close the input: that is the end of nothing.
                n_unfinished.fetch_sub(1, Ordering::SeqCst);
                send(&mut output, answer)?;
            }
            Order::End(end) => return end.map_err(ServeError::Read),
        }
    }
    Ok(())
}

/// What the reading thread hands to the running one.
enum Order {
    /// A run, and the flag that a later Stop raises. Each run has its own, so that a late Stop never hits the next one.
    Run { run: v1::Run, stop: Arc<AtomicBool> },
    /// The input ended, well or badly.
    End(Result<(), FrameError>),
}

fn read_orders(input: impl Read, orders: &mpsc::Sender<Order>, n_unfinished: &AtomicUsize) -> Result<(), FrameError> {
    let mut frames = Frames::new(input);
    let mut current = Arc::new(AtomicBool::new(false));
    while let Some(message) = frames.read::<v1::ToTrainer>()? {
        match message.message {
            Some(to_trainer::Message::Run(run)) => {
                current = Arc::new(AtomicBool::new(false));
                n_unfinished.fetch_add(1, Ordering::SeqCst);
                if orders.send(Order::Run { run, stop: Arc::clone(&current) }).is_err() {
                    return Ok(());
                }
            }
            Some(to_trainer::Message::Stop(v1::Stop {})) => current.store(true, Ordering::SeqCst),
            // Something that a newer worker says and an older trainer need not know.
            None => {}
        }
    }
    Ok(())
}

fn answer(
    trainer: &mut dyn Trainer,
    artifacts: Option<&Path>,
    run: &v1::Run,
    stop: Arc<AtomicBool>,
    output: &mut impl Write,
) -> Result<from_trainer::Message, ServeError> {
    let (config, attempt) = match decode(run) {
        Ok(decoded) => decoded,
        Err(message) => return Ok(failure(FailureKind::Failed, message)),
    };
    let keep = artifacts.map(|folder| {
        let header = Header { job: attempt.job.clone(), attempt: attempt.number, trainer: trainer.name(), config: config.clone() };
        Keep { folder, header, kept: None }
    });
    let mut reporter =
        Reporter { output: RefCell::new(output), last_sent: Cell::new(clock::now()), stop, broken: RefCell::new(None), keep };
    let result = catch_unwind(AssertUnwindSafe(|| trainer.run(&config, &attempt, &mut reporter)));
    let kept = reporter.keep.and_then(|keep| keep.kept);
    if let Some(error) = reporter.broken.into_inner() {
        return Err(ServeError::Write(error));
    }
    Ok(match result {
        Ok(Ok(outcome)) => from_trainer::Message::Outcome(Outcome { records: kept, ..outcome }.into()),
        Ok(Err(TrainFailure::Stopped)) => from_trainer::Message::Stopped(v1::Stopped {}),
        Ok(Err(TrainFailure::Failed { kind, message })) => failure(kind, message),
        Err(panic) => failure(FailureKind::Failed, format!("the trainer panicked: {}", panic_message(panic.as_ref()))),
    })
}

fn decode(run: &v1::Run) -> Result<(JobConfig, Attempt), String> {
    let job = JobKey::parse(&run.job_key).ok_or_else(|| "the run has no valid job key".to_owned())?;
    let config = JobConfig::from_json(&run.config_json).map_err(|error| with_sources(&error))?;
    Ok((config, Attempt { job, number: run.attempt }))
}

/// An error with everything that caused it, in one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |source| source.source()).fold(error.to_string(), |so_far, source| format!("{so_far}: {source}"))
}

fn failure(kind: FailureKind, message: String) -> from_trainer::Message {
    from_trainer::Message::Failure(v1::TrainerFailure { kind: v1::FailureKind::from(kind).into(), message })
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

fn send(output: &mut impl Write, message: from_trainer::Message) -> Result<(), ServeError> {
    frame::write(output, &v1::FromTrainer { message: Some(message) }).map_err(ServeError::Write)
}

/// The observer of a run: writes to the worker, and asks to stop once that is impossible.
struct Reporter<'a, W> {
    output: RefCell<&'a mut W>,
    last_sent: Cell<Instant>,
    stop: Arc<AtomicBool>,
    broken: RefCell<Option<io::Error>>,
    keep: Option<Keep<'a>>,
}

/// Where records are kept, and as what.
struct Keep<'a> {
    folder: &'a Path,
    header: Header,
    kept: Option<Artifact>,
}

impl<W: Write> Reporter<'_, W> {
    fn send(&self, message: from_trainer::Message) {
        self.last_sent.set(clock::now());
        let message = v1::FromTrainer { message: Some(message) };
        if let Err(error) = frame::write(*self.output.borrow_mut(), &message) {
            self.stop.store(true, Ordering::SeqCst);
            self.broken.borrow_mut().get_or_insert(error);
        }
    }
}

impl<W: Write> Observer for Reporter<'_, W> {
    fn progress(&mut self, progress: Progress) {
        self.send(from_trainer::Message::Progress(progress.into()));
    }

    fn records(&mut self, records: &Records) {
        let Some(keep) = &mut self.keep else { return };
        match offramp_records::write(keep.folder, &keep.header, records) {
            Ok(artifact) => keep.kept = Some(artifact),
            Err(error) => tracing::error!(error = with_sources(&error), "per-sample records are not kept"),
        }
    }

    fn stopped(&self) -> bool {
        if clock::now().duration_since(self.last_sent.get()) >= SIGN_OF_LIFE {
            self.send(from_trainer::Message::Alive(v1::Alive {}));
        }
        self.stop.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests;
