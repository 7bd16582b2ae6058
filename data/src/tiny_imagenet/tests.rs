use image::{ImageFormat, RgbImage};
use tempfile::TempDir;

use super::*;

const WNIDS: [&str; 2] = ["n01443537", "n02056570"];

fn put(dir: &TempDir, path: &str, bytes: &[u8]) {
    let path = dir.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A JPEG file of one value; grey ones have one channel, as some of the official ones do.
fn jpeg(side: u32, value: u8, is_grey: bool) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = RgbImage::from_pixel(side, side, image::Rgb([value; 3]));
    let picture = image::DynamicImage::ImageRgb8(picture);
    let picture = if is_grey { picture.to_luma8().into() } else { picture };
    picture.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

fn tiny() -> TempDir {
    let dir = TempDir::new().unwrap();
    for (class, wnid) in WNIDS.iter().enumerate() {
        put(&dir, &format!("train/{wnid}/{wnid}_boxes.txt"), b"not looked at");
        for n in 0..2 {
            put(&dir, &format!("train/{wnid}/images/{wnid}_{n}.JPEG"), &jpeg(64, 100 * class as u8 + 10 * n, n == 1));
        }
    }
    for n in 0..3 {
        put(&dir, &format!("val/images/val_{n}.JPEG"), &jpeg(64, 200 + n, false));
    }
    let lines = format!("val_2.JPEG\t{}\t0\t32\t44\t62\nval_0.JPEG\t{}\t1\t2\t3\t4\r\n", WNIDS[1], WNIDS[0]);
    put(&dir, ANNOTATIONS, lines.as_bytes());
    dir
}

fn complaint(dir: &TempDir) -> String {
    load_classes(dir.path(), 2).unwrap_err().to_string().replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn classes_come_from_folders_and_annotations_and_grey_images_get_colours() {
    let LoadedDataset { train, test } = load_classes(tiny().path(), 2).unwrap();
    assert_eq!((train.labels.as_slice(), test.labels.as_slice()), ([0, 0, 1, 1].as_slice(), [1, 0].as_slice()));
    let values: Vec<u8> = (0..4).map(|index| train.pixels_of(index)[0]).chain((0..2).map(|index| test.pixels_of(index)[0])).collect();
    for (value, expected) in values.iter().zip([0, 10, 100, 110, 202, 200]) {
        assert!(value.abs_diff(expected) <= 2, "{values:?}");
    }
    assert_eq!(train.pixels_of(1).len(), 3 * 64 * 64);
}

#[test]
fn a_subset_of_the_classes_is_not_the_dataset() {
    let dir = TempDir::new().unwrap();
    fs::rename(tiny().path(), dir.path().join(FOLDER)).unwrap();
    let error = load(dir.path()).unwrap_err().to_string();
    assert!(error.ends_with("/train`: expected 200 folders, one a class, got 2"), "{error}");
}

#[test]
fn wrong_annotations_are_said_with_their_place() {
    let check = |line: &str, message: &str| {
        let dir = tiny();
        put(&dir, ANNOTATIONS, format!("val_0.JPEG\t{}\t0\t0\t0\t0\n{line}", WNIDS[0]).as_bytes());
        assert_eq!(complaint(&dir), format!("`DIR/val/val_annotations.txt`, byte 29: expected {message}"));
    };
    check("val_1.JPEG\tn09999999\t0", "a class that `train` has, got `val_1.JPEG\\tn09999999\\t0`");
    check("val_1.JPEG n01443537", "a file's name, a tab, a class, got `val_1.JPEG n01443537`");
    check("../train/x.JPEG\tn01443537", "the name of an image file, got `../train/x.JPEG\\tn01443537`");
    check("..\tn01443537", "the name of an image file, got `..\\tn01443537`");
    let dir = tiny();
    put(&dir, ANNOTATIONS, b"");
    assert_eq!(complaint(&dir), "`DIR/val/val_annotations.txt` is empty");
}

#[test]
fn images_that_are_missing_or_of_another_size_are_named() {
    let dir = tiny();
    fs::remove_file(dir.path().join("val/images/val_2.JPEG")).unwrap();
    assert_eq!(complaint(&dir), "cannot read `DIR/val/images/val_2.JPEG`");
    let dir = tiny();
    put(&dir, "train/n02056570/images/a.JPEG", &jpeg(63, 0, false));
    assert_eq!(complaint(&dir), "`DIR/train/n02056570/images/a.JPEG`: expected an image of 64x64 (height x width), got 63x63");
}
