use offramp_domain::job::{Optimizer, Schedule};

use super::*;

fn two_channel_images() -> Images {
    // Channel 0 of image 0: 1 2 / 3 4; channel 1: 10 everywhere. Image 1: 5 6 / 7 8 and 30 everywhere.
    Images { shape: Shape::new(2, 2, 2), pixels: vec![1, 2, 3, 4, 10, 10, 10, 10, 5, 6, 7, 8, 30, 30, 30, 30], labels: vec![0, 1] }
}

/// Leaves pixel values as they are.
fn identity(n_channels: usize) -> Normalisation {
    Normalisation { tables: vec![std::array::from_fn(|value| value as f32); n_channels] }
}

#[test]
fn normalisation_is_by_channel_over_the_training_images_alone() {
    let images = two_channel_images();
    // Channel 0: 1 to 8, mean 4.5, variance 5.25. Channel 1: mean 20, deviation 10.
    let both = Normalisation::measure(&images, &[0, 1]);
    assert_eq!(both.tables[0][1], (-3.5 / 5.25_f64.sqrt()) as f32);
    assert_eq!([both.tables[1][10], both.tables[1][30], both.tables[1][0]], [-1.0, 1.0, -2.0]);
    // Image 0 alone: channel 1 never varies.
    let first = Normalisation::measure(&images, &[0]);
    assert_eq!([first.tables[1][10], first.tables[1][12]], [0.0, 2.0]);
    assert_eq!(first.tables[0][1], (-1.5 / 1.25_f64.sqrt()) as f32);
}

/// The first channel of a view, with pixel values left as they are.
fn show(images: &Images, view: View) -> Vec<f32> {
    let sample = Sample { view, mixed: None };
    pixels(images, &identity(images.shape.channels), &[sample])[..images.shape.positions()].to_vec()
}

#[test]
fn moves_bring_in_zeros_and_flips_mirror() {
    let images = two_channel_images();
    let show = |view: View| show(&images, view);
    assert_eq!(show(View::plain(1)), [5.0, 6.0, 7.0, 8.0]);
    assert_eq!(show(View { down: 1, ..View::plain(0) }), [0.0, 0.0, 1.0, 2.0]);
    assert_eq!(show(View { down: -1, ..View::plain(0) }), [3.0, 4.0, 0.0, 0.0]);
    assert_eq!(show(View { right: 1, ..View::plain(0) }), [0.0, 1.0, 0.0, 3.0]);
    assert_eq!(show(View { right: -1, ..View::plain(0) }), [2.0, 0.0, 4.0, 0.0]);
    assert_eq!(show(View { flipped: true, ..View::plain(0) }), [2.0, 1.0, 4.0, 3.0]);
    assert_eq!(show(View { right: 1, flipped: true, ..View::plain(0) }), [1.0, 0.0, 3.0, 0.0]);
}

/// One image of one channel: 1 2 3 / 4 5 6 / 7 8 9.
fn three_by_three() -> Images {
    Images { shape: Shape::new(1, 3, 3), pixels: (1..=9).collect(), labels: vec![0] }
}

#[test]
fn mirrored_padding_does_not_repeat_the_edge() {
    let images = three_by_three();
    let show = |down, right| show(&images, View { down, right, padding: Padding::Mirrored, ..View::plain(0) });
    assert_eq!(show(1, 0), [4.0, 5.0, 6.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(show(0, -2), [3.0, 2.0, 1.0, 6.0, 5.0, 4.0, 9.0, 8.0, 7.0]);
    assert_eq!(show(-1, 1), [5.0, 4.0, 5.0, 8.0, 7.0, 8.0, 5.0, 4.0, 5.0]);
}

#[test]
fn a_blank_square_is_cut_off_at_the_edges_and_covers_every_channel() {
    let images = three_by_three();
    let show = |top, left, side| show(&images, View { blank: Some(Square { top, left, side }), ..View::plain(0) });
    assert_eq!(show(-1, -1, 2), [0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    assert_eq!(show(1, 1, 2), [1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 7.0, 0.0, 0.0]);
    assert_eq!(show(2, 0, 1), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0, 8.0, 9.0]);
    assert_eq!(show(-1, -1, 9), [0.0; 9]);
    let sample = Sample { view: View { blank: Some(Square { top: 0, left: 0, side: 1 }), ..View::plain(0) }, mixed: None };
    let both_channels = pixels(&two_channel_images(), &identity(2), &[sample]);
    assert_eq!(both_channels, [0.0, 2.0, 3.0, 4.0, 0.0, 10.0, 10.0, 10.0]);
}

#[test]
fn blends_add_shares_of_two_images() {
    let mixed = Mixed { with: View { flipped: true, ..View::plain(1) }, share: 0.25 };
    let blended = pixels(&two_channel_images(), &identity(2), &[Sample { view: View::plain(0), mixed: Some(mixed) }]);
    // 3/4 of 1 2 3 4 and a quarter of 6 5 8 7; 3/4 of 10 and a quarter of 30.
    assert_eq!(blended, [2.25, 2.75, 4.25, 4.75, 15.0, 15.0, 15.0, 15.0]);
}

/// What an epoch of 32x32 images makes of a recipe with this augmentation, and of the change to it.
fn epoch_of(train: &[u32], side: usize, augment: Augment, change: impl FnOnce(&mut Recipe), seed: u64, n: u32) -> Vec<Sample> {
    let optimizer = Optimizer::Sgd { lr: 0.1, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let mut recipe = Recipe::new(1, 1, optimizer, Schedule::Constant, augment);
    change(&mut recipe);
    epoch(train, Shape::new(3, side, side), &recipe, seed, n)
}

#[test]
fn an_epoch_is_a_function_of_seed_and_epoch_and_shows_every_image_once() {
    let train: Vec<u32> = (10..200).collect();
    let everything = |recipe: &mut Recipe| {
        recipe.cutout = Some(8);
        recipe.mixup = Some(0.2);
    };
    let samples = epoch_of(&train, 32, Augment::CropFlipReflect, everything, 3, 1);
    assert_eq!(epoch_of(&train, 32, Augment::CropFlipReflect, everything, 3, 1), samples);
    assert_ne!(epoch_of(&train, 32, Augment::CropFlipReflect, everything, 3, 2), samples);
    assert_ne!(epoch_of(&train, 32, Augment::CropFlipReflect, everything, 4, 1), samples);
    let sorted = |mut indices: Vec<u32>| {
        assert_ne!(indices, train);
        indices.sort_unstable();
        indices
    };
    assert_eq!(sorted(samples.iter().map(|sample| sample.view.index).collect()), train);
    assert_eq!(sorted(samples.iter().map(|sample| sample.mixed.unwrap().with.index).collect()), train);
    assert!(samples.iter().all(|sample| sample.view.padding == Padding::Mirrored));
}

#[test]
fn crops_move_by_up_to_an_eighth_of_the_side_and_reach_it() {
    let train: Vec<u32> = (0..2000).collect();
    let range = |side, augment| {
        let views: Vec<View> = epoch_of(&train, side, augment, |_| {}, 0, 0).iter().map(|sample| sample.view).collect();
        let least = views.iter().map(|view| view.down.min(view.right)).min().unwrap();
        let most = views.iter().map(|view| view.down.max(view.right)).max().unwrap();
        (least, most, views.iter().any(|view| view.flipped))
    };
    assert_eq!(range(32, Augment::CropFlip), (-4, 4, true));
    assert_eq!(range(32, Augment::CropFlipReflect), (-4, 4, true));
    assert_eq!(range(8, Augment::Crop), (-1, 1, false));
    assert_eq!(range(8, Augment::Flip), (0, 0, true));
    assert_eq!(range(8, Augment::None), (0, 0, false));
    // The largest images that datasets have.
    assert_eq!(range(1_024, Augment::Crop), (-128, 128, false));
}

#[test]
fn crops_of_oblong_images_move_by_an_eighth_of_each_side() {
    let optimizer = Optimizer::Sgd { lr: 0.1, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let recipe = Recipe::new(1, 1, optimizer, Schedule::Constant, Augment::Crop);
    let train: Vec<u32> = (0..2000).collect();
    let samples = epoch(&train, Shape::new(1, 64, 16), &recipe, 0, 0);
    let most = |offset: fn(&View) -> i16| samples.iter().map(|sample| offset(&sample.view)).max().unwrap();
    assert_eq!((most(|view| view.down), most(|view| view.right)), (8, 2));
}

#[test]
fn every_pixel_may_be_the_middle_of_what_is_blanked() {
    let train: Vec<u32> = (0..2000).collect();
    let samples = epoch_of(&train, 8, Augment::None, |recipe| recipe.cutout = Some(5), 0, 0);
    let squares: Vec<Square> = samples.iter().map(|sample| sample.view.blank.unwrap()).collect();
    let mut places: Vec<(i32, i32)> = squares.iter().map(|square| (square.top + 2, square.left + 2)).collect();
    places.sort_unstable();
    places.dedup();
    let all: Vec<(i32, i32)> = (0..8).flat_map(|row| (0..8).map(move |column| (row, column))).collect();
    assert_eq!(places, all);
    assert!(squares.iter().all(|square| square.side == 5));
}

#[test]
fn shares_of_a_blend_follow_their_distribution() {
    // Beta(a, a) has mean 1/2 and variance 1 / (4 (2 a + 1)).
    let train: Vec<u32> = (0..20_000).collect();
    for alpha in [0.2, 1.0, 4.0] {
        let samples = epoch_of(&train, 8, Augment::None, |recipe| recipe.mixup = Some(alpha), 0, 0);
        let shares: Vec<f64> = samples.iter().map(|sample| f64::from(sample.mixed.unwrap().share)).collect();
        let mean = shares.iter().sum::<f64>() / 20_000.0;
        let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / 20_000.0;
        let expected = (4.0 * (2.0 * alpha + 1.0)).recip();
        // Five standard errors of the mean; the variance's is below 2 % of it.
        assert!((mean - 0.5).abs() < 5.0 * (expected / 20_000.0).sqrt(), "{alpha}: {mean}");
        assert!((variance / expected - 1.0).abs() < 0.06, "{alpha}: {variance}, expected {expected}");
    }
}

#[test]
fn nothing_that_is_done_to_images_changes_their_order_or_what_else_is_done() {
    let train: Vec<u32> = (0..50).collect();
    let views = |augment, change: fn(&mut Recipe)| -> Vec<View> {
        epoch_of(&train, 8, augment, change, 5, 6).iter().map(|sample| View { blank: None, ..sample.view }).collect()
    };
    let order = |views: &[View]| views.iter().map(|view| view.index).collect::<Vec<_>>();
    let reference = views(Augment::CropFlip, |_| {});
    assert_eq!(order(&views(Augment::None, |_| {})), order(&reference));
    assert_eq!(views(Augment::CropFlip, |recipe| recipe.cutout = Some(3)), reference);
    assert_eq!(views(Augment::CropFlip, |recipe| recipe.mixup = Some(1.0)), reference);
}
