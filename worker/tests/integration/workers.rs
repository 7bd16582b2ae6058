//! Whole workers with simulated trainers, against a coordinator in memory.

use std::collections::BTreeSet;
use std::time::Duration;

use offramp_domain::placement::{Capabilities, Datasets, DeviceKind};
use offramp_proto::v1::{self, FailureKind, ReportAnswer};
use offramp_worker::{Config, Shutdown, Summary, TrainerCommand, WorkerError};
use tokio::task::JoinHandle;
use tonic::Code;

use crate::coordinator::{Coordinator, Id, State};
use crate::deadline::within_deadline;
use crate::{processes, script, simulated_trainer, testing};

pub(crate) fn config(coordinator: &Coordinator, trainer: &str) -> Config {
    Config {
        coordinator: coordinator.url(),
        name: "test".into(),
        n_slots: 1,
        trainer: simulated_trainer(trainer),
        capabilities: Capabilities { device: None, memory_mib: None, datasets: Datasets::Any, labels: Vec::new() },
        sweep: None,
        embedded: false,
        give_up_after: Duration::from_mins(1),
        hang_after: Duration::from_mins(1),
    }
}

pub(crate) struct Worker {
    pub(crate) shutdown: Shutdown,
    running: JoinHandle<Result<Summary, WorkerError>>,
}

pub(crate) fn start(config: Config) -> Worker {
    let shutdown = Shutdown::default();
    Worker { running: tokio::spawn(offramp_worker::run(config, shutdown.clone())), shutdown }
}

impl Worker {
    pub(crate) async fn drain(self) -> Summary {
        self.shutdown.drain.cancel();
        self.end().await.expect("a drain is no error")
    }

    pub(crate) async fn end(self) -> Result<Summary, WorkerError> {
        within_deadline("the worker ends", self.running).await.expect("a worker does not panic")
    }
}

pub(crate) fn submit(coordinator: &Coordinator, n_jobs: u64) -> Vec<Id> {
    (0..n_jobs).map(|seed| coordinator.submit(&testing::config("digits", seed))).collect()
}

pub(crate) fn all_epochs() -> BTreeSet<u32> {
    BTreeSet::from([1, 2, 3])
}

#[tokio::test]
async fn a_queue_is_worked_off_with_every_epoch_told() {
    let coordinator = Coordinator::start();
    let jobs = submit(&coordinator, 8);
    let worker = start(Config { n_slots: 2, ..config(&coordinator, "epoch-ms=1") });
    coordinator.until("all are completed", |state| state.completed.len() == 8).await;
    let summary = worker.drain().await;
    assert_eq!(summary, Summary { n_completed: 8, ..Summary::default() });
    let state = coordinator.state.borrow();
    for job in jobs {
        assert_eq!(state.epochs[&job], all_epochs(), "no holes in the curve");
        assert_eq!(state.completed[&job].trainer, "simulated");
    }
    let (session, introduction) = &state.sessions[0];
    assert_eq!((introduction.worker.as_str(), introduction.n_slots, introduction.trainer.as_str()), ("test", 2, "simulated"));
    assert!(state.ended.contains(session), "the session is closed");
    assert_eq!(state.n_foreign, 0, "every call names the protocol");
}

#[tokio::test]
async fn a_worker_says_what_it_can_run() {
    let coordinator = Coordinator::start();
    let gpu = Capabilities {
        device: Some(DeviceKind::Cuda),
        memory_mib: Some(8_000),
        datasets: Datasets::Named(vec!["digits".into(), "cifar10".into()]),
        labels: vec!["a100".into()],
    };
    for (capabilities, expected) in [
        (
            gpu,
            v1::Capabilities {
                device: "cuda".into(),
                memory_mib: 8_000,
                datasets: vec!["digits".into(), "cifar10".into()],
                any_dataset: false,
                labels: vec!["a100".into()],
            },
        ),
        (config(&coordinator, "").capabilities, v1::Capabilities { any_dataset: true, ..v1::Capabilities::default() }),
    ] {
        let n_sessions = coordinator.state.borrow().sessions.len();
        let worker = start(Config { capabilities, ..config(&coordinator, "") });
        coordinator.until("it is introduced", |state| state.sessions.len() > n_sessions).await;
        assert_eq!(coordinator.state.borrow().sessions[n_sessions].1.capabilities, Some(expected));
        worker.drain().await;
    }
}

#[tokio::test]
async fn a_crash_is_told_with_the_last_words_of_the_trainer() {
    let coordinator = Coordinator::start();
    let jobs = submit(&coordinator, 1);
    let lines = "for line in $(seq 30); do echo \"line $line\" >&2; done";
    let trainer = script(&format!("printf '\\007\\n\\005\\n\\003sim'; head -c 1 >/dev/null; {lines}; kill -SEGV $$"));
    let worker = start(Config { trainer, ..config(&coordinator, "") });
    coordinator.until("it fails", |state| !state.failed.is_empty()).await;
    let last: Vec<String> = (11..=30).map(|line| format!("line {line}")).collect();
    let message = format!("trainer process ended with signal 11 (segmentation fault); its last output:\n{}", last.join("\n"));
    assert_eq!(coordinator.state.borrow().failed[&jobs[0]], (FailureKind::Crashed, message));
    worker.drain().await;
}

#[tokio::test]
async fn crashes_and_hangs_cost_an_attempt_and_not_the_worker() {
    let crash = ("crash=1", FailureKind::Crashed, "trainer process ended with signal 6 (aborted)");
    let hang = ("hang=1", FailureKind::TimedOut, "no progress for 0.5 s");
    for (fault, expected_kind, expected) in [crash, hang] {
        let coordinator = Coordinator::start();
        let jobs = submit(&coordinator, 2);
        let hang_after = Duration::from_millis(500);
        let worker = start(Config { hang_after, ..config(&coordinator, &format!("epoch-ms=1,{fault}")) });
        coordinator.until("both fail", |state| state.failed.len() == 2).await;
        assert_eq!(worker.drain().await.n_failed, 2);
        for job in jobs {
            let (kind, message) = &coordinator.state.borrow().failed[&job];
            assert_eq!(*kind, expected_kind);
            assert!(message.starts_with(expected), "{message}");
        }
    }
}

#[tokio::test]
async fn a_divergence_is_told_as_such() {
    let coordinator = Coordinator::start();
    let jobs = submit(&coordinator, 1);
    let worker = start(config(&coordinator, "epoch-ms=1,nan=1"));
    coordinator.until("it fails", |state| !state.failed.is_empty()).await;
    assert_eq!(coordinator.state.borrow().failed[&jobs[0]].0, FailureKind::Diverged);
    worker.drain().await;
}

#[tokio::test]
async fn leases_that_this_worker_cannot_read_fail_with_the_reason() {
    let coordinator = Coordinator::start();
    let lease = |attempt, config_json| v1::Lease { job_key: "0123456789abcdef0123456789abcdef".into(), attempt, config_json };
    coordinator.submit_lease(lease(1, r#"{"version":1,"backbone":"resnet8","novelty":true}"#.into()));
    coordinator.submit_lease(lease(2, testing::config("digits", 1).canonical_json()));
    let sound = submit(&coordinator, 1);
    let worker = start(config(&coordinator, "epoch-ms=1"));
    coordinator.until("the sound one is completed", |state| state.completed.contains_key(&sound[0])).await;
    assert_eq!(worker.drain().await, Summary { n_completed: 1, n_failed: 2, ..Summary::default() });
    let state = coordinator.state.borrow();
    let messages: Vec<&str> = state.failed.values().map(|(_, message)| message.as_str()).collect();
    assert!(messages[0].starts_with("not a job configuration: unknown field `novelty`"), "{}", messages[0]);
    assert!(messages[1].starts_with("the lease is for job 0123456789ab, but its configuration is that of job "), "{}", messages[1]);
}

#[tokio::test]
async fn a_lost_lease_stops_the_run_and_the_worker_goes_on() {
    let coordinator = Coordinator::start();
    submit(&coordinator, 1);
    let worker = start(config(&coordinator, "epoch-ms=60000"));
    coordinator.until("it is leased", |state| state.leased.len() == 1).await;
    coordinator.state.send_modify(|state| state.leased.clear());
    coordinator.until("another is claimed", |state| state.n_claims == 2).await;
    assert_eq!(worker.drain().await, Summary { n_stale: 1, ..Summary::default() });
    let state = coordinator.state.borrow();
    assert_eq!((state.completed.len(), state.failed.len(), state.released.len(), state.n_stale_reports), (0, 0, 0, 0));
}

#[tokio::test]
async fn a_result_that_comes_too_late_is_no_error() {
    let coordinator = Coordinator::start();
    let jobs = submit(&coordinator, 2);
    // Every call fails from the first epoch on, and the lease is gone when the coordinator is back.
    let worker = start(config(&coordinator, "epoch-ms=100"));
    coordinator.until("it runs", |state| state.epochs.contains_key(&jobs[0])).await;
    coordinator.state.send_modify(|state| state.trouble = Some(Code::Unavailable));
    coordinator.until("calls have failed", |state| state.n_troubles >= 3).await;
    coordinator.state.send_modify(|state| {
        state.leased.clear();
        state.trouble = None;
    });
    coordinator.until("the other is completed", |state| state.completed.contains_key(&jobs[1])).await;
    assert_eq!(worker.drain().await, Summary { n_completed: 1, n_stale: 1, ..Summary::default() });
    assert!(!coordinator.state.borrow().completed.contains_key(&jobs[0]));
}

#[tokio::test]
async fn an_outage_in_mid_run_loses_nothing() {
    for code in [Code::Unavailable, Code::Internal] {
        let coordinator = Coordinator::start();
        let jobs = submit(&coordinator, 1);
        let worker = start(config(&coordinator, "epoch-ms=100"));
        coordinator.until("the first epoch is told while it runs", |state| state.epochs.contains_key(&jobs[0])).await;
        coordinator.state.send_modify(|state| state.trouble = Some(code));
        coordinator.until("calls have failed", |state| state.n_troubles >= 5).await;
        coordinator.state.send_modify(|state| state.trouble = None);
        coordinator.until("it is completed", |state| state.completed.contains_key(&jobs[0])).await;
        assert_eq!(coordinator.state.borrow().epochs[&jobs[0]], all_epochs());
        assert_eq!(coordinator.state.borrow().sessions.len(), 1, "the session outlives the outage");
        worker.drain().await;
    }
}

#[tokio::test]
async fn a_worker_waits_for_a_coordinator_that_comes_later() {
    let mut coordinator = Coordinator::absent();
    submit(&coordinator, 1);
    let worker = start(config(&coordinator, "epoch-ms=1"));
    coordinator.listen();
    coordinator.until("it is completed", |state| state.completed.len() == 1).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_worker_gives_up_on_a_coordinator_that_never_comes() {
    let coordinator = Coordinator::absent();
    let give_up_after = Duration::from_millis(300);
    let worker = start(Config { give_up_after, ..config(&coordinator, "epoch-ms=1") });
    let error = worker.end().await.unwrap_err();
    let WorkerError::Unreachable { after, .. } = &error else { panic!("{error:?}") };
    assert!(*after >= give_up_after);
    assert!(error.to_string().starts_with(&format!("no contact with the coordinator at `{}` for ", coordinator.url())), "{error}");
    assert!(error.to_string().ends_with(" s (Connection refused (os error 111))"), "{error}");
}

#[tokio::test]
async fn a_worker_gives_up_in_mid_run_too() {
    let coordinator = Coordinator::start();
    submit(&coordinator, 1);
    let worker = start(Config { give_up_after: Duration::from_millis(500), ..config(&coordinator, "epoch-ms=60000") });
    coordinator.until("it is leased", |state| state.leased.len() == 1).await;
    coordinator.state.send_modify(|state| state.trouble = Some(Code::Unavailable));
    assert!(matches!(worker.end().await, Err(WorkerError::Unreachable { .. })));
}

#[tokio::test]
async fn a_lost_session_is_replaced() {
    let coordinator = Coordinator::start();
    submit(&coordinator, 1);
    let worker = start(config(&coordinator, "epoch-ms=60000"));
    coordinator.until("it is leased", |state| state.leased.len() == 1).await;
    coordinator.state.send_modify(|state| {
        state.ended.insert("session-0".into());
        state.leased.clear();
    });
    let claims = |state: &State| state.sessions.len() == 2 && state.n_claims == 2;
    coordinator.until("the old run is stopped, and the new session claims", claims).await;
    assert_eq!(worker.drain().await, Summary { n_stale: 1, ..Summary::default() });
    assert!(coordinator.state.borrow().ended.contains("session-1"));
}

#[tokio::test]
async fn a_draining_worker_gives_its_leases_back_at_once() {
    let coordinator = Coordinator::start();
    let jobs = submit(&coordinator, 1);
    let worker = start(Config { n_slots: 2, ..config(&coordinator, "epoch-ms=60000") });
    coordinator.until("one slot runs, one waits for work", |state| state.n_renewals.len() == 1 && state.n_claims == 2).await;
    let since = tokio::time::Instant::now();
    assert_eq!(worker.drain().await, Summary { n_released: 1, ..Summary::default() });
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    let state = coordinator.state.borrow();
    assert_eq!(state.released, jobs);
    assert!(state.ended.contains("session-0"));
}

#[tokio::test]
async fn a_draining_worker_does_not_wait_for_a_broken_coordinator_of_its_own_process() {
    let coordinator = Coordinator::start();
    submit(&coordinator, 1);
    let worker = start(Config { embedded: true, ..config(&coordinator, "epoch-ms=60000") });
    coordinator.until("it is held", |state| state.n_renewals.len() == 1).await;
    coordinator.state.send_modify(|state| state.trouble = Some(Code::Internal));
    let since = tokio::time::Instant::now();
    assert_eq!(worker.drain().await, Summary::default());
    // Another's coordinator would be tried for ten seconds.
    assert!(since.elapsed() < Duration::from_secs(6), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_worker_drains_before_it_ever_reached_anybody() {
    let coordinator = Coordinator::absent();
    let worker = start(config(&coordinator, "epoch-ms=1"));
    assert_eq!(worker.drain().await, Summary::default());
}

#[tokio::test]
async fn an_aborted_worker_leaves_no_trainer_behind() {
    let coordinator = Coordinator::start();
    submit(&coordinator, 1);
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let simulated = simulated_trainer("").program;
    let trainer = script(&format!("echo $$ > '{}'; exec '{}' epoch-ms=60000", pid_file.display(), simulated.display()));
    let worker = start(Config { trainer, ..config(&coordinator, "") });
    coordinator.until("it is leased", |state| state.leased.len() == 1).await;
    worker.shutdown.abort.cancel();
    assert!(worker.end().await.is_ok());
    let id = std::fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    within_deadline("the trainer is gone", processes::gone(id)).await;
    assert!(coordinator.state.borrow().released.is_empty(), "without a word");
}

#[tokio::test]
async fn a_trainer_that_died_while_idle_costs_the_next_job_nothing() {
    let coordinator = Coordinator::start();
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let simulated = simulated_trainer("").program;
    let trainer = script(&format!("echo $$ >> '{}'; exec '{}' epoch-ms=1", pids.display(), simulated.display()));
    let worker = start(Config { trainer, ..config(&coordinator, "") });
    coordinator.until("the slot waits for work", |state| state.n_claims == 1).await;
    let idle = std::fs::read_to_string(&pids).unwrap().trim().parse().unwrap();
    processes::kill(idle);
    within_deadline("the trainer is dead", processes::gone(idle)).await;
    let jobs = submit(&coordinator, 1);
    assert_eq!(jobs[0].1, 1, "the first attempt");
    coordinator.until("it is completed or fails", |state| state.completed.len() + state.failed.len() == 1).await;
    assert!(coordinator.state.borrow().completed.contains_key(&jobs[0]), "{:?}", coordinator.state.borrow().failed);
    assert_eq!(worker.drain().await, Summary { n_completed: 1, ..Summary::default() });
    assert_eq!(std::fs::read_to_string(&pids).unwrap().lines().count(), 2, "another took its place");
}

#[tokio::test]
async fn orders_that_cannot_be_sent_go_to_another_trainer_once() {
    // The first trainers live, but their end of the pipe is closed.
    for (n_closed, expected) in [(1, Summary { n_completed: 1, ..Summary::default() }), (2, Summary { n_failed: 1, ..Summary::default() })]
    {
        let coordinator = Coordinator::start();
        let jobs = submit(&coordinator, 1);
        let folder = tempfile::tempdir().unwrap();
        let lives = folder.path().join("lives");
        let simulated = simulated_trainer("").program;
        let trainer = script(&format!(
            "echo >> '{lives}'; [ $(wc -l < '{lives}') -gt {n_closed} ] && exec '{}' epoch-ms=1; \
             exec 0<&-; printf '\\007\\n\\005\\n\\003sim'; exec sleep 600",
            simulated.display(),
            lives = lives.display(),
        ));
        let worker = start(Config { trainer, ..config(&coordinator, "") });
        coordinator.until("it is completed or fails", |state| state.completed.len() + state.failed.len() == 1).await;
        assert_eq!(coordinator.state.borrow().failed.get(&jobs[0]).map(|(kind, _)| *kind), (n_closed == 2).then_some(FailureKind::Crashed));
        assert_eq!(worker.drain().await, expected);
    }
}

#[tokio::test]
async fn a_refused_result_is_a_failed_attempt() {
    // Refused by itself, or with all that was said in the same call.
    for refuse_call in [false, true] {
        let coordinator = Coordinator::start();
        let jobs = submit(&coordinator, 1);
        coordinator.state.send_modify(|state| {
            if refuse_call {
                state.refuse_results = Some(Code::InvalidArgument);
            } else {
                state.answers.insert(jobs[0].clone(), ReportAnswer::Refused);
            }
        });
        let worker = start(config(&coordinator, "epoch-ms=1"));
        coordinator.until("it fails", |state| !state.failed.is_empty()).await;
        let expected = "the coordinator refused the result: the outcome has 4 exits, the job 3";
        assert_eq!(coordinator.state.borrow().failed[&jobs[0]], (FailureKind::Failed, expected.into()));
        assert_eq!(worker.drain().await, Summary { n_failed: 1, ..Summary::default() });
    }
}

#[tokio::test]
async fn a_refused_worker_says_so() {
    for code in [Code::PermissionDenied, Code::FailedPrecondition] {
        let coordinator = Coordinator::start();
        coordinator.state.send_modify(|state| state.trouble = Some(code));
        let error = start(config(&coordinator, "")).end().await.unwrap_err();
        assert_eq!(error.to_string(), "the coordinator refused OpenSession: trouble on request");
        assert_eq!(coordinator.state.borrow().n_troubles, 1, "it is not asked again");
    }
}

#[tokio::test]
async fn a_worker_ends_when_its_coordinator_is_replaced_by_one_of_another_protocol() {
    let coordinator = Coordinator::start();
    submit(&coordinator, 1);
    let worker = start(config(&coordinator, "epoch-ms=60000"));
    coordinator.until("it runs", |state| state.n_renewals.len() == 1).await;
    coordinator.state.send_modify(|state| state.speaks_another_protocol = true);
    let error = worker.end().await.unwrap_err().to_string();
    assert_eq!(error, "the coordinator refused Heartbeat: this coordinator speaks protocol 2, the worker 1");
}

#[tokio::test]
async fn a_coordinator_that_asks_for_a_pause_gets_it() {
    let coordinator = Coordinator::start();
    let pause = Duration::from_millis(700);
    coordinator.state.send_modify(|state| state.ask_for_pause = Some(pause));
    let worker = start(config(&coordinator, ""));
    coordinator.until("the session is opened", |state| state.opened_at.is_some()).await;
    let (paused_at, opened_at) = (coordinator.state.borrow().paused_at.unwrap(), coordinator.state.borrow().opened_at.unwrap());
    // By itself it would have come back within a tenth of a second.
    assert!(opened_at.duration_since(paused_at) >= pause, "{:?}", opened_at.duration_since(paused_at));
    worker.drain().await;
}

#[tokio::test]
async fn bad_configurations_are_refused_before_anything_starts() {
    let coordinator = Coordinator::absent();
    let error = async |config: Config| start(config).end().await.unwrap_err().to_string();
    let sound = || config(&coordinator, "");
    for address in ["localhost:7717", "https://localhost:7717", "http://", "http://a b:1"] {
        let expected = format!("`{address}` is not an address of the form http://host:port");
        assert_eq!(error(Config { coordinator: address.into(), ..sound() }).await, expected);
    }
    assert_eq!(error(Config { n_slots: 0, ..sound() }).await, "a worker has 1 to 128 slots, not 0");
    assert_eq!(error(Config { n_slots: 129, ..sound() }).await, "a worker has 1 to 128 slots, not 129");
    let missing = TrainerCommand { program: "/no/such/trainer".into(), args: Vec::new(), env: Vec::new() };
    assert_eq!(error(Config { trainer: missing, ..sound() }).await, "cannot start the trainer `/no/such/trainer`");
}
