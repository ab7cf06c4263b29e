//! Fractions of volunteers who would give an answer, with intervals.

use ndarray::{Array2, Array3, ArrayView2, s};

use super::interval::LEVELS;
use super::perceptrons::{Perceptrons, of_fractions};
use crate::evaluation::eval::Source;

/// What estimates the answers to one question of the volunteers (paper section 6.5).
#[derive(Debug, Clone)]
pub(super) struct QuestionPart {
    /// From what.
    pub source: Source,
    /// Name of the question.
    pub question: String,
    /// Its answers.
    pub answers: Vec<String>,
    /// Galaxies fitted to.
    pub n_train: usize,
    /// How.
    pub perceptrons: Perceptrons,
}

/// What a part says of Q galaxies.
#[derive(Debug)]
pub(super) struct QuestionSaid {
    /// Fractions (Q, answers), which sum to 1.
    pub fractions: Array2<f64>,
    /// Points of the distribution of the volunteers' fractions (Q, answers, 5), from 0 to 1.
    pub levels: Array3<f64>,
}

impl QuestionPart {
    /// Fractions for galaxies with these features (Q, D).
    pub fn estimate(&self, features: ArrayView2<'_, f32>) -> QuestionSaid {
        let rough = self.perceptrons.estimate(features, of_fractions);
        let (rows, answers) = rough.point.dim();
        let mut levels = Array3::zeros((rows, answers, LEVELS.len()));
        for ((row, answer), fraction) in rough.point.indexed_iter() {
            let variance = rough.variance[[row, answer]];
            let of_one = self.perceptrons.calibrations[answer].levels(*fraction, variance);
            let of_one = of_one.map(|level| level.clamp(0.0, 1.0));
            levels
                .slice_mut(s![row, answer, ..])
                .assign(&ndarray::aview1(&of_one));
        }
        QuestionSaid {
            fractions: rough.point,
            levels,
        }
    }
}
