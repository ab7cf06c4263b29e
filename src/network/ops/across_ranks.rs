//! Tensors of several ranks: their sums, the rows of all, those of the rank that has them.

use burn::tensor::{Device, Tensor};

use crate::base::device::is_cuda;
use crate::base::error::Result;
use crate::base::ranks::Ranks;

/// Values that go over the ranks at once, at least, where there are more: 16 MiB.
const PORTION: usize = 1 << 22;

/// The same ranks as they exchange tensors of `device`: by NCCL where all of them can, else through the memory of their
/// hosts. Says which it is, and why.
///
/// # Errors
///
/// Where ranks have NCCL of different versions, or it does not start.
pub fn ranks_on(ranks: &Ranks, device: &Device) -> Result<Ranks> {
    if ranks.is_alone() {
        return Ok(ranks.clone());
    }
    let why = ranks.objection(objection_to_nccl(device));
    #[cfg(feature = "nccl")]
    if why.is_none() {
        return super::gpu::nccl::join(ranks, device);
    }
    let why = why.unwrap_or_default();
    let line = format!("tensors go between ranks by MPI, through the memory of the hosts ({why})");
    match ranks.is_first() {
        true if is_cuda(device) => tracing::warn!("{line}"),
        true => tracing::info!("{line}"),
        false => (),
    }
    Ok(ranks.clone())
}

/// Why this rank does not exchange tensors of a device by NCCL, if it does not.
fn objection_to_nccl(device: &Device) -> Option<&'static str> {
    if !is_cuda(device) {
        return Some("computes on no GPU through CUDA");
    }
    if std::env::var_os("ASTROCLIP_NCCL").is_some_and(|value| value == "off") {
        return Some("ASTROCLIP_NCCL=off");
    }
    #[cfg(feature = "nccl")]
    let why = super::gpu::nccl::objection();
    #[cfg(not(feature = "nccl"))]
    let why = Some("the program was built without the feature nccl");
    why
}

/// The sum over the ranks of each tensor, outside automatic differentiation; they travel in `bf16` if that is asked for.
/// All give tensors of the same sizes.
pub fn sums_over(ranks: &Ranks, tensors: Vec<Tensor<1>>, in_bf16: bool) -> Vec<Tensor<1>> {
    if ranks.is_alone() {
        return tensors;
    }
    let mut sums = Vec::with_capacity(tensors.len());
    let (mut portion, mut counts) = (Vec::new(), Vec::new());
    let mut left = tensors.len();
    for tensor in tensors {
        left -= 1;
        counts.push(tensor.dims()[0]);
        portion.push(tensor);
        if counts.iter().sum::<usize>() >= PORTION || left == 0 {
            let sum = ranks.sum_tensor(joined(std::mem::take(&mut portion)), in_bf16);
            sums.extend(parts(sum, 0, counts.drain(..)));
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
    ranks.sum_tensor(flat, false).reshape(shape)
}

/// Rows `(own, width)` of all ranks, `(all, width)`, in the order of the ranks, which have as many, outside automatic
/// differentiation.
pub fn rows_over(ranks: &Ranks, own: Tensor<2>) -> Tensor<2> {
    if ranks.is_alone() {
        return own;
    }
    let [rows, width] = own.dims();
    let counts = vec![rows * width; ranks.size()];
    let all = ranks.gather_tensor(own.reshape([rows * width]), &counts);
    all.reshape([rows * ranks.size(), width])
}

/// Each tensor as the rank that is named with it has it, outside automatic differentiation; the other ranks give any of its
/// size. This rank's own stay as they are.
pub fn each_from(ranks: &Ranks, tensors: Vec<(usize, Tensor<1>)>) -> Vec<Tensor<1>> {
    let Some(device) = tensors.first().map(|(_, tensor)| tensor.device()) else {
        return Vec::new();
    };
    let own = ranks.seat().rank;
    // What goes at once, of all ranks together, is a portion.
    let most = PORTION / ranks.size();
    let of_rank = |rank: usize| {
        let all = tensors.iter().enumerate();
        all.filter(move |(_, (owner, _))| *owner == rank)
            .map(|(index, (_, tensor))| (index, tensor.dims()[0]))
    };
    let of_ranks = (0..ranks.size()).map(|rank| in_portions(of_rank(rank), most));
    let of_ranks: Vec<_> = of_ranks.collect();
    let rounds = of_ranks.iter().map(Vec::len).max().unwrap_or(0);
    let tensors = tensors.into_iter().map(|(_, tensor)| Some(tensor));
    let mut tensors: Vec<Option<Tensor<1>>> = tensors.collect();
    for round in 0..rounds {
        let portion = |rank: usize| of_ranks[rank].get(round).map_or(&[][..], Vec::as_slice);
        let sizes = |rank: usize| portion(rank).iter().map(|&(_, count)| count);
        let counts: Vec<usize> = (0..ranks.size()).map(|rank| sizes(rank).sum()).collect();
        let given = portion(own).iter();
        let given: Vec<_> = given
            .filter_map(|&(index, _)| tensors[index].clone())
            .collect();
        let given = match given.is_empty() {
            true => Tensor::zeros([1], &device),
            false => joined(given),
        };
        // The old ones make room first.
        for &(index, _) in (0..ranks.size())
            .filter(|rank| *rank != own)
            .flat_map(portion)
        {
            tensors[index] = None;
        }
        let all = ranks.gather_tensor(given, &counts);
        let mut start = 0;
        for (rank, count) in counts.into_iter().enumerate() {
            if rank != own {
                let places = portion(rank).iter().map(|(index, _)| *index);
                for (index, part) in places.zip(parts(all.clone(), start, sizes(rank))) {
                    tensors[index] = Some(part);
                }
            }
            start += count;
        }
    }
    tensors.into_iter().flatten().collect()
}

/// Tensors one after the other.
fn joined(mut tensors: Vec<Tensor<1>>) -> Tensor<1> {
    match tensors.len() {
        1 => tensors.swap_remove(0),
        _ => Tensor::cat(tensors, 0),
    }
}

/// Parts of a tensor of so many values each, from `start`.
fn parts(
    whole: Tensor<1>,
    start: usize,
    counts: impl IntoIterator<Item = usize>,
) -> impl Iterator<Item = Tensor<1>> {
    let starts = counts.into_iter().scan(start, |next, count| {
        *next += count;
        Some((*next - count, count))
    });
    starts.map(move |(start, count)| match whole.dims()[0] == count {
        true => whole.clone(),
        false => whole.clone().narrow(0, start, count),
    })
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
