//! Which processor does the work.

#[cfg(feature = "cuda")]
mod cuda;
mod gpu;
#[cfg(feature = "wgpu")]
mod wgpu;

use std::str::FromStr;

use burn::tensor::Device;

use crate::base::error::{Error, Result};
use crate::base::lock::host;
use crate::base::ranks::{Launched, Ranks};
use gpu::Gpu;
pub use gpu::Interface;

/// What `--device` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A GPU where there is one and the program was built for it, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU of that index, through the first interface that has one.
    Gpu(usize),
    /// The GPU of that index, through this interface.
    Through(Interface, usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || {
            format!(
                "`{text}` is no device; expected auto, cpu, gpu, cuda, vulkan or metal; of several GPUs gpu:1, cuda:1, … \
                 is the second"
            )
        };
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, Some(index.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        let gpu = index.unwrap_or(0);
        match (name, index) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("gpu", _) => Ok(Self::Gpu(gpu)),
            _ => Interface::ALL
                .into_iter()
                .find(|interface| interface.name() == name)
                .map(|interface| Self::Through(interface, gpu))
                .ok_or_else(unknown),
        }
    }
}

impl DeviceChoice {
    /// Opens the device and logs which one it is.
    ///
    /// # Errors
    ///
    /// [`Error::input`] when a GPU is asked for that is not there, or that does not start.
    pub fn open(self) -> Result<Device> {
        let gpu = match self {
            Self::Cpu => None,
            Self::Auto => first_to_start(Interface::gpus, 0)?,
            Self::Gpu(index) => Some(first_to_start(Interface::gpus, index)?.ok_or_else(no_gpu)?),
            Self::Through(interface, index) => Some(interface.start(interface.gpus(), index)?),
        };
        let device = gpu
            .as_ref()
            .map_or_else(Device::flex, |gpu| gpu.device.clone());
        let note = match &gpu {
            Some(gpu) => format!(" ({})", gpu.choice),
            None if self == Self::Auto && can_have_gpus() => " (no GPU is visible)".to_owned(),
            None => String::new(),
        };
        tracing::info!("device: {}{note}", label(&device));
        if gpu.is_some_and(|gpu| gpu.software) {
            tracing::warn!("this GPU is software on the CPU; --device cpu is faster");
        }
        Ok(device)
    }
}

impl DeviceChoice {
    /// Opens the device of a rank: of the GPUs of a machine each of its ranks takes one of its own, unless one is named.
    ///
    /// # Errors
    ///
    /// As [`DeviceChoice::open`], and where a GPU is asked for twice.
    pub fn open_for(self, ranks: &Ranks) -> Result<Device> {
        let local = Launched::here().and_then(|launched| launched.local);
        let choice = match (self, local) {
            // A launcher that shows each of its ranks one GPU has chosen.
            (Self::Auto, Some(local)) if !ranks.is_alone() && gpu_count() > 1 => Self::Gpu(local),
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
}

/// Whether a device is a GPU through CUDA.
pub fn is_cuda(device: &Device) -> bool {
    let gpus = Interface::Cuda.gpus();
    gpus.iter().any(|gpu| gpu.device == *device)
}

/// GPUs of the first interface that has any, without software.
fn gpu_count() -> usize {
    let counts = Interface::ALL
        .into_iter()
        .map(|interface| interface.gpus().iter().filter(|gpu| !gpu.software).count());
    counts.into_iter().find(|&count| count > 0).unwrap_or(0)
}

/// Whether the program was built for any GPU.
fn can_have_gpus() -> bool {
    Interface::ALL.into_iter().any(Interface::is_built)
}

fn no_gpu() -> Error {
    Error::input(match can_have_gpus() {
        true => {
            "no GPU is visible; `astroclip --version` lists what is, --device vulkan takes software too, and --device cpu \
             the CPU"
        }
        false => {
            "this binary was built without GPU support; build it with `cargo build --release --features cuda` for NVIDIA \
             GPUs or `--features wgpu` for any, or use --device cpu"
        }
    })
}

/// The GPU of that index among those of the first interface for which any are `visible`, software left out, as it starts to
/// compute. Where it does not start, the next interface is asked.
fn first_to_start(visible: impl Fn(Interface) -> Vec<Gpu>, index: usize) -> Result<Option<Gpu>> {
    let mut refused = None;
    for interface in Interface::ALL {
        let mut gpus = visible(interface);
        gpus.retain(|gpu| !gpu.software);
        if gpus.is_empty() {
            continue;
        }
        match interface.start(gpus, index) {
            Ok(gpu) => {
                if let Some(error) = refused {
                    tracing::warn!("{error}; taking {} instead", gpu.choice);
                }
                return Ok(Some(gpu));
            }
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    // Hours on the CPU are no answer to a GPU that lacks a file.
    refused.map_or(Ok(None), Err)
}

/// All devices that the program can use here, as a person calls them and as `--device` takes them: the CPU, then GPUs.
pub fn visible() -> Vec<String> {
    let gpus = Interface::ALL.into_iter().flat_map(Interface::gpus);
    std::iter::once(label(&Device::flex()))
        .chain(gpus.map(|gpu| format!("{} ({})", gpu.name, gpu.choice)))
        .collect()
}

/// What a person calls a device.
pub fn label(device: &Device) -> String {
    match *device == Device::flex() {
        true => {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            format!("CPU, {threads} threads")
        }
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        false => device
            .identity()
            .map_or_else(|| "GPU".to_owned(), |it| it.name),
        #[cfg(not(any(feature = "cuda", feature = "wgpu")))]
        false => unreachable!("there is none but the CPU"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(choice: &str, software: bool, starts: bool) -> Gpu {
        Gpu {
            choice: choice.to_owned(),
            name: "a GPU".to_owned(),
            software,
            device: Device::flex(),
            start: match starts {
                true => |_| Ok(()),
                false => |_| Err(Error::input("it lacks a file")),
            },
        }
    }

    /// The choice among GPUs through CUDA and through Vulkan.
    fn chosen(
        cuda: &[(bool, bool)],
        vulkan: &[(bool, bool)],
        index: usize,
    ) -> Result<Option<String>> {
        let visible = |interface: Interface| {
            let gpus = match interface {
                Interface::Cuda => cuda,
                Interface::Vulkan => vulkan,
                Interface::Metal => &[],
            };
            let named = gpus.iter().enumerate().map(|(index, &(software, starts))| {
                gpu(&format!("{}:{index}", interface.name()), software, starts)
            });
            named.collect()
        };
        Ok(first_to_start(visible, index)?.map(|gpu| gpu.choice))
    }

    #[test]
    fn the_first_gpu_that_starts_is_taken_and_software_never() {
        const GOOD: (bool, bool) = (false, true);
        const BROKEN: (bool, bool) = (false, false);
        const SOFTWARE: (bool, bool) = (true, true);
        let is = |found: Result<Option<String>>, wanted: Option<&str>| {
            assert_eq!(found.unwrap().as_deref(), wanted);
        };
        is(chosen(&[], &[], 0), None);
        is(chosen(&[], &[SOFTWARE], 0), None);
        is(chosen(&[GOOD], &[GOOD], 0), Some("cuda:0"));
        is(chosen(&[GOOD, GOOD], &[GOOD], 1), Some("cuda:1"));
        is(chosen(&[], &[GOOD, SOFTWARE], 0), Some("vulkan:0"));
        is(chosen(&[BROKEN], &[GOOD], 0), Some("vulkan:0"));
        for (cuda, vulkan) in [(&[BROKEN][..], &[SOFTWARE][..]), (&[BROKEN], &[BROKEN])] {
            let error = chosen(cuda, vulkan, 0).unwrap_err();
            assert!(error.is_input() && error.to_string().contains("lacks a file"));
        }
        let error = chosen(&[GOOD], &[], 3).unwrap_err();
        assert!(error.to_string().contains("no cuda:3"));
    }
}
