use proptest::prelude::*;

use super::*;

#[test]
fn datasets_are_found_by_their_exact_name() {
    let cifar = parse("cifar100").unwrap();
    assert_eq!((cifar.input, cifar.n_classes, cifar.is_built_in()), (Shape::new(3, 32, 32), 100, false));
    assert!(parse("digits").unwrap().is_built_in());
    for wrong in ["CIFAR100", "cifar100 ", ""] {
        assert!(matches!(parse(wrong), Err(DatasetError::Unknown { .. })), "{wrong}");
    }
}

#[test]
fn names_are_unique_and_every_dataset_has_something_to_tell_apart() {
    for (index, dataset) in named().enumerate() {
        assert!(named().skip(index + 1).all(|later| later.name != dataset.name), "{}", dataset.name);
        assert!(dataset.n_classes >= 2 && dataset.input.channels >= 1, "{}", dataset.name);
    }
}

#[test]
fn names_with_numbers_are_taken_apart() {
    let synthetic = parse("synthetic-3x32x24-10-2000-500").unwrap();
    assert_eq!(synthetic.source, Source::Synthetic { n_train: 2000, n_test: 500 });
    assert_eq!((synthetic.input, synthetic.n_classes), (Shape::new(3, 32, 24), 10));
    let birds = parse("folder-north-american_birds-2011-3x64x64-17").unwrap();
    assert_eq!(birds.source, Source::Folder { folder: "north-american_birds-2011".into() });
    assert_eq!((birds.input, birds.n_classes, birds.is_built_in()), (Shape::new(3, 64, 64), 17, false));
}

fn told(name: &str) -> (String, String) {
    let error = parse(name).unwrap_err();
    (error.to_string(), error.hint())
}

#[test]
fn wrong_names_are_answered_with_a_way_out() {
    let check = |name, message: &str, hint: &str| assert_eq!(told(name), (message.to_owned(), hint.to_owned()));
    check("cifar-10", "no dataset is called `cifar-10`", "did you mean `cifar10`?");
    check("FashionMNIST", "no dataset is called `FashionMNIST`", "did you mean `fashion-mnist`?");
    check(
        "imagenet21k",
        "no dataset is called `imagenet21k`",
        "there is `digits`, `cifar10`, `cifar100`, `svhn`, `svhn-extra`, `mnist`, `fashion-mnist`, `tiny-imagenet`, \
         `synthetic-3x32x32-10-2000-500` and its like, and `folder-NAME-3x64x64-17`",
    );
    let numbers = "the numbers are channels x height x width, classes, training images and test images, without leading zeros";
    let form = "is not written as `synthetic-3x32x32-10-2000-500` is";
    check("synthetic-3x32-10-20-5", &format!("the dataset `synthetic-3x32-10-20-5` {form}"), numbers);
    check("synthetic-3x32x32-010-20-5", &format!("the dataset `synthetic-3x32x32-010-20-5` {form}"), numbers);
    check("synthetic-3x32x32-+1-20-5", &format!("the dataset `synthetic-3x32x32-+1-20-5` {form}"), numbers);
    check("synthetic-3x32x32-1-20-5", "a dataset cannot have 1 classes: from 2 to 65536", "choose a number in that range");
    check("synthetic-3x2000x32-2-20-5", "a dataset cannot have 2000 height: from 1 to 1024", "choose a number in that range");
    check("folder-birds-4x64x64-17", "an image folder cannot be read with 4 channels", "1 reads images in grey, 3 in colours");
    check(
        "folder-3x64x64-17",
        "the dataset `folder-3x64x64-17` is not written as `folder-NAME-3x64x64-17` is",
        "the numbers are channels x height x width and classes, without leading zeros",
    );
    check(
        "synthetic-3x1024x1024-10-10000-1",
        "the dataset would take 31460425728 bytes of memory, and the most is 17179869184",
        "ask for fewer or smaller images",
    );
}

#[test]
fn a_folders_name_leads_nowhere_else() {
    for folder in ["..", "a/b", "/etc", "a\\b", ".hidden", "-", "", "a b", "ä", "a\u{0}"] {
        let name = format!("folder-{folder}-3x64x64-17");
        assert!(matches!(parse(&name), Err(DatasetError::FolderName { .. })), "{name}");
    }
    assert!(parse(&format!("folder-{}-3x64x64-17", "a".repeat(64))).is_ok());
    assert!(parse(&format!("folder-{}-3x64x64-17", "a".repeat(65))).is_err());
}

#[test]
fn a_worker_needs_the_files_whatever_shape_they_are_brought_to() {
    assert_eq!(needed_offer("synthetic-3x32x32-10-2000-500"), None);
    assert_eq!(needed_offer("folder-birds-3x64x64-17").as_deref(), Some("folder-birds"));
    assert_eq!(needed_offer("cifar10").as_deref(), Some("cifar10"));
    assert_eq!(needed_offer("something newer").as_deref(), Some("something newer"));
}

proptest! {
    #[test]
    fn a_dataset_is_its_name(
        channels in prop::sample::select(vec![1_usize, 3]), height in 1_usize..=MAX_SIDE, width in 1_usize..=MAX_SIDE,
        n_classes in 2_usize..=MAX_CLASSES, n_train in 1_usize..2000, n_test in 1_usize..2000, word in "[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}",
    ) {
        let shape = Shape::new(channels, height, width);
        for dataset in [synthetic(shape, n_classes, n_train, n_test), folder(&word, shape, n_classes)] {
            let dataset = dataset.unwrap();
            prop_assert_eq!(parse(&dataset.name), Ok(dataset.clone()));
        }
    }

    #[test]
    fn whatever_parses_is_written_that_way(name in "(synthetic|folder)-[a-z0-9x+-]{0,24}|.{0,12}") {
        if let Ok(dataset) = parse(&name) {
            prop_assert_eq!(dataset.name, name);
        }
    }
}
