//! Numeric arrays out of MATLAB's files of version 5, as far as SVHN's use that layout.
//!
//! # Source
//! MathWorks, "MAT-File Format", chapter 1 (level 5): a header of 128 bytes, then data elements, each a type and a length of 32 bits with so
//! many bytes; an element of type 15 is another element, compressed by zlib. An array is an element of type 14 that holds elements itself:
//! its flags, its sizes, its name, its values in column-major order.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::ZlibDecoder;

use crate::DataError;
use crate::stream::Stream;

const HEADER_BYTES: u64 = 128;
/// The header's last four bytes: version 0x0100, then the letters that tell the byte order; little-endian is what there is.
const VERSION_AND_ORDER: [u8; 4] = [0x00, 0x01, b'I', b'M'];

const INT8: u32 = 1;
const UINT8: u32 = 2;
const INT32: u32 = 5;
const UINT32: u32 = 6;
const DOUBLE: u32 = 9;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;

/// Most dimensions of an array, and longest name: more than SVHN has, and small whatever a file says.
const MAX_DIMENSIONS: u64 = 8;
const MAX_NAME_BYTES: u64 = 64;

/// How an element begins.
#[derive(Debug, Clone, Copy)]
struct Tag {
    kind: u32,
    n_bytes: u64,
    /// The bytes themselves, where they are so few that they stand in the tag.
    inline: Option<[u8; 4]>,
}

/// An array that is about to be read: what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its variable's name.
    pub name: String,
    /// Its sizes; the first varies fastest.
    pub sizes: Vec<u64>,
}

/// The values of an array, to be read in column-major order.
pub struct Values<'a, 'f> {
    stream: &'a mut Stream<Box<dyn Read + 'f>>,
    tag: Tag,
}

/// Calls `visit` with every array of a file, in the file's order.
///
/// # Errors
/// When the file is not of that layout, or `visit` fails. An array that is not numeric, or that `visit` leaves, is passed over.
pub fn arrays(path: &Path, mut visit: impl FnMut(&Header, Values<'_, '_>) -> Result<(), DataError>) -> Result<(), DataError> {
    let io_error = |source| DataError::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io_error)?;
    let n_bytes = file.metadata().map_err(io_error)?.len();
    let header: [u8; HEADER_BYTES as usize] = Stream::new(&file, path, 0).array("MATLAB's header")?;
    if header[124..] != VERSION_AND_ORDER {
        let (expected, got) = ("a MATLAB file of version 5, little-endian".to_owned(), format!("{:02x?}", &header[124..]));
        return Err(DataError::Content { path: path.to_owned(), offset: 124, expected, got });
    }
    let mut at = HEADER_BYTES;
    while at < n_bytes {
        file.seek(SeekFrom::Start(at)).map_err(io_error)?;
        let mut stream = Stream::new(Box::new(BufReader::new(&file)) as Box<dyn Read + '_>, path, at);
        let tag = read_tag(&mut stream)?;
        let start = stream.offset();
        if tag.inline.is_none() && tag.n_bytes > n_bytes - start {
            return Err(stream.content_at(start, format!("{} bytes of an element", tag.n_bytes), (n_bytes - start).to_string()));
        }
        at = match tag {
            Tag { inline: Some(_), .. } => start,
            // Compressed elements are not padded.
            Tag { kind: COMPRESSED, n_bytes, .. } => start + n_bytes,
            Tag { n_bytes, .. } => start + n_bytes.next_multiple_of(8),
        };
        drop(stream);
        file.seek(SeekFrom::Start(start)).map_err(io_error)?;
        let content = BufReader::new((&file).take(tag.n_bytes));
        match tag.kind {
            COMPRESSED => {
                // Offsets count what is unpacked from here on: no other place inside a compressed element can be named.
                let mut stream = Stream::new(Box::new(ZlibDecoder::new(content)) as Box<dyn Read + '_>, path, 0);
                if read_tag(&mut stream)?.kind == MATRIX {
                    read_array(&mut stream, &mut visit)?;
                }
            }
            MATRIX => read_array(&mut Stream::new(Box::new(content) as Box<dyn Read + '_>, path, start), &mut visit)?,
            _ => {}
        }
    }
    Ok(())
}

fn read_array(
    stream: &mut Stream<Box<dyn Read + '_>>,
    visit: &mut impl FnMut(&Header, Values<'_, '_>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let flags = read_small(stream, UINT32, 8, "an array's flags")?;
    // Classes 6 to 15 are the numeric ones; cells, structures, characters and the like have other elements from here on.
    if !(6..=15).contains(flags.first().unwrap_or(&0)) {
        return Ok(());
    }
    let sizes = read_small(stream, INT32, 4 * MAX_DIMENSIONS, "an array's sizes")?;
    let sizes: Vec<u64> = sizes
        .chunks_exact(4)
        .map(|size| {
            let size = i32::from_le_bytes(size.try_into().expect("four bytes"));
            u64::try_from(size).map_err(|_| stream.content("a size", size.to_string()))
        })
        .collect::<Result<_, _>>()?;
    let name = read_small(stream, INT8, MAX_NAME_BYTES, "an array's name")?;
    let header = Header { name: String::from_utf8_lossy(&name).into_owned(), sizes };
    let tag = read_tag(stream)?;
    visit(&header, Values { stream, tag })
}

/// Reads a whole element of the type `kind` and at most `most` bytes.
fn read_small(stream: &mut Stream<Box<dyn Read + '_>>, kind: u32, most: u64, what: &str) -> Result<Vec<u8>, DataError> {
    let at = stream.offset();
    let tag = read_tag(stream)?;
    if tag.kind != kind || tag.n_bytes > most {
        let expected = format!("{what}, an element of type {kind} and at most {most} bytes");
        return Err(stream.content_at(at, expected, format!("type {} and {} bytes", tag.kind, tag.n_bytes)));
    }
    if let Some(inline) = tag.inline {
        return Ok(inline[..tag.n_bytes as usize].to_vec());
    }
    let mut bytes = Vec::new();
    stream.append(&mut bytes, tag.n_bytes.next_multiple_of(8), what)?;
    bytes.truncate(tag.n_bytes as usize);
    Ok(bytes)
}

fn read_tag(stream: &mut Stream<Box<dyn Read + '_>>) -> Result<Tag, DataError> {
    let at = stream.offset();
    let [first, second] = [stream.array("an element's type")?, stream.array("an element's length")?];
    let kind = u32::from_le_bytes(first);
    match kind >> 16 {
        0 => Ok(Tag { kind, n_bytes: u32::from_le_bytes(second).into(), inline: None }),
        n_bytes @ 1..=4 => Ok(Tag { kind: kind & 0xffff, n_bytes: n_bytes.into(), inline: Some(second) }),
        n_bytes => Err(stream.content_at(at, "at most 4 bytes in a small element", n_bytes.to_string())),
    }
}

impl Values<'_, '_> {
    /// An error about the array, at the place reached.
    pub fn content(&self, expected: impl Into<String>, got: impl Into<String>) -> DataError {
        self.stream.content(expected, got)
    }

    /// Reads `n_records` records of `record_len` bytes each and hands them to `take`.
    ///
    /// # Errors
    /// When the values are no bytes, or there are more or fewer.
    pub fn byte_records(self, n_records: u64, record_len: u64, mut take: impl FnMut(&[u8])) -> Result<(), DataError> {
        self.check_kind(UINT8, "whole numbers of 8 bits")?;
        self.check_bytes(n_records.checked_mul(record_len))?;
        let mut record = Vec::with_capacity(record_len as usize);
        for _ in 0..n_records {
            record.clear();
            self.stream.append(&mut record, record_len, "values")?;
            take(&record);
        }
        Ok(())
    }

    /// Reads `n` whole numbers from 0 to 255, stored as bytes or as floating-point numbers; each with its place.
    ///
    /// # Errors
    /// When they are something else, or there are more or fewer.
    pub fn small_numbers(self, n: u64) -> Result<Vec<(u8, u64)>, DataError> {
        let width: u64 = match self.tag.kind {
            UINT8 => 1,
            DOUBLE => 8,
            _ => return self.check_kind(UINT8, "whole numbers of 8 bits").map(|()| Vec::new()),
        };
        self.check_bytes(n.checked_mul(width))?;
        let inline_at = self.stream.offset() - 4;
        if let Some(inline) = self.tag.inline {
            return Ok(inline[..n as usize].iter().copied().zip(inline_at..).collect());
        }
        let start = self.stream.offset();
        let mut bytes = Vec::new();
        self.stream.append(&mut bytes, n * width, "values")?;
        let number = |(bytes, at): (&[u8], u64)| {
            if let [byte] = *bytes {
                return Ok((byte, at));
            }
            let value = f64::from_le_bytes(bytes.try_into().expect("eight bytes"));
            if (0.0..=255.0).contains(&value) && value.fract() == 0.0 {
                Ok((value as u8, at))
            } else {
                Err(self.stream.content_at(at, "a whole number from 0 to 255", value.to_string()))
            }
        };
        bytes.chunks_exact(width as usize).zip((start..).step_by(width as usize)).map(number).collect()
    }

    fn check_kind(&self, kind: u32, what: &str) -> Result<(), DataError> {
        if self.tag.kind == kind { Ok(()) } else { Err(self.content(format!("{what}, type {kind}"), format!("type {}", self.tag.kind))) }
    }

    fn check_bytes(&self, expected: Option<u64>) -> Result<(), DataError> {
        let got = self.tag.n_bytes;
        if expected == Some(got) {
            return Ok(());
        }
        let expected = expected.map_or_else(|| "fewer values".to_owned(), |bytes| format!("{bytes} bytes of values, as the sizes have it"));
        Err(self.content(expected, got.to_string()))
    }
}

#[cfg(test)]
mod tests;
