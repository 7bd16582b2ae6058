//! `offramp reproduce`: a job once more, here, held against its stored result digit for digit.

mod compared;

use std::path::Path;
use std::time::Duration;

use offramp_domain::job::JobConfig;
use offramp_domain::outcome::{Outcome, Progress};
use offramp_proto::v1;
use offramp_worker::process::{Limits, RunEnd, TrainerProcess};
use serde::Serialize;

use self::compared::{Compared, Difference, Kind};
use crate::args::{ReproduceArguments, TrainerKind, TrainingArguments};
use crate::commands::training;
use crate::environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Format, Rows, csv, json, say, table, view};
use crate::signals::Signals;
use crate::source::Source;
use crate::text::{count, escape_control};

/// How long a trainer may take to be ready, and to end when told to.
const READY_WITHIN: Duration = Duration::from_mins(2);
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// How many differences a table shows; JSON has them all.
const DIFFERENCES_SHOWN: usize = 20;
/// How many lines a run's progress has at most.
const PROGRESS_LINES: u32 = 20;
/// Sessions of workers that are looked through for the one that trained the job.
const WORKERS_LOOKED_AT: u32 = 10_000;

/// What trained, as far as that is known.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Origin {
    trainer: String,
    version: Option<String>,
    threads: Option<usize>,
}

/// Runs a job again and compares.
pub(crate) async fn run(arguments: &ReproduceArguments, format: Format) -> Result<Exit, Failure> {
    let source = Source::open(&arguments.source).await?;
    let detail = source.job(&arguments.job).await?;
    let job = detail.job.clone().unwrap_or_default();
    let Some(trainer) = job.trainer.clone().filter(|_| !detail.exits.is_empty()) else {
        let error = anyhow::anyhow!("job {} is {} and has no result to compare with", escape_control(&job.job), escape_control(&job.state));
        return Err(
            Failure::with_exit(Exit::NothingMatched, error).hint("`offramp job list SWEEP --state succeeded` shows those that have one")
        );
    };
    check(&job.job_key, &detail.config_json)?;
    let stored = Origin { version: version(&source, &detail).await, trainer, threads: None };

    let scratch =
        tempfile::tempdir().map_err(|error| Failure::new(anyhow::Error::new(error).context("no folder for checkpoints can be made")))?;
    let threads = arguments.threads.map_or_else(environment::n_cores, usize::from);
    let mut training = training::prepare(&as_training(arguments, &stored.trainer, scratch.path()), Some(1))?;
    training.command.env.retain(|(name, _)| name != "RAYON_NUM_THREADS");
    training.command.env.push(("RAYON_NUM_THREADS".to_owned(), threads.to_string()));
    let limits = Limits { ready_within: READY_WITHIN, hang_after: arguments.hang_after, stop_within: STOP_WITHIN };
    let process = TrainerProcess::start(&training.command, 0, limits).await.map_err(Failure::new)?;
    let here =
        Origin { trainer: process.trainer().to_owned(), version: Some(env!("CARGO_PKG_VERSION").to_owned()), threads: Some(threads) };
    say_origins(&job, &stored, &here);

    let Some(outcome) = train(process, &detail, &job).await? else { return Ok(Exit::Interrupted) };
    let compared = Compared::new(&detail, &outcome);
    output::write(&render(&job, &stored, &here, &compared, format, output::table_width()))?;
    Ok(if compared.is_equal() { Exit::Ok } else { Exit::Error })
}

/// What trains and on what, as the stored result has it where nothing else is asked for. Nothing goes where a worker's files are: what it left there
/// is not to be gone on from, nor to be replaced.
fn as_training(arguments: &ReproduceArguments, trainer: &str, scratch: &Path) -> TrainingArguments {
    let trainer_kind = if trainer == TrainerKind::Simulated.as_str() { TrainerKind::Simulated } else { TrainerKind::Burn };
    let device = trainer.strip_prefix("burn-").filter(|backend| ["cuda", "vulkan"].contains(backend)).unwrap_or("cpu");
    TrainingArguments {
        trainer: trainer_kind,
        simulate: arguments.simulate.clone(),
        data_dir: arguments.data_dir.clone(),
        checkpoint_dir: Some(scratch.join("checkpoints")),
        // Nobody goes on from one.
        checkpoint_every: Duration::from_hours(24 * 365),
        artifacts_dir: (trainer_kind == TrainerKind::Burn).then(|| scratch.join("artifacts")),
        device: arguments.device.clone().unwrap_or_else(|| device.to_owned()),
    }
}

/// A result must be of the work that this build takes the configuration for.
fn check(key: &str, config_json: &str) -> Result<(), Failure> {
    let config = JobConfig::from_json(config_json)
        .map_err(|error| Failure::new(anyhow::Error::new(error).context("this build cannot read the job's configuration")))?;
    if config.key().as_str() == key {
        return Ok(());
    }
    let error = anyhow::anyhow!("the job's configuration is that of another job to this build: {}, not {key}", config.key());
    Err(Failure::new(error).hint("use the version that submitted it; `offramp workers list --ended` shows versions"))
}

/// The version of the worker whose attempt the result is of.
async fn version(source: &Source, detail: &v1::JobDetail) -> Option<String> {
    let attempt = detail.attempts.iter().rev().find(|attempt| attempt.outcome == "succeeded")?;
    // It is there to be told, and its absence is told as well.
    let workers = source.workers(true, WORKERS_LOOKED_AT).await.ok()?;
    let mut sessions = workers.into_iter().filter(|row| row.worker == attempt.worker && row.opened_us <= attempt.leased_us);
    // The newest first, so that it is the last one that had begun by then.
    sessions.next().map(|row| row.version)
}

/// Says beforehand what is known to decide over digits.
fn say_origins(job: &v1::JobRow, stored: &Origin, here: &Origin) {
    let label = format!("{} {} {} seed {}", job.backbone, job.dataset, job.pattern, job.seed);
    say(&format!("job {} ({})", escape_control(&job.job), escape_control(&label)));
    let version = |origin: &Origin| origin.version.clone().unwrap_or_else(|| "unknown".to_owned());
    let (was, is) = (escape_control(&stored.trainer), escape_control(&here.trainer));
    say(&format!("  stored: trainer {was}, offramp {}", escape_control(&version(stored))));
    say(&format!("  here:   trainer {is}, offramp {}, {}", version(here), count(here.threads.unwrap_or(1) as u64, "thread")));
    if stored.trainer != here.trainer {
        say("note: another backend adds up in another order: its digits differ, and its results by as little as chance");
    }
    if stored.version.is_some() && stored.version != here.version {
        say("note: another version may train otherwise: train with that one where digits matter");
    }
    if here.trainer.starts_with("burn-") && here.trainer != "burn-flex" {
        say("note: on a GPU sums are made in no fixed order, and digits differ from run to run");
    }
}

/// Trains the job; nothing where a signal came first.
async fn train(process: TrainerProcess, detail: &v1::JobDetail, job: &v1::JobRow) -> Result<Option<Outcome>, Failure> {
    let signals = Signals::listen()?;
    let attempt = job.attempt.max(1);
    let run = v1::Run { job_key: job.job_key.clone(), attempt, config_json: detail.config_json.clone() };
    let mut on_progress = |progress: Progress| {
        let Progress { epoch, n_epochs, loss, .. } = progress;
        if epoch % (n_epochs / PROGRESS_LINES).max(1) == 0 || epoch == n_epochs {
            say(&format!("epoch {epoch} of {n_epochs}: loss {loss:.4}"));
        }
    };
    let (end, process) = process.run(run, &signals.first, &mut on_progress).await;
    if let Some(process) = process {
        process.end().await;
    }
    match end {
        RunEnd::Outcome(outcome) => Ok(Some(outcome)),
        RunEnd::Stopped => Ok(None),
        RunEnd::Failed { kind, message } => {
            let error = anyhow::anyhow!("the job ended without a result here ({}): {}", kind.as_str(), escape_control(&message));
            Err(Failure::new(error).hint("`offramp doctor` says what this machine lacks"))
        }
        RunEnd::NotBegun { message } => Err(Failure::new(anyhow::anyhow!("the trainer did not begin: {}", escape_control(&message)))),
    }
}

/// A kind of numbers, its largest difference with all digits.
#[derive(Serialize)]
struct KindText<'a> {
    what: &'a str,
    n_compared: usize,
    n_equal: usize,
    n_different: usize,
    largest_difference: String,
}

impl<'a> From<&'a Kind> for KindText<'a> {
    fn from(kind: &'a Kind) -> Self {
        let Kind { what, n_compared, n_equal, n_different, largest_difference } = kind;
        let largest_difference = digits(*largest_difference);
        Self { what, n_compared: *n_compared, n_equal: *n_equal, n_different: *n_different, largest_difference }
    }
}

#[derive(Serialize)]
struct DifferenceText<'a> {
    what: &'a str,
    place: &'a str,
    stored: String,
    here: String,
    difference: String,
}

impl<'a> From<&'a Difference> for DifferenceText<'a> {
    fn from(found: &'a Difference) -> Self {
        let Difference { what, place, stored, here, difference } = found;
        Self { what, place, stored: digits(*stored), here: digits(*here), difference: digits(*difference) }
    }
}

/// A number with all its digits: the shortest text that is this number and no other.
fn digits(number: Option<f64>) -> String {
    match number {
        None => "-".to_owned(),
        Some(number) if number != 0.0 && number.abs() < 1e-4 => format!("{number:e}"),
        Some(number) => number.to_string(),
    }
}

fn render(job: &v1::JobRow, stored: &Origin, here: &Origin, compared: &Compared, format: Format, width: Option<u16>) -> String {
    match format {
        Format::Json | Format::Jsonl => {
            let (kinds, differences) = (Rows::new(&view::COMPARED, &compared.kinds), Rows::new(&view::DIFFERENCES, &compared.differences));
            let value = |value: &Origin| serde_json::to_value(value).unwrap_or_default();
            json::detail(
                "reproduce",
                &[
                    ("job", json::Part::Value(job.job.as_str().into())),
                    ("equal", json::Part::Value(compared.is_equal().into())),
                    ("stored", json::Part::Value(value(stored))),
                    ("here", json::Part::Value(value(here))),
                    ("compared", json::Part::List(&kinds)),
                    ("differences", json::Part::List(&differences)),
                ],
            )
        }
        Format::Csv => csv::render(&Rows::new(&view::COMPARED, &compared.kinds)),
        Format::Table => {
            let kinds: Vec<KindText> = compared.kinds.iter().map(KindText::from).collect();
            let mut text = table::render(&Rows::new(&view::COMPARED, &kinds), width);
            let n_different = compared.differences.len();
            if n_different > 0 {
                let shown: Vec<DifferenceText> = compared.differences.iter().take(DIFFERENCES_SHOWN).map(DifferenceText::from).collect();
                let rows = Rows::new(&view::DIFFERENCES, &shown);
                text.extend(["\nDifferences, the largest first\n", &table::render(&rows, width)]);
                if n_different > DIFFERENCES_SHOWN {
                    let more = n_different - DIFFERENCES_SHOWN;
                    text.extend([more.to_string().as_str(), " more; --output json has them all\n"]);
                }
            }
            let n = count(compared.n_compared() as u64, "number");
            let conclusion = match n_different {
                0 => format!("\nreproduced: {n} equal to the last bit\n"),
                differ => format!("\nnot reproduced: {differ} of {n} differ\n"),
            };
            text.push_str(&conclusion);
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(format: Format) -> String {
        let number = |what: &str, stored, here| Difference {
            what: what.to_owned(),
            place: "exit 1".to_owned(),
            stored,
            here,
            difference: stored.zip(here).map(|(a, b): (f64, f64)| (a - b).abs()),
        };
        let kind = Kind { what: "loss".to_owned(), n_compared: 2, n_equal: 1, n_different: 1, largest_difference: Some(f64::EPSILON) };
        let differences = vec![number("loss", Some(1.0), Some(1.0 + f64::EPSILON))];
        let compared = Compared { kinds: vec![kind], differences };
        let job = v1::JobRow { job: "0123456789ab".into(), ..Default::default() };
        let origin = Origin { trainer: "simulated".into(), version: None, threads: None };
        render(&job, &origin, &origin, &compared, format, None)
    }

    #[test]
    fn a_difference_is_shown_with_all_its_digits() {
        let table = rendered(Format::Table);
        for part in ["1.0000000000000002", "2.220446049250313e-16", "not reproduced: 1 of 2 numbers differ"] {
            assert!(table.contains(part), "{part} in {table}");
        }
        let json: serde_json::Value = serde_json::from_str(&rendered(Format::Json)).unwrap();
        assert_eq!(
            (&json["kind"], &json["equal"], &json["differences"][0]["here"]),
            (&"reproduce".into(), &false.into(), &1.000_000_000_000_000_2.into())
        );
        assert_eq!(rendered(Format::Csv), "what,n_compared,n_equal,n_different,largest_difference\nloss,2,1,1,2.220446049250313e-16\n");
    }

    #[test]
    fn what_the_result_is_of_decides_what_trains() {
        let asked = |trainer: &str, device: Option<&str>| {
            let arguments = ReproduceArguments {
                job: String::new(),
                device: device.map(str::to_owned),
                threads: None,
                data_dir: None,
                simulate: None,
                hang_after: Duration::from_secs(1),
                source: crate::args::SourceArguments::default(),
            };
            let training = as_training(&arguments, trainer, Path::new("/scratch"));
            (training.trainer, training.device)
        };
        assert_eq!(asked("simulated", None).0, TrainerKind::Simulated);
        assert_eq!(asked("burn-flex", None), (TrainerKind::Burn, "cpu".to_owned()));
        assert_eq!(asked("burn-cuda", None), (TrainerKind::Burn, "cuda".to_owned()));
        assert_eq!(asked("burn-cuda", Some("cpu")), (TrainerKind::Burn, "cpu".to_owned()));
    }

    #[test]
    fn a_configuration_of_another_job_is_refused() {
        let refused = check("0123456789abcdef0123456789abcdef", "{}").unwrap_err().render();
        assert!(refused.starts_with("error: this build cannot read the job's configuration: "), "{refused}");
    }
}
