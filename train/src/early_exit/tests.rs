use burn::module::Module;
use offramp_data::digits;
use offramp_domain::evaluation::{Records, evaluate};
use offramp_domain::job::{
    Augment, BranchConfig, BranchRule, Budget, Evaluation, ExitPlacement, JobConfig, Optimizer, Pattern, Policy, Recipe, Schedule,
};
use offramp_domain::network::{self, Network};

use super::*;
use crate::records::record;

fn network(backbone: &str) -> Network {
    let branches =
        BranchConfig { exits: ExitPlacement::StageEnds, pattern: Pattern::Constant, budget: Budget::Levels(3), rule: BranchRule::Auto };
    let recipe =
        Recipe::new(1, 8, Optimizer::Sgd { lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.0 }, Schedule::Constant, Augment::None);
    let config = JobConfig::new(backbone, "digits", Some(branches), recipe, Evaluation::new(0.1, vec![Policy::MaxSoftmax]), 0);
    network::assemble(&config).unwrap()
}

struct Silent;

impl Observer for Silent {
    fn progress(&mut self, _: offramp_domain::outcome::Progress) {}

    fn records(&mut self, _: &Records) {}

    fn stopped(&self) -> bool {
        false
    }
}

/// A network with random weights says different things of different images, which is all that leaving needs.
struct Subject {
    model: MultiExit,
    images: Images,
    normalisation: Normalisation,
    device: Device,
    records: Records,
    points: Vec<OperatingPoint>,
}

impl Subject {
    fn new() -> Self {
        let network = network("resnet8");
        let device = crate::DeviceChoice::Cpu.open().unwrap();
        let model = MultiExit::new(&network, 3, &device.clone().autodiff()).valid();
        let images = digits::load().test;
        let all: Vec<u32> = (0..images.len() as u32).collect();
        let normalisation = Normalisation::measure(&images, &all);
        let (calibration, test) = (&all[..120], &all[120..200]);
        let record = |indices: &[u32]| record(&model, &images, &normalisation, indices, &device, &Silent).unwrap();
        let records = Records { calibration: record(calibration), test: record(test) };
        let evaluation = Evaluation::new(0.1, Policy::ALL.to_vec());
        let points = evaluate(&network, &evaluation, &records.calibration, &records.test).operating_points;
        Self { model, images, normalisation, device, records, points }
    }

    /// The test images' answers with real early exit, so many at once.
    fn answers(&self, rule: &Rule, batch: usize) -> Vec<Answer> {
        let answers = self.records.test.indices.chunks(batch).flat_map(|indices| {
            let samples: Vec<Sample> = indices.iter().copied().map(Sample::plain).collect();
            answer(&self.model, to_device(&self.images, &self.normalisation, &samples, &self.device), rule).unwrap()
        });
        answers.collect()
    }
}

#[test]
fn images_leave_for_real_where_records_say_so() {
    let subject = Subject::new();
    let mut n_early = 0;
    let mut policies = std::collections::BTreeSet::new();
    for index in measured(&subject.points) {
        let point = &subject.points[index];
        let rule = evaluation::rule(&point.policy, point.setting, &subject.records.calibration).unwrap();
        let played: Vec<Answer> = rule.play(&subject.records.test).into_iter().map(|(exit, class)| Answer { exit, class }).collect();
        n_early += played.iter().filter(|answer| answer.exit < 3).count();
        policies.insert(point.policy.clone());
        // The batch shrinks from exit to exit, to any size.
        assert_eq!(subject.answers(&rule, 128), played, "{} {}", point.policy, point.setting);
    }
    assert_eq!(policies.len(), 7, "{policies:?}");
    assert!(n_early > 0);
    let point = subject.points.last().unwrap();
    let rule = evaluation::rule(&point.policy, point.setting, &subject.records.calibration).unwrap();
    for batch in [1, 33] {
        assert_eq!(subject.answers(&rule, batch), subject.answers(&rule, 128), "in batches of {batch}");
    }
}

#[test]
fn fixed_points_and_some_of_each_policy_are_measured() {
    let Subject { model, images, normalisation, device, records, mut points } = Subject::new();
    let images = Images { labels: images.labels[..3].to_vec(), pixels: images.pixels[..3 * 64].to_vec(), shape: images.shape };
    points.retain(|point| ["fixed", "max-softmax", "patience"].contains(&point.policy.as_str()));
    measure(&model, &images, &normalisation, &device, &records.calibration, &mut points, &Silent).unwrap();
    for of_policy in points.chunk_by(|a, b| a.policy == b.policy) {
        let measured = of_policy.iter().filter(|point| point.latency_us.is_some()).count();
        let expected = if of_policy[0].policy == "fixed" { 4 } else { of_policy.len().min(4) };
        assert_eq!(measured, expected, "{}", of_policy[0].policy);
        assert!(of_policy.last().unwrap().latency_us.is_some());
    }
    for point in points.iter().filter(|point| point.latency_us.is_some()) {
        assert!(point.latency_us.unwrap() > 0.0 && point.images_per_second.unwrap() > 0.0);
    }
}

#[test]
fn spread_keeps_both_ends() {
    assert_eq!(spread(3, 4), [0, 1, 2]);
    assert_eq!(spread(10, 4), [0, 3, 6, 9]);
    assert!(spread(0, 4).is_empty());
}
