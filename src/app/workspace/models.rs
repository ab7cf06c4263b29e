//! Models of the runs in a folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Candidate, RUNS, Taken, in_folder, newest, the_newest};
use crate::base::error::{Error, Result};
use crate::network::weights::{ModelFile, ModelKind, TensorFile};
use crate::training::run_folder::MODEL_FILE;

/// The finished models of the runs in a folder, by path.
pub fn models_in(runs: &Path) -> Vec<(PathBuf, ModelKind)> {
    let mut found: Vec<_> = fs::read_dir(runs)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path().join(MODEL_FILE);
            let file: ModelFile = TensorFile::open(&path).ok()?.header().ok()?;
            Some((path, file.kind))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Kinds of models among which one is chosen, and what a model of any of them is called.
#[derive(Debug, Clone, Copy)]
pub struct Kinds {
    /// The kinds.
    pub kinds: &'static [ModelKind],
    /// What people call them.
    pub label: &'static str,
}

impl Kinds {
    /// Aligned models.
    pub const ALIGNED: Self = Self::one(&[ModelKind::AstroClip]);
    /// Image encoders before alignment.
    pub const IMAGE_ENCODER: Self = Self::one(&[ModelKind::ImageEncoder]);
    /// Spectrum encoders before alignment.
    pub const SPECTRUM_ENCODER: Self = Self::one(&[ModelKind::SpectrumEncoder]);
    /// Encoders of either kind before alignment.
    pub const ENCODER: Self = Self {
        kinds: &[ModelKind::ImageEncoder, ModelKind::SpectrumEncoder],
        label: "encoder",
    };

    const fn one(kinds: &'static [ModelKind; 1]) -> Self {
        Self {
            kinds,
            label: kinds[0].label(),
        }
    }
}

/// The newest model of some kinds among the runs in a folder; none where there is none.
///
/// # Errors
/// Where two are of the same age; `flag` says how to name one.
pub fn newest_model(runs: &Path, wanted: Kinds, flag: &str) -> Result<Option<Taken>> {
    let candidates = models_in(runs)
        .into_iter()
        .filter(|(_, kind)| wanted.kinds.contains(kind))
        .filter_map(|(path, _)| Candidate::of(path))
        .collect();
    let found = newest(candidates, wanted.label, flag)?;
    Ok(found.map(|(path, count)| Taken {
        what: wanted.label,
        paths: vec![path],
        why: the_newest(count, &in_folder(runs)),
    }))
}

/// The model of a command that names none: the newest of the first of these kinds of which the runs in `runs` have one.
///
/// # Errors
/// Where there is none, or two are of the same age; `flag` says how to name one.
pub fn model_to_use(kinds: &[Kinds], flag: &str) -> Result<Taken> {
    let runs = Path::new(RUNS);
    for (index, &wanted) in kinds.iter().enumerate() {
        if let Some(mut found) = newest_model(runs, wanted, flag)? {
            for missing in &kinds[..index] {
                found.why += &format!("; no {} is there", missing.label);
            }
            return Ok(found);
        }
    }
    let labels: Vec<&str> = kinds.iter().map(|kinds| kinds.label).collect();
    Err(Error::input(format!(
        "{RUNS}: no run there has a finished {}; name a model with {flag}, or make one: \
         astroclip pretrain-image, astroclip pretrain-spectrum, astroclip align",
        labels.join(" or ")
    )))
}
