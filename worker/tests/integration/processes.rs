//! Trainer processes that work, crash, hang, babble and get killed.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use offramp_domain::outcome::{FailureKind, Progress};
use offramp_proto::v1;
use offramp_worker::TrainerCommand;
use offramp_worker::process::{Limits, RunEnd, StartError, TrainerProcess};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::deadline::within_deadline;
use crate::{script, simulated_trainer, testing};

const LIMITS: Limits =
    Limits { ready_within: Duration::from_secs(20), hang_after: Duration::from_secs(20), stop_within: Duration::from_secs(10) };

async fn start(command: &TrainerCommand, limits: Limits) -> TrainerProcess {
    within_deadline("a trainer gets ready", TrainerProcess::start(command, 0, limits)).await.unwrap()
}

fn order(seed: u64) -> v1::Run {
    let config = testing::config("digits", seed);
    v1::Run { job_key: config.key().as_str().into(), attempt: 1, config_json: config.canonical_json() }
}

/// Runs a job to its end, whatever that is; gives back its epochs too.
async fn run(process: TrainerProcess, seed: u64, stop: &CancellationToken) -> (RunEnd, Option<TrainerProcess>, Vec<u32>) {
    let mut epochs = Vec::new();
    let mut note = |progress: Progress| epochs.push(progress.epoch);
    let (end, process) = within_deadline("a run ends", process.run(order(seed), stop, &mut note)).await;
    (end, process, epochs)
}

async fn failure_of(command: &TrainerCommand, limits: Limits) -> (FailureKind, String) {
    let process = start(command, limits).await;
    let (end, process, _) = run(process, 1, &CancellationToken::new()).await;
    assert!(process.is_none() || matches!(end, RunEnd::Failed { kind: FailureKind::Diverged, .. }), "a failed process is not used again");
    match end {
        RunEnd::Failed { kind, message } => (kind, message),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a child's number is not 0");
    kill_process(pid, Signal::KILL).expect("the child lives");
}

#[tokio::test]
async fn one_process_runs_job_after_job() {
    let mut process = start(&simulated_trainer("epoch-ms=1"), LIMITS).await;
    assert_eq!(process.trainer(), "simulated");
    let id = process.id();
    let mut outcomes = Vec::new();
    for seed in [1, 2, 1] {
        let (end, again, epochs) = run(process, seed, &CancellationToken::new()).await;
        assert_eq!(epochs, [1, 2, 3]);
        let RunEnd::Outcome(outcome) = end else { panic!("{end:?}") };
        outcomes.push(outcome);
        process = again.expect("the process stays");
        assert_eq!(process.id(), id);
    }
    assert_eq!(outcomes[0], outcomes[2], "one job, one result");
    assert_ne!(outcomes[0], outcomes[1]);
    within_deadline("an idle process ends when told", process.end()).await;
}

#[tokio::test]
async fn a_crash_is_a_failure_with_its_signal_and_last_words() {
    let (kind, message) = failure_of(&simulated_trainer("epoch-ms=1,crash=1"), LIMITS).await;
    assert_eq!(kind, FailureKind::Crashed);
    assert!(message.starts_with("trainer process ended with signal 6 (aborted)"), "{message}");
    let talkative = "printf '\\007\\n\\005\\n\\003sim'; head -c 1 >/dev/null; echo 'CUDA error: 42' >&2; exit 3";
    let (kind, message) = failure_of(&script(talkative), LIMITS).await;
    assert_eq!(kind, FailureKind::Crashed);
    assert_eq!(message, "trainer process ended with exit code 3; its last output:\nCUDA error: 42");
}

#[tokio::test]
async fn a_process_that_dies_in_mid_word_has_crashed() {
    // The first byte of a message that would have had five more.
    let cut = "printf '\\007\\n\\005\\n\\003sim'; head -c 1 >/dev/null; printf '\\005'; exit 0";
    let (kind, message) = failure_of(&script(cut), LIMITS).await;
    assert_eq!((kind, message.as_str()), (FailureKind::Crashed, "trainer process ended with exit code 0"));
}

#[tokio::test]
async fn a_process_that_is_dead_before_its_orders_has_not_begun() {
    let mut process = start(&script("printf '\\007\\n\\005\\n\\003sim'; echo 'no device' >&2; exit 4"), LIMITS).await;
    within_deadline("it dies", async {
        while process.is_alive() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let (end, process, _) = run(process, 1, &CancellationToken::new()).await;
    let message = "trainer process ended with exit code 4; its last output:\nno device".into();
    assert_eq!(end, RunEnd::NotBegun { message });
    assert!(process.is_none());
}

#[tokio::test]
async fn babble_in_mid_run_is_neither_a_crash_nor_a_hang() {
    // A message of one byte that is none.
    let babble = "printf '\\007\\n\\005\\n\\003sim'; head -c 1 >/dev/null; printf '\\001\\377'; exec sleep 60";
    let (kind, message) = failure_of(&script(babble), LIMITS).await;
    assert_eq!(kind, FailureKind::Failed);
    assert!(message.starts_with("the trainer broke the protocol: not a message of the protocol: "), "{message}");
}

#[tokio::test]
async fn a_process_that_does_not_read_its_orders_times_out() {
    let limits = Limits { stop_within: Duration::from_millis(200), ..LIMITS };
    let process = start(&script("printf '\\007\\n\\005\\n\\003sim'; exec sleep 60"), limits).await;
    // More than a pipe takes.
    let order = v1::Run { config_json: " ".repeat(1 << 20), ..order(1) };
    let (end, process) = within_deadline("it is given up", process.run(order, &CancellationToken::new(), &mut |_| {})).await;
    let message = "the trainer has not read its orders for 0.2 s".into();
    assert_eq!(end, RunEnd::Failed { kind: FailureKind::TimedOut, message });
    assert!(process.is_none());
}

#[tokio::test]
async fn faults_arrive_with_their_kinds() {
    let (kind, message) = failure_of(&simulated_trainer("epoch-ms=1,nan=1"), LIMITS).await;
    assert_eq!(kind, FailureKind::Diverged);
    assert!(message.starts_with("the loss became NaN in epoch "), "{message}");
    assert_eq!(failure_of(&simulated_trainer("epoch-ms=1,oom=1"), LIMITS).await.0, FailureKind::OutOfMemory);
}

#[tokio::test]
async fn a_process_that_hangs_is_killed() {
    let limits = Limits { hang_after: Duration::from_millis(300), ..LIMITS };
    let process = start(&simulated_trainer("epoch-ms=1,hang=1"), limits).await;
    let id = process.id().expect("it lives");
    let (end, process, _) = run(process, 1, &CancellationToken::new()).await;
    assert_eq!(end, RunEnd::Failed { kind: FailureKind::TimedOut, message: "no progress for 0.3 s".into() });
    assert!(process.is_none());
    within_deadline("the hung process is gone", gone(id)).await;
}

#[tokio::test]
async fn a_long_epoch_is_not_a_hang() {
    // The first message would come after 5 s: without signs of life each second the watchdog would be first.
    let limits = Limits { hang_after: Duration::from_secs(4), ..LIMITS };
    let stop = CancellationToken::new();
    let process = start(&simulated_trainer("epoch-ms=5000"), limits).await;
    let mut first_epoch = |_: Progress| stop.cancel();
    let (end, _) = within_deadline("a run ends", process.run(order(1), &stop, &mut first_epoch)).await;
    assert_eq!(end, RunEnd::Stopped);
}

#[tokio::test]
async fn a_process_killed_from_outside_is_a_failure() {
    let process = start(&simulated_trainer("epoch-ms=50000"), LIMITS).await;
    let id = process.id().expect("it lives");
    let stop = CancellationToken::new();
    let killed = async {
        let ran = tokio::task::spawn(async move { run(process, 1, &stop).await });
        kill(id);
        ran.await.expect("a run does not panic")
    };
    let (end, process, _) = killed.await;
    assert_eq!(end, RunEnd::Failed { kind: FailureKind::Crashed, message: "trainer process ended with signal 9 (killed)".into() });
    assert!(process.is_none());
}

#[tokio::test]
async fn a_process_that_died_idle_is_known_to_be_dead() {
    let mut process = start(&simulated_trainer(""), LIMITS).await;
    assert!(process.is_alive());
    kill(process.id().expect("it lives"));
    within_deadline("its death is noticed", async {
        while process.is_alive() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_stopped_process_takes_the_next_job() {
    let stop = CancellationToken::new();
    let process = start(&simulated_trainer("epoch-ms=50000"), LIMITS).await;
    stop.cancel();
    let (end, process, epochs) = run(process, 1, &stop).await;
    assert_eq!((end, epochs), (RunEnd::Stopped, vec![]));
    assert!(process.is_some_and(|mut process| process.is_alive()));
}

#[tokio::test]
async fn a_process_that_does_not_stop_is_killed() {
    let limits = Limits { stop_within: Duration::from_millis(200), ..LIMITS };
    let process = start(&simulated_trainer("epoch-ms=0,hang=1"), limits).await;
    let id = process.id().expect("it lives");
    let stop = CancellationToken::new();
    stop.cancel();
    let (end, process, _) = run(process, 1, &stop).await;
    // Seldom the stop arrives before the hang, and then the process lives on.
    assert_eq!(end, RunEnd::Stopped);
    if process.is_none() {
        within_deadline("the deaf process is gone", gone(id)).await;
    }
}

#[tokio::test]
async fn a_trainer_without_a_worker_ends_in_mid_run() {
    let command = simulated_trainer("epoch-ms=50000");
    let mut orphan =
        tokio::process::Command::new(&command.program).args(&command.args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = orphan.stdin.take().unwrap();
    let message = v1::ToTrainer { message: Some(v1::to_trainer::Message::Run(order(1))) };
    stdin.write_all(&prost::Message::encode_length_delimited_to_vec(&message)).await.unwrap();
    // What the kernel does for a worker that is killed.
    drop(stdin);
    let status = within_deadline("the orphan ends", orphan.wait()).await.unwrap();
    // By its own hand in mid-run; in good order where it had not yet read the run.
    assert!(status.signal() == Some(9) || status.success(), "{status}");
}

#[tokio::test]
async fn only_the_protocol_reaches_standard_output() {
    let command = simulated_trainer("epoch-ms=50000");
    let mut trainer =
        tokio::process::Command::new(&command.program).args(&command.args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 14];
    within_deadline("the trainer gets ready", trainer.stdout.as_mut().unwrap().read_exact(&mut ready)).await.unwrap();
    assert_eq!(&ready, b"\x0d\x0a\x0b\x0a\x09simulated");
    // Its file 1, where libraries print, is its file 2 by now.
    let file = |number: u32| std::fs::read_link(format!("/proc/{}/fd/{number}", trainer.id().unwrap())).unwrap();
    assert_eq!(file(1), file(2));
    trainer.kill().await.unwrap();
}

#[tokio::test]
async fn programs_that_are_no_trainers_are_told_apart() {
    let error = async |command: TrainerCommand, limits| {
        within_deadline("a start fails", TrainerProcess::start(&command, 0, limits)).await.expect_err("it is no trainer")
    };
    let missing = TrainerCommand { program: "/no/such/program".into(), args: Vec::new(), env: Vec::new() };
    let missing = error(missing, LIMITS).await;
    assert!(matches!(missing, StartError::Spawn { .. }));
    assert_eq!(missing.to_string(), "cannot start the trainer `/no/such/program`");

    let ended = error(simulated_trainer("crsh=1"), LIMITS).await.to_string();
    assert!(ended.starts_with("the trainer did not get ready: trainer process ended with exit code 1; its last output:\n"), "{ended}");
    assert!(ended.contains("crsh"), "{ended}");

    let babble = error(script("echo hello, I am no trainer at all"), LIMITS).await;
    assert_eq!(babble.to_string(), "`/bin/sh` does not speak the trainer protocol");

    let silent = error(script("exec sleep 60"), Limits { ready_within: Duration::from_millis(100), ..LIMITS }).await;
    assert_eq!(silent.to_string(), "the trainer was not ready within 0.1 s");
}

#[tokio::test]
async fn a_dropped_process_is_killed_whatever_it_does() {
    // Unlike a trainer of ours it does not care whether its input is open.
    let process = start(&script("printf '\\007\\n\\005\\n\\003sim'; exec sleep 600"), LIMITS).await;
    let id = process.id().expect("it lives");
    drop(process);
    within_deadline("the dropped process is gone", gone(id)).await;
}

/// Waits until a child is dead: gone, or a zombie that its parent has not asked after yet.
pub(crate) async fn gone(id: u32) {
    let dead = || match std::fs::read_to_string(format!("/proc/{id}/stat")) {
        Ok(stat) => stat.rsplit(") ").next().is_some_and(|fields| fields.starts_with(['Z', 'X'])),
        Err(_) => true,
    };
    while !dead() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
