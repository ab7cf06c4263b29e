//! An ensemble of flows taken to pieces and put together again, for files.

use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::conditional::{ConditionalFlow, FlowSummary};
use super::ensemble::FlowEnsemble;
use super::layer::{CouplingLayer, Shape};
use super::neighbourhood::{Neighbourhood, NeighbourhoodHead};
use super::network::Weights;
use crate::base::numeric::Standardizer;

/// Tensors of a flow: means and deviations of the context, weights of the context, all other weights.
const TENSORS: usize = 4;
/// Tensors of a neighbourhood, after those of all flows: vectors, targets.
const OF_NEIGHBOURHOOD: usize = 2;

/// What an ensemble is beside its large arrays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::evaluation) struct FlowHead {
    seed: u64,
    flows: Vec<OneHead>,
    #[serde(default)]
    neighbourhood: Option<NeighbourhoodHead>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct OneHead {
    summary: FlowSummary,
    bins: usize,
    /// The dimensions that each layer transforms, and those that it keeps.
    order: Vec<[Vec<usize>; 2]>,
    target_units: Standardizer,
}

impl FlowHead {
    /// How many tensors belong to it.
    pub fn tensors(&self) -> usize {
        let of_neighbourhood = self.neighbourhood.as_ref().map_or(0, |_| OF_NEIGHBOURHOOD);
        TENSORS * self.flows.len() + of_neighbourhood
    }
}

/// A tensor: extent of each axis, values in row-major order.
pub(in crate::evaluation) type Tensor = (Vec<usize>, Vec<f32>);

impl FlowEnsemble {
    /// Its numbers; [`of_parts`](Self::of_parts) makes of them what tells the same to the last bit.
    pub(in crate::evaluation) fn parts(&self) -> (FlowHead, Vec<Tensor>) {
        let mut tensors = Vec::with_capacity(TENSORS * self.flows.len());
        let flows = self.flows.iter().map(|flow| {
            let (mean, scale) = flow.context_units.single();
            for units in [mean, scale] {
                tensors.push((vec![units.len()], units.to_vec()));
            }
            let context = &flow.weights.context;
            tensors.push((context.shape().to_vec(), context.iter().copied().collect()));
            let mut layers = flow.weights.layers.clone();
            let slices = layers.iter_mut().flat_map(CouplingLayer::slices_mut);
            let rest: Vec<f32> = slices.flat_map(|slice| slice.to_vec()).collect();
            tensors.push((vec![rest.len()], rest));
            OneHead {
                summary: flow.summary.clone(),
                bins: flow.weights.layers[0].bins(),
                order: flow
                    .weights
                    .layers
                    .iter()
                    .map(CouplingLayer::order)
                    .collect(),
                target_units: flow.target_units.clone(),
            }
        });
        let flows = flows.collect();
        let neighbourhood = self.neighbourhood.as_ref().map(|neighbourhood| {
            let (head, arrays) = neighbourhood.parts();
            for array in arrays {
                tensors.push((array.shape().to_vec(), array.iter().copied().collect()));
            }
            head.clone()
        });
        let head = FlowHead {
            seed: self.seed,
            flows,
            neighbourhood,
        };
        (head, tensors)
    }

    /// An ensemble of these numbers; `None` where their shapes do not go together.
    pub(in crate::evaluation) fn of_parts(head: FlowHead, tensors: Vec<Tensor>) -> Option<Self> {
        let mut tensors = tensors.into_iter();
        let of_flows = tensors.by_ref();
        let flows = head.flows.into_iter().map(|one| {
            let four = [(); TENSORS].map(|()| of_flows.next());
            let [Some(mean), Some(scale), Some(context), Some(rest)] = four else {
                return None;
            };
            one.put_together(mean, scale, context, rest)
        });
        let flows: Vec<ConditionalFlow> = flows.collect::<Option<_>>()?;
        let neighbourhood = match head.neighbourhood {
            None => None,
            Some(head) => {
                let mut matrix = || {
                    let (shape, values) = tensors.next()?;
                    let [rows, columns] = shape[..] else {
                        return None;
                    };
                    Array2::from_shape_vec((rows, columns), values).ok()
                };
                let arrays = [matrix()?, matrix()?];
                Some(Neighbourhood::of_parts(head, arrays)?)
            }
        };
        let (context, dimensions) = flows.first()?.widths();
        let all_same = flows
            .iter()
            .all(|flow| flow.widths() == (context, dimensions));
        let fits = neighbourhood.as_ref().is_none_or(|neighbourhood| {
            neighbourhood.width() == 2 * dimensions
                && context == neighbourhood.vector_width() + neighbourhood.width()
        });
        (all_same && fits).then_some(Self {
            seed: head.seed,
            flows,
            neighbourhood,
        })
    }

    /// Numbers that it takes of a galaxy, and that it tells of it.
    pub(in crate::evaluation) fn widths(&self) -> (usize, usize) {
        let (context, dimensions) = self.flows[0].widths();
        let said = self.neighbourhood.as_ref().map_or(0, Neighbourhood::width);
        (context - said, dimensions)
    }
}

impl ConditionalFlow {
    fn widths(&self) -> (usize, usize) {
        (self.context_units.mean.len(), self.target_units.mean.len())
    }
}

impl OneHead {
    fn put_together(
        self,
        (_, mean): Tensor,
        (_, scale): Tensor,
        (context_shape, context): Tensor,
        (_, rest): Tensor,
    ) -> Option<ConditionalFlow> {
        let dimensions = self.target_units.mean.len();
        let shape = Shape {
            context: mean.len(),
            dimensions,
            transforms: self.order.len(),
            hidden: self.summary.hidden,
            bins: self.bins,
        };
        let expected = shape.transforms.checked_mul(shape.hidden)?;
        // Each layer has all dimensions, once.
        let is_order = |[transformed, kept]: &[Vec<usize>; 2]| {
            let mut all: Vec<usize> = transformed.iter().chain(kept).copied().collect();
            all.sort_unstable();
            all.into_iter().eq(0..dimensions)
        };
        let fits = mean.len() == scale.len()
            && self.target_units.scale.len() == dimensions
            && self.summary.variates.is_of(dimensions)
            && dimensions > 0
            && shape.transforms > 0
            && shape.bins >= 2
            && context_shape == [expected, shape.context]
            // As many as there are numbers for, before any room is asked for.
            && shape.hidden.checked_mul(shape.hidden)? <= rest.len()
            && shape.bins <= rest.len()
            && self.order.iter().all(is_order);
        if !fits {
            return None;
        }
        let layers = self.order.into_iter().map(|[transformed, kept]| {
            // What is drawn is overwritten.
            CouplingLayer::random(shape, transformed, kept, &mut ChaCha8Rng::seed_from_u64(0))
        });
        let mut weights = Weights {
            context: Array2::from_shape_vec((expected, shape.context), context).ok()?,
            layers: layers.collect(),
        };
        let mut rest = &rest[..];
        for slice in weights
            .layers
            .iter_mut()
            .flat_map(CouplingLayer::slices_mut)
        {
            let (values, others) = rest.split_at_checked(slice.len())?;
            slice.copy_from_slice(values);
            rest = others;
        }
        let double = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
        rest.is_empty().then_some(ConditionalFlow {
            weights,
            context_units: Standardizer {
                mean: double(mean),
                scale: double(scale),
            },
            target_units: self.target_units,
            summary: self.summary,
        })
    }
}
