//! The bytes of a file, wherever they are.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Result, Seek};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::base::{error, input};

/// Bytes that any number of threads may read at once.
#[derive(Debug)]
pub(crate) enum Bytes {
    /// In a file.
    File(File),
    /// In memory.
    Memory(Vec<u8>),
}

/// Reads from place to place.
pub(crate) trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

impl Bytes {
    /// Those of a file as it is.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn open(path: &Path) -> error::Result<Self> {
        input::open(path).map(Self::File)
    }

    /// How many there are.
    pub fn length(&self) -> Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// Fills `out` with those from `offset` on.
    pub fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(out, offset),
            Self::Memory(bytes) => {
                let found = usize::try_from(offset)
                    .ok()
                    .and_then(|start| bytes.get(start..start.checked_add(out.len())?));
                out.copy_from_slice(found.ok_or(std::io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }

    /// A reader from the first on.
    pub fn reader(&self) -> Result<Box<dyn ReadSeek + '_>> {
        Ok(match self {
            Self::File(file) => {
                let mut reader = BufReader::new(file);
                reader.rewind()?;
                Box::new(reader)
            }
            Self::Memory(bytes) => Box::new(Cursor::new(bytes.as_slice())),
        })
    }
}
