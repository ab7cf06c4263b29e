//! Gradients by parameter name: sums over parts of a batch, and clipping.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients as Tape, Tensor};

use super::GradientNumbers;
use crate::base::ranks::Ranks;
use crate::network::ops::{sums_of_squares, sums_over};
use crate::network::weights::{ModulePath, host_values};

/// Gradients by parameter name, flattened, outside automatic differentiation.
#[derive(Debug, Default)]
pub struct Gradients {
    by_name: BTreeMap<String, Tensor<1>>,
    /// Factors `(1,)` on the gradients whose names begin so.
    factors: Vec<(String, Tensor<1>)>,
}

/// The gradient of one parameter: the product of two tensors that nobody has multiplied yet.
pub(super) struct Gradient {
    /// `(count,)`.
    pub(super) values: Tensor<1>,
    /// `(1,)`.
    pub(super) factor: Tensor<1>,
}

/// Names, numbers of values and devices of the parameters of a module that are trained.
#[derive(Default)]
pub(super) struct Trainable {
    path: ModulePath,
    pub(super) all: Vec<(String, usize, Device)>,
}

impl ModuleVisitor for Trainable {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            let device = param.val().device().inner();
            let count = param.dims().iter().product();
            self.all.push((self.path.name(), count, device));
        }
    }
}

impl Trainable {
    pub(super) fn of<M: Module>(module: &M) -> Self {
        let mut parameters = Self::default();
        module.visit(&mut parameters);
        parameters
    }
}

impl Gradients {
    /// Takes the gradients of `module`'s parameters from the tape; parameters that the loss did not
    /// touch have none.
    pub fn collect<M: Module>(module: &M, tape: &mut Tape) -> Self {
        struct Collect<'a> {
            path: ModulePath,
            tape: &'a mut Tape,
            by_name: BTreeMap<String, Tensor<1>>,
        }
        impl ModuleVisitor for Collect<'_> {
            fn enter_module(&mut self, name: &str, container: &str) {
                self.path.enter(name, container);
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.path.exit();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if let Some(gradient) = param.val().grad_remove(self.tape) {
                    let count: usize = gradient.dims().iter().product();
                    self.by_name
                        .insert(self.path.name(), gradient.reshape([count]));
                }
            }
        }
        let mut visitor = Collect {
            path: ModulePath::default(),
            tape,
            by_name: BTreeMap::new(),
        };
        module.visit(&mut visitor);
        Self {
            by_name: visitor.by_name,
            factors: Vec::new(),
        }
    }

    /// The values of every parameter's gradient before clipping, read from the device one after the other.
    pub fn on_host(&self) -> impl Iterator<Item = (&str, Vec<f32>)> {
        let gradients = self.by_name.iter();
        gradients.map(|(name, gradient)| (name.as_str(), host_values(gradient.clone())))
    }

    /// Takes out the gradient of a parameter, if it has one.
    pub(super) fn take(&mut self, name: &str) -> Option<Gradient> {
        let values = self.by_name.remove(name)?;
        let factor = self
            .factors
            .iter()
            .find(|(prefix, _)| name.starts_with(prefix));
        let factor = match factor {
            Some((_, factor)) => factor.clone(),
            None => Tensor::ones([1], &values.device()),
        };
        Some(Gradient { values, factor })
    }

    /// Adds those of another part of the batch.
    pub fn add(&mut self, other: Self) {
        for (name, gradient) in other.by_name {
            let sum = match self.by_name.remove(&name) {
                Some(before) => before + gradient,
                None => gradient,
            };
            self.by_name.insert(name, sum);
        }
    }

    /// Sums them over the ranks, parameter by parameter of `module`; those that a rank has no gradient of
    /// count as zero there. They travel as `numbers`.
    pub fn sum_over<M: Module>(&mut self, ranks: &Ranks, module: &M, numbers: GradientNumbers) {
        if ranks.is_alone() {
            return;
        }
        let parameters = Trainable::of(module);
        let held = |(name, ..): &(String, usize, Device)| {
            f32::from(u8::from(self.by_name.contains_key(name)))
        };
        let mut held: Vec<f32> = parameters.all.iter().map(held).collect();
        ranks.sum(&mut held);
        let anywhere = parameters.all.into_iter().zip(held);
        let mut names = Vec::new();
        let mut gradients = Vec::new();
        for ((name, count, device), _) in anywhere.filter(|(_, held)| *held > 0.0) {
            let gradient = self.by_name.remove(&name);
            gradients.push(gradient.unwrap_or_else(|| Tensor::zeros([count], &device)));
            names.push(name);
        }
        let sums = sums_over(ranks, gradients, numbers == GradientNumbers::Bf16);
        self.by_name.extend(names.into_iter().zip(sums));
    }

    /// Scales the gradients whose name starts with `prefix`, once, so that their joint norm is at most
    /// `limit`; returns the norm before, `(1,)`. Nothing is read from the device.
    pub fn clip(&mut self, prefix: &str, limit: f64, device: &Device) -> Tensor<1> {
        let selected = self.by_name.iter();
        let selected = selected.filter(|(name, _)| name.starts_with(prefix));
        let selected: Vec<_> = selected.map(|(_, gradient)| gradient.clone()).collect();
        if selected.is_empty() {
            return Tensor::zeros([1], &device.clone().inner());
        }
        let norm = sums_of_squares(selected).sum().sqrt();
        if limit.is_finite() {
            // The same guard as in PyTorch's `clip_grad_norm_`.
            let factor = ((norm.clone() + 1e-6).recip() * limit).clamp_max(1.0);
            self.factors.push((prefix.to_owned(), factor));
        }
        norm
    }
}
