//! Puts a coordinator together and serves it.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use offramp_proto::PROTOCOL_HEADER;
use offramp_proto::v1::fleet_service_server::FleetServiceServer;
use offramp_proto::v1::result_service_server::ResultServiceServer;
use offramp_proto::v1::sweep_service_server::SweepServiceServer;
use offramp_proto::v1::worker_service_server::WorkerServiceServer;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::server::NamedService;
use tonic::service::{InterceptorLayer, Routes};
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic_health::ServingStatus;
use tower_layer::{Identity, Stack};
use tracing::{info, warn};

use crate::clock::Clock;
use crate::config::{Config, ConfigProblem};
use crate::http::{self, Hosts};
use crate::live::Live;
use crate::services::{CLAIM_WAIT_MOST_MS, Context, Fleet, Results, SELECTS_MOST, Sweeps, Workers};
use crate::store::{DatabaseError, OpenError, Store};
use crate::watches::Watches;
use crate::{chain, dispatch, janitor};

mod connections;
mod intake;
mod malformed;
#[cfg(test)]
mod tests;

use self::intake::Intake;
use self::malformed::RestateMalformed;

/// Largest report: results of thousands of operating points.
const REPORT_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Largest submission: the longest sweep file, and its frame.
const SWEEP_MESSAGE_MAX_BYTES: usize = 2 * 1024 * 1024;
/// Largest of the other messages, which take names and numbers: heartbeats of all slots with their progress are the longest.
const MESSAGE_MAX_BYTES: usize = 1024 * 1024;
/// All requests that are being taken in.
const REQUESTS_MAX_BYTES: usize = 128 * 1024 * 1024;
/// Above the longest wait that a claim may ask for.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);
const _: () = assert!(REQUEST_TIMEOUT.as_millis() > CLAIM_WAIT_MOST_MS as u128);
/// A peer that is gone without a word is noticed within the sum of these, and its connection freed.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// A client that connects says so within this time.
const SILENCE: Duration = Duration::from_secs(10);
/// Metadata of one request: ours takes some hundred bytes.
const METADATA_MAX_BYTES: u32 = 16 * 1024;
/// Requests that one connection may have open.
const STREAMS_MOST: u32 = 256;
/// How long requests may finish after the shutdown: waiting ones end by themselves at once.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// A coordinator that serves.
#[derive(Debug)]
pub struct Running {
    /// Where it listens, with the port that it got.
    pub address: SocketAddr,
    /// Its database, for the process that it is part of.
    pub store: Store,
    /// Ends after the shutdown, with the database closed.
    pub join: JoinHandle<Result<(), ServeError>>,
}

/// Why a coordinator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used.
    #[error("the coordinator's configuration cannot be used: {}", messages(.0))]
    Config(Vec<ConfigProblem>),
    /// Something else listens there.
    #[error("{0} is in use")]
    AddressInUse(SocketAddr),
    /// The address cannot be listened on for another reason.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The database could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database could be opened, and failed then.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl StartError {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Config(problems) => problems.first().map(|problem| problem.hint),
            Self::AddressInUse(_) => Some("end what listens there, or take a free port with `--listen 127.0.0.1:0`"),
            Self::Bind { .. } => Some("choose an address of this machine with `--listen`"),
            Self::Open(error) => error.hint(),
            Self::Database(error) => error.hint(),
        }
    }
}

/// Why serving ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[error("the server ended")]
pub struct ServeError(#[from] tonic::transport::Error);

fn messages(problems: &[ConfigProblem]) -> String {
    problems.iter().map(|problem| format!("{}: {}", problem.setting, problem.message)).collect::<Vec<_>>().join("; ")
}

/// Starts a coordinator, which serves until `shutdown` is cancelled. When this returns, it listens, and what earlier processes lost is queued
/// again.
///
/// # Errors
/// When the configuration is wrong, the address cannot be had, or the database cannot be opened.
pub async fn start(config: Config, shutdown: CancellationToken) -> Result<Running, StartError> {
    let problems = config.validate();
    if !problems.is_empty() {
        return Err(StartError::Config(problems));
    }
    if let Some(warning) = config.warning() {
        warn!("{warning}");
    }
    let listener = bind(config.listen).await?;
    let store = Store::open(&config.database, config.limits()).await?.with_failpoints(config.failpoints.clone());
    let clock = Clock::start();
    let clock = match store.clock_us().await? {
        Some(now_us) => clock.set_to(now_us),
        None => clock,
    };
    run(&config, listener, store, clock, &shutdown).await
}

/// Serves on `listener`, once what earlier processes lost is queued again.
async fn run(
    config: &Config,
    listener: TcpListener,
    store: Store,
    clock: Clock,
    shutdown: &CancellationToken,
) -> Result<Running, StartError> {
    let address = listener.local_addr().map_err(|source| StartError::Bind { address: config.listen, source })?;
    let live = Arc::new(Live::default());
    let grace_us = janitor::grace_us(config.lease, config.grace);
    // Of a database that others may use at this moment, nothing is known of its clock or its workers that the others don't know better.
    if !store.is_shared() {
        store.mend_times(clock.now_us(), config.lease.as_micros() as i64).await?;
        janitor::announce(&store.lose_embedded(clock.now_us()).await?, &live);
    }
    // Workers could not renew theirs while nobody listened. Those that had fallen silent before have no part in that.
    let heard_us = store.last_heard_us().await?.unwrap_or_default();
    store.extend_leases(clock.now_us(), grace_us, heard_us - grace_us).await?;
    info!(%address, database = %config.database, "coordinator started");

    // Ends with the caller's token, and can be ended without ending the caller.
    let shutdown = shutdown.child_token();
    // The writing goes on until the last request is answered.
    let end = CancellationToken::new();
    let (dispatch, dispatching) =
        dispatch::start(store.clone(), clock.clone(), Arc::clone(&live), config.lease, shutdown.clone(), end.clone());
    let context = Context {
        store: store.clone(),
        clock: clock.clone(),
        live: Arc::clone(&live),
        dispatch,
        watches: Arc::new(Watches::default()),
        frontiers: Arc::default(),
        selects: Arc::new(Semaphore::new(SELECTS_MOST)),
        lease: config.lease,
        heartbeat: config.heartbeat,
        shutdown: shutdown.clone(),
    };
    let hosts = Hosts::new(address, &config.hosts);
    let (works, working) = watch::channel(true);
    let janitor = tokio::spawn(janitor::run(store.clone(), clock, live, grace_us, works, shutdown.clone()));
    let join = tokio::spawn({
        let store = store.clone();
        async move {
            let served = serve(context, hosts, working, listener, &shutdown).await;
            // However serving ended, nothing else of this coordinator goes on.
            shutdown.cancel();
            end.cancel();
            for (task, what) in [(janitor, "janitor"), (dispatching, "dispatch")] {
                if let Err(panic) = task.await {
                    warn!(error = chain(&panic), "the {what} ended early");
                }
            }
            store.close().await;
            info!(%address, "coordinator stopped");
            served
        }
    });
    Ok(Running { address, store, join })
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => StartError::AddressInUse(address),
        _ => StartError::Bind { address, source },
    })
}

async fn serve(
    context: Context,
    hosts: Hosts,
    working: watch::Receiver<bool>,
    listener: TcpListener,
    shutdown: &CancellationToken,
) -> Result<(), ServeError> {
    let incoming = connections::accept(listener, connections::most(), SILENCE, shutdown.clone());
    let router = router(context, hosts, working).await;
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(SHUTDOWN_GRACE).await;
    };
    tokio::select! {
        served = router.serve_with_incoming_shutdown(incoming, shutdown.cancelled()) => Ok(served?),
        () = overdue => {
            warn!("requests still open at the end of the shutdown were cut off");
            Ok(())
        }
    }
}

type Check = fn(tonic::Request<()>) -> Result<tonic::Request<()>, Status>;

/// The router before any service: every request is checked for its protocol and counted while it comes in.
type Guarded = Stack<Intake, Stack<RestateMalformed, Stack<InterceptorLayer<Check>, Identity>>>;

/// How large a message may be at the RPC of a path.
fn message_max_bytes(path: &str) -> usize {
    match path {
        "/offramp.v1.WorkerService/Report" => REPORT_MAX_BYTES,
        "/offramp.v1.SweepService/SubmitSweep" => SWEEP_MESSAGE_MAX_BYTES,
        _ => MESSAGE_MAX_BYTES,
    }
}

async fn router(context: Context, hosts: Hosts, mut working: watch::Receiver<bool>) -> Router<Guarded> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<SweepServiceServer<Sweeps>>().await;
    health.set_serving::<WorkerServiceServer<Workers>>().await;
    health.set_serving::<FleetServiceServer<Fleet>>().await;
    health.set_serving::<ResultServiceServer<Results>>().await;
    // Without a database this process lives (the empty service says so) but is not ready to serve.
    tokio::spawn(async move {
        while working.changed().await.is_ok() {
            let status = if *working.borrow_and_update() { ServingStatus::Serving } else { ServingStatus::NotServing };
            for service in [
                <SweepServiceServer<Sweeps> as NamedService>::NAME,
                <WorkerServiceServer<Workers> as NamedService>::NAME,
                <FleetServiceServer<Fleet> as NamedService>::NAME,
                <ResultServiceServer<Results> as NamedService>::NAME,
            ] {
                health.set_service_status(service, status).await;
            }
        }
    });
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(offramp_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let compiled_in = "the descriptors were compiled with this binary";
    let check: Check = check_protocol;
    let grpc = Routes::new(health_service)
        .add_service(reflection().build_v1().expect(compiled_in))
        // Clients older than the stable name still ask for this one.
        .add_service(reflection().build_v1alpha().expect(compiled_in))
        .add_service(SweepServiceServer::new(Sweeps(context.clone())).max_decoding_message_size(SWEEP_MESSAGE_MAX_BYTES))
        .add_service(WorkerServiceServer::new(Workers(context.clone())).max_decoding_message_size(REPORT_MAX_BYTES))
        .add_service(FleetServiceServer::new(Fleet(context.clone())).max_decoding_message_size(MESSAGE_MAX_BYTES))
        .add_service(ResultServiceServer::new(Results(context.clone())).max_decoding_message_size(MESSAGE_MAX_BYTES));
    Server::builder()
        .timeout(REQUEST_TIMEOUT)
        // For the routes of HTTP alone, see there.
        .accept_http1(true)
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .max_concurrent_streams(STREAMS_MOST)
        .http2_max_header_list_size(METADATA_MAX_BYTES)
        .layer(InterceptorLayer::new(check))
        .layer(RestateMalformed)
        .layer(Intake::new(REQUESTS_MAX_BYTES, message_max_bytes))
        .add_routes(http::beside(grpc.into_axum_router(), context, hosts).into())
}

/// Parts with clients that speak another version of the protocol. Clients that do not say what they speak are not ours, and know what they do.
fn check_protocol(request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
    let Some(spoken) = request.metadata().get(PROTOCOL_HEADER) else { return Ok(request) };
    let spoken: Option<u32> = spoken.to_str().ok().and_then(|text| text.parse().ok());
    let ours = offramp_proto::PROTOCOL;
    let side = match spoken {
        Some(spoken) if spoken == ours => return Ok(request),
        Some(spoken) if spoken > ours => "the coordinator",
        _ => "this client",
    };
    let spoken = spoken.map_or_else(|| "none that it understands".to_owned(), |spoken| format!("version {spoken}"));
    let version = env!("CARGO_PKG_VERSION");
    let mut status = Status::failed_precondition(format!(
        "the client speaks {spoken} of the protocol, this coordinator (offramp {version}) speaks version {ours}\nhint: upgrade {side}"
    ));
    // So that programs can tell this from other preconditions.
    status.metadata_mut().insert(PROTOCOL_HEADER, ours.into());
    Err(status)
}
