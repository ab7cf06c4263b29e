//! Stand-in for `cubecl-llvm` 0.11.3: the names that `cubecl-cuda` links, without LLVM.
//!
//! `cubecl-cuda` compiles its kernels with NVRTC here and never calls this crate's compiler; see README.md.
//! [`PtxVersion`](nvptx::ptx_version::PtxVersion) and [`NvptxModule`] have no values, so nothing can pretend that LLVM
//! compiled a kernel.

use std::{convert::Infallible, ffi::c_char};

use cubecl_core::{ir::nvidia::SmArch, prelude::KernelDefinition};
use cubecl_environment::backtrace::BackTrace;
use cubecl_runtime::{compiler::CompilationError, kernel::BufferIOAttr};

/// What to say, and to do, when the LLVM compiler is asked for.
const NO_LLVM: &str = "this build has no LLVM kernel compiler: vendor/cubecl-llvm stands in for it. \
    Build with the feature `cuda-cpp` of `cubecl`, so that NVRTC compiles the CUDA kernels";

/// What a kernel would be compiled for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LlvmTarget {
    /// NVIDIA GPUs.
    #[default]
    Nvptx,
}

/// The compiler's name without the compiler.
#[derive(Clone, Debug, Default)]
pub struct PlironCompiler {
    /// What kernels would be compiled for.
    pub target: LlvmTarget,
}

/// Options of the compiler; nothing reads them.
#[derive(Clone, Debug, Default)]
pub struct PlironOptions {
    /// AMD architecture: there is none here.
    pub arch: Option<Infallible>,
    /// Compute capability of the GPU.
    pub sm_arch: Option<SmArch>,
    /// PTX version to emit.
    pub ptx_version: Option<nvptx::ptx_version::PtxVersion>,
    /// Whether scalars and metadata travel in the kernel's parameter block.
    pub grid_constants: bool,
}

/// A kernel compiled by LLVM. It has no values: `absent` cannot be filled in.
#[derive(Clone, Debug)]
pub struct NvptxModule {
    /// PTX text, ending with NUL.
    pub ptx: Vec<c_char>,
    /// Name of the kernel's entry point.
    pub entrypoint: String,
    /// Intermediate representation, for logs.
    pub ir: String,
    /// Dynamic shared memory of a launch, in bytes.
    pub shared_memory_size: usize,
    /// How the kernel uses each buffer.
    pub io: Vec<BufferIOAttr>,
    /// Keeps the type without values.
    pub absent: Infallible,
}

/// What compiling gives. It has no values either.
#[derive(Clone, Debug)]
pub enum PlironArtifact {
    /// A kernel for an NVIDIA GPU.
    NvptxCode(NvptxModule),
    /// A kernel for the CPU.
    Jit(Infallible),
}

impl PlironCompiler {
    /// Compiles nothing.
    ///
    /// # Errors
    /// Always: there is no compiler here.
    pub fn compile(
        &mut self,
        _kernel: KernelDefinition,
        _options: &PlironOptions,
    ) -> Result<PlironArtifact, CompilationError> {
        Err(CompilationError::Generic {
            reason: NO_LLVM.to_owned(),
            backtrace: BackTrace::capture(),
        })
    }

    /// The language that precompiled kernels would have to be written in: none is accepted.
    pub fn lang_tag(&self) -> &'static str {
        "none"
    }
}

/// NVIDIA GPUs.
pub mod nvptx {
    /// Which PTX version to emit.
    pub mod ptx_version {
        use std::fmt;

        /// A PTX version for LLVM to emit. It has no values.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum PtxVersion {}

        impl PtxVersion {
            /// `None`: LLVM emits no PTX here, whatever the driver. NVRTC chooses its own version.
            pub fn for_driver(_driver: i32) -> Option<Self> {
                None
            }
        }

        impl fmt::Display for PtxVersion {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {}
            }
        }
    }
}

/// What all targets share.
pub mod shared {
    /// What a device may advertise when LLVM compiles its kernels.
    pub mod lowered_features {
        use cubecl_core::ir::DeviceProperties;

        /// The kind of GPU.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum GpuTarget {
            /// NVIDIA.
            Nvptx,
        }

        /// Called when a CUDA device is opened and LLVM would compile its kernels.
        ///
        /// # Panics
        /// Always: it is reached only in a build without `cuda-cpp`.
        pub fn restrict_features(_properties: &mut DeviceProperties, _target: GpuTarget) {
            panic!("{}", super::super::NO_LLVM);
        }
    }
}
