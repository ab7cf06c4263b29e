use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::Shape;
use burn_flex::FlexTensor;

use super::backend::{FusedOps, linear_forward, mlp_weights, new_tensor, values, values_mut};
use super::kernels::mlp::MlpGradients;
use super::kernels::{gelu, linear, mlp};

impl<C: CheckpointStrategy> FusedOps for Autodiff<Flex, C> {
    fn fused_gelu(input: FloatTensor<Self>) -> FloatTensor<Self> {
        let (input, node) = input.into_parts();
        match Gelu.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let input = input.to_contiguous();
                prep.finish(input.clone(), Flex::fused_gelu(input))
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::fused_gelu(input)),
        }
    }

    fn fused_linear(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let ((input, x), (weight, w), (bias, b)) =
            (input.into_parts(), weight.into_parts(), bias.into_parts());
        match Linear.prepare::<C>([x, w, b]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let [input, weight, bias] =
                    [input, weight, bias].map(|tensor| tensor.to_contiguous());
                let output = linear_forward(&input, &weight, &bias);
                prep.finish((input, weight), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::fused_linear(input, weight, bias)),
        }
    }

    fn fused_mlp(
        input: FloatTensor<Self>,
        weight1: FloatTensor<Self>,
        bias1: FloatTensor<Self>,
        weight2: FloatTensor<Self>,
        bias2: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let ((input, x), (weight1, w1), (bias1, b1)) =
            (input.into_parts(), weight1.into_parts(), bias1.into_parts());
        let ((weight2, w2), (bias2, b2)) = (weight2.into_parts(), bias2.into_parts());
        match Mlp
            .prepare::<C>([x, w1, b1, w2, b2])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let input = input.to_contiguous();
                let weights = [weight1, bias1, weight2, bias2].map(|tensor| tensor.to_contiguous());
                let output = mlp::forward(values(&input), mlp_weights(&weights));
                let output = new_tensor(output, input.shape());
                prep.finish((input, weights), output)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(Flex::fused_mlp(input, weight1, bias1, weight2, bias2))
            }
        }
    }
}

#[derive(Debug)]
struct Gelu;

impl Backward<Flex, 1> for Gelu {
    /// The input.
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut grad = grads.consume::<Flex>(&ops.node);
        let [Some(node)] = ops.parents else { return };
        gelu::backward(values(&ops.state), values_mut(&mut grad));
        grads.register::<Flex>(node.id, grad);
    }
}

#[derive(Debug)]
struct Linear;

impl Backward<Flex, 3> for Linear {
    /// Input and weight.
    type State = (FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (input, weight) = ops.state;
        let [input_node, weight_node, bias_node] = ops.parents;
        let outputs = weight.shape()[1];
        if let Some(node) = input_node {
            let input_grad = linear::input_gradient(values(&grad), values(&weight), outputs);
            grads.register::<Flex>(node.id, new_tensor(input_grad, input.shape()));
        }
        if let Some(node) = weight_node {
            let weight_grad = linear::weight_gradient(values(&input), values(&grad), outputs);
            grads.register::<Flex>(node.id, new_tensor(weight_grad, weight.shape()));
        }
        if let Some(node) = bias_node {
            let bias_grad = linear::bias_gradient(values(&grad), outputs);
            grads.register::<Flex>(node.id, new_tensor(bias_grad, Shape::new([outputs])));
        }
    }
}

#[derive(Debug)]
struct Mlp;

impl Backward<Flex, 5> for Mlp {
    /// Input; weight and bias of the first layer, then of the second.
    type State = (FlexTensor, [FlexTensor; 4]);

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (input, weights) = ops.state;
        let (input_grad, weight_grads) =
            mlp::backward(values(&input), mlp_weights(&weights), values(&grad));
        let MlpGradients {
            weight1,
            bias1,
            weight2,
            bias2,
        } = weight_grads;
        let [input_node, weight_nodes @ ..] = ops.parents;
        if let Some(node) = input_node {
            grads.register::<Flex>(node.id, new_tensor(input_grad, input.shape()));
        }
        let weight_grads = [weight1, bias1, weight2, bias2];
        for ((node, grad), weight) in weight_nodes.into_iter().zip(weight_grads).zip(weights) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, new_tensor(grad, weight.shape()));
            }
        }
    }
}
