//! Attention of tokens among themselves, and of one learned query over tokens.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, activation::softmax};

use super::precision::to_type_of;
use super::{Initializer, Linear, widen};
use crate::network::ops::{Factors, Sequences, product, self_attention};

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

    /// Tokens `(tokens of all groups, width)` to the same; each sees those of its own sample.
    pub fn forward(&self, input: Tensor<2>, groups: &[Sequences], factors: Factors) -> Tensor<2> {
        let qkv = self.qkv.multiply(input, factors);
        let output = self_attention(qkv, groups, self.heads, factors);
        self.proj.multiply(output, factors)
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
    ///
    /// There is one query, so keys and values are never formed for every token: the query is taken
    /// through the key projection to the tokens' space, and the value projection is applied to the
    /// pooled tokens. The result is that of the usual order, at a fraction of the work.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<2> {
        let [batch, ..] = tokens.dims();
        let [embedding] = self.query.dims();
        let shares = to_type_of(self.attention(tokens.clone()), &tokens);
        // (heads, batch, width)
        let pooled = product(shares, tokens.clone()).swap_dims(0, 1);
        let values = to_type_of(self.by_head(&self.v_proj), &tokens);
        let values = product(pooled, values)
            .swap_dims(0, 1)
            .reshape([batch, embedding])
            + to_type_of(self.v_proj.bias.val(), &tokens).unsqueeze();
        self.out_proj.forward(values)
    }

    /// A projection's weights `(width, embedding)` as `(heads, width, embedding / heads)`.
    fn by_head(&self, projection: &Linear) -> Tensor<3> {
        let weight = projection.weight.val();
        let [width, embedding] = weight.dims();
        let shape = [width, self.heads, embedding / self.heads];
        weight.reshape(shape).swap_dims(0, 1)
    }

    /// How much of each of `(batch, tokens, width)` every head takes, `(batch, heads, tokens)`; the shares of
    /// a head add up to one, in `f32`.
    pub fn attention(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, _, width] = tokens.dims();
        let [embedding] = self.query.dims();
        let (heads, depth) = (self.heads, embedding / self.heads);
        let query = self
            .q_proj
            .forward(self.query.val().reshape([1, embedding]))
            * (depth as f64).powf(-0.5);
        // Products and sums, not matrix products: those with a single column are wrong in burn's fused GPU kernels
        // (tracel-ai/burn issue 5122).
        let query = query.reshape([heads, 1, depth]);
        let along_query = |keys: Tensor<3>| (keys * query.clone()).sum_dim(2);
        let direction = along_query(self.by_head(&self.k_proj)).reshape([1, heads, width]);
        let direction = to_type_of(direction, &tokens);
        let offset = along_query(self.k_proj.bias.val().reshape([heads, 1, depth]));
        let scores = product(direction.repeat_dim(0, batch), tokens.swap_dims(1, 2));
        let scores = widen(scores) + widen(offset).reshape([1, heads, 1]);
        softmax(scores, 2)
    }
}
