//! What all HDF5 files share: opening, finding datasets, and values whose type the file decides.
//!
//! A dataset is handed out only where its values can be trusted: its filters are there, and so are the files that it
//! takes values from, within the folder of the file that the user names.

mod attributes;
mod extent;
mod filters;
mod heap;
mod library;
mod links;
mod opened;
mod records;
mod storage;
mod types;
mod values;

use std::collections::BTreeSet;
use std::ffi::CString;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use hdf5::{Dataset, Group};

use crate::base::error::{Error, Result};
use crate::base::input;

pub(crate) use attributes::{attribute, attribute_texts};
pub use library::ignore_environment;
pub use links::follow_links;
pub(crate) use records::{Records, fields, texts};
pub(crate) use types::{Numbers, is_compound, numbers};
pub(crate) use values::{Value, value};

/// Groups within groups that are looked into; groups may be their own members.
const DEEPEST_GROUP: usize = 4;

/// First bytes of an HDF5 file, or of its content after a user block.
const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// Opens an HDF5 file that the user names, for reading.
///
/// # Errors
/// Where the path is no file, the file is not HDF5, or it is damaged; libhdf5 itself stays silent.
pub(crate) fn open(path: &Path) -> Result<hdf5::File> {
    let reading = |source| Error::reading(path, source);
    let length = input::metadata(path)?.len();
    if !has_signature(path, length)? {
        return Err(Error::input(format!(
            "is not an HDF5 file ({} bytes, no HDF5 signature); an HDF5 file is expected here",
            length
        ))
        .in_file(path));
    }
    heap::check_opening(path, length)?;
    let place = path.canonicalize().map_err(reading)?;
    links::allow_folder_of(&place);
    opened::open(&place).map_err(|source| opened::error(path, source))
}

/// A new file, without the time of its making: the same content has the same bytes.
///
/// # Errors
/// What libhdf5 says.
pub(crate) fn create(path: &Path) -> hdf5::Result<hdf5::File> {
    let mut builder = hdf5::File::with_options();
    builder
        .with_fcpl(|creation| creation.obj_track_times(false))
        .create(path)
}

/// The files that an HDF5 file takes values from, in whatever group: by external links, virtual datasets and external
/// storage, and so on from there. Those that are not to be followed, or gone, are not among them.
///
/// # Errors
/// As [`open`].
pub(crate) fn other_files(path: &Path) -> Result<BTreeSet<PathBuf>> {
    let file = open(path)?;
    let own = path.canonicalize().ok();
    let mut found = links::resolved_by(|| look_into(path, &file, 0));
    found.retain(|place| Some(place) != own.as_ref());
    Ok(found)
}

/// Follows all that a group of the file `path` leads to.
fn look_into(path: &Path, group: &Group, depth: usize) {
    for name in member_names(group) {
        match find(path, group, &name) {
            Ok(Some(dataset)) => storage::follow(&dataset),
            Ok(None) if depth < DEEPEST_GROUP => {
                if let Ok(group) = group.group(&name) {
                    look_into(path, &group, depth + 1);
                }
            }
            _ => {}
        }
    }
}

/// The signature lies at byte 0, 512, 1024, 2048, … (HDF5 file format specification, section II.A).
pub(crate) fn has_signature(path: &Path, length: u64) -> Result<bool> {
    let read = |source| Error::reading(path, source);
    let mut file = input::open(path)?;
    let mut offset = 0;
    while offset + SIGNATURE.len() as u64 <= length {
        let mut bytes = [0; SIGNATURE.len()];
        file.seek(SeekFrom::Start(offset)).map_err(read)?;
        file.read_exact(&mut bytes).map_err(read)?;
        if bytes == SIGNATURE {
            return Ok(true);
        }
        offset = if offset == 0 { 512 } else { offset * 2 };
    }
    Ok(false)
}

/// Names of a group's members, none where they cannot be read.
pub(crate) fn member_names(group: &Group) -> Vec<String> {
    group.member_names().unwrap_or_default()
}

/// Whether a group has a dataset of this name, or a link that should lead to one: [`dataset`] says why it does not.
pub(crate) fn has_dataset(group: &Group, name: &str) -> bool {
    group.link_exists(name) && group.group(name).is_err()
}

/// The dataset `name` of a group of the file `path`, whose values are all at hand; `None` where there is no such member,
/// or it is a group.
///
/// # Errors
/// As [`find`] and [`check`].
pub(crate) fn dataset(path: &Path, group: &Group, name: &str) -> Result<Option<Dataset>> {
    let dataset = find(path, group, name)?;
    if let Some(dataset) = &dataset {
        check(path, dataset, &full_name(group, name))?;
    }
    Ok(dataset)
}

/// The dataset `name` of a group of the file `path`; `None` where there is no such member, or it is a group.
///
/// # Errors
/// Where it leads out of the folder of the file, or to nothing.
pub(crate) fn find(path: &Path, group: &Group, name: &str) -> Result<Option<Dataset>> {
    let refused = |what: String| {
        Error::input(format!("dataset `{}` {what}", full_name(group, name))).in_file(path)
    };
    links::forget_refusal();
    let is_there = group.link_exists(name);
    if let Some(reason) = links::refusal() {
        return Err(refused(reason));
    }
    if !is_there {
        return Ok(None);
    }
    match open_dataset(group, name) {
        Ok(dataset) => Ok(Some(dataset)),
        Err(source) => match links::refusal() {
            Some(reason) => Err(refused(reason).caused_by(source)),
            None if group.group(name).is_ok() => Ok(None),
            None if !leads_somewhere(group, name) => Err(refused("leads to nothing".to_owned())),
            None => Err(refused(format!("cannot be opened ({source})")).caused_by(source)),
        },
    }
}

/// Refuses a dataset, called `name` in the file `path`, of which not all values are at hand.
///
/// # Errors
/// Where a filter or a file of its values is missing, or lies out of the folder of the file.
pub(crate) fn check(path: &Path, dataset: &Dataset, name: &str) -> Result<()> {
    storage::check(dataset).map_err(|what| {
        let place = match storage::lies_in(dataset, path) {
            true => String::new(),
            false => {
                let place = opened::file_name(dataset.id()).unwrap_or_default();
                format!(" of {}", place.display())
            }
        };
        Error::input(format!("dataset `{name}`{place} {what}")).in_file(path)
    })
}

/// Refuses a group of the file `path` with a link that leads to nothing, or out of the folder of the file.
///
/// # Errors
/// Names the first.
pub(crate) fn check_links(path: &Path, parent: &Group) -> Result<()> {
    for name in member_names(parent) {
        group(path, parent, &name)?;
    }
    Ok(())
}

/// The group `name` of a group of the file `path`; `None` where there is no such member, or it is a dataset.
///
/// # Errors
/// Where it leads out of the folder of the file, or to nothing.
pub(crate) fn group(path: &Path, parent: &Group, name: &str) -> Result<Option<Group>> {
    links::forget_refusal();
    match parent.group(name) {
        Ok(group) => Ok(Some(group)),
        Err(_) if !parent.link_exists(name) => Ok(None),
        Err(source) => {
            let reason = match links::refusal() {
                Some(reason) => reason,
                None if leads_somewhere(parent, name) => return Ok(None),
                None => "leads to nothing".to_owned(),
            };
            let name = full_name(parent, name);
            Err(Error::input(format!("`{name}` {reason}"))
                .caused_by(source)
                .in_file(path))
        }
    }
}

/// Name of a group's member within the file, such as `3/images`.
pub(crate) fn full_name(group: &Group, name: &str) -> String {
    match group.name().trim_matches('/') {
        "" => name.to_owned(),
        group => format!("{group}/{name}"),
    }
}

/// The file in which the values of a dataset lie one behind the other, and the offset of the first; `None` where
/// libhdf5 has to take part.
pub(crate) fn plain_values(dataset: &Dataset) -> Option<(PathBuf, u64)> {
    storage::plain(dataset)
}

/// The file in which the rows of a dataset lie as they are, how many lie together, and where each such run begins; `None`
/// where libhdf5 has to take part.
pub(crate) fn plain_rows(dataset: &Dataset) -> Option<(PathBuf, usize, Vec<u64>)> {
    storage::plain_rows(dataset)
}

/// Whether a member is an object, and not a link to none.
fn leads_somewhere(group: &Group, name: &str) -> bool {
    let Ok(name) = CString::new(name) else {
        return false;
    };
    // SAFETY: the lock is held, and the group is open.
    #[allow(unsafe_code)]
    let found = hdf5::sync::sync(|| unsafe {
        hdf5_sys::h5o::H5Oexists_by_name(group.id(), name.as_ptr(), hdf5_sys::h5p::H5P_DEFAULT)
    });
    found > 0
}

/// Opens a dataset; files of raw values are looked for in its file's folder, where libhdf5 by itself looks in the
/// current one.
fn open_dataset(group: &Group, name: &str) -> hdf5::Result<Dataset> {
    // libhdf5 keeps the folder of one that is open, and refuses to open it with another.
    let failed = match group.dataset(name) {
        Ok(dataset) if dataset.dcpl()?.get_external()?.is_empty() => return Ok(dataset),
        Ok(_) => None,
        Err(source) => Some(source),
    };
    let name = CString::new(name).map_err(|_| hdf5::Error::from("a name with a zero byte"))?;
    let access = hdf5::plist::DatasetAccess::build()
        .efile_prefix("${ORIGIN}")
        .finish()?;
    // SAFETY: the lock is held, the group and the list are open, and the identifier is new.
    #[allow(unsafe_code)]
    let opened = hdf5::sync::sync(|| unsafe {
        hdf5::from_id(hdf5_sys::h5d::H5Dopen2(
            group.id(),
            name.as_ptr(),
            access.id(),
        ))
    });
    opened.map_err(|source| failed.unwrap_or(source))
}
