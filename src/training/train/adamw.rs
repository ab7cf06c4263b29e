//! AdamW with a rule per parameter; the arithmetic of a step is in `ops`.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::Gradients;
use super::shards::Shards;
use crate::base::error::{ABOVE_0, Check, Error, Result};
use crate::base::ranks::Ranks;
use crate::network::ops::{AdamWConstants, AnyTensor, Moments, Parameter, adamw};
use crate::network::weights::{ModulePath, NamedTensor, TensorMap, host_values};

/// Constants of AdamW (Loshchilov & Hutter 2019), named and defaulted as in PyTorch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamWConfig {
    /// Decay of the first moment, in [0, 1).
    pub beta1: f64,
    /// Decay of the second moment, in [0, 1).
    pub beta2: f64,
    /// Added to the root of the second moment, above 0.
    pub epsilon: f64,
}

impl AdamWConfig {
    /// Checks all values; `path` stands in front of the fields' names.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.number("beta1", self.beta1, 0.0..1.0)?;
        check.number("beta2", self.beta2, 0.0..1.0)?;
        check.number("epsilon", self.epsilon, ABOVE_0)
    }
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        }
    }
}

/// How one parameter follows the schedules.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParameterRule {
    /// Learning rate of this parameter at this step.
    pub learning_rate: f64,
    /// Weight decay of this parameter at this step.
    pub weight_decay: f64,
}

/// AdamW with a rule per parameter; learning rate and weight decay may change at every step.
#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    device: Device,
    steps: u64,
    moments: BTreeMap<String, Moments>,
    /// Steps before a parameter's first gradient, for those that had none at the first step: corrections of the bias count
    /// from there.
    begun: BTreeMap<String, u64>,
    /// The parameters that are this rank's, where each rank has some.
    shards: Option<Shards>,
}

impl AdamW {
    /// No moments yet; `device` is where the parameters live.
    pub fn new(config: AdamWConfig, device: &Device) -> Self {
        Self {
            config,
            device: device.clone().inner(),
            steps: 0,
            moments: BTreeMap::new(),
            begun: BTreeMap::new(),
            shards: None,
        }
    }

    /// Shares moments and updates with other ranks: each has those of some parameters of `module`. All take their steps
    /// with the same gradients.
    pub fn sharded<M: Module>(self, module: &M, ranks: &Ranks) -> Self {
        Self {
            shards: Some(Shards::of(module, ranks)),
            ..self
        }
    }

    /// One step: every parameter of `module` with a gradient is updated under `rule(name)`.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        gradients: Gradients,
        rule: impl Fn(&str) -> ParameterRule,
    ) -> M {
        self.steps += 1;
        let mut asked = Ask {
            path: ModulePath::default(),
            gradients,
            optimizer: self,
            rule,
            names: Vec::new(),
            parameters: Vec::new(),
            of_others: BTreeSet::new(),
        };
        module.visit(&mut asked);
        let Ask {
            names,
            parameters,
            of_others,
            ..
        } = asked;
        let updated: BTreeSet<String> = names.iter().cloned().chain(of_others).collect();
        let mut weights = BTreeMap::new();
        for (name, (weight, moments)) in names.into_iter().zip(adamw(parameters)) {
            self.moments.insert(name.clone(), moments);
            weights.insert(name, weight);
        }
        let module = module.map(&mut Replace {
            path: ModulePath::default(),
            weights,
        });
        match &self.shards {
            Some(shards) => shards.spread(module, &updated),
            None => module,
        }
    }

    /// Moments and step count, for a checkpoint. Where they are shared with other ranks, those of all: all ranks call this,
    /// or [`AdamW::lend`], at the same time.
    pub fn state(&self) -> (u64, TensorMap) {
        let mut tensors = TensorMap::new();
        let mut insert = |name: &str, state: Vec<Vec<f32>>| {
            for (kind, values) in KINDS.iter().zip(state) {
                let shape = vec![values.len()];
                tensors.insert(format!("{kind}.{name}"), NamedTensor { shape, values });
            }
        };
        match &self.shards {
            Some(shards) => {
                shards.gather(
                    |name| self.state_of(name),
                    |name, state| insert(name, state),
                );
            }
            None => {
                for name in self.moments.keys() {
                    insert(name, self.state_of(name));
                }
            }
        }
        (self.steps, tensors)
    }

    /// Gives other ranks what this one has of their [`AdamW::state`].
    pub fn lend(&self) {
        if let Some(shards) = &self.shards {
            shards.gather(|name| self.state_of(name), |_, _| ());
        }
    }

    /// First and second moments of a parameter and, where it has any, the steps before it began; nothing before its first
    /// step.
    fn state_of(&self, name: &str) -> Vec<Vec<f32>> {
        let Some(Moments { first, second }) = self.moments.get(name) else {
            return Vec::new();
        };
        // Exact in f32 up to 16 million.
        let begun = self.begun.get(name).map(|&begun| vec![begun as f32]);
        let moments = [first, second].map(|moment| host_values(moment.clone()));
        moments.into_iter().chain(begun).collect()
    }

    /// Whether another rank updates a parameter.
    fn is_of_another(&self, name: &str) -> bool {
        let shards = self.shards.as_ref();
        shards.is_some_and(|shards| !shards.is_own(name))
    }

    /// Takes up a state written by [`AdamW::state`].
    ///
    /// # Errors
    ///
    /// When a first moment lacks its second or a name is of no kind.
    pub fn restore(&mut self, steps: u64, mut tensors: TensorMap) -> Result<()> {
        let names: Vec<String> = tensors
            .keys()
            .filter_map(|name| name.strip_prefix("first.").map(str::to_owned))
            .collect();
        self.steps = steps;
        self.moments.clear();
        self.begun.clear();
        for name in names {
            let mut take = |kind: &str| {
                let key = format!("{kind}.{name}");
                let tensor = tensors
                    .remove(&key)
                    .ok_or_else(|| Error::input(format!("optimiser state lacks `{key}`")))?;
                Ok::<_, Error>(TensorData::new(tensor.values, tensor.shape))
            };
            let (first, second) = (take("first")?, take("second")?);
            let begun = tensors.remove(&format!("begun.{name}"));
            if self.is_of_another(&name) {
                continue;
            }
            if let Some(begun) = begun {
                let begun = begun.values.first().copied().unwrap_or_default();
                self.begun.insert(name.clone(), begun as u64);
            }
            let moments = Moments {
                first: Tensor::from_data(first, &self.device),
                second: Tensor::from_data(second, &self.device),
            };
            self.moments.insert(name, moments);
        }
        match tensors.keys().next() {
            Some(name) => Err(Error::input(format!(
                "optimiser state holds `{name}`, which is no `first.…` with its `second.…` and `begun.…`"
            ))),
            None => Ok(()),
        }
    }
}

/// What there is of a parameter in a state, in the order of [`AdamW::state_of`].
const KINDS: [&str; 3] = ["first", "second", "begun"];

/// Gathers the parameters that have gradients.
struct Ask<'a, R> {
    path: ModulePath,
    gradients: Gradients,
    optimizer: &'a mut AdamW,
    rule: R,
    names: Vec<String>,
    parameters: Vec<Parameter>,
    /// Names of those that other ranks update.
    of_others: BTreeSet<String>,
}

impl<R: Fn(&str) -> ParameterRule> ModuleVisitor for Ask<'_, R> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.name();
        let Some(gradient) = self.gradients.take(&name) else {
            return;
        };
        if self.optimizer.is_of_another(&name) {
            self.of_others.insert(name);
            return;
        }
        let rule = (self.rule)(&name);
        let AdamWConfig {
            beta1,
            beta2,
            epsilon,
        } = self.optimizer.config;
        let moments = match self.optimizer.moments.remove(&name) {
            Some(moments) => moments,
            None => {
                if self.optimizer.steps > 1 {
                    let begun = self.optimizer.steps - 1;
                    self.optimizer.begun.insert(name.clone(), begun);
                }
                let zeros = gradient.values.zeros_like();
                Moments {
                    first: zeros.clone(),
                    second: zeros,
                }
            }
        };
        let begun = self.optimizer.begun.get(&name).copied().unwrap_or(0);
        let steps = (self.optimizer.steps - begun) as f64;
        let (correction1, correction2) = (1.0 - beta1.powf(steps), 1.0 - beta2.powf(steps));
        self.names.push(name);
        self.parameters.push(Parameter {
            weight: param.val().inner().into_dispatch(),
            gradient: gradient.values,
            factor: gradient.factor,
            moments,
            constants: AdamWConstants {
                beta1,
                beta2,
                epsilon,
                rate: rule.learning_rate / correction1,
                root_correction: correction2.sqrt(),
                kept: 1.0 - rule.learning_rate * rule.weight_decay,
            },
        });
    }
}

/// Puts new weights in place of the old.
struct Replace {
    path: ModulePath,
    weights: BTreeMap<String, AnyTensor>,
}

impl ModuleMapper for Replace {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(weight) = self.weights.remove(&self.path.name()) else {
            return param;
        };
        param.map(|_| {
            let weight: Tensor<D> = Tensor::from_dispatch(weight);
            Tensor::from_inner(weight).require_grad()
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::network::nn::{Initializer, Linear};
    use crate::network::weights::host_values;

    #[test]
    fn a_parameter_that_begins_later_moves_as_at_a_first_step_also_after_a_restore() {
        let device = Device::flex().autodiff();
        let rule = |_: &str| ParameterRule {
            learning_rate: 0.1,
            weight_decay: 0.0,
        };
        let config = AdamWConfig::default();
        let mut optimizer = AdamW::new(config.clone(), &device);
        let mut layer = Linear::new(1, 1, 0.1, &mut Initializer::new(0, &device));
        let mut step = |optimizer: &mut AdamW, with_weight: bool| {
            let mut loss = layer.bias.val().sum();
            if with_weight {
                loss = loss + layer.weight.val().sum();
            }
            let gradients = Gradients::collect(&layer, &mut loss.backward());
            let before = host_values(layer.weight.val())[0];
            layer = optimizer.step(layer.clone(), gradients, rule);
            before - host_values(layer.weight.val())[0]
        };
        for _ in 0..3 {
            assert_eq!(step(&mut optimizer, false), 0.0);
        }
        let moved = step(&mut optimizer, true);
        assert!((moved - 0.1).abs() < 1e-6, "{moved}");
        let (steps, state) = optimizer.state();
        let mut restored = AdamW::new(config, &device);
        restored.restore(steps, state).expect("its own state");
        let moved = step(&mut restored, true);
        assert!((moved - 0.1).abs() < 1e-6, "{moved}");
    }
}
