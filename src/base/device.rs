//! Which processor does the work.

use std::str::FromStr;

use burn::tensor::Device;

use crate::base::error::{Error, Result};
use crate::base::lock::host;
use crate::base::ranks::{Launched, Ranks};

/// What `--device` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A GPU where there is one and the program was built for it, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The NVIDIA GPU of that index.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("`{text}` is no device; expected auto, cpu, cuda or cuda:N");
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let index = text.strip_prefix("cuda:").ok_or_else(unknown)?;
                index.parse().map(Self::Cuda).map_err(|_| unknown())
            }
        }
    }
}

impl DeviceChoice {
    /// Opens the device and logs which one it is.
    ///
    /// # Errors
    ///
    /// [`Error::input`] when a GPU is asked for that is not there.
    pub fn open(self) -> Result<Device> {
        let (device, name) = self.resolve()?;
        tracing::info!("device: {name}");
        Ok(device)
    }

    /// Opens the device of a rank: of the GPUs of a machine each of its ranks takes one of its own, unless one is named.
    ///
    /// # Errors
    ///
    /// As [`DeviceChoice::open`], and where a GPU is asked for twice.
    pub fn open_for(self, ranks: &Ranks) -> Result<Device> {
        let local = Launched::here().and_then(|launched| launched.local);
        let choice = match (self, local) {
            // A launcher that shows each of its ranks one GPU has chosen.
            (Self::Auto, Some(local)) if !ranks.is_alone() && gpu_count() > 1 => Self::Cuda(local),
            _ => self,
        };
        let device = choice.open()?;
        if device != Device::flex() {
            let shown = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
            ranks.differ(
                "GPU",
                &format!("{} of {} ({shown})", label(&device), host()),
            )?;
        } else {
            ranks.differ("GPU", "")?;
        }
        Ok(device)
    }

    fn resolve(self) -> Result<(Device, String)> {
        let cpu = || (Device::flex(), label(&Device::flex()));
        match self {
            Self::Cpu => Ok(cpu()),
            Self::Auto if gpu_count() == 0 => Ok(cpu()),
            Self::Auto => open_gpu(0),
            Self::Cuda(index) => open_gpu(index),
        }
    }
}

/// All devices that the program can use here, as a person calls them: the CPU, then GPUs.
pub fn visible() -> Vec<String> {
    std::iter::once(label(&Device::flex()))
        .chain((0..gpu_count()).map(gpu_label))
        .collect()
}

fn gpu_label(index: usize) -> String {
    format!("NVIDIA GPU {index}")
}

/// What a person calls a device.
pub fn label(device: &Device) -> String {
    match *device == Device::flex() {
        true => {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            format!("CPU, {threads} threads")
        }
        false => format!("{device:?}"),
    }
}

/// Compiled kernels and the choices among them are kept in the user's cache folder (`~/.cache/cubecl`), so that only the
/// first run on a machine waits for them. A `cubecl.toml` that names another folder, and CubeCL's environment variables,
/// have the last word.
#[cfg(feature = "cuda")]
fn keep_kernels() {
    use cubecl::config::cache::CacheConfig;
    use cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};
    let mut config = CubeClRuntimeConfig::from_current_dir();
    config.compilation.cache = true;
    if matches!(config.environment.path, CacheConfig::Target) {
        config.environment.path = CacheConfig::Global;
    }
    CubeClRuntimeConfig::try_set(config.override_from_env());
}

#[cfg(feature = "cuda")]
fn gpu_count() -> usize {
    use burn::tensor::DeviceType;
    keep_kernels();
    Device::enumerate(DeviceType::Cuda).into_vec().len()
}

#[cfg(not(feature = "cuda"))]
fn gpu_count() -> usize {
    0
}

#[cfg(feature = "cuda")]
fn open_gpu(index: usize) -> Result<(Device, String)> {
    match gpu_count() {
        0 => Err(Error::input(
            "no NVIDIA GPU is visible; check nvidia-smi and CUDA_VISIBLE_DEVICES, or use --device cpu",
        )),
        count if index >= count => Err(Error::input(format!(
            "there is no GPU {index}; {count} are visible, counted from 0"
        ))),
        _ => {
            check_toolkit()?;
            Ok((Device::cuda(index), gpu_label(index)))
        }
    }
}

/// Kernels are compiled at run time, from headers of the CUDA toolkit; without them burn panics.
#[cfg(feature = "cuda")]
fn check_toolkit() -> Result<()> {
    let folder = cubecl::cuda::install::cuda_path();
    match folder.filter(|folder| folder.join("include").join("cuda.h").is_file()) {
        Some(_) => Ok(()),
        None => Err(Error::input(
            "no CUDA toolkit with headers is found; install one of version 12.8 or newer and set CUDA_PATH \
             to its folder (with include/cuda.h and libnvrtc), or use --device cpu",
        )),
    }
}

#[cfg(not(feature = "cuda"))]
fn open_gpu(_index: usize) -> Result<(Device, String)> {
    Err(Error::input(
        "this binary was built without GPU support; build it with `cargo build --release --features cuda`, \
         or use --device cpu",
    ))
}
