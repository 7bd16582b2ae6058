//! `offramp policy`: any exit policy of a finished job, from its per-sample records.

use std::path::PathBuf;

use offramp_domain::evaluation::{self, Records};
use offramp_domain::job::{Evaluation, Policy};
use offramp_domain::network::{self, Network};
use offramp_domain::outcome::OperatingPoint;
use offramp_proto::v1;
use offramp_records::{Header, ReadError};

use crate::args::PolicyArguments;
use crate::commands::listing;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Format, Rows, view};
use crate::source::Source;
use crate::text::escape_control;

/// The records' kind among a job's files.
const RECORDS: &str = "records";

/// Evaluates policies.
pub(crate) async fn run(arguments: &PolicyArguments, format: Format) -> Result<Exit, Failure> {
    let stored = listing::stored("v_operating_points");
    // A mistake is told before anything is read.
    listing::parse(stored, &arguments.select)?;
    let file = match (&arguments.records, &arguments.job) {
        (Some(path), _) => File { path: path.clone(), sha256: None },
        (None, Some(job)) => named_by(&Source::open(&arguments.source).await?.job(job).await?)?,
        (None, None) => unreachable!("one of the two is required"),
    };
    let (header, records) = offramp_records::read(&file.path, file.sha256.as_deref()).map_err(unreadable)?;
    if let Some(job) = arguments.job.as_deref().filter(|job| !header.job.as_str().starts_with(*job)) {
        let path = file.path.display();
        return Err(Failure::with_exit(Exit::Usage, anyhow::anyhow!("`{path}` has the records of job {}, not {job}", header.job)));
    }
    let points = points(arguments, &header, &records)?;
    let rows: Vec<v1::OperatingPointRow> = points.into_iter().map(|point| row(&header, point)).collect();
    let rows = Rows::new(&view::OPERATING_POINTS, &rows);
    let nothing = "this network has no side exit, so no policy has a setting";
    listing::write_chosen(rows, stored, &arguments.select, format, nothing)
}

/// Where a job's records are, and what the file must be.
#[derive(Debug)]
struct File {
    path: PathBuf,
    sha256: Option<String>,
}

/// The file that a job's row names.
fn named_by(detail: &v1::JobDetail) -> Result<File, Failure> {
    let job = detail.job.clone().unwrap_or_default();
    let id = escape_control(&job.job);
    let Some(artifact) = detail.artifacts.iter().find(|artifact| artifact.kind == RECORDS) else {
        let failure = Failure::with_exit(Exit::NothingMatched, anyhow::anyhow!("job {id} has no per-sample records"));
        return Err(failure.hint(match job.trainer {
            None => format!("it is {} and has no result yet", escape_control(&job.state)),
            Some(_) => {
                "its worker kept none: simulated ones are kept with --artifacts-dir alone, and its log says so where they could not be"
                    .to_owned()
            }
        }));
    };
    let path = PathBuf::from(&artifact.path);
    if !path.exists() {
        let (worker, place) = (escape_control(&artifact.worker), escape_control(&artifact.path));
        let failure = Failure::new(anyhow::anyhow!("the records of job {id} are not on this machine: worker `{worker}` wrote `{place}`"));
        return Err(failure.hint("copy the file here and name it with --records, or run this command there"));
    }
    Ok(File { path, sha256: Some(artifact.sha256.clone()) })
}

fn unreadable(error: ReadError) -> Failure {
    let hint = match &error {
        ReadError::Digest { .. } | ReadError::Parquet { .. } => Some("copy it again, or train the job again"),
        ReadError::Layout { .. } => Some("name a file that a worker wrote, `JOB-ATTEMPT.parquet`"),
        ReadError::Config { .. } => Some("the build that wrote it reads it"),
        ReadError::Io { .. } => None,
    };
    let failure = Failure::new(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The points that are asked for.
fn points(arguments: &PolicyArguments, header: &Header, records: &Records) -> Result<Vec<OperatingPoint>, Failure> {
    let network = network::assemble(&header.config).map_err(Failure::new)?;
    let costs = network.exit_costs();
    for split in [&records.calibration, &records.test] {
        if split.exits.len() != costs.len() {
            return Err(Failure::new(anyhow::anyhow!(
                "the records are of {} exits, job {} has a network with {}",
                split.exits.len(),
                header.job,
                costs.len()
            )));
        }
    }
    let at = |policy: &str, setting: f64| {
        let point = evaluation::operating_point(&costs, policy, setting, records);
        point.map(|point| vec![point]).map_err(|error| Failure::with_exit(Exit::Usage, error))
    };
    let policy = arguments.policy.as_deref();
    match (policy, arguments.setting, arguments.budget_macs) {
        (Some(policy), Some(setting), _) => at(policy, setting),
        (policy, _, Some(budget)) => {
            let policy = policy.unwrap_or(Policy::Budgeted.as_str());
            at(policy, setting_for_budget(policy, &network, records, budget)?)
        }
        (policy, _, None) => Ok(chosen_points(policy, &network, records)),
    }
}

fn setting_for_budget(policy: &str, network: &Network, records: &Records, budget_macs: u64) -> Result<f64, Failure> {
    let costs = network.exit_costs();
    let setting = match Policy::parse(policy) {
        Some(policy) => evaluation::setting_for_budget(policy, &costs, &records.calibration, budget_macs as f64),
        // Fixed: the deepest exit that can be paid for.
        None => costs
            .iter()
            .rposition(|cost| cost.macs_cascade <= budget_macs)
            .map(|exit| exit as f64)
            .ok_or(evaluation::BudgetError { budget_macs: budget_macs as f64, cheapest_macs: costs[0].macs_cascade as f64 }),
    };
    setting.map_err(|error| {
        let most = costs[costs.len() - 1].macs_cascade;
        Failure::with_exit(Exit::Usage, error).hint(format!("the final exit costs {most} MACs; name a budget between the two"))
    })
}

/// What the evaluation after training would say of one policy, or of all.
fn chosen_points(policy: Option<&str>, network: &Network, records: &Records) -> Vec<OperatingPoint> {
    let policies = policy.map_or_else(|| Policy::ALL.to_vec(), |policy| Policy::parse(policy).into_iter().collect());
    // The calibration split is there already, so that its share says nothing more.
    let evaluated = evaluation::evaluate(network, &Evaluation::new(0.1, policies), &records.calibration, &records.test);
    let is_wanted = |point: &OperatingPoint| policy.is_none_or(|policy| point.policy == policy);
    evaluated.operating_points.into_iter().filter(is_wanted).collect()
}

fn row(header: &Header, point: OperatingPoint) -> v1::OperatingPointRow {
    v1::OperatingPointRow {
        job: header.job.id().to_owned(),
        policy: point.policy,
        setting: point.setting,
        macs_cascade: point.macs_cascade,
        macs_selected: point.macs_selected,
        accuracy: point.accuracy,
        calibration_accuracy: point.calibration_accuracy,
        calibration_macs_cascade: point.calibration_macs_cascade,
        exit_shares: point.exit_shares,
        backbone: header.config.backbone.clone(),
        dataset: header.config.dataset.clone(),
        pattern: header.config.pattern_label(),
        seed: header.config.seed,
        latency_us: point.latency_us,
        images_per_second: point.images_per_second,
    }
}

#[cfg(test)]
mod tests;
