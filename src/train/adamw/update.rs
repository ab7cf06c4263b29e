//! The arithmetic of AdamW on one parameter: from the backend's operations, or, on a GPU, where a step has hundreds of
//! parameters and each operation its price, in one kernel.

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Backend, Flex, backend_extension, tensor::FloatTensor};

/// The numbers of one parameter's step.
#[derive(Debug, Clone, Copy)]
pub struct Constants {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Learning rate over the correction of the first moment's bias.
    pub rate: f64,
    /// Root of the correction of the second moment's bias.
    pub root_correction: f64,
    /// What is left of the weight: one minus learning rate times weight decay.
    pub kept: f64,
}

/// A parameter's step; tensors are `(count,)` and `f32`.
#[backend_extension(Cube: cfg(feature = "cuda"), Flex, Fusion: cfg(feature = "cuda"))]
pub trait AdamWOps: Backend {
    /// Weight, first and second moment after a step with `gradient` times `factor` `(1,)`.
    #[fusion(meta = |weight, _gradient, _factor, first, second, _constants| (weight.clone(), first.clone(), second.clone()))]
    fn adamw_update(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        factor: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        constants: Constants,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl AdamWOps for Flex {
    fn adamw_update(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        factor: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        constants: Constants,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let Constants {
            beta1,
            beta2,
            epsilon,
            rate,
            root_correction,
            kept,
        } = constants;
        let scaled = |tensor, factor: f64| Self::float_mul_scalar(tensor, factor.into());
        let gradient = Self::float_mul(gradient, factor);
        let square = Self::float_mul(gradient.clone(), gradient.clone());
        let first = Self::float_add(scaled(first, beta1), scaled(gradient, 1.0 - beta1));
        let second = Self::float_add(scaled(second, beta2), scaled(square, 1.0 - beta2));
        let root = scaled(Self::float_sqrt(second.clone()), root_correction.recip());
        let denominator = Self::float_add_scalar(root, epsilon.into());
        let change = scaled(Self::float_div(first.clone(), denominator), rate);
        let weight = Self::float_sub(scaled(weight, kept), change);
        (weight, first, second)
    }
}

#[cfg(feature = "cuda")]
mod cube {
    use burn::tensor::{DType, Shape};
    use burn_cubecl::CubeBackend;
    use burn_cubecl::cubecl;
    use burn_cubecl::cubecl::prelude::*;
    use burn_cubecl::kernel::into_contiguous;
    use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
    use burn_cubecl::tensor::CubeTensor;

    use super::{AdamWOps, Constants};

    #[cube(launch)]
    #[allow(clippy::too_many_arguments)]
    fn adamw_kernel<N: Size>(
        weight: &Tensor<Vector<f32, N>>,
        gradient: &Tensor<Vector<f32, N>>,
        factor: &Tensor<f32>,
        first: &Tensor<Vector<f32, N>>,
        second: &Tensor<Vector<f32, N>>,
        new_weight: &mut Tensor<Vector<f32, N>>,
        new_first: &mut Tensor<Vector<f32, N>>,
        new_second: &mut Tensor<Vector<f32, N>>,
        beta1: f32,
        beta2: f32,
        epsilon: f32,
        rate: f32,
        root_correction: f32,
        kept: f32,
    ) {
        let place = ABSOLUTE_POS;
        if place >= new_weight.len() {
            terminate!();
        }
        let gradient = gradient[place] * Vector::new(factor[0]);
        let first = first[place] * Vector::new(beta1) + gradient * Vector::new(1.0 - beta1);
        let second =
            second[place] * Vector::new(beta2) + gradient * gradient * Vector::new(1.0 - beta2);
        let root = Vector::sqrt(second) / Vector::new(root_correction);
        let change = first / (root + Vector::new(epsilon)) * Vector::new(rate);
        new_weight[place] = weight[place] * Vector::new(kept) - change;
        new_first[place] = first;
        new_second[place] = second;
    }

    impl AdamWOps for CubeBackend {
        fn adamw_update(
            weight: CubeTensor,
            gradient: CubeTensor,
            factor: CubeTensor,
            first: CubeTensor,
            second: CubeTensor,
            constants: Constants,
        ) -> (CubeTensor, CubeTensor, CubeTensor) {
            let [weight, gradient, factor, first, second] =
                [weight, gradient, factor, first, second].map(into_contiguous);
            let count = weight.meta.num_elements();
            let new = || {
                empty_device_contiguous_dtype(
                    weight.client.clone(),
                    weight.device.clone(),
                    Shape::from([count]),
                    DType::F32,
                )
            };
            let (new_weight, new_first, new_second) = (new(), new(), new());
            let client = weight.client.clone();
            let vector = if count.is_multiple_of(4) { 4 } else { 1 };
            let units = count / vector;
            let cube_dim = CubeDim::new(&client, units);
            adamw_kernel::launch(
                &client,
                cubecl::calculate_cube_count_elemwise(&client, units, cube_dim),
                cube_dim,
                vector,
                weight.into_tensor_arg(),
                gradient.into_tensor_arg(),
                factor.into_tensor_arg(),
                first.into_tensor_arg(),
                second.into_tensor_arg(),
                new_weight.clone().into_tensor_arg(),
                new_first.clone().into_tensor_arg(),
                new_second.clone().into_tensor_arg(),
                constants.beta1 as f32,
                constants.beta2 as f32,
                constants.epsilon as f32,
                constants.rate as f32,
                constants.root_correction as f32,
                constants.kept as f32,
            );
            (new_weight, new_first, new_second)
        }
    }
}
