//! Recipes that ship: what is known to train a kind of network well, each with where it is from.
//!
//! They begin a sweep's `[recipe]` by name (`base = "resnet-cifar-200"`), or each backbone and dataset picks its own (`base = "suited"`). What
//! they come to is in a job's configuration field by field, so that a later change of one of them changes no job that was there before.

use crate::job::{Augment, Optimizer, Recipe, Schedule};

/// A recipe with a name.
#[derive(Debug, Clone, Copy)]
pub struct NamedRecipe {
    /// Its name in sweep files.
    pub name: &'static str,
    /// What it is for, in a few words.
    pub purpose: &'static str,
    /// Where it is from.
    pub source: &'static str,
    build: fn() -> Recipe,
}

impl NamedRecipe {
    /// What it says.
    pub fn recipe(&self) -> Recipe {
        (self.build)()
    }
}

/// Every recipe that ships.
pub const RECIPES: &[NamedRecipe] = &[
    NamedRecipe {
        name: "resnet-cifar-200",
        purpose: "residual networks for small images, 200 epochs",
        source: "He et al., arXiv 1512.03385, section 4.2, with the 200 epochs and milestones of public re-implementations",
        build: || Recipe::new(200, 128, sgd(0.1, false, 1e-4), step(&[100, 150], 0.1), Augment::CropFlip),
    },
    NamedRecipe {
        name: "resnet110-cifar-200",
        purpose: "the same for 110 layers, which start with an epoch of warm-up",
        source: "He et al., arXiv 1512.03385, section 4.2: ResNet-110 starts at a lower rate until it begins to converge",
        build: || {
            let schedule = Schedule::Warmup { epochs: 1, then: Box::new(step(&[100, 150], 0.1)) };
            Recipe::new(200, 128, sgd(0.1, false, 1e-4), schedule, Augment::CropFlip)
        },
    },
    NamedRecipe {
        name: "wrn-cifar-200",
        purpose: "wide residual networks, 200 epochs",
        source: "Zagoruyko, Komodakis, arXiv 1605.07146, section 3: rate times 0.2 at epochs 60, 120 and 160, reflected padding",
        build: || Recipe::new(200, 128, sgd(0.1, true, 5e-4), step(&[60, 120, 160], 0.2), Augment::CropFlipReflect),
    },
    NamedRecipe {
        name: "densenet-cifar-300",
        purpose: "dense networks, 300 epochs",
        source: "Huang et al., arXiv 1608.06993, section 4.2: batch 64, rate times 0.1 at half and three quarters",
        build: || Recipe::new(300, 64, sgd(0.1, true, 1e-4), step(&[150, 225], 0.1), Augment::CropFlip),
    },
    NamedRecipe {
        name: "msdnet-cifar-300",
        purpose: "multi-scale dense networks, 300 epochs",
        source: "Huang et al., arXiv 1703.09844, section 5: batch 64, rate times 0.1 at half and three quarters",
        build: || Recipe::new(300, 64, sgd(0.1, false, 1e-4), step(&[150, 225], 0.1), Augment::CropFlip),
    },
    NamedRecipe {
        name: "cosine-cifar-200",
        purpose: "VGG with batch norm and MobileNets on small images, 200 epochs",
        source: "what public CIFAR collections train these networks with: rate 0.1 down a half cosine, weight decay 5e-4",
        build: || Recipe::new(200, 128, sgd(0.1, true, 5e-4), Schedule::Cosine, Augment::CropFlip),
    },
    NamedRecipe {
        name: "sdn-100",
        purpose: "shallow-deep networks on CIFAR and Tiny-ImageNet, 100 epochs",
        source: "Kaya, Hong, Dumitras, arXiv 1810.07052: rate times 0.1 at epochs 35, 60 and 85; their exit weights are `{ ramp = .. }`",
        build: || Recipe::new(100, 128, sgd(0.1, false, 5e-4), step(&[35, 60, 85], 0.1), Augment::CropFlip),
    },
    NamedRecipe {
        name: "imagenet-90",
        purpose: "networks for images of 224 pixels, 90 epochs",
        source: "the reference training of torchvision: rate times 0.1 every 30 epochs, weight decay 1e-4",
        build: || Recipe::new(90, 256, sgd(0.1, false, 1e-4), step(&[30, 60], 0.1), Augment::CropFlip),
    },
    NamedRecipe {
        name: "cosine-30",
        purpose: "a first look at any small network in 30 epochs",
        source: "Offramp's own, for subsets and quick comparisons: batch 64, rate 0.1 down a half cosine",
        build: || Recipe::new(30, 64, sgd(0.1, true, 5e-4), Schedule::Cosine, Augment::CropFlip),
    },
    NamedRecipe {
        name: "digits-15",
        purpose: "the demonstration on 8 x 8 digits, 15 epochs",
        source: "Offramp's own; digits are moved by a pixel and not mirrored",
        build: || Recipe::new(15, 32, sgd(0.05, true, 5e-4), Schedule::Cosine, Augment::Crop),
    },
];

fn sgd(lr: f64, nesterov: bool, weight_decay: f64) -> Optimizer {
    Optimizer::Sgd { lr, momentum: 0.9, nesterov, weight_decay }
}

fn step(milestones: &[u32], gamma: f64) -> Schedule {
    Schedule::Step { milestones: milestones.to_vec(), gamma }
}

/// Finds a recipe by its name.
pub fn find(name: &str) -> Option<&'static NamedRecipe> {
    RECIPES.iter().find(|recipe| recipe.name == name)
}

/// The recipe that ships for a backbone on a dataset, both by their canonical names.
///
/// # Examples
/// ```
/// use offramp_domain::recipes::suited;
/// assert_eq!(suited("wrn-28-10", "cifar100").unwrap().name, "wrn-cifar-200");
/// assert!(suited("wrn-28-10", "digits").is_none());
/// ```
pub fn suited(backbone: &str, dataset: &str) -> Option<&'static NamedRecipe> {
    let is_small = backbone.starts_with("resnet") || backbone.starts_with("mobilenet");
    let name = match dataset {
        "digits" if is_small => "digits-15",
        "cifar10" | "cifar100" | "svhn" | "tiny-imagenet" => suited_to_small_images(backbone)?,
        _ => return None,
    };
    find(name)
}

/// The first prefix that fits decides.
fn suited_to_small_images(backbone: &str) -> Option<&'static str> {
    if backbone.ends_with("-imagenet") {
        return None;
    }
    let by_prefix = [
        ("resnet110", "resnet110-cifar-200"),
        ("resnet", "resnet-cifar-200"),
        ("wrn", "wrn-cifar-200"),
        ("densenet", "densenet-cifar-300"),
        ("msdnet", "msdnet-cifar-300"),
        ("vgg", "cosine-cifar-200"),
        ("mobilenet", "cosine-cifar-200"),
    ];
    by_prefix.into_iter().find_map(|(prefix, name)| backbone.starts_with(prefix).then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for (index, recipe) in RECIPES.iter().enumerate() {
            assert!(RECIPES[..index].iter().all(|earlier| earlier.name != recipe.name), "{}", recipe.name);
            assert_eq!(find(recipe.name).map(NamedRecipe::recipe), Some(recipe.recipe()));
        }
        assert!(find("resnet").is_none());
    }

    #[test]
    fn the_reference_of_the_sweep_file_lists_them() {
        let reference = include_str!("../../docs/SWEEPS.md");
        for NamedRecipe { name, purpose, source, .. } in RECIPES {
            assert!(reference.contains(&format!("| `{name}` | {purpose} | {source} |")), "{name}");
        }
    }

    #[test]
    fn milestones_fall_within_the_epochs() {
        for named in RECIPES {
            let recipe = named.recipe();
            let schedule = match recipe.schedule {
                Schedule::Warmup { then, .. } => *then,
                schedule => schedule,
            };
            if let Schedule::Step { milestones, .. } = schedule {
                assert!(milestones.is_sorted() && milestones.last() < Some(&recipe.epochs), "{}", named.name);
            }
        }
    }

    #[test]
    fn a_backbone_gets_its_familys_recipe() {
        let name = |backbone, dataset| suited(backbone, dataset).map(|recipe| recipe.name);
        assert_eq!(name("resnet56", "cifar10"), Some("resnet-cifar-200"));
        assert_eq!(name("resnet110-b", "cifar10"), Some("resnet110-cifar-200"));
        assert_eq!(name("vgg16-bn", "tiny-imagenet"), Some("cosine-cifar-200"));
        assert_eq!(name("resnet50-imagenet", "cifar10"), None);
        assert_eq!(name("resnet8", "digits"), Some("digits-15"));
        assert_eq!(name("resnet8", "synthetic-3x32x32-10-100-50"), None);
    }
}
