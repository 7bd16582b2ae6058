//! What the coordinator tells a worker in the answers to its heartbeats: drain, give back, cancelled.

use std::time::Duration;

use offramp_proto::v1;
use offramp_worker::{Config, Summary};

use crate::coordinator::{Coordinator, Id};
use crate::reserves::held_after;
use crate::testing;
use crate::workers::{Worker, config, start, submit};

/// Jobs whose only epoch is the last, so that the next is reserved from the start.
fn submit_short(coordinator: &Coordinator, n_jobs: u64) -> Vec<Id> {
    let short = |seed| {
        let mut job = testing::config("digits", seed);
        job.recipe.epochs = 1;
        coordinator.submit(&job)
    };
    (0..n_jobs).map(short).collect()
}

/// Tells the worker to drain, and waits until it knows: its heartbeats wait for each other.
async fn told_to_drain(coordinator: &Coordinator) {
    coordinator.state.send_modify(|state| state.drain = true);
    coordinator.until("the worker has been told", |state| state.n_told_to_drain >= 2).await;
}

async fn ends_drained(coordinator: &Coordinator, worker: Worker, expected: Summary) {
    assert_eq!(worker.end().await.expect("a drain is no error"), Summary { drained: true, ..expected });
    assert!(coordinator.state.borrow().ended.contains("session-0"), "the session is closed");
}

#[tokio::test]
async fn an_idle_worker_that_is_drained_ends_at_once() {
    let coordinator = Coordinator::start();
    let worker = start(Config { n_slots: 2, ..config(&coordinator, "") });
    coordinator.until("both slots wait for work", |state| state.n_claims == 2).await;
    let since = tokio::time::Instant::now();
    coordinator.state.send_modify(|state| state.drain = true);
    ends_drained(&coordinator, worker, Summary::default()).await;
    // The claims that were waiting would have gone on for twenty.
    assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_drained_worker_finishes_what_it_runs_and_claims_nothing_more() {
    let coordinator = Coordinator::start();
    let jobs = submit(&coordinator, 3);
    let folder = tempfile::tempdir().unwrap();
    let (trainer, go_on) = held_after(1, folder.path());
    let worker = start(Config { trainer, ..config(&coordinator, "") });
    coordinator.until("the first runs", |state| state.epochs.contains_key(&jobs[0])).await;
    told_to_drain(&coordinator).await;
    std::fs::write(go_on, "").unwrap();
    ends_drained(&coordinator, worker, Summary { n_completed: 1, ..Summary::default() }).await;
    let state = coordinator.state.borrow();
    assert_eq!((state.completed.len(), state.queue.len(), state.leased.len()), (1, 2, 0));
    assert!(state.completed.contains_key(&jobs[0]));
}

#[tokio::test]
async fn a_drained_worker_gives_its_reserve_back_at_once_and_the_rest_when_told() {
    let coordinator = Coordinator::start();
    let jobs = submit_short(&coordinator, 2);
    let worker = start(config(&coordinator, "epoch-ms=60000"));
    coordinator.until("both are held", |state| state.n_renewals.len() == 2).await;
    coordinator.state.send_modify(|state| state.drain = true);
    coordinator.until("the second is given back", |state| state.released == jobs[1..]).await;
    coordinator.renewed_again(&jobs[0]).await;
    coordinator.state.send_modify(|state| state.give_back = true);
    ends_drained(&coordinator, worker, Summary { n_released: 2, ..Summary::default() }).await;
    assert_eq!(coordinator.state.borrow().released, [jobs[1].clone(), jobs[0].clone()]);
}

#[tokio::test]
async fn a_worker_that_is_to_give_back_does_not_wait_for_its_runs() {
    let coordinator = Coordinator::start();
    let jobs = submit(&coordinator, 1);
    let worker = start(Config { n_slots: 2, ..config(&coordinator, "epoch-ms=60000") });
    coordinator.until("one slot runs, one waits for work", |state| state.n_renewals.len() == 1 && state.n_claims == 2).await;
    coordinator.state.send_modify(|state| (state.drain, state.give_back) = (true, true));
    ends_drained(&coordinator, worker, Summary { n_released: 1, ..Summary::default() }).await;
    assert_eq!(coordinator.state.borrow().released, jobs);
}

#[tokio::test]
async fn a_lease_that_is_granted_to_a_drained_worker_is_given_back() {
    let coordinator = Coordinator::start();
    let running = submit(&coordinator, 1);
    let worker = start(Config { n_slots: 2, ..config(&coordinator, "epoch-ms=60000") });
    coordinator.until("one slot runs, one waits for work", |state| state.n_renewals.len() == 1 && state.n_claims == 2).await;
    told_to_drain(&coordinator).await;
    // The claim still waits at this coordinator, which grants it.
    let late = coordinator.submit(&testing::config("digits", 9));
    coordinator.until("it is given back", |state| state.released == [late.clone()]).await;
    coordinator.renewed_again(&running[0]).await;
    assert_eq!(coordinator.state.borrow().n_claims, 2, "nothing more was claimed");
    coordinator.state.send_modify(|state| state.give_back = true);
    ends_drained(&coordinator, worker, Summary { n_released: 2, ..Summary::default() }).await;
}

#[tokio::test]
async fn a_lease_that_comes_with_the_last_report_of_a_drained_worker_is_given_back() {
    let coordinator = Coordinator::start();
    coordinator.state.send_modify(|state| state.hold_reports = true);
    // It fails before anything is reserved, so its report asks for the next.
    coordinator.submit_lease(v1::Lease { job_key: "0123456789abcdef0123456789abcdef".into(), attempt: 1, config_json: "{}".into() });
    let worker = start(config(&coordinator, "epoch-ms=60000"));
    coordinator.until("the report waits for its answer", |state| state.reports == [(1, 1)]).await;
    told_to_drain(&coordinator).await;
    let late = coordinator.submit(&testing::config("digits", 1));
    coordinator.state.send_modify(|state| state.hold_reports = false);
    ends_drained(&coordinator, worker, Summary { n_failed: 1, n_released: 1, ..Summary::default() }).await;
    assert_eq!(coordinator.state.borrow().released, [late]);
}

#[tokio::test]
async fn a_signal_goes_before_a_drain() {
    let coordinator = Coordinator::start();
    submit(&coordinator, 1);
    let worker = start(config(&coordinator, "epoch-ms=60000"));
    coordinator.until("it runs", |state| state.n_renewals.len() == 1).await;
    told_to_drain(&coordinator).await;
    assert_eq!(worker.drain().await, Summary { n_released: 1, drained: true, ..Summary::default() });
}

#[tokio::test]
async fn a_cancelled_run_is_stopped_and_the_slot_goes_on() {
    let coordinator = Coordinator::start();
    let jobs = submit(&coordinator, 2);
    let worker = start(config(&coordinator, "epoch-ms=60000"));
    coordinator.until("the first runs", |state| state.n_renewals.contains_key(&jobs[0])).await;
    let since = tokio::time::Instant::now();
    coordinator.state.send_modify(|state| state.cancel(&jobs[0]));
    coordinator.until("the second runs", |state| state.n_renewals.contains_key(&jobs[1])).await;
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert_eq!(worker.drain().await, Summary { n_cancelled: 1, n_released: 1, ..Summary::default() });
    assert_eq!(coordinator.state.borrow().n_stale_reports, 0, "of the first there is nothing to tell");
}

#[tokio::test]
async fn a_reserve_that_is_cancelled_never_runs() {
    let coordinator = Coordinator::start();
    let jobs = submit_short(&coordinator, 3);
    let worker = start(config(&coordinator, "epoch-ms=60000"));
    coordinator.until("two are held", |state| state.n_renewals.len() == 2).await;
    coordinator.state.send_modify(|state| state.cancel(&jobs[1]));
    coordinator.until("the third takes its place", |state| state.n_renewals.contains_key(&jobs[2])).await;
    assert_eq!(worker.drain().await, Summary { n_cancelled: 1, n_released: 2, ..Summary::default() });
}
