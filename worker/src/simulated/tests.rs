use offramp_domain::job::JobKey;
use offramp_proto::v1;

use super::*;
use crate::testing;

/// Keeps what it is told, and stops after so many epochs.
#[derive(Default)]
struct Notes {
    epochs: Vec<Progress>,
    records: Option<Records>,
    stop_after: Option<usize>,
}

impl Observer for Notes {
    fn progress(&mut self, progress: Progress) {
        self.epochs.push(progress);
    }

    fn records(&mut self, records: &Records) {
        self.records = Some(records.clone());
    }

    fn stopped(&self) -> bool {
        self.stop_after.is_some_and(|n_epochs| self.epochs.len() >= n_epochs)
    }
}

fn train(options: &str, seed: u64, number: u32) -> (Result<Outcome, TrainFailure>, Vec<Progress>) {
    let config = JobConfig {
        recipe: offramp_domain::job::Recipe { epochs: 10, ..testing::config("digits", seed).recipe },
        ..testing::config("digits", seed)
    };
    let attempt = Attempt { job: config.key(), number };
    let mut notes = Notes::default();
    (Simulated::new(options.parse().unwrap()).run(&config, &attempt, &mut notes), notes.epochs)
}

#[test]
fn a_job_has_one_result_whoever_runs_it_and_whenever() {
    let (first, curve) = train("epoch-ms=0", 1, 1);
    assert_eq!((first.clone(), curve), train("epoch-ms=0", 1, 2));
    assert_ne!(first.unwrap().exits, train("epoch-ms=0", 2, 1).0.unwrap().exits);
}

#[test]
fn results_have_the_shape_and_costs_of_the_network() {
    let config = testing::config("digits", 1);
    let network = network::assemble(&config).unwrap();
    let outcome = train("epoch-ms=0", 1, 1).0.unwrap();
    assert_eq!(outcome.exits.len(), network.n_exits());
    let fixed: Vec<(f64, f64)> = outcome
        .operating_points
        .iter()
        .filter(|point| point.policy == "fixed")
        .map(|point| (point.macs_cascade, point.macs_selected))
        .collect();
    let costs = network.exit_costs();
    assert_eq!(fixed, costs.iter().map(|cost| (cost.macs_cascade as f64, cost.macs_selected as f64)).collect::<Vec<_>>());
    assert!(outcome.operating_points.iter().any(|point| point.policy == "max-softmax"), "early exit is evaluated");
    // The wire takes it: every number is in its range.
    assert_eq!(Outcome::try_from(v1::Outcome::from(outcome.clone())), Ok(outcome));
}

#[test]
fn records_are_those_that_the_result_follows_from() {
    let config = testing::config("digits", 1);
    let attempt = Attempt { job: config.key(), number: 1 };
    let mut notes = Notes::default();
    let outcome = Simulated::new("epoch-ms=0".parse().unwrap()).run(&config, &attempt, &mut notes).unwrap();
    let records = notes.records.unwrap();
    assert_eq!((records.calibration.len(), records.test.len()), (outcome.n_calibration as usize, outcome.n_test as usize));
    let costs = network::assemble(&config).unwrap().exit_costs();
    for point in &outcome.operating_points {
        assert_eq!(evaluation::operating_point(&costs, &point.policy, point.setting, &records).as_ref(), Ok(point));
    }
}

#[test]
fn what_exits_believe_is_a_distribution() {
    let config = testing::config("digits", 6);
    let subject = Subject::new(&config, &network::assemble(&config).unwrap());
    let records = subject.records(Split::Test, 200, subject.n_epochs);
    for sample in 0..200 {
        // Ten classes: the confidence in the answer, and a ninth of the rest in every other.
        let mut sum = [0.0_f64; 10];
        for (n_heard, (exit, said)) in (1..).zip(records.exits.iter().zip(records.said(sample))) {
            let rest = (1.0 - f64::from(said.confidence)) / 9.0;
            let mut belief = [rest; 10];
            belief[said.prediction as usize] = f64::from(said.confidence);
            let entropy: f64 = belief.iter().map(|p| -p * p.ln()).sum();
            assert!((f64::from(said.entropy) - entropy).abs() < 1e-5);
            assert!((f64::from(said.margin) - (f64::from(said.confidence) - rest)).abs() < 1e-6);
            assert_eq!(exit.label_rank[sample] == 0, said.prediction == records.labels[sample]);
            assert!(exit.label_rank[sample] < 10);
            sum.iter_mut().zip(belief).for_each(|(sum, belief)| *sum += belief);
            let most = sum.iter().copied().fold(0.0, f64::max) / f64::from(n_heard);
            assert!((f64::from(said.ensemble_confidence) - most).abs() < 1e-6);
            assert!((sum[said.ensemble_prediction as usize] / f64::from(n_heard) - most).abs() < 1e-6);
        }
    }
}

#[test]
fn accuracy_rises_with_epochs() {
    let (outcome, curve) = train("epoch-ms=0", 3, 1);
    let (first, last) = (&curve[0].exit_accuracy, &curve[9].exit_accuracy);
    assert_eq!(curve.iter().map(|progress| progress.epoch).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    assert!(first.iter().zip(last).all(|(first, last)| first + 0.1 < *last), "{first:?} {last:?}");
    assert!(curve[9].loss < curve[0].loss);
    // The curve ends where the result stands: both are of the calibration split.
    assert_eq!(*last, outcome.unwrap().exits.iter().map(|exit| exit.calibration_accuracy).collect::<Vec<_>>());
}

#[test]
fn accuracy_rises_with_depth() {
    let n_seeds = 20;
    let outcomes: Vec<Outcome> = (0..n_seeds).map(|seed| train("epoch-ms=0", seed, 1).0.unwrap()).collect();
    let accuracy = |exit: usize| outcomes.iter().map(|outcome| outcome.exits[exit].accuracy).sum::<f64>() / n_seeds as f64;
    let by_exit: Vec<f64> = (0..4).map(accuracy).collect();
    // The third exit of stage ends reads what the final one reads.
    assert!(by_exit[..3].is_sorted() && by_exit[0] + 0.05 < by_exit[2], "{by_exit:?}");
    assert!((by_exit[2] - by_exit[3]).abs() < 0.015, "{by_exit:?}");
}

#[test]
fn confident_samples_are_right_more_often() {
    let outcome = train("epoch-ms=0", 4, 1).0.unwrap();
    let point = |policy: &'static str| outcome.operating_points.iter().filter(move |point| point.policy == policy);
    let best = |points: &mut dyn Iterator<Item = &offramp_domain::outcome::OperatingPoint>, budget: f64| {
        points.filter(|point| point.macs_cascade <= budget).map(|point| point.accuracy).fold(0.0, f64::max)
    };
    // At the cost of the second exit for everybody, leaving by confidence does better: what early exit is about.
    let budget = point("fixed").nth(1).unwrap().macs_cascade;
    assert!(best(&mut point("max-softmax"), budget) > best(&mut point("fixed"), budget));
}

#[test]
fn an_exit_is_as_accurate_as_its_skill() {
    let config = testing::config("digits", 5);
    let mut subject = Subject::new(&config, &network::assemble(&config).unwrap());
    subject.set_ceilings(vec![0.3, 0.8]);
    // 10,000 samples: deviation at most 0.005, five of them allowed. 1 - exp(-4.6) of the way from a guess to the ceiling.
    let n = 10_000;
    let accuracy = exit_accuracy(&subject.records(Split::Test, n, subject.n_epochs));
    for (accuracy, expected) in accuracy.iter().zip([0.298, 0.793]) {
        assert!((accuracy - expected).abs() < 0.025, "{accuracy}, expected {expected}");
    }
}

#[test]
fn faults_strike_as_often_as_asked_and_alike_for_an_attempt() {
    let options: Options = "crash=0.1,hang=0.2".parse().unwrap();
    let attempt = |index: u32| Attempt { job: JobKey::parse(&format!("{index:032x}")).unwrap(), number: 1 + index % 3 };
    let faults: Vec<_> = (0..10_000).map(|index| options.fault(&attempt(index), 10)).collect();
    let n = |wanted| faults.iter().flatten().filter(|(fault, _)| *fault == wanted).count();
    // A hang only shows where no crash comes first: 0.9 * 0.2. Deviations 30 and 38, five of them allowed.
    assert!(n(Fault::Crash).abs_diff(1_000) < 150 && n(Fault::Hang).abs_diff(1_800) < 192, "{} {}", n(Fault::Crash), n(Fault::Hang));
    assert!(faults.iter().flatten().all(|(_, epoch)| (1..=10).contains(epoch)));
    assert_eq!(faults, (0..10_000).map(|index| options.fault(&attempt(index), 10)).collect::<Vec<_>>());
    assert!("".parse::<Options>().unwrap().fault(&attempt(1), 10).is_none());
}

#[test]
fn faults_have_their_kinds() {
    let kind = |options: &str| match train(options, 1, 1).0 {
        Err(TrainFailure::Failed { kind, .. }) => kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(kind("epoch-ms=0,nan=1"), FailureKind::Diverged);
    assert_eq!(kind("epoch-ms=0,error=1"), FailureKind::Failed);
    assert_eq!(kind("epoch-ms=0,oom=1"), FailureKind::OutOfMemory);
}

#[test]
fn a_stopped_run_ends_within_its_epoch() {
    let config = testing::config("digits", 1);
    let attempt = Attempt { job: config.key(), number: 1 };
    let run = |options: &str, stop_after| {
        let mut notes = Notes { stop_after: Some(stop_after), ..Notes::default() };
        (Simulated::new(options.parse().unwrap()).run(&config, &attempt, &mut notes), notes.epochs.len())
    };
    // An hour an epoch: it would be noticed if it were waited for.
    assert_eq!(run("epoch-ms=3600000", 0), (Err(TrainFailure::Stopped), 0));
    assert_eq!(run("epoch-ms=0", 2), (Err(TrainFailure::Stopped), 2));
    assert_eq!(run("epoch-ms=0", 3), (Err(TrainFailure::Stopped), 3));
}

#[test]
fn a_slow_attempt_takes_ten_times_as_long() {
    let (fast, slow) = (train("epoch-ms=2", 1, 1), train("epoch-ms=2,slow=1", 1, 1));
    assert_eq!(fast.0.unwrap().train_seconds * 10.0, slow.0.unwrap().train_seconds);
    assert_eq!(fast.1[0].images_per_second, slow.1[0].images_per_second * 10.0);
}

#[test]
fn a_job_without_a_network_fails_with_the_reason() {
    let config = testing::config("no-such-dataset", 1);
    let attempt = Attempt { job: config.key(), number: 1 };
    let Err(TrainFailure::Failed { kind: FailureKind::Failed, message }) =
        Simulated::new("".parse().unwrap()).run(&config, &attempt, &mut Notes::default())
    else {
        panic!("there is no such dataset")
    };
    assert!(message.contains("no-such-dataset"), "{message}");
}
