//! Reports: several in one call, each with an answer of its own, and the next job along with it.

use offramp_proto::v1::{self, ReportAnswer};
use offramp_worker::{Config, Summary};
use tonic::Code;

use crate::coordinator::{Coordinator, Id, State};
use crate::reserves::stuck_after;
use crate::workers::{Worker, config, start, submit};

/// A worker of four slots, each with a run that is stuck in its last epoch, and a reserve; the reserves' ids.
async fn four_reserves(coordinator: &Coordinator) -> (Worker, Vec<Id>) {
    let jobs = submit(coordinator, 8);
    let folder = tempfile::tempdir().unwrap();
    let worker = start(Config { n_slots: 4, trainer: stuck_after(2, folder.path()), ..config(coordinator, "") });
    let all_held = |state: &State| state.epochs.len() == 4 && state.n_renewals.len() == 8;
    coordinator.until("four run, and four are in reserve", all_held).await;
    let state = coordinator.state.borrow();
    (worker, jobs.into_iter().filter(|job| !state.epochs.contains_key(job)).collect())
}

/// A lease that fails as soon as it is begun: its configuration cannot be read.
fn unreadable(attempt: u32) -> v1::Lease {
    v1::Lease { job_key: "0123456789abcdef0123456789abcdef".into(), attempt, config_json: "{}".into() }
}

#[tokio::test]
async fn what_is_due_at_once_shares_a_call_and_each_has_its_own_answer() {
    let coordinator = Coordinator::start();
    let (worker, reserves) = four_reserves(&coordinator).await;
    coordinator.state.send_modify(|state| {
        state.answers.insert(reserves[0].clone(), ReportAnswer::Cancelled);
        state.answers.insert(reserves[1].clone(), ReportAnswer::Stale);
        state.answers.insert(reserves[2].clone(), ReportAnswer::Unspecified);
        state.drain = true;
    });
    coordinator.until("the reserves are given back", |state| !state.reports.is_empty()).await;
    coordinator.until("the last is accepted", |state| state.released == reserves[3..]).await;
    assert_eq!(coordinator.state.borrow().reports, [(4, 0)]);
    coordinator.state.send_modify(|state| state.give_back = true);
    let expected = Summary { n_cancelled: 1, n_stale: 2, n_released: 1 + 4, drained: true, ..Summary::default() };
    assert_eq!(worker.end().await.unwrap(), expected);
}

#[tokio::test]
async fn a_report_that_spoils_its_call_affects_no_other() {
    let coordinator = Coordinator::start();
    let (worker, reserves) = four_reserves(&coordinator).await;
    coordinator.state.send_modify(|state| {
        state.poison = Some(reserves[1].clone());
        state.drain = true;
    });
    coordinator.until("the others are given back", |state| state.released.len() == 3).await;
    coordinator.until("each by itself", |state| state.reports.len() == 5).await;
    assert_eq!(coordinator.state.borrow().reports, [(4, 0), (1, 0), (1, 0), (1, 0), (1, 0)]);
    assert!(coordinator.state.borrow().leased.contains_key(&reserves[1]), "that lease runs out");
    coordinator.state.send_modify(|state| state.give_back = true);
    assert_eq!(worker.end().await.unwrap(), Summary { n_released: 3 + 4, drained: true, ..Summary::default() });
}

#[tokio::test]
async fn a_report_asks_for_the_next_job_where_none_is_in_reserve() {
    let coordinator = Coordinator::start();
    coordinator.submit_lease(unreadable(1));
    let next = submit(&coordinator, 1);
    let worker = start(config(&coordinator, "epoch-ms=60000"));
    coordinator.until("the next runs", |state| state.n_renewals.contains_key(&next[0])).await;
    assert_eq!((coordinator.state.borrow().n_claims, coordinator.state.borrow().reports.as_slice()), (1, [(1, 1)].as_slice()));
    assert_eq!(worker.drain().await, Summary { n_failed: 1, n_released: 1, ..Summary::default() });
}

#[tokio::test]
async fn a_slot_whose_report_brings_nothing_claims_by_itself() {
    let coordinator = Coordinator::start();
    coordinator.submit_lease(unreadable(1));
    let worker = start(config(&coordinator, "epoch-ms=1"));
    coordinator.until("it claims", |state| state.n_claims == 2).await;
    submit(&coordinator, 1);
    coordinator.until("what comes is completed", |state: &State| state.completed.len() == 1).await;
    assert_eq!(worker.drain().await, Summary { n_failed: 1, n_completed: 1, ..Summary::default() });
}

#[tokio::test]
async fn a_report_asks_for_a_job_once() {
    let coordinator = Coordinator::start();
    coordinator.submit_lease(unreadable(1));
    coordinator.state.send_modify(|state| state.n_to_fail = 2);
    let worker = start(config(&coordinator, ""));
    coordinator.until("it is reported", |state| state.failed.len() == 1).await;
    assert_eq!(coordinator.state.borrow().reports, [(1, 1), (1, 0), (1, 0)], "an answer that got lost may have granted one");
    coordinator.until("the slot claims by itself", |state| state.n_claims == 2).await;
    worker.drain().await;
}

#[tokio::test]
async fn no_report_asks_for_a_job_beside_a_claim() {
    let coordinator = Coordinator::start();
    let jobs = submit(&coordinator, 1);
    let worker = start(config(&coordinator, "epoch-ms=300"));
    coordinator.until("it is completed", |state| state.completed.contains_key(&jobs[0])).await;
    // In its last epoch the next job was claimed already, and the claim waits on.
    assert_eq!((coordinator.state.borrow().n_claims, coordinator.state.borrow().reports.as_slice()), (2, [(1, 0)].as_slice()));
    worker.drain().await;
}

#[tokio::test]
async fn a_report_outlives_an_outage() {
    let coordinator = Coordinator::start();
    coordinator.state.send_modify(|state| state.hold_reports = true);
    let jobs = submit(&coordinator, 1);
    let worker = start(config(&coordinator, "epoch-ms=1"));
    coordinator.until("the result is due", |state| state.held_reports.contains(&jobs[0])).await;
    coordinator.state.send_modify(|state| (state.trouble, state.hold_reports) = (Some(Code::Unavailable), false));
    coordinator.until("calls have failed", |state| state.n_troubles >= 5).await;
    coordinator.state.send_modify(|state| state.trouble = None);
    coordinator.until("the result is accepted", |state| state.completed.contains_key(&jobs[0])).await;
    assert_eq!(worker.drain().await, Summary { n_completed: 1, ..Summary::default() });
}
