use burn::tensor::{Device, Tensor, activation::softmax};

/// Running mean of the teacher's scores, subtracted before the softmax so that no prototype takes
/// over (Caron et al. 2021; paper appendix A2.2).
#[derive(Debug, Clone)]
pub struct Center {
    /// `(1, prototypes)`.
    pub value: Tensor<2>,
    momentum: f64,
}

impl Center {
    /// Starts at zero.
    pub fn new(prototypes: usize, momentum: f64, device: &Device) -> Self {
        Self {
            value: Tensor::zeros([1, prototypes], device),
            momentum,
        }
    }

    /// Teacher probabilities `(rows, prototypes)` of scores of the same shape: centred with the mean of
    /// earlier batches, sharpened with `temperature`.
    pub fn probabilities(&self, scores: Tensor<2>, temperature: f64) -> Tensor<2> {
        softmax((scores - self.value.clone()) / temperature, 1)
    }

    /// Moves the centre towards the mean of this batch's scores.
    pub fn update(&mut self, scores: Tensor<2>) {
        let mean = scores.mean_dim(0);
        self.value = self.value.clone() * self.momentum + mean * (1.0 - self.momentum);
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
    for _ in 0..iterations {
        plan = plan.clone() / (plan.sum_dim(0) * prototypes as f64);
        plan = plan.clone() / (plan.sum_dim(1) * rows as f64);
    }
    plan * rows as f64
}
