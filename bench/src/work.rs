//! Jobs without work in them, and workers that pretend to do it.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use offramp_domain::job::JobConfig;
use offramp_domain::network;
use offramp_proto::v1;
use offramp_proto::v1::sweep_service_client::SweepServiceClient;
use offramp_proto::v1::worker_service_client::WorkerServiceClient;
use offramp_proto::{PROTOCOL, PROTOCOL_HEADER};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// A sweep of `n_jobs` jobs that differ in nothing but their seeds, and whose networks have one exit.
pub(crate) fn sweep_text(name: &str, first_seed: u64, n_jobs: u64) -> String {
    let last_seed = first_seed + n_jobs - 1;
    format!(
        r#"
name = "{name}"
[axes]
backbone = "resnet8"
dataset = "digits"
exits = {{ at = "stage-ends" }}
budget = {{ levels = 3 }}
pattern = "none"
seed = {{ from = {first_seed}, to = {last_seed} }}
[recipe]
epochs = 1
batch_size = 64
optimizer = {{ sgd = {{ lr = 0.1, momentum = 0.9, nesterov = true, weight_decay = 5e-4 }} }}
schedule = "cosine"
augment = "none"
[evaluation]
policies = ["max-softmax"]
"#
    )
}

/// What the workers say that they train with.
pub(crate) const TRAINER: &str = "simulated";
/// Operating points of a network with one exit, as its evaluation has them: all samples leave there, whatever the policy.
pub(crate) const POLICIES: [&str; 2] = ["fixed", "max-softmax"];

/// Results, each of another accuracy: as in a real sweep, fewer and fewer of them get onto the frontier.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) macs_cascade: f64,
    pub(crate) macs_selected: f64,
    n_drawn: AtomicU64,
}

impl Results {
    /// For jobs of such a configuration: costs of their network's one exit.
    pub(crate) fn of(config_json: &str) -> anyhow::Result<Self> {
        let config = JobConfig::from_json(config_json).map_err(|error| anyhow::anyhow!("a job's configuration cannot be read: {error}"))?;
        let network = network::assemble(&config).map_err(|error| anyhow::anyhow!("a job's network cannot be put together: {error}"))?;
        match network.exit_costs().as_slice() {
            [cost] => {
                Ok(Self { macs_cascade: cost.macs_cascade as f64, macs_selected: cost.macs_selected as f64, n_drawn: AtomicU64::new(0) })
            }
            costs => bail!("the network has {} exits, not one", costs.len()),
        }
    }

    /// The next accuracy: scattered evenly, and the same in every run.
    pub(crate) fn accuracy(&self) -> f64 {
        let n_drawn = self.n_drawn.fetch_add(1, Ordering::Relaxed) + 1;
        // The golden ratio's multiples, modulo 1, each in a place of its own.
        let scattered = n_drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
        0.2 + 0.7 * (scattered as f64 / (1_u64 << 53) as f64)
    }

    fn outcome(&self) -> v1::Outcome {
        let accuracy = self.accuracy();
        let Self { macs_cascade, macs_selected, .. } = *self;
        let point = |policy: &str| v1::OperatingPoint {
            policy: policy.to_owned(),
            setting: 0.0,
            macs_cascade,
            macs_selected,
            accuracy,
            calibration_accuracy: accuracy,
            calibration_macs_cascade: macs_cascade,
            exit_shares: vec![1.0],
            latency_us: None,
            images_per_second: None,
        };
        v1::Outcome {
            exits: vec![v1::ExitResult {
                accuracy,
                loss: 0.5,
                calibration_accuracy: accuracy,
                calibration_loss: 0.5,
                top5_accuracy: Some(accuracy),
                ece: Some(0.05),
                calibration_top5_accuracy: Some(accuracy),
                calibration_ece: Some(0.05),
            }],
            operating_points: POLICIES.map(point).to_vec(),
            n_train: 1_300,
            n_calibration: 140,
            n_test: 357,
            train_seconds: 2.5,
            trainer: TRAINER.to_owned(),
            records: None,
        }
    }
}

/// Says in every call which protocol is spoken, as our clients do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spoken;

impl Interceptor for Spoken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(PROTOCOL_HEADER, PROTOCOL.into());
        Ok(request)
    }
}

pub(crate) type Wire = InterceptedService<Channel, Spoken>;

async fn connect(url: &str) -> anyhow::Result<Channel> {
    Endpoint::from_shared(url.to_owned())?.tcp_nodelay(true).connect().await.context("the coordinator cannot be reached")
}

/// Somebody who submits sweeps.
pub(crate) async fn submitter(url: &str) -> anyhow::Result<SweepServiceClient<Wire>> {
    Ok(SweepServiceClient::with_interceptor(connect(url).await?, Spoken))
}

/// Submits a sweep that must be new.
pub(crate) async fn submit(client: &mut SweepServiceClient<Wire>, text: String) -> anyhow::Result<v1::SweepRow> {
    let request =
        v1::SubmitSweepRequest { text, file_name: "bench.toml".to_owned(), by: "bench@localhost".to_owned(), ..Default::default() };
    let response = client.submit_sweep(request).await?.into_inner();
    if !response.created || response.n_known_jobs > 0 {
        bail!("a sweep of new jobs had {} known ones", response.n_known_jobs);
    }
    response.sweep.context("a submission answers with its sweep")
}

/// A worker with a connection and a session of its own.
#[derive(Debug)]
pub(crate) struct Worker {
    client: WorkerServiceClient<Wire>,
    session: String,
    held: Vec<v1::Lease>,
}

impl Worker {
    pub(crate) async fn join(url: &str, name: String, n_slots: u32) -> anyhow::Result<Self> {
        let mut client = WorkerServiceClient::with_interceptor(connect(url).await?, Spoken);
        let capabilities = v1::Capabilities { device: "cpu".to_owned(), memory_mib: 4_096, any_dataset: true, ..Default::default() };
        let request = v1::OpenSessionRequest {
            worker: name,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            n_slots,
            trainer: TRAINER.to_owned(),
            embedded: false,
            capabilities: Some(capabilities),
        };
        let session = client.open_session(request).await?.into_inner().session;
        Ok(Self { client, session, held: Vec::new() })
    }

    /// Takes up to `max_jobs` jobs more, waiting for the first one for up to `wait_ms`; the number that it got.
    pub(crate) async fn claim(&mut self, max_jobs: u32, wait_ms: u32) -> anyhow::Result<usize> {
        let request = v1::ClaimRequest { session: self.session.clone(), max_jobs, wait_ms, sweep: 0 };
        let leases = self.client.claim(request).await?.into_inner().leases;
        let n_leases = leases.len();
        self.held.extend(leases);
        Ok(n_leases)
    }

    /// Completes every job that it has, all in one call, and takes `claim_jobs` new ones with the same call.
    pub(crate) async fn report(&mut self, results: &Results, claim_jobs: u32) -> anyhow::Result<()> {
        self.report_with(|| results.outcome(), claim_jobs).await
    }

    /// The same, with other results.
    pub(crate) async fn report_with(&mut self, mut outcome: impl FnMut() -> v1::Outcome, claim_jobs: u32) -> anyhow::Result<()> {
        let n_reports = self.held.len();
        let reports = self.held.drain(..).map(|lease| v1::AttemptReport {
            attempt: Some(v1::AttemptId { job_key: lease.job_key, attempt: lease.attempt }),
            end: Some(v1::attempt_report::End::Outcome(outcome())),
        });
        let request = v1::ReportRequest { session: self.session.clone(), reports: reports.collect(), claim_jobs, claim_sweep: 0 };
        let response = self.client.report(request).await?.into_inner();
        let refused = response.results.iter().find(|result| result.answer != i32::from(v1::ReportAnswer::Accepted));
        if let Some(refused) = refused {
            bail!("a result was not accepted: answer {}, {}", refused.answer, refused.reason);
        }
        if response.results.len() != n_reports || response.leases.len() != claim_jobs as usize {
            let (n_results, n_leases) = (response.results.len(), response.leases.len());
            bail!("{n_results} answers to {n_reports} reports, {n_leases} leases for {claim_jobs} asked for");
        }
        self.held = response.leases;
        Ok(())
    }

    /// Reports that every job which it has failed.
    pub(crate) async fn fail(&mut self) -> anyhow::Result<()> {
        let failure = || v1::Failure { kind: v1::FailureKind::Failed.into(), message: "to be tried again".to_owned() };
        let reports = self.held.drain(..).map(|lease| v1::AttemptReport {
            attempt: Some(v1::AttemptId { job_key: lease.job_key, attempt: lease.attempt }),
            end: Some(v1::attempt_report::End::Failure(failure())),
        });
        let request = v1::ReportRequest { session: self.session.clone(), reports: reports.collect(), claim_jobs: 0, claim_sweep: 0 };
        let response = self.client.report(request).await?.into_inner();
        if response.results.iter().any(|result| result.answer != i32::from(v1::ReportAnswer::Accepted)) {
            bail!("a failure was not accepted");
        }
        Ok(())
    }

    /// Says that it lives.
    pub(crate) async fn beat(&mut self) -> anyhow::Result<()> {
        let attempts = self.held.iter().map(|lease| v1::AttemptProgress {
            attempt: Some(v1::AttemptId { job_key: lease.job_key.clone(), attempt: lease.attempt }),
            slot: 0,
            progress: None,
        });
        let request = v1::HeartbeatRequest { session: self.session.clone(), attempts: attempts.collect() };
        let stale = self.client.heartbeat(request).await?.into_inner().stale;
        if !stale.is_empty() {
            bail!("{} leases were lost", stale.len());
        }
        Ok(())
    }

    /// A second hand of the same worker: the same session over the same connection.
    pub(crate) fn hand(&self) -> Self {
        Self { client: self.client.clone(), session: self.session.clone(), held: Vec::new() }
    }

    /// Leaves.
    pub(crate) async fn leave(mut self) -> anyhow::Result<()> {
        self.client.close_session(v1::CloseSessionRequest { session: self.session }).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracies_differ_and_stay_in_range() {
        let results = Results { macs_cascade: 1.0, macs_selected: 1.0, n_drawn: AtomicU64::new(0) };
        let mut drawn: Vec<f64> = (0..10_000).map(|_| results.accuracy()).collect();
        assert!(drawn.iter().all(|accuracy| (0.2..0.9).contains(accuracy)));
        drawn.sort_by(f64::total_cmp);
        drawn.dedup();
        assert_eq!(drawn.len(), 10_000);
    }

    #[test]
    fn the_sweep_is_one_of_networks_with_one_exit() {
        let sweep = offramp_domain::sweep::parse(&sweep_text("bench", 7, 3)).unwrap();
        assert_eq!(sweep.n_jobs(), 3);
        let run = sweep.runs().next().unwrap();
        Results::of(&run.json.canonical_json(7)).unwrap();
    }
}
