//! What a run came to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::{Settings, sweeps};

/// Faults that are told in full; the rest is counted.
const MOST_TOLD: usize = 20;

/// What happened in a run, and what is wrong.
#[derive(Debug, Clone)]
pub struct Report {
    seed: u64,
    engine: &'static str,
    n_workers: usize,
    n_coordinators: usize,
    n_jobs: u64,
    /// From the first process to the last result.
    pub time: Duration,
    /// Events that struck, by name.
    pub events: BTreeMap<&'static str, u64>,
    /// Events that found their victim down already.
    pub missed: u64,
    /// What the proxies did, by name.
    pub network: BTreeMap<&'static str, u64>,
    /// Jobs by state.
    pub jobs: BTreeMap<String, u64>,
    /// Attempts by outcome.
    pub attempts: BTreeMap<String, u64>,
    /// How often the checker has seen the database while it was in use.
    pub n_checks: u64,
    /// Jobs that were submitted and are not there.
    pub n_lost: u64,
    /// Jobs with more than one accepted result.
    pub n_counted_twice: u64,
    /// Jobs that are not over.
    pub n_stuck: u64,
    /// Everything that is wrong.
    pub faults: Vec<String>,
    /// Where the logs and the database are, if something is wrong.
    pub kept: Option<PathBuf>,
}

/// A run that takes longer is looked at in passing at least once.
const IS_CHECKED_WITHIN: Duration = Duration::from_mins(1);

/// A run that takes longer has every kind of event: one that has not is too tame to tell anything.
const HAS_EVERYTHING_WITHIN: Duration = Duration::from_mins(2);

/// States that a job of a run may end in: a simulated NaN is final, and nothing else that is done to a job is its own fault.
const GOOD_ENDS: [&str; 2] = ["succeeded", "diverged"];

impl Report {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            seed: settings.seed,
            engine: settings.engine(),
            n_workers: settings.n_workers,
            n_coordinators: settings.n_coordinators(),
            n_jobs: sweeps::n_jobs(settings),
            time: Duration::ZERO,
            events: BTreeMap::new(),
            missed: 0,
            network: BTreeMap::new(),
            jobs: BTreeMap::new(),
            attempts: BTreeMap::new(),
            n_checks: 0,
            n_lost: 0,
            n_counted_twice: 0,
            n_stuck: 0,
            faults: Vec::new(),
            kept: None,
        }
    }

    /// Takes in what the checker saw in passing.
    pub(super) fn see(&mut self, seen: &Value) {
        self.jobs = counts(&seen["jobs"]);
        self.attempts = counts(&seen["attempts"]);
        self.n_counted_twice = seen["counted_twice"].as_u64().unwrap_or(0);
        for fault in seen["faults"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.add_fault(format!("checker: {fault}"));
        }
    }

    /// Adds a fault, once.
    pub(super) fn add_fault(&mut self, fault: String) {
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Takes in what the checker saw when all was over. `events` are those that a long run has.
    pub(super) fn conclude(&mut self, seen: &Value, events: &BTreeSet<&'static str>) {
        self.see(seen);
        let n_found = self.jobs.values().sum::<u64>();
        self.n_lost = self.n_jobs.saturating_sub(n_found);
        if n_found > self.n_jobs {
            self.faults.push(format!("{n_found} jobs are in the database, {} were submitted", self.n_jobs));
        }
        if self.time > IS_CHECKED_WITHIN && self.n_checks == 0 {
            self.faults.push(format!("the checker saw nothing of the run in {:.0} s", self.time.as_secs_f64()));
        }
        if self.time > HAS_EVERYTHING_WITHIN {
            let missing: Vec<_> = events.iter().filter(|name| !self.events.contains_key(**name)).copied().collect();
            if !missing.is_empty() {
                self.faults.push(format!("never happened: {}", missing.join(", ")));
            }
        }
        self.n_stuck = ["blocked", "queued", "leased"].into_iter().filter_map(|state| self.jobs.get(state)).sum();
        if self.n_lost > 0 {
            self.faults.push(format!("{} jobs are not in the database", self.n_lost));
        }
        // What waits for a job that diverged fails with it, as it should.
        let n_diverged = self.jobs.get("diverged").copied().unwrap_or(0);
        let n_failed = self.jobs.get("failed").copied().unwrap_or(0);
        if n_failed > n_diverged {
            self.faults.push(format!("{n_failed} jobs failed, {n_diverged} diverged: more failed than can have waited for those"));
        }
        for (state, n) in &self.jobs {
            if !GOOD_ENDS.contains(&state.as_str()) && state != "failed" {
                self.faults.push(format!("{n} jobs are {state}"));
            }
        }
    }

    pub(super) fn add_network(&mut self, struck: BTreeMap<&'static str, u64>) {
        for (name, n) in struck {
            *self.network.entry(name).or_default() += n;
        }
    }

    /// How far it is, in a line.
    pub(super) fn progress(&self) -> String {
        format!("{}; {} events", list(&self.jobs), self.events.values().sum::<u64>())
    }

    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.faults.is_empty()
    }
}

fn counts(value: &Value) -> BTreeMap<String, u64> {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(name, n)| (name.clone(), n.as_u64().unwrap_or(0))).collect()
}

fn list<K: AsRef<str>>(counts: &BTreeMap<K, u64>) -> String {
    let items: Vec<_> = counts.iter().map(|(name, n)| format!("{} {n}", name.as_ref())).collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "chaos: seed {}, {}, {} jobs, {} workers, {} {}, {:.0} s",
            self.seed,
            self.engine,
            self.n_jobs,
            self.n_workers,
            self.n_coordinators,
            if self.n_coordinators == 1 { "coordinator" } else { "coordinators" },
            self.time.as_secs_f64()
        )?;
        writeln!(f, "  events:   {} ({} more found their victim down)", list(&self.events), self.missed)?;
        writeln!(f, "  network:  {}", list(&self.network))?;
        writeln!(f, "  jobs:     {}", list(&self.jobs))?;
        writeln!(f, "  attempts: {} in all: {}", self.attempts.values().sum::<u64>(), list(&self.attempts))?;
        writeln!(f, "  checks:   {} in passing", self.n_checks)?;
        write!(f, "  {} lost, {} counted twice, {} stuck, {} faults", self.n_lost, self.n_counted_twice, self.n_stuck, self.faults.len())?;
        for fault in self.faults.iter().take(MOST_TOLD) {
            write!(f, "\n  fault: {fault}")?;
        }
        if self.faults.len() > MOST_TOLD {
            write!(f, "\n  and {} faults more", self.faults.len() - MOST_TOLD)?;
        }
        if let Some(folder) = &self.kept {
            write!(f, "\n  logs and database: {}", folder.display())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chaos::Store;

    /// The faults of a run of four jobs that took `seconds`, in which the checker saw so many, and one event of two happened.
    fn faults(n_jobs: u64, seconds: u64, n_checks: u64) -> Vec<String> {
        let settings = Settings { n_jobs: 4, ..Settings::short(Store::Sqlite(None)) };
        let time = Duration::from_secs(seconds);
        let mut report = Report { time, n_checks, events: BTreeMap::from([("kill worker", 1)]), ..Report::new(&settings) };
        report.conclude(&json!({ "jobs": { "succeeded": n_jobs } }), &BTreeSet::from(["cut worker", "kill worker"]));
        report.faults
    }

    #[test]
    fn a_run_must_have_exactly_its_jobs() {
        assert_eq!(faults(4, 20, 0), [""; 0]);
        assert_eq!(faults(3, 20, 0), ["1 jobs are not in the database"]);
        assert_eq!(faults(5, 20, 0), ["5 jobs are in the database, 4 were submitted"]);
    }

    #[test]
    fn a_long_run_must_have_been_looked_at_and_be_eventful() {
        assert_eq!(faults(4, 61, 0), ["the checker saw nothing of the run in 61 s"]);
        assert_eq!(faults(4, 61, 1), [""; 0]);
        assert_eq!(faults(4, 121, 1), ["never happened: cut worker"]);
    }
}
