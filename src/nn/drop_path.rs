use std::ops::Range;

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

/// Stochastic depth over samples: each residual branch sees a random subset of the batch and its
/// output is scaled up to keep the mean (`drop_add_residual_stochastic_depth` of DINOv2). The dropped
/// samples are skipped, not multiplied by zero, so they cost nothing.
#[derive(Debug)]
pub struct SampleDropper {
    rate: f64,
    rng: ChaCha8Rng,
    /// The samples that are seen, and the number of all.
    part: Option<(Range<usize>, usize)>,
}

impl SampleDropper {
    /// Drops a share `rate` in [0, 1) of the samples.
    pub fn new(rate: f64, rng: ChaCha8Rng) -> Self {
        Self {
            rate,
            rng,
            part: None,
        }
    }

    /// Sees only `range` of a batch's `samples`, and drops of them those that are dropped where the whole
    /// batch is seen. Inputs may hold several views of the samples, all of one view after the other.
    pub fn within(self, range: Range<usize>, samples: usize) -> Self {
        Self {
            part: Some((range, samples)),
            ..self
        }
    }

    /// `input + branch(input)` for `(batch, tokens, width)`, with dropped samples left as they are.
    pub fn residual(
        &mut self,
        input: Tensor<3>,
        branch: impl FnOnce(Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        let [seen, ..] = input.dims();
        let (range, samples) = self.part.clone().unwrap_or((0..seen, seen));
        let batch = seen / range.len() * samples;
        let kept = (((batch as f64) * (1.0 - self.rate)) as usize).max(1);
        if kept == batch {
            return input.clone() + branch(input);
        }
        let rows: Vec<i32> = index::sample(&mut self.rng, batch, kept)
            .into_iter()
            .map(|place| (place / samples, place % samples))
            .filter(|(_, sample)| range.contains(sample))
            .map(|(view, sample)| (view * range.len() + sample - range.start) as i32)
            .collect();
        if rows.is_empty() {
            return input;
        }
        let rows = int_tensor(rows, &input.device());
        let output = branch(input.clone().select(0, rows.clone()));
        let scale = batch as f64 / kept as f64;
        input.select_assign(0, rows, output * scale, IndexingUpdateOp::Add)
    }
}

fn int_tensor(values: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}
