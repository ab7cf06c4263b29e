//! A model in training: how much of a batch goes through it at once, and how gradients become weights.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use tracing::debug_span;

use super::across::terms_of_all;
use crate::base::error::Result;
use crate::base::ranks::Ranks;
use crate::network::nn::Precision;
use crate::network::weights::{assign, named_parameters};
use crate::training::train::{
    AdamW, AdamWConfig, Checkpoint, Gradients, ParameterRule, RanksConfig, RunConfig,
    StepGradients, StepNumbers,
};
use crate::views::batch::micro_batches;

/// Where and in what portions a model computes, and with whom.
#[derive(Debug, Clone)]
pub struct Compute {
    pub(super) device: Device,
    pub(super) precision: Precision,
    pub(super) micro_batch: Option<usize>,
    pub(super) ranks: Ranks,
    sharing: RanksConfig,
}

impl Compute {
    /// On a device with automatic differentiation: whole batches, in `f32`.
    pub fn on(device: &Device) -> Self {
        Self {
            device: device.clone(),
            precision: Precision::F32,
            micro_batch: None,
            ranks: Ranks::alone(),
            sharing: RanksConfig::default(),
        }
    }

    /// As a run says, with automatic differentiation on its device.
    pub fn of(run: &RunConfig, device: &Device) -> Self {
        Self::on(&device.clone().autodiff())
            .in_micro_batches(run.micro_batch_size)
            .in_precision(run.precision)
            .sharing(run.ranks)
    }

    /// Lets at most so many galaxies go through the model at once. Losses and gradients are those of the whole
    /// batch, up to rounding.
    pub fn in_micro_batches(self, size: Option<usize>) -> Self {
        Self {
            micro_batch: size,
            ..self
        }
    }

    /// Together with other ranks, each on its share of a batch. Losses and gradients are those of the whole batch, up
    /// to rounding, on all of them.
    pub fn among(self, ranks: Ranks) -> Self {
        Self { ranks, ..self }
    }

    /// With other ranks in this way.
    pub fn sharing(self, sharing: RanksConfig) -> Self {
        Self { sharing, ..self }
    }

    /// Lets the transformers compute in `precision`.
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    pub(super) fn parts(&self, samples: usize) -> Vec<Range<usize>> {
        micro_batches(samples, self.micro_batch)
    }

    /// The device without automatic differentiation.
    pub(super) fn inner(&self) -> Device {
        self.device.clone().inner()
    }
}

/// A model with its optimiser.
#[derive(Debug)]
pub(super) struct Trained<M> {
    pub(super) model: M,
    pub(super) compute: Compute,
    optimizer: AdamW,
}

/// Gradients whose names begin so are clipped together; what their norm is called.
pub(super) struct Clip {
    pub(super) prefix: &'static str,
    pub(super) name: &'static str,
}

impl Clip {
    /// All gradients together.
    pub(super) const ALL: [Self; 1] = [Self::of("", "all")];

    pub(super) const fn of(prefix: &'static str, name: &'static str) -> Self {
        Self { prefix, name }
    }
}

impl<M: Module> Trained<M> {
    pub(super) fn new(model: M, adamw: &AdamWConfig, compute: Compute) -> Self {
        let optimizer = AdamW::new(adamw.clone(), &compute.device);
        let is_sharded = compute.sharing.shard_optimizer && !compute.ranks.is_alone();
        Self {
            optimizer: match is_sharded {
                true => optimizer.sharded(&model, &compute.ranks),
                false => optimizer,
            },
            model,
            compute,
        }
    }

    /// Sums terms and gradients over the ranks, and clips the gradients of the whole batch to the norm `limit`;
    /// `samples` are this rank's.
    pub(super) fn clipped(
        &self,
        (terms, mut gradients): (Vec<(&'static str, Tensor<1>)>, Gradients),
        clips: &[Clip],
        limit: f64,
        samples: usize,
    ) -> StepGradients {
        let ranks = &self.compute.ranks;
        let terms = debug_span!("ranks").in_scope(|| {
            gradients.sum_over(ranks, &self.model, self.compute.sharing.gradients);
            terms_of_all(ranks, terms)
        });
        let norms = debug_span!("clip").in_scope(|| {
            let clip = |clip: &Clip| {
                let norm = gradients.clip(clip.prefix, limit, &self.compute.device);
                (clip.name, norm)
            };
            clips.iter().map(clip).collect()
        });
        StepGradients {
            numbers: StepNumbers { terms, norms },
            gradients,
            samples: samples * ranks.size(),
        }
    }

    /// Takes a step.
    pub(super) fn update(&mut self, gradients: Gradients, rule: impl Fn(&str) -> ParameterRule) {
        self.model = debug_span!("optimizer")
            .in_scope(|| self.optimizer.step(self.model.clone(), gradients, rule));
    }

    /// A checkpoint with the weights under `name` and the optimiser's moments.
    pub(super) fn checkpoint(&self, name: &str, step: u64) -> Checkpoint {
        let (optimizer_steps, moments) = self.optimizer.state();
        let mut checkpoint = Checkpoint {
            step,
            optimizer_steps,
            ..Checkpoint::default()
        };
        checkpoint.insert(name, named_parameters(&self.model));
        checkpoint.insert("optimizer", moments);
        checkpoint
    }

    /// Gives other ranks what this one has of their checkpoint.
    pub(super) fn lend(&self) {
        self.optimizer.lend();
    }

    /// Takes up the weights under `name` and the optimiser's moments.
    ///
    /// # Errors
    ///
    /// When they are of another model.
    pub(super) fn restore(&mut self, name: &str, checkpoint: &mut Checkpoint) -> Result<()> {
        self.model = assign(self.model.clone(), checkpoint.take(name))?;
        self.optimizer
            .restore(checkpoint.optimizer_steps, checkpoint.take("optimizer"))
    }
}

/// Loss terms and gradients of a batch, summed over its parts.
#[derive(Default)]
pub(super) struct Sums {
    terms: BTreeMap<&'static str, Tensor<1>>,
    gradients: Gradients,
}

impl Sums {
    /// Adds the terms of a part, at least one, which count by `weight`, and their gradients.
    pub(super) fn add<M: Module>(
        &mut self,
        model: &M,
        terms: Vec<(&'static str, Tensor<1>)>,
        weight: f64,
    ) {
        let total = terms
            .iter()
            .map(|(_, term)| term.clone())
            .reduce(|sum, term| sum + term)
            .expect("a part has a loss");
        debug_span!("backward").in_scope(|| {
            let mut tape = (total * weight).backward();
            self.gradients.add(Gradients::collect(model, &mut tape));
        });
        for (name, term) in terms {
            let term = term.without_autodiff() * weight;
            let sum = match self.terms.remove(name) {
                Some(sum) => sum + term,
                None => term,
            };
            self.terms.insert(name, sum);
        }
    }

    /// The terms by name, and the gradients.
    pub(super) fn into_parts(self) -> (Vec<(&'static str, Tensor<1>)>, Gradients) {
        (self.terms.into_iter().collect(), self.gradients)
    }
}
