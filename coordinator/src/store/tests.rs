//! The store on real files: what it promises, whatever happens in whatever order.

mod frontier;
mod leases;
mod model;
mod opening;
mod results;
mod sessions;
mod statements;
mod submission;

use std::path::PathBuf;

use offramp_domain::network::ExitCost;
use offramp_domain::outcome::{ExitResult, OperatingPoint, Outcome};
use offramp_domain::sweep::{self, Sweep};
use tempfile::TempDir;

use super::*;

/// A time to start from; only differences matter.
pub(crate) const START_US: i64 = 1_700_000_000_000_000;
pub(crate) const SECOND_US: i64 = 1_000_000;
const LEASE_US: i64 = 15 * SECOND_US;
const MAX_FAILURES: u32 = 3;

/// A store in a folder that goes away with it.
struct Fixture {
    store: Store,
    path: PathBuf,
    folder: TempDir,
}

impl std::ops::Deref for Fixture {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

async fn fixture() -> Fixture {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("offramp.db");
    let store = Store::open(&path, MAX_FAILURES).await.unwrap();
    Fixture { store, path, folder }
}

impl Fixture {
    async fn submit_text(&self, text: &str) -> Submitted {
        self.submit(&parse(text), text, START_US).await.unwrap()
    }

    async fn session(&self, worker: &str) -> SessionId {
        self.open_session(&new_session(worker, false), START_US).await.unwrap()
    }

    async fn claim_one(&self, session: SessionId, now_us: i64) -> Option<ClaimedJob> {
        self.claim(session, 1, None, now_us, LEASE_US).await.unwrap().pop()
    }

    /// Claims and completes the oldest job with the given points.
    async fn complete_next(&self, session: SessionId, points: &[(f64, f64)]) -> AttemptRef {
        let job = self.claim_one(session, START_US).await.expect("a job is queued");
        let report = self.complete(session, &job.attempt, &outcome(&job.config_json, 0.9, points), START_US).await.unwrap();
        assert_eq!(report, Report::Accepted);
        job.attempt
    }

    async fn job(&self, attempt: &AttemptRef) -> offramp_proto::v1::JobRow {
        self.reader().job(attempt.key.as_str()).await.unwrap().job.unwrap()
    }

    /// How every attempt at a job ended, first to last.
    async fn attempt_outcomes(&self, attempt: &AttemptRef) -> Vec<String> {
        let detail = self.reader().job(attempt.key.as_str()).await.unwrap();
        detail.attempts.into_iter().map(|attempt| attempt.outcome).collect()
    }

    /// Runs a statement of the test's own on the writing connection.
    async fn execute(&self, statement: &'static str) {
        sqlx::raw_sql(statement).execute(&self.store.writer).await.unwrap();
    }

    async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(self.reader().pool()).await.unwrap()
    }
}

pub(crate) fn new_session(worker: &str, embedded: bool) -> NewSession {
    NewSession { worker: worker.into(), version: "1.2.3".into(), trainer: "simulated".into(), n_slots: 2, embedded }
}

fn parse(text: &str) -> Sweep {
    sweep::parse(text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A sweep of one small backbone: four exits, or one for pattern `none`.
pub(crate) fn sweep_text(name: &str, patterns: &str, seeds: &str) -> String {
    format!(
        r#"
name = "{name}"
[axes]
backbone = "resnet8"
dataset = "digits"
exits = {{ at = "stage-ends" }}
budget = {{ levels = 6 }}
pattern = {patterns}
seed = {seeds}
[recipe]
epochs = 2
batch_size = 64
optimizer = {{ sgd = {{ lr = 0.1, momentum = 0.9, nesterov = true, weight_decay = 5e-4 }} }}
schedule = "cosine"
augment = "none"
[evaluation]
policies = ["max-softmax"]
"#
    )
}

/// Expected cost of a sample when these shares leave at these exits.
fn expected(costs: &[ExitCost], shares: &[f64], macs: fn(&ExitCost) -> u64) -> f64 {
    costs.iter().zip(shares).map(|(cost, share)| macs(cost) as f64 * share).sum()
}

/// What an answer from each exit of a leased job's network costs.
pub(crate) fn costs(config_json: &str) -> Vec<ExitCost> {
    let config = offramp_domain::job::JobConfig::from_json(config_json).unwrap();
    offramp_domain::network::assemble(&config).unwrap().exit_costs()
}

/// A result of a leased job whose exits all have one accuracy, with operating points of (share, accuracy): that share of the samples leaves at
/// the final exit, the rest at the first. With the share rise both costs; of a network with one exit all points cost the same.
pub(crate) fn outcome(config_json: &str, accuracy: f64, points: &[(f64, f64)]) -> Outcome {
    let costs = costs(config_json);
    let n_exits = costs.len();
    let exit = ExitResult { accuracy, loss: 0.5, calibration_accuracy: accuracy - 0.01, calibration_loss: 0.6 };
    let point = |(index, &(share, accuracy)): (usize, &(f64, f64))| {
        let mut exit_shares = vec![0.0; n_exits];
        exit_shares[0] += 1.0 - share;
        exit_shares[n_exits - 1] += share;
        let macs_cascade = expected(&costs, &exit_shares, |cost| cost.macs_cascade);
        OperatingPoint {
            policy: "max-softmax".into(),
            setting: index as f64,
            macs_cascade,
            macs_selected: expected(&costs, &exit_shares, |cost| cost.macs_selected),
            accuracy,
            calibration_accuracy: accuracy,
            calibration_macs_cascade: macs_cascade,
            exit_shares,
        }
    };
    Outcome {
        exits: vec![exit; n_exits],
        operating_points: points.iter().enumerate().map(point).collect(),
        n_train: 1_300,
        n_calibration: 140,
        n_test: 357,
        train_seconds: 2.5,
        trainer: "simulated".into(),
    }
}
