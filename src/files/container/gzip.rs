//! Files that are compressed by gzip as a whole.

use std::io::{Read, Seek, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::bytes::Bytes;
use crate::base::error::{Error, Result};
use crate::base::input;

const SIGNATURE: [u8; 2] = [0x1f, 0x8b];

/// Unpacked bytes that stay in memory; more go to a temporary file without a name.
const IN_MEMORY: u64 = 64 << 20;

/// A file may become as large as this when it is unpacked, or [`MOST_TIMES`] what it is, whichever is less; a small one
/// may become [`IN_MEMORY`].
const MOST_BYTES: u64 = 4 << 30;

/// Images of stars and galaxies shrink to a fifth; masks of zeros to a thousandth.
const MOST_TIMES: u64 = 200;

/// Whether a file begins so.
pub(super) fn begins(start: &[u8]) -> bool {
    start.starts_with(&SIGNATURE)
}

/// Whether the file is compressed.
pub(crate) fn is_compressed(path: &Path) -> bool {
    let mut start = [0; 2];
    input::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok()) && begins(&start)
}

/// Whether what was compressed begins with these bytes.
pub(super) fn holds(path: &Path, expected: &[u8]) -> bool {
    let mut start = vec![0; expected.len()];
    input::open(path).is_ok_and(|file| MultiGzDecoder::new(file).read_exact(&mut start).is_ok())
        && start == expected
}

/// Unpacks a file.
///
/// # Errors
/// Where it is damaged or cut short, or would become too large.
pub(super) fn unpack(path: &Path) -> Result<Bytes> {
    let reading = |source| Error::reading(path, source);
    let file = input::open(path)?;
    let packed = file.metadata().map_err(reading)?.len();
    let most = packed
        .saturating_mul(MOST_TIMES)
        .clamp(IN_MEMORY, MOST_BYTES);
    let mut unpacked = MultiGzDecoder::new(std::io::BufReader::new(file)).take(most + 1);
    let mut memory = Vec::new();
    (&mut unpacked)
        .take(IN_MEMORY)
        .read_to_end(&mut memory)
        .map_err(|source| damaged(path, source))?;
    if (memory.len() as u64) < IN_MEMORY {
        return Ok(Bytes::Memory(memory));
    }
    let mut file = tempfile::tempfile().map_err(|source| spilling(path, source))?;
    file.write_all(&memory)
        .map_err(|source| spilling(path, source))?;
    let mut block = vec![0; 1 << 20];
    let mut total = memory.len() as u64;
    loop {
        let read = unpacked
            .read(&mut block)
            .map_err(|source| damaged(path, source))?;
        if read == 0 {
            break;
        }
        total += read as u64;
        if total > most {
            return Err(Error::input(format!(
                "is compressed by gzip, {packed} bytes that become more than {most}; unpack it first (gunzip)"
            ))
            .in_file(path));
        }
        file.write_all(&block[..read])
            .map_err(|source| spilling(path, source))?;
    }
    file.rewind().map_err(|source| spilling(path, source))?;
    Ok(Bytes::File(file))
}

fn damaged(path: &Path, source: std::io::Error) -> Error {
    Error::input(format!(
        "is compressed by gzip and cannot be unpacked ({source}); it is damaged or cut short: fetch it again"
    ))
    .caused_by(source)
    .in_file(path)
}

fn spilling(path: &Path, source: std::io::Error) -> Error {
    Error::input(format!(
        "cannot be unpacked to a temporary file ({source}); unpack it first (gunzip)"
    ))
    .caused_by(source)
    .in_file(path)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    #[test]
    fn what_would_become_far_larger_is_refused() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let pack = |bytes: u64| {
            let mut packer = GzEncoder::new(File::create(&path).unwrap(), Compression::best());
            std::io::copy(&mut std::io::repeat(0).take(bytes), &mut packer).unwrap();
            packer.write_all(b"end").unwrap();
            packer.finish().unwrap();
        };
        pack(1000);
        assert!(is_compressed(&path));
        assert_eq!(unpack(&path).unwrap().length().unwrap(), 1003);
        pack(IN_MEMORY + 100);
        let message = unpack(&path).unwrap_err().to_string();
        assert!(message.contains("become more than 67108864"), "{message}");
        std::fs::write(&path, [0x1f, 0x8b, 8, 0, 1, 2, 3]).unwrap();
        let message = unpack(&path).unwrap_err().to_string();
        assert!(message.contains("damaged or cut short"), "{message}");
    }
}
