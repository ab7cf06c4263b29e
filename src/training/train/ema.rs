//! A teacher as the running mean of its student.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::network::weights::ModulePath;

/// Moves `average` towards `latest`: average ← momentum · average + (1 − momentum) · latest (paper
/// eq. A4). `average` lives without automatic differentiation.
pub fn ema_update<M: Module>(average: M, latest: &M, momentum: f64) -> M {
    struct Latest(BTreeMap<String, Tensor<1>>, ModulePath);
    impl ModuleVisitor for Latest {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.1.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.1.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let count: usize = param.dims().iter().product();
            let flat = param.val().without_autodiff().reshape([count]);
            self.0.insert(self.1.name(), flat);
        }
    }
    struct Average(BTreeMap<String, Tensor<1>>, ModulePath, f64);
    impl ModuleMapper for Average {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.1.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.1.exit();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let latest = self
                .0
                .remove(&self.1.name())
                .expect("both modules are alike");
            param.map(|old| {
                let dims = old.dims();
                old * self.2 + latest.reshape(dims) * (1.0 - self.2)
            })
        }
    }
    let mut visitor = Latest(BTreeMap::new(), ModulePath::default());
    latest.visit(&mut visitor);
    average.map(&mut Average(visitor.0, ModulePath::default(), momentum))
}
