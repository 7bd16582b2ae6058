//! The store against a model: the lifecycle's table, applied in memory to a handful of jobs.

use std::collections::BTreeMap;

use offramp_domain::lifecycle::{self, Event, State};
use offramp_domain::outcome::FailureKind;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const N_JOBS: usize = 3;
const N_SESSIONS: usize = 3;

/// What a worker, or the passing of time, may do. `back` reports on the attempt that many before the newest one: 0 is the newest.
#[derive(Debug, Clone, Copy)]
enum Action {
    Claim { session: usize, max_jobs: u32 },
    Complete { session: usize, job: usize, back: u32 },
    Fail { session: usize, job: usize, back: u32, kind: FailureKind },
    Release { session: usize, job: usize, back: u32 },
    Beat { session: usize, job: usize, back: u32 },
    Pass { us: i64 },
    Tick,
    Retry,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let kind = prop_oneof![3 => Just(FailureKind::Failed), 1 => Just(FailureKind::OutOfMemory), 1 => Just(FailureKind::Diverged)];
    let (session, job, back) = (0..N_SESSIONS, 0..N_JOBS, prop_oneof![4 => Just(0_u32), 1 => Just(1)]);
    let report = (session.clone(), job, back);
    let action = prop_oneof![
        4 => (session, 1..3_u32).prop_map(|(session, max_jobs)| Action::Claim { session, max_jobs }),
        2 => report.clone().prop_map(|(session, job, back)| Action::Complete { session, job, back }),
        3 => (report.clone(), kind).prop_map(|((session, job, back), kind)| Action::Fail { session, job, back, kind }),
        1 => report.clone().prop_map(|(session, job, back)| Action::Release { session, job, back }),
        2 => report.prop_map(|(session, job, back)| Action::Beat { session, job, back }),
        3 => (1..20_i64).prop_map(|seconds| Action::Pass { us: seconds * SECOND_US }),
        2 => Just(Action::Tick),
        1 => Just(Action::Retry),
    ];
    vec(action, 1..50)
}

/// A job as the model has it.
#[derive(Debug, Clone)]
struct ModelJob {
    key: offramp_domain::job::JobKey,
    config_json: String,
    state: State,
    attempt: u32,
    n_failures: u32,
    not_before_us: i64,
    held: Option<(usize, i64)>,
    /// How each attempt ended.
    ends: BTreeMap<u32, Event>,
}

impl ModelJob {
    fn is_held_by(&self, session: usize, attempt: u32) -> bool {
        self.attempt == attempt && self.held.is_some_and(|(holder, _)| holder == session)
    }

    fn apply(&mut self, event: Event, now_us: i64) {
        let next = lifecycle::step(self.state, event, self.n_failures, MAX_FAILURES).expect("the model takes legal steps alone");
        self.state = next.state;
        self.n_failures = if next.forgets_failures { 0 } else { self.n_failures + u32::from(next.counts_as_failure) };
        self.held = None;
        if event != Event::Retried {
            self.ends.insert(self.attempt, event);
        }
        // Between half of a doubling second and the whole: claims in between are not checked.
        let seconds = if next.backs_off { 1_i64 << (self.n_failures - 1) } else { 0 };
        self.not_before_us = now_us + seconds * SECOND_US;
    }

    /// What a report of `event` on an attempt is answered with.
    fn report(&mut self, session: usize, attempt: u32, event: Event, now_us: i64) -> Report {
        if self.is_held_by(session, attempt) {
            self.apply(event, now_us);
            return Report::Accepted;
        }
        if self.ends.get(&attempt) == Some(&event) { Report::Accepted } else { Report::Stale }
    }
}

struct World {
    store: Fixture,
    sessions: Vec<SessionId>,
    jobs: Vec<ModelJob>,
    now_us: i64,
}

impl World {
    async fn new() -> Self {
        let store = fixture().await;
        let text = sweep_text("a", r#"["none"]"#, "[0, 1, 2]");
        store.submit_text(&text).await;
        let mut sessions = Vec::new();
        for index in 0..N_SESSIONS {
            sessions.push(store.session(&format!("w{index}")).await);
        }
        let job = |job: &sweep::SweepJob| ModelJob {
            key: job.config.key(),
            config_json: job.config.canonical_json(),
            state: State::Queued,
            attempt: 0,
            n_failures: 0,
            not_before_us: START_US,
            held: None,
            ends: BTreeMap::new(),
        };
        let jobs = parse(&text).jobs.iter().map(job).collect();
        Self { store, sessions, jobs, now_us: START_US }
    }

    /// The attempt `back` before a job's newest, where there is one.
    fn attempt(&self, job: usize, back: u32) -> Option<AttemptRef> {
        let job = &self.jobs[job];
        let attempt = job.attempt.checked_sub(back).filter(|attempt| *attempt > 0)?;
        Some(AttemptRef { key: job.key.clone(), attempt })
    }

    async fn act(&mut self, action: Action) {
        let now_us = self.now_us;
        match action {
            Action::Claim { session, max_jobs } => self.claim(session, max_jobs).await,
            Action::Complete { session, job, back } => {
                let Some(attempt) = self.attempt(job, back) else { return };
                let result = outcome(&self.jobs[job].config_json, 0.5, &[(1.0, 0.5)]);
                let report = self.store.complete(self.sessions[session], &attempt, &result, now_us).await.unwrap();
                assert_eq!(report, self.jobs[job].report(session, attempt.attempt, Event::Completed, now_us));
            }
            Action::Fail { session, job, back, kind } => {
                let Some(attempt) = self.attempt(job, back) else { return };
                let report = self.store.fail(self.sessions[session], &attempt, kind, "x", now_us).await.unwrap();
                assert_eq!(report, self.jobs[job].report(session, attempt.attempt, Event::Failed(kind), now_us));
            }
            Action::Release { session, job, back } => {
                let Some(attempt) = self.attempt(job, back) else { return };
                self.store.release(self.sessions[session], std::slice::from_ref(&attempt), now_us).await.unwrap();
                if self.jobs[job].is_held_by(session, attempt.attempt) {
                    self.jobs[job].apply(Event::Released, now_us);
                }
            }
            Action::Beat { session, job, back } => {
                let Some(attempt) = self.attempt(job, back) else { return };
                let beat = [Beat { attempt: attempt.clone(), progress: None }];
                let stale = self.store.heartbeat(self.sessions[session], &beat, now_us, LEASE_US).await.unwrap();
                let holds = self.jobs[job].is_held_by(session, attempt.attempt);
                assert_eq!(stale.is_empty(), holds);
                if holds {
                    self.jobs[job].held = Some((session, now_us + LEASE_US));
                }
            }
            Action::Pass { us } => self.now_us += us,
            Action::Retry => {
                let failed = self.jobs.iter_mut().filter(|job| job.state == State::Failed);
                let n_failed = failed.map(|job| job.apply(Event::Retried, now_us)).count();
                assert_eq!(self.store.retry_failed(1, now_us).await.unwrap(), n_failed as u64);
            }
            Action::Tick => {
                let lost = self.store.expire(now_us).await.unwrap();
                let mut expected = Vec::new();
                for job in self.jobs.iter_mut().filter(|job| job.held.is_some_and(|(_, until_us)| until_us <= now_us)) {
                    expected.push(AttemptRef { key: job.key.clone(), attempt: job.attempt });
                    job.apply(Event::Lost, now_us);
                }
                assert_eq!(lost, expected);
            }
        }
    }

    async fn claim(&mut self, session: usize, max_jobs: u32) {
        let claimed = self.store.claim(self.sessions[session], max_jobs, None, self.now_us, LEASE_US).await.unwrap();
        assert!(claimed.len() <= max_jobs as usize);
        for ClaimedJob { attempt, .. } in &claimed {
            let job = self.jobs.iter_mut().find(|job| job.key == attempt.key).unwrap();
            assert_eq!((job.state, job.attempt + 1), (State::Queued, attempt.attempt));
            job.state = State::Leased;
            job.attempt = attempt.attempt;
            job.held = Some((session, self.now_us + LEASE_US));
        }
        if claimed.len() < max_jobs as usize {
            let left_out = self.jobs.iter().find(|job| job.state == State::Queued && job.not_before_us <= self.now_us);
            assert!(left_out.is_none(), "claimable, and not claimed: {left_out:?}");
        }
    }

    /// The database and the model agree, and every job has a result exactly if it succeeded.
    async fn check(&self) {
        let all = JobsFilter { sweep: None, state: None, limit: 100, offset: 0 };
        for (row, job) in self.store.reader().jobs(all).await.unwrap().iter().zip(&self.jobs) {
            let stored = (row.job_key.as_str(), row.state.as_str(), row.attempt, row.n_failures, row.final_accuracy.is_some());
            let expected = (job.key.as_str(), job.state.as_str(), job.attempt, job.n_failures, job.state == State::Succeeded);
            assert_eq!(stored, expected);
        }
        let running = self.store.count("SELECT count(*) FROM attempts WHERE outcome = 'running'").await;
        assert_eq!(running as usize, self.jobs.iter().filter(|job| job.held.is_some()).count());
    }
}

proptest! {
    // Each case makes a database.
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_the_lifecycle_says(actions in actions()) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let mut world = World::new().await;
            for action in actions {
                world.act(action).await;
                world.check().await;
            }
        });
    }
}
