//! Ranks that exchange tensors by NVIDIA's library NCCL, which is found when the program runs, from GPU to GPU.
//!
//! The host only asks: NCCL works aside, after what the tensors come from and before what uses the results. What is asked
//! for leaves the queue of fused operations at once, so that all ranks ask for the same in the same order, whatever else
//! waits there, and a rank that goes on to MPI has not kept back what another waits for on its GPU.

mod library;

use std::sync::Arc;

use burn::backend::{Backend, Dispatch, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{DType, Device, FloatDType, Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::cuda::CudaRuntime;
use cubecl_runtime::runtime::Runtime;

use crate::base::error::{Error, Result};
use crate::base::ranks::{Ranks, TensorCollective};

use library::{Call, Communicator, Number};

type Server = <CudaRuntime as Runtime>::Server;

/// Why this program cannot call NCCL, if it cannot.
pub(in crate::network::ops) fn objection() -> Option<&'static str> {
    match (library::is_there(), super::aside::is_driver_new()) {
        (true, true) => None,
        (false, _) => Some(
            "there is no libnccl.so (Debian's libnccl-dev and PyPI's nvidia-nccl-cu12 have it, the latter as libnccl.so.2, \
             which wants a link; LD_LIBRARY_PATH names its folder)",
        ),
        (true, false) => Some("the NVIDIA driver is older than CUDA 12.5"),
    }
}

/// The same ranks, all of which have the library, as they exchange tensors of `device` by it.
///
/// # Errors
///
/// Where they have it in different versions, or the first gets no id for them.
pub(in crate::network::ops) fn join(ranks: &Ranks, device: &Device) -> Result<Ranks> {
    let version = library::version().map_err(|error| Error::run(format!("NCCL: {error}")))?;
    ranks.agree(&[("version of NCCL", version.clone())])?;
    let own = match ranks.is_first() {
        true => library::new_id(),
        false => Ok(Vec::new()),
    };
    let given = ranks
        .gather(own.as_deref().unwrap_or_default())
        .swap_remove(0);
    own.map_err(|error| Error::run(format!("NCCL: {error}")))?;
    let communicator = Communicator::new(&given, ranks.seat())
        .ok_or_else(|| Error::run("rank 0 got no id from NCCL for all ranks"))?;
    let nccl = Nccl {
        ranks: ranks.clone(),
        communicator: Arc::new(communicator),
    };
    // They meet now, and not in the first step.
    nccl.sum(Tensor::ones([1], device), false);
    if ranks.is_first() {
        tracing::info!("tensors go between ranks by NCCL {version}");
    }
    Ok(ranks.clone().exchanging(Arc::new(nccl)))
}

/// Ranks that exchange tensors of their GPUs; numbers of the host go by what the ranks have besides.
#[derive(Debug)]
struct Nccl {
    ranks: Ranks,
    communicator: Arc<Communicator>,
}

impl Nccl {
    fn call(&self, own: Tensor<1>, call: Call) -> Tensor<1> {
        let device = own.device();
        let communicator = Arc::clone(&self.communicator);
        let result = Dispatch::exchange(own.into_dispatch(), communicator, call);
        let asked = device.flush().map_err(|error| error.to_string());
        let failure = asked.err().or_else(|| self.communicator.failure());
        if let Some(failure) = failure {
            self.ranks.fail(&failure);
        }
        Tensor::from_dispatch(result)
    }
}

impl TensorCollective for Nccl {
    fn sum(&self, own: Tensor<1>, in_bf16: bool) -> Tensor<1> {
        match in_bf16 {
            false => self.call(own, Call::Sum),
            true => {
                let sum = self.call(own.cast(FloatDType::BF16), Call::Sum);
                sum.cast(FloatDType::F32)
            }
        }
    }

    fn gather(&self, own: Tensor<1>, counts: &[usize]) -> Tensor<1> {
        self.call(own, Call::Gather(counts.to_vec()))
    }
}

/// [`Nccl`]'s calls on a backend's tensors; only GPUs through CUDA have them.
#[burn::backend::backend_extension(Cube, Fusion)]
trait ExchangeOps: Backend {
    /// What a call makes of `(count,)` values of all ranks.
    #[fusion(dtype = own, shape = Shape::from([call.result(own.num_elements())]))]
    fn exchange(
        own: FloatTensor<Self>,
        communicator: Arc<Communicator>,
        call: Call,
    ) -> FloatTensor<Self>;
}

impl ExchangeOps for CubeBackend {
    fn exchange(own: CubeTensor, communicator: Arc<Communicator>, call: Call) -> CubeTensor {
        let own = into_contiguous(own);
        let count = own.shape().num_elements();
        let number = match own.dtype {
            DType::F32 => Number::F32,
            DType::BF16 => Number::Bf16,
            other => unreachable!("ranks exchange no {other:?}"),
        };
        let result = super::unwritten(&own, Shape::from([call.result(count)]), own.dtype);
        let memory = [own.clone(), result.clone()];
        let client = own.client.clone();
        let run = || -> std::result::Result<(), String> {
            let mut held = Vec::new();
            for tensor in memory {
                let resource = tensor.client.get_resource::<Server>(tensor.handle);
                held.push(resource.map_err(|error| error.to_string())?);
            }
            let [from, to] = [0, 1].map(|at| held[at].resource().ptr);
            // SAFETY: the memory holds as many numbers as the call says, and is kept by `held` until it is asked for. CubeCL
            // has made the device's context that of this thread when it was asked for the addresses.
            #[allow(unsafe_code)]
            unsafe {
                communicator.run(&call, (number, count), from, to)
            }
        };
        let asked = client.exclusive(run).map_err(|error| error.to_string());
        if let Err(failure) = asked.and_then(|asked| asked) {
            communicator.fail(failure);
        }
        result
    }
}
