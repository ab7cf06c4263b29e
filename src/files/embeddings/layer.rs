//! From which layer of a model the vectors of a file come.

use serde::{Deserialize, Serialize};

use crate::survey::Modality;

/// From which layer of a model vectors come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// The last one: of an aligned model that of its heads.
    Embeddings,
    /// The last one of the transformers, before the heads of an aligned model.
    Features,
}

impl Layer {
    /// The dataset that holds a modality's vectors.
    pub fn dataset(self, modality: Modality) -> &'static str {
        match (self, modality) {
            (Self::Embeddings, Modality::Image) => "image_embeddings",
            (Self::Embeddings, Modality::Spectrum) => "spectrum_embeddings",
            (Self::Features, Modality::Image) => "image_features",
            (Self::Features, Modality::Spectrum) => "spectrum_features",
        }
    }

    /// What a dataset of that name holds; none where it is not of this program.
    pub fn of_dataset(name: &str) -> Option<(Modality, Self)> {
        let layers = [Self::Embeddings, Self::Features].into_iter();
        let mut all =
            layers.flat_map(|layer| Modality::ALL.map(|modality| (modality, layer)).into_iter());
        all.find(|(modality, layer)| layer.dataset(*modality) == name)
    }
}
