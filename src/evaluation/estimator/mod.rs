//! Estimators: what is fitted once to galaxies with labels, kept in a file, and tells the redshift, the properties and
//! the morphology of any others from their embeddings, with intervals and with a word on how far to trust them.
//!
//! Estimates are those of [`eval`](super::eval): the k-NN is its zero-shot, a member of the perceptrons its few-shot of
//! that seed, the flows are those of its posteriors.

mod catalogue;
mod columns;
mod continua;
mod density;
mod fit;
mod flags;
mod galaxies;
mod interval;
mod layers;
mod morphology;
mod neighbours;
mod options;
mod part;
mod perceptrons;
mod predict;
mod score;
mod space;
mod stored;
mod table;
mod tensors;

use std::collections::{BTreeMap, HashSet};

use ndarray::Axis;
use serde::{Deserialize, Serialize};

use crate::base::error::Result;
use crate::evaluation::eval::Source;
use crate::survey::{Modality, ObjectId, Target};
use continua::Continua;
use morphology::{QuestionPart, QuestionSaid};
use part::{Part, Said};
use space::Space;

pub use density::Grid;
pub use fit::{Fit, fit};
pub use flags::{FLAGS, Flag};
pub use galaxies::Galaxies;
pub use interval::LEVELS;
pub use layers::left_out_r2;
pub use options::{FitOptions, Regressor};
pub use part::Telling;
pub use predict::{PredictOptions, Predicted, predict};
pub use score::Score;
pub use stored::{EstimatorFile, is_estimator};
pub use table::{render_fit, render_scores};

/// What a file of an estimator says beside its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// SHA-256 of the weights of the model whose embeddings it was fitted to; none where their file does not say.
    pub model_sha256: Option<String>,
    /// What the model is called.
    pub model: String,
    /// Whether every embedding was divided by its Euclidean norm; none where their file does not say.
    pub normalized: Option<bool>,
    /// Of what the vectors are from before the heads of the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Modality>,
    /// Width of each source's vectors.
    pub widths: BTreeMap<Source, usize>,
    /// The settings.
    pub options: FitOptions,
    /// Between which values the middle 99 % of the galaxies fitted to lie.
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
    /// How spectra of the galaxies fitted to look, where their embedding file tells.
    continua: Option<Continua>,
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
    /// What it says of galaxies: of each target what counts most, or what all parts say where each is wanted.
    ///
    /// # Errors
    /// Where a vector is too large to be searched for, or is of another width.
    fn estimate(&self, galaxies: &Galaxies, telling: Telling) -> Result<Estimates<'_>> {
        let mut estimates = Estimates {
            parts: Vec::new(),
            questions: Vec::new(),
            novelty: BTreeMap::new(),
        };
        let mut shown = BTreeMap::new();
        for &source in self.head.widths.keys() {
            let (rows, features) = galaxies.features(source);
            if rows.is_empty() {
                continue;
            }
            let space = self.spaces.iter().find(|space| space.source == source);
            let nearby = space.map(|space| space.nearest(features.view()));
            let nearby = nearby.transpose()?;
            if let Some(nearby) = &nearby {
                let mut novelty = vec![f32::NAN; galaxies.object_id.len()];
                for (&row, value) in rows.iter().zip(nearby.novelty()) {
                    novelty[row] = value;
                }
                estimates.novelty.insert(source, novelty);
            }
            for part in self.questions.iter().filter(|part| part.source == source) {
                let said = part.estimate(features.view());
                estimates.questions.push((part, rows.clone(), said));
            }
            shown.insert(source, (rows, features, nearby));
        }
        // Of each target, the galaxies of which it is told already.
        let mut told: BTreeMap<Target, HashSet<usize>> = BTreeMap::new();
        for part in &self.parts {
            let Some((rows, features, nearby)) = shown.get(&part.source) else {
                continue;
            };
            let is_told = |row| {
                let mut targets = part.targets.iter();
                targets.all(|target| told.get(target).is_some_and(|rows| rows.contains(row)))
            };
            let wanted = rows.iter().enumerate();
            let wanted: Vec<usize> = wanted
                .filter(|(_, row)| telling.each || !is_told(row))
                .map(|(place, _)| place)
                .collect();
            if wanted.is_empty() {
                continue;
            }
            let of_these: Vec<usize> = wanted.iter().map(|&place| rows[place]).collect();
            let ids: Vec<ObjectId> = of_these
                .iter()
                .map(|&row| galaxies.object_id[row])
                .collect();
            let features = features.select(Axis(0), &wanted);
            let nearby = nearby.as_ref().map(|nearby| nearby.select(&wanted));
            let said = part.estimate(&ids, features.view(), nearby.as_ref(), telling)?;
            for &target in &part.targets {
                told.entry(target).or_default().extend(&of_these);
            }
            estimates.parts.push((part, of_these, said));
        }
        Ok(estimates)
    }

    /// Whether it tells posteriors of redshifts.
    pub fn has_posteriors(&self) -> bool {
        let of_redshift = |part: &&Part| part.targets.contains(&Target::Redshift);
        let mut parts = self.parts.iter().filter(of_redshift);
        parts.any(|part| part.method() == Regressor::Flow)
    }

    /// How many galaxies it was fitted to.
    pub fn fitted_to(&self) -> usize {
        self.fitted_to.len()
    }

    /// From how many spectra it knows how continua of galaxies run; none where it does not.
    pub fn continua(&self) -> Option<usize> {
        self.continua.as_ref().map(|continua| continua.galaxies)
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
