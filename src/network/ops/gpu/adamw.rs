//! AdamW's step as a kernel that takes many parameters at once: a training step has hundreds, most of them small, and each
//! launch its price.

use burn::backend::TensorMetadata;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::parameters::{Together, in_parts};
use crate::network::ops::adamw::AdamWConstants;

/// Tensors of a parameter that the kernel reads and writes.
pub(super) const BUFFERS: usize = 8;

/// Weight and moments.
type After = (CubeTensor, CubeTensor, CubeTensor);

/// A parameter, in the tensors of one.
pub(super) struct Step {
    /// Of any shape, which the new weight has too.
    pub(super) weight: CubeTensor,
    pub(super) gradient: CubeTensor,
    pub(super) factor: CubeTensor,
    pub(super) first: CubeTensor,
    pub(super) second: CubeTensor,
    pub(super) constants: AdamWConstants,
}

/// Steps of parameters on one device, so many in a launch.
pub(super) fn steps(parameters: Vec<Step>, at_once: usize) -> Vec<After> {
    let client = parameters[0].weight.client.clone();
    let parts = in_parts(parameters, at_once);
    parts
        .flat_map(|part| steps_at_once(&client, part))
        .collect()
}

fn steps_at_once(client: &Client, parameters: Vec<Step>) -> Vec<After> {
    let together = Together::of(parameters.iter().map(|step| &step.weight));
    let after: Vec<After> = parameters
        .iter()
        .map(|Step { weight, first, .. }| {
            let moment = || super::new(first, [first.shape().num_elements()]);
            (super::like(weight), moment(), moment())
        })
        .collect();
    let arguments = parameters.into_iter().zip(after.clone());
    let arguments = arguments.map(|(step, (new_weight, new_first, new_second))| {
        let count = step.weight.shape().num_elements();
        let [weight, gradient, factor, first, second] = [
            step.weight,
            step.gradient,
            step.factor,
            step.first,
            step.second,
        ]
        .map(|tensor| into_contiguous(tensor).into_buffer_arg());
        let constants = step.constants;
        ParameterLaunch::new(
            weight,
            gradient,
            factor,
            first,
            second,
            new_weight.into_buffer_arg(),
            new_first.into_buffer_arg(),
            new_second.into_buffer_arg(),
            count / together.vector,
            constants.beta1 as f32,
            constants.beta2 as f32,
            constants.epsilon as f32,
            constants.rate as f32,
            constants.root_correction as f32,
            constants.kept as f32,
        )
    });
    adamw_kernel::launch(
        client,
        together.count(),
        together.dim(),
        together.vector,
        arguments.collect(),
    );
    after
}

#[derive(CubeType, CubeLaunch)]
struct Parameter<N: Size> {
    weight: Box<[Vector<f32, N>]>,
    gradient: Box<[Vector<f32, N>]>,
    factor: Box<[f32]>,
    first: Box<[Vector<f32, N>]>,
    second: Box<[Vector<f32, N>]>,
    new_weight: Box<[Vector<f32, N>]>,
    new_first: Box<[Vector<f32, N>]>,
    new_second: Box<[Vector<f32, N>]>,
    /// Of vectors.
    count: usize,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    rate: f32,
    root_correction: f32,
    kept: f32,
}

/// Cubes of one `y` have one parameter.
#[cube(launch)]
fn adamw_kernel<N: Size>(parameters: &mut Sequence<Parameter<N>>) {
    #[unroll]
    for which in 0..parameters.len() {
        if CUBE_POS_Y as usize == which {
            step(parameters.index_mut(which));
        }
    }
}

#[cube]
fn step<N: Size>(parameter: &mut Parameter<N>) {
    let (beta1, beta2) = (parameter.beta1, parameter.beta2);
    let factor = Vector::new(parameter.factor[0]);
    let mut place = (CUBE_POS_X * CUBE_DIM + UNIT_POS) as usize;
    while place < parameter.count {
        let gradient = parameter.gradient[place] * factor;
        let first =
            parameter.first[place] * Vector::new(beta1) + gradient * Vector::new(1.0 - beta1);
        let second = parameter.second[place] * Vector::new(beta2)
            + gradient * gradient * Vector::new(1.0 - beta2);
        let root = Vector::sqrt(second) / Vector::new(parameter.root_correction);
        let change = first / (root + Vector::new(parameter.epsilon)) * Vector::new(parameter.rate);
        parameter.new_weight[place] =
            parameter.weight[place] * Vector::new(parameter.kept) - change;
        parameter.new_first[place] = first;
        parameter.new_second[place] = second;
        place += (CUBE_COUNT_X * CUBE_DIM) as usize;
    }
}
