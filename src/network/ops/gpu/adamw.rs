//! A parameter's AdamW step as one kernel: a training step has hundreds of parameters, and each launch its price.

use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use crate::network::ops::adamw::{AdamWConstants, AdamWOps};

impl AdamWOps for CubeBackend {
    fn adamw_step(
        weight: CubeTensor,
        gradient: CubeTensor,
        factor: CubeTensor,
        first: CubeTensor,
        second: CubeTensor,
        constants: AdamWConstants,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let [weight, gradient, factor, first, second] =
            [weight, gradient, factor, first, second].map(into_contiguous);
        let count = weight.meta.num_elements();
        let new = || super::new(&weight, [count]);
        let (new_weight, new_first, new_second) = (new(), new(), new());
        let client = weight.client.clone();
        let vector = super::vector(&weight, count);
        let (cubes, cube) = super::unit_per_vector(&weight, vector);
        adamw_kernel::launch(
            &client,
            cubes,
            cube,
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
