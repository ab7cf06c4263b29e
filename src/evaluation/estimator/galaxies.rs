//! Galaxies that something is to be estimated of.

use ndarray::{Array2, Axis, concatenate};

use crate::evaluation::eval::Source;
use crate::survey::ObjectId;

/// Galaxies that something is to be estimated of, row by row.
#[derive(Debug, Clone)]
pub struct Galaxies {
    /// Identifiers.
    pub object_id: Vec<ObjectId>,
    /// Image embeddings (N, D), a row not finite where there is none.
    pub image: Option<Array2<f32>>,
    /// Spectrum embeddings likewise.
    pub spectrum: Option<Array2<f32>>,
    /// Magnitudes g, r, z (N, 3) likewise.
    pub magnitudes: Option<Array2<f32>>,
}

impl Galaxies {
    /// The rows that have what `source` needs, and their vectors.
    pub(super) fn features(&self, source: Source) -> (Vec<usize>, Array2<f32>) {
        let parts = match source {
            Source::Image => vec![&self.image],
            Source::Spectrum => vec![&self.spectrum],
            Source::Photometry => vec![&self.magnitudes],
            Source::Both => vec![&self.image, &self.spectrum],
        };
        let Some(parts) = parts
            .into_iter()
            .map(Option::as_ref)
            .collect::<Option<Vec<_>>>()
        else {
            return (Vec::new(), Array2::zeros((0, 0)));
        };
        let is_known = |row: &usize| {
            let mut values = parts.iter().flat_map(|part| part.row(*row));
            values.all(|value| value.is_finite())
        };
        let rows: Vec<usize> = (0..self.object_id.len()).filter(is_known).collect();
        let chosen: Vec<Array2<f32>> = parts
            .iter()
            .map(|part| part.select(Axis(0), &rows))
            .collect();
        let views: Vec<_> = chosen.iter().map(|part| part.view()).collect();
        let features = concatenate(Axis(1), &views).expect("as many rows of all");
        (rows, features)
    }
}
