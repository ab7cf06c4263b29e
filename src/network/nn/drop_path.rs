//! Stochastic depth: samples that a residual branch does not see.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use super::Packed;
use crate::network::ops::{RowSubset, Sequences, add_branch, take_rows};

/// Stochastic depth over samples: each residual branch sees a random subset of the samples of each length, and its
/// output is scaled up to keep the mean (`drop_add_residual_stochastic_depth` of DINOv2). The dropped
/// samples are skipped, not multiplied by zero, so they cost nothing.
#[derive(Debug)]
pub struct SampleDropper {
    rate: f64,
    rng: ChaCha8Rng,
    /// The samples that are seen, and the number of all.
    part: Option<(Range<usize>, usize)>,
}

/// The samples of a group that a branch sees.
struct Kept {
    samples: Vec<usize>,
    /// What the branch's output is multiplied by: 1 where no sample is dropped.
    scale: f32,
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

    /// [`Packed::residual`] with dropped samples left as they are.
    pub fn residual(
        &mut self,
        input: Packed,
        gamma: Option<Tensor<1>>,
        branch: impl FnOnce(Packed) -> Tensor<2>,
    ) -> Packed {
        let groups = input.groups().to_vec();
        let kept: Vec<Kept> = groups
            .iter()
            .map(|group| self.draw(group.samples))
            .collect();
        if kept.iter().all(|kept| kept.scale == 1.0) {
            return input.residual(gamma, branch);
        }
        let seen = groups.iter().zip(&kept).map(|(group, kept)| Sequences {
            samples: kept.samples.len(),
            ..*group
        });
        let seen: Vec<Sequences> = seen.filter(|group| group.samples > 0).collect();
        if seen.is_empty() {
            return input;
        }
        let subset = subset(&groups, &kept, &input.rows().device());
        let output = branch(input.with_rows(take_rows(input.rows(), &subset), seen));
        input.map(|rows| add_branch(rows, output, gamma, Some(&subset)))
    }

    fn draw(&mut self, seen: usize) -> Kept {
        let (range, samples) = self.part.clone().unwrap_or((0..seen, seen));
        let batch = seen / range.len() * samples;
        let kept = (((batch as f64) * (1.0 - self.rate)) as usize).max(1);
        if kept == batch {
            return Kept {
                samples: (0..seen).collect(),
                scale: 1.0,
            };
        }
        Kept {
            samples: index::sample(&mut self.rng, batch, kept)
                .into_iter()
                .map(|place| (place / samples, place % samples))
                .filter(|(_, sample)| range.contains(sample))
                .map(|(view, sample)| view * range.len() + sample - range.start)
                .collect(),
            scale: (batch as f64 / kept as f64) as f32,
        }
    }
}

/// The rows of the samples that are kept.
fn subset(groups: &[Sequences], kept: &[Kept], device: &Device) -> RowSubset {
    let all: usize = groups.iter().map(Sequences::rows).sum();
    let mut rows = Vec::with_capacity(all);
    let (mut places, mut present, mut scales) = (vec![0; all], vec![0.0; all], vec![0.0; all]);
    let mut first = 0;
    for (group, Kept { samples, scale }) in groups.iter().zip(kept) {
        for sample in samples {
            let start = first + sample * group.tokens;
            for row in start..start + group.tokens {
                places[row] = rows.len() as i32;
                present[row] = 1.0;
                scales[row] = *scale;
                rows.push(row as i32);
            }
        }
        first += group.rows();
    }
    let count = rows.len();
    let column = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [all, 1]), device);
    RowSubset {
        rows: Tensor::from_data(TensorData::new(rows, [count]), device),
        places: Tensor::from_data(TensorData::new(places, [all]), device),
        present: column(present),
        scales: column(scales),
    }
}
