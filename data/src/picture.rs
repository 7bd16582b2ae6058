//! PNG and JPEG files, brought to one shape.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::imageops::FilterType;
use image::{DynamicImage, ImageReader, Limits};
use offramp_domain::shape::Shape;

use crate::DataError;

/// Largest image file. Photographs of any camera are smaller.
const MAX_FILE_BYTES: u64 = 1 << 26;
/// Longest side of an image before it is brought to its shape, pixels.
const MAX_SIDE: u32 = 16_384;
/// Most memory that decoding one image may take.
const MAX_DECODED_BYTES: u64 = 1 << 29;

/// Whether a file's name is one of an image here: it ends in `.png`, `.jpg` or `.jpeg`, in letters of any case.
pub fn is_named_as_one(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg"))
}

/// Decodes a file into pixels of `shape`, channel by channel, row by row.
///
/// With 3 channels a grey image gives the same plane three times; with 1, a coloured one gives its luminance (ITU-R BT.709 weights).
/// Transparency is dropped, 16-bit values become 8-bit ones, and a rotation noted in the file is not applied. An image of another size is
/// cut about its centre to the shape's proportions, then scaled with a triangle filter as wide as the reduction, which is what is known
/// elsewhere as anti-aliased bilinear.
///
/// # Errors
/// When the file cannot be read or decoded, is cut off, or is larger than anything sensible.
///
/// # Panics
/// When `into` has another length than the shape, or the shape neither 1 nor 3 channels.
pub fn decode(path: &Path, shape: Shape, into: &mut [u8]) -> Result<(), DataError> {
    let picture = fitted(open(path)?, shape);
    fill(&picture, shape, into);
    Ok(())
}

/// As [`decode`], of a file that must have the shape's size already.
///
/// # Errors
/// As [`decode`], and when it has another size.
///
/// # Panics
/// As [`decode`].
pub fn decode_exact(path: &Path, shape: Shape, into: &mut [u8]) -> Result<(), DataError> {
    let picture = open(path)?;
    if (picture.height() as usize, picture.width() as usize) != (shape.height, shape.width) {
        let expected = format!("an image of {}x{} (height x width)", shape.height, shape.width);
        let got = format!("{}x{}", picture.height(), picture.width());
        return Err(DataError::Folder { path: path.to_owned(), expected, got });
    }
    fill(&picture, shape, into);
    Ok(())
}

fn open(path: &Path) -> Result<DynamicImage, DataError> {
    let io_error = |source| DataError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(io_error)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(io_error)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let expected = format!("an image file of at most {MAX_FILE_BYTES} bytes");
        return Err(DataError::Folder { path: path.to_owned(), expected, got: "more".to_owned() });
    }
    if let Err(offset) = check_ending(&bytes) {
        let (expected, got) = ("the marker FF D9 that ends a JPEG image".to_owned(), "the end of the file".to_owned());
        return Err(DataError::Content { path: path.to_owned(), offset, expected, got });
    }
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    let mut reader = ImageReader::new(Cursor::new(bytes));
    reader.limits(limits);
    let reader = reader.with_guessed_format().map_err(io_error)?;
    reader.decode().map_err(|source| DataError::Picture { path: path.to_owned(), source })
}

/// Makes sure that a JPEG file has its end; where it does not, the length that it was cut to.
///
/// Decoders fill what is missing with grey and say nothing. After the last scan begins (FF DA), FF D9 can only be the end: within a scan a
/// zero follows every FF that is no marker. What comes after the end is of no interest; some writers leave zeros there.
fn check_ending(bytes: &[u8]) -> Result<(), u64> {
    const START: [u8; 2] = [0xff, 0xd8];
    const SCAN: [u8; 2] = [0xff, 0xda];
    const END: [u8; 2] = [0xff, 0xd9];
    if !bytes.starts_with(&START) {
        return Ok(());
    }
    let last_scan = bytes.windows(2).rposition(|pair| pair == SCAN).unwrap_or(0);
    if bytes[last_scan..].windows(2).any(|pair| pair == END) { Ok(()) } else { Err(bytes.len() as u64) }
}

/// The picture at the shape's size.
fn fitted(picture: DynamicImage, shape: Shape) -> DynamicImage {
    let (target_width, target_height) = (shape.width as u32, shape.height as u32);
    let (width, height) = (picture.width(), picture.height());
    if (width, height) == (target_width, target_height) {
        return picture;
    }
    let (cut_width, cut_height) = largest_within(width, height, target_width, target_height);
    let cut = picture.crop_imm((width - cut_width) / 2, (height - cut_height) / 2, cut_width, cut_height);
    cut.resize_exact(target_width, target_height, FilterType::Triangle)
}

/// The largest size within `width` x `height` that has the proportions of the target's, to the nearest pixel and at least one.
fn largest_within(width: u32, height: u32, target_width: u32, target_height: u32) -> (u32, u32) {
    let scaled = |side: u32, by: u32, per: u32| ((u64::from(side) * u64::from(by) + u64::from(per) / 2) / u64::from(per)).max(1) as u32;
    if u64::from(width) * u64::from(target_height) > u64::from(height) * u64::from(target_width) {
        (scaled(height, target_width, target_height).min(width), height)
    } else {
        (width, scaled(width, target_height, target_width).min(height))
    }
}

fn fill(picture: &DynamicImage, shape: Shape, into: &mut [u8]) {
    assert_eq!(into.len(), shape.channels * shape.positions(), "one byte a pixel");
    match shape.channels {
        1 => into.copy_from_slice(picture.to_luma8().as_raw()),
        3 => {
            let rgb = picture.to_rgb8();
            for (channel, plane) in into.chunks_exact_mut(shape.positions()).enumerate() {
                for (value, pixel) in plane.iter_mut().zip(rgb.pixels()) {
                    *value = pixel.0[channel];
                }
            }
        }
        n => panic!("images have 1 or 3 channels, not {n}"),
    }
}

#[cfg(test)]
mod tests;
