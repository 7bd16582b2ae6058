//! A worker from its start to its end.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::try_join_all;
use offramp_proto::v1::OpenSessionRequest;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::client::{self, CallError, Client};
use crate::held::Held;
use crate::process::{Limits, StartError, TrainerCommand, TrainerProcess};
use crate::trainer::with_sources;
use crate::{report, slot};

/// Slots of one worker: each may have a claim waiting, and a coordinator bounds the calls of one connection (256 at ours).
const MAX_SLOTS: u32 = 128;

/// How long a trainer process may take to get ready: a device's driver and a dataset may have to be loaded first.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// How long a trainer that is told to stop may take over it; trainers look after every step.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// How long a draining worker tries to deliver what it has; leases it still holds then run out by themselves.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// How often a draining worker asks itself whether that is of any use. A coordinator in this very process whose disk is full does not get
/// well while somebody waits at the terminal for both to end.
const DRAIN_LOOK: Duration = Duration::from_secs(2);

/// How long a worker that is done waits for its session to be closed.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// What a worker needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The coordinator's URL, `http://host:port`.
    pub coordinator: String,
    /// The worker's name, for people.
    pub name: String,
    /// Number of trainer processes, 1 to 128.
    pub n_slots: u32,
    /// How to start one.
    pub trainer: TrainerCommand,
    /// Take only jobs of this sweep, where one is named.
    pub sweep: Option<i64>,
    /// Whether this worker lives in the coordinator's process and dies with it.
    pub embedded: bool,
    /// Time without any contact after which the worker gives up.
    pub give_up_after: Duration,
    /// Time without a sign of life after which a trainer process is killed.
    pub hang_after: Duration,
}

/// How to end a worker from outside.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// When cancelled: claim nothing more, stop the runs, give their leases back, close the session.
    pub drain: CancellationToken,
    /// When cancelled: end now, without a word to the coordinator; trainer processes are killed.
    pub abort: CancellationToken,
}

/// What a worker did; of one that was aborted, nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Results that the coordinator accepted.
    pub n_completed: u64,
    /// Failures that the coordinator accepted.
    pub n_failed: u64,
    /// Attempts whose lease was lost before the end.
    pub n_stale: u64,
    /// Attempts given back.
    pub n_released: u64,
}

/// Why a worker ended against its will.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The coordinator's address is of no use.
    #[error("`{coordinator}` is not an address of the form http://host:port")]
    Address {
        /// The address.
        coordinator: String,
        /// Why not, where the form is right.
        source: Option<tonic::transport::Error>,
    },
    /// Too few slots, or too many.
    #[error("a worker has 1 to {MAX_SLOTS} slots, not {0}")]
    Slots(u32),
    /// No contact with the coordinator for too long.
    #[error("no contact with the coordinator at `{coordinator}` for {:.1} s ({reason})", .after.as_secs_f64())]
    Unreachable {
        /// Its address.
        coordinator: String,
        /// For how long.
        after: Duration,
        /// Why the last call failed.
        reason: String,
    },
    /// The coordinator refused a call for good.
    #[error("the coordinator refused {rpc}: {}", .status.message())]
    Refused {
        /// The call.
        rpc: &'static str,
        /// Its answer. Not a source: its words are the message.
        status: Box<Status>,
    },
    /// There is no trainer to work with.
    #[error(transparent)]
    Trainer(#[from] StartError),
}

/// What the slots share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) held: Held,
    pub(crate) trainer: TrainerCommand,
    pub(crate) limits: Limits,
    pub(crate) drain: CancellationToken,
    pub(crate) sweep: Option<i64>,
    coordinator: String,
    summary: Mutex<Summary>,
}

impl Shared {
    /// Notes something for the summary.
    pub(crate) fn count(&self, note: impl FnOnce(&mut Summary)) {
        note(&mut self.summary.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What a call's failure means for the worker.
    pub(crate) fn error(&self, error: CallError) -> WorkerError {
        match error {
            CallError::Unreachable { after, reason } => WorkerError::Unreachable { coordinator: self.coordinator.clone(), after, reason },
            CallError::Refused { rpc, status } => WorkerError::Refused { rpc, status },
        }
    }

    fn summary(&self) -> Summary {
        *self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works for a coordinator until told to end.
///
/// A drain takes less than two seconds where the coordinator answers and the trainers stop when told. Dropping the future is an abort.
///
/// # Errors
/// When no trainer can be started, or the coordinator refuses the worker or cannot be reached for `give_up_after`. Failures of jobs and
/// lost leases are no errors here.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<Summary, WorkerError> {
    let aborted = shutdown.abort.clone();
    tokio::select! {
        biased;
        () = aborted.cancelled() => Ok(Summary::default()),
        ended = run_until_drained(config, shutdown.drain) => ended,
    }
}

async fn run_until_drained(config: Config, drain: CancellationToken) -> Result<Summary, WorkerError> {
    if !(1..=MAX_SLOTS).contains(&config.n_slots) {
        return Err(WorkerError::Slots(config.n_slots));
    }
    let address = |source| WorkerError::Address { coordinator: config.coordinator.clone(), source };
    if !config.coordinator.starts_with("http://") {
        return Err(address(None));
    }
    let endpoint = client::endpoint(&config.coordinator).map_err(|error| address(Some(error)))?;
    let limits = Limits { ready_within: READY_WITHIN, hang_after: config.hang_after, stop_within: STOP_WITHIN };
    // Before the coordinator hears of this worker: one without a trainer is of no use to it.
    let first = tokio::select! {
        biased;
        () = drain.cancelled() => return Ok(Summary::default()),
        first = TrainerProcess::start(&config.trainer, 0, limits) => first?,
    };
    let introduction = OpenSessionRequest {
        worker: config.name.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        n_slots: config.n_slots,
        trainer: first.trainer().into(),
        embedded: config.embedded,
    };
    let shared = Shared {
        client: Client::new(&endpoint, introduction, config.give_up_after),
        held: Held::default(),
        trainer: config.trainer,
        limits,
        drain,
        sweep: config.sweep,
        coordinator: config.coordinator,
        summary: Mutex::default(),
    };
    let ended = work(&shared, config.n_slots, first).await;
    if !matches!(ended, Err(WorkerError::Unreachable { .. })) {
        shared.client.close(CLOSE_WITHIN).await;
    }
    ended.map(|()| shared.summary())
}

async fn work(shared: &Shared, n_slots: u32, first: TrainerProcess) -> Result<(), WorkerError> {
    tokio::select! {
        biased;
        () = shared.drain.cancelled() => return Ok(()),
        opened = shared.client.session() => opened.map_err(|error| shared.error(error))?,
    };
    let mut trainers = vec![Some(first)];
    trainers.resize_with(n_slots as usize, || None);
    let slots = trainers.into_iter().zip(0..).map(|(trainer, index)| slot::work(shared, index, trainer));
    tokio::select! {
        worked = try_join_all(slots) => worked.map(|_| ()),
        error = heartbeats(shared) => Err(error),
        () = drained_too_long(shared) => Ok(()),
    }
}

/// Sends heartbeats until that is impossible.
async fn heartbeats(shared: &Shared) -> WorkerError {
    loop {
        let session = match shared.client.session().await {
            Ok(session) => session,
            Err(error) => return shared.error(error),
        };
        sleep(session.heartbeat).await;
        if let Err(error) = report::heartbeat(shared).await {
            tracing::debug!(error = with_sources(&error), "no more heartbeats");
            return shared.error(error);
        }
    }
}

/// Waits until a draining worker has tried for long enough, and says what becomes of what it holds.
async fn drained_too_long(shared: &Shared) {
    shared.drain.cancelled().await;
    let mut waited = Duration::ZERO;
    while waited < DRAIN_WITHIN {
        sleep(DRAIN_LOOK).await;
        waited += DRAIN_LOOK;
        if shared.client.is_embedded() && shared.client.is_troubled() {
            let n_held = shared.held.n_attempts();
            tracing::warn!(n_held, "the coordinator takes nothing back now, what is still held goes back to its queue when it next starts");
            return;
        }
    }
    let n_held = shared.held.n_attempts();
    tracing::warn!(n_held, "draining took too long, leases still held will run out by themselves");
}
