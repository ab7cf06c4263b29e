//! From a teacher's scores to probabilities that use all prototypes.

use burn::tensor::{Device, Tensor, activation::softmax};

/// Running mean of the teacher's scores, subtracted before the softmax so that no prototype takes
/// over (Caron et al. 2021; paper appendix A2.2).
#[derive(Debug, Clone)]
pub struct Center {
    /// `(1, prototypes)`.
    pub value: Tensor<2>,
    momentum: f64,
    /// Sum and number of the scores since the last update.
    seen: Option<(Tensor<2>, usize)>,
}

impl Center {
    /// Starts at zero.
    pub fn new(prototypes: usize, momentum: f64, device: &Device) -> Self {
        Self {
            value: Tensor::zeros([1, prototypes], device),
            momentum,
            seen: None,
        }
    }

    /// Teacher probabilities `(rows, prototypes)` of scores of the same shape: centred with the mean of
    /// earlier batches, sharpened with `temperature`.
    pub fn probabilities(&self, scores: Tensor<2>, temperature: f64) -> Tensor<2> {
        softmax((scores - self.value.clone()) / temperature, 1)
    }

    /// Takes scores `(rows, prototypes)` of this batch, or of a part of it, into the next update.
    pub fn observe(&mut self, scores: Tensor<2>) {
        let [rows, _] = scores.dims();
        let sum = scores.sum_dim(0);
        self.seen = Some(match self.seen.take() {
            Some((before, count)) => (before + sum, count + rows),
            None => (sum, rows),
        });
    }

    /// Forgets the scores since the last update.
    pub fn forget(&mut self) {
        self.seen = None;
    }

    /// Moves the centre towards the mean of the scores since the last update.
    pub fn update(&mut self) {
        if let Some((sum, rows)) = self.seen.take() {
            let mean = sum / rows as f64;
            self.value = self.value.clone() * self.momentum + mean * (1.0 - self.momentum);
        }
    }
}

/// Teacher probabilities by Sinkhorn-Knopp: scores `(rows, prototypes)` are scaled until prototypes are
/// used evenly (Caron et al. 2020), with `iterations` sweeps (3 in DINOv2).
pub fn sinkhorn_knopp(scores: Tensor<2>, temperature: f64, iterations: usize) -> Tensor<2> {
    let [rows, prototypes] = scores.dims();
    let scaled = scores / temperature;
    // A common factor cancels in the first division; without it exp overflows.
    let peak = scaled.clone().max();
    let mut plan = (scaled - peak.unsqueeze()).exp();
    plan = plan.clone() / plan.sum().unsqueeze();
    // A prototype that no row comes near, or a row far from all of them, keeps its zeros.
    let sum = |plan: &Tensor<2>, axis| plan.clone().sum_dim(axis).clamp_min(f32::MIN_POSITIVE);
    for _ in 0..iterations {
        plan = plan.clone() / (sum(&plan, 0) * prototypes as f64);
        plan = plan.clone() / (sum(&plan, 1) * rows as f64);
    }
    plan * rows as f64
}
