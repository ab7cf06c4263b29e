//! Some rows of a tensor, copied on all threads.

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::room::zeros;
use super::{has_kernels, new_tensor, row_numbers, values};
use crate::network::ops::rows::{RowOps, spread};

/// Rows per task.
const ROWS: usize = 64;

impl RowOps for Flex {
    fn take_rows(
        whole: FlexTensor,
        rows: FlexTensor,
        _places: FlexTensor,
        _present: FlexTensor,
    ) -> FlexTensor {
        if !has_kernels(&whole) {
            return Self::float_select(whole, 0, rows);
        }
        let rows: Vec<Option<usize>> = row_numbers(rows).into_iter().map(Some).collect();
        copied(&whole, &rows)
    }

    fn take_rows_gradient(grad: FlexTensor, places: FlexTensor, present: FlexTensor) -> FlexTensor {
        if !has_kernels(&grad) {
            return spread::<Self>(grad, places, present);
        }
        let present = present.to_contiguous();
        let rows = row_numbers(places).into_iter().zip(values(&present));
        let rows: Vec<Option<usize>> = rows
            .map(|(place, &present)| (present > 0.0).then_some(place))
            .collect();
        copied(&grad, &rows)
    }
}

/// These rows of `tensor` `(any, width)`; zeros for none.
fn copied(tensor: &FlexTensor, rows: &[Option<usize>]) -> FlexTensor {
    let tensor = tensor.to_contiguous();
    let (numbers, width) = (values(&tensor), tensor.shape()[1]);
    let mut result = zeros(rows.len() * width);
    result
        .par_chunks_mut(ROWS * width)
        .zip(rows.par_chunks(ROWS))
        .for_each(|(result, rows)| {
            for (result, row) in result.chunks_exact_mut(width).zip(rows) {
                if let Some(row) = row {
                    result.copy_from_slice(&numbers[row * width..][..width]);
                }
            }
        });
    new_tensor(result, Shape::from([rows.len(), width]))
}
