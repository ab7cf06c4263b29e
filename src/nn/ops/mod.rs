//! Operations whose composition from elementary ones is slow on the CPU, with hand-written forward and
//! backward passes for `f32` there. On other devices and types they are the composition.
//!
//! The results do not depend on the number of threads: rows are independent, and sums over rows are
//! taken in blocks of fixed size and in fixed order.

mod autodiff;
mod backend;
mod kernels;

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Tensor, activation, module};

use backend::FusedOps;

/// Largest weight of a layer of an MLP that is computed in one go, in numbers.
const MAX_FUSED_MLP: usize = 1 << 18;

/// GELU with the exact error function.
pub fn gelu<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    if !is_fused(&input) {
        return activation::gelu(input);
    }
    Tensor::from_dispatch(Dispatch::fused_gelu(input.into_dispatch()))
}

/// Layer normalization of the last axis of `(..., width)` with `weight` and `bias`, both `(width,)`.
pub fn layer_norm<const D: usize>(
    input: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    if !is_fused(&input) {
        return module::layer_norm(input, weight, Some(bias), epsilon);
    }
    Tensor::from_dispatch(Dispatch::fused_layer_norm(
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

/// Scaled dot-product self-attention in `heads` heads (paper eq. A9): `(batch, tokens, 3 * width)`,
/// which holds queries, keys and values side by side, to `(batch, tokens, width)`.
pub fn self_attention(qkv: Tensor<3>, heads: usize) -> Tensor<3> {
    if !is_fused(&qkv) {
        return composed_self_attention(qkv, heads);
    }
    Tensor::from_dispatch(Dispatch::fused_self_attention(qkv.into_dispatch(), heads))
}

fn composed_self_attention(qkv: Tensor<3>, heads: usize) -> Tensor<3> {
    let [batch, tokens, width] = qkv.dims();
    let width = width / 3;
    // (3, batch, heads, tokens, depth)
    let parts = qkv
        .reshape([batch, tokens, 3, heads, width / heads])
        .permute([2, 0, 3, 1, 4]);
    let [query, key, value] =
        [0, 1, 2].map(|part| parts.clone().narrow(0, part, 1).squeeze_dim::<4>(0));
    scaled_dot_product(query, key, value)
        .swap_dims(1, 2)
        .reshape([batch, tokens, width])
}

/// Scaled dot-product attention of `(batch, heads, tokens, depth)` tensors (paper eq. A9).
pub fn scaled_dot_product(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
    let depth = query.dims()[3] as f64;
    // Scaling the queries touches fewer numbers than scaling the scores.
    let scores = (query * depth.powf(-0.5)).matmul(key.swap_dims(2, 3));
    let shares = activation::softmax(scores.cast(DType::F32), 3);
    shares.cast(value.dtype()).matmul(value)
}

fn is_fused<const D: usize>(tensor: &Tensor<D>) -> bool {
    // Devices compare by hardware: one with automatic differentiation equals the plain one.
    tensor.dtype() == DType::F32 && tensor.device() == Device::flex()
}

#[cfg(test)]
mod tests;
