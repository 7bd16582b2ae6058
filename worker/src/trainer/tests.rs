use std::io::{PipeReader, PipeWriter, pipe};
use std::thread::JoinHandle;

use super::*;
use crate::testing;

/// Does what the test says with each run.
struct Scripted<F>(F);

impl<F: FnMut(&JobConfig, &mut dyn Observer) -> Result<Outcome, TrainFailure>> Trainer for Scripted<F> {
    fn name(&self) -> String {
        "scripted".into()
    }

    fn run(&mut self, config: &JobConfig, _: &Attempt, observer: &mut dyn Observer) -> Result<Outcome, TrainFailure> {
        (self.0)(config, observer)
    }
}

/// A trainer behind two pipes, as behind a worker's.
struct Peer {
    to: PipeWriter,
    from: Frames<PipeReader>,
    abandoned: mpsc::Receiver<()>,
    served: JoinHandle<Result<(), ServeError>>,
}

fn start(script: impl FnMut(&JobConfig, &mut dyn Observer) -> Result<Outcome, TrainFailure> + Send + 'static) -> Peer {
    start_with(None, script)
}

fn start_with(
    artifacts: Option<std::path::PathBuf>,
    script: impl FnMut(&JobConfig, &mut dyn Observer) -> Result<Outcome, TrainFailure> + Send + 'static,
) -> Peer {
    let (input, to) = pipe().unwrap();
    let (from, output) = pipe().unwrap();
    let (abandon, abandoned) = mpsc::channel();
    let served = std::thread::spawn(move || {
        serve_over(&mut Scripted(script), artifacts.as_deref(), input, output, move || abandon.send(()).unwrap())
    });
    let mut peer = Peer { to, from: Frames::new(from), abandoned, served };
    assert_eq!(peer.receive(), Some(from_trainer::Message::Ready(v1::Ready { trainer: "scripted".into() })));
    peer
}

impl Peer {
    fn send(&mut self, message: to_trainer::Message) {
        frame::write(&mut self.to, &v1::ToTrainer { message: Some(message) }).unwrap();
    }

    fn run(&mut self, seed: u64) {
        let config = testing::config("digits", seed);
        self.send(to_trainer::Message::Run(v1::Run {
            job_key: config.key().as_str().into(),
            attempt: 1,
            config_json: config.canonical_json(),
        }));
    }

    fn receive(&mut self) -> Option<from_trainer::Message> {
        self.from.read::<v1::FromTrainer>().unwrap().map(|message| message.message.unwrap())
    }
}

fn outcome(train_seconds: f64) -> Outcome {
    let exit = offramp_domain::outcome::ExitResult {
        accuracy: 0.5,
        loss: 1.0,
        calibration_accuracy: 0.5,
        calibration_loss: 1.0,
        top5_accuracy: Some(0.75),
        ece: Some(0.125),
        calibration_top5_accuracy: Some(0.75),
        calibration_ece: Some(0.125),
    };
    let point = offramp_domain::outcome::OperatingPoint {
        policy: "fixed".into(),
        setting: 0.0,
        macs_cascade: 1.0,
        macs_selected: 1.0,
        accuracy: 0.5,
        calibration_accuracy: 0.5,
        calibration_macs_cascade: 1.0,
        exit_shares: vec![1.0],
        latency_us: None,
        images_per_second: None,
    };
    Outcome {
        exits: vec![exit],
        operating_points: vec![point],
        n_train: 8,
        n_calibration: 1,
        n_test: 1,
        train_seconds,
        trainer: "scripted".into(),
        records: None,
    }
}

fn progress(epoch: u32) -> Progress {
    Progress { epoch, n_epochs: 3, loss: 1.5, exit_accuracy: vec![0.25, 0.5], images_per_second: 10.0 }
}

fn spin_until_stopped(observer: &dyn Observer) -> Result<Outcome, TrainFailure> {
    while !observer.stopped() {
        std::thread::yield_now();
    }
    Err(TrainFailure::Stopped)
}

#[test]
fn runs_are_answered_in_turn_until_the_input_ends() {
    let mut peer = start(|config, observer| {
        observer.progress(progress(1));
        Ok(outcome(config.seed as f64))
    });
    for seed in [4, 5] {
        peer.run(seed);
        assert_eq!(peer.receive(), Some(from_trainer::Message::Progress(progress(1).into())));
        assert_eq!(peer.receive(), Some(from_trainer::Message::Outcome(outcome(seed as f64).into())));
    }
    drop(peer.to);
    assert!(peer.served.join().unwrap().is_ok());
    assert!(peer.abandoned.try_recv().is_err(), "nothing was running");
}

fn records() -> Records {
    let mut split = offramp_domain::evaluation::SplitRecords::new(2);
    split.push(4, 1, [&[0.5, 1.5][..], &[2.5, 0.5][..]]);
    Records { calibration: split.clone(), test: split }
}

#[test]
fn records_are_kept_beside_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let mut peer = start_with(Some(folder.path().join("artifacts")), |config, observer| {
        if config.seed == 1 {
            observer.records(&records());
        }
        Ok(outcome(1.0))
    });
    let mut kept = |seed| {
        peer.run(seed);
        match peer.receive() {
            Some(from_trainer::Message::Outcome(outcome)) => outcome.records,
            other => panic!("{other:?}"),
        }
    };
    let artifact = kept(1).unwrap();
    let (header, found) = offramp_records::read(artifact.path.as_ref(), Some(&artifact.sha256)).unwrap();
    assert_eq!(found, records());
    assert_eq!((header.attempt, header.trainer.as_str()), (1, "scripted"));
    assert_eq!((header.job, header.config.seed), (testing::config("digits", 1).key(), 1));
    assert_eq!(kept(2), None, "another run's records are not its own");
}

#[test]
fn a_result_is_worth_no_less_where_records_cannot_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let occupied = folder.path().join("file");
    std::fs::write(&occupied, "").unwrap();
    for artifacts in [None, Some(occupied)] {
        let mut peer = start_with(artifacts, |_, observer| {
            observer.records(&records());
            Ok(outcome(1.0))
        });
        peer.run(1);
        assert_eq!(peer.receive(), Some(from_trainer::Message::Outcome(outcome(1.0).into())));
    }
}

#[test]
fn failures_and_panics_are_told_with_their_reason() {
    let mut peer = start(|config, _| match config.seed {
        1 => Err(TrainFailure::Failed { kind: FailureKind::Diverged, message: "the loss became NaN".into() }),
        2 => panic!("tensor of shape {:?}", [2, 3]),
        3 => std::panic::panic_any(7_u8),
        _ => Ok(outcome(1.0)),
    });
    let failed = |kind, message: &str| Some(failure(kind, message.into()));
    peer.run(1);
    assert_eq!(peer.receive(), failed(FailureKind::Diverged, "the loss became NaN"));
    peer.run(2);
    assert_eq!(peer.receive(), failed(FailureKind::Failed, "the trainer panicked: tensor of shape [2, 3]"));
    peer.run(3);
    assert_eq!(peer.receive(), failed(FailureKind::Failed, "the trainer panicked: no message"));
    peer.run(4);
    assert_eq!(peer.receive(), Some(from_trainer::Message::Outcome(outcome(1.0).into())));
}

#[test]
fn a_run_that_cannot_be_read_fails_with_the_reason() {
    let mut peer = start(|_, _| panic!("never reached"));
    let key = testing::config("digits", 0).key();
    peer.send(to_trainer::Message::Run(v1::Run { job_key: key.as_str().into(), attempt: 1, config_json: "[]".into() }));
    let Some(from_trainer::Message::Failure(answer)) = peer.receive() else { panic!("a failure is expected") };
    assert!(answer.message.starts_with("not a job configuration: "), "{}", answer.message);
    peer.send(to_trainer::Message::Run(v1::Run { job_key: "no key".into(), attempt: 1, config_json: "{}".into() }));
    assert_eq!(peer.receive(), Some(failure(FailureKind::Failed, "the run has no valid job key".into())));
}

#[test]
fn stop_ends_the_run_it_was_meant_for_and_no_other() {
    let mut peer = start(|config, observer| match config.seed {
        1 => spin_until_stopped(observer),
        _ if observer.stopped() => Err(TrainFailure::Stopped),
        _ => Ok(outcome(0.0)),
    });
    peer.run(1);
    peer.send(to_trainer::Message::Stop(v1::Stop {}));
    assert_eq!(peer.receive(), Some(from_trainer::Message::Stopped(v1::Stopped {})));
    // One too late: nothing runs.
    peer.send(to_trainer::Message::Stop(v1::Stop {}));
    peer.run(2);
    assert_eq!(peer.receive(), Some(from_trainer::Message::Outcome(outcome(0.0).into())));
    peer.run(1);
    peer.send(to_trainer::Message::Stop(v1::Stop {}));
    assert_eq!(peer.receive(), Some(from_trainer::Message::Stopped(v1::Stopped {})));
}

#[test]
fn a_run_whose_worker_is_gone_is_abandoned() {
    let (release, released) = mpsc::channel::<()>();
    let mut peer = start(move |_, observer| {
        observer.progress(progress(1));
        // Deaf, as a hung kernel is.
        let _ = released.recv();
        Ok(outcome(0.0))
    });
    peer.run(1);
    assert!(peer.receive().is_some(), "the run has begun");
    drop(peer.to);
    peer.abandoned.recv_timeout(Duration::from_secs(20)).expect("the run is abandoned while it hangs");
    drop(release);
}

#[test]
fn a_worker_that_breaks_the_protocol_is_not_served() {
    let mut peer = start(|_, _| panic!("never reached"));
    peer.to.write_all(&[0xff; 16]).unwrap();
    let error = peer.served.join().unwrap().unwrap_err();
    assert_eq!(with_sources(&error), "cannot read from the worker: a message claims more than 16777216 bytes");
}

#[test]
fn a_run_stops_when_its_progress_cannot_be_told() {
    let mut peer = start(|_, observer| {
        while !observer.stopped() {
            observer.progress(progress(1));
        }
        Err(TrainFailure::Stopped)
    });
    peer.run(1);
    drop(peer.from);
    assert!(matches!(peer.served.join().unwrap(), Err(ServeError::Write(_))));
}

#[test]
fn a_long_epoch_shows_that_it_is_alive() {
    let mut output = Vec::new();
    let long_ago = clock::now().checked_sub(SIGN_OF_LIFE).expect("the machine has been up for longer");
    let reporter = Reporter {
        output: RefCell::new(&mut output),
        last_sent: Cell::new(long_ago),
        stop: Arc::new(AtomicBool::new(false)),
        broken: RefCell::new(None),
        keep: None,
    };
    assert!(!reporter.stopped());
    assert!(!reporter.stopped(), "the second question comes too soon for another sign");
    let mut frames = Frames::new(output.as_slice());
    let alive = v1::FromTrainer { message: Some(from_trainer::Message::Alive(v1::Alive {})) };
    assert_eq!((frames.read().unwrap(), frames.read::<v1::FromTrainer>().unwrap()), (Some(alive), None));
}
