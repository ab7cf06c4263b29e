//! Estimators: what is fitted once to galaxies with labels, kept in a file, and tells the redshift, the properties and
//! the morphology of any others from their embeddings, with intervals and with a word on how far to trust them.
//!
//! Estimates are those of [`eval`](super::eval): the k-NN is its zero-shot, a member of the perceptrons its few-shot of
//! that seed, the flows are those of its posteriors.

mod density;
mod fit;
mod galaxies;
mod interval;
mod morphology;
mod neighbours;
mod options;
mod part;
mod perceptrons;
mod score;
mod space;
mod stored;
mod table;

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::base::error::Result;
use crate::evaluation::eval::Source;
use crate::survey::{ObjectId, Target};
use morphology::{QuestionPart, QuestionSaid};
use part::{Part, Said};
use space::Space;

pub use density::Grid;
pub use fit::{Fit, fit};
pub use galaxies::Galaxies;
pub use interval::LEVELS;
pub use options::{FitOptions, Regressor};
pub use part::Telling;
pub use score::Score;
pub use stored::{EstimatorFile, is_estimator};
pub use table::render_fit;

/// What a file of an estimator says beside its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// SHA-256 of the weights of the model whose embeddings it was fitted to; none where their file does not say.
    pub model_sha256: Option<String>,
    /// What the model is called.
    pub model: String,
    /// Width of each source's vectors.
    pub widths: BTreeMap<Source, usize>,
    /// The settings.
    pub options: FitOptions,
    /// Least and largest true value of the galaxies fitted to.
    pub ranges: BTreeMap<Target, [f64; 2]>,
    /// How good it is on galaxies that it was not fitted to.
    pub scores: Vec<Score>,
    /// What its reader must know.
    pub notes: Vec<String>,
}

/// What estimates quantities of galaxies from their embeddings.
#[derive(Debug, Clone)]
pub struct Estimator {
    /// What it says of itself.
    pub head: Head,
    /// Regressions; of a quantity the one that counts most comes first.
    parts: Vec<Part>,
    questions: Vec<QuestionPart>,
    spaces: Vec<Space>,
    /// What identifies the galaxies fitted to: [`ObjectId::bits`].
    fitted_to: HashSet<u64>,
}

/// What an estimator says of some galaxies.
#[derive(Debug)]
struct Estimates<'a> {
    /// By part: of which rows, and what.
    parts: Vec<(&'a Part, Vec<usize>, Said)>,
    /// By question.
    questions: Vec<(&'a QuestionPart, Vec<usize>, QuestionSaid)>,
    /// By source: how unlike the training galaxies each row is, NaN where it has no vector.
    novelty: BTreeMap<Source, Vec<f32>>,
}

impl Estimator {
    /// What it says of galaxies.
    ///
    /// # Errors
    /// Where a vector is too large to be searched for, or is of another width.
    fn estimate(&self, galaxies: &Galaxies, telling: Telling) -> Result<Estimates<'_>> {
        let mut estimates = Estimates {
            parts: Vec::new(),
            questions: Vec::new(),
            novelty: BTreeMap::new(),
        };
        for source in self.head.widths.keys() {
            let (rows, features) = galaxies.features(*source);
            let ids: Vec<ObjectId> = rows.iter().map(|&row| galaxies.object_id[row]).collect();
            let space = self.spaces.iter().find(|space| space.source == *source);
            let nearby = space
                .map(|space| space.nearest(features.view()))
                .transpose()?;
            if let Some(nearby) = &nearby {
                let mut novelty = vec![f32::NAN; galaxies.object_id.len()];
                for (&row, value) in rows.iter().zip(nearby.novelty()) {
                    novelty[row] = value;
                }
                estimates.novelty.insert(*source, novelty);
            }
            for part in self.parts.iter().filter(|part| part.source == *source) {
                let said = part.estimate(&ids, features.view(), nearby.as_ref(), telling)?;
                estimates.parts.push((part, rows.clone(), said));
            }
            for part in self.questions.iter().filter(|part| part.source == *source) {
                let said = part.estimate(features.view());
                estimates.questions.push((part, rows.clone(), said));
            }
        }
        Ok(estimates)
    }

    /// Whether it was fitted to a galaxy.
    pub fn was_fitted_to(&self, id: ObjectId) -> bool {
        self.fitted_to.contains(&id.bits())
    }

    /// From what and how it estimates, what counts most first.
    pub fn methods(&self) -> Vec<(Source, Regressor)> {
        let mut known = Vec::new();
        for part in &self.parts {
            let one = (part.source, part.method());
            if !known.contains(&one) {
                known.push(one);
            }
        }
        known
    }

    /// The questions of morphology that it answers, each with its answers, and from what.
    pub fn questions(&self) -> impl Iterator<Item = (&str, &[String], Source)> {
        let parts = self.questions.iter();
        parts.map(|part| (part.question.as_str(), part.answers.as_slice(), part.source))
    }

    /// What it estimates.
    pub fn targets(&self) -> Vec<Target> {
        let known = |target: &Target| self.parts.iter().any(|part| part.targets.contains(target));
        Target::ALL.into_iter().filter(known).collect()
    }
}
