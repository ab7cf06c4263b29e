//! Matrix products by NVIDIA's library cuBLASLt, which is found when the program runs. On an H100 no kernel that CubeCL
//! compiles with NVRTC reaches its speed, and it has nothing to compile or to try out in a first step.

mod layout;
mod library;

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::cuda::CudaRuntime;
use cubecl_runtime::runtime::Runtime;

use layout::Matrices;
use library::{Addresses, Library, Number, Task};

type Server = <CudaRuntime as Runtime>::Server;

/// The products, of this type, of the matrices of two tensors, plus, if given, a row `(columns,)` that is added to each row;
/// `None` where there is no library, or none of its kernels serves.
pub(super) fn product(
    lhs: &CubeTensor,
    rhs: &CubeTensor,
    bias: Option<&CubeTensor>,
    dtype: DType,
) -> Option<CubeTensor> {
    let (number, result_number) = (number(lhs.dtype)?, number(dtype)?);
    let same = rhs.dtype == lhs.dtype && bias.is_none_or(|bias| bias.dtype == lhs.dtype);
    if !same || lhs.client.name() != "cuda" || !Library::is_there() {
        return None;
    }
    let mut shape: Vec<usize> = lhs.shape().iter().copied().collect();
    let axes = shape.len();
    let inner = shape[axes - 1];
    shape[axes - 1] = rhs.shape()[axes - 1];
    if inner == 0 || shape.contains(&0) {
        return None;
    }
    let (lhs, rhs) = (readable(lhs), readable(rhs));
    let bias = bias.map(|bias| into_contiguous(bias.clone()));
    let output = super::unwritten(&lhs.0, Shape::from(shape), dtype);
    let task = Task {
        number,
        result_number,
        // By columns, the transposes, in the other order.
        first: rhs.1,
        second: lhs.1,
        result: readable(&output).1,
        has_bias: bias.is_some(),
    };
    let memory = [Some(rhs.0), Some(lhs.0), Some(output.clone()), bias];
    let client = output.client.clone();
    let run = || -> Result<bool, String> {
        let mut held = Vec::new();
        for tensor in memory.into_iter().flatten() {
            let resource = tensor.client.get_resource::<Server>(tensor.handle);
            held.push(resource.map_err(|error| error.to_string())?);
        }
        let address = |at: usize| held[at].resource().ptr;
        let addresses = Addresses {
            first: address(0),
            second: address(1),
            result: address(2),
            bias: if task.has_bias { address(3) } else { 0 },
        };
        // SAFETY: the memory holds what the task says, and is kept by `held` until all of it is asked for. CubeCL has made
        // the device's context that of this thread when it was asked for the addresses.
        #[allow(unsafe_code)]
        unsafe {
            Library::multiply(&task, addresses)
        }
    };
    match client.exclusive(run) {
        Ok(Ok(done)) => done.then_some(output),
        Ok(Err(message)) => panic!("cuBLAS: {message}"),
        Err(error) => panic!("cuBLAS: {error}"),
    }
}

fn number(dtype: DType) -> Option<Number> {
    match dtype {
        DType::F32 => Some(Number::F32),
        DType::BF16 => Some(Number::Bf16),
        DType::F16 => Some(Number::F16),
        _ => None,
    }
}

/// The tensor, or its copy in order, and how its matrices lie.
fn readable(tensor: &CubeTensor) -> (CubeTensor, Matrices) {
    let lies = |tensor: &CubeTensor| {
        let shape: Vec<usize> = tensor.shape().iter().copied().collect();
        let strides: Vec<usize> = tensor.meta.strides().iter().copied().collect();
        Matrices::of(&shape, &strides)
    };
    match lies(tensor) {
        Some(matrices) => (tensor.clone(), matrices),
        None => {
            let copy = into_contiguous(tensor.clone());
            let matrices = lies(&copy).expect("matrices in order");
            (copy, matrices)
        }
    }
}
