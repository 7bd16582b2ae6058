//! A worker from its start to its end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::channel::mpsc;
use futures::future::try_join_all;
use offramp_domain::placement::{Capabilities, Datasets, DeviceKind};
use offramp_proto::v1::{self, OpenSessionRequest};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::client::{self, CallError, Client};
use crate::held::Held;
use crate::process::{Limits, StartError, TrainerCommand, TrainerProcess};
use crate::trainer::with_sources;
use crate::{chance, report, slot};

/// Slots of one worker: each may have a claim waiting beside the reports and heartbeats of all, and a coordinator bounds the calls of one
/// connection (256 at ours).
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
    /// What each of them can run.
    pub capabilities: Capabilities,
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
    /// Attempts whose job was cancelled before their end.
    pub n_cancelled: u64,
    /// Whether the worker ended because the coordinator told it to.
    pub drained: bool,
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
    /// When cancelled: runs stop, and their leases are given back.
    pub(crate) stop: CancellationToken,
    /// When cancelled: nothing more is claimed, and what has not begun is given back. Cancelled along with `stop`.
    pub(crate) finish: CancellationToken,
    /// Cancelled when no slot runs anything any more, nor will.
    pub(crate) over: CancellationToken,
    pub(crate) sweep: Option<i64>,
    coordinator: String,
    summary: Mutex<Summary>,
}

impl Shared {
    /// Notes something for the summary.
    pub(crate) fn count(&self, note: impl FnOnce(&mut Summary)) {
        note(&mut self.summary.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Drains the worker because the coordinator says so, as every heartbeat does from then on.
    pub(crate) fn drain_for_coordinator(&self, give_back: bool) {
        if self.stop.is_cancelled() || (self.finish.is_cancelled() && !give_back) {
            return;
        }
        tracing::warn!(coordinator = self.coordinator, give_back, "told to drain: nothing more is claimed");
        self.count(|summary| summary.drained = true);
        self.finish.cancel();
        if give_back {
            self.stop.cancel();
        }
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

/// Works for a coordinator until told to end, by `shutdown` or by the coordinator.
///
/// A drain that gives leases back takes less than two seconds where the coordinator answers and the trainers stop when told. Dropping the future is an abort.
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
        capabilities: Some(offered(config.capabilities)),
    };
    // Cancelled by the coordinator as well, of which whoever holds `drain` need not know.
    let stop = drain.child_token();
    let shared = Shared {
        client: Client::new(&endpoint, introduction, config.give_up_after, chance::fresh_seed()),
        held: Held::default(),
        trainer: config.trainer,
        limits,
        finish: stop.child_token(),
        stop,
        over: CancellationToken::new(),
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

fn offered(capabilities: Capabilities) -> v1::Capabilities {
    let Capabilities { device, memory_mib, datasets, labels } = capabilities;
    let (datasets, any_dataset) = match datasets {
        Datasets::Any => (Vec::new(), true),
        Datasets::Named(names) => (names, false),
    };
    let device = device.map_or("", DeviceKind::as_str).into();
    v1::Capabilities { device, memory_mib: memory_mib.unwrap_or(0), datasets, any_dataset, labels }
}

async fn work(shared: &Shared, n_slots: u32, first: TrainerProcess) -> Result<(), WorkerError> {
    tokio::select! {
        biased;
        () = shared.stop.cancelled() => return Ok(()),
        opened = shared.client.session() => opened.map_err(|error| shared.error(error))?,
    };
    let mut trainers = vec![Some(first)];
    trainers.resize_with(n_slots as usize, || None);
    // Bounded by the leases that slots may hold; it ends with the last slot.
    let (reports, reported) = mpsc::unbounded();
    let running = Arc::new(shared.over.clone().drop_guard());
    let slot = |(trainer, index)| slot::work(shared, index, trainer, reports.clone(), Arc::clone(&running));
    let slots: Vec<_> = trainers.into_iter().zip(0..).map(slot).collect();
    drop((reports, running));
    tokio::select! {
        worked = async { tokio::try_join!(try_join_all(slots), report::deliver_all(shared, reported)) } => worked.map(|_| ()),
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
    shared.stop.cancelled().await;
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
