//! GPUs, and the interfaces through which programs reach them.

use burn::tensor::Device;

use crate::base::error::{Error, Result};

/// What a program reaches a GPU through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// NVIDIA's own: the cargo feature `cuda`.
    Cuda,
    /// For GPUs of any make: the cargo feature `wgpu`.
    Vulkan,
    /// Apple's own: the cargo feature `wgpu` on a Mac.
    Metal,
}

impl Interface {
    /// All, best first.
    pub const ALL: [Self; 3] = [Self::Cuda, Self::Vulkan, Self::Metal];

    /// As `--device` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
        }
    }

    /// Whether the program was built for it.
    pub fn is_built(self) -> bool {
        match self {
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Vulkan => cfg!(all(feature = "wgpu", not(target_os = "macos"))),
            Self::Metal => cfg!(all(feature = "wgpu", target_os = "macos")),
        }
    }

    /// The GPUs that it offers here, real ones before software.
    pub(super) fn gpus(self) -> Vec<Gpu> {
        match self {
            #[cfg(feature = "cuda")]
            Self::Cuda => super::cuda::gpus(),
            #[cfg(all(feature = "wgpu", not(target_os = "macos")))]
            Self::Vulkan => super::wgpu::gpus(self),
            #[cfg(all(feature = "wgpu", target_os = "macos"))]
            Self::Metal => super::wgpu::gpus(self),
            _ => Vec::new(),
        }
    }

    /// The GPU of that index among `gpus`, which are those of this interface, as it starts to compute.
    ///
    /// # Errors
    ///
    /// [`Error::input`] where there is none of that index, or it does not start.
    pub(super) fn start(self, mut gpus: Vec<Gpu>, index: usize) -> Result<Gpu> {
        let count = gpus.len();
        if count == 0 {
            return Err(Error::input(self.lack()));
        }
        if index >= count {
            return Err(Error::input(format!(
                "there is no {}:{index}; visible are {count}, counted from 0; `astroclip --version` lists them",
                self.name()
            )));
        }
        let gpu = gpus.swap_remove(index);
        (gpu.start)(&gpu.device)?;
        Ok(gpu)
    }

    /// Why it offers nothing, and what to do about it.
    fn lack(self) -> &'static str {
        match (self, self.is_built()) {
            (Self::Cuda, true) => {
                "no NVIDIA GPU is visible; check nvidia-smi and CUDA_VISIBLE_DEVICES, or use --device cpu"
            }
            (Self::Cuda, false) => {
                "this binary was built without CUDA; build it with `cargo build --release --features cuda`, \
                 or use --device cpu"
            }
            (Self::Vulkan, true) => {
                "no Vulkan device is visible; install the GPU's Vulkan driver (`vulkaninfo --summary` shows what there \
                 is), or use --device cpu"
            }
            (Self::Metal, true) => "no Metal device is visible; use --device cpu",
            (Self::Vulkan, false) if cfg!(target_os = "macos") => {
                "a Mac has Metal instead of Vulkan; use --device metal"
            }
            (Self::Metal, false) if !cfg!(target_os = "macos") => {
                "only a Mac has Metal; use --device gpu or --device cpu"
            }
            (Self::Vulkan | Self::Metal, false) => {
                "this binary was built without Vulkan and Metal; build it with `cargo build --release --features wgpu`, \
                 or use --device cpu"
            }
        }
    }
}

/// A GPU that is visible here.
#[cfg_attr(not(any(feature = "cuda", feature = "wgpu")), allow(dead_code))]
#[derive(Debug)]
pub(super) struct Gpu {
    /// As `--device` takes it.
    pub choice: String,
    /// What its maker calls it.
    pub name: String,
    /// Whether it is a program on the CPU that passes for a GPU.
    pub software: bool,
    /// For tensors.
    pub device: Device,
    /// Makes the device ready to compute, or says what it lacks.
    pub start: fn(&Device) -> Result<()>,
}

/// Compiled kernels and the choices among them are kept in the user's cache folder (`~/.cache/cubecl`), so that only the
/// first run on a machine waits for them. A `cubecl.toml` that names another folder, and CubeCL's environment variables,
/// have the last word.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub(super) fn keep_kernels() {
    use cubecl::config::cache::CacheConfig;
    use cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};
    let mut config = CubeClRuntimeConfig::from_current_dir();
    config.compilation.cache = true;
    if matches!(config.environment.path, CacheConfig::Target) {
        config.environment.path = CacheConfig::Global;
    }
    CubeClRuntimeConfig::try_set(config.override_from_env());
}
