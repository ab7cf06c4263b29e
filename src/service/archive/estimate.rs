//! What the neighbours of a galaxy say of it: k-NN estimates of its properties.

use ndarray::ArrayView1;
use serde::Serialize;
use utoipa::ToSchema;

use super::Archive;
use crate::base::error::Result;
use crate::survey::{Modality, Target};

/// Neighbours that are asked, as in the paper's evaluation.
const NEIGHBOURS: usize = 16;

/// What the nearest galaxies by embedding say of a quantity.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Estimate {
    /// The quantity, as its column is called.
    pub column: &'static str,
    /// By which embedding the galaxies are near.
    #[schema(value_type = String, example = "image")]
    pub by: Modality,
    /// Mean over the neighbours, weighted by inverse Euclidean distance of unit vectors.
    pub value: f64,
    /// Their weighted standard deviation about it.
    pub scatter: f64,
    /// Neighbours asked.
    pub neighbours: usize,
}

/// Estimates of all quantities that are known of some galaxies, by the galaxies nearest to an embedding `vector` among
/// embeddings of a kind, without the galaxy in row `own`.
///
/// # Errors
/// Where there are no such embeddings, or the vector is none of theirs.
pub fn estimated(
    archive: &Archive,
    by: Modality,
    vector: &[f32],
    own: Option<usize>,
) -> Result<Vec<Estimate>> {
    let gallery = archive.gallery(by)?;
    let mut estimates = Vec::new();
    for column in archive.columns().iter() {
        let Some(target) = column.target else {
            continue;
        };
        let asked = |row: usize| Some(row) != own && column.values[row].is_finite();
        let vector = ArrayView1::from(vector);
        let nearest = gallery.nearest(vector, Some(by), NEIGHBOURS, Some(&asked))?;
        let weighted: Vec<(f64, f64)> = nearest
            .iter()
            .map(|&(row, cosine)| {
                let distance = (2.0 - 2.0 * cosine).max(0.0).sqrt();
                // One that is the same to rounding must not be all.
                (column.values[row], distance.max(1e-6).recip())
            })
            .collect();
        estimates.extend(mean(&weighted).map(|(value, scatter)| Estimate {
            column: Target::name(target),
            by,
            value,
            scatter,
            neighbours: weighted.len(),
        }));
    }
    Ok(estimates)
}

/// Weighted mean and standard deviation of values with weights; `None` without any.
fn mean(weighted: &[(f64, f64)]) -> Option<(f64, f64)> {
    let total: f64 = weighted.iter().map(|(_, weight)| weight).sum();
    if total == 0.0 {
        return None;
    }
    let of = |term: &dyn Fn(f64) -> f64| {
        let sum = weighted.iter().map(|&(value, weight)| weight * term(value));
        sum.sum::<f64>() / total
    };
    let mean = of(&|value| value);
    let variance = of(&|value| (value - mean).powi(2));
    Some((mean, variance.sqrt()))
}
