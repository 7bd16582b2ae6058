//! The learning rate of a step. A regime of two phases goes through the schedule twice, once a phase.

use offramp_domain::job::Schedule;

/// Where a step stands in a phase of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The epoch it belongs to, 0-based.
    pub epoch: u32,
    /// Steps before it in the whole phase.
    pub index: u64,
    /// Steps of the whole phase.
    pub n_steps: u64,
    /// Steps of an epoch.
    pub n_steps_per_epoch: u64,
}

/// The learning rate of a step, from the recipe's rate at the start.
///
/// # Source
/// Cosine: Loshchilov and Hutter, "SGDR", equation 5, with one cycle, a least rate of 0, and a step as the unit of time. Warm-up: Goyal et al.,
/// "Accurate, Large Minibatch SGD", section 2.2, the same increment every step; its last step has the full rate, and no step has rate 0. One
/// cycle: Smith and Topin, "Super-Convergence", in the two-phase cosine form of PyTorch's `OneCycleLR` (the peak at step
/// `warmup * n_steps - 1`, the end at the last step), without its cycling of the momentum.
pub fn learning_rate(schedule: &Schedule, start: f64, step: Step) -> f64 {
    match schedule {
        Schedule::Constant => start,
        Schedule::Cosine => {
            let progress = step.index as f64 / step.n_steps as f64;
            start * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
        }
        Schedule::Step { milestones, gamma } => {
            let n_passed = milestones.iter().filter(|&&milestone| milestone <= step.epoch).count();
            start * gamma.powi(n_passed as i32)
        }
        Schedule::Warmup { epochs, then } => {
            let n_up = u64::from(*epochs) * step.n_steps_per_epoch;
            match step.index.checked_sub(n_up) {
                None => start * (step.index + 1) as f64 / n_up as f64,
                Some(index) => learning_rate(then, start, Step { index, n_steps: step.n_steps - n_up, ..step }),
            }
        }
        Schedule::OneCycle { warmup, start_divisor, end_divisor } => {
            let (at, last) = (step.index as f64, step.n_steps as f64 - 1.0);
            let peak = warmup * step.n_steps as f64 - 1.0;
            if at < peak {
                half_cosine(start / start_divisor, start, at / peak)
            } else {
                half_cosine(start, start / end_divisor, (at - peak) / (last - peak))
            }
        }
    }
}

/// From one rate to another along half a cosine; `progress` goes from 0 to 1.
fn half_cosine(from: f64, to: f64, progress: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three steps an epoch, four epochs.
    fn check(schedule: &Schedule, epoch: u32, index: u64, expected: f64) {
        let rate = learning_rate(schedule, 0.1, Step { epoch, index, n_steps: 12, n_steps_per_epoch: 3 });
        assert!((rate - expected).abs() < 1e-15, "{schedule:?} at step {index}: {rate}, expected {expected}");
    }

    #[test]
    fn constant_stays() {
        check(&Schedule::Constant, 0, 0, 0.1);
        check(&Schedule::Constant, 3, 11, 0.1);
    }

    #[test]
    fn cosine_falls_by_the_step() {
        // cos(pi/3) = 1/2, cos(pi/2) = 0, cos(2 pi/3) = -1/2.
        check(&Schedule::Cosine, 0, 0, 0.1);
        check(&Schedule::Cosine, 1, 4, 0.075);
        check(&Schedule::Cosine, 1, 6, 0.05);
        check(&Schedule::Cosine, 2, 8, 0.025);
        check(&Schedule::Cosine, 4, 12, 0.0);
    }

    #[test]
    fn step_falls_at_the_start_of_each_milestone() {
        let schedule = Schedule::Step { milestones: vec![2, 3], gamma: 0.2 };
        check(&schedule, 0, 0, 0.1);
        check(&schedule, 1, 5, 0.1);
        check(&schedule, 2, 6, 0.02);
        check(&schedule, 3, 9, 0.004);
    }
    #[test]
    fn warm_up_climbs_by_the_step_and_leaves_the_rest_to_what_follows() {
        let schedule = |then| Schedule::Warmup { epochs: 2, then: Box::new(then) };
        // Six steps up: 1/6 to 6/6 of the rate.
        check(&schedule(Schedule::Constant), 0, 0, 0.1 / 6.0);
        check(&schedule(Schedule::Constant), 1, 3, 0.4 / 6.0);
        check(&schedule(Schedule::Constant), 1, 5, 0.1);
        check(&schedule(Schedule::Constant), 2, 6, 0.1);
        // The half cosine has the six steps that are left: cos(0), cos(pi/3), cos(pi/2).
        check(&schedule(Schedule::Cosine), 2, 6, 0.1);
        check(&schedule(Schedule::Cosine), 2, 8, 0.075);
        check(&schedule(Schedule::Cosine), 3, 9, 0.05);
        // Milestones are epochs of the whole, warm-up included.
        let step = Schedule::Step { milestones: vec![3], gamma: 0.1 };
        check(&schedule(step.clone()), 2, 8, 0.1);
        check(&schedule(step), 3, 9, 0.01);
        check(&Schedule::Warmup { epochs: 0, then: Box::new(Schedule::Cosine) }, 1, 4, 0.075);
    }

    #[test]
    fn one_cycle_climbs_and_falls_along_half_cosines() {
        // The peak is at step 5/12 * 12 - 1 = 4, the end at step 11.
        let schedule = Schedule::OneCycle { warmup: 5.0 / 12.0, start_divisor: 4.0, end_divisor: 100.0 };
        check(&schedule, 0, 0, 0.025);
        // Half way up: the mean of 0.025 and 0.1.
        check(&schedule, 0, 2, 0.0625);
        check(&schedule, 1, 4, 0.1);
        // 3.5 steps are half way down; cos(3 pi / 7) at step 7.
        let at_seven = 0.001 + 0.099 * 0.5 * (1.0 + 0.222_520_933_956_314_4);
        check(&schedule, 2, 7, at_seven);
        check(&schedule, 3, 11, 0.001);
        // A way up of less than a step is no way up.
        let short = Schedule::OneCycle { warmup: 1.0 / 12.0, start_divisor: 4.0, end_divisor: 100.0 };
        check(&short, 0, 0, 0.1);
    }
}
