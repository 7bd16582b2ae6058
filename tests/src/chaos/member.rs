//! A process of the fleet: started, disturbed, started again.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use crate::home::unconfigured;
use crate::processes::{children, send, tied};

/// How long a member may take to leave when it is asked to.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A worker or a coordinator, over all its lives.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    binary: PathBuf,
    home: PathBuf,
    arguments: Vec<String>,
    /// Of the next life alone.
    pub(super) next_arguments: Vec<String>,
    child: Option<Child>,
    state: State,
    /// What its log has once it listens for SIGTERM: before that it dies of it.
    listening: String,
    /// Where the log of its present life begins.
    log_from: u64,
    /// Processes of its own that it may have left behind.
    pub(super) left_behind: BTreeSet<u32>,
}

/// How a member is doing. Times are since the beginning of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    /// Stopped by SIGSTOP.
    Held {
        until: Duration,
    },
    /// Asked to leave.
    Leaving {
        since: Duration,
        back_after: Option<Duration>,
    },
    Down {
        until: Option<Duration>,
    },
}

/// What has become of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// It was started.
    Started,
    /// It ended, and nobody had asked it to: its exit code and what it said last.
    Fell(Option<i32>, String),
    /// It was asked to leave, and did not do so well.
    LeftBadly(String),
}

impl Member {
    /// One that is not started yet. It listens for SIGTERM once it has written `listening` to its log.
    pub(super) fn new(name: String, binary: &Path, home: &Path, arguments: Vec<String>, listening: String) -> Self {
        Self {
            name,
            binary: binary.to_owned(),
            home: home.to_owned(),
            arguments,
            next_arguments: Vec::new(),
            child: None,
            state: State::Down { until: Some(Duration::ZERO) },
            listening,
            log_from: 0,
            left_behind: BTreeSet::new(),
        }
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.home.join(format!("{}.log", self.name))
    }

    pub(super) fn stdout_file(&self) -> PathBuf {
        self.home.join(format!("{}.out", self.name))
    }

    /// What it has said in its present life on standard output.
    pub(super) fn stdout(&self) -> String {
        std::fs::read_to_string(self.stdout_file()).unwrap_or_default()
    }

    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    pub(super) fn is_gone(&self) -> bool {
        self.child.is_none()
    }

    /// Processes that it has started.
    pub(super) fn children(&self) -> Vec<u32> {
        self.child.as_ref().map(|child| children(child.id())).unwrap_or_default()
    }

    /// `kill -9`; false where it is down.
    pub(super) fn kill(&mut self, now: Duration, back_after: Duration) -> bool {
        let children = self.children();
        let Some(mut child) = self.child.take() else { return false };
        child.kill().expect("a child can be killed");
        child.wait().expect("a child can be waited for");
        // They end by themselves, unless they are held like their parent was.
        for process in &children {
            send("CONT", &process.to_string());
        }
        self.left_behind.extend(children);
        self.state = State::Down { until: Some(now + back_after) };
        true
    }

    /// SIGSTOP to it and its children; false where it is not up.
    pub(super) fn hold(&mut self, now: Duration, time: Duration) -> bool {
        if !self.is_up() {
            return false;
        }
        self.signal_all("STOP");
        self.state = State::Held { until: now + time };
        true
    }

    /// SIGTERM; false where it is not up, or has just come. Without `back_after` it stays away.
    pub(super) fn leave(&mut self, now: Duration, back_after: Option<Duration>) -> bool {
        if !self.is_up() || !self.listens() {
            return false;
        }
        self.left_behind.extend(self.children());
        self.signal("TERM");
        self.state = State::Leaving { since: now, back_after };
        true
    }

    fn listens(&self) -> bool {
        let log = std::fs::read(self.log_file()).unwrap_or_default();
        let life = log.get(self.log_from as usize..).unwrap_or_default();
        String::from_utf8_lossy(life).contains(&self.listening)
    }

    /// Makes it leave, as soon as it can be asked to, and stay away.
    pub(super) fn send_home(&mut self, now: Duration) {
        match self.state {
            State::Up => {
                self.leave(now, None);
            }
            State::Leaving { since, .. } => self.state = State::Leaving { since, back_after: None },
            State::Held { .. } => self.state = State::Held { until: now },
            State::Down { .. } => self.state = State::Down { until: None },
        }
    }

    /// Goes on if it is held, and is started at once if it is down.
    pub(super) fn revive(&mut self) {
        match self.state {
            State::Held { .. } => {
                self.signal_all("CONT");
                self.state = State::Up;
            }
            State::Leaving { since, .. } => self.state = State::Leaving { since, back_after: Some(Duration::ZERO) },
            State::Down { .. } => self.state = State::Down { until: Some(Duration::ZERO) },
            State::Up => {}
        }
    }

    /// Does what is due: sees that it has ended, lets it go on, starts it again.
    pub(super) fn tend(&mut self, now: Duration) -> Option<Change> {
        let ended = self.child.as_mut().and_then(|child| child.try_wait().expect("a child can be waited for"));
        match (self.state, ended) {
            (State::Down { until: Some(until) }, _) if now >= until => {
                self.start();
                Some(Change::Started)
            }
            (State::Held { until }, None) if now >= until => {
                self.signal_all("CONT");
                self.state = State::Up;
                None
            }
            (State::Leaving { back_after, .. }, Some(status)) => {
                self.child = None;
                self.state = State::Down { until: back_after.map(|time| now + time) };
                (status.code() != Some(0)).then(|| Change::LeftBadly(self.epitaph(status)))
            }
            (State::Leaving { since, back_after }, None) if now.saturating_sub(since) > PATIENCE => {
                self.kill(now, back_after.unwrap_or_default());
                self.state = State::Down { until: back_after.map(|time| now + time) };
                Some(Change::LeftBadly(format!("{} was asked to leave and did not within {PATIENCE:?}", self.name)))
            }
            (State::Up | State::Held { .. }, Some(status)) => {
                self.child = None;
                self.state = State::Down { until: Some(now + Duration::from_millis(500)) };
                Some(Change::Fell(status.code(), self.epitaph(status)))
            }
            (State::Leaving { .. }, None) => {
                // Some may have been started since it was asked.
                self.left_behind.extend(self.children());
                None
            }
            _ => None,
        }
    }

    fn start(&mut self) {
        let mut log = File::options().create(true).append(true).open(self.log_file()).expect("the run's folder can be written to");
        let arguments = self.arguments.iter().chain(&self.next_arguments);
        writeln!(log, "--- {} {}", self.name, arguments.clone().map(String::as_str).collect::<Vec<_>>().join(" "))
            .expect("the run's folder can be written to");
        self.log_from = log.metadata().expect("an open file has a length").len();
        let stdout = File::create(self.stdout_file()).expect("the run's folder can be written to");
        let mut command = tied(&self.binary, "KILL");
        unconfigured(&mut command);
        command.args(arguments).env("HOME", &self.home).env("XDG_DATA_HOME", &self.home).env("OFFRAMP_LOG", "info");
        // Of a group of its own: a Ctrl-C at the terminal is for the run, which ends it.
        command.current_dir(&self.home).stdin(Stdio::null()).stdout(stdout).stderr(log).process_group(0);
        self.child = Some(command.spawn().expect("the binary can be started"));
        self.state = State::Up;
    }

    fn epitaph(&self, status: ExitStatus) -> String {
        let log = std::fs::read(self.log_file()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let last: Vec<_> = log.lines().rev().take(3).collect();
        format!("{} ended with {status}: {}", self.name, last.into_iter().rev().collect::<Vec<_>>().join(" | "))
    }

    fn signal(&self, signal: &str) {
        if let Some(child) = &self.child {
            send(signal, &child.id().to_string());
        }
    }

    fn signal_all(&self, signal: &str) {
        self.signal(signal);
        for process in self.children() {
            send(signal, &process.to_string());
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill(Duration::ZERO, Duration::ZERO);
    }
}
