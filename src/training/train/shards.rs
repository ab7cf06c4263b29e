//! Which rank keeps the optimiser's moments of which parameter, and what it gives to the others of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::gradients::Trainable;
use crate::base::ranks::Ranks;
use crate::network::ops::each_from;
use crate::network::weights::ModulePath;

/// A module's parameters, shared out among ranks (Rajbhandari et al. 2020, the optimiser states of ZeRO). Parameters stay
/// whole, so that what is done to one is done on one rank.
#[derive(Debug)]
pub(super) struct Shards {
    ranks: Ranks,
    /// Rank of each parameter.
    owners: BTreeMap<String, usize>,
}

impl Shards {
    /// Shares out the parameters of `module`, so that ranks have about as many values.
    pub(super) fn of<M: Module>(module: &M, ranks: &Ranks) -> Self {
        let parameters = Trainable::of(module).all.into_iter();
        let sizes = parameters.map(|(name, count, _)| (name, count)).collect();
        Self {
            owners: shared_out(sizes, ranks.size()),
            ranks: ranks.clone(),
        }
    }

    /// Whether a parameter is this rank's.
    pub(super) fn is_own(&self, name: &str) -> bool {
        self.owners.get(name) == Some(&self.ranks.seat().rank)
    }

    /// Gives all ranks the weights of `module` that are `updated`, each from the rank that has them.
    pub(super) fn spread<M: Module>(&self, module: M, updated: &BTreeSet<String>) -> M {
        let mut found = Weights {
            path: ModulePath::default(),
            shards: self,
            updated,
            names: Vec::new(),
            weights: Vec::new(),
        };
        module.visit(&mut found);
        let Weights { names, weights, .. } = found;
        let weights = each_from(&self.ranks, weights);
        let of_others = names.into_iter().zip(weights);
        module.map(&mut Replace {
            path: ModulePath::default(),
            weights: of_others.filter(|(name, _)| !self.is_own(name)).collect(),
        })
    }

    /// Lets `take` have what the rank of each parameter has `of` it, some lists of numbers.
    pub(super) fn gather(
        &self,
        of: impl Fn(&str) -> Vec<Vec<f32>>,
        mut take: impl FnMut(&str, Vec<Vec<f32>>),
    ) {
        for (name, &owner) in &self.owners {
            let own = match owner == self.ranks.seat().rank {
                true => of(name),
                false => Vec::new(),
            };
            let all = self.ranks.gather(&packed(&own));
            let state = unpacked(&all[owner]);
            if !state.is_empty() {
                take(name, state);
            }
        }
    }
}

/// Each with the rank that has it: from the largest to the smallest, to the rank that has the fewest values.
fn shared_out(mut parameters: Vec<(String, usize)>, ranks: usize) -> BTreeMap<String, usize> {
    parameters.sort_by_key(|(_, count)| Reverse(*count));
    let mut held = vec![0; ranks];
    let share = parameters.into_iter().map(|(name, count)| {
        let (rank, has) = held
            .iter_mut()
            .enumerate()
            .min_by_key(|(_, has)| **has)
            .expect("a rank or more");
        *has += count;
        (name, rank)
    });
    share.collect()
}

/// Lists one after the other, each after its length.
fn packed(lists: &[Vec<f32>]) -> Vec<u8> {
    let lists = lists.iter();
    lists
        .flat_map(|list| {
            let count = list.len() as u64;
            [&count.to_ne_bytes(), bytemuck::cast_slice(list)].concat()
        })
        .collect()
}

fn unpacked(mut bytes: &[u8]) -> Vec<Vec<f32>> {
    let mut lists = Vec::new();
    while let Some((count, rest)) = bytes.split_first_chunk() {
        let count = u64::from_ne_bytes(*count) as usize;
        let (list, rest) = rest.split_at(size_of::<f32>() * count);
        let list = list.as_chunks().0.iter().copied();
        lists.push(list.map(f32::from_ne_bytes).collect());
        bytes = rest;
    }
    lists
}

/// Finds the updated parameters, `(count,)` each, with the ranks that have them.
struct Weights<'a> {
    path: ModulePath,
    shards: &'a Shards,
    updated: &'a BTreeSet<String>,
    names: Vec<String>,
    weights: Vec<(usize, Tensor<1>)>,
}

impl ModuleVisitor for Weights<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.name();
        if !self.updated.contains(&name) {
            return;
        }
        if let Some(&owner) = self.shards.owners.get(&name) {
            let values = param.val().inner();
            let count: usize = values.dims().iter().product();
            self.weights.push((owner, values.reshape([count])));
            self.names.push(name);
        }
    }
}

/// Puts the weights of other ranks in place.
struct Replace {
    path: ModulePath,
    weights: BTreeMap<String, Tensor<1>>,
}

impl ModuleMapper for Replace {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(values) = self.weights.remove(&self.path.name()) else {
            return param;
        };
        param.map(|before| {
            let values = values.reshape(before.dims());
            Tensor::from_inner(values).require_grad()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{packed, shared_out, unpacked};

    #[test]
    fn ranks_have_about_as_many_values() {
        let sizes = [1, 64, 8, 64, 8, 8, 1, 40, 32, 16];
        let parameters = (0..sizes.len()).map(|index| (format!("{index}"), sizes[index]));
        let owners = shared_out(parameters.collect(), 3);
        let mut held = [0; 3];
        for (name, rank) in &owners {
            held[*rank] += sizes[name.parse::<usize>().expect("a number")];
        }
        assert_eq!(owners.len(), sizes.len());
        assert_eq!(held.iter().sum::<usize>(), 242);
        assert!(
            held.iter().all(|held| held.abs_diff(242 / 3) <= 8),
            "{held:?}"
        );
    }

    #[test]
    fn lists_travel() {
        let lists = vec![vec![1.0, -2.5], vec![], vec![3.0]];
        assert_eq!(unpacked(&packed(&lists)), lists);
        assert!(unpacked(&[]).is_empty());
    }
}
