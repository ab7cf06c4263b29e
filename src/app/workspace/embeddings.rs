//! Embedding files in a folder.

use std::path::{Path, PathBuf};

use super::data::{read_as_recorded, unchanged};
use super::{Candidate, Taken, in_folder, newest, the_newest};
use crate::base::error::{Error, Result};
use crate::files::data::{SurveyFiles, survey_files_in};
use crate::files::embeddings::{
    EmbeddingFile, EmbeddingSet, Provenance, is_embedding_file, read_provenance,
};
use crate::files::inputs::{InputFiles, shown};

/// The newest embedding file in a folder; `flag` says how to name one.
///
/// # Errors
/// Where there is none, two are of the same age, or its model or survey has changed since it was made.
pub fn newest_embeddings(folder: &Path, flag: &str) -> Result<Taken> {
    let mut sets = embedding_sets(folder);
    let candidates = sets.iter().filter_map(|set| {
        // Shards are as new as the newest of them.
        let files = set.files().iter().cloned().filter_map(Candidate::of);
        let newest = files.max_by_key(|file| file.modified)?;
        let path = shown(&set.path());
        Some(Candidate { path, ..newest })
    });
    let Some((path, count)) = newest(candidates.collect(), "embedding files", flag)? else {
        return Err(Error::input(format!(
            "no embedding file is {}; name one with {flag}, or make it: astroclip embed --out emb.h5",
            in_folder(folder)
        )));
    };
    sets.retain(|set| shown(&set.path()) == path);
    let files: Vec<PathBuf> = (sets.iter().flat_map(|set| set.files()))
        .map(|file| shown(file))
        .collect();
    check_up_to_date(&files[0], flag)?;
    Ok(Taken {
        what: "embeddings",
        paths: files,
        why: the_newest(count, &in_folder(folder)),
    })
}

/// What embeddings were made from, where it still is.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Survey files.
    pub data: SurveyFiles,
    /// The model.
    pub model: Option<PathBuf>,
}

/// What the embeddings of a file were made from; none where the file does not say.
///
/// # Errors
/// Where something is gone or has changed since.
pub fn origin_of(file: &EmbeddingFile) -> Result<Option<Origin>> {
    let Some(inputs) = file
        .provenance
        .as_ref()
        .and_then(|from| from.inputs.as_ref())
    else {
        return Ok(None);
    };
    let home = file.path.parent().unwrap_or(Path::new(""));
    let remedy = format!("{} was made from it", file.path.display());
    Ok(Some(Origin {
        data: SurveyFiles {
            paths: unchanged(&inputs.data, home, &remedy)?,
            read: read_as_recorded(inputs, home, &remedy)?,
        },
        model: unchanged(&inputs.models, home, &remedy)?.into_iter().next(),
    }))
}

/// The embedding files in a folder, by name; shards of one embedding as one.
pub(super) fn embedding_sets(folder: &Path) -> Vec<EmbeddingSet> {
    let mut files = survey_files_in(folder);
    files.retain(|path| is_embedding_file(path));
    EmbeddingSet::grouped(files)
}

/// Refuses embeddings whose model or survey is another by now. What is gone cannot be compared.
fn check_up_to_date(path: &Path, flag: &str) -> Result<()> {
    let Some(Provenance {
        inputs: Some(inputs),
        ..
    }) = read_provenance(path)
    else {
        return Ok(());
    };
    let home = path.parent().unwrap_or(Path::new(""));
    let there = |files: &&InputFiles| files.find(home).is_some();
    let used = inputs.models.iter().chain(&inputs.data);
    let used = used.chain(&inputs.pairs);
    let present: Vec<InputFiles> = used.filter(there).cloned().collect();
    let remedy = format!(
        "{} was made with it; embed again, or take that file as it is: {flag}",
        path.display()
    );
    unchanged(&present, home, &remedy).map(drop)
}
