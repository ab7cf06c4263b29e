//! What ranks ask of each other for tensors: all the same, in the same order, in portions.

use std::sync::{Arc, Mutex};

use astroclip::base::ranks::{Ranks, TensorCollective};
use astroclip::network::ops::{each_from, ranks_on, sums_over};
use astroclip::training::objective::DinoLossConfig;
use astroclip::training::train::{GradientNumbers, RanksConfig};
use burn::tensor::{Device, Tensor};

use super::threads::among;
use super::{STEPS, distil, distil_sharing};

/// Values of a portion.
const PORTION: usize = 1 << 22;

#[derive(Debug, Clone, PartialEq)]
enum Call {
    Sum { count: usize, in_bf16: bool },
    Gather(Vec<usize>),
}

/// Ranks that write down what they ask for.
#[derive(Debug)]
struct Recorder {
    ranks: Ranks,
    calls: Mutex<Vec<Call>>,
}

impl TensorCollective for Recorder {
    fn sum(&self, own: Tensor<1>, in_bf16: bool) -> Tensor<1> {
        let count = own.dims()[0];
        let mut calls = self.calls.lock().expect("one thread");
        calls.push(Call::Sum { count, in_bf16 });
        self.ranks.sum_tensor(own, in_bf16)
    }

    fn gather(&self, own: Tensor<1>, counts: &[usize]) -> Tensor<1> {
        let mut calls = self.calls.lock().expect("one thread");
        calls.push(Call::Gather(counts.to_vec()));
        self.ranks.gather_tensor(own, counts)
    }
}

/// What each of the ranks makes of it, and what all of them ask for.
fn recorded<T: Send>(size: usize, work: impl Fn(Ranks) -> T + Sync) -> (Vec<T>, Vec<Call>) {
    let done = among(size, |ranks| {
        let recorder = Arc::new(Recorder {
            ranks: ranks.clone(),
            calls: Mutex::default(),
        });
        let done = work(ranks.exchanging(Arc::clone(&recorder) as _));
        let calls = recorder.calls.lock().expect("one thread").clone();
        (done, calls)
    });
    let (done, mut calls): (Vec<T>, Vec<_>) = done.into_iter().unzip();
    for other in &calls[1..] {
        assert_eq!(*other, calls[0], "all ranks ask for the same");
    }
    (done, calls.swap_remove(0))
}

fn values(tensors: Vec<Tensor<1>>) -> Vec<Vec<f32>> {
    let values = tensors.into_iter();
    values
        .map(|tensor| tensor.into_data().try_into_vec().expect("f32"))
        .collect()
}

#[test]
fn tensors_are_summed_in_portions() {
    let sizes = [PORTION - 1, 2, 3, PORTION, 5];
    let (sums, calls) = recorded(2, |ranks| {
        let own = (1 + ranks.seat().rank) as f32;
        let tensors = (0_u8..)
            .zip(sizes)
            .map(|(index, size)| Tensor::full([size], own * f32::from(1 + index), &Device::flex()));
        values(sums_over(&ranks, tensors.collect(), false))
    });
    let counts = [PORTION + 1, PORTION + 3, 5];
    let expected = counts.map(|count| Call::Sum {
        count,
        in_bf16: false,
    });
    assert_eq!(calls, expected);
    for sums in sums {
        for ((index, size), sum) in (0_u8..).zip(sizes).zip(sums) {
            let expected = 3.0 * f32::from(1 + index);
            assert_eq!(sum.len(), size);
            assert!(sum.iter().all(|&value| value == expected), "{index}");
        }
    }
}

#[test]
fn ranks_give_their_tensors_in_portions_of_all() {
    let most = PORTION / 2;
    let tensors = [(0, most), (1, 5), (0, 7), (1, 1), (0, 2)];
    let (each, calls) = recorded(2, |ranks| {
        let own = ranks.seat().rank as f32;
        let tensors = (0_u8..).zip(tensors).map(|(index, (owner, size))| {
            let value = 10.0 * own + f32::from(index);
            (owner, Tensor::full([size], value, &Device::flex()))
        });
        values(each_from(&ranks, tensors.collect()))
    });
    assert_eq!(
        calls,
        [Call::Gather(vec![most, 6]), Call::Gather(vec![9, 0])]
    );
    for each in each {
        for ((index, (owner, size)), found) in (0_u8..).zip(tensors).zip(each) {
            let expected = 10.0 * owner as f32 + f32::from(index);
            assert_eq!(found.len(), size);
            assert!(found.iter().all(|&value| value == expected), "{index}");
        }
    }
}

#[test]
fn steps_ask_for_one_sum_of_gradients_and_the_weights_of_each_rank() {
    let loss = DinoLossConfig::default();
    let sharing = RanksConfig {
        gradients: GradientNumbers::Bf16,
        shard_optimizer: true,
    };
    let (steps, calls) = recorded(2, |ranks| {
        distil_sharing((&loss, None), sharing, ranks, None)
    });
    let parameters = |index: usize| {
        let gradients = steps[0][index].gradients.values();
        gradients.map(Vec::len).sum::<usize>()
    };
    let of_gradients = calls.iter().filter_map(|call| match call {
        Call::Sum {
            count,
            in_bf16: true,
        } => Some(*count),
        _ => None,
    });
    let expected: Vec<usize> = (0..STEPS as usize).map(parameters).collect();
    assert_eq!(of_gradients.collect::<Vec<_>>(), expected);
    let of_weights = calls.iter().filter(|call| match call {
        Call::Gather(counts) => counts.iter().sum::<usize>() == parameters(0),
        Call::Sum { .. } => false,
    });
    assert_eq!(of_weights.count(), STEPS as usize);
}

#[test]
fn ranks_on_cpus_talk_by_what_they_have() {
    let loss = DinoLossConfig::default();
    let expected = distil(&loss, None, Ranks::alone(), None);
    let losses = among(2, |ranks| {
        let ranks = ranks_on(&ranks, &Device::flex()).expect("there is nothing to agree on");
        distil(&loss, None, ranks, None)[0].numbers.loss()
    });
    for loss in losses {
        assert!((loss / expected[0].numbers.loss() - 1.0).abs() < super::MOST);
    }
}

#[test]
fn what_one_rank_objects_to_all_hear() {
    let heard = among(3, |ranks| {
        let rank = ranks.seat().rank;
        let all = ranks.objection((rank > 0).then_some("lacks it"));
        (all, ranks.objection(None))
    });
    for (all, none) in heard {
        let all = all.expect("two ranks object");
        assert!(
            all.starts_with("rank 1 on ") && all.ends_with(": lacks it"),
            "{all}"
        );
        assert_eq!(none, None);
    }
}
