//! Opening files in their canonical place, and what is wrong with those that do not open.

use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use hdf5_sys::h5i::hid_t;

use super::library;
use crate::base::error::Error;

/// What a lock is waited for: a program that is being started has for a moment what its parent had open, and its locks.
const MOMENT: Duration = Duration::from_millis(500);

/// Opens a file for reading. A lock that is gone after a moment was no writer's.
pub(super) fn open(place: &Path) -> hdf5::Result<hdf5::File> {
    library::prepare();
    let started = Instant::now();
    loop {
        match hdf5::File::open(place) {
            Err(source) if is_locked(&source) && started.elapsed() < MOMENT => {
                thread::sleep(MOMENT / 50);
            }
            opened => return opened,
        }
    }
}

/// Whether another program holds the lock of a file.
fn is_locked(source: &hdf5::Error) -> bool {
    source.to_string().contains("unable to lock file")
}

/// The file in which an object lies, as it was opened.
pub(super) fn file_name(id: hid_t) -> Option<PathBuf> {
    let name = text(|buffer, size| {
        // SAFETY: `buffer` holds `size` bytes, and the library's lock is held.
        #[allow(unsafe_code)]
        unsafe {
            hdf5_sys::h5f::H5Fget_name(id, buffer, size)
        }
    })?;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(&name)))
}

/// What a function of libhdf5 writes into a buffer whose size it tells first, without the final 0.
pub(super) fn text(get: impl Fn(*mut std::ffi::c_char, usize) -> isize) -> Option<Vec<u8>> {
    hdf5::sync::sync(|| {
        let length = usize::try_from(get(std::ptr::null_mut(), 0)).ok()?;
        let mut bytes = vec![0_u8; length + 1];
        usize::try_from(get(bytes.as_mut_ptr().cast(), bytes.len())).ok()?;
        let text = CStr::from_bytes_until_nul(&bytes).ok()?;
        Some(text.to_bytes().to_vec())
    })
}

/// Why a file does not open, and what helps.
pub(super) fn reason(source: &hdf5::Error) -> String {
    let reason = source.to_string();
    let has = |part: &str| reason.contains(part);
    if is_locked(source) {
        return "another program is writing to this HDF5 file; wait until it is done".to_owned();
    }
    if has("signature not found") {
        return "is not an HDF5 file".to_owned();
    }
    if has("already open for write") || has("h5clear") {
        return "the program that wrote this HDF5 file did not close it, or writes to it still; if none does, \
                clear its mark (h5clear -s FILE), or write the file again"
            .to_owned();
    }
    let what = match has("truncated file") {
        true => "cut short",
        false => "damaged",
    };
    format!(
        "HDF5 file is {what} ({reason}); fetch it again, or write it again if its writer was stopped"
    )
}

/// The error for a file that does not open.
pub(super) fn error(path: &Path, source: hdf5::Error) -> Error {
    Error::input(reason(&source))
        .caused_by(source)
        .in_file(path)
}
