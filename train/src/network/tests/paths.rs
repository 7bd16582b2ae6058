//! The ways through a network: exit by exit, the trunk alone, the branches alone, gradients in equilibrium.

use burn::tensor::Gradients;

use super::*;

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as().unwrap()
}

/// `resnet8` with three side exits, ready for evaluation, and a batch of five.
fn model_and_batch() -> (MultiExit, Tensor<4>) {
    let device = Device::flex();
    let model = MultiExit::new(&network("resnet8", GREY_8, 10, Some(&six_levels(Pattern::Decreasing(0.5)))), 2, &device.clone().autodiff());
    let mut rng = chance::stream(2, Purpose::Augment, 0);
    let values: Vec<f32> = (0..5 * 64).map(|_| chance::normal(&mut rng) as f32).collect();
    (model.valid(), Tensor::from_data(TensorData::new(values, [5, 1, 8, 8]), &device))
}

#[test]
fn a_walk_that_keeps_rows_says_of_them_what_the_whole_batch_does() {
    let (model, x_bchw) = model_and_batch();
    let expected: Vec<Vec<f32>> = model.forward(x_bchw.clone()).into_iter().map(numbers).collect();
    // Rows of the first batch that are still there at each exit: 4, 0 and 3 go on from the first, 3 and 4 from the second.
    let rows_at: [&[usize]; 4] = [&[0, 1, 2, 3, 4], &[4, 0, 3], &[3, 4], &[3, 4]];
    let mut walk = model.walk(x_bchw);
    for (exit, rows) in rows_at.into_iter().enumerate() {
        assert_eq!((walk.n_passed(), walk.n_rows()), (exit, rows.len()));
        let logits = numbers(walk.next_exit().unwrap());
        let of_rows: Vec<f32> = rows.iter().flat_map(|row| expected[exit][row * 10..][..10].to_vec()).collect();
        let worst = logits.iter().zip(&of_rows).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(logits.len() == of_rows.len() && worst < 1e-5, "exit {exit}: off by {worst}");
        match exit {
            0 => walk.keep(&[4, 0, 3]),
            1 => walk.keep(&[2, 0]),
            _ => {}
        }
    }
    assert!(walk.next_exit().is_none());
}

#[test]
fn trunk_and_branches_apart_say_what_they_say_together() {
    let (model, x_bchw) = model_and_batch();
    let expected: Vec<Vec<f32>> = model.forward(x_bchw.clone()).into_iter().map(numbers).collect();
    let trunk = model.run_trunk(x_bchw);
    let mut apart: Vec<Vec<f32>> = model.classify_from(trunk.at_exits).into_iter().map(numbers).collect();
    apart.push(numbers(trunk.logits_bk));
    assert_eq!(apart, expected);
}

#[test]
fn branches_on_a_frozen_trunk_learn_and_the_trunk_does_not() {
    let device = Device::flex().autodiff();
    let model = MultiExit::new(&network("resnet8", GREY_8, 10, Some(&six_levels(Pattern::Constant))), 0, &device);
    let frozen = model.valid().run_trunk(Tensor::ones([2, 1, 8, 8], &Device::flex()));
    let logits = model.classify_from(frozen.at_exits.into_iter().map(Tensor::from_inner).collect());
    let gradients = logits.into_iter().map(|logits_bk| logits_bk.powi_scalar(2).sum()).reduce(|sum, loss| sum + loss).unwrap().backward();
    assert_eq!(n_with_gradient(&model.units, &gradients), 0);
    assert_eq!(n_with_gradient(&model.head, &gradients), 0);
    assert_eq!(n_with_gradient(&model.branches, &gradients), trainable(&model.branches).len());
}

/// Counts the parameters that a backward pass reached.
fn n_with_gradient(module: &impl Module, gradients: &Gradients) -> usize {
    struct Reached<'a>(&'a Gradients, usize);
    impl ModuleVisitor for Reached<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1 += usize::from(param.is_require_grad() && param.val().grad(self.0).is_some());
        }
    }
    let mut visitor = Reached(gradients, 0);
    module.visit(&mut visitor);
    visitor.1
}

/// Three units that multiply by 2, 3 and 5, read by exits that multiply by 1, 2 and 3.
fn multiplications(device: &Device) -> MultiExit {
    let mut builder = Builder { rng: Some(chance::stream(0, Purpose::Weights, 0)), device };
    let mut unit = |factor: f32| {
        let mut conv = builder.conv2d(layer::Conv2d::new(1, 1, 1, 1));
        conv.weight = Param::from_data([[[[factor]]]], device);
        UnitModule::Sequence(vec![LayerModule::Conv2d(conv)])
    };
    let units = vec![unit(2.0), unit(3.0), unit(5.0)];
    let mut classifier = |factor: f32| {
        let mut linear = builder.linear(1, 1);
        linear.weight = Param::from_data([[factor]], device);
        linear.bias = Some(Param::from_data([0.0_f32], device));
        vec![LayerModule::Linear(linear)]
    };
    let branches = vec![BranchModule { unit: 0, layers: classifier(1.0) }, BranchModule { unit: 1, layers: classifier(2.0) }];
    MultiExit { units, head: classifier(3.0), branches }
}

/// Gradients of the sum of all logits: of the input, the three units' factors and the three exits' factors.
fn gradients_by_hand(forward: impl Fn(&MultiExit, Tensor<4>) -> Vec<Tensor<2>>) -> (Vec<f32>, [f32; 7]) {
    let device = Device::flex().autodiff();
    let model = multiplications(&device);
    let x_bchw = Tensor::<4>::ones([1, 1, 1, 1], &device).require_grad();
    let logits = forward(&model, x_bchw.clone());
    let values = logits.iter().map(|logits_bk| numbers(logits_bk.clone())[0]).collect();
    let gradients = logits.into_iter().map(Tensor::sum).reduce(|sum, loss| sum + loss).unwrap().backward();
    let of_unit = |unit: &UnitModule| match unit {
        UnitModule::Sequence(layers) => match &layers[0] {
            LayerModule::Conv2d(conv) => numbers(conv.weight.val().grad(&gradients).unwrap())[0],
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let of_exit = |layers: &[LayerModule]| match &layers[0] {
        LayerModule::Linear(linear) => numbers(linear.weight.val().grad(&gradients).unwrap())[0],
        other => panic!("{other:?}"),
    };
    let [first, second, third] = [0, 1, 2].map(|unit| of_unit(&model.units[unit]));
    let [early, middle, last] = [&model.branches[0].layers, &model.branches[1].layers, &model.head].map(|layers| of_exit(layers));
    (values, [numbers(x_bchw.grad(&gradients).unwrap())[0], first, second, third, early, middle, last])
}

/// The maps are 2, 6 and 30. From behind: 30 gets back 3. 6 gets back 2 and 5 * 3: 17. 2 gets back 1 and 3 * 17: 52. The input gets 2 * 52.
/// A unit's factor gets what its map gets times its input, an exit's factor the map it reads.
#[test]
fn gradients_of_a_plain_forward_are_sums_over_exits() {
    let (logits, gradients) = gradients_by_hand(MultiExit::forward);
    assert_eq!(logits, [2.0, 12.0, 90.0]);
    assert_eq!(gradients, [104.0, 52.0, 2.0 * 17.0, 6.0 * 3.0, 2.0, 6.0, 30.0]);
}

/// 30 still gets back 3, of one exit. 6 gets back the mean of 2 and 5 * 3: 8.5. 2 gets back a third of 1 and two thirds of 3 * 8.5: 52 / 3.
#[test]
fn gradients_in_equilibrium_are_means_over_exits() {
    let (logits, gradients) = gradients_by_hand(MultiExit::forward_in_equilibrium);
    assert_eq!(logits, [2.0, 12.0, 90.0]);
    let expected = [2.0 * 52.0 / 3.0, 52.0 / 3.0, 2.0 * 8.5, 6.0 * 3.0, 2.0, 6.0, 30.0];
    for (gradient, expected) in gradients.into_iter().zip(expected) {
        assert!((gradient - expected).abs() < 1e-4, "{gradients:?}");
    }
}

#[test]
fn equilibrium_keeps_every_bit_of_the_logits() {
    let device = Device::flex().autodiff();
    let model = MultiExit::new(&network("resnet8", GREY_8, 10, Some(&six_levels(Pattern::Constant))), 0, &device);
    let x_bchw = Tensor::<4>::random([3, 1, 8, 8], burn::tensor::Distribution::Uniform(-1.0, 1.0), &device);
    let plain: Vec<_> = model.forward(x_bchw.clone()).into_iter().map(numbers).collect();
    let balanced: Vec<_> = model.forward_in_equilibrium(x_bchw).into_iter().map(numbers).collect();
    assert_eq!(plain, balanced);
}
