//! A teacher as the running mean of its student.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::network::ops::{AnyTensor, moved_means};

/// Moves `average` towards `latest`: average ← momentum · average + (1 − momentum) · latest (paper
/// eq. A4). `average` lives without automatic differentiation.
pub fn ema_update<M: Module>(average: M, latest: &M, momentum: f64) -> M {
    struct All(Vec<AnyTensor>);
    impl ModuleVisitor for All {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.val().without_autodiff().into_dispatch());
        }
    }
    struct Replace(std::vec::IntoIter<AnyTensor>);
    impl ModuleMapper for Replace {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let moved = self.0.next().expect("as many as were visited");
            param.map(|_| Tensor::from_dispatch(moved))
        }
    }
    let mut means = All(Vec::new());
    average.visit(&mut means);
    let mut last = All(Vec::new());
    latest.visit(&mut last);
    let moved = moved_means(means.0, last.0, momentum);
    average.map(&mut Replace(moved.into_iter()))
}
