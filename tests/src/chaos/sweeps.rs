//! The sweeps that the fleet works through: written as files, submitted and waited for with the command line.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use super::Settings;
use crate::home::unconfigured;
use crate::processes::tied;

/// Epochs of every job: a fault may strike between any two.
pub(super) const N_EPOCHS: u32 = 3;

/// How long to wait before a command that did not get through is tried again.
const AGAIN: Duration = Duration::from_millis(300);

/// One of the sweeps.
#[derive(Debug)]
pub(super) struct Sweep {
    pub(super) index: usize,
    name: String,
    file: PathBuf,
    /// When it is submitted.
    due: Duration,
    step: Step,
    command: Option<Child>,
    next_try: Duration,
    /// What its commands say.
    log: PathBuf,
}

/// What the jobs of a sweep wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// Every job with branches for the one without that has its seed.
    Dependent,
    /// Jobs with branches alone, and for nothing.
    Free,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Submit,
    Wait,
    Over,
}

/// Writes the files. Two sweeps, two thirds of all jobs each, so that a third is wanted by both; the second is submitted in the middle. A third
/// one wants some jobs of the second from the start, without having them wait: what is left of them when the second comes has to wait from then on.
pub(super) fn write(settings: &Settings, folder: &Path) -> Vec<Sweep> {
    let n_seeds = settings.n_jobs.div_ceil(4) * 2;
    // Both ends included.
    let parts = [
        (0, n_seeds * 2 / 3, Duration::ZERO, Waiting::Dependent),
        (n_seeds / 3, n_seeds - 1, settings.time / 6, Waiting::Dependent),
        (n_seeds * 5 / 6, n_seeds - 1, Duration::ZERO, Waiting::Free),
    ];
    let sweep = |(index, (from, to, due, waiting)): (usize, (u64, u64, Duration, Waiting))| {
        let name = format!("chaos-{index}");
        let file = folder.join(format!("{name}.toml"));
        std::fs::write(&file, text(&name, from, to, waiting)).expect("the run's folder can be written to");
        let log = folder.join(format!("{name}-commands.log"));
        Sweep { index, name, file, due, step: Step::Submit, command: None, next_try: due, log }
    };
    parts.into_iter().enumerate().map(sweep).collect()
}

/// Jobs in all sweeps together.
pub(super) fn n_jobs(settings: &Settings) -> u64 {
    settings.n_jobs.div_ceil(4) * 4
}

fn text(name: &str, from: u64, to: u64, waiting: Waiting) -> String {
    let (patterns, after) = match waiting {
        Waiting::Dependent => {
            (r#"["none", "constant"]"#, "[[after]]\njob = { pattern = \"constant\" }\nwait_for = { pattern = \"none\" }\n")
        }
        Waiting::Free => (r#"["constant"]"#, ""),
    };
    format!(
        r#"
name = "{name}"
[axes]
backbone = "resnet8"
dataset = "digits"
budget = {{ levels = 3 }}
pattern = {patterns}
seed = {{ from = {from}, to = {to} }}
[recipe]
epochs = {N_EPOCHS}
batch_size = 64
optimizer = {{ sgd = {{ lr = 0.1 }} }}
{after}"#
    )
}

impl Sweep {
    pub(super) fn is_finished(&self) -> bool {
        self.step == Step::Over
    }

    /// Does what is due: runs the next command, or looks how the running one did. An answer that must not be is returned.
    pub(super) fn follow(&mut self, now: Duration, binary: &Path, home: &Path, coordinator: &str) -> Option<String> {
        if let Some(command) = &mut self.command {
            let status = command.try_wait().expect("a child can be waited for")?;
            self.command = None;
            self.next_try = now + AGAIN;
            match (self.step, status.code()) {
                (Step::Submit, Some(0)) => self.step = Step::Wait,
                // 5: with jobs that failed, which the checker looks at.
                (Step::Wait, Some(0 | 5)) => self.step = Step::Over,
                // Nobody reached, a connection that broke, time that ran out: to be tried again. Anything else is an answer.
                (_, Some(3 | 124)) => {}
                (step, _) => {
                    let command = if step == Step::Submit { "submit" } else { "wait" };
                    return Some(format!("`offramp sweep {command}` for {} ended with {status}: {}", self.name, last_line(&self.log)));
                }
            }
            return None;
        }
        if self.step != Step::Over && now >= self.next_try.max(self.due) {
            let mut command = tied(binary, "KILL");
            unconfigured(&mut command);
            let file = self.file.to_str().expect("temporary folders have UTF-8 names");
            match self.step {
                Step::Submit => command.args(["sweep", "submit", file]),
                _ => command.args(["sweep", "wait", &self.name, "--timeout", "60s"]),
            };
            let open = || File::options().create(true).append(true).open(&self.log);
            let log = || open().expect("the run's folder can be written to");
            command.args(["--coordinator", coordinator]).env("HOME", home).env("XDG_DATA_HOME", home).current_dir(home);
            command.stdin(Stdio::null()).stdout(log()).stderr(log());
            self.command = Some(command.spawn().expect("the binary can be started"));
        }
        None
    }
}

/// The last line of a file; of one that cannot be read, nothing.
pub(super) fn last_line(file: &Path) -> String {
    let text = std::fs::read(file).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
}

impl Drop for Sweep {
    fn drop(&mut self) {
        if let Some(mut command) = self.command.take() {
            command.kill().ok();
            command.wait().ok();
        }
    }
}
