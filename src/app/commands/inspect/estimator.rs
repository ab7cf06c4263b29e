//! What an estimator is.

use std::path::Path;

use serde::Serialize;

use super::made_from;
use crate::base::error::Result;
use crate::evaluation::estimator::{EstimatorFile, Head, render_scores};
use crate::evaluation::eval::Source;
use crate::files::inputs::Inputs;

/// What an estimator estimates, from what, how well, and what it was fitted to.
#[derive(Debug, Serialize)]
pub(super) struct Contents {
    program_version: String,
    commit: Option<String>,
    sha256: String,
    galaxies: usize,
    questions: Vec<String>,
    /// Spectra whose continua it knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    continua: Option<usize>,
    inputs: Inputs,
    #[serde(flatten)]
    head: Head,
    #[serde(skip)]
    methods: String,
    #[serde(skip)]
    scores: String,
}

impl Contents {
    pub(super) fn inspect(path: &Path) -> Result<Self> {
        let file = EstimatorFile::open(path)?;
        let estimator = &file.estimator;
        let methods = estimator.methods().into_iter();
        let methods = methods.map(|(source, method)| format!("{source} by {method}"));
        Ok(Self {
            galaxies: estimator.fitted_to(),
            questions: estimator
                .questions()
                .map(|(name, ..)| name.to_owned())
                .collect(),
            continua: estimator.continua(),
            methods: methods.collect::<Vec<_>>().join(", "),
            scores: render_scores(estimator),
            head: file.estimator.head,
            program_version: file.program_version,
            commit: file.commit,
            sha256: file.sha256,
            inputs: file.inputs,
        })
    }

    pub(super) fn rows(&self, path: &Path, row: &mut impl FnMut(&str, String)) {
        row("holds", "an estimator".to_owned());
        row("fitted to", format!("{} galaxies", self.galaxies));
        row("from, by", self.methods.clone());
        if !self.questions.is_empty() {
            row("morphology", self.questions.join(", "));
        }
        let knows = |source| self.head.widths.contains_key(&source);
        match self.continua {
            Some(spectra) => row("continua", format!("of {spectra} spectra")),
            None if knows(Source::Spectrum) || knows(Source::Both) => {
                row(
                    "continua",
                    "not known; embed and fit again to flag others".to_owned(),
                );
            }
            None => {}
        }
        let hash = self.head.model_sha256.iter().flat_map(|hash| hash.chars());
        let hash: String = hash.take(12).collect();
        row("model", format!("{} (SHA-256 {hash}…)", self.head.model));
        made_from(&self.inputs, path, row);
        let commit = self
            .commit
            .as_ref()
            .map(|commit| format!(", commit {commit}"));
        row(
            "program",
            format!("{}{}", self.program_version, commit.unwrap_or_default()),
        );
    }

    /// How well, as a table.
    pub(super) fn scores(&self) -> &str {
        &self.scores
    }
}
