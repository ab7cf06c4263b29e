//! Parameters by name, and their way in and out of modules.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use super::{NamedTensor, TensorMap};
use crate::base::error::{Error, Result};

/// Where a visitor or mapper stands in a module tree.
#[derive(Debug, Default)]
pub struct ModulePath {
    names: Vec<String>,
    containers: Vec<String>,
}

impl ModulePath {
    /// Steps into field `name` of a `container`, as burn's visitors announce it.
    pub fn enter(&mut self, name: &str, container: &str) {
        self.names.push(name.to_owned());
        self.containers.push(container.to_owned());
    }

    /// Steps out again.
    pub fn exit(&mut self) {
        self.names.pop();
        self.containers.pop();
    }

    /// The dotted name, such as `blocks.0.attn.qkv.weight`.
    pub fn name(&self) -> String {
        self.names.join(".")
    }

    /// Whether the current parameter is the matrix of a [`Linear`](crate::network::nn::Linear), which files hold
    /// transposed.
    fn is_linear_weight(&self) -> bool {
        self.containers
            .last()
            .is_some_and(|container| container.ends_with("Linear"))
            && self.names.last().is_some_and(|name| name == "weight")
    }
}

/// Copies all parameters of `module` to the host.
pub fn named_parameters<M: Module>(module: &M) -> TensorMap {
    struct Collect {
        path: ModulePath,
        tensors: TensorMap,
    }
    impl ModuleVisitor for Collect {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let mut tensor = param.val();
            if self.path.is_linear_weight() {
                tensor = tensor.transpose();
            }
            self.tensors.insert(
                self.path.name(),
                NamedTensor {
                    shape: tensor.dims().to_vec(),
                    values: host_values(tensor),
                },
            );
        }
    }
    let mut visitor = Collect {
        path: ModulePath::default(),
        tensors: TensorMap::new(),
    };
    module.visit(&mut visitor);
    visitor.tensors
}

/// Numbers in `module` that training changes by their gradients: not the running statistics of batch
/// normalization.
pub fn trainable_parameters<M: Module>(module: &M) -> usize {
    struct Count(usize);
    impl ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.val().is_require_grad() {
                self.0 += param.dims().iter().product::<usize>();
            }
        }
    }
    let mut visitor = Count(0);
    module.visit(&mut visitor);
    visitor.0
}

/// Values of a float tensor in row-major order.
pub fn host_values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .into_data()
        .try_into_vec()
        .expect("parameters are f32 tensors")
}

/// Replaces every parameter of `module` by the tensor of its name.
///
/// # Errors
///
/// Names all tensors that are missing or have another shape, and all that the module has no place for.
pub fn assign<M: Module>(module: M, mut tensors: TensorMap) -> Result<M> {
    struct Assign<'a> {
        path: ModulePath,
        tensors: &'a mut TensorMap,
        faults: Vec<String>,
    }
    impl ModuleMapper for Assign<'_> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let name = self.path.name();
            let transposed = self.path.is_linear_weight();
            let mut expected = param.dims().to_vec();
            if transposed {
                expected.reverse();
            }
            let Some(tensor) = self.tensors.remove(&name) else {
                self.faults.push(format!("`{name}` is missing"));
                return param;
            };
            if tensor.shape != expected {
                self.faults.push(format!(
                    "`{name}` has shape {:?}, expected {expected:?}",
                    tensor.shape
                ));
                return param;
            }
            param.map(|old| {
                let data = TensorData::new(tensor.values, tensor.shape);
                let device = old.device();
                let mut new = Tensor::<D>::from_data(data, &device.clone().inner());
                if transposed {
                    new = new.transpose();
                    // A copy in the module's own layout: later steps read it row by row.
                    let dims = new.dims();
                    new = Tensor::from_data(
                        TensorData::new(host_values(new), dims),
                        &device.clone().inner(),
                    );
                }
                if device.is_autodiff() {
                    Tensor::from_inner(new).set_require_grad(old.is_require_grad())
                } else {
                    new
                }
            })
        }
    }
    let mut mapper = Assign {
        path: ModulePath::default(),
        tensors: &mut tensors,
        faults: Vec::new(),
    };
    let module = module.map(&mut mapper);
    let mut faults = mapper.faults;
    faults.extend(
        tensors
            .keys()
            .map(|name| format!("`{name}` is not expected")),
    );
    match faults.is_empty() {
        true => Ok(module),
        false => Err(Error::input(summary(&faults))),
    }
}

fn summary(faults: &[String]) -> String {
    const SHOWN: usize = 8;
    let mut text = faults[..faults.len().min(SHOWN)].join("; ");
    if faults.len() > SHOWN {
        text += &format!("; and {} more", faults.len() - SHOWN);
    }
    text
}
