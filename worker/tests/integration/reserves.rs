//! What a slot holds besides its run: the lease that comes next, and reports that nobody has answered yet.

use std::path::{Path, PathBuf};

use offramp_proto::v1::{self, from_trainer};
use offramp_worker::{Summary, TrainerCommand};
use prost::Message;

use crate::coordinator::{Coordinator, Id, State};
use crate::workers::{Worker, all_epochs, config, start, submit};
use crate::{script, simulated_trainer, testing};

/// A trainer that gets this far into its first job of three epochs and stays there, deaf to everything.
pub(crate) fn stuck_after(epoch: u32, folder: &Path) -> TrainerCommand {
    let file = progress_file(epoch, folder);
    script(&format!("printf '\\007\\n\\005\\n\\003sim'; head -c 1 >/dev/null; cat '{}'; exec sleep 600", file.display()))
}

/// A trainer that gets this far into its first job of three epochs, stays there until there is the file that is named along with it, and then works
/// like a simulated one.
pub(crate) fn held_after(epoch: u32, folder: &Path) -> (TrainerCommand, PathBuf) {
    let (progress, first, go_on) = (progress_file(epoch, folder), folder.join("first"), folder.join("go-on"));
    let simulated = simulated_trainer("").program;
    let ready = v1::FromTrainer { message: Some(from_trainer::Message::Ready(v1::Ready { trainer: "simulated".into() })) };
    // What comes after that it is ready answers its orders.
    let text = format!(
        "'{}' epoch-ms=1 | {{ dd bs={} count=1; dd bs=1 count=1 of='{first}'; cat '{}'; while [ ! -e '{}' ]; do sleep 0.01; done; \
         cat '{first}' -; }} 2>/dev/null",
        simulated.display(),
        ready.encode_length_delimited_to_vec().len(),
        progress.display(),
        go_on.display(),
        first = first.display(),
    );
    (script(&text), go_on)
}

/// A file with the message that this epoch of three is finished.
fn progress_file(epoch: u32, folder: &Path) -> PathBuf {
    let progress = v1::Progress { epoch, n_epochs: 3, loss: 1.0, exit_accuracy: vec![0.5], images_per_second: 1.0 };
    let message = v1::FromTrainer { message: Some(from_trainer::Message::Progress(progress)) };
    let file = folder.join("progress");
    std::fs::write(&file, message.encode_length_delimited_to_vec()).unwrap();
    file
}

/// A worker that is stuck in its first job after `epoch` of three, and the jobs.
async fn stuck_worker(coordinator: &Coordinator, epoch: u32, n_jobs: u64) -> (Worker, Vec<Id>) {
    let jobs = submit(coordinator, n_jobs);
    let folder = tempfile::tempdir().unwrap();
    let worker = start(offramp_worker::Config { trainer: stuck_after(epoch, folder.path()), ..config(coordinator, "") });
    coordinator.until("the epoch is told", |state| state.epochs.get(&jobs[0]).is_some_and(|epochs| epochs.contains(&epoch))).await;
    (worker, jobs)
}

async fn abort(worker: Worker) {
    worker.shutdown.abort.cancel();
    worker.end().await.expect("an abort is no error");
}

#[tokio::test]
async fn nothing_is_reserved_before_the_last_epoch() {
    let coordinator = Coordinator::start();
    let (worker, jobs) = stuck_worker(&coordinator, 1, 2).await;
    coordinator.renewed_again(&jobs[0]).await;
    assert_eq!(coordinator.state.borrow().n_claims, 1);
    abort(worker).await;
}

#[tokio::test]
async fn one_job_is_reserved_in_the_last_epoch_and_renewed() {
    let coordinator = Coordinator::start();
    let (worker, jobs) = stuck_worker(&coordinator, 2, 3).await;
    coordinator.renewed_again(&jobs[1]).await;
    assert_eq!(coordinator.state.borrow().n_claims, 2);
    abort(worker).await;
}

#[tokio::test]
async fn the_only_epoch_is_the_last() {
    let coordinator = Coordinator::start();
    for seed in [1, 2] {
        let mut job = testing::config("digits", seed);
        job.recipe.epochs = 1;
        coordinator.submit(&job);
    }
    let worker = start(config(&coordinator, "epoch-ms=60000"));
    coordinator.until("both are held", |state| state.n_renewals.len() == 2).await;
    assert_eq!(worker.drain().await, Summary { n_released: 2, ..Summary::default() });
}

#[tokio::test]
async fn a_reserve_that_is_lost_is_replaced_without_having_run() {
    let coordinator = Coordinator::start();
    let (worker, jobs) = stuck_worker(&coordinator, 2, 3).await;
    coordinator.until("the next is leased", |state| state.leased.contains_key(&jobs[1])).await;
    coordinator.state.send_modify(|state| {
        state.leased.remove(&jobs[1]);
    });
    coordinator.until("another takes its place", |state| state.leased.contains_key(&jobs[2])).await;
    // The first still runs, on the only trainer.
    coordinator.renewed_again(&jobs[0]).await;
    assert_eq!(worker.drain().await, Summary { n_stale: 1, n_released: 2, ..Summary::default() });
    assert_eq!(coordinator.state.borrow().n_stale_reports, 0);
}

#[tokio::test]
async fn a_draining_worker_gives_its_reserve_back_at_once() {
    let coordinator = Coordinator::start();
    let (worker, jobs) = stuck_worker(&coordinator, 2, 2).await;
    coordinator.until("the next is held", |state| state.n_renewals.contains_key(&jobs[1])).await;
    assert_eq!(worker.drain().await, Summary { n_released: 2, ..Summary::default() });
    // The run is deaf and has to be killed first.
    assert_eq!(coordinator.state.borrow().released, [jobs[1].clone(), jobs[0].clone()]);
}

/// Leaves results unanswered, and waits until as many are due as a slot may have.
async fn hold_reports(coordinator: &Coordinator, n_jobs: u64) -> (Worker, Vec<Id>) {
    coordinator.state.send_modify(|state| state.hold_reports = true);
    let jobs = submit(coordinator, n_jobs);
    let worker = start(config(coordinator, "epoch-ms=20"));
    coordinator.until("the second result is due as well", |state| state.held_reports.len() == 2).await;
    (worker, jobs)
}

#[tokio::test]
async fn the_next_job_runs_while_a_result_is_unanswered_and_the_one_after_waits() {
    let coordinator = Coordinator::start();
    let (worker, jobs) = hold_reports(&coordinator, 4).await;
    for job in &jobs[..2] {
        assert_eq!(coordinator.state.borrow().epochs[job], all_epochs());
        coordinator.renewed_again(job).await;
    }
    // The third is asked for along with the second report.
    assert_eq!((coordinator.state.borrow().completed.len(), coordinator.state.borrow().n_claims), (0, 2));
    assert_eq!(coordinator.state.borrow().reports, [(1, 0), (1, 1)]);
    coordinator.state.send_modify(|state| state.hold_reports = false);
    coordinator.until("all are completed", |state: &State| state.completed.len() == 4).await;
    assert_eq!(coordinator.state.borrow().most_leased, 2, "one slot, one reserve");
    assert_eq!(worker.drain().await, Summary { n_completed: 4, ..Summary::default() });
}

#[tokio::test]
async fn a_lease_that_comes_with_a_report_counts_among_those_that_a_slot_may_hold() {
    let coordinator = Coordinator::start();
    // It fails before anything is reserved, so its report asks for the next.
    coordinator.submit_lease(v1::Lease { job_key: "0123456789abcdef0123456789abcdef".into(), attempt: 1, config_json: "{}".into() });
    let jobs = submit(&coordinator, 4);
    let worker = start(config(&coordinator, "epoch-ms=200"));
    coordinator.until("the next has come with the report", |state| state.leased.contains_key(&jobs[0])).await;
    coordinator.state.send_modify(|state| state.hold_reports = true);
    coordinator.until("two results are due", |state| state.held_reports.len() == 2).await;
    coordinator.renewed_again(&jobs[0]).await;
    assert_eq!(coordinator.state.borrow().most_leased, 2);
    coordinator.state.send_modify(|state| state.hold_reports = false);
    coordinator.until("all are completed", |state: &State| state.completed.len() == 4).await;
    assert_eq!(worker.drain().await, Summary { n_completed: 4, n_failed: 1, ..Summary::default() });
}

#[tokio::test]
async fn a_draining_worker_delivers_what_is_unanswered() {
    let coordinator = Coordinator::start();
    let (worker, jobs) = hold_reports(&coordinator, 3).await;
    worker.shutdown.drain.cancel();
    coordinator.renewed_again(&jobs[0]).await;
    coordinator.state.send_modify(|state| state.hold_reports = false);
    // What the second report had already asked for comes, and goes back.
    assert_eq!(worker.drain().await, Summary { n_completed: 2, n_released: 1, ..Summary::default() });
    assert_eq!(coordinator.state.borrow().released, [jobs[2].clone()]);
}
