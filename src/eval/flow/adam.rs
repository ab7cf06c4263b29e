//! The optimiser Adam with decoupled weight decay (Kingma & Ba 2015; Loshchilov & Hutter 2019).

use super::network::Weights;

/// Running moments of the gradient.
pub(super) struct Adam {
    first: Weights,
    second: Weights,
    steps: i32,
}

const BETA: (f32, f32) = (0.9, 0.999);
const EPSILON: f32 = 1e-8;

impl Adam {
    pub fn new(weights: &Weights) -> Self {
        Self {
            first: weights.zeros_like(),
            second: weights.zeros_like(),
            steps: 0,
        }
    }

    /// One step against `gradient`; `decay` is per step in units of the learning rate.
    pub fn step(&mut self, weights: &mut Weights, gradient: &mut Weights, rate: f32, decay: f32) {
        self.steps += 1;
        let step = rate / (1.0 - BETA.0.powi(self.steps));
        let correction = (1.0 - BETA.1.powi(self.steps)).sqrt().recip();
        let keep = 1.0 - rate * decay;
        let slices = weights
            .slices_mut()
            .into_iter()
            .zip(gradient.slices_mut())
            .zip(self.first.slices_mut())
            .zip(self.second.slices_mut());
        for (((weights, gradient), first), second) in slices {
            for (((weight, &mut gradient), first), second) in
                weights.iter_mut().zip(gradient).zip(first).zip(second)
            {
                *first = BETA.0 * *first + (1.0 - BETA.0) * gradient;
                *second = BETA.1 * *second + (1.0 - BETA.1) * gradient * gradient;
                *weight = *weight * keep - step * *first / (second.sqrt() * correction + EPSILON);
            }
        }
    }
}
