//! Matrix products: by cuBLASLt on CUDA, where it is there, by a kernel without barriers on software, else by the backend's
//! own kernels.

use burn::backend::TensorMetadata;
use burn::backend::ops::{FloatTensorOps, ModuleOps};
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use super::column_sums::column_sums;
use super::of_type;
use crate::base::numeric::Factors;
use crate::network::ops::linear::LinearOps;
use crate::network::ops::product::ProductOps;

impl ProductOps for CubeBackend {
    fn product(lhs: CubeTensor, rhs: CubeTensor) -> CubeTensor {
        match best(&lhs, &rhs, None, lhs.dtype) {
            Some(product) => product,
            None => Self::float_matmul(lhs, rhs),
        }
    }
}

impl LinearOps for CubeBackend {
    fn linear_forward(
        input: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        _: Factors,
    ) -> CubeTensor {
        let dtype = input.dtype;
        let [weight, bias] = [weight, bias].map(|tensor| of_type(tensor, dtype));
        match best(&as_matrix(input.clone()), &weight, Some(&bias), dtype) {
            Some(output) => {
                let mut shape = input.shape();
                let last = shape.num_dims() - 1;
                shape[last] = weight.shape()[1];
                Self::float_reshape(output, shape)
            }
            None => Self::linear(input, weight, Some(bias)),
        }
    }

    fn linear_input_gradient(weight: CubeTensor, grad: CubeTensor, _: Factors) -> CubeTensor {
        let weight = of_type(weight, grad.dtype);
        let turned = Self::float_transpose(weight.clone());
        match best(&as_matrix(grad.clone()), &turned, None, grad.dtype) {
            Some(gradient) => {
                let mut shape = grad.shape();
                let last = shape.num_dims() - 1;
                shape[last] = weight.shape()[0];
                Self::float_reshape(gradient, shape)
            }
            None => Self::linear_x_backward(weight, grad),
        }
    }

    fn linear_weight_gradient(
        input: CubeTensor,
        grad: CubeTensor,
        _: Factors,
        dtype: DType,
    ) -> CubeTensor {
        let turned = Self::float_transpose(as_matrix(input.clone()));
        match best(&turned, &as_matrix(grad.clone()), None, dtype) {
            Some(gradient) => gradient,
            None => of_type(Self::linear_weight_backward(input, grad), dtype),
        }
    }

    fn linear_bias_gradient(grad: CubeTensor, dtype: DType) -> CubeTensor {
        of_type(column_sums(grad), dtype)
    }
}

/// Rows of all samples one below the other.
fn as_matrix(tensor: CubeTensor) -> CubeTensor {
    if tensor.shape().num_dims() == 2 {
        return tensor;
    }
    let (rows, columns) = super::rows_and_columns(&tensor);
    CubeBackend::float_reshape(tensor, Shape::from([rows, columns]))
}

/// The product of matrices plus, if given, a row that is added to each of the result, which is of this type; `None` where
/// the backend's own kernels are the best that there are.
fn best(
    lhs: &CubeTensor,
    rhs: &CubeTensor,
    bias: Option<&CubeTensor>,
    dtype: DType,
) -> Option<CubeTensor> {
    #[cfg(feature = "cuda")]
    if let Some(product) = super::cublas::product(lhs, rhs, bias, dtype) {
        return Some(product);
    }
    let product = super::plain::product(lhs, rhs, bias);
    product.map(|product| of_type(product, dtype))
}
