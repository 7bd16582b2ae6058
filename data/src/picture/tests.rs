use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

/// Written by Pillow; see `make.py`: 20 rows and 30 columns, red is 8 x column, green 12 x row, blue 128.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

const FULL: Shape = Shape::new(3, 20, 30);

fn decoded(path: &Path, shape: Shape) -> Vec<u8> {
    let mut pixels = vec![0; shape.channels * shape.positions()];
    decode(path, shape, &mut pixels).unwrap();
    pixels
}

/// The largest distance of two images' pixels.
fn distance(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

fn ramp() -> Vec<u8> {
    let plane = |value: fn(usize, usize) -> usize| (0..20).flat_map(move |row| (0..30).map(move |column| value(row, column) as u8));
    plane(|_, column| 8 * column).chain(plane(|row, _| 12 * row)).chain(plane(|_, _| 128)).collect()
}

#[test]
fn files_of_another_program_have_the_pixels_that_were_put_in() {
    assert_eq!(decoded(&fixture("ramp.png"), FULL), ramp());
    assert_eq!(decoded(&fixture("transparent.png"), FULL), ramp(), "transparency is dropped");
    // JPEG loses a little, and decoders may differ by one or two.
    for name in ["ramp.jpg", "progressive.jpg"] {
        let found = distance(&decoded(&fixture(name), FULL), &ramp());
        assert!(found <= if name == "ramp.jpg" { 4 } else { 24 }, "{name}: {found}");
    }
}

#[test]
fn grey_images_become_colours_and_the_other_way_round() {
    let grey = decoded(&fixture("grey.jpg"), FULL);
    let [red, green, blue] = [&grey[..600], &grey[600..1200], &grey[1200..]];
    assert!(red == green && green == blue);
    assert!(distance(red, &ramp()[..600]) <= 3);
    let deep = decoded(&fixture("sixteen.png"), FULL);
    assert_eq!(deep[..600], ramp()[..600], "16 bits to 8");
    // BT.709: 0.2126 red, 0.7152 green, 0.0722 blue; at row 10, column 20: 160, 120 and 128.
    let luminance = decoded(&fixture("ramp.png"), Shape::new(1, 20, 30))[10 * 30 + 20];
    assert!(luminance.abs_diff(129) <= 1, "{luminance}");
}

#[test]
fn scaling_is_what_pillow_calls_bilinear_of_the_middle() {
    let mut expected = vec![0; 192];
    decode_exact(&fixture("ramp-8x8.png"), Shape::new(3, 8, 8), &mut expected).unwrap();
    let found = decoded(&fixture("ramp.png"), Shape::new(3, 8, 8));
    assert!(distance(&found, &expected) <= 1, "{}", distance(&found, &expected));
}

#[test]
fn what_is_cut_has_the_shapes_proportions_and_at_least_a_pixel() {
    assert_eq!(largest_within(30, 20, 8, 8), (20, 20));
    assert_eq!(largest_within(20, 30, 8, 8), (20, 20));
    assert_eq!(largest_within(30, 20, 15, 10), (30, 20));
    assert_eq!(largest_within(30, 20, 64, 32), (30, 15));
    assert_eq!(largest_within(16_384, 1, 1, 1_024), (1, 1));
    assert_eq!(largest_within(1, 16_384, 1_024, 1), (1, 1));
}

#[test]
fn an_image_of_another_size_is_refused_where_sizes_are_fixed() {
    let error = decode_exact(&fixture("ramp.png"), Shape::new(3, 30, 20), &mut [0; 1800]).unwrap_err().to_string();
    assert!(error.ends_with("ramp.png`: expected an image of 30x20 (height x width), got 20x30"), "{error}");
}

/// What decoding says of a file with these bytes.
fn complaint(bytes: &[u8]) -> Result<(), DataError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image.jpg");
    fs::write(&path, bytes).unwrap();
    decode(&path, FULL, &mut [0; 1800])
}

#[test]
fn cut_off_images_are_errors_and_not_grey() {
    for name in ["ramp.jpg", "progressive.jpg", "grey.jpg"] {
        let whole = fs::read(fixture(name)).unwrap();
        for n_bytes in [whole.len() - 1, whole.len() - 40, whole.len() / 2] {
            let error = complaint(&whole[..n_bytes]).unwrap_err();
            assert!(matches!(error, DataError::Content { offset, .. } if offset == n_bytes as u64), "{name}: {error}");
        }
        complaint(&[whole, vec![0; 9]].concat()).unwrap();
    }
    let png = fs::read(fixture("ramp.png")).unwrap();
    assert!(matches!(complaint(&png[..png.len() / 2]), Err(DataError::Picture { .. })));
    assert!(matches!(complaint(b"GIF89a and so on"), Err(DataError::Picture { .. })));
    assert!(matches!(complaint(b""), Err(DataError::Picture { .. })));
}

#[test]
fn sizes_that_no_photograph_has_are_refused_before_memory_is_taken() {
    let mut png = fs::read(fixture("ramp.png")).unwrap();
    // The header's width and height, and its checksum: 60,000 x 60,000.
    png[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let mut crc = flate2::Crc::new();
    crc.update(&png[12..29]);
    png[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    let error = complaint(&png).unwrap_err();
    assert!(matches!(&error, DataError::Picture { source: image::ImageError::Limits(_), .. }), "{error:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn hostile_bytes_are_errors_or_pixels(
        name in prop::sample::select(vec!["ramp.jpg", "progressive.jpg", "grey.jpg", "ramp.png", "sixteen.png"]),
        cut in any::<prop::sample::Index>(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut bytes = fs::read(fixture(name)).unwrap();
        bytes.truncate(cut.index(2 * bytes.len()).max(1));
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        // Either way will do; that it comes back is what is looked for.
        let _ = complaint(&bytes);
    }
}
