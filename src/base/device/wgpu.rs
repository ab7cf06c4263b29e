//! GPUs of any make through Vulkan, and Apple's through Metal.

use std::sync::{Mutex, PoisonError};

use burn::backend::{CubeDevice, DispatchDevice};
use burn::tensor::Device;
use cubecl::future::block_on;
use cubecl::wgpu::wgpu::{Backend, DeviceType, Instance, InstanceDescriptor};
use cubecl::wgpu::{
    AutoGraphicsApi, RuntimeOptions, WgpuBackend, WgpuDevice, WgpuDeviceKind, try_init_setup,
};

use super::gpu::{Gpu, Interface, keep_kernels};
use crate::base::error::{Error, Result};

/// Devices that compute already: none starts twice.
static STARTED: Mutex<Vec<WgpuDevice>> = Mutex::new(Vec::new());

/// Those that drivers offer: GPUs on a card, in the processor, of a virtual machine, of an unknown kind, then software.
pub(super) fn gpus(interface: Interface) -> Vec<Gpu> {
    let (backend, pinned) = match interface {
        Interface::Metal => (Backend::Metal, WgpuBackend::Metal),
        _ => (Backend::Vulkan, WgpuBackend::Vulkan),
    };
    let instance = Instance::new(InstanceDescriptor {
        backends: backend.into(),
        ..InstanceDescriptor::new_without_display_handle()
    });
    let adapters = block_on(instance.enumerate_adapters(backend.into()));
    let found: Vec<_> = adapters.iter().map(|adapter| adapter.get_info()).collect();
    type Kind = fn(usize) -> WgpuDeviceKind;
    let kinds: [(DeviceType, Kind); 5] = [
        (DeviceType::DiscreteGpu, WgpuDeviceKind::DiscreteGpu),
        (DeviceType::IntegratedGpu, WgpuDeviceKind::IntegratedGpu),
        (DeviceType::VirtualGpu, WgpuDeviceKind::VirtualGpu),
        (DeviceType::Other, WgpuDeviceKind::Other),
        // Of software, burn reaches the first alone.
        (DeviceType::Cpu, |_| WgpuDeviceKind::Cpu),
    ];
    let by_kind = kinds.into_iter().flat_map(|(of, kind)| {
        let of_kind = found.iter().filter(move |info| info.device_type == of);
        let of_kind = of_kind
            .enumerate()
            .map(move |(index, info)| (info, kind(index)));
        of_kind.take(if of == DeviceType::Cpu { 1 } else { usize::MAX })
    });
    let gpus = by_kind.enumerate().map(|(index, (info, kind))| Gpu {
        choice: format!("{}:{index}", interface.name()),
        name: info.name.clone(),
        software: info.device_type == DeviceType::Cpu,
        device: WgpuDevice::new(kind).on(pinned).into(),
        start,
    });
    gpus.collect()
}

/// A device that cannot be had would panic at its first tensor.
fn start(device: &Device) -> Result<()> {
    let DispatchDevice::Cube(CubeDevice::Wgpu(device)) = device.as_dispatch() else {
        unreachable!("made above")
    };
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if !started.contains(device) {
        keep_kernels();
        let options = RuntimeOptions::try_default();
        let setup = options.and_then(|options| try_init_setup::<AutoGraphicsApi>(device, options));
        setup.map_err(|error| {
            Error::input(format!(
                "the GPU does not start: {error}; renew its driver, or use --device cpu"
            ))
        })?;
        started.push(device.clone());
    }
    Ok(())
}
