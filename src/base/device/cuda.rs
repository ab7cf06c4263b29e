//! NVIDIA GPUs through CUDA.

use burn::tensor::{Device, DeviceType};

use super::gpu::{Gpu, keep_kernels};
use crate::base::error::{Error, Result};

/// Those that `CUDA_VISIBLE_DEVICES` lets the program see.
pub(super) fn gpus() -> Vec<Gpu> {
    keep_kernels();
    let count = Device::enumerate(DeviceType::Cuda).into_vec().len();
    let gpus = (0..count).map(|index| Gpu {
        choice: format!("cuda:{index}"),
        name: "NVIDIA GPU".to_owned(),
        software: false,
        device: Device::cuda(index),
        start: check_toolkit,
    });
    gpus.collect()
}

/// Kernels are compiled at run time, from headers of the CUDA toolkit; without them burn panics.
fn check_toolkit(_: &Device) -> Result<()> {
    let folder = cubecl::cuda::install::cuda_path();
    match folder.filter(|folder| folder.join("include").join("cuda.h").is_file()) {
        Some(_) => Ok(()),
        None => Err(Error::input(
            "no CUDA toolkit with headers is found; install one of version 12.8 or newer and set CUDA_PATH \
             to its folder (with include/cuda.h and libnvrtc), or use --device cpu",
        )),
    }
}
