//! A trainer process, seen from the worker.
//!
//! The process is a child in a group of its own (so that Ctrl-C on a terminal reaches the worker alone), speaks the protocol of
//! [`crate::trainer`] on its standard input and output, and dies with its handle. What it writes to standard error goes to the log; the
//! last lines are kept for the message of a failure.

mod ending;
mod stderr;

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use offramp_domain::outcome::{FailureKind, Outcome, Progress};
use offramp_proto::convert;
use offramp_proto::v1::{self, from_trainer, to_trainer};
use prost::Message;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::frame::Frames;
use crate::trainer::{FrameError, with_sources};
use stderr::Stderr;

/// How to start a trainer process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainerCommand {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables set for it, beside those it inherits.
    pub env: Vec<(String, String)>,
}

/// How long a trainer process may take over what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From its start until it is ready.
    pub ready_within: Duration,
    /// From one sign of life during a run to the next.
    pub hang_after: Duration,
    /// From being told to stop until it has.
    pub stop_within: Duration,
}

/// A running trainer process. Dropping it kills it.
#[derive(Debug)]
pub struct TrainerProcess {
    child: Child,
    stdin: ChildStdin,
    frames: Frames<ChildStdout>,
    stderr: Stderr,
    limits: Limits,
    trainer: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum RunEnd {
    /// With a result.
    Outcome(Outcome),
    /// Without one.
    Failed {
        /// How.
        kind: FailureKind,
        /// Why.
        message: String,
    },
    /// It never began: the process was gone before it had its orders, so what became of it is not the job's doing.
    NotBegun {
        /// How the process ended.
        message: String,
    },
    /// It was told to stop.
    Stopped,
}

/// Why a process is of no use any more.
#[derive(Debug)]
struct Broken {
    kind: FailureKind,
    message: String,
}

/// Why no trainer process could be had.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The program cannot be executed.
    #[error("cannot start the trainer `{}`", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The process ended before it was ready.
    #[error("the trainer did not get ready: {0}")]
    Ended(String),
    /// The process was given up before it was ready.
    #[error("the trainer was not ready within {} s{}", .within.as_secs_f64(), ending::tail(.last_lines))]
    Late {
        /// How long it was waited for.
        within: Duration,
        /// What it wrote to standard error last.
        last_lines: Vec<String>,
    },
    /// The process does not speak the trainer protocol.
    #[error("`{}` does not speak the trainer protocol", program.display())]
    Protocol {
        /// The program.
        program: PathBuf,
        /// What it sent; absent where it was a message out of turn.
        source: Option<FrameError>,
    },
}

impl TrainerProcess {
    /// Starts a process and waits until it is ready. `slot` is for the log alone.
    ///
    /// # Errors
    /// When it cannot be executed, ends early, or does not say in time that it is ready.
    pub async fn start(command: &TrainerCommand, slot: u32, limits: Limits) -> Result<Self, StartError> {
        let mut child = Command::new(&command.program)
            .args(&command.args)
            .envs(command.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| StartError::Spawn { program: command.program.clone(), source })?;
        let stdin = child.stdin.take().expect("standard input is piped");
        let stdout = child.stdout.take().expect("standard output is piped");
        let stderr = Stderr::follow(child.stderr.take().expect("standard error is piped"), slot);
        let mut process = Self { child, stdin, frames: Frames::new(stdout), stderr, limits, trainer: String::new() };
        let protocol = |source| StartError::Protocol { program: command.program.clone(), source };
        match timeout(limits.ready_within, process.frames.next::<v1::FromTrainer>()).await {
            Ok(Ok(Some(v1::FromTrainer { message: Some(from_trainer::Message::Ready(ready)) }))) => {
                process.trainer = ready.trainer;
                Ok(process)
            }
            Ok(Ok(Some(_))) => Err(protocol(None)),
            Ok(Ok(None)) => Err(StartError::Ended(process.describe_end().await)),
            Ok(Err(error)) => Err(protocol(Some(error))),
            Err(_) => Err(StartError::Late { within: limits.ready_within, last_lines: process.stderr.last_lines() }),
        }
    }

    /// What trains there, by its own account.
    pub fn trainer(&self) -> &str {
        &self.trainer
    }

    /// The operating system's number of the process; absent once it has ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether the process has not ended, so far as is known.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Runs one job. `on_progress` is called after every epoch; cancelling `stop` makes the run end early.
    ///
    /// Gives back the process where it can be trusted with another run: after a result, after an orderly stop, and after a divergence, which
    /// is the job's own doing. A process that failed otherwise is gone: memory may be leaked or a device wedged, and a new one is cheap. One
    /// that dies by itself has crashed, one that shows no sign of life has timed out, and one that cannot be given its orders has not begun.
    pub async fn run(
        mut self,
        run: v1::Run,
        stop: &CancellationToken,
        on_progress: &mut (dyn FnMut(Progress) + Send),
    ) -> (RunEnd, Option<Self>) {
        let end = match self.send(to_trainer::Message::Run(run)).await {
            Ok(()) => self.follow(stop, on_progress).await,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(self.deaf()),
            Err(_) => {
                // Of one that lives on without reading there is nothing to hope for; it has no say in how a dead one ended.
                let _ = self.child.start_kill();
                Ok(RunEnd::NotBegun { message: self.describe_end().await })
            }
        };
        match end {
            Ok(end @ (RunEnd::Outcome(_) | RunEnd::Stopped | RunEnd::Failed { kind: FailureKind::Diverged, .. })) => (end, Some(self)),
            // The end of a process that has been told to stop is not the job's failure.
            Ok(RunEnd::NotBegun { .. }) | Err(_) if stop.is_cancelled() => (RunEnd::Stopped, None),
            Ok(end @ (RunEnd::Failed { .. } | RunEnd::NotBegun { .. })) => (end, None),
            Err(Broken { kind, message }) => (RunEnd::Failed { kind, message }, None),
        }
    }

    /// Reads messages until the run has ended; `Err` is why the process is of no use any more.
    async fn follow(&mut self, stop: &CancellationToken, on_progress: &mut (dyn FnMut(Progress) + Send)) -> Result<RunEnd, Broken> {
        let mut watchdog = Instant::now() + self.limits.hang_after;
        let mut told_to_stop = false;
        loop {
            let message = tokio::select! {
                message = self.frames.next::<v1::FromTrainer>() => message,
                () = stop.cancelled(), if !told_to_stop => {
                    told_to_stop = true;
                    watchdog = Instant::now() + self.limits.stop_within;
                    // Where this fails the process is gone, which the next read tells.
                    let _ = self.send(to_trainer::Message::Stop(v1::Stop {})).await;
                    continue;
                }
                () = sleep_until(watchdog) => return Err(self.hung()),
            };
            let message = match message {
                Ok(Some(message)) => message.message,
                // Whether it had begun to say something makes no difference.
                Ok(None) | Err(FrameError::Truncated | FrameError::Read(_)) => return Err(self.crashed().await),
                Err(error @ (FrameError::TooLong | FrameError::Decode(_))) => {
                    let message = format!("the trainer broke the protocol: {}", with_sources(&error));
                    return Err(Broken { kind: FailureKind::Failed, message });
                }
            };
            if !told_to_stop {
                watchdog = Instant::now() + self.limits.hang_after;
            }
            match message {
                Some(from_trainer::Message::Progress(progress)) => match Progress::try_from(progress) {
                    Ok(progress) => on_progress(progress),
                    // One bad row would make the coordinator refuse a whole heartbeat.
                    Err(error) => tracing::warn!(%error, "the trainer's progress is left out"),
                },
                Some(from_trainer::Message::Outcome(outcome)) => return Ok(outcome_end(outcome)),
                Some(from_trainer::Message::Failure(failure)) => return Ok(failure_end(failure)),
                Some(from_trainer::Message::Stopped(v1::Stopped {})) => return Ok(RunEnd::Stopped),
                Some(from_trainer::Message::Ready(_) | from_trainer::Message::Alive(_)) | None => {}
            }
        }
    }

    async fn send(&mut self, message: to_trainer::Message) -> io::Result<()> {
        let frame = v1::ToTrainer { message: Some(message) }.encode_length_delimited_to_vec();
        // A pipe that nobody empties must not hold up the slot for ever.
        timeout(self.limits.stop_within, self.stdin.write_all(&frame)).await?
    }

    fn hung(&self) -> Broken {
        self.timed_out("no progress", self.limits.hang_after)
    }

    fn deaf(&self) -> Broken {
        self.timed_out("the trainer has not read its orders", self.limits.stop_within)
    }

    fn timed_out(&self, what: &str, after: Duration) -> Broken {
        let last_lines = self.stderr.last_lines();
        let message = format!("{what} for {} s{}", after.as_secs_f64(), ending::tail(&last_lines));
        Broken { kind: FailureKind::TimedOut, message }
    }

    async fn crashed(&mut self) -> Broken {
        Broken { kind: FailureKind::Crashed, message: self.describe_end().await }
    }

    /// How the process ended, with the last it had to say. One that has only closed its output is waited for; should it live on, it is
    /// killed when this handle is dropped, as every caller does next.
    async fn describe_end(&mut self) -> String {
        let status = match timeout(ending::EXIT_WITHIN, self.child.wait()).await {
            Ok(status) => status.ok(),
            Err(_) => None,
        };
        self.stderr.finish().await;
        format!("{}{}", ending::describe(status), ending::tail(&self.stderr.last_lines()))
    }

    /// Ends the process in good order: closes its input, and kills it where it does not end in time.
    pub async fn end(mut self) {
        drop(self.stdin);
        if timeout(self.limits.stop_within, self.child.wait()).await.is_err() {
            // Fails only where the process has just ended by itself.
            let _ = self.child.kill().await;
        }
    }
}

fn outcome_end(outcome: v1::Outcome) -> RunEnd {
    match Outcome::try_from(outcome) {
        Ok(outcome) => RunEnd::Outcome(outcome),
        Err(error) => RunEnd::Failed { kind: FailureKind::Failed, message: format!("the trainer's outcome cannot be taken: {error}") },
    }
}

fn failure_end(failure: v1::TrainerFailure) -> RunEnd {
    match convert::failure_kind(failure.kind) {
        Ok(kind) => RunEnd::Failed { kind, message: failure.message },
        Err(_) => RunEnd::Failed { kind: FailureKind::Failed, message: failure.message },
    }
}
