//! Filters of chunks: which are there, and where one that is missing comes from.

use std::ffi::{CStr, c_uint};

use hdf5_sys::h5i::hid_t;

use super::library::{self, PLUGINS};

/// Longest name of a filter that is shown, bytes.
const NAME_BYTES: usize = 64;

/// Filters that the Python package hdf5plugin brings; the registry of The HDF Group numbers them.
const IN_HDF5PLUGIN: [(i32, &str); 11] = [
    (307, "bzip2"),
    (32001, "blosc"),
    (32004, "lz4"),
    (32008, "bitshuffle"),
    (32013, "zfp"),
    (32015, "zstd"),
    (32017, "sz"),
    (32018, "fcidecomp"),
    (32024, "sz3"),
    (32026, "blosc2"),
    (32028, "sperr"),
];

/// Others that are met.
const ELSEWHERE: [(i32, &str); 6] = [
    (4, "szip"),
    (305, "lzo"),
    (32002, "mafisc"),
    (32003, "snappy"),
    (32007, "jpeg"),
    (32020, "vbz"),
];

/// Refuses a pipeline of filters, that of the property list `properties`, of which one is missing.
///
/// # Errors
/// Names the filter and what helps.
#[allow(unsafe_code)]
pub(super) fn check(properties: hid_t) -> Result<(), String> {
    use hdf5_sys::h5p::{H5Pget_filter2, H5Pget_nfilters};
    hdf5::sync::sync(|| {
        // SAFETY: the library's lock is held, and the list is open.
        let count = unsafe { H5Pget_nfilters(properties) }.max(0);
        for index in 0..count as c_uint {
            let (mut flags, mut config, mut values) = (0, 0, 0);
            let mut name = [0_u8; NAME_BYTES];
            // SAFETY: as above; `name` holds as many bytes as is said, and no values are asked for.
            let (id, is_there) = unsafe {
                let id = H5Pget_filter2(
                    properties,
                    index,
                    &mut flags,
                    &mut values,
                    std::ptr::null_mut(),
                    name.len() - 1,
                    name.as_mut_ptr().cast(),
                    &mut config,
                );
                (id, id >= 0 && hdf5_sys::h5z::H5Zfilter_avail(id) > 0)
            };
            if !is_there {
                let name = CStr::from_bytes_until_nul(&name).unwrap_or_default();
                return Err(missing(id, &name.to_string_lossy()));
            }
        }
        Ok(())
    })
}

fn missing(id: i32, stored: &str) -> String {
    let known = |list: &[(i32, &'static str)]| {
        let found = list.iter().find(|(known, _)| *known == id);
        found.map(|&(_, name)| name)
    };
    let packaged = known(&IN_HDF5PLUGIN);
    let name = match packaged.or_else(|| known(&ELSEWHERE)) {
        Some(name) => name.to_owned(),
        // What a file says is shown on a terminal.
        None => stored.chars().filter(|c| !c.is_control()).collect(),
    };
    let origin = match packaged {
        Some(_) => {
            ", such as that of the Python package hdf5plugin (python -c 'import hdf5plugin; \
             print(hdf5plugin.PLUGIN_PATH)')"
        }
        None => "",
    };
    let advice = match library::plugin_folder() {
        Some(folder) => format!(
            "{PLUGINS} names {}, which has none that can be loaded; name another folder",
            folder.display()
        ),
        None => format!("set {PLUGINS} to the folder of its plugin{origin}"),
    };
    format!(
        "needs the filter {name} ({id}), which is not built in; {advice}, or repack the file (h5repack -f GZIP=4 FILE NEW)"
    )
}
