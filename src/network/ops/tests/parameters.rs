//! What is done to many parameters at once, against the same from burn's operations.

use burn::backend::Dispatch;
use burn::tensor::{Device, Tensor};

use super::super::adamw::step;
use super::super::*;
use super::{assert_same_values, random, values};

/// Numbers of parameters that leave an eight unfilled, one of them in several tasks.
const COUNTS: [usize; 3] = [5, 40_001, 1];

#[test]
fn steps_of_parameters_agree_with_composition() {
    let numbers = |seed: u64| COUNTS.map(|count| random([count], seed).inner());
    let [weights, gradients, firsts] = [0, 1, 2].map(numbers);
    let seconds = numbers(3).map(|numbers| numbers.square());
    let factor: Tensor<1> = Tensor::from_floats([0.3], &Device::flex());
    let constants = AdamWConstants {
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        rate: 2e-3,
        root_correction: 0.22,
        kept: 0.99,
    };
    let parameter = |index: usize| Parameter {
        weight: weights[index].clone().into_dispatch(),
        gradient: gradients[index].clone(),
        factor: factor.clone(),
        moments: Moments {
            first: firsts[index].clone(),
            second: seconds[index].clone(),
        },
        constants,
    };
    let before: Vec<f32> = firsts.iter().cloned().flat_map(values).collect();
    let after = adamw((0..COUNTS.len()).map(parameter).collect());
    assert_eq!(after.len(), COUNTS.len());
    for (index, (weight, moments)) in after.into_iter().enumerate() {
        let parameter = parameter(index);
        let (wanted, first, second) = step::<Dispatch>(
            parameter.weight,
            parameter.gradient.into_dispatch(),
            parameter.factor.into_dispatch(),
            [parameter.moments.first, parameter.moments.second].map(Tensor::into_dispatch),
            constants,
        );
        let pairs = [
            (Tensor::from_dispatch(weight), wanted),
            (moments.first, first),
            (moments.second, second),
        ];
        for (ours, wanted) in pairs {
            assert_same_values::<1>(ours, Tensor::from_dispatch(wanted));
        }
    }
    // Somebody else held the moments.
    let held: Vec<f32> = firsts.iter().cloned().flat_map(values).collect();
    assert_eq!(held, before);
}

#[test]
fn squares_and_means_of_parameters_agree_with_composition() {
    let numbers = |seed: u64| COUNTS.map(|count| random([count], seed).inner());
    let (means, latest) = (numbers(0), numbers(1));
    let sums = values(sums_of_squares(means.to_vec()));
    assert_eq!(sums.len(), COUNTS.len());
    let moved = |tensors: &[Tensor<1>; 3]| tensors.clone().map(Tensor::into_dispatch).to_vec();
    let moved = moved_means(moved(&means), moved(&latest), 0.9);
    for (((mean, latest), sum), moved) in means.into_iter().zip(latest).zip(sums).zip(moved) {
        let wanted: f32 = values(mean.clone().square().sum())[0];
        assert!((sum / wanted - 1.0).abs() < 1e-5, "{sum} {wanted}");
        assert_same_values(Tensor::<1>::from_dispatch(moved), mean * 0.9 + latest * 0.1);
    }
}
