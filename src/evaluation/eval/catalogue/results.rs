//! Scores of catalogues.

use serde::{Deserialize, Serialize};

use super::outliers::Outlier;
use super::sample::ScoredSplit;
use crate::evaluation::eval::bootstrap::{BootstrapConfig, Uncertainty};
use crate::evaluation::eval::metrics::Metrics;
use crate::evaluation::eval::results::BinnedBy;
use crate::survey::Target;

/// All scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogueReport {
    /// Which galaxies are scored.
    pub split: ScoredSplit,
    /// The resampling behind errors.
    pub bootstrap: BootstrapConfig,
    /// The catalogues.
    pub catalogues: Vec<About>,
    /// One per target, catalogue and estimate, in this order.
    pub results: Vec<CatalogueResult>,
    /// What else the reader of the results must know.
    pub notes: Vec<String>,
    /// What drawings show, in the order of `results`; not part of the JSON.
    #[serde(skip)]
    pub points: Vec<Points>,
}

/// A catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// What it is called.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Galaxies in it.
    pub rows: usize,
    /// How they found those of the truth.
    pub joined_by: String,
}

/// How good one estimate of one catalogue is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogueResult {
    /// What is estimated.
    pub target: Target,
    /// The catalogue.
    pub catalogue: String,
    /// From what and how, where the catalogue has several estimates.
    pub estimate: Option<String>,
    /// The column of point estimates.
    pub column: String,
    /// Levels and columns of the distribution.
    pub quantiles: Vec<(f64, String)>,
    /// What CRPS and PIT are of: the density `pz`, or the percentiles.
    pub distribution: Option<String>,
    /// Galaxies that are scored, and those that are not.
    pub counts: Counts,
    /// Of all that are scored.
    pub scores: Scores,
    /// Of those for which every catalogue has an estimate, where there are several.
    pub common: Option<Scores>,
    /// Of those without a flag, where there are flags.
    pub unflagged: Option<Scores>,
    /// Of those with one.
    pub flagged: Option<Scores>,
    /// How many have which flag.
    pub flags: Vec<FlagCount>,
    /// In bins, where they were asked for.
    pub bins: Vec<BinScores>,
    /// The galaxies that are farthest from the truth, the worst first, where they were asked for.
    pub outliers: Vec<Outlier>,
}

impl CatalogueResult {
    /// The catalogue, with the estimate where it has several.
    pub fn name(&self) -> String {
        match &self.estimate {
            Some(estimate) => format!("{}, {estimate}", self.catalogue),
            None => self.catalogue.clone(),
        }
    }

    /// All samples that are scored as a whole, with what to call them.
    pub fn samples(&self) -> impl Iterator<Item = (&'static str, &Scores)> {
        let parts = [
            ("common", &self.common),
            ("unflagged", &self.unflagged),
            ("flagged", &self.flagged),
        ];
        let parts = parts.into_iter();
        let parts = parts.filter_map(|(name, scores)| Some((name, scores.as_ref()?)));
        std::iter::once(("all", &self.scores)).chain(parts)
    }
}

/// Galaxies of a catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// In the catalogue.
    pub rows: usize,
    /// Of them, those that the tables of the truth have.
    pub in_truth: usize,
    /// Of them, those whose true value is known and passes the cuts.
    pub with_truth: usize,
    /// Of these, those without an estimate.
    pub without_estimate: usize,
    /// Of the rest, those that the split leaves out.
    pub of_other_split: usize,
    /// What is left, and scored.
    pub scored: usize,
    /// Of them, those whose quantiles were not in order and were sorted.
    pub crossing: usize,
}

/// How good estimates of some galaxies are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Number of galaxies.
    pub galaxies: usize,
    /// Of the point estimates, for two or more galaxies.
    #[serde(flatten)]
    pub metrics: Option<Metrics>,
    /// Bootstrap over the galaxies.
    pub uncertainty: Option<Uncertainty<Metrics>>,
    /// Galaxies whose distribution is known.
    pub with_distribution: usize,
    /// Share of the truth from the 16th to the 84th percentile.
    pub coverage68: Option<Share>,
    /// Share of the truth from the 2.5th to the 97.5th percentile.
    pub coverage95: Option<Share>,
    /// Mean continuous ranked probability score, in the unit of the quantity.
    pub crps: Option<Mean>,
    /// Where the truth lies in the distributions.
    pub pit: Option<Pit>,
}

/// A share of galaxies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The share.
    pub share: f64,
    /// Its binomial error, √(p(1−p)/n) with p = (k+1)/(n+2), which is no zero where all or none count.
    pub error: f64,
}

/// A mean over galaxies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Its standard error.
    pub error: f64,
}

/// Probability integral transforms: even for calibrated distributions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pit {
    /// Galaxies in bins from 0 to 1.
    pub counts: Vec<usize>,
    /// Probability of counts at least as uneven (χ²) if the distributions are calibrated.
    pub chi_square_p: f64,
    /// Probability of a Kolmogorov–Smirnov distance from even at least as large, likewise.
    pub kolmogorov_smirnov_p: f64,
    /// Levels of central intervals.
    pub credibility: Vec<f64>,
    /// Share of the truth in them.
    pub coverage: Vec<f64>,
}

/// How many galaxies have a flag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlagCount {
    /// Its name.
    pub flag: String,
    /// Scored galaxies that have it.
    pub galaxies: usize,
}

/// Scores in a bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BinScores {
    /// What is binned.
    pub by: BinnedBy,
    /// Lower edge, in the bin.
    pub low: f64,
    /// Upper edge, in the next bin but for the last.
    pub high: f64,
    /// Of the galaxies in it.
    pub scores: Scores,
}

/// Galaxies of a result, for drawings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Points {
    /// True values.
    pub truth: Vec<f64>,
    /// Estimates.
    pub estimate: Vec<f64>,
}
