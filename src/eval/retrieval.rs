use serde::{Deserialize, Serialize};

use super::metrics::median;
use crate::{
    embeddings::EmbeddingFile,
    error::{Error, Result},
    knn,
    survey::{Modality, Split},
};
use ndarray::Axis;

/// How well galaxies find their own counterpart in the other modality.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetrievalResult {
    /// Modality of the query.
    pub from: Modality,
    /// Modality searched.
    pub to: Modality,
    /// Galaxies asked for and searched among.
    pub galaxies: usize,
    /// Galaxies left out because an embedding is not finite.
    pub dropped: usize,
    /// Recall at several k.
    pub recall: Vec<RecallAt>,
    /// Median rank of the counterpart, 1 being best.
    pub median_rank: f64,
    /// The median rank of a random order, (galaxies + 1) / 2.
    pub chance_median_rank: f64,
}

/// Fraction of galaxies whose counterpart is among the k nearest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RecallAt {
    /// Number of nearest galaxies looked at.
    pub k: usize,
    /// Fraction found.
    pub recall: f64,
    /// Fraction that a random order would find, k / galaxies.
    pub chance: f64,
}

/// Both directions of cross-modal retrieval by cosine among the galaxies of `split`.
///
/// # Errors
/// [`Error::Input`] where `file` lacks a modality or has no galaxies in `split`.
pub fn retrieval(file: &EmbeddingFile, split: Split, ks: &[usize]) -> Result<Vec<RetrievalResult>> {
    let image = file.embeddings(Modality::Image)?;
    let spectrum = file.embeddings(Modality::Spectrum)?;
    let all = file.rows_of(split);
    let rows: Vec<usize> = all
        .iter()
        .copied()
        .filter(|&row| {
            let mut values = image.row(row).into_iter().chain(spectrum.row(row));
            values.all(|value| value.is_finite())
        })
        .collect();
    if rows.is_empty() {
        return Err(Error::Input(format!(
            "{}: no galaxies to retrieve: {} are in the {split:?} split, none with finite embeddings",
            file.path.display(),
            all.len()
        )));
    }
    let image = image.select(Axis(0), &rows);
    let spectrum = spectrum.select(Axis(0), &rows);
    let galaxies = rows.len();
    [
        (Modality::Image, &image, Modality::Spectrum, &spectrum),
        (Modality::Spectrum, &spectrum, Modality::Image, &image),
    ]
    .into_iter()
    .map(|(from, queries, to, gallery)| {
        let ranks = knn::counterpart_ranks(gallery.view(), queries.view())?;
        let recall = ks.iter().map(|&k| RecallAt {
            k,
            recall: ranks.iter().filter(|&&rank| rank <= k as f64).count() as f64 / galaxies as f64,
            chance: (k as f64 / galaxies as f64).min(1.0),
        });
        Ok(RetrievalResult {
            from,
            to,
            galaxies,
            dropped: all.len() - galaxies,
            recall: recall.collect(),
            median_rank: median(ranks.clone()),
            chance_median_rank: (galaxies as f64 + 1.0) / 2.0,
        })
    })
    .collect()
}
