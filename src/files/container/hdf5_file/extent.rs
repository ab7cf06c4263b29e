//! How much a dataset claims to hold, and what of it was ever written: a file of a few bytes may claim any size, and
//! libhdf5 gives the fill value for what nobody wrote.

use std::ffi::c_void;

use hdf5::Dataset;
use hdf5::plist::dataset_create::{DatasetCreate, Layout};
use hdf5::types::TypeDescriptor;
use hdf5_sys::h5i::hid_t;

use super::opened;

/// A row of a dataset, and a chunk, are in memory as a whole.
const MOST_TOGETHER: u64 = 1 << 30;

/// Chunks of a dataset, at most, for one that was written; a file with fewer is broken rather than sparse.
const MOST_CLAIMED_PER_WRITTEN: u64 = 1000;

/// Rows that may be claimed whatever was written: so many fit into memory.
const FEW: u64 = 1 << 24;

/// Refuses a dataset, which is not virtual and keeps its values in its file, that claims more than it can hold, or of which
/// values were never written; the list of its `properties` is open.
///
/// # Errors
/// What is wrong, as a predicate of the dataset.
pub(super) fn check_written(dataset: &Dataset, properties: &DatasetCreate) -> Result<(), String> {
    let (values, bytes) = claimed(dataset)?;
    if values == 0 {
        return Ok(());
    }
    match properties.layout() {
        Layout::Chunked => check_chunks(dataset, properties, bytes / values),
        Layout::Contiguous => {
            let stored = dataset.storage_size();
            if stored == 0 {
                return unwritten(dataset, properties, (0, values), "values");
            }
            let file = opened::file_name(dataset.id()).and_then(|file| file.metadata().ok());
            match file.is_some_and(|file| stored > file.len()) {
                true => Err(format!(
                    "claims {stored} bytes, more than its file has; the file is damaged or cut short"
                )),
                false => Ok(()),
            }
        }
        Layout::Compact | Layout::Virtual => Ok(()),
    }
}

/// Number of values that a dataset claims, and their bytes.
///
/// # Errors
/// Where it claims more than can be read, as a predicate of the dataset.
pub(super) fn claimed(dataset: &Dataset) -> Result<(u64, u64), String> {
    let unreadable = |source: hdf5::Error| format!("cannot be read: {source}");
    let size = dataset.dtype().map_err(unreadable)?.size() as u64;
    let shape = dataset.shape();
    let bytes = |axes: &[usize]| {
        let mut axes = axes.iter().map(|&axis| axis as u64);
        axes.try_fold(size, u64::checked_mul)
    };
    let row = bytes(shape.get(1..).unwrap_or_default());
    match (bytes(&shape), row) {
        _ if shape.contains(&0) => Ok((0, 0)),
        (Some(all), Some(row)) if row <= MOST_TOGETHER && all < 1 << 62 => {
            Ok((all / size.max(1), all))
        }
        _ => Err(format!(
            "claims the shape {shape:?}, rows of {} where at most {MOST_TOGETHER} bytes are read; the file is damaged, or \
             its axes are in another order",
            row.map_or("more bytes than any file has".to_owned(), |row| format!(
                "{row} bytes"
            ))
        )),
    }
}

fn check_chunks(dataset: &Dataset, properties: &DatasetCreate, size: u64) -> Result<(), String> {
    let chunk = properties.chunk().ok_or("has chunks of no size")?;
    let bytes = (chunk.iter()).try_fold(size, |bytes, &axis| bytes.checked_mul(axis as u64));
    let Some(bytes) = bytes.filter(|&bytes| bytes <= MOST_TOGETHER) else {
        return Err(format!(
            "is stored in chunks of {chunk:?} values, where at most {MOST_TOGETHER} bytes are read at once; repack the \
             file in smaller ones (h5repack -l CHUNK=… FILE NEW)"
        ));
    };
    let expected: u64 = (dataset.shape().iter().zip(&chunk))
        .map(|(&axis, &chunk)| axis.div_ceil(chunk.max(1)) as u64)
        .product();
    let (mut written, mut largest) = (0, 0);
    dataset
        .chunks_visit(|chunk| {
            written += 1;
            largest = largest.max(chunk.size);
            0
        })
        .map_err(|source| format!("cannot be read: {source}; the file may be damaged"))?;
    // What filters add to values that cannot be compressed is far less; texts take twice what they take in memory.
    if largest > 4 * bytes + 4096 {
        return Err(format!(
            "has a chunk that takes {largest} bytes in the file and holds {bytes}; the file is damaged"
        ));
    }
    match written < expected {
        true => unwritten(dataset, properties, (written, expected), "chunks"),
        false => Ok(()),
    }
}

/// Refuses values that nobody wrote, unless the fill value says that they are unknown, or zeros flag nothing.
fn unwritten(
    dataset: &Dataset,
    properties: &DatasetCreate,
    (written, expected): (u64, u64),
    parts: &str,
) -> Result<(), String> {
    let is_column = dataset.ndim() == 1;
    let rows = dataset.shape().first().copied().unwrap_or(1);
    let descriptor = dataset.dtype().and_then(|dtype| dtype.to_descriptor());
    let are_flags = !is_column && !matches!(descriptor, Ok(TypeDescriptor::Float(_)) | Err(_));
    let fill = fill_value(properties.id());
    // Placeholders of identifiers and quantities are below 0.
    let are_unknown = fill.is_some_and(|fill| fill.is_nan() || (is_column && fill < 0.0));
    let believable = expected <= FEW.max(written.saturating_mul(MOST_CLAIMED_PER_WRITTEN))
        && rows as u64 <= FEW.max(written.saturating_mul(FEW));
    let is_something = written > 0 || is_column || are_flags;
    if (are_flags || are_unknown) && is_something && believable {
        return Ok(());
    }
    let rest = match fill {
        Some(fill) => format!("the others would be the fill value {fill}"),
        None => "the others would be empty".to_owned(),
    };
    Err(format!(
        "was written only in part, {written} of its {expected} {parts}; {rest}: write it whole, or give it NaN as fill \
         value where they are unknown"
    ))
}

/// The number that stands for what was never written; `None` where the values are no numbers.
#[allow(unsafe_code)]
pub(super) fn fill_value(properties: hid_t) -> Option<f64> {
    let mut fill = 0.0_f64;
    let status = hdf5::sync::sync(|| {
        // SAFETY: the lock is held, the list is open, and libhdf5 writes one number of this type.
        unsafe {
            hdf5_sys::h5p::H5Pget_fill_value(
                properties,
                *hdf5_sys::h5t::H5T_NATIVE_DOUBLE,
                (&raw mut fill).cast::<c_void>(),
            )
        }
    });
    (status >= 0).then_some(fill)
}
