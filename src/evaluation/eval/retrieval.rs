//! Whether a galaxy finds its own counterpart.

use ndarray::Axis;
use serde::{Deserialize, Serialize};

use super::{
    bootstrap::{BootstrapConfig, Uncertainty},
    metrics::middle,
    sample::EvalInputs,
};
use crate::base::error::{Error, Result};
use crate::evaluation::knn::{self, has_direction};
use crate::files::embeddings::EmbeddingFile;
use crate::survey::{Modality, ObjectId, Split};

/// Settings of [`retrieval`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetrievalOptions {
    /// Numbers of nearest galaxies looked at.
    pub at: Vec<usize>,
    /// The galaxies that ask and are searched among; all where there is none.
    pub split: Option<Split>,
    /// Resampling of the galaxies that ask.
    pub bootstrap: BootstrapConfig,
}

impl Default for RetrievalOptions {
    fn default() -> Self {
        Self {
            at: vec![1, 5, 10, 50],
            split: Some(Split::Test),
            bootstrap: BootstrapConfig::default(),
        }
    }
}

/// How well galaxies find themselves, in the other modality or in their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetrievalResult {
    /// Name of the model.
    pub model: String,
    /// Modality of the query.
    pub from: Modality,
    /// Modality searched. Within one modality the counterpart is the query itself, first unless several galaxies
    /// share one embedding.
    pub to: Modality,
    /// Galaxies that ask and are searched among.
    pub galaxies: usize,
    /// Galaxies in the file.
    pub of: usize,
    /// Galaxies left out because an embedding is not finite, or zero throughout.
    #[serde(rename = "dropped")]
    pub left_out: usize,
    /// Recall at several k.
    pub recall: Vec<RecallAt>,
    /// Median rank of the counterpart, 1 being best.
    pub median_rank: f64,
    /// Bootstrap of the median rank.
    pub median_rank_uncertainty: Option<Uncertainty<f64>>,
    /// The median rank of a random order, (galaxies + 1) / 2.
    pub chance_median_rank: f64,
    /// Galaxies, for plots; not part of the JSON.
    #[serde(skip)]
    pub object_id: Vec<ObjectId>,
    /// Rank of each galaxy's counterpart; not part of the JSON.
    #[serde(skip)]
    pub ranks: Vec<f64>,
}

/// Fraction of galaxies whose counterpart is among the k nearest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RecallAt {
    /// Number of nearest galaxies looked at.
    pub k: usize,
    /// Fraction found.
    pub recall: f64,
    /// Bootstrap over the galaxies that ask.
    pub uncertainty: Option<Uncertainty<f64>>,
    /// Fraction that a random order would find, k / galaxies.
    pub chance: f64,
}

/// All results of retrieval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RetrievalReport {
    /// One per model and direction.
    pub results: Vec<RetrievalResult>,
}

/// Retrieval by cosine in all four directions, or in the one that a file of one modality allows. Ranks are those
/// of a brute-force search in double precision; galaxies of equal similarity share the mean of their ranks. All
/// galaxies of a test file ask and are searched among.
///
/// # Errors
/// Where a model has no galaxies in the split, or a k is 0.
pub fn retrieval(inputs: &EvalInputs<'_>, options: &RetrievalOptions) -> Result<RetrievalReport> {
    if options.at.is_empty() || options.at.contains(&0) {
        return Err(Error::input(format!(
            "recall at {:?}; expected one or more numbers of galaxies, each at least 1",
            options.at
        )));
    }
    let mut results = Vec::new();
    for model in &inputs.models {
        let (file, split) = match model.test {
            Some(test) => (test, None),
            None => (model.embeddings, options.split),
        };
        results.extend(of_file(model.name, file, split, options)?);
    }
    Ok(RetrievalReport { results })
}

fn of_file(
    model: &str,
    file: &EmbeddingFile,
    split: Option<Split>,
    options: &RetrievalOptions,
) -> Result<Vec<RetrievalResult>> {
    let modalities = file.modalities();
    let all: Vec<usize> = match split {
        Some(split) => file.rows_of(split),
        None => (0..file.len()).collect(),
    };
    let mut rows = all.clone();
    for &modality in &modalities {
        let embeddings = file.embeddings(modality)?;
        rows.retain(|&row| has_direction(embeddings.row(row)));
    }
    if rows.is_empty() {
        let asked = match split {
            Some(split) => format!("{} are in the {split:?} split", all.len()),
            None => format!("it has {}", all.len()),
        };
        return Err(Error::input(format!(
            "{}: no galaxies to retrieve: {asked}, none with embeddings that are finite and not zero throughout",
            file.path.display()
        )));
    }
    let object_id: Vec<ObjectId> = rows.iter().map(|&row| file.object_id[row]).collect();
    let mut results = Vec::new();
    for &from in &modalities {
        for &to in &modalities {
            let queries = file.embeddings(from)?.select(Axis(0), &rows);
            let gallery = file.embeddings(to)?.select(Axis(0), &rows);
            let ranks = knn::counterpart_ranks(gallery.view(), queries.view())?;
            results.push(RetrievalResult {
                model: model.to_owned(),
                from,
                to,
                of: file.len(),
                left_out: all.len() - rows.len(),
                object_id: object_id.clone(),
                ..scored(ranks, options)
            });
        }
    }
    Ok(results)
}

fn scored(ranks: Vec<f64>, options: &RetrievalOptions) -> RetrievalResult {
    let galaxies = ranks.len();
    let mut order: Vec<usize> = (0..galaxies).collect();
    order.sort_by(|&a, &b| ranks[a].total_cmp(&ranks[b]));
    // Recalls, then the median rank; the ranks ascend in `order`.
    let figures = |counts: &[u32]| -> Vec<f64> {
        let recalls = options.at.iter().map(|&k| {
            let found = order.iter().take_while(|&&row| ranks[row] <= k as f64);
            found.map(|&row| f64::from(counts[row])).sum::<f64>() / galaxies as f64
        });
        let ascending = order.iter().map(|&row| (ranks[row], counts[row]));
        let median = middle(ascending, galaxies as u32);
        recalls.chain([median]).collect()
    };
    let measured = figures(&vec![1; galaxies]);
    let resamples = options.bootstrap.map(galaxies, figures);
    let uncertainty = |figure: usize| {
        let of_figure: Vec<f64> = resamples.iter().map(|figures| figures[figure]).collect();
        Uncertainty::of(&of_figure)
    };
    let recall = options.at.iter().enumerate().map(|(index, &k)| RecallAt {
        k,
        recall: measured[index],
        uncertainty: uncertainty(index),
        chance: (k as f64 / galaxies as f64).min(1.0),
    });
    RetrievalResult {
        model: String::new(),
        from: Modality::Image,
        to: Modality::Image,
        galaxies,
        of: galaxies,
        left_out: 0,
        recall: recall.collect(),
        median_rank: measured[options.at.len()],
        median_rank_uncertainty: uncertainty(options.at.len()),
        chance_median_rank: (galaxies as f64 + 1.0) / 2.0,
        object_id: Vec::new(),
        ranks,
    }
}
