//! What makes embeddings what they are: those that were begun go on only by the same plan.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Part, continuum};
use crate::base::error::{Error, Result};
use crate::base::output::Resumable;
use crate::base::shard::Shard;
use crate::files::inputs::{InputFiles, Inputs, same_files};
use crate::survey::Modality;

/// Bytes of a galaxy beside its embeddings and its continuum, in the frames and in the file.
const OTHER_BYTES: u64 = 104;

/// All that embeddings depend on but the processor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of how they are kept until they are whole.
    pub layout: Layout,
    /// Version of the program.
    pub program_version: String,
    /// SHA-256 of the model's weights file, hexadecimal.
    pub model_sha256: String,
    /// The survey, its labels and the model.
    pub inputs: Inputs,
    /// Rows of the survey.
    pub galaxies: usize,
    /// Which part of them is embedded.
    #[serde(default = "whole")]
    pub shard: Shard,
    /// What is embedded.
    pub modalities: Vec<Modality>,
    /// Width of an embedding.
    pub dimension: usize,
    /// Of what vectors from before the heads are kept, and how wide they are.
    pub features: Vec<(Modality, usize)>,
    /// Galaxies that go through the model at once.
    pub batch_size: usize,
    /// In what numbers the model computes.
    pub precision: String,
    /// Whether every embedding is divided by its Euclidean norm.
    pub normalized: bool,
}

/// How embeddings in the making are kept: the only one that this program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Layout {
    /// Batches of identifiers, splits, redshifts, what is known of the observations, embeddings, features, and continua.
    #[default]
    Features,
}

/// What is embedded where a plan does not say it.
fn whole() -> Shard {
    Shard::WHOLE
}

impl Plan {
    /// Which shard of which embedding the file will be; none where it is the whole.
    ///
    /// What shards must have in common to be one embedding: the model, what of the survey's files is read and how, and what
    /// is computed. Not the size of batches, nor whether galaxies that cannot be used stop the work.
    pub fn part(&self) -> Option<Part> {
        if self.shard.is_whole() {
            return None;
        }
        let mut read = self.inputs.read.clone();
        read.skip_bad = false;
        let survey = self.inputs.data.iter().chain(&self.inputs.pairs);
        let survey: Vec<_> = survey.map(InputFiles::content).collect();
        let all = (
            (&self.model_sha256, survey, read, self.galaxies),
            (&self.modalities, self.dimension, &self.features),
            (&self.precision, self.normalized),
        );
        let text = serde_json::to_vec(&all).expect("plans are plain JSON");
        Some(Part {
            shard: self.shard,
            embedding: format!("{:x}", Sha256::digest(text)),
        })
    }
}

impl Resumable for Plan {
    const MAGIC: &'static str = "unfinished embeddings of astroclip\n";
    const WHAT: &'static str = "embedding";

    fn rows(&self) -> usize {
        self.shard.rows(self.galaxies).len()
    }

    fn bytes(&self) -> u64 {
        let continuum = match self.modalities.contains(&Modality::Spectrum) {
            true => continuum::NUMBERS,
            false => 0,
        };
        let features: usize = self.features.iter().map(|(_, width)| width).sum();
        let values = self.modalities.len() * self.dimension + features + continuum;
        (4 * values as u64 + OTHER_BYTES) * self.rows() as u64
    }

    fn check_same(&self, begun: &Self) -> Result<()> {
        let (now, then) = (&self.inputs, &begun.inputs);
        let of = |files: &[InputFiles]| {
            let paths = files.iter().map(|files| files.path.display().to_string());
            paths.collect::<Vec<String>>().join(" ")
        };
        // Galaxies that cannot be used would have ended it where they were not left out: they may be from now on.
        let mut read = then.read.clone();
        read.skip_bad |= now.read.skip_bad;
        let version = format!("astroclip {}", begun.program_version);
        let normalized = if begun.normalized { "without" } else { "with" };
        let checks = [
            (
                self.model_sha256 == begun.model_sha256,
                "weights",
                format!("--weights {}", of(&then.models)),
            ),
            (
                same_files(&now.data, &then.data) && self.galaxies == begun.galaxies,
                "data",
                format!("--data {}", of(&then.data)),
            ),
            (
                self.shard == begun.shard,
                "shard",
                format!("--shard {}", begun.shard),
            ),
            (
                same_files(now.pairs.as_slice(), then.pairs.as_slice()),
                "pairs",
                match &then.pairs {
                    Some(pairs) => format!("--pairs {}", pairs.path.display()),
                    None => "no --pairs".to_owned(),
                },
            ),
            (
                now.read == read,
                "options of reading",
                "the former --format, keys, --skip-bad and --missing-bands".to_owned(),
            ),
            (
                same_files(&now.labels, &then.labels),
                "labels",
                of(&then.labels),
            ),
            (
                self.batch_size == begun.batch_size,
                "batches",
                format!("--batch-size {}", begun.batch_size),
            ),
            (
                self.precision == begun.precision,
                "precision",
                format!("--precision {}", begun.precision),
            ),
            (
                self.normalized == begun.normalized,
                "scaling",
                format!("the command {normalized} --raw"),
            ),
            (
                self.program_version == begun.program_version,
                "program",
                version,
            ),
            (
                (self.dimension, &self.modalities) == (begun.dimension, &begun.modalities),
                "kinds of data",
                "the former data".to_owned(),
            ),
            (
                self.features == begun.features,
                "features",
                "the former --features".to_owned(),
            ),
        ];
        match checks.into_iter().find(|(is_same, ..)| !is_same) {
            Some((_, what, former)) => Err(Error::input(format!(
                "was begun with other {what}: go on with {former}, or remove it to begin anew"
            ))),
            None => Ok(()),
        }
    }
}
