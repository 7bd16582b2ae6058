//! From training arguments to trainer processes: checked before anything starts.

use std::path::PathBuf;

use offramp_worker::process::TrainerCommand;
use offramp_worker::simulated;

use crate::args::{MOST_SLOTS, TrainerKind, TrainingArguments};
use crate::environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::text::shell_word;

/// How to start trainer processes, and how many.
#[derive(Debug)]
pub(crate) struct Training {
    /// Starts one.
    pub(crate) command: TrainerCommand,
    /// How many run at a time.
    pub(crate) n_slots: usize,
}

/// Checks the arguments and the device, and says how to start trainers.
///
/// # Errors
/// Exit code 2 for arguments that make no sense, 1 for a device or a trainer that this build or machine lacks.
pub(crate) fn prepare(arguments: &TrainingArguments, slots: Option<u16>) -> Result<Training, Failure> {
    check_simulation(arguments)?;
    let is_cpu = arguments.trainer == TrainerKind::Simulated || arguments.device == "cpu";
    let default = || if is_cpu { environment::n_cores().min(MOST_SLOTS as usize) } else { 1 };
    let n_slots = slots.map_or_else(default, usize::from);
    let program = std::env::current_exe()
        .map_err(|error| Failure::new(anyhow::Error::new(error).context("cannot find this program's own file to start trainers")))?;
    let mut command = TrainerCommand { program, args: trainer_arguments(arguments)?, env: process_environment(arguments)? };
    // Trainers share the cores; more threads than cores only get in each other's way.
    let n_threads = (environment::n_cores() / n_slots).max(1);
    command.env.push(("RAYON_NUM_THREADS".to_owned(), n_threads.to_string()));
    if !is_cpu {
        probe(&command)?;
    }
    Ok(Training { command, n_slots })
}

/// The folder with datasets: the one asked for, or `data` in the user's data folder.
///
/// # Errors
/// Where nothing says where the user's data is.
pub(crate) fn data_dir(asked_for: Option<&PathBuf>) -> Result<PathBuf, Failure> {
    let default = || environment::user_data_dir().map(|folder| folder.join("data"));
    asked_for.cloned().or_else(default).ok_or_else(|| nowhere("name a folder with --data-dir"))
}

/// The folder for per-sample records: the one asked for, or `artifacts` in the user's data folder. None for simulated records that nobody
/// asked for: load tests run by the thousand.
///
/// # Errors
/// Where nothing says where the user's data is.
pub(crate) fn artifacts_dir(arguments: &TrainingArguments) -> Result<Option<PathBuf>, Failure> {
    match (&arguments.artifacts_dir, arguments.trainer) {
        (Some(folder), _) => Ok(Some(folder.clone())),
        (None, TrainerKind::Simulated) => Ok(None),
        (None, TrainerKind::Burn) => {
            let folder = environment::user_data_dir().map(|folder| folder.join("artifacts"));
            folder.map(Some).ok_or_else(|| nowhere("name a folder with --artifacts-dir"))
        }
    }
}

fn nowhere(hint: &str) -> Failure {
    Failure::new(anyhow::anyhow!("nothing says where this user's data is: neither XDG_DATA_HOME nor HOME is set")).hint(hint)
}

/// The folder with checkpoints: the one asked for, or `checkpoints` in the user's data folder.
///
/// # Errors
/// Where nothing says where the user's data is.
pub(crate) fn checkpoint_dir(asked_for: Option<&PathBuf>) -> Result<PathBuf, Failure> {
    let default = || environment::user_data_dir().map(|folder| folder.join("checkpoints"));
    asked_for.cloned().or_else(default).ok_or_else(|| nowhere("name a folder with --checkpoint-dir"))
}

/// Reads what the simulation is asked for.
///
/// # Errors
/// Exit code 2.
pub(crate) fn simulation(arguments: &TrainingArguments) -> Result<simulated::Options, Failure> {
    let text = arguments.simulate.as_deref().unwrap_or_default();
    text.parse().map_err(|error: simulated::OptionsError| {
        Failure::with_exit(Exit::Usage, anyhow::Error::new(error).context(format!("invalid value `{text}` for --simulate")))
    })
}

fn check_simulation(arguments: &TrainingArguments) -> Result<(), Failure> {
    match arguments.trainer {
        TrainerKind::Simulated => simulation(arguments).map(drop),
        TrainerKind::Burn if arguments.simulate.is_some() => {
            Err(Failure::with_exit(Exit::Usage, anyhow::anyhow!("--simulate says how the simulated trainer behaves, but Burn is to train"))
                .hint("add --trainer simulated, or leave --simulate out"))
        }
        TrainerKind::Burn => Ok(()),
    }
}

fn trainer_arguments(arguments: &TrainingArguments) -> Result<Vec<String>, Failure> {
    let mut words = vec!["trainer".to_owned(), "--trainer".to_owned(), arguments.trainer.as_str().to_owned()];
    match arguments.trainer {
        TrainerKind::Simulated => {
            words.extend(arguments.simulate.iter().flat_map(|spec| ["--simulate".to_owned(), spec.clone()]));
        }
        TrainerKind::Burn => {
            let data = word(data_dir(arguments.data_dir.as_ref())?, "--data-dir")?;
            let checkpoints = word(checkpoint_dir(arguments.checkpoint_dir.as_ref())?, "--checkpoint-dir")?;
            let every = format!("{}ms", arguments.checkpoint_every.as_millis());
            words.extend(["--data-dir".to_owned(), data, "--checkpoint-dir".to_owned(), checkpoints]);
            words.extend(["--checkpoint-every".to_owned(), every, "--device".to_owned(), arguments.device.clone()]);
        }
    }
    if let Some(folder) = artifacts_dir(arguments)? {
        words.extend(["--artifacts-dir".to_owned(), word(folder, "--artifacts-dir")?]);
    }
    Ok(words)
}

/// A folder as a word of a command line.
fn word(folder: PathBuf, option: &str) -> Result<String, Failure> {
    folder.into_os_string().into_string().map_err(|folder| {
        Failure::with_exit(Exit::Usage, anyhow::anyhow!("the path `{}` is not UTF-8", folder.display()))
            .hint(format!("name another folder with {option}"))
    })
}

/// Environment of the trainer processes, as their device needs it.
#[cfg(feature = "burn")]
fn process_environment(arguments: &TrainingArguments) -> Result<Vec<(String, String)>, Failure> {
    if arguments.trainer == TrainerKind::Simulated {
        return Ok(Vec::new());
    }
    let variables = device(arguments)?.process_environment();
    Ok(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

/// Environment of the trainer processes, as their device needs it.
#[cfg(not(feature = "burn"))]
fn process_environment(arguments: &TrainingArguments) -> Result<Vec<(String, String)>, Failure> {
    match arguments.trainer {
        TrainerKind::Simulated => Ok(Vec::new()),
        TrainerKind::Burn => Err(without_burn()),
    }
}

/// Which device is asked for.
///
/// # Errors
/// Exit code 2 where that is no device.
#[cfg(feature = "burn")]
pub(crate) fn device(arguments: &TrainingArguments) -> Result<offramp_train::DeviceChoice, Failure> {
    arguments.device.parse().map_err(|error: offramp_train::device::ParseDeviceError| {
        Failure::with_exit(Exit::Usage, error).hint("`offramp doctor` lists the devices of this machine")
    })
}

/// Says that this build cannot train.
#[cfg(not(feature = "burn"))]
pub(crate) fn without_burn() -> Failure {
    Failure::new(anyhow::anyhow!("this build cannot train: it was built without feature `burn`"))
        .hint("build it with `cargo build --release` (without --no-default-features), or use --trainer simulated")
}

/// Has a trainer process open the device and end. In a process of its own, because a GPU that was opened once keeps memory until the
/// process ends.
fn probe(command: &TrainerCommand) -> Result<(), Failure> {
    let answer = std::process::Command::new(&command.program)
        .args(&command.args)
        .arg("--probe")
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| {
            let program = shell_word(&command.program.to_string_lossy());
            Failure::new(anyhow::Error::new(error).context(format!("cannot start `{program} trainer`")))
        })?;
    if answer.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&answer.stderr);
    let said = stderr.lines().find_map(|line| line.strip_prefix("error: ")).map(ToOwned::to_owned);
    let said = said.unwrap_or_else(|| format!("the device could not be opened: the trainer ended with {}", answer.status));
    Err(Failure::new(anyhow::anyhow!("{said}")).hint("`offramp doctor` lists the devices of this machine; --device cpu works everywhere"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn arguments(trainer: TrainerKind, simulate: Option<&str>) -> TrainingArguments {
        TrainingArguments {
            trainer,
            simulate: simulate.map(ToOwned::to_owned),
            data_dir: Some(PathBuf::from("/data")),
            checkpoint_dir: Some(PathBuf::from("/checkpoints")),
            artifacts_dir: (trainer == TrainerKind::Burn).then(|| PathBuf::from("/artifacts")),
            checkpoint_every: Duration::from_secs(90),
            device: "cpu".to_owned(),
        }
    }

    #[test]
    fn trainers_are_this_program_with_the_same_arguments() {
        let training = prepare(&arguments(TrainerKind::Simulated, Some("epoch-ms=1")), Some(3)).unwrap();
        assert_eq!(training.command.args, ["trainer", "--trainer", "simulated", "--simulate", "epoch-ms=1"]);
        assert_eq!(training.n_slots, 3);
        assert!(training.command.env.iter().any(|(name, _)| name == "RAYON_NUM_THREADS"));
        let asked = TrainingArguments { artifacts_dir: Some(PathBuf::from("a b")), ..arguments(TrainerKind::Simulated, None) };
        let training = prepare(&asked, Some(1)).unwrap();
        assert_eq!(training.command.args, ["trainer", "--trainer", "simulated", "--artifacts-dir", "a b"]);
    }

    #[test]
    fn simulation_options_are_checked_before_anything_starts() {
        let refused = |trainer, simulate| prepare(&arguments(trainer, Some(simulate)), None).unwrap_err();
        let unknown = refused(TrainerKind::Simulated, "crsh=1");
        assert_eq!(unknown.exit(), Exit::Usage);
        assert!(unknown.render().contains("did you mean `crash`?"), "{}", unknown.render());
        assert_eq!(refused(TrainerKind::Burn, "crash=1").exit(), Exit::Usage);
    }

    #[cfg(not(feature = "burn"))]
    #[test]
    fn a_build_without_burn_says_how_to_get_one() {
        let refused = prepare(&arguments(TrainerKind::Burn, None), None).unwrap_err();
        assert_eq!(refused.exit(), Exit::Error);
        assert!(refused.render().contains("cargo build --release"), "{}", refused.render());
    }

    #[cfg(feature = "burn")]
    #[test]
    fn trainers_get_data_device_and_environment() {
        let training = prepare(&arguments(TrainerKind::Burn, None), Some(1)).unwrap();
        let folders = ["--data-dir", "/data", "--checkpoint-dir", "/checkpoints", "--checkpoint-every", "90000ms"];
        let expected = [&["trainer", "--trainer", "burn"][..], &folders, &["--device", "cpu", "--artifacts-dir", "/artifacts"]].concat();
        assert_eq!(training.command.args, expected);
        assert!(training.command.env.contains(&("BURN_DEVICE".to_owned(), "flex".to_owned())));
        let refused = prepare(&TrainingArguments { device: "gpu".to_owned(), ..arguments(TrainerKind::Burn, None) }, None).unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage);
    }
}
