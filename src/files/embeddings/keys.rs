//! What embeddings are called in files of other programs.

use std::str::FromStr;

use super::Layer;
use crate::base::error::{Error, Result};
use crate::survey::Modality;

/// What embeddings and identifiers are called in a file, where its content does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// Columns of embeddings; all that are recognised where there are none here.
    pub embeddings: Vec<EmbeddingKey>,
    /// The column of identifiers.
    pub id: Option<String>,
}

impl Keys {
    /// Those by which this program calls the vectors of `modalities`: of `features` those from before the heads.
    pub fn of_features(features: &[Modality], modalities: &[Modality]) -> Self {
        let key = |modality: Modality| {
            let layer = match features.contains(&modality) {
                true => Layer::Features,
                false => Layer::Embeddings,
            };
            EmbeddingKey {
                modality: Some(modality),
                key: layer.dataset(modality).to_owned(),
            }
        };
        Self {
            embeddings: modalities.iter().copied().map(key).collect(),
            id: None,
        }
    }

    /// The vectors that are meant where all are named as this program calls them.
    pub(super) fn own(&self) -> Option<Vec<(Modality, Layer)>> {
        if self.id.is_some() || self.embeddings.is_empty() {
            return None;
        }
        let mut own: Vec<(Modality, Layer)> = Vec::new();
        for key in &self.embeddings {
            let (modality, layer) = Layer::of_dataset(&key.key)?;
            let is_new = own.iter().all(|(known, _)| *known != modality);
            if !is_new || key.modality.is_some_and(|asked| asked != modality) {
                return None;
            }
            own.push((modality, layer));
        }
        Some(own)
    }
}

/// A column of embeddings, and what of: `KEY`, `image=KEY` or `spectrum=KEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingKey {
    /// Told by the name where it is not given: those with `spec` in it are of spectra.
    pub modality: Option<Modality>,
    /// Name of the dataset or of the field.
    pub key: String,
}

impl FromStr for EmbeddingKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (modality, key) = match text.split_once('=') {
            None => (None, text),
            Some((modality, key)) => {
                let found = Modality::ALL.into_iter().find(|m| m.name() == modality);
                let refuse = || {
                    Error::input(format!(
                        "`{text}`: expected KEY, image=KEY or spectrum=KEY, not `{modality}=`"
                    ))
                };
                (Some(found.ok_or_else(refuse)?), key)
            }
        };
        Ok(Self {
            modality,
            key: key.to_owned(),
        })
    }
}
