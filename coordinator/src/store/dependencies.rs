//! Jobs that wait for other jobs' results.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use offramp_domain::lifecycle::{self, Event, Limits, State, Tally};
use serde::Serialize;

use super::engine::args;
use super::{Transaction, json, sql};

/// A job that ends without ever being leased again, as `end_unleased.sql` reads it.
#[derive(Serialize)]
pub(super) struct Unleased<'a> {
    pub(super) job_id: i64,
    pub(super) error: &'a str,
}

/// Queues what waited for nothing but these jobs' results; whether there was any.
pub(super) async fn release(tx: &mut Transaction, succeeded: &[i64], now_us: i64) -> Result<bool, sqlx::Error> {
    let waiting = dependants(tx, succeeded).await?;
    unblock(tx, &waiting, now_us).await
}

/// Queues those of the blocked jobs that have nothing left to wait for; whether there was any.
pub(super) async fn unblock(tx: &mut Transaction, waiting: &[i64], now_us: i64) -> Result<bool, sqlx::Error> {
    if waiting.is_empty() {
        return Ok(false);
    }
    let next = after(Event::Unblocked);
    let mut events = Vec::new();
    for row in tx.all(sql::UNBLOCK, args![json(waiting)]).await? {
        let (job_id, attempt): (i64, u32) = (row.get("job_id")?, row.get("attempt")?);
        let message = "every job that it waits for has its result";
        events.push(args![now_us, job_id, None::<i64>, attempt, "unblocked", next.as_str(), "coordinator", message].to_vec());
    }
    let any = !events.is_empty();
    tx.insert(sql::INSERT_EVENT, events).await?;
    Ok(any)
}

/// Fails what waits for these jobs, which ended without a result, and what waits for that in turn. Then looks at the circuit breakers of every
/// sweep that has any of them.
pub(super) async fn fail(tx: &mut Transaction, failed: &[i64], now_us: i64) -> Result<(), sqlx::Error> {
    let mut all: BTreeSet<i64> = failed.iter().copied().collect();
    let mut level = failed.to_vec();
    while !level.is_empty() {
        let waiting = dependants(tx, &level).await?;
        level = fail_among(tx, &waiting, now_us).await?;
        all.extend(&level);
    }
    super::control::trip_breakers(tx, &all.into_iter().collect::<Vec<_>>(), now_us).await
}

/// Fails those of the blocked jobs that wait for one which ended without a result.
async fn fail_among(tx: &mut Transaction, blocked: &[i64], now_us: i64) -> Result<Vec<i64>, sqlx::Error> {
    if blocked.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for row in tx.all(sql::FAILED_DEPENDENCIES, args![json(blocked)]).await? {
        let (key, state): (String, String) = (row.get("awaited_key")?, row.get("awaited_state")?);
        let error = format!("job {}, whose result it waits for, is {state}", key.chars().take(12).collect::<String>());
        found.push((row.get::<i64>("job_id")?, row.get::<u32>("attempt")?, error));
    }
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let next = after(Event::DependencyFailed);
    let ended: Vec<Unleased<'_>> = found.iter().map(|(job_id, _, error)| Unleased { job_id: *job_id, error }).collect();
    tx.run(sql::END_UNLEASED, args![json(&ended), next.as_str(), now_us]).await?;
    let event = |(job_id, attempt, error): &(i64, u32, String)| {
        args![now_us, *job_id, None::<i64>, *attempt, "dependency-failed", next.as_str(), "coordinator", error].to_vec()
    };
    tx.insert(sql::INSERT_EVENT, found.iter().map(event).collect()).await?;
    Ok(found.into_iter().map(|(job_id, ..)| job_id).collect())
}

/// Blocks those of the queued jobs that have to wait, and fails those that would wait for ever.
pub(super) async fn block(tx: &mut Transaction, jobs: &[i64], now_us: i64) -> Result<(), sqlx::Error> {
    if jobs.is_empty() {
        return Ok(());
    }
    tx.run_on_postgres(sql::postgres::LOCK_AWAITED_JOBS, args![json(jobs)]).await?;
    let mut events = Vec::new();
    for row in tx.all(sql::BLOCK, args![json(jobs)]).await? {
        let (job_id, attempt): (i64, u32) = (row.get("job_id")?, row.get("attempt")?);
        let message = "a job that it waits for has no result yet";
        events.push(args![now_us, job_id, None::<i64>, attempt, "blocked", State::Blocked.as_str(), "coordinator", message].to_vec());
    }
    tx.insert(sql::INSERT_EVENT, events).await?;
    let failed = fail_among(tx, jobs, now_us).await?;
    fail(tx, &failed, now_us).await
}

/// Blocks what waits for its turn and had waited for these jobs, whose results were taken back.
pub(super) async fn wait_again(tx: &mut Transaction, taken_back: &[i64], now_us: i64) -> Result<(), sqlx::Error> {
    let rows = tx.all(sql::QUEUED_DEPENDANTS, args![json(taken_back)]).await?;
    let waiting: Vec<i64> = rows.iter().map(|row| row.get("job_id")).collect::<Result<_, _>>()?;
    block(tx, &waiting, now_us).await
}

/// The jobs that are blocked and wait for one of these.
pub(super) async fn dependants(tx: &mut Transaction, of: &[i64]) -> Result<Vec<i64>, sqlx::Error> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    tx.all(sql::BLOCKED_DEPENDANTS, args![json(of)]).await?.iter().map(|row| row.get("job_id")).collect()
}

fn after(event: Event) -> State {
    // Neither tally nor limits matter to a blocked job.
    let limits = Limits { max_failures: 1, quarantine_after: 1 };
    lifecycle::step(State::Blocked, event, Tally::default(), limits).expect("a blocked job takes this event").state
}

/// One of the jobs that wait for themselves by way of others, where there is one. Dependencies of different sweeps can come to that, though none
/// of them does.
pub(super) async fn cycle(tx: &mut Transaction, jobs: &[i64]) -> Result<Option<Vec<i64>>, sqlx::Error> {
    let mut waits_for: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut level = jobs.to_vec();
    while !level.is_empty() {
        let mut next = BTreeSet::new();
        for job in &level {
            waits_for.entry(*job).or_default();
        }
        for row in tx.all(sql::DEPENDENCIES_OF, args![json(&level)]).await? {
            let (job, awaited): (i64, i64) = (row.get("job_id")?, row.get("waits_for_id")?);
            waits_for.entry(job).or_default().push(awaited);
            if !waits_for.contains_key(&awaited) {
                next.insert(awaited);
            }
        }
        level = next.into_iter().collect();
    }
    Ok(find_cycle(&waits_for))
}

/// Takes jobs away that wait for nothing that is left, until none is: what remains waits in a circle, or for one.
fn find_cycle(waits_for: &HashMap<i64, Vec<i64>>) -> Option<Vec<i64>> {
    let mut n_open: BTreeMap<i64, usize> = waits_for.iter().map(|(job, awaited)| (*job, awaited.len())).collect();
    let mut awaited_by: HashMap<i64, Vec<i64>> = HashMap::new();
    for (job, awaited) in waits_for {
        for other in awaited {
            awaited_by.entry(*other).or_default().push(*job);
        }
    }
    let mut free: Vec<i64> = n_open.iter().filter(|(_, n_open)| **n_open == 0).map(|(job, _)| *job).collect();
    while let Some(job) = free.pop() {
        n_open.remove(&job);
        for other in awaited_by.get(&job).into_iter().flatten() {
            let left = n_open.get_mut(other).expect("it waits for this one, so it is still there");
            *left -= 1;
            if *left == 0 {
                free.push(*other);
            }
        }
    }
    // Following what remains leads into the circle.
    let mut chain = vec![*n_open.keys().next()?];
    loop {
        let last = chain[chain.len() - 1];
        let next = waits_for[&last].iter().find(|awaited| n_open.contains_key(awaited)).expect("it waits for one that remains");
        if let Some(start) = chain.iter().position(|job| job == next) {
            return Some(chain.split_off(start));
        }
        chain.push(*next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(i64, i64)]) -> HashMap<i64, Vec<i64>> {
        let mut graph: HashMap<i64, Vec<i64>> = HashMap::new();
        for (job, awaited) in edges {
            graph.entry(*job).or_default().push(*awaited);
            graph.entry(*awaited).or_default();
        }
        graph
    }

    #[test]
    fn circles_are_found_and_what_leads_to_them_is_left_out() {
        assert_eq!(find_cycle(&graph(&[(1, 2), (1, 3), (2, 4), (3, 4)])), None);
        let mut found = find_cycle(&graph(&[(1, 2), (2, 3), (3, 4), (4, 2), (4, 5)])).unwrap();
        found.sort_unstable();
        assert_eq!(found, [2, 3, 4]);
        assert_eq!(find_cycle(&graph(&[(7, 7)])), Some(vec![7]));
    }
}
