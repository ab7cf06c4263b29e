//! `astroclip --version`.

use super::print;
use crate::base::device;
use crate::base::error::Result;

/// Prints the version, the commit that it was built from, what it was built with, and the devices that it sees here.
///
/// # Errors
///
/// Where standard output cannot be written.
pub fn version() -> Result<()> {
    let commit = option_env!("ASTROCLIP_COMMIT").unwrap_or("unknown: built outside the repository");
    let features = match (cfg!(feature = "cuda"), cfg!(feature = "wgpu")) {
        (true, true) => "cuda, wgpu",
        (true, false) => "cuda; wgpu adds GPUs of other makes",
        (false, true) => "wgpu; cuda adds what NVIDIA GPUs do better",
        (false, false) => "none; cuda adds NVIDIA GPUs, wgpu GPUs of any make",
    };
    print(&format!(
        "astroclip {}\ncommit    {commit}\nfeatures  {features}\ndevices   {}\n",
        env!("CARGO_PKG_VERSION"),
        device::visible().join("; ")
    ))
}
