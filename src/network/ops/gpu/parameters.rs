//! What is done to many parameters at once: sums of squares, running means, and AdamW. One launch takes as many tensors as
//! the device binds, of which each has cubes of its own.

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::client::Client;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{CUBE, RowUnits, adamw, like, new, sum_of_row, vector};
use crate::network::ops::adamw::AdamWConstants;
use crate::network::ops::eight::Eight;
use crate::network::ops::parameters::ParameterOps;

/// Rows of units that add up squares of one tensor.
const ROWS: usize = 1024;
/// Cubes that share a tensor at most: an H100 has room for a thousand of them.
const CUBES: usize = 512;
/// Tensors of a mean that the kernel reads and writes.
pub(super) const MOVED: usize = 3;
/// Buffers that the device binds beside those of each tensor: the kernel's numbers, and what all tensors write.
const OWN: usize = 2;

impl ParameterOps for CubeBackend {
    fn adamw_steps(
        weights: Eight<Self>,
        gradients: Eight<Self>,
        factors: Eight<Self>,
        firsts: Eight<Self>,
        seconds: Eight<Self>,
        constants: [AdamWConstants; 8],
    ) -> (Eight<Self>, Eight<Self>, Eight<Self>) {
        let client = weights.t0.client.clone();
        let parts = gradients.into_array().into_iter().zip(factors.into_array());
        let moments = firsts.into_array().into_iter().zip(seconds.into_array());
        let parts = parts.zip(moments).zip(constants);
        let steps = weights.into_array().into_iter().zip(parts);
        let steps = steps.map(
            |(weight, (((gradient, factor), (first, second)), constants))| adamw::Step {
                weight,
                gradient,
                factor,
                first,
                second,
                constants,
            },
        );
        let mut after: [Vec<CubeTensor>; 3] = Default::default();
        let at_once = at_once(&client, adamw::BUFFERS);
        for (weight, first, second) in adamw::steps(steps.collect(), at_once) {
            for (part, tensor) in after.iter_mut().zip([weight, first, second]) {
                part.push(tensor);
            }
        }
        let [weights, firsts, seconds] = after.map(Eight::of);
        (weights, firsts, seconds)
    }

    fn sums_of_squares(tensors: Eight<Self>) -> CubeTensor {
        let client = &tensors.t0.client;
        let (at_once, units) = (at_once(client, 1), RowUnits::on(client));
        let parts = squares(tensors.into_array().into(), at_once, units);
        let sums = Self::float_sum_dim(parts, 1);
        Self::float_reshape(sums, Shape::from([8]))
    }

    fn moved_means(means: Eight<Self>, latest: Eight<Self>, momentum: f64) -> Eight<Self> {
        let at_once = at_once(&means.t0.client, MOVED);
        let (means, latest) = (means.into_array(), latest.into_array());
        let pairs = means.into_iter().zip(latest).collect();
        Eight::of(moved_means(pairs, momentum, at_once))
    }
}

/// The tensors of which one launch takes `buffers` for each.
pub(super) fn at_once(client: &Client, buffers: usize) -> usize {
    let most = client.properties().hardware.max_bindings as usize;
    (most.saturating_sub(OWN) / buffers).clamp(1, 8)
}

/// A launch that has some cubes for each of its tensors.
pub(super) struct Together {
    tensors: usize,
    cubes: usize,
    /// Numbers that a unit reads at once of all of them.
    pub(super) vector: usize,
}

impl Together {
    /// For these.
    pub(super) fn of<'a>(tensors: impl Iterator<Item = &'a CubeTensor>) -> Self {
        let counts = tensors.map(|tensor| {
            let count = tensor.shape().num_elements();
            (vector(tensor, count), count)
        });
        let (mut vector, mut most, mut tensors) = (usize::MAX, 0, 0);
        for (of_one, count) in counts {
            vector = vector.min(of_one);
            most = most.max(count);
            tensors += 1;
        }
        let cubes = most.div_ceil(vector * CUBE as usize).clamp(1, CUBES);
        Self {
            tensors,
            cubes,
            vector,
        }
    }

    pub(super) fn count(&self) -> CubeCount {
        CubeCount::Static(self.cubes as u32, self.tensors as u32, 1)
    }

    pub(super) fn dim(&self) -> CubeDim {
        CubeDim::new_1d(CUBE)
    }
}

/// `values` in lists of so many; the last may be shorter.
pub(super) fn in_parts<T>(values: Vec<T>, of: usize) -> impl Iterator<Item = Vec<T>> {
    let mut values = values.into_iter();
    std::iter::from_fn(move || {
        let part: Vec<T> = values.by_ref().take(of).collect();
        (!part.is_empty()).then_some(part)
    })
}

/// Sums of squares of parts of each tensor, `(tensors, ROWS)`, so many tensors in a launch.
pub(super) fn squares(tensors: Vec<CubeTensor>, at_once: usize, units: RowUnits) -> CubeTensor {
    let client = tensors[0].client.clone();
    let parts = new(&tensors[0], [tensors.len(), ROWS]);
    let rows = CUBE / units.count;
    let mut first = 0;
    for tensors in in_parts(tensors, at_once) {
        let count = tensors.len();
        let tensors = tensors.into_iter().map(|tensor| {
            let count = tensor.shape().num_elements();
            SummedLaunch::new(into_contiguous(tensor).into_buffer_arg(), count)
        });
        squares_kernel::launch(
            &client,
            CubeCount::Static((ROWS as u32).div_ceil(rows), count as u32, 1),
            CubeDim::new_2d(units.count, rows),
            tensors.collect(),
            parts.clone().into_tensor_arg(),
            first,
            units,
        );
        first += count;
    }
    parts
}

/// `momentum · mean + (1 − momentum) · latest` of each mean and its latest, so many of them in a launch.
pub(super) fn moved_means(
    pairs: Vec<(CubeTensor, CubeTensor)>,
    momentum: f64,
    at_once: usize,
) -> Vec<CubeTensor> {
    let client = pairs[0].0.client.clone();
    let moved: Vec<CubeTensor> = pairs.iter().map(|(mean, _)| like(mean)).collect();
    let triples = pairs.into_iter().zip(moved.clone()).collect();
    for triples in in_parts(triples, at_once) {
        let together = Together::of(triples.iter().map(|(_, moved)| moved));
        let means = triples.into_iter().map(|((mean, latest), moved)| {
            let count = moved.shape().num_elements() / together.vector;
            let [mean, latest] = [mean, latest].map(into_contiguous);
            MeanLaunch::new(
                mean.into_buffer_arg(),
                latest.into_buffer_arg(),
                moved.into_buffer_arg(),
                count,
            )
        });
        moved_means_kernel::launch(
            &client,
            together.count(),
            together.dim(),
            together.vector,
            means.collect(),
            momentum as f32,
            (1.0 - momentum) as f32,
        );
    }
    moved
}

#[derive(CubeType, CubeLaunch)]
struct Summed {
    values: Box<[f32]>,
    count: usize,
}

/// Cubes of one `y` have one tensor, of which a row of units takes every [`ROWS`]th piece of as many numbers as it has units.
#[cube(launch)]
fn squares_kernel(
    tensors: &Sequence<Summed>,
    parts: &mut Tensor<f32>,
    first: usize,
    #[comptime] units: RowUnits,
) {
    let row = (CUBE_POS_X * CUBE_DIM_Y + UNIT_POS_Y) as usize;
    let rows = comptime!(ROWS);
    let mut sum = 0.0f32;
    // Rows beyond the last are there so that all units of a cube meet.
    if row < rows {
        #[unroll]
        for which in 0..tensors.len() {
            if CUBE_POS_Y as usize == which {
                sum += squares_of_row(tensors.index(which), row, units);
            }
        }
    }
    let sum = sum_of_row(sum, units);
    if UNIT_POS_X == 0 && row < rows {
        parts[(first + CUBE_POS_Y as usize) * rows + row] = sum;
    }
}

#[cube]
fn squares_of_row(tensor: &Summed, row: usize, #[comptime] units: RowUnits) -> f32 {
    let rows = comptime!(ROWS);
    let width = comptime!(units.count as usize);
    let mut sum = 0.0f32;
    let mut at = row * width + UNIT_POS_X as usize;
    while at < tensor.count {
        let value = tensor.values[at];
        sum += value * value;
        at += rows * width;
    }
    sum
}

#[derive(CubeType, CubeLaunch)]
struct Mean<N: Size> {
    mean: Box<[Vector<f32, N>]>,
    latest: Box<[Vector<f32, N>]>,
    moved: Box<[Vector<f32, N>]>,
    /// Of vectors.
    count: usize,
}

/// Cubes of one `y` have one tensor.
#[cube(launch)]
fn moved_means_kernel<N: Size>(means: &mut Sequence<Mean<N>>, kept: f32, taken: f32) {
    #[unroll]
    for which in 0..means.len() {
        if CUBE_POS_Y as usize == which {
            moved_mean(means.index_mut(which), kept, taken);
        }
    }
}

#[cube]
fn moved_mean<N: Size>(of: &mut Mean<N>, kept: f32, taken: f32) {
    let mut place = (CUBE_POS_X * CUBE_DIM + UNIT_POS) as usize;
    while place < of.count {
        of.moved[place] =
            of.mean[place] * Vector::new(kept) + of.latest[place] * Vector::new(taken);
        place += (CUBE_COUNT_X * CUBE_DIM) as usize;
    }
}
