//! The store against a model: the lifecycle's table, applied in memory to a handful of jobs of which one waits for two others.

use std::collections::{BTreeMap, BTreeSet};

use offramp_domain::lifecycle::{self, Event, State, Tally};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const N_JOBS: usize = 4;
const N_SESSIONS: usize = 3;
/// Job 2 waits for jobs 0 and 1, and job 3 for job 2.
const WAITS_FOR: [&[usize]; N_JOBS] = [&[], &[], &[0, 1], &[2]];

/// What workers, people and the passing of time may do. `back` reports on the attempt that many before the newest one: 0 is the newest.
#[derive(Debug, Clone, Copy)]
enum Action {
    Claim { session: usize, n_jobs: usize },
    Complete { session: usize, job: usize, back: u32 },
    Fail { session: usize, job: usize, back: u32, kind: FailureKind },
    GiveBack { session: usize, job: usize, back: u32 },
    Beat { session: usize, job: usize, back: u32 },
    Pass { seconds: i64 },
    Tick,
    Reconnect { session: usize },
    Cancel { job: usize },
    RetryJob { job: usize },
    RetryFailed,
    Pause,
    Resume,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let kind = prop_oneof![
        2 => Just(FailureKind::Failed),
        1 => Just(FailureKind::OutOfMemory),
        1 => Just(FailureKind::TimedOut),
        2 => Just(FailureKind::Crashed),
        1 => Just(FailureKind::Diverged),
    ];
    let (session, job, back) = (0..N_SESSIONS, 0..N_JOBS, prop_oneof![4 => Just(0_u32), 1 => Just(1)]);
    let report = (session.clone(), job.clone(), back);
    let action = prop_oneof![
        8 => (session.clone(), 1..3_usize).prop_map(|(session, n_jobs)| Action::Claim { session, n_jobs }),
        6 => report.clone().prop_map(|(session, job, back)| Action::Complete { session, job, back }),
        6 => (report.clone(), kind).prop_map(|((session, job, back), kind)| Action::Fail { session, job, back, kind }),
        2 => report.clone().prop_map(|(session, job, back)| Action::GiveBack { session, job, back }),
        3 => report.prop_map(|(session, job, back)| Action::Beat { session, job, back }),
        5 => (1..12_i64).prop_map(|seconds| Action::Pass { seconds }),
        4 => Just(Action::Tick),
        1 => session.prop_map(|session| Action::Reconnect { session }),
        1 => job.clone().prop_map(|job| Action::Cancel { job }),
        2 => job.prop_map(|job| Action::RetryJob { job }),
        1 => Just(Action::RetryFailed),
        1 => Just(Action::Pause),
        2 => Just(Action::Resume),
    ];
    vec(action, 1..60)
}

/// A job as the model has it.
#[derive(Debug, Clone)]
struct ModelJob {
    key: offramp_domain::job::JobKey,
    config_json: String,
    state: State,
    attempt: u32,
    n_failures: u32,
    /// Sessions in whose hands it crashed since failures were last forgotten.
    crashed: BTreeSet<usize>,
    /// Whether it waits for a back-off to end, and when that is over for certain.
    not_before_us: Option<i64>,
    held: Option<(usize, i64)>,
    /// How each attempt ended.
    ends: BTreeMap<u32, Event>,
    events: Vec<&'static str>,
    /// Cancelled attempts that were reported afterwards, which is told of once each.
    reported_late: BTreeSet<u32>,
}

impl ModelJob {
    fn is_held_by(&self, session: usize, attempt: u32) -> bool {
        self.attempt == attempt && self.held.is_some_and(|(holder, _)| holder == session)
    }

    fn apply(&mut self, event: Event, now_us: i64) {
        if let (Event::Failed(FailureKind::Crashed), Some((holder, _))) = (event, self.held) {
            self.crashed.insert(holder);
        }
        let tally = Tally { n_failures: self.n_failures, n_crashed_workers: self.crashed.len() as u32, data_elsewhere: false };
        let next = lifecycle::step(self.state, event, tally, LIMITS).expect("the model takes legal steps alone");
        if self.held.take().is_some() {
            self.ends.insert(self.attempt, event);
        }
        self.state = next.state;
        self.n_failures += u32::from(next.counts_as_failure);
        if next.forgets_failures {
            self.n_failures = 0;
            self.crashed.clear();
        }
        // Between half of a doubling second and the whole.
        self.not_before_us = next.backs_off.then(|| now_us + (1_i64 << (self.n_failures - 1)) * SECOND_US);
    }

    /// What a report of `event` on an attempt is answered with, where the job was not in the reporter's hands.
    fn late(&self, attempt: u32, event: Event) -> Answer {
        match self.ends.get(&attempt) {
            Some(Event::Cancelled) => Answer::Cancelled,
            Some(end) if *end == event => Answer::Accepted,
            _ => Answer::Stale,
        }
    }
}

struct World {
    store: Fixture,
    sessions: Vec<SessionId>,
    jobs: Vec<ModelJob>,
    paused: bool,
    now_us: i64,
}

impl World {
    async fn new(store: Fixture) -> Self {
        let after = "[[after]]\njob = { seed = 2 }\nwait_for = { seed = [0, 1] }\n[[after]]\njob = { seed = 3 }\nwait_for = { seed = 2 }\n";
        let text = format!("{}{after}", sweep_text("a", r#"["none"]"#, "[0, 1, 2, 3]"));
        store.submit_text(&text).await;
        let mut sessions = Vec::new();
        for index in 0..N_SESSIONS {
            sessions.push(store.session(&format!("w{index}")).await);
        }
        let job = |(index, job): (usize, sweep::SweepJob)| ModelJob {
            key: job.config.key(),
            config_json: job.config.canonical_json(),
            state: if WAITS_FOR[index].is_empty() { State::Queued } else { State::Blocked },
            attempt: 0,
            n_failures: 0,
            crashed: BTreeSet::new(),
            not_before_us: None,
            held: None,
            ends: BTreeMap::new(),
            events: Vec::new(),
            reported_late: BTreeSet::new(),
        };
        let jobs = parse(&text).jobs().enumerate().map(job).collect();
        Self { store, sessions, jobs, paused: false, now_us: START_US }
    }

    /// The attempt `back` before a job's newest, where there is one.
    fn attempt(&self, job: usize, back: u32) -> Option<AttemptRef> {
        let job = &self.jobs[job];
        let attempt = job.attempt.checked_sub(back).filter(|attempt| *attempt > 0)?;
        Some(AttemptRef { key: job.key.clone(), attempt })
    }

    /// Applies an event to a job, and what follows for those that wait.
    fn apply(&mut self, job: usize, event: Event) {
        let now_us = self.now_us;
        self.jobs[job].apply(event, now_us);
        self.settle_waiting();
    }

    /// Sets free what waits for nothing any more, and fails what waits for ever, until nothing changes.
    fn settle_waiting(&mut self) {
        let now_us = self.now_us;
        for (job, awaited) in WAITS_FOR.iter().enumerate() {
            let waits_for: Vec<State> = awaited.iter().map(|awaited| self.jobs[*awaited].state).collect();
            if self.jobs[job].state != State::Blocked {
                continue;
            }
            if waits_for.iter().any(|state| state.is_final() && *state != State::Succeeded) {
                self.jobs[job].n_failures = 0;
                self.jobs[job].apply(Event::DependencyFailed, now_us);
                self.jobs[job].events.push("dependency-failed");
            } else if waits_for.iter().all(|state| *state == State::Succeeded) {
                self.jobs[job].apply(Event::Unblocked, now_us);
                self.jobs[job].events.push("unblocked");
            }
        }
    }

    /// Queues jobs again, with those that failed for waiting on them alone; how many.
    fn retry(&mut self, mut jobs: Vec<usize>) -> u64 {
        for (job, awaited) in WAITS_FOR.iter().enumerate() {
            let failed_waiting = self.jobs[job].state == State::Failed && self.jobs[job].n_failures == 0;
            if failed_waiting && !jobs.contains(&job) && awaited.iter().any(|awaited| jobs.contains(awaited)) {
                jobs.push(job);
            }
        }
        let now_us = self.now_us;
        for job in &jobs {
            self.jobs[*job].apply(Event::Retried, now_us);
            self.jobs[*job].events.push("retried");
        }
        for job in &jobs {
            if WAITS_FOR[*job].iter().any(|awaited| self.jobs[*awaited].state != State::Succeeded) {
                self.jobs[*job].state = State::Blocked;
            }
        }
        self.settle_waiting();
        jobs.len() as u64
    }

    /// Reports, and holds the answer against the model's.
    async fn report(&mut self, session: usize, job: usize, back: u32, end: AttemptEnd, event: Event) {
        let Some(attempt) = self.attempt(job, back) else { return };
        let answer = self.store.report(self.sessions[session], &attempt, end, self.now_us).await;
        if self.jobs[job].is_held_by(session, attempt.attempt) {
            assert_eq!(answer, Answer::Accepted);
            self.apply(job, event);
            return;
        }
        assert_eq!(answer, self.jobs[job].late(attempt.attempt, event));
        if answer == Answer::Cancelled {
            self.jobs[job].reported_late.insert(attempt.attempt);
        }
    }

    async fn act(&mut self, action: Action) {
        let now_us = self.now_us;
        match action {
            Action::Claim { session, n_jobs } => self.claim(session, n_jobs).await,
            Action::Complete { session, job, back } => {
                let result = outcome(&self.jobs[job].config_json, 0.5, &[(1.0, 0.5)]);
                self.report(session, job, back, AttemptEnd::Completed(Box::new(result)), Event::Completed).await;
            }
            Action::Fail { session, job, back, kind } => {
                self.report(session, job, back, AttemptEnd::Failed { kind, message: "x".into() }, Event::Failed(kind)).await;
            }
            Action::GiveBack { session, job, back } => self.report(session, job, back, AttemptEnd::GivenBack, Event::Preempted).await,
            Action::Beat { session, job, back } => {
                let Some(attempt) = self.attempt(job, back) else { return };
                let reply = self.store.beat(self.sessions[session], &[&attempt], now_us).await.unwrap();
                let holds = self.jobs[job].is_held_by(session, attempt.attempt);
                let cancelled = self.jobs[job].ends.get(&attempt.attempt) == Some(&Event::Cancelled);
                assert_eq!((reply.stale.is_empty(), reply.cancelled.is_empty()), (holds, !cancelled));
                if holds {
                    self.jobs[job].held = Some((session, now_us + LEASE_US));
                }
            }
            Action::Pass { seconds } => self.now_us += seconds * SECOND_US,
            Action::Tick => self.tick().await,
            Action::Reconnect { session } => {
                let given_back = self.store.close_session(self.sessions[session], now_us).await.unwrap();
                let held: Vec<usize> =
                    (0..N_JOBS).filter(|job| self.jobs[*job].held.is_some_and(|(holder, _)| holder == session)).collect();
                let expected: Vec<AttemptRef> = held.iter().filter_map(|job| self.attempt(*job, 0)).collect();
                assert_eq!(given_back, expected);
                for job in held {
                    self.apply(job, Event::Preempted);
                }
                // The same worker in a new session: what it says of its earlier attempts is another session's.
                self.sessions[session] = self.store.open_session(&new_session(&format!("w{session}"), false), now_us).await.unwrap().id;
            }
            Action::Cancel { job } => {
                let key = self.jobs[job].key.clone();
                let cancelled = self.store.cancel_job(&key, &by("me"), now_us).await;
                match self.jobs[job].state {
                    State::Cancelled => assert_eq!(cancelled.unwrap(), Controlled::default()),
                    state if state.is_final() => assert!(matches!(cancelled, Err(ControlError::Over { .. }))),
                    state => {
                        let ended = if state == State::Leased { self.attempt(job, 0) } else { None };
                        assert_eq!(cancelled.unwrap(), Controlled { n_jobs: 1, changed: true, ended: ended.into_iter().collect() });
                        self.jobs[job].events.push("cancelled");
                        self.apply(job, Event::Cancelled);
                    }
                }
            }
            Action::RetryJob { job } => {
                let key = self.jobs[job].key.clone();
                let retried = self.store.retry_job(&key, false, &by("me"), now_us).await;
                match self.jobs[job].state {
                    State::Succeeded => assert!(matches!(retried, Err(ControlError::HasResult(_)))),
                    State::Blocked | State::Leased => assert!(matches!(retried, Err(ControlError::NotOver { .. }))),
                    State::Queued => assert_eq!(retried.unwrap(), Controlled::default()),
                    _ => assert_eq!(retried.unwrap().n_jobs, self.retry(vec![job])),
                }
            }
            Action::RetryFailed => {
                let states = RetryStates { failed: true, quarantined: true, cancelled: false };
                let retried = self.store.retry_sweep(1, states, &by("me"), now_us).await.unwrap();
                let ended = |state| matches!(state, State::Failed | State::Quarantined);
                let jobs: Vec<usize> = (0..N_JOBS).filter(|job| ended(self.jobs[*job].state)).collect();
                assert_eq!((retried.n_jobs, retried.changed), (self.retry(jobs), retried.n_jobs > 0 || self.paused));
                self.paused = false;
            }
            Action::Pause => {
                // What is over has nothing to hold back.
                let over = self.jobs.iter().all(|job| job.state.is_final());
                assert_eq!(self.store.pause(1, &by("me"), now_us).await.unwrap().changed, !self.paused && !over);
                self.paused |= !over;
            }
            Action::Resume => {
                assert_eq!(self.store.resume(1, &by("me"), now_us).await.unwrap().changed, self.paused);
                self.paused = false;
            }
        }
    }

    async fn tick(&mut self) {
        let now_us = self.now_us;
        let expired = self.store.expire(now_us).await.unwrap();
        let lost: Vec<usize> = (0..N_JOBS).filter(|job| self.jobs[*job].held.is_some_and(|(_, until_us)| until_us <= now_us)).collect();
        let expected: Vec<AttemptRef> = lost.iter().filter_map(|job| self.attempt(*job, 0)).collect();
        assert_eq!(expired.lost, expected);
        for job in lost {
            self.apply(job, Event::Lost);
        }
        for job in self.jobs.iter_mut().filter(|job| job.not_before_us.is_some_and(|until_us| until_us <= now_us)) {
            job.not_before_us = None;
        }
    }

    async fn claim(&mut self, session: usize, n_jobs: usize) {
        let claimed = self.store.claim(self.sessions[session], n_jobs, self.now_us).await;
        assert!(claimed.len() <= n_jobs);
        assert!(claimed.is_empty() || !self.paused);
        for ClaimedJob { attempt, .. } in &claimed {
            let job = self.jobs.iter_mut().find(|job| job.key == attempt.key).unwrap();
            assert_eq!((job.state, job.attempt + 1), (State::Queued, attempt.attempt));
            // Half of the whole back-off is the least, and a tick has to have seen its end.
            let half_us = job.not_before_us.map_or(0, |until_us| until_us - (1_i64 << (job.n_failures - 1)) * SECOND_US / 2);
            assert!(half_us <= self.now_us, "claimed before its back-off can have ended");
            job.state = State::Leased;
            job.attempt = attempt.attempt;
            job.not_before_us = None;
            job.held = Some((session, self.now_us + LEASE_US));
        }
        if claimed.len() < n_jobs && !self.paused {
            let left_out = self.jobs.iter().find(|job| job.state == State::Queued && job.not_before_us.is_none());
            assert!(left_out.is_none(), "claimable, and not claimed: {left_out:?}");
        }
    }

    /// The database and the model agree, and every job has a result exactly if it succeeded.
    async fn check(&self) {
        for (row, job) in self.store.jobs().await.iter().zip(&self.jobs) {
            let stored = (row.job_key.as_str(), row.state.as_str(), row.attempt, row.n_failures, row.final_accuracy.is_some());
            let expected = (job.key.as_str(), job.state.as_str(), job.attempt, job.n_failures, job.state == State::Succeeded);
            assert_eq!(stored, expected);
            assert_eq!(row.finished_us.is_some(), job.state.is_final());
        }
        let running = self.store.count("attempts WHERE outcome = 'running'").await;
        assert_eq!(running as usize, self.jobs.iter().filter(|job| job.held.is_some()).count());
        let sweep = self.store.reader().sweep("a").await.unwrap();
        let over = self.jobs.iter().all(|job| job.state.is_final());
        assert_eq!(
            sweep.state,
            if over {
                "finished"
            } else if self.paused {
                "paused"
            } else {
                "running"
            }
        );
    }

    /// The history says what happened, and how every attempt ended.
    async fn check_history(&self) {
        for job in &self.jobs {
            let detail = self.store.reader().job(job.key.as_str()).await.unwrap();
            let ends: Vec<(u32, String)> = detail
                .attempts
                .into_iter()
                .filter(|attempt| !attempt.state.is_empty())
                .map(|attempt| (attempt.attempt, attempt.outcome))
                .collect();
            let expected: Vec<(u32, String)> =
                job.ends.iter().map(|(attempt, event)| (*attempt, report::outcome_name(*event).to_owned())).collect();
            assert_eq!(ends, expected);
            let own = ["retried", "cancelled", "unblocked", "dependency-failed", "reported-late"];
            let mut told: Vec<&str> = detail.events.iter().map(|event| event.event.as_str()).filter(|event| own.contains(event)).collect();
            told.sort_unstable();
            let mut expected: Vec<&str> = job.events.iter().copied().chain(job.reported_late.iter().map(|_| "reported-late")).collect();
            expected.sort_unstable();
            assert_eq!(told, expected);
        }
    }
}

async fn does_what_the_lifecycle_says(store: Fixture, actions: Vec<Action>) {
    let mut world = World::new(store).await;
    for action in actions {
        world.act(action).await;
        world.check().await;
    }
    world.check_history().await;
}

proptest! {
    // Each case makes a database.
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_the_lifecycle_says_on_sqlite(actions in actions()) {
        on_sqlite(async |store| does_what_the_lifecycle_says(store, actions).await);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_the_lifecycle_says_on_postgres(actions in actions()) {
        on_postgres(async |store| does_what_the_lifecycle_says(store, actions).await);
    }
}
