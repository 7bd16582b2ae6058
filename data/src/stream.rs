//! Reading binary layouts: exact amounts, and errors with their place.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::DataError;

/// A file's bytes, unpacked where it is compressed, with the place reached.
#[derive(Debug)]
pub struct Stream<R> {
    reader: R,
    path: PathBuf,
    offset: u64,
}

impl<R: Read> Stream<R> {
    /// Reads on from `reader`, which is at byte `offset` of what errors call `path`.
    pub fn new(reader: R, path: &Path, offset: u64) -> Self {
        Self { reader, path: path.to_owned(), offset }
    }

    /// Bytes read so far, those before the stream's beginning included.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads exactly `n` bytes onto the end of `into`, which takes room only as bytes come: `n` is often what a file says of itself.
    ///
    /// # Errors
    /// When there are fewer, or they cannot be unpacked.
    pub fn append(&mut self, into: &mut Vec<u8>, n: u64, what: &str) -> Result<(), DataError> {
        let before = into.len();
        let read = (&mut self.reader).take(n).read_to_end(into);
        let got = (into.len() - before) as u64;
        if got < n {
            let reason = read.err().map_or_else(String::new, |error| format!(" ({error})"));
            return Err(self.content(format!("{n} bytes of {what}"), format!("{got}{reason}")));
        }
        self.offset += got;
        Ok(())
    }

    /// Reads exactly `N` bytes.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], DataError> {
        let mut bytes = Vec::with_capacity(N);
        self.append(&mut bytes, N as u64, what)?;
        Ok(bytes.try_into().expect("exactly so many were read"))
    }

    /// Passes over exactly `n` bytes.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn skip(&mut self, n: u64, what: &str) -> Result<(), DataError> {
        match std::io::copy(&mut (&mut self.reader).take(n), &mut std::io::sink()) {
            Ok(got) if got == n => {
                self.offset += n;
                Ok(())
            }
            Ok(got) => Err(self.content(format!("{n} bytes of {what}"), got.to_string())),
            Err(error) => Err(self.content(format!("{n} bytes of {what}"), error.to_string())),
        }
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// When something is, or its end cannot be unpacked, as where a checksum is wrong.
    pub fn end(&mut self) -> Result<(), DataError> {
        let mut byte = [0];
        match self.reader.read(&mut byte) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.content("the end", "more bytes")),
            Err(error) => Err(self.content("the end", error.to_string())),
        }
    }

    /// An error at the place reached.
    pub fn content(&self, expected: impl Into<String>, got: impl Into<String>) -> DataError {
        self.content_at(self.offset, expected, got)
    }

    /// An error at another place.
    pub fn content_at(&self, offset: u64, expected: impl Into<String>, got: impl Into<String>) -> DataError {
        DataError::Content { path: self.path.clone(), offset, expected: expected.into(), got: got.into() }
    }
}
