//! File formats: which one a file has, and what it takes to read it. Knows no astronomy.

mod bytes;
pub(crate) mod fits;
mod guard;
mod gzip;
pub(crate) mod hdf5_file;
pub(crate) mod parquet_file;
pub(crate) mod pickle;

use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::base::error::{Error, Result};
use crate::base::input;

/// What text in UTF-8 may begin with.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Text as a file has it: UTF-8, or else Latin-1, where every byte is a character.
pub(crate) fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

/// A file format, known by the first bytes of a file and never by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// HDF5, with or without a user block.
    Hdf5,
    /// FITS, as it is or compressed by gzip.
    Fits,
    /// Apache Parquet.
    Parquet,
    /// Text in UTF-8 or Latin-1.
    Text,
}

/// What FITS files begin with.
const FITS: &[u8] = b"SIMPLE  =";

/// What files begin with that are compressed as a whole and not read, by what, and what unpacks them.
const PACKED: [(&[u8], &str, &str); 4] = [
    (b"BZh", "bzip2", "bunzip2"),
    (b"\xfd7zXZ", "xz", "unxz"),
    (b"\x1f\x9d", "compress", "gunzip"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd"),
];

/// Bytes that tell the format.
const SAMPLE: u64 = 4096;

/// Whether a file is compressed as a whole, by whatever.
pub fn is_packed(path: &Path) -> bool {
    let mut start = [0; 6];
    input::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok()) && {
        gzip::begins(&start) || PACKED.iter().any(|(first, ..)| start.starts_with(first))
    }
}

impl Container {
    /// The format of a file.
    ///
    /// # Errors
    /// Where the file cannot be read, is empty, is compressed as a whole (but for FITS by gzip), or has none of the
    /// formats.
    pub fn of(path: &Path) -> Result<Self> {
        let reading = |source| Error::reading(path, source);
        let length = input::metadata(path)?.len();
        let mut start = Vec::new();
        input::open(path)?
            .take(SAMPLE)
            .read_to_end(&mut start)
            .map_err(reading)?;
        let refuse = |what: &str| Err(Error::input(what).in_file(path));
        if start.is_empty() {
            return refuse("is empty");
        }
        if start.starts_with(FITS) {
            return Ok(Self::Fits);
        }
        if start.starts_with(b"PAR1") {
            return Ok(Self::Parquet);
        }
        if gzip::begins(&start) {
            return match gzip::holds(path, FITS) {
                true => Ok(Self::Fits),
                false => refuse("is compressed by gzip; unpack it first (gunzip)"),
            };
        }
        if let Some((_, packer, unpack)) =
            PACKED.iter().find(|(first, ..)| start.starts_with(first))
        {
            return refuse(&format!(
                "is compressed by {packer}; unpack it first ({unpack})"
            ));
        }
        if hdf5_file::has_signature(path, length)? {
            return Ok(Self::Hdf5);
        }
        if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
            return refuse("is text in UTF-16; save it as UTF-8");
        }
        // In UTF-8 or Latin-1: both have none of the other control characters.
        let is_text = |&byte: &u8| byte >= b' ' || b"\t\n\r\x0c".contains(&byte);
        if start.iter().all(is_text) {
            return Ok(Self::Text);
        }
        refuse("is neither HDF5, FITS, Parquet nor text in UTF-8 or Latin-1")
    }
}

/// A file and the table that is meant in it, from `FILE[TABLE]`; a file that is called so itself is no such.
pub fn split_table(path: &Path) -> (PathBuf, Option<String>) {
    let whole = || (path.to_owned(), None);
    let Some(text) = path.to_str().filter(|_| !path.exists()) else {
        return whole();
    };
    match text
        .strip_suffix(']')
        .and_then(|text| text.rsplit_once('['))
    {
        Some((file, table)) if !file.is_empty() && !table.is_empty() => {
            (file.into(), Some(table.to_owned()))
        }
        _ => whole(),
    }
}
