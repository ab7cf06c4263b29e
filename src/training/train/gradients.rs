//! Gradients by parameter name: sums over parts of a batch, and clipping.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients as Tape, Tensor};

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

    /// Scales the gradients whose name starts with `prefix`, once, so that their joint norm is at most
    /// `limit`; returns the norm before, `(1,)`. Nothing is read from the device.
    pub fn clip(&mut self, prefix: &str, limit: f64, device: &Device) -> Tensor<1> {
        let selected = || {
            self.by_name
                .iter()
                .filter(|(name, _)| name.starts_with(prefix))
        };
        let squares: Vec<Tensor<1>> = selected()
            .map(|(_, gradient)| gradient.clone().square().sum())
            .collect();
        if squares.is_empty() {
            return Tensor::zeros([1], &device.clone().inner());
        }
        let norm = Tensor::cat(squares, 0).sum().sqrt();
        if limit.is_finite() {
            // The same guard as in PyTorch's `clip_grad_norm_`.
            let factor = ((norm.clone() + 1e-6).recip() * limit).clamp_max(1.0);
            self.factors.push((prefix.to_owned(), factor));
        }
        norm
    }
}
