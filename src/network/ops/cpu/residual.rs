//! Residual branches in one pass, a block of rows a task.

use burn::backend::{Flex, TensorMetadata};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::linear::add_column_sums;
use super::room::zeros;
use super::{has_kernels, new_tensor, row_numbers, values, values_mut, widened};
use crate::base::numeric::vectorized;
use crate::network::ops::residual::{ResidualOps, Seen, composed, composed_gradients};

/// Rows per task. Fixed, because the gradients of factors are summed task by task.
const ROWS: usize = 64;

impl ResidualOps for Flex {
    fn add_branch(
        mut whole: FlexTensor,
        branch: FlexTensor,
        gamma: FlexTensor,
        seen: Seen<Self>,
    ) -> FlexTensor {
        if !has_kernels(&whole) || !has_kernels(&branch) {
            return composed::<Self>(whole, branch, gamma, seen);
        }
        let [branch, gamma] = [branch, widened(gamma)].map(|tensor| tensor.to_contiguous());
        let (branch, gamma) = (values(&branch), values(&gamma));
        let width = gamma.len();
        // Of each row of the whole, the one of the branch and its factor.
        let added = match seen {
            Seen::All => None,
            Seen::Some { places, scales, .. } => {
                let scales = widened(scales).to_contiguous();
                let scales = values(&scales).iter().copied();
                Some(
                    row_numbers(places)
                        .into_iter()
                        .zip(scales)
                        .collect::<Vec<_>>(),
                )
            }
        };
        values_mut(&mut whole)
            .par_chunks_mut(ROWS * width)
            .enumerate()
            .for_each(|(block, whole)| {
                for (row, whole) in whole.chunks_exact_mut(width).enumerate() {
                    let row = block * ROWS + row;
                    let (place, scale) = added.as_ref().map_or((row, 1.0), |added| added[row]);
                    if scale != 0.0 {
                        add_row(whole, &branch[place * width..][..width], gamma, scale);
                    }
                }
            });
        whole
    }

    fn add_branch_gradients(
        branch: FlexTensor,
        gamma: FlexTensor,
        grad: FlexTensor,
        seen: Seen<Self>,
    ) -> (FlexTensor, FlexTensor) {
        if !has_kernels(&grad) || !has_kernels(&branch) || !has_kernels(&gamma) {
            return composed_gradients::<Self>(branch, gamma, grad, seen);
        }
        let [branch, gamma, grad] = [branch, gamma, grad].map(|tensor| tensor.to_contiguous());
        let width = gamma.shape().num_elements();
        // Of each row of the branch, the one of the whole and its factor.
        let seen = match seen {
            Seen::All => None,
            Seen::Some { rows, scales, .. } => {
                let scales = widened(scales).to_contiguous();
                let scale = |row: usize| (row, values(&scales)[row]);
                Some(row_numbers(rows).into_iter().map(scale).collect::<Vec<_>>())
            }
        };
        let mut result = zeros(branch.shape().num_elements());
        let partial: Vec<Vec<f32>> = result
            .par_chunks_mut(ROWS * width)
            .zip(values(&branch).par_chunks(ROWS * width))
            .enumerate()
            .map(|(block, (result, branch))| {
                let mut gamma_grad = vec![0.0; width];
                let rows = result
                    .chunks_exact_mut(width)
                    .zip(branch.chunks_exact(width));
                for (row, (result, branch)) in rows.enumerate() {
                    let row = block * ROWS + row;
                    let (row, scale) = seen.as_ref().map_or((row, 1.0), |seen| seen[row]);
                    let grad = &values(&grad)[row * width..][..width];
                    differentiate_row(
                        grad,
                        (values(&gamma), scale),
                        branch,
                        result,
                        &mut gamma_grad,
                    );
                }
                gamma_grad
            })
            .collect();
        let mut gamma_grad = vec![0.0; width];
        add_column_sums(&partial.concat(), &mut gamma_grad);
        (
            new_tensor(result, branch.shape()),
            new_tensor(gamma_grad, gamma.shape()),
        )
    }
}

vectorized! {
    /// Adds a row of the branch times its factors.
    fn add_row<'a>(whole: &'a mut [f32], branch: &'a [f32], gamma: &'a [f32], scale: f32) {
        for ((whole, branch), gamma) in whole.iter_mut().zip(branch).zip(gamma) {
            *whole += branch * gamma * scale;
        }
    }
}

vectorized! {
    /// Writes the gradient of a row of the branch, and adds to that of its factors.
    fn differentiate_row<'a>(
        grad: &'a [f32],
        factors: (&'a [f32], f32),
        branch: &'a [f32],
        result: &'a mut [f32],
        gamma_grad: &'a mut [f32],
    ) {
        let (gamma, scale) = factors;
        let rows = result.iter_mut().zip(gamma_grad);
        for (((grad, gamma), branch), (result, gamma_grad)) in grad.iter().zip(gamma).zip(branch).zip(rows) {
            let grad = grad * scale;
            *result = grad * gamma;
            *gamma_grad += grad * branch;
        }
    }
}
