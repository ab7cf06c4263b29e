//! One step of training: what a stage computes, what it changes, and the numbers that tell of it.

use burn::tensor::Tensor;

use super::{Checkpoint, Fault, Gradients};
use crate::base::error::Result;
use crate::network::weights::host_values;

/// Losses and gradients of a step, before anything has changed.
#[derive(Debug)]
pub struct StepGradients {
    /// Loss terms and gradient norms.
    pub numbers: StepNumbers,
    /// The gradients, clipped.
    pub gradients: Gradients,
    /// Galaxies in the batch.
    pub samples: usize,
}

/// Numbers of a step, on the device: they are known once it is done.
#[derive(Debug, Clone)]
pub struct StepNumbers {
    /// Loss terms as they enter the total, `(1,)` each, by name; there is at least one.
    pub terms: Vec<(&'static str, Tensor<1>)>,
    /// Gradient norms before clipping, `(1,)` each, of all parts that are clipped apart, by name; one where all is
    /// clipped together.
    pub norms: Vec<(&'static str, Tensor<1>)>,
}

/// The same on the host.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Numbers {
    /// Loss terms as they enter the total, by name.
    pub terms: Vec<(&'static str, f64)>,
    /// Gradient norms before clipping, by the name of the part.
    pub norms: Vec<(&'static str, f64)>,
}

impl StepNumbers {
    /// Waits until the step is done and reads its numbers, all at once.
    pub fn read(self) -> Numbers {
        Self::read_all(vec![self]).remove(0)
    }

    /// The same for several steps, at the price of one.
    pub fn read_all(steps: Vec<Self>) -> Vec<Numbers> {
        let (mut names, mut tensors) = (Vec::new(), Vec::new());
        for Self { terms, norms } in steps {
            let mut take = |numbers: Vec<(&'static str, Tensor<1>)>| -> Vec<&'static str> {
                let numbers = numbers.into_iter();
                numbers
                    .map(|(name, number)| {
                        tensors.push(number.without_autodiff());
                        name
                    })
                    .collect()
            };
            names.push((take(terms), take(norms)));
        }
        if tensors.is_empty() {
            return Vec::new();
        }
        let values = host_values(Tensor::cat(tensors, 0));
        let mut values = values.into_iter().map(f64::from);
        let mut with = |names: Vec<&'static str>| names.into_iter().zip(values.by_ref()).collect();
        names
            .into_iter()
            .map(|(terms, norms)| Numbers {
                terms: with(terms),
                norms: with(norms),
            })
            .collect()
    }
}

impl Numbers {
    /// The first number that is not finite: loss terms before gradients.
    pub fn fault(&self) -> Option<Fault> {
        let whole = self.norms.len() == 1;
        let norms = self.norms.iter().map(|&(part, norm)| match whole {
            true => ("grad_norm".to_owned(), norm),
            false => (format!("grad_norm of {part}"), norm),
        });
        let terms = self.terms.iter();
        let terms = terms.map(|&(name, value)| (name.to_owned(), value));
        Fault::first_of(terms.chain(norms))
    }

    /// The total loss.
    pub fn loss(&self) -> f64 {
        self.terms.iter().map(|(_, value)| value).sum()
    }
}

/// What became of a stage by the gradients of a step, or by leaving them out.
#[derive(Debug, Clone, Default)]
pub struct StepUpdate {
    /// Base learning rate.
    pub learning_rate: f64,
    /// What else was measured after this step, by name, such as the loss of validation galaxies; a step that
    /// measures something always gets a line of `metrics.jsonl`.
    pub measured: Vec<(&'static str, f64)>,
}

/// What one step did, as far as it is known without waiting for the device.
#[derive(Debug, Clone)]
pub struct StepOutcome {
    /// Loss terms and gradient norms.
    pub numbers: StepNumbers,
    /// What became of the stage.
    pub update: StepUpdate,
}

impl StepOutcome {
    /// Waits until the step is done and reads its numbers, all at once.
    pub fn read(self) -> StepReport {
        StepReport::new(self.numbers.read(), self.update)
    }
}

/// What one step did.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// Loss terms as they enter the total, by name.
    pub terms: Vec<(&'static str, f64)>,
    /// Base learning rate.
    pub learning_rate: f64,
    /// Gradient norm before clipping; the largest where parts are clipped apart.
    pub grad_norm: f64,
    /// Gradient norms of the parts that are clipped apart, by name; none where all is clipped together.
    pub part_norms: Vec<(&'static str, f64)>,
    /// As [`StepUpdate::measured`].
    pub measured: Vec<(&'static str, f64)>,
}

impl StepReport {
    pub(super) fn new(numbers: Numbers, update: StepUpdate) -> Self {
        let Numbers { terms, norms } = numbers;
        Self {
            terms,
            learning_rate: update.learning_rate,
            grad_norm: norms.iter().map(|(_, norm)| *norm).fold(0.0, larger),
            part_norms: if norms.len() > 1 { norms } else { Vec::new() },
            measured: update.measured,
        }
    }

    /// The total loss.
    pub fn loss(&self) -> f64 {
        self.terms.iter().map(|(_, value)| value).sum()
    }
}

/// The larger of two numbers; NaN if one is.
fn larger(a: f64, b: f64) -> f64 {
    if a >= b || a.is_nan() { a } else { b }
}

/// One training stage: model, losses, optimiser and everything else that changes from step to step.
///
/// A step is two calls: [`Objective::gradients`], and then [`Objective::update`] or [`Objective::skip`].
pub trait Objective {
    /// What the loader delivers for one step.
    type Batch;

    /// Forward and backward. `step` counts from 0. Nothing is read from the device, so that its next work is ready
    /// before it has done this.
    ///
    /// # Errors
    ///
    /// When the batch cannot be used.
    fn gradients(&mut self, step: u64, batch: Self::Batch) -> Result<StepGradients>;

    /// Takes the step down the gradients, which are those of the same `step`.
    ///
    /// # Errors
    ///
    /// When what is measured after the step fails.
    fn update(&mut self, step: u64, gradients: Gradients) -> Result<StepUpdate>;

    /// Leaves the step out: all that a checkpoint would hold is what it was before [`Objective::gradients`].
    ///
    /// # Errors
    ///
    /// As [`Objective::update`].
    fn skip(&mut self, step: u64) -> Result<StepUpdate>;

    /// Whether the run ends after the steps that are `done`, although it could have more: as a function of what a
    /// checkpoint holds.
    fn is_complete(&self, _done: u64) -> bool {
        false
    }

    /// Everything that changes, for a later [`Objective::restore`]. Of several ranks all call this, or
    /// [`Objective::lend`], at the same time.
    fn checkpoint(&self, step: u64) -> Checkpoint;

    /// Gives other ranks what only this one has of their [`Objective::checkpoint`].
    fn lend(&self) {}

    /// Takes up a checkpoint.
    ///
    /// # Errors
    ///
    /// When it is of another model.
    fn restore(&mut self, checkpoint: Checkpoint) -> Result<()>;

    /// Forward, backward, update, whatever the numbers are.
    ///
    /// # Errors
    ///
    /// As the two.
    fn step(&mut self, step: u64, batch: Self::Batch) -> Result<StepOutcome> {
        let StepGradients {
            numbers, gradients, ..
        } = self.gradients(step, batch)?;
        let update = self.update(step, gradients)?;
        Ok(StepOutcome { numbers, update })
    }
}
