//! Operations whose composition from elementary ones is slow on the CPU, with hand-written forward and
//! backward passes for `f32` there. On other devices and types they are the composition; attention and norms have a
//! backward pass of their own there too, which keeps less.
//!
//! The results do not depend on the number of threads: rows are independent, and sums over rows are
//! taken in blocks of fixed size and in fixed order.

mod autodiff;
mod backend;
mod composed;
#[cfg(feature = "cuda")]
mod cube;
#[cfg(feature = "cuda")]
mod gpu;
mod kernels;
mod lean;
mod rows;

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Tensor, activation, module};

use backend::FusedOps;
use lean::LeanOps;

use super::Sequences;

pub use rows::{RowSubset, add_rows, take_rows};

/// Largest weight of a layer of an MLP that is computed in one go, in numbers.
const MAX_FUSED_MLP: usize = 1 << 18;

/// GELU with the exact error function.
pub fn gelu<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    if !is_fused(&input) {
        return activation::gelu(input);
    }
    Tensor::from_dispatch(Dispatch::fused_gelu(input.into_dispatch()))
}

/// Layer normalization of the last axis of `(..., width)` with `weight` and `bias`, both `(width,)` and `f32`; it computes
/// in `f32` and gives the type of the input.
pub fn layer_norm<const D: usize>(
    input: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::lean_layer_norm(
        input.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        epsilon,
    ))
}

/// Affine map of the last axis: `(..., inputs)` times `weight` `(inputs, outputs)` plus `bias`
/// `(outputs,)`.
pub fn linear<const D: usize>(input: Tensor<D>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<D> {
    if !is_fused(&input) {
        return module::linear(input, weight, Some(bias));
    }
    Tensor::from_dispatch(Dispatch::fused_linear(
        input.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
    ))
}

/// Two linear layers with a GELU between: `(..., width)` to `(..., width)`, with `weight1`
/// `(width, hidden)` and `weight2` `(hidden, width)`.
pub fn mlp<const D: usize>(
    input: Tensor<D>,
    (weight1, bias1): (Tensor<2>, Tensor<1>),
    (weight2, bias2): (Tensor<2>, Tensor<1>),
) -> Tensor<D> {
    let [width, hidden] = weight1.dims();
    // Weights too big for the cache are better read once for all rows.
    if !is_fused(&input) || width * hidden > MAX_FUSED_MLP {
        return linear(gelu(linear(input, weight1, bias1)), weight2, bias2);
    }
    Tensor::from_dispatch(Dispatch::fused_mlp(
        input.into_dispatch(),
        weight1.into_dispatch(),
        bias1.into_dispatch(),
        weight2.into_dispatch(),
        bias2.into_dispatch(),
    ))
}

/// Scaled dot-product self-attention in `heads` heads (paper eq. A9) within each sample of `groups`: `(tokens of all
/// groups, 3 * width)`, which holds queries, keys and values side by side, to `(tokens of all groups, width)`. Softmax is
/// in `f32`.
pub fn self_attention(qkv: Tensor<2>, groups: &[Sequences], heads: usize) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::lean_self_attention(
        qkv.into_dispatch(),
        groups.to_vec(),
        heads,
    ))
}

fn is_fused<const D: usize>(tensor: &Tensor<D>) -> bool {
    // Devices compare by hardware: one with automatic differentiation equals the plain one.
    tensor.dtype() == DType::F32 && tensor.device() == Device::flex()
}

#[cfg(test)]
mod tests;
