//! Room on disks, for errors of writing.

use std::path::Path;

/// Bytes that the user may still write to the file system of a folder, or of the nearest one above it that is there;
/// none where the system does not say.
pub(crate) fn free_space(folder: &Path) -> Option<u64> {
    let known = folder
        .ancestors()
        .map(|folder| match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        });
    let found = known.map(rustix::fs::statvfs).find_map(Result::ok)?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// A number of bytes as people say it.
pub(crate) fn in_bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} bytes");
    }
    let mut number = bytes as f64 / 1000.0;
    let mut unit = 0;
    while number >= 999.5 && unit + 1 < UNITS.len() {
        number /= 1000.0;
        unit += 1;
    }
    format!("{number:.1} {}", UNITS[unit])
}
