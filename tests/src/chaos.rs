//! Breaks everything that can break while a fleet works through sweeps, by a schedule that a seed gives, and looks whether any job was lost,
//! counted twice or left behind.
//!
//! The fleet is the real binary: one coordinator on SQLite or two on PostgreSQL, several workers with simulated trainers, a proxy in front
//! of every worker and between every coordinator and PostgreSQL. What is killed is started again. Sweeps that share jobs are submitted,
//! one of them in the middle of it all. In the end every job must be over, and the independent checker must be content.

mod fleet;
mod member;
mod report;
pub mod schedule;
mod sweeps;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::home::unconfigured;
use crate::postgres::{Installation, Postgres};
use crate::processes::tied;
use crate::{now, script};
use fleet::Running;
pub use report::Report;
use schedule::Schedule;
use sweeps::Sweep;

/// Failures that a job may have: so many that only a fault makes a job fail for good.
const MAX_FAILURES: u32 = 100;

/// How often the independent checker looks at the database while it is in use.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// What the checker ends with where the database cannot be reached.
const UNREACHABLE: i32 = 3;

/// How long the fleet may take for what is left once nothing is broken any more, at least.
const CALM: Duration = Duration::from_mins(2);

/// Where the queue is kept.
#[derive(Debug, Clone)]
pub enum Store {
    /// In a file: this one, or one in the run's folder. The file must not exist yet.
    Sqlite(Option<PathBuf>),
    /// On a server of the run's own, made from this installation.
    Postgres(Installation),
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Decides the schedule.
    pub seed: u64,
    /// Jobs in all; rounded up to a multiple of 4.
    pub n_jobs: u64,
    /// Where the queue is kept.
    pub store: Store,
    /// Workers, of two slots each.
    pub n_workers: usize,
    /// How long the fleet is to be busy: jobs take as long as makes it so.
    pub time: Duration,
}

impl Settings {
    /// What the full run of the tests does.
    pub fn short(store: Store) -> Self {
        Self { seed: 3, n_jobs: 160, store, n_workers: 3, time: Duration::from_secs(20) }
    }

    /// The name of the engine.
    pub fn engine(&self) -> &'static str {
        match self.store {
            Store::Sqlite(_) => "sqlite",
            Store::Postgres(_) => "postgres",
        }
    }

    fn n_coordinators(&self) -> usize {
        match self.store {
            Store::Sqlite(_) => 1,
            Store::Postgres(_) => 2,
        }
    }
}

/// The programs that a run needs.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The built Offramp.
    pub binary: PathBuf,
    /// An interpreter that has what `tests/requirements.txt` asks for.
    pub python: PathBuf,
}

/// Runs a schedule to its end. The folder of the run goes away if nothing is wrong, and is named in the report otherwise.
pub fn run(settings: &Settings, tools: &Tools, say: &dyn Fn(&str)) -> Report {
    let folder = tempfile::Builder::new().prefix("offramp-chaos-").tempdir().expect("a temporary folder can be made");
    let postgres = match &settings.store {
        Store::Sqlite(_) => None,
        Store::Postgres(installation) => Some(installation.start().unwrap_or_else(|error| panic!("{error}"))),
    };
    if let Some(postgres) = &postgres {
        postgres.create_database(DATABASE).unwrap_or_else(|error| panic!("{error}"));
    }
    let mut run = Run::new(settings, tools, folder.path(), postgres, say);
    run.work();
    run.wind_up();
    let Run { running, mut report, .. } = run;
    report.add_network(running.struck());
    if report.faults.is_empty() {
        return report;
    }
    keep(folder, running.into_postgres(), &mut report);
    report
}

/// The database on the run's own server.
const DATABASE: &str = "offramp";

/// Leaves everything where it can be looked at.
fn keep(folder: TempDir, postgres: Option<Postgres>, report: &mut Report) {
    let folder = folder.keep();
    if let Some(postgres) = postgres {
        std::fs::write(folder.join("postgres.log"), postgres.log()).ok();
        if let Err(error) = postgres.dump(DATABASE, &folder.join("database.sql")) {
            report.faults.push(format!("the database could not be saved: {error}"));
        }
    }
    report.kept = Some(folder);
}

/// A run in progress.
struct Run<'a> {
    settings: &'a Settings,
    tools: &'a Tools,
    folder: &'a Path,
    begin: Instant,
    running: Running,
    sweeps: Vec<Sweep>,
    check: Option<Child>,
    next_check: Duration,
    report: Report,
    say: &'a dyn Fn(&str),
}

impl<'a> Run<'a> {
    fn new(settings: &'a Settings, tools: &'a Tools, folder: &'a Path, postgres: Option<Postgres>, say: &'a dyn Fn(&str)) -> Self {
        let running = Running::new(settings, &tools.binary, folder, postgres);
        Self {
            settings,
            tools,
            folder,
            begin: now(),
            running,
            sweeps: sweeps::write(settings, folder),
            check: None,
            next_check: CHECK_EVERY,
            report: Report::new(settings),
            say,
        }
    }

    fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Breaks things until the sweeps are finished, or until time is up and they have had their chance in peace.
    fn work(&mut self) {
        let mut schedule = Schedule::new(self.settings.seed, self.running.fleet());
        let (gap, mut next) = schedule.next().expect("a schedule has no end");
        let mut next_at = gap;
        // Longer than it should take in spite of the faults: a fleet that needs more is left in peace, and must then get through.
        let peace_at = self.settings.time * 3 / 2;
        let calm = CALM.max(self.settings.time);
        let mut in_peace = false;
        loop {
            let now = self.elapsed();
            self.running.tend(now, &mut self.report);
            if self.running.is_broken() || self.follow_sweeps(now) {
                return;
            }
            if now >= peace_at + calm {
                self.report.faults.push(format!("the sweeps are not finished {calm:?} after the last event"));
                return;
            }
            if now >= next_at && now < peace_at {
                self.running.strike(next, now, &mut self.report);
                let (gap, event) = schedule.next().expect("a schedule has no end");
                (next_at, next) = (next_at + gap, event);
            }
            if now >= peace_at && !in_peace {
                in_peace = true;
                (self.say)("chaos: no more events, waiting for what is left");
            }
            self.look(now);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Submits what is due and waits for what is submitted; true when all of it is finished.
    fn follow_sweeps(&mut self, now: Duration) -> bool {
        for sweep in &mut self.sweeps {
            let front = self.running.front(sweep.index);
            if let Some(fault) = sweep.follow(now, &self.tools.binary, self.folder, &front) {
                self.report.add_fault(fault);
            }
        }
        self.sweeps.iter().all(Sweep::is_finished)
    }

    /// Runs the independent checker now and then, beside the fleet.
    fn look(&mut self, now: Duration) {
        if let Some(mut child) = self.check.take() {
            if child.try_wait().expect("a child can be waited for").is_none() {
                self.check = Some(child);
                return;
            }
            let output = child.wait_with_output().expect("the checker's output can be read");
            self.judge(&output);
            (self.say)(&format!("chaos: {:.0} s, {}", now.as_secs_f64(), self.report.progress()));
            self.next_check = now + CHECK_EVERY;
        } else if now >= self.next_check {
            let errors = File::create(self.checker_log()).expect("the run's folder can be written to");
            self.check = Some(self.checker(&[]).stdout(Stdio::piped()).stderr(errors).spawn().expect("Python can be started"));
        }
    }

    /// Takes in what the checker saw in passing.
    fn judge(&mut self, output: &Output) {
        match serde_json::from_slice::<Value>(&output.stdout) {
            Ok(seen) => {
                self.report.n_checks += 1;
                self.report.see(&seen);
            }
            // PostgreSQL may be down: then there is nothing to see.
            Err(_) if output.status.code() == Some(UNREACHABLE) => {}
            Err(_) => {
                let fault = format!("the checker ended with {}: {}", output.status, sweeps::last_line(&self.checker_log()));
                self.report.add_fault(fault);
            }
        }
    }

    fn checker_log(&self) -> PathBuf {
        self.folder.join("checker.log")
    }

    fn checker(&self, arguments: &[&str]) -> Command {
        let mut command = tied(&self.tools.python, "KILL");
        unconfigured(&mut command);
        command.arg(script("check_database.py")).arg(self.running.direct_database()).args(["--json", "--max-failures"]);
        command.arg(MAX_FAILURES.to_string()).arg("--remember").arg(self.folder.join("results.json")).args(arguments);
        command
    }

    /// Sends everybody home and looks at what is left.
    fn wind_up(&mut self) {
        if let Some(child) = self.check.take() {
            let output = child.wait_with_output().expect("the checker's output can be read");
            self.judge(&output);
        }
        self.report.time = self.elapsed();
        if self.running.is_broken() {
            return;
        }
        self.running.retire(self.begin, &mut self.report);
        let output = self.checker(&["--final", "--quiescent"]).output().expect("Python can be started");
        match serde_json::from_slice::<Value>(&output.stdout) {
            Ok(seen) => self.report.conclude(&seen, &Schedule::names(self.running.fleet())),
            Err(_) => self.report.faults.push(format!("the checker failed: {}", String::from_utf8_lossy(&output.stderr))),
        }
    }
}
