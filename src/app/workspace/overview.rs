//! All that a folder holds for this program, and what to type next.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::data::surveys_in;
use super::embeddings::embedding_sets;
use super::{RUNS, models_in};
use crate::base::shell::resuming;
use crate::evaluation::estimator::is_estimator;
use crate::files::embeddings::EmbeddingSet;
use crate::files::inputs::shown;
use crate::network::weights::ModelKind;
use crate::training::run_folder::{self, MODEL_FILE};

/// What a folder holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// Survey files.
    pub surveys: Vec<PathBuf>,
    /// Finished models of the runs in `runs`.
    pub models: Vec<FoundFile>,
    /// Runs in `runs` that have not been finished, with their stage.
    pub unfinished: Vec<FoundFile>,
    /// Embedding files; patterns of shards.
    pub embeddings: Vec<PathBuf>,
    /// Estimators.
    pub estimators: Vec<PathBuf>,
    /// Commands that make sense next, the best first.
    pub next: Vec<String>,
}

/// A file or folder, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it holds, as users call it.
    pub what: String,
}

impl Overview {
    /// Looks at a folder and the runs in it.
    pub fn of(folder: &Path) -> Self {
        let runs = folder.join(RUNS);
        let models = models_in(&runs);
        let mut overview = Self {
            surveys: surveys_in(folder),
            unfinished: unfinished(&runs),
            embeddings: embedding_sets(folder)
                .iter()
                .map(EmbeddingSet::pattern)
                .collect(),
            estimators: estimators(folder),
            models: models
                .iter()
                .map(|(path, kind)| FoundFile {
                    path: shown(path),
                    what: kind.label().to_owned(),
                })
                .collect(),
            next: Vec::new(),
        };
        let has = |wanted| models.iter().any(|(_, kind)| *kind == wanted);
        overview.next = overview.next_commands(has);
        overview
    }

    /// Whether there is nothing to go on with.
    pub fn is_empty(&self) -> bool {
        self.surveys.is_empty()
            && self.models.is_empty()
            && self.unfinished.is_empty()
            && self.embeddings.is_empty()
    }

    fn next_commands(&self, has: impl Fn(ModelKind) -> bool) -> Vec<String> {
        let mut next: Vec<&str> = Vec::new();
        let resume: Vec<String> = (self.unfinished.iter())
            .map(|run| resuming(&run.what, &run.path))
            .collect();
        if !self.embeddings.is_empty() {
            next.extend(["astroclip eval redshift", "astroclip eval all"]);
            next.push(match self.estimators.is_empty() {
                true => "astroclip fit",
                false => "astroclip predict --out catalogue.fits",
            });
        }
        let aligned = has(ModelKind::AstroClip);
        let (image, spectrum) = (
            has(ModelKind::ImageEncoder),
            has(ModelKind::SpectrumEncoder),
        );
        if aligned && self.embeddings.is_empty() {
            next.push("astroclip embed --out emb.h5");
        }
        if !aligned && !self.is_empty() {
            if !image {
                next.push("astroclip pretrain-image");
            }
            if !spectrum {
                next.push("astroclip pretrain-spectrum");
            }
            next.push("astroclip align");
        }
        resume
            .into_iter()
            .chain(next.into_iter().map(str::to_owned))
            .collect()
    }
}

/// The estimators in a folder, by name.
fn estimators(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_safetensors = |path: &PathBuf| {
        let ending = path.extension();
        ending.is_some_and(|ending| ending == "safetensors") && path.is_file()
    };
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(is_safetensors)
        .filter(|path| is_estimator(path))
        .map(|path| shown(&path))
        .collect();
    found.sort();
    found
}

fn unfinished(runs: &Path) -> Vec<FoundFile> {
    let entries = fs::read_dir(runs).into_iter().flatten().flatten();
    let mut found: Vec<FoundFile> = entries
        .map(|entry| entry.path())
        .filter(|run| !run.join(MODEL_FILE).exists())
        .filter_map(|run| {
            let what = run_folder::stage_of(&run)?;
            let path = shown(&run);
            Some(FoundFile { path, what })
        })
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}
