//! Who gets which job.
//!
//! A job is claimable when it is queued, its back-off is over and an active sweep wants it. Claimable jobs are handed out by priority, and within
//! one priority in turns: each sweep's jobs count up from where the queue stood when they came (start-time fair queueing, Goyal, Vin and Cheng,
//! SIGCOMM 1996), so that sweeps of one priority get the same number of jobs while both have some. So that no priority starves, every sixteenth
//! job is taken from below the priority that the others are of, from one level after the other.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use offramp_domain::job::JobKey;
use offramp_domain::placement::{Capabilities, Requirements};
use serde::Serialize;

use super::batch::{AttemptRef, ClaimedJob, OpenSession};
use super::engine::{Row, args};
use super::{Transaction, json, placements, sql};

/// Of this many jobs handed out, one is taken from below the others' priority: enough to get on, and too little to be felt above.
const LOW_PRIORITY_SHARE: u64 = 16;
/// Most jobs of one statement.
const MOST_JOBS: usize = 1_024;
/// What was looked for in vain is not looked for again before this time is over.
const MOMENT_US: i64 = 100_000;
/// Groups of workers that are remembered.
const GROUPS_MOST: usize = 1_000;
/// Above every priority.
const NO_CEILING: i64 = i64::MAX;

/// What claims go by from one batch to the next.
#[derive(Debug, Default)]
pub(super) struct Course {
    state: Mutex<CourseState>,
}

#[derive(Debug, Default)]
struct CourseState {
    /// Every placement up to `last_placement`; rows of that table never change.
    placements: Vec<(i64, Requirements)>,
    last_placement: i64,
    /// When these were last looked for.
    learned_us: i64,
    /// What the workers go by that may be given the same jobs.
    groups: HashMap<Group, GroupState>,
}

/// Workers that may be given the same jobs: those of these placements and, where one is named, of this sweep.
type Group = (Vec<i64>, Option<i64>);

#[derive(Debug, Clone, Copy, Default)]
struct GroupState {
    n_claimed: u64,
    /// The priority of the last job that was handed out by priority alone.
    usual: Option<i64>,
    /// The priority of the last job that was taken from below.
    low: Option<i64>,
    /// Nothing was found below; not to be looked for before.
    look_below_us: i64,
}

impl Course {
    fn state(&self) -> MutexGuard<'_, CourseState> {
        // Each critical section leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns of placements that were stored since the last time, at once or where a moment has passed since: other coordinators store some, too.
    async fn learn(&self, tx: &mut Transaction, now_us: i64) -> Result<(), sqlx::Error> {
        let last = {
            let mut state = self.state();
            if now_us > state.learned_us && now_us < state.learned_us + MOMENT_US {
                return Ok(());
            }
            state.learned_us = now_us;
            state.last_placement
        };
        let rows = tx.all(sql::NEW_PLACEMENTS, args![last]).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            found.push((row.get::<i64>("id")?, placements::requirements(row)?));
        }
        let mut state = self.state();
        for (id, requirements) in found {
            // Nobody else may have learned of it in between.
            if id > state.last_placement {
                state.last_placement = id;
                state.placements.push((id, requirements));
            }
        }
        Ok(())
    }

    /// The placements that a worker meets.
    fn allowed(&self, offered: &Capabilities) -> Vec<i64> {
        let state = self.state();
        state.placements.iter().filter(|(_, needed)| needed.lacks(offered).is_empty()).map(|(id, _)| *id).collect()
    }

    /// Lets the next claim look for new placements: some were stored here.
    pub(super) fn forget_placements(&self) {
        self.state().learned_us = 0;
    }

    fn group(&self, group: &Group) -> GroupState {
        self.state().groups.get(group).copied().unwrap_or_default()
    }

    fn set_group(&self, group: &Group, now: GroupState) {
        let groups = &mut self.state().groups;
        // Workers come and go; what is forgotten costs nobody more than a turn.
        if groups.len() >= GROUPS_MOST && !groups.contains_key(group) {
            groups.clear();
        }
        groups.insert(group.clone(), now);
    }
}

impl GroupState {
    /// How many of the next `n_jobs` are to be taken from below.
    fn n_low(&self, n_jobs: usize, now_us: i64) -> usize {
        if now_us < self.look_below_us && now_us + MOMENT_US > self.look_below_us {
            return 0;
        }
        ((self.n_claimed + n_jobs as u64) / LOW_PRIORITY_SHARE - self.n_claimed / LOW_PRIORITY_SHARE) as usize
    }

    /// The highest priorities that a job from below may have, to be tried in this order.
    fn ceilings(&self) -> Vec<i64> {
        let Some(usual) = self.usual else { return Vec::new() };
        let below = |priority: i64| priority.saturating_sub(1);
        match self.low.filter(|low| *low < usual) {
            Some(low) => vec![below(low), below(usual)],
            None => vec![below(usual)],
        }
    }
}

/// What one request wants, as the claims of a batch see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want<'a> {
    pub(super) session: &'a OpenSession,
    pub(super) n_jobs: usize,
    pub(super) sweep: Option<i64>,
}

/// A leased job, with what it is handed over with.
struct Leased {
    job_id: i64,
    session_id: i64,
    priority: i64,
    turn: i64,
    job: ClaimedJob,
}

impl Leased {
    fn read(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            job_id: row.get("job_id")?,
            session_id: row.get("session_id")?,
            priority: row.get("priority")?,
            turn: row.get("turn")?,
            job: ClaimedJob { attempt: attempt_ref(row)?, config_json: row.get("config")? },
        })
    }
}

/// Leases jobs to all that want some, until `lease_until_us`; the answers are in the order of the wants.
pub(super) async fn claim(
    tx: &mut Transaction,
    course: &Course,
    wants: &[Want<'_>],
    now_us: i64,
    lease_until_us: i64,
) -> Result<Vec<Vec<ClaimedJob>>, sqlx::Error> {
    let mut answers = vec![Vec::new(); wants.len()];
    if wants.iter().all(|want| want.n_jobs == 0) {
        return Ok(answers);
    }
    course.learn(tx, now_us).await?;
    // Workers that offer the same are served by one statement.
    let mut groups: HashMap<Group, Vec<usize>> = HashMap::new();
    for (index, want) in wants.iter().enumerate().filter(|(_, want)| want.n_jobs > 0 && !want.session.is_draining()) {
        groups.entry((course.allowed(&want.session.capabilities), want.sweep)).or_default().push(index);
    }
    let mut groups: Vec<_> = groups.into_iter().filter(|((allowed, _), _)| !allowed.is_empty()).collect();
    // Whoever came first, first.
    groups.sort_by_key(|(_, members)| members.first().copied());
    for (group, members) in groups {
        let places = places(wants, &members);
        let mut leased = lease(tx, course, &group, &places, now_us, lease_until_us).await?;
        leased.sort_by_key(|leased| (std::cmp::Reverse(leased.priority), leased.turn, leased.job_id));
        hand_over(&mut answers, wants, &members, leased);
    }
    Ok(answers)
}

/// The sessions to serve, one a job, everybody's first before anybody's second: when there are too few jobs, all get some.
fn places(wants: &[Want<'_>], members: &[usize]) -> Vec<i64> {
    let most = members.iter().map(|index| wants[*index].n_jobs).max().unwrap_or(0);
    let rounds = (0..most).flat_map(|round| members.iter().filter(move |index| wants[**index].n_jobs > round));
    rounds.take(MOST_JOBS).map(|index| wants[*index].session.id.id).collect()
}

async fn lease(
    tx: &mut Transaction,
    course: &Course,
    group: &Group,
    places: &[i64],
    now_us: i64,
    lease_until_us: i64,
) -> Result<Vec<Leased>, sqlx::Error> {
    let (allowed, sweep) = (json(&group.0), group.1);
    let mut state = course.group(group);
    let mut leased = Vec::new();
    let mut take = async |places: &[i64], ceiling: i64| -> Result<Vec<Leased>, sqlx::Error> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let values = args![&allowed, json(places), lease_until_us, ceiling, places.len() as i64, sweep, now_us];
        tx.all(sql::CLAIM, values).await?.iter().map(Leased::read).collect()
    };
    let n_low = state.n_low(places.len(), now_us);
    if n_low > 0 {
        state.look_below_us = now_us + MOMENT_US;
        for ceiling in state.ceilings() {
            let low = take(&places[..n_low], ceiling).await?;
            state.low = low.iter().map(|leased| leased.priority).min();
            if !low.is_empty() {
                state.look_below_us = 0;
                leased.extend(low);
                break;
            }
        }
    }
    // What is left of the places, whoever got a job from below.
    let mut rest = places.to_vec();
    for served in &leased {
        let place = rest.iter().position(|session| *session == served.session_id).expect("only who asked was served");
        rest.remove(place);
    }
    let usual = take(&rest, NO_CEILING).await?;
    if let Some(priority) = usual.iter().map(|leased| leased.priority).min() {
        state.usual = Some(priority);
    }
    leased.extend(usual);
    state.n_claimed += leased.len() as u64;
    course.set_group(group, state);
    Ok(leased)
}

fn hand_over(answers: &mut [Vec<ClaimedJob>], wants: &[Want<'_>], members: &[usize], leased: Vec<Leased>) {
    let mut by_session: HashMap<i64, VecDeque<ClaimedJob>> = HashMap::new();
    for leased in leased {
        by_session.entry(leased.session_id).or_default().push_back(leased.job);
    }
    for index in members {
        if let Some(jobs) = by_session.get_mut(&wants[*index].session.id.id) {
            let n_jobs = wants[*index].n_jobs.min(jobs.len());
            answers[*index].extend(jobs.drain(..n_jobs));
        }
    }
}

/// The attempt that a row with key and number speaks of.
pub(super) fn attempt_ref(row: &Row) -> Result<AttemptRef, sqlx::Error> {
    let key: String = row.get("key")?;
    let key = JobKey::parse(&key).ok_or_else(|| sqlx::Error::Decode(format!("`{key}` is not a job key").into()))?;
    Ok(AttemptRef { key, attempt: row.get("attempt")? })
}

/// A lease to renew, as `renew.sql` reads it.
#[derive(Debug, Serialize)]
pub(super) struct Renewal<'a> {
    pub(super) key: &'a str,
    pub(super) attempt: u32,
    pub(super) session: i64,
}
