//! What ranks do with tensors together, outside automatic differentiation.

use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use half::bf16;

use super::Collective;

/// How tensors of ranks meet, all of `f32`. Every rank calls the same functions in the same order, from one thread.
pub trait TensorCollective: Debug + Send + Sync {
    /// The sums over the ranks of `(count,)` values: the same bits on all of them. They travel in `bf16` if that is asked
    /// for. All give as many.
    fn sum(&self, own: Tensor<1>, in_bf16: bool) -> Tensor<1>;

    /// What all ranks give, one after the other: of each as many values, from its first, as `counts` says. Some give any.
    fn gather(&self, own: Tensor<1>, counts: &[usize]) -> Tensor<1>;
}

/// Bytes of a number in bf16.
const NARROW: usize = 2;

/// Tensors are copied to the host's memory, from where a [`Collective`] sends them.
#[derive(Debug)]
pub(super) struct ThroughHost(Arc<dyn Collective>);

impl ThroughHost {
    /// By `engine`.
    pub(super) fn by(engine: Arc<dyn Collective>) -> Self {
        Self(engine)
    }

    /// Each rank adds up its part of the values, in `f32`, so that they are rounded twice however many ranks there are.
    fn sum_in_bf16(&self, values: &mut [f32]) {
        let ranks = self.0.size();
        let part = values.len().div_ceil(ranks);
        let mut all = rounded(values);
        all.resize(NARROW * part * ranks, 0);
        let given = self.0.exchange(&all);
        let mut sums = vec![0.0; part];
        for given in given.chunks_exact(NARROW * part) {
            let given = widened(given);
            (sums.iter_mut().zip(given)).for_each(|(sum, value)| *sum += value);
        }
        let sums = self.0.gather(&rounded(&sums));
        let sums = sums.iter().flat_map(|sums| widened(sums));
        values
            .iter_mut()
            .zip(sums)
            .for_each(|(value, sum)| *value = sum);
    }
}

impl TensorCollective for ThroughHost {
    fn sum(&self, own: Tensor<1>, in_bf16: bool) -> Tensor<1> {
        let device = own.device();
        let mut values = on_host(own);
        match in_bf16 && !values.is_empty() {
            false => self.0.sum(&mut values),
            true => self.sum_in_bf16(&mut values),
        }
        on_device(values, &device)
    }

    fn gather(&self, own: Tensor<1>, counts: &[usize]) -> Tensor<1> {
        let device = own.device();
        let own = on_host(own);
        let given = &own[..counts[self.0.rank()]];
        let all = self.0.gather(bytemuck::cast_slice(given));
        let values = all.iter().flat_map(|bytes| bytes.as_chunks().0);
        on_device(
            values.map(|&bytes| f32::from_ne_bytes(bytes)).collect(),
            &device,
        )
    }
}

fn on_host(tensor: Tensor<1>) -> Vec<f32> {
    let values = tensor.into_data().try_into_vec();
    values.expect("f32 tensors travel")
}

fn on_device(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let shape = [values.len()];
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Values as bf16, to nearest.
fn rounded(values: &[f32]) -> Vec<u8> {
    let values = values.iter();
    values
        .flat_map(|&value| bf16::from_f32(value).to_ne_bytes())
        .collect()
}

fn widened(bytes: &[u8]) -> impl Iterator<Item = f32> {
    let values = bytes.as_chunks::<NARROW>().0.iter();
    values.map(|&bytes| bf16::from_ne_bytes(bytes).to_f32())
}
