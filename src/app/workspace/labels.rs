//! The label tables of embeddings for which nobody names any.

use std::path::{Path, PathBuf};

use super::Taken;
use super::data::unchanged;
use crate::base::error::Result;
use crate::files::data::{expand, has_catalog};
use crate::files::embeddings::EmbeddingFile;
use crate::files::inputs::InputFiles;

/// The tables that belong to embeddings: those that the run file named, else the survey files where they hold a
/// catalogue; none where the files do not say what they were made from, or that is gone.
///
/// # Errors
/// Where a table has changed since.
pub fn labels_of(files: &[&EmbeddingFile]) -> Result<Option<Taken>> {
    let mut taken = Taken {
        what: "labels",
        paths: Vec::new(),
        why: String::new(),
    };
    for file in files {
        let Some(inputs) = file
            .provenance
            .as_ref()
            .and_then(|from| from.inputs.as_ref())
        else {
            continue;
        };
        let home = file.path.parent().unwrap_or(Path::new(""));
        let (known, why) = match inputs.labels.is_empty() {
            false => (present(&inputs.labels, home, &file.path), "the labels of"),
            true => (
                present(&with_catalog(&inputs.data, home), home, &file.path),
                "what was embedded in",
            ),
        };
        let fresh = known.into_iter().filter(|files| {
            let place = files.place(home);
            !taken.paths.contains(&place)
        });
        let remedy = format!(
            "{} was made from it; name the tables that are meant: --labels FILE …",
            file.path.display()
        );
        let fresh: Vec<InputFiles> = fresh.collect();
        let places = unchanged(&fresh, home, &remedy)?;
        if !places.is_empty() && taken.why.is_empty() {
            taken.why = format!("{why} {}", file.path.display());
        }
        taken.paths.extend(places);
    }
    Ok((!taken.paths.is_empty()).then_some(taken))
}

/// Those that are still there; it is said which are not.
fn present(recorded: &[InputFiles], home: &Path, embeddings: &Path) -> Vec<InputFiles> {
    let there = |files: &&InputFiles| {
        let found = files.find(home).is_some();
        if !found {
            tracing::warn!(
                "{}: is gone; {} was made from it, and its labels are not known",
                files.path.display(),
                embeddings.display()
            );
        }
        found
    };
    recorded.iter().filter(there).cloned().collect()
}

/// Survey files with a catalogue.
fn with_catalog(data: &[InputFiles], home: &Path) -> Vec<InputFiles> {
    let holds = |files: &&InputFiles| {
        let paths: Vec<PathBuf> = expand(&[files.place(home)]).unwrap_or_default();
        // A file that is gone may have had one.
        files.find(home).is_none() || paths.iter().any(|path| has_catalog(path))
    };
    data.iter().filter(holds).cloned().collect()
}
