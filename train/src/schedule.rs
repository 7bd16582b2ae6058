//! The learning rate of a step.

use offramp_domain::job::Schedule;

/// Where a step stands in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The epoch it belongs to, 0-based.
    pub epoch: u32,
    /// Steps before it in the whole run.
    pub index: u64,
    /// Steps of the whole run.
    pub n_steps: u64,
}

/// The learning rate of a step, from the recipe's rate at the start.
///
/// # Source
/// Cosine: Loshchilov and Hutter, "SGDR", equation 5, with one cycle, a least rate of 0, and a step as the unit of time.
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
        Schedule::Warmup { .. } | Schedule::OneCycle { .. } => unreachable!("`run` refuses other schedules"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schedule: &Schedule, epoch: u32, index: u64, expected: f64) {
        let rate = learning_rate(schedule, 0.1, Step { epoch, index, n_steps: 12 });
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
}
