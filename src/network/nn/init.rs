//! Initial weights, drawn on the host from a seed.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Draws initial weights on the host, so that a seed gives the same bits on every backend.
#[derive(Debug)]
pub struct Initializer {
    rng: ChaCha8Rng,
    device: Device,
}

impl Initializer {
    /// Weights for `device`; a module trains if the device has automatic differentiation.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            device: device.clone(),
        }
    }

    /// The device on which parameters are placed.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// A parameter filled with `value`.
    pub fn constant<const D: usize>(&mut self, shape: [usize; D], value: f32) -> Param<Tensor<D>> {
        self.param(shape, |_| value)
    }

    /// Normal weights of standard deviation `std`, cut at ±2 (absolute, as `timm`'s `trunc_normal_`).
    pub fn truncated_normal<const D: usize>(
        &mut self,
        shape: [usize; D],
        std: f32,
    ) -> Param<Tensor<D>> {
        self.param(shape, |rng| {
            loop {
                let value = std * rng.sample::<f32, _>(StandardNormal);
                if value.abs() <= 2.0 {
                    return value;
                }
            }
        })
    }

    /// Uniform weights in [-bound, bound).
    pub fn uniform<const D: usize>(&mut self, shape: [usize; D], bound: f32) -> Param<Tensor<D>> {
        self.param(shape, |rng| rng.random_range(-bound..bound))
    }

    fn param<const D: usize>(
        &mut self,
        shape: [usize; D],
        mut draw: impl FnMut(&mut ChaCha8Rng) -> f32,
    ) -> Param<Tensor<D>> {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| draw(&mut self.rng)).collect();
        Param::from_data(TensorData::new(values, shape), &self.device)
    }
}
