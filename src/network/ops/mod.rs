//! Operations on tensors that are worth more than their composition from a backend's own: faster, or with less to keep for
//! the backward pass of a training step.
//!
//! A file is an operation. It holds a function of tensors, for layers to call; one trait of its forward and its backward
//! pass on any backend's tensors, which composes them from the backend's own operations where nothing better is said; and
//! one implementation for `Autodiff<B, C>`, which serves every backend `B`. Where the backward pass needs more than the
//! inputs, a forward pass called `…_recorded` returns it too. Kernels stand below, by processor: `cpu`, for `f32` (other
//! types are composed), and `gpu`.
//!
//! - A new operation is a file such as `gelu`, and a file of `cpu` or `gpu` for each kernel that it has.
//! - A new backend is a folder beside `cpu` that implements each trait, with an empty body where it has no kernel, and a
//!   word in `extension!`.
//!
//! The results do not depend on the number of threads: rows are independent, and sums over rows are
//! taken in blocks of fixed size and in fixed order.

/// Lets `Dispatch` run a trait's functions on every backend that there is, and its automatic differentiation.
macro_rules! extension {
    ($($definition:tt)*) => {
        #[burn::backend::backend_extension(
            Cube: cfg(any(feature = "cuda", feature = "wgpu")),
            Flex,
            Autodiff,
            Fusion: cfg(any(feature = "cuda", feature = "wgpu"))
        )]
        $($definition)*
    };
}

mod across_ranks;
mod adamw;
mod attention;
mod cpu;
mod cross_entropy;
mod eight;
mod gelu;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod gpu;
mod layer_norm;
mod linear;
mod mlp;
mod parameters;
mod product;
mod residual;
mod rows;
mod sequences;
mod softmax;
mod weight_norm;

pub use crate::base::numeric::{Factors, multiplies_bf16};

pub use across_ranks::{each_from, ranks_on, rows_over, sum_over, sums_over};
pub use adamw::{AdamWConstants, Moments};
pub use attention::self_attention;
pub use cross_entropy::cross_entropy;
pub use eight::AnyTensor;
pub use gelu::gelu;
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use mlp::mlp;
pub use parameters::{Parameter, adamw, moved_means, sums_of_squares};
pub use product::product;
pub use residual::add_branch;
pub use rows::{RowSubset, take_rows};
pub use sequences::Sequences;
pub use weight_norm::weight_norm;

use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::DType;

/// `tensor` in this type; itself if it is.
fn of_type<B: Backend>(tensor: FloatTensor<B>, dtype: DType) -> FloatTensor<B> {
    match tensor.dtype() == dtype {
        true => tensor,
        false => B::float_cast(tensor, dtype.into()),
    }
}

#[cfg(test)]
mod tests;
