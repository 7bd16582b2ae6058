use super::*;
use crate::batches::View;

fn device() -> Device {
    Device::flex()
}

fn row(logits: [f32; 2]) -> Tensor<2> {
    Tensor::from_data([logits], &device())
}

fn objective(exit_weights: ExitWeights, distill: Distill) -> Objective {
    Objective::new(exit_weights, distill, 4, &device())
}

fn class(class: i32) -> Targets {
    Targets::Classes(Tensor::from_data([class], &device()))
}

fn check(loss: &Tensor<1>, expected: f64) {
    let loss = f64::from(loss.clone().into_scalar::<f32>());
    assert!((loss - expected).abs() < 1e-6, "{loss}, expected {expected}");
}

/// Logits whose softmax has odds 1 : odds.
fn odds(odds: f32) -> Tensor<2> {
    row([0.0, odds.ln()])
}

#[test]
fn exits_count_by_their_weights() {
    let weights = |rule: ExitWeights, epoch| exit_weights(&rule, 4, epoch, 5);
    assert_eq!(weights(ExitWeights::Equal, 3), [1.0; 4]);
    assert_eq!(weights(ExitWeights::Linear, 3), [0.25, 0.5, 0.75, 1.0]);
    assert_eq!(weights(ExitWeights::List(vec![0.1, 0.2, 0.3, 2.0]), 0), [0.1, 0.2, 0.3, 2.0]);
    // 0.01 + epoch * 0.5 / 5, at most 0.5.
    for (epoch, side) in [(0, 0.01), (2, 0.21), (4, 0.41), (5, 0.5)] {
        let ramp = weights(ExitWeights::Ramp { max: 0.5 }, epoch);
        assert!(ramp[..3].iter().all(|weight| (weight - side).abs() < 1e-15) && ramp[3] == 1.0, "{ramp:?}, expected {side}");
    }
    assert_eq!(exit_weights(&ExitWeights::List(vec![0.5, 0.5, 0.5]), 1, 0, 5), [1.0]);
}

#[test]
fn the_loss_is_the_weighted_sum_of_cross_entropies_by_hand() {
    // Probabilities of class 1: 1/2, 3/4.
    let logits = || vec![odds(1.0), odds(3.0)];
    let joint = objective(ExitWeights::Equal, Distill::None).loss(logits(), &class(1), None, 0);
    check(&joint, 2.0_f64.ln() + (4.0_f64 / 3.0).ln());
    let weighted = objective(ExitWeights::List(vec![0.25, 2.0]), Distill::None).loss(logits(), &class(1), None, 0);
    check(&weighted, 0.25 * 2.0_f64.ln() + 2.0 * (4.0_f64 / 3.0).ln());
}

#[test]
fn distillation_by_hand() {
    // At temperature 2 odds of 9 are odds of 3: the teacher says 1/4 and 3/4, a student with odds of 1 says halves.
    // KL = 1/4 ln(1/2) + 3/4 ln(3/2); times lambda T^2 = 0.25 * 4. The student's cross-entropy is ln 2, with 0.75.
    let divergence = 0.25 * 0.5_f64.ln() + 0.75 * 1.5_f64.ln();
    let of_student = 0.75 * 2.0_f64.ln() + divergence;
    let final_alone = (10.0_f64 / 9.0).ln();
    let last = objective(ExitWeights::Equal, Distill::Last { temperature: 2.0, lambda: 0.25 });
    check(&last.loss(vec![odds(1.0), odds(9.0)], &class(1), Some(&odds(9.0)), 0), of_student + final_alone);
    // An ensemble teaches the final exit too: here it says what the final exit says, and the divergence is 0.
    let ensemble = Distill::Ensemble { temperature: 2.0, lambda: 0.25, weights: offramp_domain::job::EnsembleWeights::Learned };
    let ensemble = objective(ExitWeights::Equal, ensemble);
    check(&ensemble.loss(vec![odds(1.0), odds(9.0)], &class(1), Some(&odds(9.0)), 0), of_student + 0.75 * final_alone);
}

#[test]
fn the_teacher_gets_no_gradient() {
    let device = device().autodiff();
    let teacher = Tensor::<2>::from_data([[0.0_f32, 1.0]], &device).require_grad();
    let student = Tensor::<2>::from_data([[0.0_f32, 0.0]], &device).require_grad();
    let objective = Objective::new(ExitWeights::Equal, Distill::Last { temperature: 1.0, lambda: 1.0 }, 1, &device);
    let targets = Targets::Classes(Tensor::from_data([1_i32], &device));
    let gradients = objective.loss(vec![student.clone(), teacher.clone()], &targets, Some(&teacher), 0).backward();
    // The student's gradient is softmax(student) - softmax(teacher); the final exit's that of its cross-entropy, softmax - one-hot.
    let p = 1.0 / (1.0 + 1.0_f32.exp());
    let near = |tensor: Tensor<2>, expected: [f32; 2]| {
        let values = tensor.try_into_vec_as::<f32>().unwrap();
        assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{values:?}, expected {expected:?}");
    };
    near(student.grad(&gradients).unwrap(), [0.5 - p, p - 0.5]);
    near(teacher.grad(&gradients).unwrap(), [p, -p]);
}

fn images() -> Images {
    Images { shape: offramp_domain::shape::Shape::new(1, 1, 1), pixels: vec![0, 0], labels: vec![2, 0] }
}

fn shares(samples: &[Sample], smoothing: f64) -> Vec<f32> {
    match targets(&images(), samples, 4, smoothing, &device()) {
        Targets::Shares(shares) => shares.try_into_vec_as().unwrap(),
        Targets::Classes(classes) => panic!("classes {classes}"),
    }
}

#[test]
fn targets_are_classes_or_shares_by_hand() {
    let Targets::Classes(classes) = targets(&images(), &[Sample::plain(1), Sample::plain(0)], 4, 0.0, &device()) else { panic!("shares") };
    assert_eq!(classes.try_into_vec_as::<i32>().unwrap(), [0, 2]);
    let near = |got: Vec<f32>, expected: [f32; 4]| {
        assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-7), "{got:?}, expected {expected:?}");
    };
    // A fifth over four classes.
    near(shares(&[Sample::plain(0)], 0.2), [0.05, 0.05, 0.85, 0.05]);
    let mixed = |with, share| Sample { mixed: Some(Mixed { with: View::plain(with), share }), ..Sample::plain(0) };
    near(shares(&[mixed(1, 0.25)], 0.0), [0.25, 0.0, 0.75, 0.0]);
    near(shares(&[mixed(1, 0.25)], 0.2), [0.25, 0.05, 0.65, 0.05]);
    // Blended with its own class.
    near(shares(&[mixed(0, 0.25)], 0.0), [0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn shares_of_one_class_cost_what_the_class_costs() {
    let objective = objective(ExitWeights::Equal, Distill::None);
    let logits = Tensor::<2>::from_data([[0.0_f32, 1.0], [2.0, -1.0]], &device());
    let of_classes = objective.cross_entropy(logits.clone(), &Targets::Classes(Tensor::from_data([1_i32, 0], &device())));
    let of_shares = objective.cross_entropy(logits, &Targets::Shares(Tensor::from_data([[0.0_f32, 1.0], [1.0, 0.0]], &device())));
    check(&of_shares, f64::from(of_classes.into_scalar::<f32>()));
    // Half and half of odds 1 : 3: -(ln 1/4 + ln 3/4) / 2.
    let half = objective.cross_entropy(odds(3.0), &Targets::Shares(Tensor::from_data([[0.5_f32, 0.5]], &device())));
    check(&half, -0.5 * (0.25_f64.ln() + 0.75_f64.ln()));
}
