//! What a run came to.

use std::collections::BTreeMap;
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
            let fault = format!("checker: {fault}");
            if !self.faults.contains(&fault) {
                self.faults.push(fault);
            }
        }
    }

    /// Takes in what the checker saw when all was over.
    pub(super) fn conclude(&mut self, seen: &Value) {
        self.see(seen);
        self.n_lost = self.n_jobs.saturating_sub(self.jobs.values().sum());
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
