//! Checksums of files.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use md5::Md5;
use sha2::{Digest as _, Sha256};

/// A published checksum, in lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-256.
    Sha256(&'static str),
    /// MD5, where nothing better is published. It finds damage, and no forgery.
    Md5(&'static str),
}

impl Checksum {
    /// The same checksum of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_file(self, path: &Path) -> io::Result<String> {
        match self {
            Self::Sha256(_) => digest(&mut File::open(path)?, Sha256::new()),
            Self::Md5(_) => digest(&mut File::open(path)?, Md5::new()),
        }
    }

    /// Its digits.
    pub const fn digits(self) -> &'static str {
        match self {
            Self::Sha256(digits) | Self::Md5(digits) => digits,
        }
    }

    /// What it is called.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Sha256(_) => "SHA-256",
            Self::Md5(_) => "MD5",
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.digits())
    }
}

/// SHA-256 of what a reader has left, in lower-case hexadecimal digits.
///
/// # Errors
/// When it cannot be read.
pub fn sha256(reader: &mut impl Read) -> io::Result<String> {
    digest(reader, Sha256::new())
}

fn digest<D: sha2::Digest>(reader: &mut impl Read, mut digest: D) -> io::Result<String> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hexadecimal(&digest.finalize())),
            Ok(n) => digest.update(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Lower-case hexadecimal digits, two a byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standards() {
        // FIPS 180-2, appendix B.1, and RFC 1321, appendix A.5: "abc".
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Checksum::Sha256("").of_file(&path).unwrap(), sha256);
        assert_eq!(Checksum::Md5("").of_file(&path).unwrap(), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(super::sha256(&mut &b"abc"[..]).unwrap(), sha256);
    }
}
