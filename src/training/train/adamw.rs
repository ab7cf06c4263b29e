//! AdamW with a rule per parameter; the arithmetic of a step is in `ops`.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::Gradients;
use crate::base::error::{ABOVE_0, Check, Error, Result};
use crate::network::ops::{AdamWConstants, Moments, adamw};
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
}

impl AdamW {
    /// No moments yet; `device` is where the parameters live.
    pub fn new(config: AdamWConfig, device: &Device) -> Self {
        Self {
            config,
            device: device.clone().inner(),
            steps: 0,
            moments: BTreeMap::new(),
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
        let mut mapper = Update {
            path: ModulePath::default(),
            gradients,
            corrections: (
                1.0 - self.config.beta1.powf(self.steps as f64),
                1.0 - self.config.beta2.powf(self.steps as f64),
            ),
            optimizer: self,
            rule,
        };
        module.map(&mut mapper)
    }

    /// Moments and step count, for a checkpoint.
    pub fn state(&self) -> (u64, TensorMap) {
        let mut tensors = TensorMap::new();
        for (name, moments) in &self.moments {
            for (kind, tensor) in [("first", &moments.first), ("second", &moments.second)] {
                let values = host_values(tensor.clone());
                let shape = vec![values.len()];
                tensors.insert(format!("{kind}.{name}"), NamedTensor { shape, values });
            }
        }
        (self.steps, tensors)
    }

    /// Takes up a state written by [`AdamW::state`].
    ///
    /// # Errors
    ///
    /// When a first moment lacks its second or a name is of neither kind.
    pub fn restore(&mut self, steps: u64, mut tensors: TensorMap) -> Result<()> {
        let names: Vec<String> = tensors
            .keys()
            .filter_map(|name| name.strip_prefix("first.").map(str::to_owned))
            .collect();
        self.steps = steps;
        self.moments.clear();
        for name in names {
            let mut take = |kind: &str| {
                let key = format!("{kind}.{name}");
                let tensor = tensors
                    .remove(&key)
                    .ok_or_else(|| Error::input(format!("optimiser state lacks `{key}`")))?;
                let data = TensorData::new(tensor.values, tensor.shape);
                Ok::<_, Error>(Tensor::from_data(data, &self.device))
            };
            let moments = Moments {
                first: take("first")?,
                second: take("second")?,
            };
            self.moments.insert(name, moments);
        }
        match tensors.keys().next() {
            Some(name) => Err(Error::input(format!(
                "optimiser state holds `{name}`, which is neither `first.…` nor `second.…`"
            ))),
            None => Ok(()),
        }
    }
}

struct Update<'a, R> {
    path: ModulePath,
    gradients: Gradients,
    corrections: (f64, f64),
    optimizer: &'a mut AdamW,
    rule: R,
}

impl<R: Fn(&str) -> ParameterRule> ModuleMapper for Update<'_, R> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        let Some(gradient) = self.gradients.take(&name) else {
            return param;
        };
        let rule = (self.rule)(&name);
        let AdamWConfig {
            beta1,
            beta2,
            epsilon,
        } = self.optimizer.config;
        let (correction1, correction2) = self.corrections;
        let constants = AdamWConstants {
            beta1,
            beta2,
            epsilon,
            rate: rule.learning_rate / correction1,
            root_correction: correction2.sqrt(),
            kept: 1.0 - rule.learning_rate * rule.weight_decay,
        };
        let moments = match self.optimizer.moments.remove(&name) {
            Some(moments) => moments,
            None => {
                let zeros = gradient.values.zeros_like();
                Moments {
                    first: zeros.clone(),
                    second: zeros,
                }
            }
        };
        let all_moments = &mut self.optimizer.moments;
        param.map(|old| {
            let dims = old.dims();
            let [count] = gradient.values.dims();
            let weight = old.inner().reshape([count]);
            let (weight, moments) =
                adamw(weight, gradient.values, gradient.factor, moments, constants);
            all_moments.insert(name, moments);
            Tensor::from_inner(weight.reshape(dims)).require_grad()
        })
    }
}
