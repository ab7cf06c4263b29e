//! Ranks of the truth among the samples: even for calibrated posteriors.

use serde::{Deserialize, Serialize};

use super::uniformity::chi_square;

/// Where the truth ranks among the samples of its posterior, over many galaxies (simulation-based
/// calibration; Talts et al. 2018). Flat for calibrated posteriors; a valley for too narrow ones, a hill for
/// too wide ones, a slope for biased ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankHistogram {
    /// Galaxies per bin; the bins divide the ranks evenly, from the truth below all samples to above all.
    pub counts: Vec<usize>,
    /// Probability of a histogram at least as uneven (χ²) if the posteriors are calibrated.
    pub p_value: f64,
}

impl RankHistogram {
    /// Of ranks as fractions between 0 and 1, exclusive. There are up to 21 bins, fewer where that leaves less
    /// than 20 galaxies in each.
    pub fn new(fractions: &[f64]) -> Self {
        let bins = (fractions.len() / 20).clamp(3, 21);
        let bins = bins - usize::from(bins.is_multiple_of(2));
        let mut counts = vec![0; bins];
        for fraction in fractions {
            counts[((fraction * bins as f64) as usize).min(bins - 1)] += 1;
        }
        Self {
            p_value: chi_square(&counts),
            counts,
        }
    }
}
