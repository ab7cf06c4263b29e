//! `astroclip --version`.

use super::print;
use crate::base::device;
use crate::base::error::Result;

/// Features of the build: name, what it adds, whether it is in this one.
const FEATURES: [(&str, &str, bool); 5] = [
    ("cuda", "NVIDIA GPUs", cfg!(feature = "cuda")),
    ("wgpu", "GPUs of any make", cfg!(feature = "wgpu")),
    ("mpi", "runs of several processes", cfg!(feature = "mpi")),
    (
        "nccl",
        "tensors from GPU to GPU in such runs",
        cfg!(feature = "nccl"),
    ),
    (
        "qdrant",
        "searches by a Qdrant server",
        cfg!(feature = "qdrant"),
    ),
];

/// Prints the version, the commit that it was built from, what it was built with, and the devices that it sees here.
///
/// # Errors
///
/// Where standard output cannot be written.
pub fn version() -> Result<()> {
    let commit = option_env!("ASTROCLIP_COMMIT").unwrap_or("unknown: built outside the repository");
    let (built, other): (Vec<_>, Vec<_>) = FEATURES.into_iter().partition(|&(_, _, is)| is);
    let names: Vec<&str> = built.iter().map(|&(name, ..)| name).collect();
    let adds: Vec<String> = other
        .iter()
        .map(|(name, adds, _)| format!("{name} adds {adds}"))
        .collect();
    let features = match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    };
    let features = [features, adds.join(", ")]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("; ");
    print(&format!(
        "astroclip {}\ncommit    {commit}\nfeatures  {features}\ndevices   {}\n",
        env!("CARGO_PKG_VERSION"),
        device::visible().join("; ")
    ))
}
