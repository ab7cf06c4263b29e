//! What a training step does to all parameters, eight at once: the sums of squares of their gradients, AdamW, and the
//! running mean of a teacher.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{Shape, Tensor};

use super::adamw::{AdamWConstants, Moments, step};
use super::eight::{AnyTensor, Eight, in_eights};

/// A parameter before its step; all is `f32`.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Of any shape.
    pub weight: AnyTensor,
    /// `(count,)`.
    pub gradient: Tensor<1>,
    /// `(1,)`, on the gradient.
    pub factor: Tensor<1>,
    /// Of the steps before.
    pub moments: Moments,
    /// The numbers of the step.
    pub constants: AdamWConstants,
}

/// The weights, in their shapes, and moments of parameters after a step of AdamW.
pub fn adamw(parameters: Vec<Parameter>) -> Vec<(AnyTensor, Moments)> {
    let count = parameters.len();
    let size = |parameter: &Parameter| parameter.gradient.dims()[0];
    let after = in_eights(parameters, size)
        .into_iter()
        .flat_map(|parameters| {
            let constants = parameters.each_ref().map(|parameter| parameter.constants);
            let mut parts: [Vec<AnyTensor>; 5] = Default::default();
            for parameter in parameters {
                let Parameter {
                    weight,
                    gradient,
                    factor,
                    moments,
                    ..
                } = parameter;
                let all = [
                    weight,
                    gradient.into_dispatch(),
                    factor.into_dispatch(),
                    moments.first.into_dispatch(),
                    moments.second.into_dispatch(),
                ];
                for (part, tensor) in parts.iter_mut().zip(all) {
                    part.push(tensor);
                }
            }
            let [weights, gradients, factors, firsts, seconds] = parts.map(Eight::of);
            let (weights, firsts, seconds) =
                Dispatch::adamw_steps(weights, gradients, factors, firsts, seconds, constants);
            let moments = firsts.into_array().into_iter().zip(seconds.into_array());
            let moments = moments.map(|(first, second)| Moments {
                first: Tensor::from_dispatch(first),
                second: Tensor::from_dispatch(second),
            });
            weights.into_array().into_iter().zip(moments)
        });
    after.take(count).collect()
}

/// The sum of the squares of each tensor, `(tensors,)`.
pub fn sums_of_squares(tensors: Vec<Tensor<1>>) -> Tensor<1> {
    let count = tensors.len();
    let size = |tensor: &Tensor<1>| tensor.dims()[0];
    let eights = in_eights(tensors, size).into_iter().map(|tensors| {
        let tensors = Eight::from(tensors.map(Tensor::into_dispatch));
        Tensor::from_dispatch(Dispatch::sums_of_squares(tensors))
    });
    Tensor::cat(eights.collect(), 0).narrow(0, 0, count)
}

/// Running means, moved towards the `latest`: `momentum · mean + (1 − momentum) · latest`.
pub fn moved_means(means: Vec<AnyTensor>, latest: Vec<AnyTensor>, momentum: f64) -> Vec<AnyTensor> {
    let count = means.len();
    let size = |tensor: &AnyTensor| tensor.shape().num_elements();
    let eights = in_eights(means, size)
        .into_iter()
        .zip(in_eights(latest, size));
    let moved = eights.flat_map(|(means, latest)| {
        Dispatch::moved_means(means.into(), latest.into(), momentum).into_array()
    });
    moved.take(count).collect()
}

extension! {
    /// Operations on the parameters of a step, on a backend's tensors.
    pub trait ParameterOps: Backend {
        /// Weights, first and second moments after a step of each.
        #[fusion(meta = |weights, _gradients, _factors, firsts, seconds, _constants| {
            (weights.clone(), firsts.clone(), seconds.clone())
        })]
        fn adamw_steps(
            #[extension_type] weights: Eight<Self>,
            #[extension_type] gradients: Eight<Self>,
            #[extension_type] factors: Eight<Self>,
            #[extension_type] firsts: Eight<Self>,
            #[extension_type] seconds: Eight<Self>,
            constants: [AdamWConstants; 8],
        ) -> (Eight<Self>, Eight<Self>, Eight<Self>) {
            let mut gradients = gradients.into_array().into_iter();
            let mut factors = factors.into_array().into_iter();
            let mut firsts = firsts.into_array().into_iter();
            let mut seconds = seconds.into_array().into_iter();
            let mut constants = constants.into_iter();
            let mut moments = Vec::with_capacity(8);
            let weights = weights.into_array().map(|weight| {
                let (shape, eight) = (weight.shape(), "eight of all");
                let (weight, first, second) = step::<Self>(
                    Self::float_reshape(weight, Shape::from([shape.num_elements()])),
                    gradients.next().expect(eight),
                    factors.next().expect(eight),
                    [firsts.next().expect(eight), seconds.next().expect(eight)],
                    constants.next().expect(eight),
                );
                moments.push((first, second));
                Self::float_reshape(weight, shape)
            });
            let firsts = std::array::from_fn(|index| moments[index].0.clone());
            let seconds = std::array::from_fn(|index| moments[index].1.clone());
            (weights.into(), firsts.into(), seconds.into())
        }

        /// `(8,)`.
        #[fusion(meta = |tensors| {
            let mut spec = tensors.t0.clone();
            spec.shape = Shape::from([8]);
            spec
        })]
        fn sums_of_squares(#[extension_type] tensors: Eight<Self>) -> FloatTensor<Self> {
            let sums = tensors.into_array().map(|tensor| {
                Self::float_sum(Self::float_mul(tensor.clone(), tensor))
            });
            Self::float_cat(sums.into(), 0)
        }

        /// The means after.
        #[fusion(meta = |means, _latest, _momentum| means.clone())]
        fn moved_means(
            #[extension_type] means: Eight<Self>,
            #[extension_type] latest: Eight<Self>,
            momentum: f64,
        ) -> Eight<Self> {
            let mut latest = latest.into_array().into_iter();
            Eight::from(means.into_array().map(|mean| {
                let latest = latest.next().expect("eight of both");
                let kept = Self::float_mul_scalar(mean, momentum.into());
                Self::float_add(kept, Self::float_mul_scalar(latest, (1.0 - momentum).into()))
            }))
        }
    }
}

/// Never differentiated.
impl<B: ParameterOps, C: CheckpointStrategy> ParameterOps for Autodiff<B, C> {}
