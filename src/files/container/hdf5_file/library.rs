//! How libhdf5 is set up: links are followed as `links` says, and no code is loaded but what the user names.

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Once;

use hdf5_sys::h5i::hid_t;

use super::links;

/// The folder of filters that may be loaded; without it none is.
pub(super) const PLUGINS: &str = "ASTROCLIP_HDF5_PLUGINS";

/// Variables by which libhdf5 loads code, or looks for files in other folders than those that a file names.
const IGNORED: [&str; 7] = [
    "HDF5_PLUGIN_PATH",
    "HDF5_PLUGIN_PRELOAD",
    "HDF5_VOL_CONNECTOR",
    "HDF5_DRIVER",
    "HDF5_VDS_PREFIX",
    "HDF5_EXT_PREFIX",
    "HDF5_EXTFILE_PREFIX",
];

/// Only filters, no drivers and no connectors.
const FILTER_PLUGINS: c_uint = 1;

/// `H5L_class_t` in version 1, whose traversal takes six arguments: the bindings know version 0.
#[repr(C)]
struct LinkClass {
    version: c_int,
    id: c_int,
    comment: *const c_char,
    create: *const c_void,
    relocate: *const c_void,
    copy: *const c_void,
    traverse: links::Traverse,
    delete: *const c_void,
    query: *const c_void,
}

/// `H5L_TYPE_EXTERNAL`.
const EXTERNAL: c_int = 64;

#[allow(unsafe_code)]
unsafe extern "C" {
    fn H5Lregister(class: *const LinkClass) -> c_int;
    /// The bindings take the mask for a pointer.
    fn H5PLset_loading_state(mask: c_uint) -> c_int;
}

/// Takes the variables by which libhdf5 loads code or follows other paths out of this process's environment. To be
/// called before any thread starts and before libhdf5 is used; libhdf5 reads some of them when it starts.
#[allow(unsafe_code)]
pub fn ignore_environment() {
    for name in IGNORED {
        // SAFETY: the program calls this first of all, when no other thread reads the environment.
        unsafe { std::env::remove_var(name) };
    }
}

/// The folder of filters that the user names.
pub(super) fn plugin_folder() -> Option<PathBuf> {
    std::env::var_os(PLUGINS)
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
}

/// Sets libhdf5 up, once. Files are opened through here only.
pub(super) fn prepare() {
    static READY: Once = Once::new();
    READY.call_once(|| hdf5::sync::sync(set_up));
}

#[allow(unsafe_code)]
fn set_up() {
    let class = LinkClass {
        version: 1,
        id: EXTERNAL,
        comment: c"external".as_ptr(),
        create: std::ptr::null(),
        relocate: std::ptr::null(),
        copy: std::ptr::null(),
        traverse: links::traverse,
        delete: std::ptr::null(),
        query: std::ptr::null(),
    };
    let folder =
        plugin_folder().and_then(|folder| CString::new(folder.as_os_str().as_bytes()).ok());
    // SAFETY: `hdf5::sync` holds the library's lock. The class is copied, and its callback is a function.
    let done = unsafe {
        H5Lregister(&class) >= 0
            && match &folder {
                None => H5PLset_loading_state(0) >= 0,
                Some(folder) => {
                    H5PLset_loading_state(FILTER_PLUGINS) >= 0 && search_only(folder) >= 0
                }
            }
    };
    assert!(done, "libhdf5 takes a link class and a folder of filters");
}

/// Makes `folder` the only one in which filters are looked for.
#[allow(unsafe_code)]
unsafe fn search_only(folder: &CString) -> c_int {
    use hdf5_sys::h5pl::{H5PLappend, H5PLremove, H5PLsize};
    let mut folders = 0;
    // SAFETY: the caller holds the library's lock; the pointers live as long as the calls.
    unsafe {
        H5PLsize(&mut folders);
        for _ in 0..folders {
            H5PLremove(0);
        }
        H5PLappend(folder.as_ptr())
    }
}

/// An identifier of libhdf5 that is there.
pub(super) fn is_valid(id: hid_t) -> bool {
    id >= 0
}
