//! What a forward pass changes in a model, and its way back.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::network::weights::ModulePath;

/// Tensors of a module that follow the batches and not the gradients, flattened: running statistics.
#[derive(Debug, Default)]
pub(super) struct Buffers(BTreeMap<String, Tensor<1>>);

impl Buffers {
    /// Those of `module` as they are now; nothing is copied.
    pub(super) fn of<M: Module>(module: &M) -> Self {
        struct Collect(ModulePath, BTreeMap<String, Tensor<1>>);
        impl ModuleVisitor for Collect {
            fn enter_module(&mut self, name: &str, container: &str) {
                self.0.enter(name, container);
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.0.exit();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if !param.is_require_grad() {
                    let count: usize = param.dims().iter().product();
                    self.1.insert(self.0.name(), param.val().reshape([count]));
                }
            }
        }
        let mut visitor = Collect(ModulePath::default(), BTreeMap::new());
        module.visit(&mut visitor);
        Self(visitor.1)
    }

    /// `module` with these in their places.
    pub(super) fn restore<M: Module>(self, module: M) -> M {
        struct Restore(ModulePath, BTreeMap<String, Tensor<1>>);
        impl ModuleMapper for Restore {
            fn enter_module(&mut self, name: &str, container: &str) {
                self.0.enter(name, container);
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.0.exit();
            }
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                match self.1.remove(&self.0.name()) {
                    Some(values) => param.map(|now| values.reshape(now.dims())),
                    None => param,
                }
            }
        }
        module.map(&mut Restore(ModulePath::default(), self.0))
    }
}
