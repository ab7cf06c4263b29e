//! Embeddings of a set of files in memory.

use super::{EmbeddingFile, EmbeddingRows, EmbeddingSet, Keys, ModelEmbeddings, is_embedding_file};
use crate::base::error::{Error, Result};
use crate::survey::Modality;

impl ModelEmbeddings {
    /// Reads the embeddings of all models that a set of files holds, as [`open`](Self::open) does those of a file; several
    /// files are of one model.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`EmbeddingRows::open`].
    pub fn open_set(set: &EmbeddingSet, name: &str, keys: &Keys) -> Result<Vec<Self>> {
        match set.files() {
            [path] => Self::open(path, name, keys),
            files => Ok(vec![Self {
                name: name.to_owned(),
                file: EmbeddingRows::open(files, keys)?.whole(&set.path())?,
            }]),
        }
    }

    /// Reads the embeddings of one model that has all of `modalities`: of the one called `model`, or of the only one.
    /// Of this program's files no more than that is read.
    ///
    /// # Errors
    /// As [`open_set`](Self::open_set), and where there is no such model, or several (says which).
    pub fn one(
        set: &EmbeddingSet,
        keys: &Keys,
        model: Option<&str>,
        modalities: &[Modality],
    ) -> Result<EmbeddingFile> {
        let ours = || set.files().iter().all(|path| is_embedding_file(path));
        if model.is_none() && *keys == Keys::default() && ours() {
            let rows = EmbeddingRows::open(set.files(), keys)?;
            return rows.whole_of(modalities, &set.path());
        }
        Self::only(set, keys, model, modalities)
    }

    /// Reads all embeddings of the model called `model`, or of the only one.
    ///
    /// # Errors
    /// As [`one`](Self::one).
    pub fn one_of_any_kind(
        set: &EmbeddingSet,
        keys: &Keys,
        model: Option<&str>,
    ) -> Result<EmbeddingFile> {
        Self::only(set, keys, model, &[])
    }

    fn only(
        set: &EmbeddingSet,
        keys: &Keys,
        model: Option<&str>,
        modalities: &[Modality],
    ) -> Result<EmbeddingFile> {
        let (path, whole) = (&set.path(), set.whole());
        let stem = whole.file_stem().unwrap_or_default().to_string_lossy();
        let mut models = Self::open_set(set, &stem, keys)?;
        let names: Vec<String> = models.iter().map(|known| known.name.clone()).collect();
        let error = |message: String| Error::input(message).in_file(path);
        if let Some(model) = model {
            models.retain(|known| known.name == model);
        } else if models.len() > 1 {
            let has_all = |known: &Self| {
                modalities
                    .iter()
                    .all(|&of| known.file.embeddings(of).is_ok())
            };
            models.retain(has_all);
        }
        match models.len() {
            1 => {
                let file = models.remove(0).file;
                for &modality in modalities {
                    file.embeddings(modality)?;
                }
                Ok(file)
            }
            0 => Err(error(match model {
                Some(model) => format!("has no model `{model}`; it has {}", names.join(", ")),
                None => format!(
                    "no model has all that is asked for; it has {}",
                    names.join(", ")
                ),
            })),
            _ => Err(error(format!(
                "holds embeddings of several models; name one with --model: {}",
                names.join(", ")
            ))),
        }
    }
}
