//! What a file takes from other files: only from the folder of the file that the user names, unless links are followed.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, c_char, c_void};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use hdf5_sys::h5i::hid_t;

use super::{library, opened};

/// Files that lead one to the next; more are taken for a circle.
const DEEPEST: usize = 16;

/// Whether links may lead anywhere.
static FOLLOWED: AtomicBool = AtomicBool::new(false);

/// The folders in which the files that a file names may lie, by the file's place: the folder of the file that the user
/// named, also for those that it leads to.
static FOLDERS: Mutex<BTreeMap<PathBuf, BTreeSet<PathBuf>>> = Mutex::new(BTreeMap::new());

thread_local! {
    /// Why the last external link was not followed; libhdf5 hands on no message of a callback.
    static REFUSAL: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Where the files lie that were resolved, while someone wants to know.
    static RESOLVED: RefCell<Option<BTreeSet<PathBuf>>> = const { RefCell::new(None) };
    /// External links that are being followed.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// How libhdf5 asks for what an external link leads to: name of the link, its group, the link's data and their size,
/// property lists.
pub(super) type Traverse =
    extern "C" fn(*const c_char, hid_t, *const c_void, usize, hid_t, hid_t) -> hid_t;

/// What a file names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// An HDF5 file. Where an absolute path is gone, libhdf5 takes the file of that name in the same folder, so that a
    /// folder may be moved.
    Hdf5,
    /// A file of raw values.
    Raw,
}

/// Lets links lead out of the folders of the files that are named, for the rest of the program.
pub fn follow_links() {
    FOLLOWED.store(true, Ordering::Relaxed);
}

/// Lets `file`, in its canonical place, name files in its folder.
pub(super) fn allow_folder_of(file: &Path) {
    let folder = file.parent().map(Path::to_owned).unwrap_or_default();
    allow(file, [folder]);
}

fn allow(file: &Path, folders: impl IntoIterator<Item = PathBuf>) {
    let mut all = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    all.entry(file.to_owned()).or_default().extend(folders);
}

fn folders_of(file: &Path) -> BTreeSet<PathBuf> {
    let all = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    all.get(file).cloned().unwrap_or_default()
}

/// The place of the file that `file` calls `target`; what it leads to is bound to the same folders.
///
/// # Errors
/// The path, and why it is not followed: nothing is there, or it lies elsewhere.
pub(super) fn resolve(file: &Path, target: &str, kind: Target) -> Result<PathBuf, String> {
    let followed = FOLLOWED.load(Ordering::Relaxed);
    let folder = file.parent().unwrap_or(Path::new("/"));
    let target = Path::new(target);
    // An absolute path stays what it is.
    let wanted = folder.join(target);
    let mut candidates = vec![wanted.clone()];
    if kind == Target::Hdf5 {
        match target.is_absolute() {
            true => candidates.extend(target.file_name().map(|name| folder.join(name))),
            // As libhdf5 does.
            false if followed => candidates.extend(std::path::absolute(target)),
            false => {}
        }
    }
    for candidate in candidates {
        let place = match candidate.canonicalize() {
            Ok(place) => place,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                continue;
            }
            Err(error) => return Err(format!("{}: {error}", candidate.display())),
        };
        let folders = folders_of(file);
        if !followed && !folders.iter().any(|folder| place.starts_with(folder)) {
            let folder = folders.first().map_or(folder, PathBuf::as_path);
            return Err(format!(
                "{}, which lies outside of {}, the folder of the file that is named; --follow-links reads it",
                place.display(),
                folder.display()
            ));
        }
        if !place.is_file() {
            return Err(format!("{}, which is no file", place.display()));
        }
        allow(&place, folders);
        RESOLVED.with_borrow_mut(|resolved| {
            if let Some(resolved) = resolved {
                resolved.insert(place.clone());
            }
        });
        return Ok(place);
    }
    Err(format!("{}, which is not there", wanted.display()))
}

/// The places of all files that `look` is led to.
pub(super) fn resolved_by(look: impl FnOnce()) -> BTreeSet<PathBuf> {
    RESOLVED.set(Some(BTreeSet::new()));
    look();
    RESOLVED.take().unwrap_or_default()
}

/// Forgets why the last link was not followed.
pub(super) fn forget_refusal() {
    REFUSAL.take();
}

/// Why the last link was not followed, if it was not.
pub(super) fn refusal() -> Option<String> {
    REFUSAL.take()
}

/// Follows an external link in libhdf5's stead.
pub(super) extern "C" fn traverse(
    _name: *const c_char,
    group: hid_t,
    data: *const c_void,
    size: usize,
    access: hid_t,
    _transfer: hid_t,
) -> hid_t {
    let depth = DEPTH.get();
    DEPTH.set(depth + 1);
    // SAFETY: libhdf5 hands over `size` bytes that live as long as this call.
    #[allow(unsafe_code)]
    let link = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), size) };
    let followed = match depth < DEEPEST {
        true => follow(group, link, access),
        false => Err(format!(
            "leads through more than {DEEPEST} files that link to one another"
        )),
    };
    DEPTH.set(depth);
    followed.unwrap_or_else(|reason| {
        // The innermost link knows best.
        REFUSAL.with_borrow_mut(|refusal| refusal.get_or_insert(reason).len());
        -1
    })
}

/// Opens the object that a link of `group` names: a byte for the version, the file and the object, both ended by 0.
fn follow(group: hid_t, link: &[u8], access: hid_t) -> Result<hid_t, String> {
    let damaged = || "an external link is damaged".to_owned();
    let text = |bytes| CStr::from_bytes_until_nul(bytes).map_err(|_| damaged());
    let target = text(link.get(1..).unwrap_or_default())?;
    let object = text(link.get(target.count_bytes() + 2..).unwrap_or_default())?;
    let from = opened::file_name(group).ok_or_else(damaged)?;
    let from = from.canonicalize().unwrap_or(from);
    let shown = object.to_string_lossy();
    let leads = |what: String| format!("leads to `{shown}` of {what}");
    let place = resolve(&from, &target.to_string_lossy(), Target::Hdf5).map_err(leads)?;
    let file = opened::open(&place)
        .map_err(|source| leads(format!("{}: {}", place.display(), opened::reason(&source))))?;
    // SAFETY: libhdf5 calls this while its lock is held; the file is open, and an object keeps it so.
    #[allow(unsafe_code)]
    let id = unsafe { hdf5_sys::h5o::H5Oopen(file.id(), object.as_ptr(), access) };
    match library::is_valid(id) {
        true => Ok(id),
        false => Err(leads(format!(
            "{}, which has no such object",
            place.display()
        ))),
    }
}
