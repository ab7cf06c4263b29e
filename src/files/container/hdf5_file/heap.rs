//! Global heaps, where texts of any length lie, and what virtual datasets are put together from: libhdf5 2.2 walks a
//! damaged one for ever.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use hdf5::Location;

use super::opened;
use crate::base::error::{Error, Result};
use crate::base::input;

/// How a heap collection begins: signature, version 1, and three bytes of nothing (HDF5 file format specification,
/// section III.E).
const COLLECTION: [u8; 8] = *b"GCOL\x01\0\0\0";
/// Bytes of a collection's header, and of that of an object in it, where lengths have 8 bytes.
const HEADER: usize = 16;
/// Bytes that are looked at when a file is opened, at either end of it: virtual datasets, of which no value is read before
/// libhdf5 reads its heap, mostly have files that are small. Surveys have thousands of files.
const ON_OPENING: u64 = 64 << 10;
/// The same before texts of any length are read. Tables fit in; in what is larger, texts are mostly names, written first
/// or last.
const BEFORE_TEXTS: u64 = 4 << 20;

/// Files whose heaps have been looked at for texts, as libhdf5 counts them: each has a new number when it is opened again.
static SOUND: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

/// Refuses a file of `length` bytes with a damaged heap where such heaps are read first.
///
/// # Errors
/// Where the file cannot be read, and where the heap is.
pub(super) fn check_opening(path: &Path, length: u64) -> Result<()> {
    let damaged = first_damaged(input::open(path)?, length, ON_OPENING);
    match damaged.map_err(|source| Error::reading(path, source))? {
        Some(place) => {
            Err(Error::input(format!("is damaged: {}", has_no_end(place))).in_file(path))
        }
        None => Ok(()),
    }
}

/// Refuses to read texts of any length of an object whose file has a damaged heap.
///
/// # Errors
/// Where the file cannot be read, and where the heap is.
pub(super) fn check_texts(object: &Location) -> hdf5::Result<()> {
    let number = object.loc_info()?.fileno;
    let sound = || SOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if sound().contains(&number) {
        return Ok(());
    }
    let path = opened::file_name(object.id()).ok_or("its file has no name")?;
    let damaged = File::open(path).and_then(|file| {
        let length = file.metadata()?.len();
        first_damaged(file, length, BEFORE_TEXTS)
    });
    match damaged.map_err(|source| format!("its file cannot be read: {source}"))? {
        Some(place) => Err(has_no_end(place).into()),
        None => {
            sound().insert(number);
            Ok(())
        }
    }
}

fn has_no_end(place: u64) -> String {
    format!("the file's heap of texts at byte {place} has no end; copy or write the file again")
}

/// Looks for collections that cannot be walked to their end, in `most` bytes at either end of a file of `length` bytes;
/// returns where the first one is.
fn first_damaged(mut file: File, length: u64, most: u64) -> io::Result<Option<u64>> {
    let starts = match length <= 2 * most {
        true => vec![(0, length)],
        false => vec![(0, most), (length - most, most)],
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

    use crate::base::error::Error;
    use crate::files::container::hdf5_file;

    #[test]
    fn a_heap_that_never_ends_is_refused() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("names.h5");
        // In a small file, and amid a larger one.
        for padding in [1, 200 << 10] {
            let file = hdf5::File::create(&path).expect("a file");
            let names: Vec<VarLenUnicode> = (0..9)
                .map(|row| format!("J{row}").parse().expect("a text"))
                .collect();
            let zeros = vec![0_u8; padding];
            let build = || file.new_dataset_builder();
            (build().with_data(&zeros).create("before")).expect("a dataset");
            (build().with_data(&names).create("name")).expect("a dataset");
            (build().with_data(&zeros).create("after")).expect("a dataset");
            file.close().expect("a whole file");
            let read = || {
                let file = hdf5_file::open(&path)?;
                let dataset = hdf5_file::dataset(&path, &file, "name")?.expect("it is there");
                let texts = hdf5_file::texts(&dataset, None, 0..9);
                texts.map_err(|source| Error::input(source).in_file(&path))
            };
            assert_eq!(read().expect("sound").expect("texts")[8], "J8");

            let mut bytes = std::fs::read(&path).expect("a file");
            let heap = bytes.windows(4).position(|four| four == b"GCOL");
            let object = heap.expect("a heap") + super::HEADER;
            // The first object becomes free room of no size.
            bytes[object..object + 2].fill(0);
            bytes[object + 8..object + 16].fill(0);
            std::fs::write(&path, bytes).expect("a file");
            let error = read().expect_err("damaged").to_string();
            assert!(
                error.contains("names.h5") && error.contains("heap of texts at byte"),
                "{error}"
            );
            let opens = hdf5_file::open(&path).is_ok();
            assert_eq!(opens, padding as u64 > super::ON_OPENING);
        }
    }
}
