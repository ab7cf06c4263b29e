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

    /// Has the sum and the number of the scores since the last update replaced, by those of all ranks: `all` is given
    /// this rank's, zeros where it saw none.
    pub fn share(&mut self, all: impl FnOnce(Tensor<2>, usize) -> (Tensor<2>, usize)) {
        let seen = self.seen.take();
        let (sum, rows) = seen.unwrap_or_else(|| (self.value.zeros_like(), 0));
        self.seen = Some(all(sum, rows)).filter(|(_, rows)| *rows > 0);
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
    let [rows, _] = scores.dims();
    sinkhorn_knopp_among((scores, rows), temperature, iterations, &NoOthers)
}

/// Rows that others hold, on other ranks.
pub trait OtherRows {
    /// Of a sum over rows here, that over all rows.
    fn sum(&self, here: Tensor<2>) -> Tensor<2>;

    /// Of the largest value here, `(1, 1)`, that of all rows.
    fn max(&self, here: Tensor<2>) -> Tensor<2>;
}

/// No other rows.
struct NoOthers;

impl OtherRows for NoOthers {
    fn sum(&self, here: Tensor<2>) -> Tensor<2> {
        here
    }

    fn max(&self, here: Tensor<2>) -> Tensor<2> {
        here
    }
}

/// As [`sinkhorn_knopp`], where the prototypes are balanced over all `rows`, of which `scores` are some. A row of −∞
/// stands for none and stays zero.
pub fn sinkhorn_knopp_among(
    (scores, rows): (Tensor<2>, usize),
    temperature: f64,
    iterations: usize,
    others: &impl OtherRows,
) -> Tensor<2> {
    let [_, prototypes] = scores.dims();
    let scaled = scores / temperature;
    // A common factor cancels in the first division; without it exp overflows.
    let peak = others.max(scaled.clone().max().unsqueeze());
    let mut plan = (scaled - peak).exp();
    plan = plan.clone() / others.sum(plan.sum().unsqueeze());
    // A prototype that no row comes near, or a row far from all of them, keeps its zeros.
    let some = |sum: Tensor<2>| sum.clamp_min(f32::MIN_POSITIVE);
    for _ in 0..iterations {
        let prototype = others.sum(plan.clone().sum_dim(0));
        plan = plan / (some(prototype) * prototypes as f64);
        plan = plan.clone() / (some(plan.sum_dim(1)) * rows as f64);
    }
    plan * rows as f64
}
