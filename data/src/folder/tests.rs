use tempfile::TempDir;

use super::*;

const SHAPE: Shape = Shape::new(3, 8, 8);
const PNG: &[u8] = include_bytes!("../../fixtures/ramp.png");
const JPEG: &[u8] = include_bytes!("../../fixtures/grey.jpg");

fn put(dir: &TempDir, path: &str, bytes: &[u8]) {
    let path = dir.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn birds() -> TempDir {
    let dir = TempDir::new().unwrap();
    for path in ["train/wren/2.PNG", "train/wren/10.png", "train/Auk/a.png", "val/wren/x.png"] {
        put(&dir, path, PNG);
    }
    put(&dir, "train/Auk/b.jpeg", JPEG);
    put(&dir, "train/.DS_Store", b"");
    put(&dir, "train/wren/.hidden", b"");
    dir
}

fn complaint(dir: &TempDir, n_classes: usize) -> String {
    load(dir.path(), SHAPE, n_classes).unwrap_err().to_string().replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn classes_and_images_are_in_the_order_of_their_names_bytes() {
    let dir = birds();
    let LoadedDataset { train, test } = load(dir.path(), SHAPE, 2).unwrap();
    assert_eq!((train.labels.as_slice(), test.labels.as_slice()), ([0, 0, 1, 1].as_slice(), [1].as_slice()));
    let mut grey = vec![0; 192];
    picture::decode(&dir.path().join("train/Auk/b.jpeg"), SHAPE, &mut grey).unwrap();
    assert_eq!(train.pixels_of(1), grey);
    assert_eq!(train.pixels_of(0), test.pixels_of(0));
}

#[test]
fn val_is_the_test_split_before_test() {
    let dir = birds();
    put(&dir, "test/wren/1.png", PNG);
    put(&dir, "test/wren/2.png", PNG);
    assert_eq!(load(dir.path(), SHAPE, 2).unwrap().test.len(), 1);
    fs::remove_dir_all(dir.path().join("val")).unwrap();
    assert_eq!(load(dir.path(), SHAPE, 2).unwrap().test.len(), 2);
    fs::remove_dir_all(dir.path().join("test")).unwrap();
    assert_eq!(complaint(&dir, 2), "no `val` or `test` in `DIR`");
}

#[test]
fn what_does_not_fit_is_named() {
    let dir = birds();
    assert_eq!(complaint(&dir, 3), "`DIR/train`: expected 3 folders, one a class, got 2");
    put(&dir, "val/emu/1.png", PNG);
    assert_eq!(complaint(&dir, 2), "`DIR/val`: expected folders of classes that `train` has, got `emu`");
    let dir = birds();
    put(&dir, "train/wren/notes.txt", b"");
    assert_eq!(complaint(&dir, 2), "`DIR/train/wren/notes.txt`: expected an image file, named .png, .jpg or .jpeg, got something else");
    let dir = birds();
    put(&dir, "train/readme.md", b"");
    assert_eq!(complaint(&dir, 2), "`DIR/train/readme.md`: expected a folder, got something else");
    let dir = birds();
    fs::create_dir(dir.path().join("train/zebra")).unwrap();
    assert_eq!(complaint(&dir, 3), "`DIR/train/zebra`: expected images, got none");
    fs::remove_dir_all(dir.path().join("train")).unwrap();
    assert_eq!(complaint(&dir, 3), "cannot read `DIR/train`");
}

#[test]
fn the_first_damaged_image_is_named_however_many_threads_decode() {
    let dir = birds();
    for name in 0..40 {
        put(&dir, &format!("train/wren/{name:02}.png"), if name % 13 == 7 { b"damaged" } else { PNG });
    }
    for _ in 0..5 {
        assert_eq!(complaint(&dir, 2), "`DIR/train/wren/07.png` cannot be decoded as an image");
    }
}
