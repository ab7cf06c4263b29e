//! Cross entropies, a row a task.

use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::{has_kernels, new_tensor, values, values_mut};
use crate::base::numeric::{exp_negative, largest, sum_of, vectorized};
use crate::network::ops::cross_entropy::{
    CrossEntropyOps, composed, composed_gradient, composed_normalizers,
};

impl CrossEntropyOps for Flex {
    fn cross_entropy_normalizers(scores: FlexTensor, temperature: f64) -> FlexTensor {
        if !has_kernels(&scores) {
            return composed_normalizers::<Self>(scores, temperature);
        }
        let scores = scores.to_contiguous();
        let classes = scores.shape()[1];
        let rows = values(&scores).par_chunks(classes);
        column(rows.map(|scores| normalizer(scores, temperature.recip() as f32)))
    }

    fn cross_entropy_recorded(
        wanted: FlexTensor,
        scores: FlexTensor,
        normalizers: FlexTensor,
        temperature: f64,
    ) -> FlexTensor {
        if !has_kernels(&scores) {
            return composed::<Self>(wanted, scores, normalizers, temperature);
        }
        let [wanted, scores, normalizers] =
            [wanted, scores, normalizers].map(|tensor| tensor.to_contiguous());
        let classes = scores.shape()[1];
        let rows = values(&wanted)
            .par_chunks(classes)
            .zip(values(&scores).par_chunks(classes))
            .zip(values(&normalizers));
        column(rows.map(|((wanted, scores), &normalizer)| {
            below(wanted, scores, normalizer, temperature.recip() as f32)
        }))
    }

    fn cross_entropy_gradient(
        wanted: FlexTensor,
        mut scores: FlexTensor,
        normalizers: FlexTensor,
        grad: FlexTensor,
        temperature: f64,
    ) -> FlexTensor {
        if !has_kernels(&scores) {
            return composed_gradient::<Self>([wanted, scores, normalizers, grad], temperature);
        }
        let [wanted, normalizers, grad] =
            [wanted, normalizers, grad].map(|tensor| tensor.to_contiguous());
        let classes = scores.shape()[1];
        let inverse = temperature.recip() as f32;
        values_mut(&mut scores)
            .par_chunks_mut(classes)
            .zip(values(&wanted).par_chunks(classes))
            .zip(values(&normalizers).par_iter().zip(values(&grad)))
            .for_each(|((scores, wanted), (&normalizer, &grad))| {
                slopes(wanted, scores, [normalizer, inverse, grad * inverse]);
            });
        scores
    }
}

/// A number for each row.
fn column(rows: impl IndexedParallelIterator<Item = f32>) -> FlexTensor {
    let numbers: Vec<f32> = rows.collect();
    let shape = Shape::from([numbers.len(), 1]);
    new_tensor(numbers, shape)
}

vectorized! {
    /// The log of the sum of exp(scale · score).
    fn normalizer<'a>(scores: &'a [f32], scale: f32) -> f32 {
        let peak = largest(scores);
        let sum = sum_of(scores, scores, |score, _| exp_negative((score - peak) * scale));
        sum.ln() + peak * scale
    }
}

vectorized! {
    fn below<'a>(wanted: &'a [f32], scores: &'a [f32], normalizer: f32, scale: f32) -> f32 {
        sum_of(wanted, scores, |wanted, score| wanted * (normalizer - score * scale))
    }
}

vectorized! {
    /// Puts the gradient of the scores in their place: that of the cross entropy over the temperature, times what the
    /// softmax is above what is wanted.
    fn slopes<'a>(wanted: &'a [f32], scores: &'a mut [f32], numbers: [f32; 3]) {
        let [normalizer, scale, grad] = numbers;
        let total = sum_of(wanted, wanted, |wanted, _| wanted);
        for (score, wanted) in scores.iter_mut().zip(wanted) {
            let softmax = exp_negative((*score * scale - normalizer).min(0.0));
            *score = grad * (softmax * total - wanted);
        }
    }
}
