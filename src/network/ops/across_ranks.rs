//! Tensors of several ranks: their sums, the rows of all, those of the rank that has them.

use burn::tensor::{Tensor, TensorData};

use crate::base::ranks::Ranks;

/// Values that go over the ranks at once, at least, where there are more: 16 MiB.
const PORTION: usize = 1 << 22;

/// The sum over the ranks of each tensor, outside automatic differentiation; they travel in `bf16` if that is asked for.
/// All give tensors of the same sizes.
pub fn sums_over(ranks: &Ranks, tensors: Vec<Tensor<1>>, in_bf16: bool) -> Vec<Tensor<1>> {
    if ranks.is_alone() {
        return tensors;
    }
    let mut sums = Vec::with_capacity(tensors.len());
    let (mut portion, mut values) = (Vec::new(), Vec::new());
    let mut left = tensors.len();
    for tensor in tensors {
        left -= 1;
        portion.push((tensor.dims(), tensor.device()));
        values.append(&mut on_host(tensor));
        if values.len() < PORTION && left > 0 {
            continue;
        }
        match in_bf16 {
            false => ranks.sum(&mut values),
            true => ranks.sum_in_bf16(&mut values),
        }
        let mut rest = values.drain(..);
        for ([count], device) in portion.drain(..) {
            let sum: Vec<f32> = rest.by_ref().take(count).collect();
            sums.push(Tensor::from_data(TensorData::new(sum, [count]), &device));
        }
    }
    sums
}

/// The sum over the ranks of a tensor, which all have in one shape, outside automatic differentiation.
pub fn sum_over<const D: usize>(ranks: &Ranks, own: Tensor<D>) -> Tensor<D> {
    if ranks.is_alone() {
        return own;
    }
    let shape = own.dims();
    let flat = own.reshape([shape.iter().product::<usize>()]);
    let sum = sums_over(ranks, vec![flat], false).remove(0);
    sum.reshape(shape)
}

/// Rows `(own, width)` of all ranks, `(all, width)`, in the order of the ranks, which have as many, outside automatic
/// differentiation.
pub fn rows_over(ranks: &Ranks, own: Tensor<2>) -> Tensor<2> {
    if ranks.is_alone() {
        return own;
    }
    let ([rows, width], device) = (own.dims(), own.device());
    let values = ranks.values(&on_host(own));
    let shape = [rows * ranks.size(), width];
    Tensor::from_data(TensorData::new(values, shape), &device)
}

/// Each tensor as the rank that is named with it has it, outside automatic differentiation; the other ranks give any of its
/// size. This rank's own stay as they are.
pub fn each_from(ranks: &Ranks, tensors: Vec<(usize, Tensor<1>)>) -> Vec<Tensor<1>> {
    let own = ranks.seat().rank;
    // What goes at once, of all ranks together, is a portion.
    let most = PORTION / ranks.size();
    let mut tensors: Vec<_> = tensors
        .into_iter()
        .map(|(rank, tensor)| (rank, Some(tensor)))
        .collect();
    let of_rank = |rank: usize| {
        let all = tensors.iter().enumerate();
        all.filter(move |(_, (owner, _))| *owner == rank)
            .filter_map(|(index, (_, tensor))| Some((index, tensor.as_ref()?.dims()[0])))
    };
    let of_ranks = (0..ranks.size()).map(|rank| in_portions(of_rank(rank), most));
    let of_ranks: Vec<_> = of_ranks.collect();
    let rounds = of_ranks.iter().map(Vec::len).max().unwrap_or(0);
    for round in 0..rounds {
        let portion = |rank: usize| of_ranks[rank].get(round).map_or(&[][..], Vec::as_slice);
        let given = portion(own)
            .iter()
            .filter_map(|&(index, _)| tensors[index].1.clone());
        let given: Vec<f32> = given.flat_map(on_host).collect();
        let all = ranks.gather(bytemuck::cast_slice(&given));
        for (rank, bytes) in all.iter().enumerate().filter(|(rank, _)| *rank != own) {
            let mut values = bytes.as_chunks().0.iter().copied().map(f32::from_ne_bytes);
            for &(index, count) in portion(rank) {
                let values: Vec<f32> = values.by_ref().take(count).collect();
                let data = TensorData::new(values, [count]);
                let place = &mut tensors[index].1;
                // The old one makes room first.
                let device = place.take().map(|tensor| tensor.device());
                *place = device.map(|device| Tensor::from_data(data, &device));
            }
        }
    }
    tensors
        .into_iter()
        .filter_map(|(_, tensor)| tensor)
        .collect()
}

/// Indices and sizes in groups of at most `most` values, or of one.
fn in_portions(
    sizes: impl Iterator<Item = (usize, usize)>,
    most: usize,
) -> Vec<Vec<(usize, usize)>> {
    let mut portions: Vec<Vec<(usize, usize)>> = Vec::new();
    let mut held = 0;
    for (index, count) in sizes {
        match portions.last_mut() {
            Some(portion) if held + count <= most => {
                held += count;
                portion.push((index, count));
            }
            _ => {
                held = count;
                portions.push(vec![(index, count)]);
            }
        }
    }
    portions
}

fn on_host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let values = tensor.into_data().try_into_vec();
    values.expect("f32 tensors travel")
}

#[cfg(test)]
mod tests {
    use super::in_portions;

    #[test]
    fn portions_hold_no_more_than_they_should_or_one() {
        let sizes = [3, 3, 9, 1, 2, 3, 1].into_iter().enumerate();
        let portions = in_portions(sizes, 6);
        let sizes = portions
            .iter()
            .map(|portion| portion.iter().map(|(_, size)| *size).collect());
        let sizes: Vec<Vec<usize>> = sizes.collect();
        assert_eq!(sizes, [vec![3, 3], vec![9], vec![1, 2, 3], vec![1]]);
    }
}
