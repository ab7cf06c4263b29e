//! What predictions and posteriors are made from.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::survey::Modality;

/// What a prediction is made from.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Image embeddings, or images.
    Image,
    /// Spectrum embeddings, or spectra.
    Spectrum,
    /// The g, r and z magnitudes: the baseline that embeddings have to beat.
    Photometry,
    /// Image and spectrum embeddings of the same galaxy, one behind the other.
    Both,
}

impl Source {
    /// The kind of data whose vectors these are; none where they are of no one kind.
    pub fn modality(self) -> Option<Modality> {
        match self {
            Self::Image => Some(Modality::Image),
            Self::Spectrum => Some(Modality::Spectrum),
            Self::Photometry | Self::Both => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Image => "image",
            Self::Spectrum => "spectrum",
            Self::Photometry => "photometry",
            Self::Both => "both",
        })
    }
}

/// What numbers posteriors are conditioned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// An embedding.
    Embeddings,
    /// Magnitudes g, r and z.
    Magnitudes,
    /// What a network trained end to end predicts, of all its targets.
    Predictions,
}

impl Condition {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embeddings => "embeddings",
            Self::Magnitudes => "magnitudes",
            Self::Predictions => "predictions",
        }
    }

    /// What posteriors are from, in words.
    pub(super) fn of(self, source: Source) -> String {
        match self {
            Self::Predictions => format!("{source} {}", self.name()),
            _ => source.to_string(),
        }
    }
}
