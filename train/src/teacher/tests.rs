use offramp_domain::job::{Augment, ExitWeights, Optimizer, Schedule};

use super::*;

fn recipe() -> Recipe {
    let optimizer = Optimizer::Sgd { lr: 0.5, momentum: 0.9, nesterov: false, weight_decay: 0.5 };
    Recipe::new(1, 1, optimizer, Schedule::Constant, Augment::None)
}

fn ensemble(weights: EnsembleWeights) -> Distill {
    Distill::Ensemble { temperature: 1.0, lambda: 0.5, weights }
}

fn device() -> Device {
    Device::flex().autodiff()
}

/// What two exits say of one sample of class 0: the first is sure and right, the second undecided.
fn logits() -> Vec<Tensor<2>> {
    [[4.0_f32, 0.0], [0.0, 0.0]].map(|row| Tensor::from_data([row], &device())).into()
}

fn values(teacher: &Teacher) -> Vec<f32> {
    teacher.logits(&logits()).unwrap().try_into_vec_as().unwrap()
}

#[test]
fn the_last_exit_or_all_of_them_teach() {
    let start = |distill, n_exits| Teacher::start(distill, n_exits, &recipe(), &device());
    assert!(start(Distill::None, 2).logits(&logits()).is_none());
    assert!(start(ensemble(EnsembleWeights::Learned), 1).logits(&logits()).is_none());
    assert_eq!(values(&start(Distill::Last { temperature: 1.0, lambda: 0.5 }, 2)), [0.0, 0.0]);
    assert_eq!(values(&start(ensemble(EnsembleWeights::Calibration), 2)), [2.0, 0.0]);
    assert_eq!(values(&start(ensemble(EnsembleWeights::Learned), 2)), [2.0, 0.0]);
}

#[test]
fn calibration_accuracies_weigh_the_exits_by_their_share() {
    let mut teacher = Teacher::start(ensemble(EnsembleWeights::Calibration), 2, &recipe(), &device());
    teacher.take_accuracies(&[0.6, 0.2]);
    assert_eq!(values(&teacher), [3.0, 0.0]);
    // A run that is resumed knows the last epoch's accuracies alone: what came before must leave no trace.
    teacher.take_accuracies(&[0.0, 0.0]);
    assert_eq!(values(&teacher), [2.0, 0.0]);
}

/// Takes one step on the sample above.
fn step(teacher: Teacher) -> Teacher {
    let objective = Objective::new(ExitWeights::Equal, Distill::None, 1, &device());
    let targets = Targets::Classes(Tensor::from_data([0_i32], &device()));
    let logits = teacher.logits(&logits());
    let loss = teacher.own_loss(logits.as_ref(), &objective, &targets).unwrap();
    teacher.step(&mut loss.backward(), 0.5)
}

#[test]
fn learned_weights_descend_the_ensembles_cross_entropy_by_hand() {
    // The ensemble's logits are (4 a, 0), a = 1/2 its share of the first exit. The cross-entropy is ln(1 + exp(-4 a)), its slope in a is
    // -4 / (1 + exp(4 a)) = -0.4768116881, and a' = a (1 - a) in the first score, the opposite in the second: scores move by
    // 0.5 * 0.25 * 0.4768116881 = 0.0596014610 either way, so a becomes 1 / (1 + exp(-0.1192029220)) = 0.5297654931.
    let teacher = step(Teacher::start(ensemble(EnsembleWeights::Learned), 2, &recipe(), &device()));
    let first = values(&teacher)[0];
    assert!((first - 4.0 * 0.529_765_5).abs() < 1e-5, "{first}");
}

#[test]
fn learned_weights_go_on_where_they_were() {
    let start = || Teacher::start(ensemble(EnsembleWeights::Learned), 2, &recipe(), &device());
    let once = step(start());
    let (scores, optimizer) = once.record().unwrap().unwrap();
    let resumed = start().resume(&recipe(), scores, optimizer).unwrap();
    // The second step has momentum of the first.
    assert_eq!(values(&step(resumed)), values(&step(once)));
}
