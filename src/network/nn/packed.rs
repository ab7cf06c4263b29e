//! Tokens of samples of several lengths in one tensor.

use burn::tensor::Tensor;

use crate::network::ops::{Factors, Sequences, add_branch};

/// Sequences of several lengths in one tensor, so that what acts on single tokens is done for all at once (the nested
/// tensors of DINOv2).
#[derive(Debug, Clone)]
pub struct Packed {
    rows: Tensor<2>,
    groups: Vec<Sequences>,
    factors: Factors,
}

impl Packed {
    /// Packs tensors `(samples, tokens, width)` of one width, of which there is at least one, for layers that multiply
    /// such `factors`.
    pub fn new(sequences: Vec<Tensor<3>>, factors: Factors) -> Self {
        let (mut rows, groups): (Vec<Tensor<2>>, Vec<Sequences>) = sequences
            .into_iter()
            .map(|sequence| {
                let [samples, tokens, width] = sequence.dims();
                let group = Sequences { samples, tokens };
                (sequence.reshape([group.rows(), width]), group)
            })
            .unzip();
        let rows = match rows.len() {
            1 => rows.remove(0),
            _ => Tensor::cat(rows, 0),
        };
        Self {
            rows,
            groups,
            factors,
        }
    }

    /// Other `rows` `(tokens of all groups, width)` of other `groups`, for the same layers.
    pub(super) fn with_rows(&self, rows: Tensor<2>, groups: Vec<Sequences>) -> Self {
        debug_assert_eq!(
            rows.dims()[0],
            groups.iter().map(Sequences::rows).sum::<usize>()
        );
        Self {
            rows,
            groups,
            factors: self.factors,
        }
    }

    /// All tokens, `(tokens, width)`.
    pub fn rows(&self) -> Tensor<2> {
        self.rows.clone()
    }

    /// The groups, in the order of their rows.
    pub fn groups(&self) -> &[Sequences] {
        &self.groups
    }

    /// What layers multiply.
    pub fn factors(&self) -> Factors {
        self.factors
    }

    /// The same sequences with other tokens.
    pub fn map(self, change: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Self {
        Self {
            rows: change(self.rows),
            ..self
        }
    }

    /// The sum with what `branch` makes of it, a row for each of its input, times `gamma` `(width,)` if there is one.
    pub fn residual(
        self,
        gamma: Option<Tensor<1>>,
        branch: impl FnOnce(Self) -> Tensor<2>,
    ) -> Self {
        self.clone()
            .map(|rows| add_branch(rows, branch(self), gamma, None))
    }

    /// The tensors `(samples, tokens, width)` that were packed.
    pub fn unpack(self) -> Vec<Tensor<3>> {
        let [all, width] = self.rows.dims();
        let mut first = 0;
        let groups = self.groups.iter();
        groups
            .map(|group| {
                let rows = match group.rows() == all {
                    true => self.rows.clone(),
                    false => self.rows.clone().narrow(0, first, group.rows()),
                };
                first += group.rows();
                rows.reshape([group.samples, group.tokens, width])
            })
            .collect()
    }
}
