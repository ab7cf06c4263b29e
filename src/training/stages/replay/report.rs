//! What a replay found.

use std::path::PathBuf;

use serde::Serialize;

use super::look::{GalaxyLook, TensorLook};
use crate::network::nn::probe::LayerOutput;
use crate::training::train::{BatchGalaxy, Fault, NamedNumber, Numbers};

/// A value that is far from zero, and where it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Extreme {
    /// A pixel, a tensor.
    pub place: String,
    /// The value; JSON has null where it is not finite.
    pub value: f32,
}

/// Where a step first stops being finite.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "in")]
pub enum Turn {
    /// In the weights, moments or centres before the step.
    State {
        /// The first tensor.
        name: String,
        /// Tensors that are not finite.
        tensors: usize,
    },
    /// In what a layer computes.
    Layer {
        /// The layer.
        name: String,
        /// Values that are not finite.
        nonfinite: usize,
        /// All values.
        values: usize,
        /// Places in the batch of the galaxies that they are of, where that is known.
        galaxies: Vec<usize>,
    },
    /// In a loss term: what layers compute is finite.
    Loss {
        /// The term.
        name: String,
    },
    /// In the gradients: the losses are finite.
    Gradient {
        /// The parameter, the first by name; none where the gradients are finite and their norm is not.
        name: Option<String>,
        /// Parameters whose gradients are not finite.
        parameters: usize,
        /// All parameters.
        of: usize,
    },
    /// In the update: losses and gradients are finite.
    Update {
        /// The first tensor.
        name: String,
    },
    /// In what is measured after the update, which is finite itself.
    Measured {
        /// The number.
        name: String,
    },
}

impl Turn {
    /// Where losses and gradients, or what leads to them, turned.
    pub(super) fn before_update(
        state: &TensorLook,
        outputs: &[LayerOutput],
        numbers: &Numbers,
        gradients: &TensorLook,
    ) -> Option<Self> {
        if let Some(name) = &state.nonfinite {
            return Some(Self::State {
                name: name.clone(),
                tensors: state.count,
            });
        }
        if let Some(output) = outputs.iter().find(|output| output.nonfinite > 0) {
            return Some(Self::Layer {
                name: output.name.clone(),
                nonfinite: output.nonfinite,
                values: output.values,
                galaxies: output.galaxies.clone(),
            });
        }
        if let Some((name, _)) = numbers.terms.iter().find(|(_, value)| !value.is_finite()) {
            return Some(Self::Loss {
                name: (*name).to_owned(),
            });
        }
        numbers.fault().map(|_| Self::Gradient {
            name: gradients.nonfinite.clone(),
            parameters: gradients.count,
            of: gradients.tensors,
        })
    }

    /// Where what the update led to turned.
    pub(super) fn after_update(state: &TensorLook, measured: Option<Fault>) -> Option<Self> {
        match &state.nonfinite {
            Some(name) => Some(Self::Update { name: name.clone() }),
            None => measured.map(|fault| Self::Measured { name: fault.term }),
        }
    }
}

/// A galaxy without which the step is finite.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Guilty {
    /// The galaxy.
    #[serde(flatten)]
    pub galaxy: BatchGalaxy,
    /// Its value that is furthest from zero.
    pub largest: Extreme,
}

/// What a layer computed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Largest size of its finite values.
    pub largest: f32,
    /// Values that are not finite.
    pub nonfinite: usize,
}

pub(super) fn layers(outputs: &[LayerOutput]) -> Vec<Layer> {
    let outputs = outputs.iter();
    outputs
        .map(|output| Layer {
            name: output.name.clone(),
            largest: output.largest,
            nonfinite: output.nonfinite,
        })
        .collect()
}

/// What taking a step again showed.
#[derive(Debug, Clone, Serialize)]
pub struct Replay {
    /// Run folder.
    pub run: PathBuf,
    /// Folder of the record.
    pub record: PathBuf,
    /// The command that trained.
    pub stage: String,
    /// The step, counted from 1.
    pub step: u64,
    /// What was not finite in the run.
    pub recorded: NamedNumber,
    /// Steps done in the checkpoint from which the step was reached; 0 for the start of the run.
    pub started_from: u64,
    /// The last step on the way to it that was not finite and whose update was left out.
    pub skipped_on_the_way: Option<u64>,
    /// Whether it is not finite this time either.
    pub reproduced: bool,
    /// Where it turned.
    pub turn: Option<Turn>,
    /// The galaxy without which it is finite, where one alone did it.
    pub guilty: Option<Guilty>,
    /// The largest value of weights, moments and centres before the step.
    pub largest_weight: Option<Extreme>,
    /// The same after the step, where it could be taken.
    pub largest_weight_after: Option<Extreme>,
    /// The largest value of the gradients before clipping.
    pub largest_gradient: Option<Extreme>,
    /// Loss terms.
    pub terms: Vec<NamedNumber>,
    /// Gradient norms.
    pub grad_norms: Vec<NamedNumber>,
    /// What layers computed, in their order.
    pub layers: Vec<Layer>,
    /// The galaxies of the batch, those with the largest values first.
    pub galaxies: Vec<GalaxyLook>,
}
