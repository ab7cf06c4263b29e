//! What the ranks of a run have together: rows of all of them, sums over them, and losses of the whole batch.

use burn::tensor::Tensor;

use crate::base::ranks::Ranks;
use crate::network::loss::{Center, OtherRows, sinkhorn_knopp_among};
use crate::network::ops::{rows_over, sum_over};

/// A loss of the rows of all ranks, of which `own` `(own, width)` are this rank's, outside automatic differentiation;
/// and what it changes by with each of these.
pub(super) fn whole_loss<const N: usize>(
    ranks: &Ranks,
    own: [Tensor<2>; N],
    loss: impl FnOnce([Tensor<2>; N]) -> Tensor<1>,
) -> (Tensor<1>, [Tensor<2>; N]) {
    let counts = own.each_ref().map(|rows| rows.dims()[0]);
    let all = own.map(|rows| Tensor::<2>::from_inner(rows_over(ranks, rows)).require_grad());
    let loss = loss(all.clone());
    let mut tape = loss.backward();
    let mut counts = counts.into_iter();
    let gradients = all.map(|rows| {
        let gradient = rows.grad_remove(&mut tape);
        let gradient = gradient.expect("the loss is of all rows");
        let place = ranks.seat().place(counts.next().expect("one for each"));
        match ranks.is_alone() {
            true => gradient,
            false => gradient.narrow(0, place.start, place.len()),
        }
    });
    (loss.without_autodiff(), gradients)
}

/// The loss of the rows of all ranks as this rank's part of a mean over the ranks: its value is that of the whole, and
/// the mean of the gradients of all ranks is its gradient.
pub(super) fn part_of_whole_loss<const N: usize>(
    ranks: &Ranks,
    own: [Tensor<2>; N],
    loss: impl FnOnce([Tensor<2>; N]) -> Tensor<1>,
) -> Tensor<1> {
    if ranks.is_alone() {
        return loss(own);
    }
    let untaped = own.each_ref().map(|rows| rows.clone().inner());
    let (value, gradients) = whole_loss(ranks, untaped, loss);
    let linear = own
        .into_iter()
        .zip(gradients)
        .map(|(rows, gradient)| (rows * Tensor::from_inner(gradient)).sum())
        .reduce(|sum, term| sum + term)
        .expect("a loss is of something")
        * ranks.size() as f64;
    linear.clone() - linear.detach() + Tensor::from_inner(value)
}

/// Terms of a loss, `(1,)` each, that sum up to those of the whole batch over the ranks, which have the same.
pub(super) fn terms_of_all(
    ranks: &Ranks,
    terms: Vec<(&'static str, Tensor<1>)>,
) -> Vec<(&'static str, Tensor<1>)> {
    if ranks.is_alone() {
        return terms;
    }
    let (names, values): (Vec<_>, Vec<_>) = terms.into_iter().unzip();
    let sums = sum_over(ranks, Tensor::cat(values, 0));
    let places = 0..names.len();
    let sums = places.map(|place| sums.clone().narrow(0, place, 1));
    names.into_iter().zip(sums).collect()
}

/// Lets a centre follow the scores of all ranks.
pub(super) fn share_center(ranks: &Ranks, center: &mut Center) {
    if !ranks.is_alone() {
        center.share(|sum, rows| {
            let rows: f64 = ranks.numbers(rows as f64).iter().sum();
            (sum_over(ranks, sum), rows as usize)
        });
    }
}

impl OtherRows for Ranks {
    fn sum(&self, here: Tensor<2>) -> Tensor<2> {
        sum_over(self, here)
    }

    fn max(&self, here: Tensor<2>) -> Tensor<2> {
        rows_over(self, here).max().unsqueeze()
    }
}

/// Sinkhorn-Knopp over the rows of all ranks; a rank may have none.
pub(super) fn balanced_over_all(
    ranks: &Ranks,
    (own, none): (Option<Tensor<2>>, impl FnOnce() -> Tensor<2>),
    temperature: f64,
    iterations: usize,
) -> Option<Tensor<2>> {
    let rows = own.as_ref().map_or(0, |scores| scores.dims()[0]);
    let all: f64 = ranks.numbers(rows as f64).iter().sum();
    if all == 0.0 {
        return None;
    }
    let scores = own.unwrap_or_else(none);
    let balanced = sinkhorn_knopp_among((scores, all as usize), temperature, iterations, ranks);
    (rows > 0).then_some(balanced)
}
