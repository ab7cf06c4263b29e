use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::ops::{linear, scaled_dot_product, self_attention};
use super::{Initializer, Linear};

/// Multi-head self-attention with a fused query-key-value projection (paper eq. A8–A11).
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// `width` to `3 * width`: queries, keys, values.
    pub qkv: Linear,
    /// `width` to `width`.
    pub proj: Linear,
    #[module(skip)]
    heads: usize,
}

impl SelfAttention {
    /// `width` must be a multiple of `heads`.
    pub fn new(width: usize, heads: usize, std: f32, init: &mut Initializer) -> Self {
        Self {
            qkv: Linear::new(width, 3 * width, std, init),
            proj: Linear::new(width, width, std, init),
            heads,
        }
    }

    /// `(batch, tokens, width)` to the same.
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let output = self_attention(self.qkv.forward(input), self.heads);
        self.proj.forward(output)
    }
}

/// Multi-head attention of one learnable query over a sequence of another width (paper sect. 3.3).
#[derive(Module, Debug)]
pub struct CrossAttention {
    /// The query before its projection, `(embedding,)`.
    pub query: Param<Tensor<1>>,
    /// Query projection, `embedding` to `embedding`.
    pub q_proj: Linear,
    /// Key projection, `width` to `embedding`.
    pub k_proj: Linear,
    /// Value projection, `width` to `embedding`.
    pub v_proj: Linear,
    /// Output projection, `embedding` to `embedding`.
    pub out_proj: Linear,
    #[module(skip)]
    heads: usize,
}

impl CrossAttention {
    /// `embedding` must be a multiple of `heads`. Weights start as in PyTorch's
    /// `MultiheadAttention` (Xavier-uniform), the query as a unit normal.
    pub fn new(width: usize, embedding: usize, heads: usize, init: &mut Initializer) -> Self {
        let mut projection = |inputs: usize| {
            let bound = (6.0 / (inputs + embedding) as f32).sqrt();
            Linear {
                weight: init.uniform([inputs, embedding], bound),
                bias: init.constant([embedding], 0.0),
            }
        };
        let (q_proj, k_proj, v_proj) =
            (projection(embedding), projection(width), projection(width));
        let mut out_proj = Linear::new_uniform(embedding, embedding, init);
        out_proj.bias = init.constant([embedding], 0.0);
        Self {
            query: init.truncated_normal([embedding], 1.0),
            q_proj,
            k_proj,
            v_proj,
            out_proj,
            heads,
        }
    }

    /// Pools `(batch, tokens, width)` to `(batch, embedding)`.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<2> {
        let [batch, count, _] = tokens.dims();
        let [embedding] = self.query.dims();
        let depth = embedding / self.heads;
        let split = |projected: Tensor<3>| {
            projected
                .reshape([batch, count, self.heads, depth])
                .swap_dims(1, 2)
        };
        let query = linear(
            self.query.val().reshape([1, embedding]),
            self.q_proj.weight.val(),
            self.q_proj.bias.val(),
        )
        .reshape([1, self.heads, 1, depth])
        .repeat_dim(0, batch);
        let key = split(self.k_proj.forward(tokens.clone()));
        let value = split(self.v_proj.forward(tokens));
        let pooled = scaled_dot_product(query, key, value).reshape([batch, embedding]);
        self.out_proj.forward(pooled)
    }
}
