//! Global heaps, where texts of any length lie: libhdf5 2.2 walks a damaged one for ever.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// How a heap collection begins: signature, version 1, and three bytes of nothing (HDF5 file format specification,
/// section III.E).
const COLLECTION: [u8; 8] = *b"GCOL\x01\0\0\0";
/// Bytes of a collection's header, and of that of an object in it, where lengths have 8 bytes.
const HEADER: usize = 16;
/// Bytes that are looked at, at either end of a file. Tables fit in; in what is larger, texts are mostly names, written
/// first or last.
const LOOKED_AT: u64 = 4 << 20;

/// Looks for collections in a file of `length` bytes that cannot be walked to their end; returns where the first one is.
///
/// # Errors
/// Where the file cannot be read.
pub(super) fn first_damaged(mut file: File, length: u64) -> io::Result<Option<u64>> {
    let starts = match length <= 2 * LOOKED_AT {
        true => vec![(0, length)],
        false => vec![(0, LOOKED_AT), (length - LOOKED_AT, LOOKED_AT)],
    };
    for (start, bytes) in starts {
        let mut content = vec![0; bytes as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut content)?;
        if let Some(place) = damaged_in(&content) {
            return Ok(Some(start + place as u64));
        }
    }
    Ok(None)
}

fn damaged_in(content: &[u8]) -> Option<usize> {
    let collections = content.windows(COLLECTION.len()).enumerate();
    collections
        .filter(|(_, bytes)| *bytes == COLLECTION)
        .map(|(place, _)| place)
        .find(|&place| !can_be_walked(&content[place..]))
}

/// Whether the objects of a collection follow each other to its end, as far as it is there.
fn can_be_walked(collection: &[u8]) -> bool {
    let number = |at: usize| {
        let bytes = collection.get(at..at + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().expect("8 bytes")))
    };
    let Some(size) = number(8) else {
        return true;
    };
    let mut at = HEADER as u64;
    while at + HEADER as u64 <= size {
        let place = at as usize;
        let (Some(index), Some(bytes)) = (collection.get(place..place + 2), number(place + 8))
        else {
            return true;
        };
        // The rest that is free counts its own header.
        let taken = match index {
            [0, 0] => Some(bytes),
            _ => bytes
                .checked_next_multiple_of(8)
                .and_then(|bytes| bytes.checked_add(HEADER as u64)),
        };
        match taken {
            Some(taken) if taken > 0 && taken <= size - at => at += taken,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use hdf5::types::VarLenUnicode;

    use crate::files::container::hdf5_file;

    #[test]
    fn a_heap_that_never_ends_is_refused() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("names.h5");
        let file = hdf5::File::create(&path).expect("a file");
        let names: Vec<VarLenUnicode> = (0..9)
            .map(|row| format!("J{row}").parse().expect("a text"))
            .collect();
        let written = file.new_dataset_builder().with_data(&names).create("name");
        written.expect("a dataset");
        file.close().expect("a whole file");
        hdf5_file::open(&path).expect("sound");

        let mut bytes = std::fs::read(&path).expect("a file");
        let heap = bytes.windows(4).position(|four| four == b"GCOL");
        let object = heap.expect("a heap") + super::HEADER;
        // The first object becomes free room of no size.
        bytes[object..object + 2].fill(0);
        bytes[object + 8..object + 16].fill(0);
        std::fs::write(&path, bytes).expect("a file");
        let error = hdf5_file::open(&path).expect_err("damaged").to_string();
        assert!(
            error.contains("names.h5") && error.contains("heap"),
            "{error}"
        );
    }
}
