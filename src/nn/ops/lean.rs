//! Operations whose backward pass keeps no more than the input: with kernels of their own for `f32` on the CPU and on GPUs
//! (`gpu`), from the backend's operations elsewhere.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Shape};
use burn_flex::FlexTensor;

use super::backend::{new_tensor, values, values_mut};
use super::composed::ScaledSoftmax;
use super::kernels::attention::AttentionShape;
use super::kernels::{attention, layer_norm};
use super::{Sequences, composed};

/// See the functions of the parent module for shapes.
#[backend_extension(Cube: cfg(feature = "cuda"), Flex, Autodiff, Fusion: cfg(feature = "cuda"))]
pub trait LeanOps: Backend {
    /// Layer normalization of the last axis.
    #[fusion(dtype = input, shape = input)]
    fn lean_layer_norm(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    /// Self-attention of queries, keys and values side by side.
    #[fusion(dtype = qkv, shape = { let mut shape = qkv.clone(); shape[1] /= 3; shape })]
    fn lean_self_attention(
        qkv: FloatTensor<Self>,
        groups: Vec<Sequences>,
        heads: usize,
    ) -> FloatTensor<Self>;
}

/// The backward passes of [`LeanOps`].
#[backend_extension(Cube: cfg(feature = "cuda"), Flex, Fusion: cfg(feature = "cuda"))]
pub trait LeanGradients: Backend {
    /// The gradients of input, weight and bias, given that of the output.
    #[fusion(meta = |input, weight, _grad, _epsilon| (input.clone(), weight.clone(), weight.clone()))]
    fn layer_norm_gradients(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// The gradient of queries, keys and values, given that of the output.
    #[fusion(dtype = qkv, shape = qkv)]
    fn self_attention_gradient(
        qkv: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        groups: Vec<Sequences>,
        heads: usize,
    ) -> FloatTensor<Self>;
}

impl ScaledSoftmax for Flex {}

impl LeanGradients for Flex {
    fn layer_norm_gradients(
        input: FlexTensor,
        weight: FlexTensor,
        grad: FlexTensor,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        composed::layer_norm_backward::<Self>(input, weight, grad, epsilon)
    }

    fn self_attention_gradient(
        qkv: FlexTensor,
        grad: FlexTensor,
        groups: Vec<Sequences>,
        heads: usize,
    ) -> FlexTensor {
        composed::self_attention_backward::<Self>(qkv, &groups, heads, grad)
    }
}

impl LeanOps for Flex {
    fn lean_layer_norm(
        input: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        epsilon: f64,
    ) -> FlexTensor {
        if input.dtype() != DType::F32 {
            return composed::layer_norm::<Self>(input, weight, bias, epsilon);
        }
        let [input, weight, bias] = [input, weight, bias].map(|tensor| tensor.to_contiguous());
        let (output, _) =
            layer_norm::forward(values(&input), values(&weight), values(&bias), epsilon);
        new_tensor(output, input.shape())
    }

    fn lean_self_attention(qkv: FlexTensor, groups: Vec<Sequences>, heads: usize) -> FlexTensor {
        if qkv.dtype() != DType::F32 {
            return composed::self_attention::<Self>(qkv, &groups, heads);
        }
        attend(&qkv.to_contiguous(), &groups, heads).0
    }
}

impl<C: CheckpointStrategy> LeanOps for Autodiff<Flex, C> {
    fn lean_layer_norm(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        if input.dtype() != DType::F32 {
            return composed_layer_norm::<_, C>(input, weight, bias, epsilon);
        }
        let ((input, x), (weight, w), (bias, b)) =
            (input.into_parts(), weight.into_parts(), bias.into_parts());
        match LayerNorm.prepare::<C>([x, w, b]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let [input, weight, bias] =
                    [input, weight, bias].map(|tensor| tensor.to_contiguous());
                let (output, statistics) =
                    layer_norm::forward(values(&input), values(&weight), values(&bias), epsilon);
                let output = new_tensor(output, input.shape());
                prep.finish((input, weight, statistics), output)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(Flex::lean_layer_norm(input, weight, bias, epsilon))
            }
        }
    }

    fn lean_self_attention(
        qkv: FloatTensor<Self>,
        groups: Vec<Sequences>,
        heads: usize,
    ) -> FloatTensor<Self> {
        if qkv.dtype() != DType::F32 {
            return composed_self_attention::<_, C>(qkv, groups, heads);
        }
        let (qkv, node) = qkv.into_parts();
        match SelfAttention
            .prepare::<C>([node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let qkv = qkv.to_contiguous();
                let (output, normalizers) = attend(&qkv, &groups, heads);
                prep.finish((qkv, normalizers, groups, heads), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::lean_self_attention(qkv, groups, heads)),
        }
    }
}

/// [`LeanOps::lean_layer_norm`] that keeps its input for [`LeanGradients`].
pub(super) fn composed_layer_norm<B: LeanOps + LeanGradients, C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<B, C>>,
    weight: FloatTensor<Autodiff<B, C>>,
    bias: FloatTensor<Autodiff<B, C>>,
    epsilon: f64,
) -> FloatTensor<Autodiff<B, C>> {
    let ((input, x), (weight, w), (bias, b)) =
        (input.into_parts(), weight.into_parts(), bias.into_parts());
    match ComposedLayerNorm
        .prepare::<C>([x, w, b])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => {
            let state = (input.clone(), weight.clone(), epsilon);
            prep.finish(state, B::lean_layer_norm(input, weight, bias, epsilon))
        }
        OpsKind::UnTracked(prep) => prep.finish(B::lean_layer_norm(input, weight, bias, epsilon)),
    }
}

/// [`LeanOps::lean_self_attention`] that keeps its input for [`LeanGradients`].
pub(super) fn composed_self_attention<B: LeanOps + LeanGradients, C: CheckpointStrategy>(
    qkv: FloatTensor<Autodiff<B, C>>,
    groups: Vec<Sequences>,
    heads: usize,
) -> FloatTensor<Autodiff<B, C>> {
    let (qkv, node) = qkv.into_parts();
    match ComposedSelfAttention
        .prepare::<C>([node])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => {
            let output = B::lean_self_attention(qkv.clone(), groups.clone(), heads);
            prep.finish((qkv, groups, heads), output)
        }
        OpsKind::UnTracked(prep) => prep.finish(B::lean_self_attention(qkv, groups, heads)),
    }
}

#[derive(Debug)]
struct ComposedLayerNorm;

impl<B: LeanGradients> Backward<B, 3> for ComposedLayerNorm {
    /// Input, weight, epsilon.
    type State = (FloatTensor<B>, FloatTensor<B>, f64);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (input, weight, epsilon) = ops.state;
        let (input, weight, bias) = B::layer_norm_gradients(input, weight, grad, epsilon);
        for (node, gradient) in ops.parents.into_iter().zip([input, weight, bias]) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct ComposedSelfAttention;

impl<B: LeanGradients> Backward<B, 1> for ComposedSelfAttention {
    /// Queries, keys and values; groups of samples; heads.
    type State = (FloatTensor<B>, Vec<Sequences>, usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [Some(node)] = ops.parents else { return };
        let (qkv, groups, heads) = ops.state;
        let qkv_grad = B::self_attention_gradient(qkv, grad, groups, heads);
        grads.register::<B>(node.id, qkv_grad);
    }
}

#[derive(Debug)]
struct LayerNorm;

impl Backward<Flex, 3> for LayerNorm {
    /// Input, weight, and mean and inverse deviation of each row.
    type State = (FlexTensor, FlexTensor, Vec<[f32; 2]>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut grad = grads.consume::<Flex>(&ops.node);
        let (input, weight, statistics) = ops.state;
        let (weight_grad, bias_grad) = layer_norm::backward(
            values(&input),
            values(&weight),
            &statistics,
            values_mut(&mut grad),
        );
        let width = weight.shape();
        let [input, weight, bias] = ops.parents;
        if let Some(node) = input {
            grads.register::<Flex>(node.id, grad);
        }
        if let Some(node) = weight {
            grads.register::<Flex>(node.id, new_tensor(weight_grad, width.clone()));
        }
        if let Some(node) = bias {
            grads.register::<Flex>(node.id, new_tensor(bias_grad, width));
        }
    }
}

#[derive(Debug)]
struct SelfAttention;

impl Backward<Flex, 1> for SelfAttention {
    /// Queries, keys and values; logs of the softmax's sums, by group of samples; the groups; heads.
    type State = (FlexTensor, Vec<Vec<f32>>, Vec<Sequences>, usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let [Some(node)] = ops.parents else { return };
        let (qkv, normalizers, groups, heads) = ops.state;
        let width = qkv.shape()[1] / 3;
        let (mut rest, mut grad) = (values(&qkv), values(&grad));
        let mut qkv_grad = vec![0.0; rest.len()];
        let mut result = qkv_grad.as_mut_slice();
        for (group, normalizers) in groups.into_iter().zip(normalizers) {
            let shape = AttentionShape::new(group, width, heads);
            let own = group.rows() * width;
            attention::backward(
                split_off(&mut rest, 3 * own),
                &normalizers,
                split_off(&mut grad, own),
                shape,
                result.split_off_mut(..3 * own).expect("rows of the group"),
            );
        }
        grads.register::<Flex>(node.id, new_tensor(qkv_grad, qkv.shape()));
    }
}

/// The output of self-attention, and the logs of the softmax's sums by group of samples.
fn attend(qkv: &FlexTensor, groups: &[Sequences], heads: usize) -> (FlexTensor, Vec<Vec<f32>>) {
    let (rows, width) = (qkv.shape()[0], qkv.shape()[1] / 3);
    let mut rest = values(qkv);
    let mut output = vec![0.0; rows * width];
    let mut result = output.as_mut_slice();
    let normalizers = groups.iter().map(|group| {
        let shape = AttentionShape::new(*group, width, heads);
        let own = group.rows() * width;
        let output = result.split_off_mut(..own).expect("rows of the group");
        attention::forward(split_off(&mut rest, 3 * own), shape, output)
    });
    let normalizers = normalizers.collect();
    (new_tensor(output, Shape::from([rows, width])), normalizers)
}

/// The first `count` values, which `rest` no longer has.
fn split_off<'a>(rest: &mut &'a [f32], count: usize) -> &'a [f32] {
    rest.split_off(..count).expect("values of the group")
}
