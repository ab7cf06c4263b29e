use burn::backend::{Backend, Flex, TensorMetadata, backend_extension, tensor::FloatTensor};
use burn::tensor::{Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};

use super::kernels::mlp::{self, MlpWeights};
use super::kernels::{gelu, linear};

/// What a backend offers beyond burn; see the functions of the parent module for shapes.
#[backend_extension(Flex, Autodiff)]
pub trait FusedOps: Backend {
    /// GELU.
    fn fused_gelu(input: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Affine map of the last axis.
    fn fused_linear(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// Two linear layers with a GELU between.
    fn fused_mlp(
        input: FloatTensor<Self>,
        weight1: FloatTensor<Self>,
        bias1: FloatTensor<Self>,
        weight2: FloatTensor<Self>,
        bias2: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl FusedOps for Flex {
    fn fused_gelu(mut input: FlexTensor) -> FlexTensor {
        gelu::forward(values_mut(&mut input));
        input
    }

    fn fused_linear(input: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let [input, weight, bias] = [input, weight, bias].map(|tensor| tensor.to_contiguous());
        linear_forward(&input, &weight, &bias)
    }

    fn fused_mlp(
        input: FlexTensor,
        weight1: FlexTensor,
        bias1: FlexTensor,
        weight2: FlexTensor,
        bias2: FlexTensor,
    ) -> FlexTensor {
        let input = input.to_contiguous();
        let weights = [weight1, bias1, weight2, bias2].map(|tensor| tensor.to_contiguous());
        let output = mlp::forward(values(&input), mlp_weights(&weights));
        new_tensor(output, input.shape())
    }
}

/// [`FusedOps::fused_linear`] of contiguous tensors.
pub(super) fn linear_forward(
    input: &FlexTensor,
    weight: &FlexTensor,
    bias: &FlexTensor,
) -> FlexTensor {
    let output = linear::forward(values(input), values(weight), values(bias));
    let mut shape = input.shape();
    let last = shape.num_dims() - 1;
    shape[last] = weight.shape()[1];
    new_tensor(output, shape)
}

/// Weight and bias of the first layer, then of the second.
pub(super) fn mlp_weights([weight1, bias1, weight2, bias2]: &[FlexTensor; 4]) -> MlpWeights<'_> {
    MlpWeights {
        weight1: values(weight1),
        bias1: values(bias1),
        weight2: values(weight2),
        bias2: values(bias2),
    }
}

/// The numbers of a contiguous `f32` tensor.
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("contiguous f32 tensor")
}

/// The numbers of `tensor`, in its own memory if nobody else holds it, else in a copy.
pub(super) fn values_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    let covers_its_memory =
        tensor.is_contiguous() && tensor.storage::<f32>().len() == tensor.layout().num_elements();
    if !covers_its_memory {
        let copy = match tensor.as_slice::<f32>() {
            Some(values) => new_tensor(values.to_vec(), tensor.shape()),
            None => tensor.to_contiguous(),
        };
        *tensor = copy;
    }
    tensor.storage_mut()
}

/// A contiguous tensor of `values`.
pub(super) fn new_tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape),
        DType::F32,
    )
}
